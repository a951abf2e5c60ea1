"""The OpenAPI 3.1 document of every API door: what it takes and gives, with examples, who may, and every refusal."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute, Route

from portal.kit.errors import (
    BadRequest,
    Invalid,
    NotFound,
    PortalError,
    TooLarge,
    TooMany,
    Unavailable,
    UnsupportedMedia,
)
from portal.kit.examples import SAMPLES, sample
from portal.kit.idempotency import KeyReused, StillRunning
from portal.kit.openapi import Admission, Operation
from portal.kit.replay import LONGEST_KEY, NEVER_KEPT, AnswerLost
from portal.kit.validation import Wire
from portal.kit.web import UNSAFE

PROBLEM = "application/problem+json"
ABOUT = (
    "Money is a decimal string with its currency, instants are ISO 8601 with offset, unknown is null. Errors are RFC "
    "9457 problem details whose `code` is stable. Lists take `limit` and the `cursor` of the answer before. What "
    "changes something takes an `Idempotency-Key`. `RateLimit` headers say how many requests are left."
)
SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of POST /api/auth/login: everything that the account may.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "ak_…",
        "description": "A personal API key of /account/api-keys: what its scopes say; each operation names its scope.",
    },
    "bookingToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "bk_…",
        "description": "The bookingToken of a booking made without an account: this one booking.",
    },
}
FILE = {"type": "string", "format": "binary"}
PATHS: dict[str, dict[str, Any]] = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
}
Ask = Callable[[str, str], Admission]


class FieldProblem(Wire):
    """One wrong field of a refused request."""

    pointer: str
    detail: str


class Problem(Wire):
    """RFC 9457 problem details; some codes say more, such as the balance."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str | None = None
    errors: tuple[FieldProblem, ...] = ()


def open_to_all(_method: str, _path: str) -> Admission:
    """Return what is said of a door when nobody is asked who they are."""
    return Admission()


def document(
    routes: Iterable[BaseRoute], *, title: str, version: str, server: str = "", ask: Ask = open_to_all
) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of every route under /api/ that carries an operation.

    `ask(method, path)` says who may, which the access table knows.
    """
    doors = _doors(routes)
    book = _Book([op for _, op in doors], ask)
    paths: dict[str, Any] = {}
    for route, op in doors:
        for method in sorted((route.methods or set()) - {"HEAD"}):
            path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
            paths.setdefault(path, {})[method.lower()] = book.describe(route, op, method)
    book.forget_queries()
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": server or "/"}],
        "tags": _tags(doors),
        "paths": paths,
        "components": {
            "schemas": book.definitions,
            "examples": {**{one.code: _problem_example(one) for one in _codes(book.refusals)}, **book.answers},
            "securitySchemes": SCHEMES,
        },
    }


def _doors(routes: Iterable[BaseRoute]) -> list[tuple[Route, Operation]]:
    pairs = ((r, getattr(r.endpoint, "operation", None)) for r in routes if isinstance(r, Route))
    return [(route, op) for route, op in pairs if op is not None and route.path.startswith("/api/")]


def _tag(route: Route, op: Operation) -> str:
    return op.tag or (route.name or "").split(".")[1]


def _tags(doors: Sequence[tuple[Route, Operation]]) -> list[dict[str, str]]:
    """Say of each subject what the room behind its first door promises."""
    found: dict[str, str] = {}
    for route, op in doors:
        view = getattr(route.endpoint, "view", route.endpoint)
        found.setdefault(_tag(route, op), inspect.getdoc(sys.modules[view.__module__]) or "")
    return [{"name": tag, "description": words.split("\n")[0]} for tag, words in found.items()]


def _codes(errors: Iterable[type[PortalError]]) -> list[type[PortalError]]:
    """Return one class for each code: subclasses that say the same share their code."""
    return sorted({error.code: error for error in errors}.values(), key=lambda error: error.code)


def _problem_example(error: type[PortalError]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": f"/help/errors#{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.title,
        "instance": "/api/…",
        "code": error.code,
        "requestId": "5tZq9mA0c1",
    }
    if error is Invalid:
        value["errors"] = [{"pointer": "/email", "detail": "Please fill this in."}]
    return {"summary": error.title, "value": value}


class _Book:
    """The shapes of all doors, and what is said with them."""

    def __init__(self, operations: Sequence[Operation], ask: Ask) -> None:
        self.operations, self.ask = operations, ask
        self.refusals: set[type[PortalError]] = set()
        self.answers: dict[str, Any] = {}
        self.shapes, self.definitions = _schemas(operations)

    def describe(self, route: Route, op: Operation, method: str) -> dict[str, Any]:
        """Return the operation object of one door."""
        admission = self.ask(method, route.path)
        described: dict[str, Any] = {
            "operationId": (route.name or "").removeprefix("portal.").replace(".api.", "."),
            "summary": op.summary,
            "description": _promise(route),
            "tags": [_tag(route, op)],
            "parameters": [*_path_parameters(route), *self._query(op), *_header_parameters(route)],
            "responses": self._responses(route, op, admission),
        }
        if op.body:
            described["requestBody"] = {"required": True, "content": {"application/json": self._body(op)}}
        if admission.security:
            described["security"] = [*admission.security, *([{}] if _takes_a_name(op) else [])]
        return described

    def _body(self, op: Operation) -> dict[str, Any]:
        schema = self.shapes[(op.body, "validation")]
        return {"schema": schema, "example": op.example or sample(self.definitions, schema)}

    def _query(self, op: Operation) -> list[dict[str, Any]]:
        if op.query is None:
            return []
        shape = self.definitions[_name(self.shapes[(op.query, "validation")])]
        required = set(shape.get("required", ()))
        return [self._parameter(key, schema, key in required) for key, schema in shape.get("properties", {}).items()]

    def _parameter(self, name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
        told: dict[str, Any] = {"name": name, "in": "query", "required": required, "schema": schema}
        if schema.get("description"):
            told["description"] = schema["description"]
        if required or schema.get("examples"):
            told["example"] = sample(self.definitions, schema, name)
        return told

    def forget_queries(self) -> None:
        """Leave out the shapes of queries: their fields are told as parameters."""
        for op in self.operations:
            if op.query:
                self.definitions.pop(_name(self.shapes[(op.query, "validation")]), None)

    def _responses(self, route: Route, op: Operation, admission: Admission) -> dict[str, Any]:
        answers = {str(op.status): self._good(op)}
        for status, model in op.also.items():
            answers[str(status)] = {"description": "The same.", "content": {"application/json": self._shown(model)}}
        for error in dict.fromkeys((*op.errors, *admission.refusals, *_house_refusals(route, op))):
            self.refusals.add(error)
            _add_refusal(answers, error, self.shapes[(Problem, "serialization")])
        return answers

    def _good(self, op: Operation) -> dict[str, Any]:
        good: dict[str, Any] = {"description": op.summary}
        if op.answer:
            good["content"] = {op.media_type: self._shown(op.answer)}
        elif op.files or op.media_type != "application/json":
            kinds = op.files or (op.media_type,)
            good["content"] = {kind: {"schema": FILE if "json" not in kind else {}} for kind in kinds}
        return good

    def _shown(self, model: type[BaseModel]) -> dict[str, Any]:
        schema = self.shapes[(model, "serialization")]
        self.answers[_name(schema)] = {"value": sample(self.definitions, schema, whole=True)}
        return {"schema": schema, "examples": {"answer": {"$ref": f"#/components/examples/{_name(schema)}"}}}


def _add_refusal(answers: dict[str, Any], error: type[PortalError], shape: Any) -> None:
    known = answers.setdefault(str(error.status), {"description": ""})
    known["description"] = f"{known['description']} `{error.code}`: {error.title}.".strip()
    content = known.setdefault("content", {}).setdefault(PROBLEM, {"schema": shape, "examples": {}})
    content["examples"][error.code] = {"$ref": f"#/components/examples/{error.code}"}


def _schemas(operations: Sequence[Operation]) -> tuple[Any, dict[str, Any]]:
    """Return what each model is called, and the definitions; of two models of one name each is named by its room."""
    taken = {model for op in operations for model in (op.body, op.query) if model}
    given = {Problem} | {op.answer for op in operations if op.answer}
    given |= {model for op in operations for model in op.also.values()}
    both: list[Any] = [(model, "validation") for model in sorted(taken, key=_order)]
    both += [(model, "serialization") for model in sorted(given, key=_order)]
    schemas, definitions = models_json_schema(both, ref_template="#/components/schemas/{model}")
    text = json.dumps([[schemas[key] for key in both], definitions.get("$defs", {})])
    renamed, named = json.loads(re.sub(r"portal__([a-z]+)__[a-z]+__(?=\w)", lambda room: room[1].capitalize(), text))
    return dict(zip(both, renamed, strict=True)), named


def _order(model: type[BaseModel]) -> str:
    return f"{model.__name__} {model.__module__}"


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[1]


def _takes_a_name(op: Operation) -> bool:
    return op.query is not None and "family_name" in op.query.model_fields


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [_path_parameter(name, kind) for name, kind in re.findall(r"{(\w+)(?::(\w+))?}", route.path)]


def _path_parameter(name: str, kind: str) -> dict[str, Any]:
    shape = PATHS.get(kind, {"type": "string", "minLength": 1})
    example = {"uuid": SAMPLES["uuid"], "int": 7}.get(kind) or sample({}, {"type": "string"}, name)
    example = SAMPLES["uuid"] if example == "…" else example
    return {"name": name, "in": "path", "required": True, "schema": shape, "example": example}


def _house_refusals(route: Route, op: Operation) -> list[type[PortalError]]:
    """Return what every door of this kind may answer, whatever it is for."""
    found: list[type[PortalError]] = [BadRequest, TooMany, Unavailable]
    found += [Invalid] if op.body or op.query else []
    found += [NotFound] if ":" in route.path else []
    found += [TooLarge, UnsupportedMedia] if (route.methods or set()) & UNSAFE else []
    return found + ([Invalid, StillRunning, KeyReused, AnswerLost] if _header_parameters(route) else [])


def _promise(route: Route) -> str:
    return inspect.getdoc(getattr(route.endpoint, "view", route.endpoint)) or ""


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if not (route.methods or set()) & UNSAFE or route.path.startswith(NEVER_KEPT):
        return []
    words = "Any text of yours, new for each thing to do: the same key and body get the first answer again."
    shape = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY}
    told: dict[str, Any] = {"name": "Idempotency-Key", "in": "header", "required": False, "description": words}
    return [{**told, "schema": shape, "example": "order-2027-0042"}]

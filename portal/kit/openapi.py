"""`@operation` names what an API door takes and gives; the same models validate, answer and document.

    @operation("Hold seats", body=NewBooking, answer=BookingOut, status=201, errors=(SoldOut,))
    def create(request: Request, body: NewBooking) -> Response: ...

`document(routes)` is the OpenAPI 3.1 description of all of them.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from portal.kit.errors import (
    BadRequest,
    Forbidden,
    Invalid,
    NotSignedIn,
    PortalError,
    TooLarge,
    TooMany,
    Unavailable,
    UnsupportedMedia,
)
from portal.kit.idempotency import StillRunning
from portal.kit.replay import LONGEST_KEY, NEVER_KEPT
from portal.kit.validation import Wire, parse
from portal.kit.web import UNSAFE, Request, View

Door = TypeVar("Door", bound=View)
ABOUT = (
    "Money is a decimal string with its currency, instants are ISO 8601 with offset, unknown is null. Errors are RFC "
    "9457 problem details whose `code` is stable. Lists take `limit` and the `cursor` of the answer before."
)


class ScopeMissing(Forbidden):
    """The API key was made for less than this."""

    code, title = "scope_missing", "This API key was not made for that"


def scope_of(method: str, path: str) -> str:
    """Return the scope that an API key needs at a route, as its address says: of `/api/bookings/…` it is
    `bookings:read` or `bookings:write`, of `/api/me/waits` `waits:…`, of `/api/admin/jobs` `jobs:…`, of `/api/me`
    `profile:…`.
    """
    words = [word for word in path.split("/")[2:] if not word.startswith("{")]
    area = words[1] if words[0] in ("me", "admin") and words[1:] else words[0]
    return f"{'profile' if area == 'me' else area}:{'write' if method in UNSAFE else 'read'}"


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


@dataclass(frozen=True)
class Operation:
    """What one API door takes and gives."""

    summary: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    media_type: str = "application/json"
    errors: Sequence[type[PortalError]] = ()
    tag: str = ""
    signed_in: bool = False
    lists: frozenset[str] = field(default_factory=frozenset)

    def call(self, view: View, request: Request) -> Response:
        """Parse what the door takes and enter it; raises Invalid for what does not fit."""
        given: dict[str, Any] = {}
        if self.query is not None:
            given["query"] = parse(self.query, self._query(request))
        if self.body is not None:
            given["body"] = parse(self.body, {} if request.document is None else request.document)
        return view(request, **given)

    def _query(self, request: Request) -> dict[str, Any]:
        pairs = request.query_params
        return {name: pairs.getlist(name) if name in self.lists else pairs[name] for name in pairs}


def operation(summary: str, **kept: Any) -> Callable[[View], View]:
    """Mark an API door with its Operation."""

    def mark(view: View) -> View:
        view.operation = Operation(summary, **kept)  # type: ignore[attr-defined]  # functions carry attributes
        return view

    return mark


def document(routes: Iterable[BaseRoute], *, title: str, version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of every route under /api/ that carries an operation."""
    doors = _doors(routes)
    schemas, definitions = _schemas([op for _, op in doors])
    paths: dict[str, Any] = {}
    for route, op in doors:
        for method in sorted((route.methods or set()) - {"HEAD"}):
            path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
            paths.setdefault(path, {})[method.lower()] = _describe(route, op, schemas, definitions)
    for op in (op for _, op in doors if op.query):
        definitions.pop(_name(schemas[(op.query, "validation")]), None)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _schemas(operations: Sequence[Operation]) -> tuple[Any, dict[str, Any]]:
    """Return what each model is called, and the definitions; of two models of one name each is named by its room."""
    taken = {model for op in operations for model in (op.body, op.query) if model}
    given = {Problem} | {op.answer for op in operations if op.answer}
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


def _doors(routes: Iterable[BaseRoute]) -> list[tuple[Route, Operation]]:
    pairs = ((r, getattr(r.endpoint, "operation", None)) for r in routes if isinstance(r, Route))
    return [(route, op) for route, op in pairs if op is not None]


def _describe(route: Route, op: Operation, schemas: Any, definitions: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": (route.name or "").removeprefix("portal.").replace(".api.", "."),
        "summary": op.summary,
        "description": _promise(route),
        "tags": [op.tag or (route.name or "").split(".")[1]],
        "parameters": [
            *_path_parameters(route),
            *_query_parameters(op, schemas, definitions),
            *_header_parameters(route),
        ],
        "responses": _responses(route, op, schemas),
    }
    if op.body:
        content = {"application/json": {"schema": schemas[(op.body, "validation")]}}
        described["requestBody"] = {"required": True, "content": content}
    if op.signed_in:
        described["security"] = [{"bearer": []}]
    return described


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)(?::\w+)?}", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(op: Operation, schemas: Any, definitions: Any) -> list[dict[str, Any]]:
    if op.query is None:
        return []
    shape = definitions[_name(schemas[(op.query, "validation")])]
    required = set(shape.get("required", ()))
    return [
        {"name": key, "in": "query", "required": key in required, "schema": schema}
        for key, schema in shape.get("properties", {}).items()
    ]


def _responses(route: Route, op: Operation, schemas: Any) -> dict[str, Any]:
    good: dict[str, Any] = {"description": op.summary}
    if op.answer:
        good["content"] = {op.media_type: {"schema": schemas[(op.answer, "serialization")]}}
    elif op.media_type != "application/json":
        good["content"] = {op.media_type: {"schema": {"type": "string", "format": "binary"}}}
    answers = {str(op.status): good}
    content = {"application/problem+json": {"schema": schemas[(Problem, "serialization")]}}
    for error in dict.fromkeys((*op.errors, *_house_refusals(route, op))):
        said = f"`{error.code}`: {error.title}."
        known = answers.setdefault(str(error.status), {"description": "", "content": content})
        known["description"] = f"{known['description']} {said}".strip()
    return answers


def _house_refusals(route: Route, op: Operation) -> list[type[PortalError]]:
    """Return what every door of this kind may answer, whatever it is for."""
    found: list[type[PortalError]] = [BadRequest, Invalid, TooMany, Unavailable]
    found += [] if route.path.startswith(NEVER_KEPT) else [NotSignedIn]
    found += [TooLarge, UnsupportedMedia] if op.body else []
    return found + ([StillRunning] if _header_parameters(route) else [])


def _promise(route: Route) -> str:
    return inspect.getdoc(getattr(route.endpoint, "view", route.endpoint)) or ""


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if not (route.methods or set()) & UNSAFE or route.path.startswith(NEVER_KEPT):
        return []
    words = "Any text of yours, new for each thing to do: the same key and body get the first answer again."
    shape = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY}
    return [{"name": "Idempotency-Key", "in": "header", "required": False, "description": words, "schema": shape}]

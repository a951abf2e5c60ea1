"""The API described: /api/openapi.json for programs, /api/docs for people – both of this very process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from portal.kit.description import document
from portal.kit.errors import PortalError
from portal.kit.web import Request, endpoint, page, render

TITLE = "Flight portal API"


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter or a field: its name, kind in words, schema to read on, whether it must be there, and a remark."""

    name: str
    kind: str
    schema: str
    required: bool
    note: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One status that an operation may answer with."""

    status: str
    words: str
    kind: str
    schema: str


@dataclass(frozen=True, slots=True)
class Described:
    """One operation, ready to print."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    ways: tuple[str, ...]
    scope: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    body_schema: str
    answers: tuple[Answer, ...]
    curl: str


def openapi(request: Request) -> Response:
    """Return the OpenAPI 3.1 document of this very process."""
    return JSONResponse(_document(request))


def docs(request: Request) -> Response:
    """Show the same to people: operations by subject, what they take and answer, an example to paste, every error."""
    described = _document(request)
    schemas = described["components"]["schemas"]
    shown = {name: fields_of(schema) for name, schema in sorted(schemas.items())}
    groups = _groups(described, request.settings.base_url)
    problems = list(every_error())
    return render(
        request, "kit/api.html", groups=groups, schemas=shown, problems=problems, base_url=request.settings.base_url
    )


def _document(request: Request) -> dict[str, Any]:
    """Describe this process's routes, once: they never change while it runs."""
    state = request.app.state
    if not hasattr(state, "openapi"):
        server, ask = request.settings.base_url, state.admission
        state.openapi = document(request.app.routes, title=TITLE, version="1", server=server, ask=ask)
    return cast(dict[str, Any], state.openapi)


def every_error() -> Iterator[type[PortalError]]:
    """Yield one class for each stable error code that this process can answer with, by status, then code."""
    by_code: dict[str, type[PortalError]] = {}
    waiting: list[type[PortalError]] = [PortalError]
    while waiting:
        error = waiting.pop(0)
        by_code.setdefault(error.code, error)
        waiting += error.__subclasses__()
    yield from sorted(by_code.values(), key=lambda error: (error.status, error.code))


def _groups(described: Mapping[str, Any], base_url: str) -> dict[str, list[Described]]:
    groups: dict[str, list[Described]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            made = _operation(described["components"]["schemas"], method.upper(), path, operation, base_url)
            groups.setdefault(operation["tags"][0], []).append(made)
    return groups


def _operation(schemas: Any, method: str, path: str, operation: Any, base_url: str) -> Described:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return Described(
        anchor=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        ways=tuple(way for one in operation.get("security", ()) for way in one or ("",)),
        scope=next((one["apiKey"][0] for one in operation.get("security", ()) if "apiKey" in one), ""),
        parameters=tuple(map(_parameter, operation["parameters"])),
        body=fields_of(schemas[_name(body)]) if body and _name(body) in schemas else (),
        body_schema=_name(body) if body else "",
        answers=tuple(_answer(status, said) for status, said in sorted(operation["responses"].items())),
        curl=_curl(method, path, operation, base_url),
    )


def _parameter(given: Any) -> Field:
    kind, schema = kind_of(given["schema"])
    note = given.get("description") or given["schema"].get("description", "")
    where = {"path": "in the path", "header": "a header"}.get(given["in"], "")
    return Field(given["name"], f"{kind}, {where}" if where else kind, schema, given["required"], note)


def _answer(status: str, said: Any) -> Answer:
    for media_type, content in said.get("content", {}).items():
        kind, schema = kind_of(content["schema"])
        return Answer(status, said["description"], media_type if kind == "file" else kind, schema)
    return Answer(status, said["description"], "", "")


def fields_of(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the fields of an object's schema."""
    required = set(schema.get("required", ()))
    rows = ((name, *kind_of(shape), shape) for name, shape in schema.get("properties", {}).items())
    return tuple(Field(name, kind, link, name in required, _note(shape)) for name, kind, link, shape in rows)


def _note(shape: Mapping[str, Any]) -> str:
    limits = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "minLength": "{} or more characters",
        "maxLength": "at most {} characters",
        "minItems": "{} or more",
        "maxItems": "at most {}",
    }
    words = [shape["description"]] if shape.get("description") else []
    words += [said.format(shape[name]) for name, said in limits.items() if name in shape and shape[name] != 1]
    if shape.get("default") not in (None, [], ()):
        words.append(f"else {shape['default']}")
    return "; ".join(words)


def kind_of(schema: Mapping[str, Any]) -> tuple[str, str]:
    """Return a schema's kind in words, and the name of the component to read on ("" if there is none)."""
    if "$ref" in schema:
        return _name(schema), _name(schema)
    if "anyOf" in schema:
        kinds = [kind_of(one) for one in schema["anyOf"]]
        return " or ".join(dict.fromkeys(kind for kind, _ in kinds)), next((link for _, link in kinds if link), "")
    if schema.get("type") == "array":
        kind, link = kind_of(schema.get("items", {}))
        return f"list of {kind}", link
    if "enum" in schema or "const" in schema:
        return " | ".join(map(str, schema.get("enum", [schema.get("const")]))), ""
    return _plain_kind(schema), ""


def _plain_kind(schema: Mapping[str, Any]) -> str:
    kinds = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "object"}
    formats = {"date-time": "instant", "date": "date", "uuid": "id", "email": "e-mail", "binary": "file"}
    kind = str(schema.get("type", "anything"))
    return formats.get(schema.get("format", ""), kinds.get(kind, kind))


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rsplit("/", 1)[-1]


def _curl(method: str, path: str, operation: Any, base_url: str) -> str:
    told = [(one["in"], one["name"], one["example"]) for one in operation["parameters"] if "example" in one]
    query = urlencode([(name, value) for where, name, value in told if where == "query"], doseq=True)
    filled = {name: value for where, name, value in told if where == "path"}
    address = re.sub(r"{(\w+)}", lambda found: str(filled[found[1]]), path) + (f"?{query}" if query else "")
    lines = [f"curl {'' if method == 'GET' else f'-X {method} '}'{base_url}{address}'"]
    lines += ['-H "Authorization: Bearer $TOKEN"'] if "security" in operation else []
    if "requestBody" in operation:
        text = json.dumps(operation["requestBody"]["content"]["application/json"]["example"], ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d '{text}'"]
    return " \\\n  ".join(lines)


routes = [endpoint("/api/openapi.json", openapi), page("/api/docs", docs)]

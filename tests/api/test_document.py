"""The API's document is a valid one, its examples fit their schemas, and the live portal answers as it says."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate
from starlette.routing import Route
from starlette.testclient import TestClient

from portal import access
from portal.app import ROUTES
from portal.kit.description import document

DOCUMENT: dict[str, Any] = document(ROUTES, title="API", version="1", server="http://testserver", ask=access.admission)
PEOPLE = ("guest", "owner", "staff", "admin")
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]
each_operation = pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)


def misfits(schema: dict[str, Any], value: Any) -> list[str]:
    """Return why the value does not fit the schema."""
    validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]}, format_checker=FormatChecker())
    return [f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(value)]


def resolved(example: dict[str, Any]) -> Any:
    name = example["$ref"].removeprefix("#/components/examples/")
    return DOCUMENT["components"]["examples"][name]["value"]


def test_it_is_a_valid_document_of_openapi_3_1() -> None:
    validate(DOCUMENT)


def test_every_route_for_programs_stands_in_it() -> None:
    aside = {"/api/docs", "/api/openapi.json"}
    told = {(method.upper(), path) for method, path, _ in OPERATIONS}
    there = {
        (method, plain(route.path))
        for route in ROUTES
        if isinstance(route, Route) and route.path.startswith("/api/") and route.path not in aside
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert told == there


def plain(path: str) -> str:
    return path.replace(":uuid}", "}").replace(":int}", "}")


def test_every_subject_has_a_description() -> None:
    tags = {tag["name"]: tag["description"] for tag in DOCUMENT["tags"]}
    assert all(tags.values())
    assert {tag for _, _, operation in OPERATIONS for tag in operation["tags"]} == set(tags)


@each_operation
def test_its_examples_fit_their_schemas(method: str, path: str, operation: dict[str, Any]) -> None:
    wrong = [misfits(one["schema"], one["example"]) for one in operation["parameters"] if "example" in one]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        wrong.append(misfits(content["schema"], content["example"]))
    for answer in operation["responses"].values():
        for content in answer.get("content", {}).values():
            wrong += [misfits(content["schema"], resolved(one)) for one in content.get("examples", {}).values()]
    assert [one for one in wrong if one] == []


@each_operation
def test_it_has_examples(method: str, path: str, operation: dict[str, Any]) -> None:
    required = [one for one in operation["parameters"] if one["required"]]
    assert [one["name"] for one in required if "example" not in one] == []
    for status, answer in operation["responses"].items():
        for kind, content in answer.get("content", {}).items():
            is_shape = (
                kind.endswith("json") and content["schema"]
            )  # an export's file has columns as they were asked for
            assert not is_shape or content["examples"], status


def send(client: TestClient, method: str, path: str, operation: dict[str, Any], headers: dict[str, str]) -> Any:
    """Send the operation's own example."""
    told = [one for one in operation["parameters"] if "example" in one and one["in"] != "header"]
    where = path.format_map({one["name"]: one["example"] for one in told if one["in"] == "path"})
    query = {one["name"]: one["example"] for one in told if one["in"] == "query"}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    given = {"json": body} if "requestBody" in operation else {}
    return client.request(method, where, params=query, headers=headers, **given)


def test_the_portal_answers_its_own_examples_as_it_says(client: TestClient, tokens: dict[str, dict[str, str]]) -> None:
    wrong = []
    for method, path, operation in OPERATIONS:
        for who in PEOPLE:
            answer = send(client, method, path, operation, tokens.get(who, {}))
            told = operation["responses"].get(str(answer.status_code))
            if told is None:
                wrong.append((method, path, who, answer.status_code, answer.text[:200]))
                continue
            wrong += [(method, path, who, answer.status_code, no) for no in strange(answer, told)]
    assert wrong == []


def strange(answer: Any, told: dict[str, Any]) -> list[str]:
    """Return what in the answer is not as it was told."""
    if not answer.content:
        return [] if "content" not in told else ["an empty answer"]
    kind = answer.headers["content-type"].split(";")[0]
    if kind not in told.get("content", {}):
        return [f"{kind} is not told"]
    if not kind.endswith("json"):
        return []
    no = misfits(told["content"][kind]["schema"], answer.json())
    if kind.startswith("application/problem") and answer.json()["code"] not in told["content"][kind]["examples"]:
        no.append(f"{answer.json()['code']} is not told")
    return no


@each_operation
def test_its_examples_are_no_placeholders(method: str, path: str, operation: dict[str, Any]) -> None:
    shown = [one["example"] for one in operation["parameters"] if "example" in one]
    if "requestBody" in operation:
        shown.append(operation["requestBody"]["content"]["application/json"]["example"])
    assert "…" not in str(shown)

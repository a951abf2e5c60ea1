"""What no program should send and some do: every door that takes a text answers it in words, never with a 500."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from portal.app import ROUTES, create_app
from portal.kit.description import document
from portal.kit.errors import Invalid
from portal.kit.settings import Settings
from portal.kit.validation import parse
from portal.trips.forms import LookUp

DOORS = [route for route in ROUTES if isinstance(route, Route)]
ODD = ("%00", "%F0%9F%9B%AB", "%27%20or%201=1", "..%2f..%2fetc", "%ED%A0%80", "x" * 1000)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd)[:12])
def test_odd_words_in_an_address(client: TestClient, odd: str) -> None:
    for path in {route.path for route in DOORS if "{" in route.path}:
        answer = client.get(re.sub(r"{[^}]+}", odd, path))
        assert answer.status_code < 500, path


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd)[:12])
def test_odd_words_in_a_query(client: TestClient, odd: str) -> None:
    for route in DOORS:
        names = (
            "q",
            "next",
            "cursor",
            "origin",
            "destination",
            "departureDate",
            "familyName",
            "offer",
            "reference",
            odd,
        )
        query = "&".join(f"{name}={odd}" for name in names)
        answer = client.get(f"{re.sub(r'{[^}]+}', 'K7QX2M', route.path)}?{query}")
        assert answer.status_code < 500, route.path


@pytest.mark.parametrize("odd", ["\0", "\ud800", "\U0001f6eb", "\u202e", "' or 1=1 --", "x" * 100_000])
def test_odd_words_in_every_field_of_every_body(client: TestClient, odd: str) -> None:
    described = document(ROUTES, title="", version="")
    schemas = described["components"]["schemas"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            for body in bodies(schemas, operation, odd):
                answer = send(client, method, path, body)
                assert answer.status_code < 500, (method, path, body)


def bodies(schemas: Any, operation: Any, odd: str) -> list[Any]:
    if "requestBody" not in operation:
        return []
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    schema = schemas[name]
    rows = schemas[schema["items"]["$ref"].rsplit("/", 1)[1]] if "items" in schema else schema
    fields = list(rows["properties"])
    found = [dict.fromkeys(fields, odd), {odd: odd}, odd, [odd], {fields[0]: {odd: [odd]}}, {fields[0]: [[[[odd]]]]}]
    return [*found, *([one] for one in found)] if "items" in schema else found


def send(client: TestClient, method: str, path: str, body: Any) -> Any:
    address = re.sub(r"{[^}]+}", "K7QX2M", path)
    return client.request(method, address, content=json.dumps(body), headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("odd", ["\0", "\u202e", "' or 1=1 --", "<script>alert(1)</script>", "x" * 100_000])
def test_odd_words_in_every_form(client: TestClient, odd: str) -> None:
    for route in DOORS:
        if "POST" in (route.methods or ()) and not route.path.startswith("/api/"):
            fields = ("email", "password", "next", "theme", "reference", "familyName", "offer", "key", "token", odd)
            answer = client.post(re.sub(r"{[^}]+}", "K7QX2M", route.path), data=dict.fromkeys(fields, odd))
            assert answer.status_code < 500, route.path
            assert "<script>alert(1)" not in answer.text


@pytest.mark.parametrize(
    "body", [b"{", b"[" * 100_000, b"\xff\xfe", b"NaN", b'{"a": 1e999}', b"[" * 500 + b"]" * 500, b'"\\ud800"']
)
def test_bodies_that_are_no_json_or_too_deep(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/auth/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_field_that_cannot_be_stored_is_named() -> None:
    with pytest.raises(Invalid) as no:
        parse(LookUp, {"reference": "K7QX2M", "familyName": "M\ud800"})
    assert [error.pointer for error in no.value.errors] == ["familyName"]


def test_a_body_over_the_limit_is_refused_announced_or_not(settings: Settings) -> None:
    headers = {"Content-Type": "application/json"}
    with TestClient(create_app(replace(settings, max_body_bytes=1000))) as client:
        for body in (b"x" * 1001, (b"x" * 100 for _ in range(11))):
            answer = client.post("/api/auth/login", content=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
            assert answer.headers["x-request-id"]
        form = client.post("/account/sign-in", data={"email": "x" * 2000})
        assert form.status_code == 413
        assert client.post("/api/auth/login", content=b" " * 1000, headers=headers).status_code == 400
        assert client.post("/api/auth/login", content=b"", headers={"Content-Length": "-5"}).status_code == 413

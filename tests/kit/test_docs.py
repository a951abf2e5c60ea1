"""The API's description is whole: every door stands in it, every link leads somewhere, and people can read it."""

from __future__ import annotations

import html
import json
import re
import shlex
from typing import Any

from starlette.testclient import TestClient

from portal.app import ROUTES
from portal.kit.docs import every_error, kind_of
from portal.kit.examples import sample


def described(client: TestClient) -> dict[str, Any]:
    answer = client.get("/api/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def shown(client: TestClient) -> str:
    answer = client.get("/api/docs")
    assert answer.status_code == 200
    return answer.text


def test_every_link_of_the_document_leads_somewhere(client: TestClient) -> None:
    document = described(client)
    parts = document["components"]
    known = {f"#/components/{kind}/{name}" for kind in ("schemas", "examples") for name in parts[kind]}
    assert document["openapi"] == "3.1.0"
    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))) <= known


def test_every_operation_is_told_to_people(client: TestClient) -> None:
    page = shown(client)
    for path, methods in described(client)["paths"].items():
        for method, operation in methods.items():
            assert f"<code>{method.upper()} {path}</code>" in page
            assert operation["description"], path
            assert f'id="{operation["operationId"]}"' in page


def test_every_example_can_be_pasted(client: TestClient) -> None:
    examples = [html.unescape(one) for one in re.findall(r"<pre[^>]*>(curl.*?)</pre>", shown(client), re.S)]
    assert len(examples) > 10
    for example in examples[1:]:
        words = shlex.split(example)
        assert words[0] == "curl"
        assert sum(word.startswith("http://testserver/api/") for word in words) == 1
        if "-d" in words:
            json.loads(words[words.index("-d") + 1])


def test_every_anchor_on_the_page_exists_once(client: TestClient) -> None:
    page = shown(client)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_page_runs_no_script_of_its_own(client: TestClient) -> None:
    page = shown(client)
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert "style=" not in page


def test_operations_that_need_a_sign_in_say_so_and_answer_401(client: TestClient) -> None:
    me = described(client)["paths"]["/api/me"]["get"]
    assert me["security"] == [{"bearer": []}, {"apiKey": ["profile:read"]}]
    assert "not_signed_in" in me["responses"]["401"]["description"]


def test_idempotency_is_told_where_it_works(client: TestClient) -> None:
    paths = described(client)["paths"]
    assert "Idempotency-Key" in [one["name"] for one in paths["/api/me"]["patch"]["parameters"]]
    assert paths["/api/auth/login"]["post"]["parameters"] == []


def test_examples_fit_their_schemas(client: TestClient) -> None:
    """What the page tells to paste is taken by the door: no field is unknown or missing."""
    document = described(client)
    schemas = document["components"]["schemas"]
    login = sample(schemas, {"$ref": "#/components/schemas/Login"})
    assert login.keys() == {"email", "password"}
    assert client.post("/api/auth/login", json=login).status_code == 401


def test_kinds_are_told_in_words() -> None:
    assert kind_of({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}) == ("instant or null", "")
    assert kind_of({"type": "array", "items": {"$ref": "#/components/schemas/X"}}) == ("list of X", "X")
    assert kind_of({"enum": ["a", "b"]}) == ("a | b", "")


def test_every_error_has_one_line() -> None:
    codes = [error.code for error in every_error()]
    assert len(codes) == len(set(codes))
    assert {"invalid", "not_found", "sold_out", "hold_expired", "too_many_requests"} <= set(codes)


def test_no_operation_name_is_used_twice() -> None:
    names = [route.name for route in ROUTES if hasattr(route, "methods")]
    twice = {name for name in names if name and names.count(name) > 1}
    assert not {name for name in twice if ".api." in name}

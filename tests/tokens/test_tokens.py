"""Register, log in, refresh and log out by the API; tokens stand for one person and are worthless once revoked."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import clock, db, grants, ids
from portal.kit.settings import Settings
from portal.tokens.models import RefreshToken
from tests import people

PASSWORD = "a quiet blue morning"
ROBIN = {"email": "robin@example.com", "firstName": "Robin", "lastName": "Wood"}
LOGIN = {"email": ROBIN["email"], "password": PASSWORD}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def pair(client: TestClient) -> dict[str, Any]:
    """The tokens of a fresh account."""
    client.post("/api/auth/register", json={**ROBIN, "password": PASSWORD, "confirmPassword": PASSWORD})
    assert client.post("/api/auth/login", json=LOGIN).status_code == 401
    people.confirm(client)
    answer = client.post("/api/auth/login", json=LOGIN)
    assert answer.status_code == 200
    return dict(answer.json())


def test_log_in_and_read_and_change_the_profile(client: TestClient, pair: dict[str, Any]) -> None:
    assert pair["tokenType"] == "Bearer"
    assert pair["expiresIn"] == 3600
    me = client.get("/api/me", headers=bearer(pair["accessToken"]))
    assert {**ROBIN, "role": "customer", "emailVerified": True}.items() <= me.json().items()
    assert me.headers["cache-control"] == "no-store"
    changed = client.patch("/api/me", json={"lastName": "Woods"}, headers=bearer(pair["accessToken"]))
    assert (changed.json()["firstName"], changed.json()["lastName"]) == ("Robin", "Woods")


def test_a_code_is_taken_and_not_asked_for(client: TestClient, pair: dict[str, Any]) -> None:
    for code in (None, "123456"):
        assert client.post("/api/auth/login", json={**LOGIN, "code": code}).status_code == 200
    assert client.post("/api/auth/login", json={**LOGIN, "code": "1" * 21}).status_code == 422


def test_a_taken_address_gets_the_same_answer(client: TestClient) -> None:
    form = {**ROBIN, "password": PASSWORD, "confirmPassword": PASSWORD}
    first, second = (client.post("/api/auth/register", json=form) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json().keys() == second.json().keys() == {"id", "email", "firstName", "lastName", "emailVerified"}
    assert first.json()["id"] != second.json()["id"]
    assert {**first.json(), "id": ""} == {**second.json(), "id": ""}


def test_wrong_password_and_unknown_address_get_the_same_401(client: TestClient, pair: dict[str, Any]) -> None:
    answers = []
    for wrong in ({**LOGIN, "password": "a wrong password"}, {**LOGIN, "email": "nobody@example.com"}):
        answer = client.post("/api/auth/login", json=wrong)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        answers.append({**answer.json(), "requestId": ""})
    assert answers[0] == answers[1]
    assert answers[0]["code"] == "wrong_credentials"


def test_the_access_token_says_what_it_should_and_no_more(settings: Settings, pair: dict[str, Any]) -> None:
    token = jwt.decode(pair["accessToken"], OctKey.import_key(settings.jwt_secret_key))
    assert token.header.keys() == {"alg", "typ", "kid"}
    assert token.claims.keys() == {"iss", "aud", "sub", "role", "sid", "auth_time", "jti", "iat", "exp"}
    assert token.claims["exp"] - token.claims["iat"] == 3600


def test_a_refresh_token_works_once_and_its_second_use_revokes_the_family(
    client: TestClient, pair: dict[str, Any]
) -> None:
    first = pair["refreshToken"]
    second = client.post("/api/auth/refresh", json={"refreshToken": first}).json()
    third = client.post("/api/auth/refresh", json={"refreshToken": second["refreshToken"]}).json()
    assert client.get("/api/me", headers=bearer(third["accessToken"])).status_code == 200
    replayed = client.post("/api/auth/refresh", json={"refreshToken": first})
    assert (replayed.status_code, replayed.json()["code"]) == (401, "refresh_refused")
    for token in (pair, second, third):
        assert client.get("/api/me", headers=bearer(token["accessToken"])).status_code == 401
        answer = client.post("/api/auth/refresh", json={"refreshToken": token["refreshToken"]})
        assert answer.status_code == 401


def test_a_revoked_family_leaves_other_sign_ins_alone(client: TestClient, pair: dict[str, Any]) -> None:
    other = client.post("/api/auth/login", json=LOGIN).json()
    assert client.post("/api/auth/logout", json={"refreshToken": pair["refreshToken"]}).status_code == 204
    assert client.get("/api/me", headers=bearer(pair["accessToken"])).status_code == 401
    assert client.get("/api/me", headers=bearer(other["accessToken"])).status_code == 200
    assert client.post("/api/auth/logout", json={"refreshToken": "never seen"}).status_code == 204


def test_refresh_tokens_are_kept_as_hashes_only(pair: dict[str, Any]) -> None:
    with db.reading() as session:
        assert session.scalars(select(RefreshToken.fingerprint)).all() == [ids.fingerprint(pair["refreshToken"])]


def test_tokens_lapse(client: TestClient, pair: dict[str, Any]) -> None:
    with clock.shifted(timedelta(minutes=61)):
        answer = client.get("/api/me", headers=bearer(pair["accessToken"]))
        assert (answer.status_code, answer.json()["code"]) == (401, "token_refused")
        assert client.post("/api/auth/refresh", json={"refreshToken": pair["refreshToken"]}).status_code == 200
    with clock.shifted(timedelta(days=31)):
        assert client.post("/api/auth/refresh", json={"refreshToken": pair["refreshToken"]}).status_code == 401


def forgeries(settings: Settings, real: str) -> Iterator[str]:
    header, body, signature = real.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    yield f"{header}.{part({**claims, 'role': 'admin'})}.{signature}"
    yield f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({**claims, 'role': 'admin'})}."
    other = OctKey.import_key("somebody else's secret, long enough to be one")
    yield jwt.encode({"alg": "HS256"}, claims, other)
    ours = OctKey.import_key(settings.jwt_secret_key)
    named = {"alg": "HS256", "kid": ours.thumbprint()}
    yield jwt.encode({"alg": "HS256"}, claims, ours)
    yield jwt.encode({**named, "kid": "another"}, claims, ours)
    yield jwt.encode(named, claims, other)
    for change in (
        {"aud": "another audience"},
        {"iss": "another issuer"},
        {"exp": "never"},
        {"exp": None},
        {"sub": "not a uuid"},
        {"sub": ["x"]},
        {"sid": str(claims["sub"])},
        {"sid": 7},
        {"jti": None},
        {"iat": None},
        {"iat": claims["iat"] + 3600},
        {"role": None},
        {"role": "admin"},
    ):
        changed = {name: value for name, value in {**claims, **change}.items() if value is not None}
        yield jwt.encode(named, changed, ours)
    yield jwt.encode({**named, "alg": "HS512"}, claims, ours, algorithms=["HS512"])
    yield from ("x", "a.b.c", "....", "é.é.é", "x" * 8000, f"{header}..{signature}")


def test_forged_tokens_are_refused(client: TestClient, settings: Settings, pair: dict[str, Any]) -> None:
    for token in forgeries(settings, pair["accessToken"]):
        answer = client.get("/api/me", headers={"Authorization": f"Bearer {token}".encode()})
        assert (answer.status_code, answer.json()["code"]) == (401, "token_refused"), token
        assert answer.headers["www-authenticate"] == "Bearer"


def test_no_token_is_a_guest_and_a_bookings_token_is_nobody(client: TestClient, settings: Settings) -> None:
    for headers in ({}, {"Authorization": "Basic eDp4"}, {"Authorization": "Bearer"}):
        assert client.get("/api/me", headers=headers).json()["code"] == "not_signed_in"
    token = grants.booking_token(settings, "K7QX2M")
    assert client.get("/api/me", headers=bearer(token)).json()["code"] == "not_signed_in"


def test_a_stale_token_does_not_keep_anyone_from_getting_a_new_one(client: TestClient, pair: dict[str, Any]) -> None:
    assert client.post("/api/auth/login", json=LOGIN, headers=bearer("stale")).status_code == 200


def test_a_page_does_not_believe_a_token_nor_the_api_a_cookie(client: TestClient, pair: dict[str, Any]) -> None:
    assert client.get("/account", headers=bearer(pair["accessToken"])).status_code == 303
    client.post("/account/sign-in", data=LOGIN)
    assert client.get("/account").status_code == 200
    assert client.get("/api/me").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        None,
        7,
        {"email": None, "password": None},
        {"email": {"a": 1}, "password": ["x"]},
        {"email": "robin@example.com", "password": "\ud800" * 12},
        {"email": "robin@exa\x00mple.com", "password": "x" * 12},
        {"email": "robin@example.com", "password": "x" * 100_000},
        {**LOGIN, "role": "admin"},
    ],
)
def test_hostile_bodies_are_refused_by_name(client: TestClient, body: Any) -> None:
    for path in ("register", "login", "refresh", "logout"):
        answer = client.post(
            f"/api/auth/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (400, 422), (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_role_cannot_be_wished_for(client: TestClient, pair: dict[str, Any]) -> None:
    headers = bearer(pair["accessToken"])
    assert client.patch("/api/me", json={"role": "admin"}, headers=headers).status_code == 422
    form = {**ROBIN, "password": PASSWORD, "confirmPassword": PASSWORD, "role": "admin"}
    assert client.post("/api/auth/register", json=form).json()["errors"][0]["pointer"] == "/role"


def test_without_redis_no_password_is_tried_but_tokens_go_on(limited: Settings, pair: dict[str, Any]) -> None:
    with TestClient(create_app(replace(limited, redis_url="redis://127.0.0.1:1/0"))) as client:
        answer = client.post("/api/auth/login", json=LOGIN)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert client.get("/api/me", headers=bearer(pair["accessToken"])).status_code == 200
        assert client.post("/api/auth/refresh", json={"refreshToken": pair["refreshToken"]}).status_code == 200

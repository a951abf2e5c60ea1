"""/account/api-keys: a key is made by a form, shown once, listed and revoked; a program is signed out."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from portal.kit import clock
from tests.tokens.test_keys import PASSWORD, account, logged_in, made

HERE = "/account/api-keys"
FORM = {"name": "Nightly export", "scopes": ["profile:read", "bookings:read"], "days": "90", "addresses": ""}


@pytest.fixture
def robin(client: TestClient) -> TestClient:
    """The browser of a customer who just signed in."""
    account("robin")
    answer = client.post("/account/sign-in", data={"email": "robin@example.com", "password": PASSWORD})
    assert answer.status_code == 303
    return client


def test_a_key_made_by_the_form_works_and_is_never_shown_again(robin: TestClient) -> None:
    assert "profile:read" in robin.get(f"{HERE}/new").text
    answer = robin.post(f"{HERE}/new", data=FORM)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    key = re.findall(r'value="(ak_\w{8}_[\w-]+)"', answer.text)[0]
    assert robin.get("/api/me", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    listed = robin.get(HERE).text
    assert "Nightly export" in listed
    assert key.rsplit("_", 1)[0][:11] in listed
    assert key not in listed


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["analytics:read"]}, "scopes"),
        ({"addresses": "x"}, "addresses"),
    ],
)
def test_what_does_not_fit_is_told_beside_its_field(robin: TestClient, change: dict[str, object], field: str) -> None:
    answer = robin.post(f"{HERE}/new", data={**FORM, **change})
    assert answer.status_code == 422
    assert f'id="{field}-why"' in answer.text
    assert "Nightly export" in answer.text or field == "name"


def test_a_new_key_asks_first_who_is_there(robin: TestClient) -> None:
    with clock.shifted(timedelta(minutes=11)):
        for answer in (robin.get(f"{HERE}/new"), robin.post(f"{HERE}/new", data=FORM)):
            assert answer.headers["location"].startswith("/account/confirm?next=")
    assert "You have none." in robin.get(HERE).text


def test_a_key_is_revoked_by_its_owner_only(robin: TestClient) -> None:
    headers = logged_in(robin, "robin")
    key = made(robin, headers)
    account("ada")
    robin.post("/account/sign-out")
    robin.post("/account/sign-in", data={"email": "ada@example.com", "password": PASSWORD})
    assert robin.post(f"{HERE}/{key['id']}/revoke").status_code == 404
    assert robin.get("/api/me", headers={"Authorization": f"Bearer {key['key']}"}).status_code == 200
    robin.post("/account/sign-out")
    robin.post("/account/sign-in", data={"email": "robin@example.com", "password": PASSWORD})
    assert robin.post(f"{HERE}/{key['id']}/revoke").status_code == 303
    assert robin.get("/api/me", headers={"Authorization": f"Bearer {key['key']}"}).status_code == 401


def test_a_program_is_told_and_signed_out(robin: TestClient) -> None:
    headers = logged_in(robin, "robin")
    page = robin.get(HERE).text
    assert "testclient" in page
    family = re.findall(rf"{HERE}/programs/([\w-]+)/end", page)[0]
    assert robin.post(f"{HERE}/programs/{family}/end").status_code == 303
    assert robin.get("/api/me", headers=headers).json()["code"] == "token_refused"
    assert robin.post(f"{HERE}/programs/{family}/end").status_code == 404

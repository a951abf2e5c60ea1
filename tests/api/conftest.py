"""A portal with a traveller, a clerk and an administrator who have logged in, once for all tests of the API."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.accounts.forms import Registration
from portal.kit import db

ROLES = {"owner": "customer", "staff": "staff", "admin": "admin"}
SECRET = "a quiet blue morning"


@pytest.fixture
def tokens(client: TestClient) -> dict[str, dict[str, str]]:
    """The headers of everybody's program."""
    with db.writing() as session:
        for who, role in ROLES.items():
            words = {"email": f"{who}@example.com", "firstName": who.title(), "lastName": "Wood"}
            wish = Registration.model_validate({**words, "password": SECRET, "confirmPassword": SECRET})
            accounts.create_user(session, wish, role=role)
    return {who: logged_in(client, who) for who in ROLES}


def logged_in(client: TestClient, who: str) -> dict[str, str]:
    """Log in; return the headers."""
    answer = client.post("/api/auth/login", json={"email": f"{who}@example.com", "password": SECRET})
    return {"Authorization": f"Bearer {answer.json()['accessToken']}"}

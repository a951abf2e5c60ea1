"""Staff who are signed in, as browsers and as programs, and letters in every state."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from portal.accounts.service import DEMO_PASSWORD
from portal.kit import db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from tests.trips.conftest import signed_in, users

__all__ = ["signed_in", "users"]
WORDS = {"customer": "traveller@example.com", "staff": "staff@example.com", "admin": "admin@example.com"}


def letter(state: str, kind: str = "booking.confirmed", **given: object) -> int:
    """Commit a letter and return its number; what it carries must never be shown."""
    values = {"payload": {"email": "secret@example.com"}, "attempts": 3, "request_id": "req-12345678", **given}
    with db.writing() as session:
        made = Letter(kind=kind, state=state, **values)
        session.add(made)
        session.flush()
        return made.id


@pytest.fixture
def tokens(client: TestClient, users: dict[str, object]) -> dict[str, dict[str, str]]:
    """The headers of a program of each role."""

    def headers(email: str) -> dict[str, str]:
        answer = client.post("/api/auth/login", json={"email": email, "password": DEMO_PASSWORD})
        return {"Authorization": f"Bearer {answer.json()['accessToken']}"}

    return {role: headers(email) for role, email in WORDS.items()}


@pytest.fixture
def dead(settings: Settings) -> int:
    """A letter that was given up."""
    return letter("dead", key="b-1", error="SMTPRecipientsRefused: nobody <there>", attempts=8)

"""What is secret is written nowhere: a journey with known secrets, and then a look at everything it left behind."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.accounts import credentials
from portal.kit import db, logs
from portal.kit.settings import Settings
from tests import people
from tests.booking import makers

PASSWORD = "an unusually loud green evening"
NEXT = "a rather silent orange noon time"
WRONG = "a wrong but still secret guess 7"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """All that is logged, at the finest level, as the portal writes it."""
    page = io.StringIO()
    handler = logging.StreamHandler(page)
    handler.setFormatter(logs.JsonLines())
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield page
    root.removeHandler(handler)
    root.setLevel(before)


def told(client: TestClient, settings: Settings) -> tuple[list[str], list[str]]:
    """Walk: join, sign in, log in, make a key, book, pay, forget, reset; returns the secrets and the answers' words."""
    secrets, answers = [PASSWORD, NEXT, WRONG], []

    def ask(method: str, path: str, **sent: object) -> object:
        answer = client.request(method, path, **sent)  # type: ignore[arg-type]  # as httpx takes it
        assert answer.status_code < 500, (path, answer.text)
        if answer.status_code >= 400:
            answers.append(answer.text)
        answers.append(str(answer.headers.get("location", "")))
        return answer.json() if "json" in answer.headers.get("content-type", "") and answer.content else {}

    people.join(client, password=PASSWORD)
    for word in (WRONG, PASSWORD):
        ask("POST", "/account/sign-in", data={"email": "robin@example.com", "password": word})
        ask("POST", "/api/auth/login", json={"email": "robin@example.com", "password": word, "extra": word})
    secrets += [value for name, value in client.cookies.items() if name != "theme"]
    pair = client.post("/api/auth/login", json={"email": "robin@example.com", "password": PASSWORD}).json()
    secrets += [pair["accessToken"], pair["refreshToken"]]
    bearer = {"Authorization": f"Bearer {pair['accessToken']}"}
    key = client.post("/api/me/keys", json={"name": "Export", "scopes": ["bookings:read"]}, headers=bearer).json()
    secrets.append(key["key"])
    ask("GET", "/api/bookings/AAAAAA", headers={"Authorization": f"Bearer {key['key']}"})
    ask("GET", "/api/me", headers={"Authorization": f"Bearer {pair['accessToken'][:-3]}"})
    ask("POST", "/api/auth/refresh", json={"refreshToken": pair["refreshToken"] + "x"})
    offer = makers.offer(settings, makers.flight()).token
    ana = {"type": "adult", "givenName": "Ana", "familyName": "Wood", "dateOfBirth": "1990-05-01"}
    wish = {"offerIds": [offer], "contact": {"email": "ana@example.com"}, "passengers": [ana]}
    made = client.post("/api/bookings", json=wish).json()
    secrets.append(made["bookingToken"])
    pay = f"/api/bookings/{made['reference']}/payments"
    own = {"Authorization": f"Bearer {made['bookingToken']}"}
    for card in ("tok_declined", "tok_secret_card_4711", "tok_visa"):
        ask("POST", pay, json={"method": "card", "token": card, "amount": made["balance"]}, headers=own)
    secrets.append("tok_secret_card_4711")
    ask("POST", "/account/forgot-password", data={"email": "robin@example.com"})
    user = str(makers.one("select id from users where email = 'robin@example.com'"))
    secrets.append(credentials.link(settings, credentials.RESET, user, 0))
    form = {"token": secrets[-1], "password": NEXT, "confirmPassword": NEXT}
    client.post("/account/reset-password", data=form)  # If it is refused, its form holds the token, to be sent again.
    return secrets, answers


def test_no_secret_is_left_in_logs_audit_letters_or_answers(
    client: TestClient, settings: Settings, written: io.StringIO
) -> None:
    secrets, answers = told(client, settings)
    left = {"logs": written.getvalue(), "answers": "\n".join(answers)}
    with db.reading() as session:
        names = session.scalars(text("select tablename from pg_tables where schemaname = 'public'")).all()
        for name in names:
            rows = session.scalars(text(f"select t::text from {name} t")).all()
            left[name] = "\n".join(rows)
    assert len(secrets) > 9
    assert '"path": "/account/sign-in"' in left["logs"]
    found = [f"{secret[:9]}… in {place}" for secret in secrets for place, words in left.items() if secret in words]
    assert found == []

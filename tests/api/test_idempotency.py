"""Idempotency-Key at every unsafe door: the first answer again, one at a time, and nothing secret kept in the clear."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.app import ROUTES, create_app
from portal.kit import db, idempotency
from portal.kit.idempotency import IdempotencyKey, StillRunning
from portal.kit.settings import Settings
from portal.kit.web import UNSAFE
from tests import world
from tests.api.test_document import OPERATIONS
from tests.booking import makers

WISH = {"name": "Nightly export", "scopes": ["profile:read"]}
Headers = dict[str, dict[str, str]]


def keyed(headers: dict[str, str], key: str = "order-2027-0042") -> dict[str, str]:
    return {**headers, "Idempotency-Key": key}


def test_the_first_answer_comes_again_with_the_secret_in_it(client: TestClient, tokens: Headers) -> None:
    first, second = (client.post("/api/me/keys", json=WISH, headers=keyed(tokens["owner"])) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert len(client.get("/api/me/keys", headers=tokens["owner"]).json()["data"]) == 1


def test_nothing_of_an_answer_is_kept_in_the_clear(client: TestClient, settings: Settings, tokens: Headers) -> None:
    key = client.post("/api/me/keys", json=WISH, headers=keyed(tokens["owner"])).json()["key"]
    offer = makers.offer(settings, makers.flight(on=world.soon(40)))
    born = {"type": "adult", "givenName": "Robin", "familyName": "Wood", "dateOfBirth": "1990-05-01"}
    wish = {"offerIds": [offer.token], "contact": {"email": "robin@example.com"}, "passengers": [born]}
    made = client.post("/api/bookings", json=wish, headers=keyed({}))
    assert made.status_code == 201, made.text
    with db.reading() as session:
        kept = b"".join(body or b"" for body in session.scalars(select(IdempotencyKey.body)))
    assert kept
    for secret in (key, made.json()["bookingToken"], "Robin", "robin@example.com"):
        assert secret.encode() not in kept


def test_another_body_is_refused(client: TestClient, tokens: Headers) -> None:
    client.post("/api/me/keys", json=WISH, headers=keyed(tokens["owner"]))
    answer = client.post("/api/me/keys", json={**WISH, "name": "Another"}, headers=keyed(tokens["owner"]))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_the_same_key_of_somebody_else_is_another_key(client: TestClient, tokens: Headers) -> None:
    answers = [client.post("/api/me/keys", json=WISH, headers=keyed(tokens[who])) for who in ("owner", "staff")]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["key"] != answers[1].json()["key"]


def test_what_still_runs_is_told_to_come_back(client: TestClient, tokens: Headers) -> None:
    """The first request waits for the account's row, which is held; the second is told when to come back."""
    with ThreadPoolExecutor(1) as pool:
        with db.writing() as session:
            session.execute(text("select 1 from users for update"))
            first = pool.submit(client.post, "/api/me/keys", json=WISH, headers=keyed(tokens["owner"]))
            wait_until_claimed()
            second = client.post("/api/me/keys", json=WISH, headers=keyed(tokens["owner"]))
        assert first.result().status_code == 201
    assert (second.status_code, second.json()["code"]) == (409, "still_running")
    assert int(second.headers["retry-after"]) > 0


def wait_until_claimed() -> None:
    for _ in range(200):
        with db.reading() as session:
            if session.scalar(select(IdempotencyKey.key)):
                return
        time.sleep(0.01)
    raise AssertionError("nobody came")


def test_a_crash_midway_blocks_until_the_lease_ends_and_no_longer(settings: Settings) -> None:
    with db.writing() as session:
        assert idempotency.claim(session, "scope", "key", "print") is None
    with db.writing() as session, pytest.raises(StillRunning):
        idempotency.claim(session, "scope", "key", "print")
    with db.writing() as session:
        session.execute(text("update idempotency_keys set leased_until = now() - interval '1 second'"))
    with db.writing() as session:
        assert idempotency.claim(session, "scope", "key", "print") is None


def test_an_answer_under_another_secret_is_not_done_twice(
    client: TestClient, settings: Settings, tokens: Headers
) -> None:
    client.post("/api/me/keys", json=WISH, headers=keyed(tokens["owner"]))
    changed = create_app(replace(settings, secret_key="another secret, as long as it has to be"))
    client.app.state.settings = changed.state.settings
    answer = client.post("/api/me/keys", json=WISH, headers=keyed(tokens["owner"]))
    assert (answer.status_code, answer.json()["code"]) == (409, "answer_lost")
    assert len(client.get("/api/me/keys", headers=tokens["owner"]).json()["data"]) == 1


def test_keys_are_forgotten_after_a_day(client: TestClient, tokens: Headers) -> None:
    client.post("/api/me/keys", json=WISH, headers=keyed(tokens["owner"]))
    with db.writing() as session:
        assert idempotency.sweep(session) == 0
        session.execute(text("update idempotency_keys set created_at = now() - interval '25 hours'"))
        assert idempotency.sweep(session) == 1


def test_every_unsafe_door_but_signing_in_tells_of_the_header() -> None:
    for method, path, operation in OPERATIONS:
        told = "Idempotency-Key" in [one["name"] for one in operation["parameters"]]
        assert told == (method.upper() in UNSAFE and not path.startswith("/api/auth/")), (method, path)


def test_every_unsafe_door_for_programs_goes_through_the_replay() -> None:
    doors = [route for route in ROUTES if getattr(route, "path", "").startswith("/api/") and route.methods & UNSAFE]
    assert all(hasattr(route.endpoint, "view") for route in doors)

"""The figures for a Prometheus: right, readable, and for insiders only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import cache, clock, db, metrics
from portal.kit.metrics import Gauge, exposition
from portal.kit.settings import Settings
from tests import people
from tests.factors.conftest import Person
from tests.staff.conftest import letter
from tests.trips.conftest import book

SignIn = Callable[[str], TestClient]


@pytest.fixture
def machine(settings: Settings) -> Iterator[TestClient]:
    """A program on the portal's own machine."""
    app = create_app(settings)
    with TestClient(app, "http://127.0.0.1:8000", client=("127.0.0.1", 9), follow_redirects=False) as running:
        yield running


def test_the_figures_are_those_of_the_database(machine: TestClient) -> None:
    with db.writing() as session:
        book(session, "CNF222", number=1)
        book(session, "HLD222", number=2, status="held")
    letter("dead")
    letter("waiting", next_try_at=clock.now() - timedelta(seconds=90))
    answer = machine.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert lines['portal_bookings{status="confirmed"}'] == "1"
    assert lines['portal_bookings{status="held"}'] == "1"
    assert lines['portal_bookings{status="cancelled"}'] == "0"
    assert lines["portal_audit_sealed"] == lines["portal_audit_waiting"] == "0"
    assert lines['portal_jobs{state="dead"}'] == "1"
    assert 89 <= float(lines["portal_jobs_overdue_seconds"]) < 120
    assert lines['portal_seats{state="held"}'] == "0"


@pytest.mark.parametrize("path", ["/metrics", "/health/detailed"])
def test_only_insiders_look_inside(machine: TestClient, client: TestClient, signed_in: SignIn, path: str) -> None:
    assert machine.get(path).status_code == 200
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        assert machine.get(path, headers={name: "for=127.0.0.1"}).status_code == 303
    for host in ("rebound.example:8000", "[", ""):
        assert machine.get(path, headers={"Host": host}).status_code == 303
    assert client.get(path).headers["location"].startswith("/account/sign-in")
    assert signed_in("customer").get(path).status_code == 403
    assert signed_in("staff").get(path).status_code == 200
    assert signed_in("admin").get(path).status_code == 200


def test_sign_ins_are_counted_by_how_they_ended(limited: Settings) -> None:
    """Whoever watches sees that somebody guesses, whichever door they try."""
    app = create_app(limited)
    with TestClient(app, follow_redirects=False) as client:
        people.join(client)
        right = {"email": "robin@example.com", "password": people.PASSWORD}
        wrong = {**right, "password": "a wrong guess"}
        assert client.post("/account/sign-in", data=right).status_code == 303
        client.cookies.clear()
        assert client.post("/api/auth/login", json=right).status_code == 200
        assert client.post("/api/auth/login", json=wrong).status_code == 401
        assert client.post("/account/sign-in/passkey", data={"answer": "{}"}).status_code == 422
        assert [client.post("/account/sign-in", data=wrong).status_code for _ in range(11)] == [422] * 9 + [429] * 2
        lee = Person(client, "lee@example.com")
        people.join(client, lee.email)
        lee.password()
        lee.enrol()
        lee.leave()
        lee.password()
        lee.second("000000")
        login = {"email": lee.email, "password": people.PASSWORD}
        assert client.post("/api/auth/login", json=login).status_code == 401
        assert client.post("/api/auth/login", json={**login, "code": "000000"}).status_code == 401
        machine = TestClient(app, "http://127.0.0.1:8000", client=("127.0.0.1", 9))
        told = machine.get("/metrics").text
        cache.client(limited.redis_url).delete("counted:sign-ins")
        anew = machine.get("/metrics").text
    assert "# TYPE portal_sign_ins_total counter" in told
    outcomes = dict(re.findall(r'portal_sign_ins_total{outcome="(\w+)"} (\d+)', told))
    assert outcomes == {"in": "3", "wrong_password": "10", "wrong_code": "2", "wrong_passkey": "1", "held_up": "2"}
    assert 'portal_sign_ins_total{outcome="wrong_password"} 0' in anew


def test_counting_never_stands_in_the_way(settings: Settings) -> None:
    nobody = "redis://127.0.0.1:1/0"
    metrics.count(nobody, "sign-ins", "in")
    assert metrics.counted(nobody, "sign-ins", ("in",)) == {"in": 0}


def test_labels_cannot_break_out_of_their_line() -> None:
    told = exposition([Gauge("g", "Words.", {'a"b\\c\nd': 1234567.5, "e": 1e9}, "l")])
    assert told == '# HELP g Words.\n# TYPE g gauge\ng{l="a\\"b\\\\c\\nd"} 1234567.5\ng{l="e"} 1000000000\n'

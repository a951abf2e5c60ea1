"""The list of bookings: found by reference, name and e-mail, narrowed by state, route and day, read page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.kit import clock, db
from portal.kit.settings import Settings
from tests.trips.conftest import book

SignIn = Callable[[str], TestClient]
REFERENCES = ("CNF222", "HLD222", "LPS222", "EXP222", "CAN222")


@pytest.fixture
def staff(signed_in: SignIn, settings: Settings) -> TestClient:
    """A clerk, and a booking in every state: the hold called LPS222 ran out."""
    with db.writing() as session:
        book(session, "CNF222", number=1, contact_email="Bob_1@example.com")
        book(session, "HLD222", number=2, status="held")
        book(session, "LPS222", number=3, status="held", expires_at=clock.now() - timedelta(minutes=1))
        book(session, "EXP222", number=4, status="expired", created_at=datetime(2026, 3, 5, 23, 30, tzinfo=UTC))
        book(session, "CAN222", number=5, status="cancelled")
        session.execute(
            text(
                "update passengers set family_name = 'O’Neill', ticket_name = 'ONEILL/PAT' where booking_id ="
                " (select id from bookings where reference = 'CAN222')"
            )
        )
    return signed_in("staff")


def found(client: TestClient, query: str) -> set[str]:
    answer = client.get(f"/admin/bookings?{query}")
    assert answer.status_code == 200
    return {one for one in REFERENCES if f'href="/bookings/{one}"' in answer.text}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", set(REFERENCES)),
        ("q=cnf222", {"CNF222"}),
        ("q=cnf-222", {"CNF222"}),
        ("q=cnf", {"CNF222"}),
        ("q=bob_1@EXAMPLE", {"CNF222"}),
        ("q=bobx1", set()),
        ("q=%25", set()),
        ("q=_", set()),
        ("q=müll&status=confirmed", {"CNF222"}),
        ("q=muller&status=held", {"HLD222"}),
        ("q=oneill", {"CAN222"}),
        ("q=O’Neill", {"CAN222"}),
        ("status=held", {"HLD222"}),
        ("status=expired", {"LPS222", "EXP222"}),
        ("route=jfk-lax", set(REFERENCES)),
        ("route=LAX%20–%20JFK", set()),
        ("from=2026-03-05&to=2026-03-05", {"EXP222"}),
        ("to=2026-03-04", set()),
        ("status=&q=&from=", set(REFERENCES)),
        ("utm_source=x", set(REFERENCES)),
    ],
)
def test_what_is_asked_for_is_found(staff: TestClient, query: str, expected: set[str]) -> None:
    assert found(staff, query) == expected


def test_a_row_says_who_where_when_and_how_much(staff: TestClient) -> None:
    page = staff.get("/admin/bookings?q=CNF222").text
    for words in ("Bob_1@example.com", "JFK–LAX", "MULLER/ANA", "+1", "$300.00", "Confirmed", "1 booking"):
        assert words in page
    assert staff.get("/bookings/CNF222").status_code == 200


def test_htmx_gets_the_rows_only(staff: TestClient) -> None:
    part = staff.get("/admin/bookings?status=held", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert "<html" not in part
    assert 'id="rows"' in part
    assert "HLD222" in part


@pytest.mark.parametrize(
    "query",
    ["status=odd", "from=yesterday", "route=JFKLAX", "from=2026-03-05&to=2026-03-01", "cursor=x", "q=" + "x" * 101],
)
def test_a_wrong_filter_is_named_and_kept(staff: TestClient, query: str) -> None:
    answer = staff.get(f"/admin/bookings?{query}")
    assert answer.status_code == 422
    assert 'id="errors"' in answer.text
    assert query.split("=")[1].split("&")[0] in answer.text or query.startswith(("cursor", "status"))


@pytest.mark.parametrize(
    "query", ["q='%20or%201=1--", "q=%5C", "q=:status", "q=<script>alert(1)</script>", "q=%F0%9F%98%80"]
)
def test_hostile_words_find_nothing_and_do_nothing(staff: TestClient, query: str) -> None:
    answer = staff.get(f"/admin/bookings?{query}")
    assert answer.status_code == 200
    assert "No booking fits" in answer.text
    assert "<script>alert" not in answer.text


def test_all_pages_together_are_the_whole_list(staff: TestClient) -> None:
    with db.writing() as session:
        for number in range(60):
            reference = f"PG{number // 30 + 2}{'23456789ABCDEFGHJKLMNPQRSTUVWXYZ'[number % 30]}22"
            book(session, reference, number=100 + number, contact_email="page@example.com")
    first = staff.get("/admin/bookings?q=page@").text
    assert "1–50 of 60" in first
    following = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = staff.get(following).text
    assert "51–60 of 60" in second
    assert 'rel="next"' not in second
    seen = [text.count('href="/bookings/PG') for text in (first, second)]
    assert seen == [50, 10]

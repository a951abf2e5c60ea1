"""The trail as staff see it: found by whom, what, which, when and words; page by page; as a file; and for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.kit import audit, db
from portal.kit.settings import Settings
from tests.staff.conftest import tokens
from tests.trail.conftest import CLERK, Owner, deed, sealed
from tests.trips.conftest import book

__all__ = ["tokens"]
Tokens = dict[str, dict[str, str]]


@pytest.fixture
def deeds(settings: Settings, users: object) -> str:
    """Three deeds of different kinds; returns the admin's id, who did one of them."""
    with db.writing() as session:
        admin = session.scalar(text("select id from users where email = 'admin@example.com'"))
        book(session, "ANA234")
        assert admin is not None
        with audit.by("token", actor_id=admin, role="admin"):
            audit.record(
                session, "flight.cancel", "flight", uuid4(), before={"status": "on"}, after={"reason": "50%_fog"}
            )
        with audit.by("job", role="payments.settle"):
            audit.record(
                session, "booking.confirmed", "booking", "ANA234", after={"paidMinor": 30_000, "currency": "USD"}
            )
        audit.record(session, "user.create", "user", admin, actor_id=CLERK, after={"email": "New@example.com"})
    return str(admin)


def found(client: TestClient, query: str) -> set[str]:
    page = client.get(f"/admin/audit?{query}").text
    words = {"cancel": "Flight cancelled", "confirm": "Booking confirmed", "user": "Account made"}
    return {name for name, sentence in words.items() if f"<h3>{sentence}</h3>" in page}


ALL = {"cancel", "confirm", "user"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ALL),
        ("action=flight.cancel", {"cancel"}),
        ("action=flight.", {"cancel"}),
        ("action=flight", set()),
        ("actor=ADMIN@example.com", {"cancel"}),
        ("actor=nobody@example.com", set()),
        (f"actor={CLERK}", {"user"}),
        ("thing=booking", {"confirm"}),
        ("thing=booking&id=ANA234", {"confirm"}),
        ("id=ANA234", {"confirm"}),
        ("means=job", {"confirm"}),
        ("q=fog", {"cancel"}),
        ("q=50%25_", {"cancel"}),
        ("q=%25", {"cancel"}),
        ("q=new@EXAMPLE", {"user"}),
        ("q=zzz", set()),
        ("from=2026-01-01", ALL),
        ("to=2026-01-01", set()),
        ("request=none-such", set()),
        ("utm_source=x", ALL),
    ],
)
def test_what_is_asked_for_is_found(deeds: str, staff: TestClient, query: str, expected: set[str]) -> None:
    assert found(staff, query) == expected


def test_an_entry_says_it_in_words_and_leads_on(deeds: str, staff: TestClient) -> None:
    page = staff.get("/admin/audit").text
    for words in ('href="/bookings/ANA234"', "The portal itself", "job payments.settle", "Paid", "$300.00"):
        assert words in page
    assert 'href="/admin/audit?thing=booking&amp;id=ANA234"' in page
    assert "admin, API token" in page
    assert "<del>" in page
    assert "New@example.com" in page


def test_how_the_chain_stands_is_on_top(deeds: str, staff: TestClient) -> None:
    assert "nothing is sealed yet" in staff.get("/admin/audit").text
    sealed()
    page = staff.get("/admin/audit").text
    assert "Head of the chain" in page
    assert "link 1<" in page


def test_old_unsealed_entries_are_called_out(deeds: str, staff: TestClient, owner: Owner) -> None:
    owner("update audit_entries set happened_at = now() - interval '2 hours'")
    assert "is a worker running?" in staff.get("/admin/audit").text


def test_pages_follow_each_other_without_loss(settings: Settings, staff: TestClient) -> None:
    for number in range(53):
        deed(number)
    first = staff.get("/admin/audit?thing=user&action=user.changed").text
    assert first.count("<h3>") == 50
    href = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = staff.get(href).text
    assert second.count("<h3>") == 3
    assert "Newest" in second


@pytest.mark.parametrize(
    "query", ["from=x", "from=2027-02-02&to=2027-02-01", "means=magic", "cursor=forged", "q=" + "x" * 101]
)
def test_a_wrong_filter_is_said_and_not_ignored(deeds: str, staff: TestClient, query: str) -> None:
    assert staff.get(f"/admin/audit?{query}").status_code == 422


def test_what_is_erased_is_said_to_be(deeds: str, staff: TestClient) -> None:
    with db.writing() as session:
        audit.erase(session, of=CLERK)
    page = staff.get("/admin/audit?thing=user&action=user.create").text
    assert "New@example.com" not in page
    assert "personal data erased" in page


def test_it_is_taken_away_as_a_file_and_that_is_a_deed(deeds: str, staff: TestClient) -> None:
    with db.writing() as session:
        audit.record(session, "flight.cancel", "flight", "=1+1", after={"reason": '=HYPERLINK("x")'})
    answer = staff.post("/admin/audit/export", data={"action": "flight."})
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-')
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert len(rows) == 2
    assert rows[0][header.index("id")] == "'=1+1"
    assert rows[1][header.index("actor")] == "admin@example.com"
    assert rows[1][header.index("after")] == "reason=50%_fog"
    assert "Audit trail exported" in staff.get("/admin/audit").text


@pytest.mark.parametrize("path", ["/admin/audit", "/api/audit"])
def test_travellers_and_guests_do_not_see_it(
    signed_in: Callable[[str], TestClient], client: TestClient, tokens: Tokens, path: str
) -> None:
    answer = client.get(path, headers=tokens["customer"] if path.startswith("/api") else {})
    assert answer.status_code in (303, 403)
    assert signed_in("customer").get("/admin/audit").status_code == 403


def test_programs_read_it_page_by_page(deeds: str, client: TestClient, tokens: Tokens) -> None:
    told: list[dict[str, object]] = []
    cursor = ""
    while True:
        answer = client.get(f"/api/audit?limit=2&to=2099-01-01{cursor}", headers=tokens["staff"]).json()
        told += answer["data"]
        if answer["nextCursor"] is None:
            break
        cursor = f"&cursor={answer['nextCursor']}"
    numbers = [one["id"] for one in told]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == len(numbers) >= 3
    cancel = next(one for one in told if one["action"] == "flight.cancel")
    assert cancel["actorId"] == deeds
    assert (cancel["role"], cancel["means"]) == ("admin", "token")
    assert (cancel["before"], cancel["after"]) == ({"status": "on"}, {"reason": "50%_fog"})
    assert (cancel["position"], cancel["erased"]) == (None, False)
    assert client.get("/api/audit?cursor=x", headers=tokens["staff"]).status_code == 422
    assert client.get("/api/audit?means=magic", headers=tokens["staff"]).status_code == 422


def test_programs_are_told_that_values_were_erased(deeds: str, client: TestClient, tokens: Tokens) -> None:
    with db.writing() as session:
        audit.erase(session, of=CLERK)
    (one,) = client.get("/api/audit?action=user.create", headers=tokens["staff"]).json()["data"]
    assert (one["after"], one["erased"]) == ({"email": None}, True)

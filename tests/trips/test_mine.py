"""My trips: my own, ahead and behind, and nobody else's – as a page and as a list for programs."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from portal.accounts.service import DEMO_PASSWORD
from portal.app import create_app
from portal.flights.models import Flight
from portal.kit import clock, db, grants
from portal.kit.settings import Settings
from tests.trips.conftest import book

SignIn = Callable[[str], TestClient]


def token(client: TestClient, email: str) -> dict[str, str]:
    answer = client.post("/api/auth/login", json={"email": email, "password": DEMO_PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['accessToken']}"}


@pytest.fixture
def five(users: dict[str, UUID]) -> list[str]:
    """Five bookings of the traveller, oldest first, one of staff's and one of nobody's."""
    references = ["AAA222", "BBB222", "CCC222", "DDD222", "EEE222"]
    for number, reference in enumerate(references):
        with db.writing() as session:
            book(session, reference, number=number + 1, days=30 - number, user_id=users["customer"])
    with db.writing() as session:
        book(session, "STF222", number=50, user_id=users["staff"])
        book(session, "NBD222", number=51)
    return references


def test_the_page_lists_what_is_ahead_and_behind(users: dict[str, UUID], signed_in: SignIn) -> None:
    with db.writing() as session:
        book(session, "AHD222", number=1, days=20, user_id=users["customer"])
        book(session, "SNR222", number=2, days=10, user_id=users["customer"])
        book(session, "PST222", number=3, days=10, user_id=users["customer"])
        book(session, "HLD222", number=4, days=5, status="held", user_id=users["customer"])
        book(session, "EXP222", number=5, days=5, status="expired", user_id=users["customer"])
        book(session, "STF222", number=6, user_id=users["staff"])
        flown = {
            "departure_at": clock.now().replace(year=2026, month=1),
            "arrival_at": clock.now().replace(year=2026, month=1, hour=23, minute=59),
        }
        session.execute(update(Flight).where(Flight.number == 3).values(flown))
    page = signed_in("customer").get("/account/trips").text
    order = [page.index(word) for word in ("Ahead", "HLD222", "SNR222", "AHD222", "Behind you", "PST222")]
    assert order == sorted(order)
    assert "EXP222" not in page
    assert "STF222" not in page
    assert "New York – Los Angeles" in page
    assert "2 travellers" in page


def test_no_trips_yet_has_a_way_on(signed_in: SignIn) -> None:
    page = signed_in("customer").get("/account/trips").text
    assert "No trips yet" in page
    assert 'href="/manage"' in page


def test_a_guest_is_asked_to_sign_in(client: TestClient) -> None:
    assert client.get("/account/trips").headers["location"].startswith("/account/sign-in?next=%2Faccount%2Ftrips")
    assert client.get("/api/bookings").status_code == 401


def test_the_list_is_mine_newest_first_and_read_page_by_page(client: TestClient, five: list[str]) -> None:
    headers = token(client, "traveller@example.com")
    seen, cursor = [], None
    while True:
        answer = client.get(
            "/api/bookings", params={"limit": 2, **({"cursor": cursor} if cursor else {})}, headers=headers
        )
        seen += [one["reference"] for one in answer.json()["data"]]
        cursor = answer.json()["nextCursor"]
        if cursor is None:
            break
    assert seen == five[::-1]


def test_a_cursor_is_for_its_own_list_only(client: TestClient, five: list[str], settings: Settings) -> None:
    cursor = client.get("/api/bookings?limit=1", headers=token(client, "traveller@example.com")).json()["nextCursor"]
    staff = token(client, "staff@example.com")
    for wrong in (cursor, "x", cursor + "x", ""):
        answer = client.get("/api/bookings", params={"cursor": wrong}, headers=staff)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/cursor"
    for limit in ("0", "201", "x"):
        assert client.get("/api/bookings", params={"limit": limit}, headers=staff).status_code == 422


def test_one_booking_for_its_owner_staff_token_and_name(
    client: TestClient, five: list[str], settings: Settings
) -> None:
    mine = client.get("/api/bookings/AAA222", headers=token(client, "traveller@example.com"))
    assert mine.json()["reference"] == "AAA222"
    assert mine.json()["total"] == {"amount": "300.00", "currency": "USD"}
    assert [line["amount"]["amount"] for line in mine.json()["priceBreakdown"]] == ["200.00", "100.00"]
    assert "bookingToken" not in mine.json()
    own = {"Authorization": f"Bearer {grants.booking_token(settings, 'AAA222')}"}
    assert client.get("/api/bookings/aaa222", headers=own).status_code == 200
    assert client.get("/api/bookings/AAA222", headers=token(client, "staff@example.com")).status_code == 200
    assert client.get("/api/bookings/AAA222?familyName=Muller").status_code == 200


def test_one_booking_is_unknown_to_everybody_else(client: TestClient, five: list[str], settings: Settings) -> None:
    other = {"Authorization": f"Bearer {grants.booking_token(settings, 'BBB222')}"}
    traveller = token(client, "traveller@example.com")
    refused = [
        client.get("/api/bookings/AAA222"),
        client.get("/api/bookings/AAA222", headers=other),
        client.get("/api/bookings/STF222", headers=traveller),
        client.get("/api/bookings/STF222?familyName=Meier", headers=traveller),
        client.get("/api/bookings/AAA222?familyName=Meier"),
        client.get("/api/bookings/ZZZ222?familyName=Muller"),
        client.get("/api/bookings/0?familyName=Muller"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(404, "not_found")}


def test_a_page_cookie_opens_nothing_for_programs(client: TestClient, five: list[str]) -> None:
    client.post("/manage", data={"reference": "AAA222", "familyName": "Müller"})
    assert client.get("/bookings/AAA222").status_code == 200
    assert client.get("/api/bookings/AAA222").status_code == 404


def test_a_name_is_looked_up_within_the_limits_for_the_signed_in_too(limited: Settings, five: list[str]) -> None:
    with TestClient(create_app(limited)) as client:
        headers = token(client, "traveller@example.com")
        codes = [
            client.get("/api/bookings/STF222", params={"familyName": f"N{chr(97 + n)}"}, headers=headers).status_code
            for n in range(11)
        ]
    assert codes == [404] * 10 + [429]

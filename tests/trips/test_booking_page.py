"""Who may see a booking sees it, in every state with a way on; anybody else learns nothing, not even that it exists."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from portal.booking.models import Booking, Passenger
from portal.kit import clock, db, grants
from portal.kit.settings import Settings
from tests.trips.conftest import book

SignIn = Callable[[str], TestClient]


def allow(client: TestClient, settings: Settings, reference: str, level: str) -> None:
    """Give the browser what the booking engineers' pages give it."""
    scope = {"type": "http", "headers": [], "app": client.app, "path": "/", "query_string": b"", "method": "GET"}
    response = Response()
    grants.grant(Request(scope), response, reference, level)
    client.cookies.set(grants.COOKIE, response.headers["set-cookie"].split("=", 1)[1].split(";")[0])


def own(users: dict[str, UUID], reference: str = "ANA234") -> None:
    with db.writing() as session:
        session.execute(update(Booking).where(Booking.reference == reference).values(user_id=users["customer"]))


def test_owner_and_staff_see_it_others_do_not_know_of_it(
    client: TestClient, ana: str, users: dict[str, UUID], signed_in: SignIn
) -> None:
    own(users)
    unknown = client.get("/bookings/ZZZZZZ")
    guest = client.get("/bookings/ANA234")
    assert guest.status_code == unknown.status_code == 404
    assert strip(guest.text) == strip(unknown.text)
    seen = {role: signed_in(role).get("/bookings/ANA234").status_code for role in ("customer", "staff", "admin")}
    assert seen == {"customer": 200, "staff": 200, "admin": 200}


def test_another_traveller_does_not_know_of_it(
    client: TestClient, ana: str, users: dict[str, UUID], signed_in: SignIn
) -> None:
    assert signed_in("customer").get("/bookings/ANA234").status_code == 404


def strip(text: str) -> str:
    return re.sub(r"<code>[^<]*</code>|ANA234|ZZZZZZ", "", text)


def test_a_forged_or_foreign_grant_opens_nothing(client: TestClient, ana: str, settings: Settings) -> None:
    allow(client, settings, "ZZZZZZ", "manage")
    assert client.get("/bookings/ANA234").status_code == 404
    for forged in ("x", "", '[["ANA234","manage"]]', client.cookies[grants.COOKIE][::-1]):
        client.cookies.clear()
        client.cookies.set(grants.COOKIE, forged)
        assert client.get("/bookings/ANA234").status_code == 404


def test_any_spelling_of_the_reference_leads_to_the_one_address(
    client: TestClient, ana: str, settings: Settings
) -> None:
    allow(client, settings, "ANA234", "view")
    assert client.get("/bookings/ana-234").headers["location"] == "/bookings/ANA234"


def test_a_paid_booking_says_what_was_paid_allowed_and_closed(client: TestClient, ana: str, settings: Settings) -> None:
    allow(client, settings, "ANA234", "manage")
    page = client.get("/bookings/ANA234").text
    assert "The tickets were sent to ana@example.com." in page
    assert page.count("999 ") == 2
    for words in ("1 adult", "1 child", "$200.00", "$100.00", "for $75.00 each", "1 each, included"):
        assert words in page
    for name in ("change", "cancel", "correct", "contact"):
        assert f"/bookings/ANA234/{name}" in page
    assert "calendar.ics" in page


def test_a_held_booking_shows_its_time_and_the_way_on_to_who_made_it(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        book(session, "HLD234", status="held")
    allow(client, settings, "HLD234", "view")
    looked_up = client.get("/bookings/HLD234").text
    assert "Held for you, not paid yet" in looked_up
    assert "/book/HLD234" not in looked_up
    allow(client, settings, "HLD234", "manage")
    made = client.get("/bookings/HLD234").text
    assert 'data-hold="' in made
    assert "/book/HLD234/extend" in made
    assert "Pay $300.00" in made
    assert "itinerary.pdf" not in made
    with db.writing() as session:
        session.execute(update(Passenger).values(ticket_name=None))
    assert "Say who is flying" in client.get("/bookings/HLD234").text


def test_a_lapsed_hold_leads_back_to_the_same_search_swept_or_not(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        book(session, "HLD234", status="held")
        book(session, "EXP234", number=102, status="expired")
    allow(client, settings, "HLD234", "manage")
    with clock.shifted(timedelta(minutes=16)):
        page = client.get("/bookings/HLD234").text
    allow(client, settings, "EXP234", "manage")
    for text in (page, client.get("/bookings/EXP234").text):
        assert "The hold has run out" in text
        assert "/flights?origin=JFK&amp;destination=LAX&amp;departureDate=" in text
        assert "adults=1&amp;children=1&amp;infants=0&amp;cabin=economy" in text
        assert "Pay $" not in text


def test_a_cancelled_booking_says_so(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        book(session, "CNL234", status="cancelled")
    allow(client, settings, "CNL234", "view")
    assert "This booking is cancelled" in client.get("/bookings/CNL234").text


@pytest.mark.parametrize("path", ["/bookings/", "/bookings/%00", "/bookings/%F0%9F%9B%AB", "/bookings/" + "x" * 2000])
def test_odd_addresses_are_simply_not_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (400, 404)

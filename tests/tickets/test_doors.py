"""A booking's files go to who may see it, and sound the same to everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.booking.models import Booking
from portal.kit import db, grants, signing
from portal.kit.settings import Settings
from tests.booking import makers

FILES = ("itinerary.pdf", "calendar.ics")


@pytest.fixture
def booking(settings: Settings) -> Booking:
    """A paid booking that a guest made."""
    return makers.confirmed(settings, makers.offer(settings, makers.flight()))


@pytest.fixture
def guest(client: TestClient, settings: Settings, booking: Booking) -> TestClient:
    """The browser that was granted a look at it."""
    client.cookies.set(grants.COOKIE, signing.seal(settings, grants.PURPOSE, [[booking.reference, "view"]]))
    return client


def bearer(settings: Settings, booking: Booking) -> dict[str, str]:
    return {"Authorization": f"Bearer {grants.booking_token(settings, booking.reference)}"}


def documents() -> object:
    return makers.one("select count(*) from documents")


def test_a_granted_browser_gets_both_files(guest: TestClient, booking: Booking) -> None:
    pdf = guest.get(f"/bookings/{booking.reference}/itinerary.pdf")
    assert (pdf.status_code, pdf.headers["content-type"]) == (200, "application/pdf")
    assert pdf.content.startswith(b"%PDF-1.7")
    assert "no-store" in pdf.headers["cache-control"]
    ics = guest.get(f"/bookings/{booking.reference}/calendar.ics")
    assert ics.headers["content-type"].startswith("text/calendar")
    assert booking.reference in ics.text


def test_a_program_with_the_bookings_token_gets_both_files(
    client: TestClient, settings: Settings, booking: Booking
) -> None:
    for file in FILES:
        answer = client.get(f"/api/bookings/{booking.reference}/{file}", headers=bearer(settings, booking))
        assert answer.status_code == 200
    assert client.get(f"/api/bookings/{booking.reference}/itinerary.pdf?familyName=smith").status_code == 200


def test_an_itinerary_is_made_once(guest: TestClient, booking: Booking) -> None:
    at = f"/bookings/{booking.reference}/itinerary.pdf"
    assert guest.get(at).content == guest.get(at).content
    assert documents() == 1


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_strangers_are_told_what_they_would_be_told_of_no_booking(
    client: TestClient, booking: Booking, file: str, prefix: str
) -> None:
    known = client.get(f"{prefix}/bookings/{booking.reference}/{file}")
    unknown = client.get(f"{prefix}/bookings/ZZZZZZ/{file}")
    assert known.status_code == unknown.status_code == 404
    assert documents() == 0
    if prefix:
        assert client.get(f"/api/bookings/{booking.reference}/{file}?familyName=jones").status_code == 404
        assert known.json()["title"] == unknown.json()["title"]


def test_a_token_for_another_booking_opens_nothing(client: TestClient, settings: Settings, booking: Booking) -> None:
    other = makers.held(settings, makers.offer(settings, makers.flight(number=102)))
    for file in FILES:
        answer = client.get(f"/api/bookings/{booking.reference}/{file}", headers=bearer(settings, other))
        assert answer.status_code == 404


@pytest.mark.parametrize("role", ["customer", "staff", "admin"])
def test_signed_in_people_see_what_is_theirs_and_staff_all(
    people: dict[str, TestClient], booking: Booking, role: str
) -> None:
    answer = people[role].get(f"/bookings/{booking.reference}/itinerary.pdf")
    assert answer.status_code == (404 if role == "customer" else 200)


def test_an_owner_sees_it(people: dict[str, TestClient], booking: Booking) -> None:
    with db.writing() as session:
        owner: UUID = session.scalars(text("select id from users where email = 'traveller@example.com'")).one()
        session.execute(text("update bookings set user_id = :owner"), {"owner": owner})
    assert people["customer"].get(f"/bookings/{booking.reference}/itinerary.pdf").status_code == 200


def test_what_is_not_paid_has_no_tickets(client: TestClient, settings: Settings) -> None:
    held = makers.named(settings, makers.offer(settings, makers.flight()))
    for file in FILES:
        answer = client.get(f"/api/bookings/{held.reference}/{file}", headers=bearer(settings, held))
        assert (answer.status_code, answer.json()["code"]) == (409, "not_confirmed")


@pytest.fixture
def people(client: TestClient) -> Iterator[dict[str, TestClient]]:
    """Browsers of a customer, a clerk and an administrator."""
    with db.writing() as session:
        accounts.ensure_demo_users(session)
    browsers = {role: TestClient(client.app, follow_redirects=False) for *_, role in accounts.DEMO_USERS}
    for email, _, _, role in accounts.DEMO_USERS:
        form = {"email": email, "password": accounts.DEMO_PASSWORD}
        assert browsers[role].post("/account/sign-in", data=form).status_code == 303
    yield browsers
    for browser in browsers.values():
        browser.close()

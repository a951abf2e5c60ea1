"""What was mailed to a booking's old contact opens it no longer; what no contact ever left goes on working."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking import amending
from portal.kit import clock, db, grants
from portal.kit.settings import Settings
from tests.booking import makers as bookings
from tests.watches import makers
from tests.watches.test_reminder import remind


def moves(reference: str, email: str, phone: str | None = None) -> None:
    """Give a booking another contact, as its page does."""
    with db.writing() as session:
        amending.change_contact(session, reference, email=email, phone=phone, actor_id=None)


def test_a_reminder_opens_its_booking_until_the_contact_moves(client: TestClient, settings: Settings) -> None:
    flight = bookings.flight()
    booking = bookings.confirmed(settings, bookings.offer(settings, flight))
    remind(settings, flight, hours=20)
    link = makers.link(settings, makers.inbox(settings)[0], "/links/")
    with clock.shifted(flight.departure_at - datetime.now(UTC) - timedelta(hours=19)):
        assert client.get(link).headers["location"] == f"/bookings/{booking.reference}/check-in"
        client.cookies.clear()
        moves(booking.reference, "eve@example.com")
        assert client.get(link).status_code == 404
        assert client.get(f"/bookings/{booking.reference}").status_code == 404


def test_seats_that_were_offered_are_another_s_once_the_hold_has_another_contact(
    client: TestClient, settings: Settings
) -> None:
    flight, holder = makers.full(settings)
    wait = makers.joined(flight, "anna@example.com")
    bookings.lapse(holder)
    makers.serve(settings)
    makers.work_off(settings, "wait.offered")
    link = makers.link(settings, makers.inbox(settings)[0], "/links/")
    assert client.get(link).status_code == 303
    with db.writing() as session:
        values = {"id": makers.booking_of(wait).id}
        session.execute(text("update bookings set contact_email = 'eve@example.com' where id = :id"), values)
    assert client.get(link).status_code == 404


def test_a_link_of_an_older_letter_works_until_the_contact_moves(client: TestClient, settings: Settings) -> None:
    booking = bookings.confirmed(settings, bookings.offer(settings, bookings.flight()))
    path = f"/bookings/{booking.reference}"
    unmarked = grants.link(settings, booking.reference, path).removeprefix(settings.base_url)
    assert client.get(unmarked).headers["location"] == path
    moves(booking.reference, "ANNA@example.com", "+12125550100")  # the same mailbox, and a telephone
    assert client.get(unmarked).headers["location"] == path
    moves(booking.reference, "eve@example.com")
    client.cookies.clear()
    assert client.get(unmarked).headers["location"] == "/manage"
    assert "we mail a new link there" in client.get("/manage").text
    assert client.get(path).status_code == 404

"""The reminder to check in: once for each booking and flight, in its window, not to who does not want it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.flights.models import Flight
from portal.kit import clock, db, outbox
from portal.kit.settings import Settings
from tasks.handlers import HANDLERS
from tests.booking import makers as bookings
from tests.watches import makers


def booked(settings: Settings, number: int = 101) -> tuple[Flight, Booking]:
    flight = bookings.flight(number=number)
    return flight, bookings.confirmed(settings, bookings.offer(settings, flight))


def remind(settings: Settings, flight: Flight, *, hours: float) -> int:
    """Let the round go when that many hours are left until departure; return how many mails have gone in all."""
    with clock.shifted(flight.departure_at - datetime.now(UTC) - timedelta(hours=hours)):
        HANDLERS["check_in.remind"](settings, outbox.Letter(kind="check_in.remind", payload={}))
        makers.work_off(settings, "check_in.reminder")
    return len(makers.inbox(settings))


def test_it_goes_once_when_check_in_opens_and_leads_there(client: TestClient, settings: Settings) -> None:
    flight, booking = booked(settings)
    assert remind(settings, flight, hours=24.1) == 0
    assert remind(settings, flight, hours=23.9) == 1
    assert remind(settings, flight, hours=12) == 1
    (mail,) = makers.inbox(settings)
    assert mail["to"] == "anna@example.com"
    assert "Check-in is open" in mail["subject"]
    assert "preferences" not in makers.words(mail)
    with clock.shifted(flight.departure_at - datetime.now(UTC) - timedelta(hours=11)):
        answer = client.get(makers.link(settings, mail, "/links/"))
    assert answer.headers["location"] == f"/bookings/{booking.reference}/check-in"


def test_it_does_not_go_when_it_is_too_late(settings: Settings) -> None:
    flight, _ = booked(settings)
    assert remind(settings, flight, hours=0.9) == 0


def test_a_delay_keeps_check_in_open_and_the_reminder_with_it(settings: Settings) -> None:
    flight, _ = booked(settings)
    late = {"out": flight.departure_at + timedelta(hours=3), "in": flight.arrival_at + timedelta(hours=3)}
    with db.writing() as session:
        session.execute(text("update flights set estimated_departure_at = :out, estimated_arrival_at = :in"), late)
    assert remind(settings, flight, hours=0.9) == 1


def test_held_cancelled_and_checked_in_bookings_are_not_reminded(settings: Settings) -> None:
    flight, _ = booked(settings)
    bookings.named(settings, bookings.offer(settings, flight))
    with db.writing() as session:
        session.execute(text("update coupons set status = 'checked_in'"))
    assert remind(settings, flight, hours=20) == 0
    with db.writing() as session:
        session.execute(text("update coupons set status = 'open'"))
        session.execute(text("update flights set status = 'cancelled', sale_closed_at = now()"))
    assert remind(settings, flight, hours=20) == 0


def test_each_flight_is_reminded_of_by_itself(settings: Settings) -> None:
    there, _ = booked(settings, 101)
    booked(settings, 102)
    assert remind(settings, there, hours=20) == 2


def test_who_opted_out_is_left_in_peace(client: TestClient, settings: Settings) -> None:
    flight, booking = booked(settings)
    makers.sign_in(client)
    with db.writing() as session:
        session.execute(text("insert into preferences (user_id, muted) select id, '{checkIn}' from users"))
        session.execute(text("update bookings set user_id = (select id from users)"))
    assert remind(settings, flight, hours=20) == 0
    with db.writing() as session:
        session.execute(text("update preferences set muted = '{}'"))
    assert remind(settings, flight, hours=20) == 1
    assert "/account/preferences" in makers.words(makers.inbox(settings)[0])
    assert booking.reference in makers.words(makers.inbox(settings)[0])

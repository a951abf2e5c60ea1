"""Bookings that are ready for check-in, and how to check them in."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from portal.booking.models import Booking
from portal.booking.queries import booking_view
from portal.checkin import queries, service
from portal.checkin.forms import Wish
from portal.checkin.rules import CheckedIn, Desk, Document
from portal.checkin.told import BoardingPass, boarding_passes
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests.booking import makers

PASSPORT = Document("passport", "C01X00T47", "DE", "DE", (datetime.now(UTC) + timedelta(days=900)).date(), "F")


def leaving(
    hours: float = 10, origin: str = "JFK", destination: str = "LAX", *, number: int = 101, minutes: int = 375
) -> Flight:
    """Commit a flight that leaves in so many hours."""
    zone = {"JFK": "America/New_York", "LAX": "America/Los_Angeles", "MUC": "Europe/Berlin", "LHR": "Europe/London"}
    at = (clock.now() + timedelta(hours=hours)).astimezone(ZoneInfo(zone[origin])).replace(second=0, microsecond=0)
    return makers.flight(
        origin=origin,
        destination=destination,
        on=at.date(),
        at=time(at.hour, at.minute),
        number=number,
        minutes=minutes,
    )


def paid(settings: Settings, *flights: Flight, party: Party = makers.ONE) -> Booking:
    """Return a paid booking of these flights, each a slice of its own."""
    with clock.shifted(timedelta(0)):
        return makers.confirmed(settings, *(makers.offer(settings, flight, party=party) for flight in flights))


def desk(booking: Booking) -> Desk:
    """Return the booking's desk as it stands."""
    with db.reading() as session:
        view = booking_view(session, booking.reference)
        assert view is not None
        return queries.desk(session, view)


def everybody(booking: Booking, document: Document | None = None, **seats: str) -> list[Wish]:
    """Return wishes for all travellers with a seat, on all flights."""
    now = desk(booking)
    return [
        Wish(one.id, flight.public_id, seats.get(f"p{one.position}"), document)
        for flight in now.view.flights
        for one in now.view.active_passengers
        if one.takes_seat
    ]


def check_in(booking: Booking, wishes: list[Wish] | None = None, document: Document | None = None) -> list[CheckedIn]:
    """Check in and commit."""
    with db.writing() as session:
        asked = wishes or everybody(booking, document)
        return service.check_in(session, booking.reference, asked, now=clock.now())


def passes(booking: Booking) -> list[BoardingPass]:
    """Return the booking's boarding passes."""
    return boarding_passes(desk(booking))


def broken() -> list[str]:
    """Return what does not add up, in check-ins and in the other books."""
    with db.reading() as session:
        return [str(finding) for finding in queries.broken_check_ins(session)] + makers.broken()

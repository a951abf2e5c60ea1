"""Bookings as rows, in the states that a traveller may find them in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.accounts.queries import person_by_email
from portal.booking.models import Booking, Charge, Passenger, Segment, Slice, Ticket
from portal.kit import clock, db
from portal.kit.settings import Settings
from tests import world

TERMS = {
    "cabinBag": True,
    "checkedBags": 1,
    "change": {"allowed": True, "penalty": {"amount": "75.00", "currency": "USD"}},
    "refund": {"allowed": False, "penalty": None},
    "seat": {"allowed": True, "included": False},
}


def book(session: Session, reference: str, *, number: int = 101, days: int = 30, **given: Any) -> None:
    """Add a booking of Ana Müller and a child from JFK to LAX; `given` are columns of the booking."""
    status = given.get("status", "confirmed")
    flight = world.flight(session, number=number, on=world.soon(days))
    paid = 30_000 if status in ("confirmed", "cancelled") else 0
    held = {"expires_at": clock.now() + timedelta(minutes=15)} if status == "held" else {}
    booking = Booking(
        **{
            "reference": reference,
            "status": status,
            "contact_email": "ana@example.com",
            "currency": "USD",
            "total_minor": 30_000,
            "paid_minor": paid,
            "idempotency_key": reference,
            "fingerprint": reference,
            **held,
            **given,
        }
    )
    session.add(booking)
    session.flush()
    _fill(session, booking, flight.id, ticketed=status == "confirmed")


def _fill(session: Session, booking: Booking, flight_id: int, *, ticketed: bool) -> None:
    fare = {"cabin": "economy", "brand": "Classic", "booking_class": "M", "conditions": TERMS}
    session.add(Slice(booking_id=booking.id, position=0, origin="JFK", destination="LAX", **fare))
    session.flush()
    session.add(Segment(booking_id=booking.id, slice_position=0, position=0, flight_id=flight_id))
    people = (
        ("adult", "Ana", "MULLER/ANA", date(1990, 5, 1), 20_000),
        ("child", "Kim", "MULLER/KIM", date(2020, 5, 1), 10_000),
    )
    for position, (kind, given, ticket_name, born, amount) in enumerate(people):
        one = Passenger(booking_id=booking.id, position=position, type=kind, given_name=given, family_name="Müller")
        one.ticket_name, one.date_of_birth = ticket_name, born
        session.add(one)
        session.flush()
        if ticketed:
            session.add(Ticket(number=f"999{flight_id:06}000{position}", passenger_id=one.id))
        line = {"code": "fare", "label": "Fare", "amount_minor": amount, "slice_position": 0}
        session.add(Charge(booking_id=booking.id, position=position, passenger_id=one.id, **line))
    session.flush()


@pytest.fixture
def ana(settings: Settings) -> str:
    """The reference of a confirmed booking that a guest made."""
    with db.writing() as session:
        book(session, "ANA234")
    return "ANA234"


@pytest.fixture
def users(settings: Settings) -> dict[str, UUID]:
    """The demo's people by role, and one more traveller."""
    with db.writing() as session:
        accounts.ensure_demo_users(session)
        found = {role: person_by_email(session, email) for email, _, _, role in accounts.DEMO_USERS}
        return {role: person.id for role, person in found.items() if person}


@pytest.fixture
def signed_in(client: TestClient, users: dict[str, UUID]) -> Callable[[str], TestClient]:
    """Sign the browser in as somebody of a role."""

    def sign_in(role: str) -> TestClient:
        email = next(email for email, _, _, its in accounts.DEMO_USERS if its == role)
        client.cookies.clear()
        form = {"email": email, "password": accounts.DEMO_PASSWORD}
        assert client.post("/account/sign-in", data=form).status_code == 303
        return client

    return sign_in

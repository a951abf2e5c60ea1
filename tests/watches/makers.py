"""Makers of what the tests of waiting lists and alerts start from, and the mails that were sent."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast
from uuid import UUID

from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.flights.models import Flight
from portal.kit import clock, db, outbox
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.watches import service
from portal.watches.forms import NewWait
from portal.watches.models import Wait
from tasks.handlers import HANDLERS
from tests import people
from tests.booking import makers

ROUND = outbox.Letter(kind="waits.serve", payload={})


def full(settings: Settings, *, seats: int = 2, **given: object) -> tuple[Flight, Booking]:
    """Return a flight whose economy is sold out, and the booking that holds all of it."""
    flight = makers.flight(seats=seats, **given)
    return flight, makers.held(settings, makers.offer(settings, flight, party=Party(adults=seats)))


def joined(flight: Flight, email: str = "anna@example.com", party: Party = makers.ONE, **given: object) -> UUID:
    """Join the line for the flight and commit."""
    people = {"adults": party.adults, "children": party.children, "infants": party.infants}
    wish = NewWait(flight_id=flight.public_id, email=email, **people, **given)  # type: ignore[arg-type]  # counts
    with db.writing() as session:
        return service.join(session, wish, user_id=None, locale="en")


def serve(settings: Settings) -> None:
    """Let the round of the waiting lists go once."""
    HANDLERS["waits.serve"](settings, ROUND)


def state(wait_id: UUID) -> str:
    """Return how a place in line stands."""
    with db.reading() as session:
        return session.get_one(Wait, wait_id).state


def booking_of(wait_id: UUID) -> Booking:
    """Return the hold that a place in line was offered."""
    with db.reading() as session:
        return session.get_one(Booking, session.get_one(Wait, wait_id).booking_id)


def work_off(settings: Settings, *kinds: str) -> None:
    """Do the work of all letters of these kinds that wait, as the worker does."""
    with db.writing() as session:
        found = select(outbox.Letter).where(outbox.Letter.kind.in_(kinds), outbox.Letter.state == "waiting")
        letters = session.scalars(found.order_by(outbox.Letter.id)).all()
        session.execute(text("update letters set state = 'done' where kind = any(:kinds)"), {"kinds": list(kinds)})
    for letter in letters:
        HANDLERS[letter.kind](settings, letter)


def inbox(settings: Settings) -> list[EmailMessage]:
    """Return what was sent, oldest first."""
    files = sorted(Path(settings.mail_dir).glob("*.eml"))
    return [cast(EmailMessage, message_from_bytes(file.read_bytes(), policy=policy.default)) for file in files]


def words(message: EmailMessage, kind: str = "plain") -> str:
    """Return a mail's text."""
    body = message.get_body((kind,))
    assert body is not None
    return body.get_content()


def link(settings: Settings, message: EmailMessage, start: str) -> str:
    """Return the path of the first address in a mail's text that begins with `start`."""
    found = re.search(rf"{re.escape(settings.base_url)}({re.escape(start)}\S*)", words(message))
    assert found, words(message)
    return found[1]


def later(**delta: float) -> None:
    """Let holds and claims have been made that much earlier, as if time had passed."""
    values = {"by": timedelta(**delta)}
    with db.writing() as session:
        session.execute(text("update bookings set expires_at = expires_at - :by where status = 'held'"), values)
        session.execute(text("update seat_claims set expires_at = expires_at - :by"), values)


def sign_in(client: TestClient, email: str = "robin@example.com") -> None:
    """Make an account and sign in with it."""
    people.join(client, email)
    answer = client.post("/account/sign-in", data={"email": email, "password": people.PASSWORD})
    assert answer.status_code == 303, answer.text


def today() -> str:
    """Return the day of now."""
    return clock.now().date().isoformat()

"""Makers of what booking's tests start from: offers of the small world, holds, named and paid bookings."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

from sqlalchemy import text

from portal.booking import service
from portal.booking.forms import HoldWish, NameWish
from portal.booking.models import Booking
from portal.booking.rules import BookingView, Named
from portal.booking.tender import PayWish
from portal.flights.models import Flight
from portal.kit import db
from portal.kit.settings import Settings
from portal.payments.rules import Outcome
from portal.pricing.rules import Party
from portal.search.rules import Offer
from portal.search.service import reprice
from tests import world

ONE = Party(adults=1)
BORN = {"adult": date(1985, 5, 17), "child": date(2019, 3, 2), "infant": date(2026, 6, 1)}


def flight(**given: object) -> Flight:
    """Commit a flight of the small world."""
    with db.writing() as session:
        return world.flight(session, **given)  # type: ignore[arg-type]  # passed on as they are


def offer(
    settings: Settings, *flights: Flight, party: Party = ONE, brand: str = "Basic", cabin: str = "economy"
) -> Offer:
    """Return a real, signed offer for these flights as one slice."""
    never = datetime.fromtimestamp(0, UTC)
    ends = flights[0].origin, flights[-1].destination
    wanted = tuple(one.id for one in flights)
    named: dict[str, object] = {"slice_origin": ends[0], "slice_destination": ends[1], "flight_ids": wanted}
    named |= {"cabin": cabin, "brand": brand, "party": party, "issued_at": never, "expires_at": never}
    asked = Offer(**{name: named.get(name, "") for name in Offer.__dataclass_fields__})  # type: ignore[arg-type]  # only what repricing reads
    with db.reading() as session:
        return reprice(session, asked, settings=settings)


def held(settings: Settings, *offers: Offer, key: str | None = None, user_id: UUID | None = None) -> BookingView:
    """Hold the offers and commit."""
    with db.writing() as session:
        return service.hold(session, HoldWish(offers, key or uuid4().hex, user_id, minutes=settings.hold_minutes))


def people(party: Party) -> tuple[Named, ...]:
    """Return a name for everybody of a party."""
    return tuple(Named(kind, f"Anna{'abcdefghi'[at]}", "Smith", BORN[kind]) for at, kind in enumerate(party.types))


def named(settings: Settings, *offers: Offer, key: str | None = None) -> Booking:
    """Hold the offers, say who flies, and commit."""
    booking = held(settings, *offers, key=key)
    wish = NameWish(people(offers[0].party), "anna@example.com", "+12125550100")
    with db.writing() as session:
        return service.name_passengers(session, booking.reference, wish)


def begun(booking: Booking | BookingView, *, key: str | None = None, method: str = "card") -> UUID:
    """Begin a payment and commit; return its id."""
    wish = PayWish(key or uuid4().hex, method, "sandbox")
    with db.writing() as session:
        return service.begin_payment(session, booking.reference, wish).id


def settled(payment_id: UUID, state: str = "succeeded", reference: str = "") -> str:
    """Tell the booking how the gateway answered, and commit; return the payment's state."""
    with db.writing() as session:
        outcome = Outcome(state, reference or f"ch_{payment_id}")
        return service.settle_payment(session, payment_id, outcome).state


def confirmed(settings: Settings, *offers: Offer) -> Booking:
    """Return a paid booking."""
    booking = named(settings, *offers)
    settled(begun(booking))
    return booking


def lapse(booking: Booking | BookingView) -> None:
    """Let the hold's time be over, in the booking and in its claims."""
    with db.writing() as session:
        session.execute(
            text("update bookings set expires_at = now() - interval '1 second' where id = :id"), {"id": booking.id}
        )
        session.execute(
            text("update seat_claims set expires_at = now() - interval '1 second' where holder = :id"),
            {"id": booking.id},
        )


def one(statement: str, **values: object) -> object:
    """Return the single value that a statement reads."""
    with db.reading() as session:
        return session.scalar(text(statement), values)


def status(booking: Booking | BookingView) -> object:
    """Return the booking's state as the table has it."""
    return one("select status from bookings where id = :id", id=booking.id)


def broken() -> list[str]:
    """Return what does not add up in the books."""
    from portal.booking.queries import broken_books

    with db.reading() as session:
        return [str(finding) for finding in broken_books(session)]

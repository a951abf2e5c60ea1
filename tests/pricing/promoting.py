"""Makers of promotions and of holders who use them, seats and all, as a booking does."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from portal.flights.service import SeatWish, take_seats
from portal.kit import db
from portal.pricing import promotions
from portal.pricing.promotions import Discount, PaidFare, PromotedSlice, Promotion
from tests import world

OUT = PromotedSlice(0, "JFK", "LAX", "economy", "Standard", (date(2027, 3, 1),))
BACK = PromotedSlice(1, "LAX", "JFK", "economy", "Flex", (date(2027, 3, 8),))


def make(**given: Any) -> int:
    """Commit a promotion, 10 % off unless told otherwise; return its id."""
    values = {"code": "TEN", "label": "Ten off", "kind": "percent", "amount": 1_000, "currency": "USD", **given}
    with db.writing() as session:
        made = Promotion(**values)
        session.add(made)
        session.flush()
        return made.id


def flight() -> int:
    """Commit a flight with room for everybody; return its id."""
    with db.writing() as session:
        return world.flight(session, seats=10_000, number=4242, business=0).id


def use(
    code: str,
    flight_id: int,
    *,
    holder: UUID | None = None,
    customer: str | None = None,
    fares: tuple[PaidFare, ...] = (PaidFare(0, 0, 20_000),),
    slices: tuple[PromotedSlice, ...] = (OUT,),
    currency: str = "USD",
) -> list[Discount]:
    """Use a code and hold a seat in one transaction, as a booking does."""
    holder = holder or uuid4()
    with db.writing() as session:
        found = promotions.take(
            session, code=code, holder=holder, customer=customer, slices=slices, fares=fares, currency=currency
        )
        take_seats(session, holder=holder, wishes=[SeatWish(flight_id, "economy", 1)], minutes=15)
    return found


def lapse(holder: UUID) -> None:
    """Let the holder's time be over; nothing is swept."""
    with db.writing() as session:
        session.execute(
            text("update seat_claims set expires_at = now() - interval '1 second' where holder = :h"), {"h": holder}
        )


def counts(promotion_id: int) -> tuple[int, int]:
    """Return what the promotion's counter says, and how many uses it has."""
    with db.reading() as session:
        row = session.execute(
            text(
                """select used, (select count(*) from promotion_uses u where u.promotion_id = p.id
                and u.state <> 'returned') from promotions p where p.id = :id"""
            ),
            {"id": promotion_id},
        ).one()
    return row[0], row[1]

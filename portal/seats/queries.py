"""Reads of the seat map and the catalogue of extras, and the proof that named seats are in order."""

from __future__ import annotations

import json
from datetime import date
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.accounts import queries as people
from portal.booking.models import Amendment
from portal.booking.queries import Finding
from portal.booking.views import BookingView
from portal.flights.models import Flight
from portal.kit import clock
from portal.pricing.rules import PriceBook
from portal.pricing.service import load_book
from portal.seats import rules
from portal.seats.rules import NOTHING_LIKED, Catalogue, Extra, Liked, SeatFare

# As words, so that what was reckoned from the very same rows need not be reckoned again.
PRICES = text(
    f"""
    select (select coalesce(json_agg(json_build_array({", ".join(SeatFare.__dataclass_fields__)})), '[]')::text
            from seat_prices),
           (select coalesce(json_agg(json_build_array({", ".join(Extra.__dataclass_fields__)})), '[]')::text
            from extra_products)
    """  # noqa: S608 – names of columns
)


def catalogue(session: Session, currency: str) -> Catalogue:
    """Return what seats and extras cost today (UTC) in a currency; raises NoRate where it cannot be converted."""
    fares, extras = session.execute(PRICES).one()
    return _catalogue(fares, extras, load_book(session), currency, clock.now().date())


@lru_cache(maxsize=64)
def _catalogue(fares: str, extras: str, book: PriceBook, currency: str, on: date) -> Catalogue:
    seats = [SeatFare(*_dated(row)) for row in json.loads(fares)]
    return rules.catalogue(seats, [Extra(*_dated(row)) for row in json.loads(extras)], book, currency=currency, on=on)


def _dated(row: list[Any]) -> list[Any]:
    """Both kinds end with the days from which and to which they hold."""
    *cells, begins, ends = row
    return [*cells, date.fromisoformat(begins), date.fromisoformat(ends) if ends else None]


def liked(session: Session, view: BookingView) -> Liked:
    """Return what the account that the booking belongs to likes; nothing for a guest's."""
    owner = people.person(session, view.user_id) if view.user_id else None
    if owner is None:
        return NOTHING_LIKED
    likes = people.likes(session, owner.id)
    return rules.liked(likes.seat, likes.meal, (owner.given_name, owner.family_name), view)


def currency_of(session: Session, flight_id: int) -> str:
    """Return the currency that the flight is sold in."""
    return session.execute(select(Flight.currency).where(Flight.id == flight_id)).scalar_one()


def amendment_by_key(session: Session, booking_id: UUID, key: str) -> Amendment | None:
    """Return what this key has done to the booking before, or None."""
    found = select(Amendment).where(Amendment.booking_id == booking_id, Amendment.idempotency_key == key)
    return session.scalar(found)


# Each returns (thing, detail) for what is off.
BOOKS = {
    "a named seat is a traveller's of the booking that holds it": """
        select 'flight ' || n.flight_id || ' seat ' || n.seat, case
            when p.id is null then 'nobody''s of holder ' || n.holder
            when p.type = 'infant' then 'has an infant in it'
            else 'its traveller is cancelled' end
        from named_seats n join seat_claims c using (holder, flight_id, cabin)
        left join passengers p on p.id = n.occupant and p.booking_id = n.holder
        left join booking_segments s on s.booking_id = n.holder and s.flight_id = n.flight_id
        where n.tentative_until is null and (c.expires_at is null or c.expires_at > now())
          and (p.id is null or p.type = 'infant' or p.cancelled_at is not null or s.slice_position = any(p.stays_off))
        """,
    "a named seat is on board, in the cabin that was bought": """
        select 'flight ' || n.flight_id || ' seat ' || n.seat, 'not in ' || n.cabin || ' of the ' || f.aircraft
        from named_seats n join flights f on f.id = n.flight_id
        left join aircraft_cabins a on a.aircraft = f.aircraft and a.cabin = n.cabin
        where a.cabin is null or left(n.seat, -1)::int not between a.first_row and a.last_row
           or strpos(replace(a.layout, ' ', ''), right(n.seat, 1)) = 0""",
    "a claim has no more names than seats": """
        select 'flight ' || c.flight_id || ' holder ' || c.holder, count(*) || ' names, ' || c.seats || ' seats'
        from seat_claims c join named_seats n using (holder, flight_id, cabin)
        where n.tentative_until is null
        group by c.holder, c.flight_id, c.cabin, c.seats having count(*) > c.seats""",
    "nobody by an exit who may not sit there": """
        select b.reference, 'seat ' || n.seat || ' of a ' || p.type
        from named_seats n join flights f on f.id = n.flight_id
        join aircraft_cabins a on a.aircraft = f.aircraft and a.cabin = n.cabin
        join passengers p on p.id = n.occupant join bookings b on b.id = p.booking_id
        where n.tentative_until is null and left(n.seat, -1)::int = any(a.exit_rows) and (p.type <> 'adult'
            or exists (select from booking_items i where i.passenger_id = p.id and i.kind = 'assistance'
                       and i.state = 'active'))""",
}


def broken_seats(session: Session) -> list[Finding]:
    """Return named seats that are not in order, at most 1,000 a rule; none is the proof that all are."""
    return [
        Finding(rule, thing, detail)
        for rule, statement in BOOKS.items()
        for thing, detail in session.execute(text(f"{statement} limit 1000"))  # the constant statements above
    ]

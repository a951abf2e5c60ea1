"""Seats by name and extras for the demo's invented travellers, so that its flights look like those that sell.

Written in bulk, past the doors, and so keeps to their rules itself: parties side by side, spread over the cabin, nobody
by an exit, nobody on a flight where anybody has chosen; extras only where the fare has them not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.pricing.rules import Brand
from portal.seats.rules import Catalogue

# Of a hundred who could, so many buy it; the second figure is for whoever has a checked bag in the fare already.
TAKERS = {
    "bag23": (38, 6),
    "priority": (12, 12),
    "meal-standard": (8, 8),
    "meal-vegetarian": (3, 3),
    "flexible-plans": (9, 9),
}

# Parties stand in a row in no particular order; their place in the row is stretched to the length of the cabin.
NAME = text(
    """
    with flown as (
        select f.id, f.aircraft from flights f
        where f.departure_at > now() and f.status = 'scheduled'
          and not exists (select from named_seats n where n.flight_id = f.id)
    ), places as (
        select a.aircraft, a.cabin, r.number || l.letter as seat,
               row_number() over (partition by a.aircraft, a.cabin order by r.number, l.letter) - 1 as place,
               count(*) over (partition by a.aircraft, a.cabin) as all_places
        from aircraft_cabins a, generate_series(a.first_row, a.last_row) r (number),
             regexp_split_to_table(replace(a.layout, ' ', ''), '') l (letter)
        where r.number <> all(a.exit_rows)
    ), parties as (
        select c.holder, c.flight_id, c.cabin, f.aircraft,
               sum(c.seats) over w - c.seats as before, sum(c.seats) over (partition by c.flight_id, c.cabin) as sold
        from seat_claims c join flown f on f.id = c.flight_id
        join bookings b on b.id = c.holder and b.idempotency_key ~ '^demo-(sale|team):'
        where c.expires_at is null
        window w as (partition by c.flight_id, c.cabin order by hashtext(c.holder::text), c.holder)
    ), people as (
        select p.booking_id, p.id, row_number() over (partition by p.booking_id order by p.position) - 1 as nth
        from passengers p where p.type <> 'infant' and p.cancelled_at is null
          and p.booking_id in (select holder from parties)
    )
    insert into named_seats (flight_id, seat, cabin, holder, occupant)
    select t.flight_id, s.seat, t.cabin, t.holder, p.id
    from parties t join people p on p.booking_id = t.holder
    join places s on s.aircraft = t.aircraft and s.cabin = t.cabin
     and s.place = p.nth + (t.before * greatest(s.all_places, t.sold)) / t.sold
    where abs(hashtext(t.holder::text) % 10) < 7
    """
)


@dataclass(frozen=True, slots=True)
class Bought:
    """One extra that somebody bought, for one flight or (`flight_id` None) the whole trip."""

    id: UUID
    kind: str
    code: str
    label: str
    flight_id: int | None
    amount_minor: int


def wants(prices: Catalogue, rng: Random, *, brand: Brand, kind: str, flight_id: int, first: bool) -> Iterator[Bought]:
    """Yield what an invented traveller of that kind buys for that flight, one meal at most, by the dice of `rng`.

    What is for the whole trip is bought with its `first` flight. An infant's is nothing.
    """
    kinds = set()
    for one in prices.extras if kind != "infant" else ():
        taken = rng.randrange(100) < TAKERS.get(one.code, (0, 0))[brand.checked_bags > 0]
        free = brand.cabin in one.included_cabins or brand.brand in one.included_brands
        fits = (one.per != "trip" or first) and kind in (one.travellers or (kind,))
        if taken and fits and not free and one.kind not in kinds and brand.cabin in (one.cabins or (brand.cabin,)):
            kinds.add(one.kind)
            at = None if one.per == "trip" else flight_id
            yield Bought(UUID(int=rng.getrandbits(128), version=4), one.kind, one.code, one.label, at, one.amount_minor)


def name_sold_seats(session: Session) -> int:
    """Give seven of ten invented parties their seats on flights ahead where nobody has one yet; returns how many seats.

    Bookings that anybody really made are left alone.
    """
    return session.execute(NAME).rowcount  # type: ignore[no-any-return,attr-defined]  # an INSERT's result counts rows

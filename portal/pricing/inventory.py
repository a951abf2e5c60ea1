"""Protections of booking classes, kept on the flights' cabins: reckoned anew some times a day, in slices of flights.

Which class a seat sells in depends on them, so they may be late or missing for a flight without harm: then less is kept
for dear classes, and no seat is ever sold twice. A slice is one short transaction that waits for nobody: a cabin in
which somebody is buying at this moment is left to the next round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.pricing.emsr import protections, to_come
from portal.pricing.steps import FareClass

SLICE = 500
AHEAD = timedelta(days=366)
HISTORY, ENOUGH_FLIGHTS, ENOUGH_SEATS = timedelta(days=90), 30, 300
History = Mapping[tuple[str, str, str], Mapping[str, tuple[float, float]]]

CABINS = text(
    """
    select f.departure_at, f.id, f.origin, f.destination, f.departs_on, c.cabin, c.capacity, c.protections
    from (select * from flights where (departure_at, id) > (:at, :id) and departure_at < :until
          order by departure_at, id limit :many) f
    join flight_cabins c on c.flight_id = f.id order by f.departure_at, f.id, c.cabin
    """
)
KEEP = text(
    """
    with wanted as (
        select * from unnest(cast(:ids as bigint[]), cast(:cabins as text[]), cast(:levels as text[]))
            as w(flight_id, cabin, levels)
    ), free as (
        select c.flight_id, c.cabin from flight_cabins c join wanted w using (flight_id, cabin)
        order by c.flight_id, c.cabin for no key update of c skip locked
    )
    update flight_cabins c set protections = cast(w.levels as int[])
    from free join wanted w using (flight_id, cabin) where c.flight_id = free.flight_id and c.cabin = free.cabin
    """
)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a round has come: everything up to this departure and flight is done."""

    at: datetime
    flight_id: int = 0


def protect_slice(
    session: Session,
    place: Place,
    *,
    classes: Mapping[str, Sequence[FareClass]],
    history: History,
    now: datetime,
) -> Place | None:
    """Write anew the protections of the next flights after `place`; returns where to go on, None at the end."""
    values = {"at": place.at, "id": place.flight_id, "until": now + AHEAD, "many": SLICE}
    rows = session.execute(CABINS, values).all()
    changed = []
    for row in rows:
        own = classes.get(row.cabin, ())
        past = history.get((row.origin, row.destination, row.cabin))
        levels = protections_of(own, row.capacity, (row.departs_on - now.date()).days, past)
        if levels != row.protections:
            changed.append((row.id, row.cabin, "{" + ",".join(map(str, levels)) + "}"))
    if changed:
        ids, cabins, wanted = zip(*changed, strict=True)
        session.execute(KEEP, {"ids": list(ids), "cabins": list(cabins), "levels": list(wanted)})
    return Place(rows[-1].departure_at, rows[-1].id) if rows else None


def protections_of(
    classes: Sequence[FareClass], capacity: int, days: int, past: Mapping[str, tuple[float, float]] | None = None
) -> list[int]:
    """Return the protections of a cabin, `days` before departure; `past` is the route's own demand by letter."""
    longest = max((one.booking_days for one in classes), default=0)
    usual = tuple(past.get(one.letter, (0.0, 0.0)) for one in classes) if past else None
    return list(_reckoned(tuple(classes), capacity, max(0, min(days, longest)), usual))


@lru_cache(maxsize=16_384)
def _reckoned(
    classes: tuple[FareClass, ...], capacity: int, days: int, usual: tuple[tuple[float, float], ...] | None
) -> tuple[int, ...]:
    return tuple(protections(to_come(classes, capacity, days, usual), capacity))


def history_span(today: date) -> tuple[date, date]:
    """Return the first day, and the day after the last, of the flights that tell what demand is usual."""
    return today - HISTORY, today

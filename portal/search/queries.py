"""Itineraries out of PostgreSQL: every non-stop and one-stop way of a day, in one round trip.

An itinerary counts when every flight is scheduled and on sale, leaves later than sales close, and has the seats free
in the cabin (lapsed holds counted as free); when a connection stays at one airport, allows the minimum connection time
(60 minutes between two domestic flights, else 90) and waits at most 24 hours; and when it neither passes its own origin
or destination again nor mixes currencies. Nothing else is left out.

What each costs is worked out in the same statement; see portal.search.statements.
"""

from __future__ import annotations

import time as stopwatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from psycopg import RawCursor
from sqlalchemy import URL, TextClause, text
from sqlalchemy.orm import Session

from portal.accounts.queries import is_favourite
from portal.places.queries import Place, nearby, places_by_code
from portal.search.lanes import Factors, Lanes
from portal.search.rules import Facet, Found, Names, Segment, SliceResult, Stock, Way
from portal.search.statements import NETWORK, SEGMENT_FARES, SOON, Numbered, cheapest_sql, composed, search_sql

FACTS_SECONDS = 60
SEGMENT_WORDS = 14  # of statements.SEGMENT


@dataclass(frozen=True, slots=True)
class Ask:
    """One slice's question. `filters` has keys of FILTERS; `after` is the place of the last itinerary already seen.

    With `lines_close_at` the answer has facets too, and how many flights that leave later are full.
    """

    origin: Place
    destination: Place
    on: date
    today: date
    cabin: str
    seats: int
    counts: tuple[int, int, int]
    max_stops: int
    factor_bp: int
    levies: dict[str, Any]
    factors: Factors
    priceable: tuple[str, ...]
    filters: dict[str, Any]
    sort: str
    limit: int
    after: tuple[int, ...] | None = None
    lines_close_at: datetime | None = None


@dataclass(slots=True)
class Network:
    """What hardly ever changes, remembered for a minute: names, and where and in what money the flights go."""

    countries: tuple[str, ...]
    currencies: tuple[str, ...]
    names: Names
    read_at: float

    def places(self, session: Session, codes: Collection[str]) -> dict[str, Place]:
        """Return the airports among `codes`, asking the database only for new ones."""
        known = self.names.places
        missing = [code for code in codes if code not in known]
        if missing:
            known.update(places_by_code(session, missing))
        return {code: known[code] for code in codes if code in known}


FLOWN = text(
    """
    select exists (select from flights where origin = :origin),
        exists (select from flights where destination = :destination)
    """
)
_networks: dict[URL, Network] = {}


def network(session: Session) -> Network:
    """Return the network of the session's database, at most a minute old.

    Its names stay the same object while nothing is called anything else: rows and answers made with them stay good.
    """
    key = session.get_bind().engine.url
    found = _networks.get(key)
    if found is None or stopwatch.monotonic() - found.read_at > FACTS_SECONDS:
        found = _networks[key] = _read_network(session, found.names if found else None)
    return found


def _read_network(session: Session, before: Names | None) -> Network:
    countries, currencies, carriers, aircraft = session.execute(NETWORK).one()
    places = places_by_code(session, tuple(before.places)) if before else {}
    names = Names(places, carriers or {}, aircraft or {})
    if before and (before.places, before.carriers, before.aircraft) == (places, names.carriers, names.aircraft):
        names = before
    return Network(tuple(countries or ()), tuple(currencies or ()), names, stopwatch.monotonic())


def ways(session: Session, ask: Ask) -> Found:
    """Return the page of itineraries that answers `ask`, in one round trip; complete within the module's promise."""
    ((facets, total, places, lines),) = _rows(session, search_sql(*_shape(ask)), values(ask), plan=ask.max_stops == 0)
    found = lines.split("\n")[: ask.limit] if lines else []
    marks = places.split("\n") if places else []
    told = _told(facets) if facets else {}
    return Found(tuple(map(_way, found)), tuple(marks[: ask.limit]), len(marks) > ask.limit, total, **told)


def _rows(session: Session, statement: Numbered, values: Mapping[str, Any], *, plan: bool = True) -> Sequence[Any]:
    """Return what the statement finds; without `plan` PostgreSQL plans it for these very values and keeps no plan.

    A prepared statement soon gets a plan for any values, and for connections PostgreSQL then expects one row where
    thousands come, and joins them in a nested loop: three times slower than planning each time.
    """
    connection = session.connection()
    driver = cast(Any, connection.connection.driver_connection)
    before = driver.cursor_factory, driver.prepare_threshold
    driver.cursor_factory, driver.prepare_threshold = RawCursor, before[1] if plan else None
    try:
        return connection.exec_driver_sql(statement.sql, tuple(values[name] for name in statement.names)).all()
    finally:
        driver.cursor_factory, driver.prepare_threshold = before


def statement(ask: Ask) -> TextClause:
    """Return the SQL that answers `ask`, to be run with `values(ask)`."""
    return composed(*_shape(ask))


def _shape(ask: Ask) -> tuple[bool, str, tuple[str, ...], bool, bool]:
    return ask.max_stops > 0, ask.sort, tuple(ask.filters), ask.after is not None, ask.lines_close_at is not None


def values(ask: Ask) -> dict[str, Any]:
    """Return what `statement(ask)` is to be run with."""
    given: dict[str, Any] = ask.levies | ask.factors.values
    given |= dict(zip(("adults", "children", "infants"), ask.counts, strict=True))
    given |= {"origin": ask.origin.code, "destination": ask.destination.code, "day": ask.on, "cabin": ask.cabin}
    given |= {"seats": ask.seats, "factor_bp": ask.factor_bp, "rows": ask.limit + 1, **ask.filters}
    given["priceable"] = ",".join(ask.priceable)
    if ask.max_stops:
        given |= {"origin_country": ask.origin.country, "destination_country": ask.destination.country}
    if ask.lines_close_at:
        given["lines_close_at"] = ask.lines_close_at
    if ask.after:
        given |= {f"k{number}": part for number, part in enumerate(ask.after)}
    return given


@lru_cache(maxsize=8192)
def _way(line: str) -> Way:
    """Return what `line` says, each time the same object: a line holds everything, so it can never be out of date."""
    via, load_one, load_two, class_at, free, *words = line.split("|")
    segments = tuple(_segment(words[start : start + SEGMENT_WORDS]) for start in range(0, len(words), SEGMENT_WORDS))
    return Way(segments, via, int(free), (int(load_one), int(load_two)), int(class_at))


def _segment(words: Sequence[str]) -> Segment:
    flight, public_id, carrier, number, origin, destination, day, *times, aircraft, fare, currency = words
    here, there, leaves, lands = map(datetime.fromisoformat, times)
    return Segment(
        flight_id=int(flight),
        public_id=UUID(public_id),
        carrier=carrier,
        number=int(number),
        origin=origin,
        destination=destination,
        departs_on=date.fromisoformat(day),
        departure_local=here,
        arrival_local=there,
        departure_at=leaves,
        arrival_at=lands,
        aircraft=aircraft,
        fare_minor=int(fare),
        currency=currency,
    )


def _told(facets: dict[str, Any]) -> dict[str, Any]:
    kinds = {name: tuple(Facet(str(v), n, low) for v, n, low in facets[name] or ()) for name in ("stops", "airlines")}
    return {"unfiltered": facets["total"], "full": facets["full"], **kinds}


def cheapest(
    session: Session,
    origin: str,
    destination: str,
    days: tuple[date, date],
    *,
    cabin: str,
    seats: int,
    factors: Factors,
    lanes: Lanes,
) -> list[tuple[date, str, int]]:
    """Return (day, currency, lowest fare before brand and taxes) of the non-stop flights with `seats` free.

    From the first to the last of `days`; `lanes` has the factors of each of them.
    """
    ends = {"origin": origin, "destination": destination, "first": days[0], "last": days[1]}
    values = {**ends, "cabin": cabin, "seats": seats, **factors.values, **lanes.values("days")}
    return [(row[0], row[1], row[2]) for row in _rows(session, cheapest_sql(), values)]


def leaving_soon(session: Session) -> list[Stock]:
    """Return the flights of great routes in five to seven days that have an economy seat, the greatest routes first."""
    return [Stock(*row) for row in session.execute(SOON)]


def segment_fares(session: Session, ids: Sequence[int], cabin: str) -> list[Stock]:
    """Return what pricing needs of these flights, in their order; an unknown id is left out."""
    found = {row[0]: Stock(*row) for row in session.execute(SEGMENT_FARES, {"ids": list(ids), "cabin": cabin})}
    return [found[one] for one in ids if one in found]


def starred(session: Session, found: SliceResult, who: UUID | None) -> bool | None:
    """Return whether the route is a favourite of `who`; None for a guest."""
    return None if who is None else is_favourite(session, who, found.origin.code, found.destination.code)


def unserved(session: Session, found: SliceResult) -> dict[str, tuple[Place, list[Place]]]:
    """Return which end no flight ever leaves from or goes to, with served airports near it; asks only if none fits."""
    if found.found.unfiltered or found.found.full:
        return {}
    ends = {"origin": found.origin, "destination": found.destination}
    flown = session.execute(FLOWN, {name: place.code for name, place in ends.items()}).one()
    return {
        name: (place, nearby(session, place)) for (name, place), has in zip(ends.items(), flown, strict=True) if not has
    }

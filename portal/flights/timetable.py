"""Keeping many dated flights at once: through a staging table, all or none.

`stage` streams rows into a temporary table with COPY; `conflicts` says which of them cannot be kept and why; `merge`
writes the rest in a handful of statements. Nothing is visible to others before the caller's transaction ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.flights.rules import DatedFlight

FIELDS = ", ".join(DatedFlight._fields)
KEPT = ", ".join(DatedFlight._fields[1:])
SAME_KEY = "f.carrier = s.carrier and f.number = s.number and f.origin = s.origin and f.departs_on = s.departs_on"
# What a traveller has bought: it cannot be changed by a file once seats are held or sold. The fare can.
SCHEDULE = "destination, departure_local, arrival_local, departure_at, arrival_at, aircraft"
# What staff have changed since, or do not sell at the moment, stays as they left it: a file is not news of today.
STEERED = "(f.steered_at is not null or f.sale_closed_at is not null)"
MOVED = " or ".join(f"f.{name} <> s.{name}" for name in SCHEDULE.split(", "))
BOUGHT = f"(not {STEERED} and ({MOVED}))"
DIFFERS = f"(not {STEERED} and ({MOVED} or f.fare_minor <> s.fare_minor or f.currency <> s.currency))"
SOLD = "exists (select 1 from flight_cabins c where c.flight_id = f.id and c.sold + c.held > 0)"

STAGE = text(
    """
    create temporary table staged (
        line int, carrier text, number int, origin text, destination text, departs_on date, departure_local timestamp,
        arrival_local timestamp, departure_at timestamptz, arrival_at timestamptz, aircraft text, distance_km int,
        fare_minor int, currency text
    ) on commit drop
    """
)
TWICE = text(
    """
    select line, 'the same flight as in line ' || first from (
        select line, min(line) over (partition by carrier, number, origin, departs_on) as first from staged
    ) every where line <> first order by line
    """
)
SOLD_ALREADY = text(
    f"""
    select s.line, 'seats of this flight are held or sold, so its times, route and aircraft cannot be changed by a file'
    from staged s join flights f on {SAME_KEY} where ({BOUGHT}) and {SOLD} order by s.line
    """  # noqa: S608 – only our own words are put in, values are bound
)
COUNTS = text(
    f"""
    select count(*) filter (where f.id is null), count(*) filter (where {DIFFERS}),
           count(*) filter (where not {DIFFERS})
    from staged s left join flights f on {SAME_KEY}
    """  # noqa: S608 – only our own words are put in, values are bound
)
LOCK = text(
    f"""
    select 1 from flight_cabins where flight_id in (
        select f.id from staged s join flights f on {SAME_KEY} where {BOUGHT})
    order by flight_id, cabin for update
    """  # noqa: S608 – only our own words are put in, values are bound
)
REFIT = text(
    f"""
    delete from flight_cabins where flight_id in (
        select f.id from staged s join flights f on {SAME_KEY} where f.aircraft <> s.aircraft and not {STEERED})
    """  # noqa: S608 – only our own words are put in, values are bound
)
CHANGE = text(
    f"""
    update flights f set ({SCHEDULE}, distance_km, fare_minor, currency) =
        ({", ".join(f"s.{name}" for name in SCHEDULE.split(", "))}, s.distance_km, s.fare_minor, s.currency)
    from staged s where {SAME_KEY} and {DIFFERS}
    """  # noqa: S608 – only our own words are put in, values are bound
)
ADD = text(
    f"""
    insert into flights ({KEPT}) select {KEPT} from staged s
    where not exists (select 1 from flights f where {SAME_KEY}) order by departs_on, origin, departure_at
    """  # noqa: S608 – only our own words are put in, values are bound
)
FIT = text(
    f"""
    insert into flight_cabins (flight_id, cabin, capacity)
    select f.id, a.cabin, a.capacity from staged s join flights f on {SAME_KEY}
    join aircraft_cabins a on a.aircraft = f.aircraft
    where not exists (select 1 from flight_cabins c where c.flight_id = f.id) order by f.id, a.cabin
    """  # noqa: S608 – only our own words are put in, values are bound
)

# By the index on departure_at, backwards, to the first row of this carrier.
LAST_DAY = text("select departs_on from flights where carrier = :carrier order by departure_at desc limit 1")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many flights of a file are new, different from what is kept, and just the same."""

    added: int
    changed: int
    unchanged: int


def enter(session: Session) -> None:
    """Wait until nobody else keeps many flights at once, and keep others waiting until this transaction ends."""
    # These statements take as long as the file is, and the other's may too.
    session.execute(text("set local statement_timeout = 0"))
    session.execute(text("set local lock_timeout = 0"))
    session.execute(text("select pg_advisory_xact_lock(hashtext('portal.flights.timetable'))"))


def stage(session: Session, flights: Iterable[DatedFlight]) -> int:
    """Stream `flights` into the staging table of this transaction, after `enter`; returns how many there were."""
    session.execute(text("drop table if exists staged"))
    session.execute(STAGE)
    staged = 0
    driver = session.connection().connection.driver_connection
    if driver is None:
        raise RuntimeError("The session has no connection.")
    with driver.cursor() as cursor, cursor.copy(f"copy staged ({FIELDS}) from stdin") as copy:
        for flight in flights:
            copy.write_row(flight)
            staged += 1
    session.execute(text("analyze staged"))
    return staged


def last_day(session: Session, carrier: str) -> date | None:
    """Return the last local day on which a flight of `carrier` leaves, or None."""
    day: date | None = session.scalar(LAST_DAY, {"carrier": carrier})
    return day


def carriers(session: Session) -> list[str]:
    """Return the airlines of the staged flights."""
    return list(session.scalars(text("select distinct carrier from staged")))


def conflicts(session: Session) -> Iterator[tuple[int, str]]:
    """Yield (line, reason) of staged flights that cannot be kept: twice in the file, or already sold otherwise.

    From here on nobody can take seats of the flights that the file would change, until the transaction ends.
    """
    session.execute(LOCK)
    for query in (TWICE, SOLD_ALREADY):
        yield from ((line, reason) for line, reason in session.execute(query))


def counts(session: Session) -> Counts:
    """Return what a merge will do."""
    return Counts(*session.execute(COUNTS).one())


def merge(session: Session) -> None:
    """Keep the staged flights: new ones are added, different ones changed, cabins follow the aircraft.

    `conflicts` must have found none in this transaction: it also locks what is changed here.
    """
    for step in (REFIT, CHANGE, ADD, FIT):
        session.execute(step)

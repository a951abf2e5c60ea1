"""What may be done with flights: take, extend, sell and release seats; import a timetable; keep the demo rolling.

The counters of `flight_cabins` are the only scarce numbers. One conditional UPDATE per cabin both looks and takes, in
sorted (flight, cabin) order; whoever already holds claims locks them before any cabin. Nothing here ever waits for a
claim while it holds a cabin, so no two callers can wait for each other – as long as a transaction works for one holder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.flights import demo, fleet, timetable
from portal.flights.errors import ClaimsLost, FlightClosed, SaleClosed, SoldOut, TimetableRefused
from portal.flights.forms import TimetableParser
from portal.flights.rules import DatedFlight
from portal.flights.timetable import Counts
from portal.places.queries import all_places, places_by_code
from portal.places.service import mark_served

PROGRESS_EVERY = 10_000

TAKE = text(
    """
    with taken as (
        update flight_cabins c set held = c.held + :seats from flights f
        where c.flight_id = :flight_id and c.cabin = :cabin and c.sold + c.held + :seats <= c.capacity
          and c.closed_at_sold is null and f.id = c.flight_id and f.status = 'scheduled' and f.departure_at > now()
        returning c.flight_id, c.cabin
    )
    insert into seat_claims (holder, flight_id, cabin, seats, expires_at)
    select cast(:holder as uuid), flight_id, cabin, cast(:seats as int), now() + make_interval(mins => :minutes)
    from taken returning expires_at
    """
)
OPEN = text(
    """
    select status = 'scheduled' and departure_at > now() and sale_closed_at is null from flights where id = :flight_id
    """
)
# SKIP LOCKED: a lapsed claim that its holder is selling or extending at this moment is left to that holder.
DROP_LAPSED = text(
    """
    delete from seat_claims where (holder, flight_id, cabin) in (
        select holder, flight_id, cabin from seat_claims
        where flight_id = :flight_id and cabin = :cabin and expires_at <= now() for update skip locked)
    returning flight_id, cabin, seats
    """
)
EXTEND = text(
    """
    update seat_claims set expires_at = greatest(expires_at, now() + make_interval(mins => :minutes))
    where holder = :holder and expires_at is not null and (:lapsed_too or expires_at > now()) returning expires_at
    """
)
# Claims first, then the cabins in order, all in one question: who waits for a cabin waits for nothing else of this.
SELL = text(
    """
    with claims as (
        update seat_claims set expires_at = null where holder = :holder and expires_at is not null
        returning flight_id, cabin, seats
    ), cabins as (
        select c.flight_id, c.cabin, claims.seats from flight_cabins c join claims using (flight_id, cabin)
        order by c.flight_id, c.cabin for update of c
    ), moved as (
        update flight_cabins c set held = c.held - cabins.seats, sold = c.sold + cabins.seats
        from cabins where c.flight_id = cabins.flight_id and c.cabin = cabins.cabin and c.closed_at_sold is null
        returning c.cabin
    )
    select (select count(*) from claims) as claims, (select count(*) from moved) as moved
    """
)
COUNT = text("select count(*) from seat_claims where holder = :holder")
CLOSED = text(
    """
    select true from seat_claims s join flight_cabins c using (flight_id, cabin)
    where s.holder = :holder and c.closed_at_sold is not null limit 1
    """
)
RELEASE = text("delete from seat_claims where holder = :holder returning flight_id, cabin, seats, expires_at")
RENAME = text("update seat_claims set holder = :to where holder = :holder")
SHRINK = text(
    """
    update seat_claims set seats = seats - :seats
    where holder = :holder and flight_id = :flight_id and cabin = :cabin and seats > :seats
    returning flight_id, cabin, cast(:seats as int) seats, expires_at
    """
)
DROP = text(
    """
    delete from seat_claims where holder = :holder and flight_id = :flight_id and cabin = :cabin and seats = :seats
    returning flight_id, cabin, seats, expires_at
    """
)
LOCK_CLAIMS = text(
    "select 1 from seat_claims where holder = any(:holders) order by holder, flight_id, cabin for update"
)
LOCK_CABIN = text("select 1 from flight_cabins where flight_id = :flight_id and cabin = :cabin for update")
MOVE = text(
    """
    update flight_cabins set held = held + :held, sold = sold + :sold
    where flight_id = :flight_id and cabin = :cabin and (cast(:sold as int) <= 0 or closed_at_sold is null)
    returning cabin
    """
)


@dataclass(frozen=True, slots=True, order=True)
class SeatWish:
    """A number of seats in one cabin of one flight."""

    flight_id: int
    cabin: str
    seats: int


def take_seats(session: Session, *, holder: UUID, wishes: Sequence[SeatWish], minutes: int) -> datetime:
    """Hold the wished seats for `holder` until the returned instant (the database's clock), all or none.

    Raises SoldOut where a cabin has too few free seats, lapsed holds counted as free, and FlightClosed where the flight
    has left, is cancelled or is not sold at the moment; the caller's transaction must then be rolled back. A holder
    takes each cabin once.
    """
    deadlines = [_take(session, holder, wish, minutes) for wish in sorted(wishes)]
    return min(deadlines)


def extend_claims(session: Session, *, holder: UUID, minutes: int, expected: int | None = None) -> datetime:
    """Hold the holder's seats for `minutes` from now, never shorter than before; returns the new deadline.

    Raises ClaimsLost when a claim is gone. Lapsed claims may have lost a companion, so they count as lost too, unless
    the caller says with `expected` how many there must be.
    """
    values = {"holder": holder, "minutes": minutes, "lapsed_too": expected is not None}
    extended = session.scalars(EXTEND, values).all()
    if len(extended) < (expected or 1):
        raise ClaimsLost()
    return cast(datetime, min(extended))


def require_on_sale(session: Session, *, holder: UUID) -> None:
    """Raise FlightClosed when a flight that the holder has seats on is not sold now: better before than after paying.

    It may still be closed a moment later; selling the claims decides.
    """
    if session.scalar(CLOSED, {"holder": holder}):
        raise FlightClosed()


def sell_claims(session: Session, *, holder: UUID, expected: int) -> None:
    """Turn the holder's held seats into sold ones; a second call changes nothing.

    A lapsed claim that nobody has retaken is sold all the same. Raises ClaimsLost when fewer than `expected` claims
    (one per cabin and flight) are there, and SaleClosed, which is one, for a flight whose sale is closed; the caller's
    transaction, or its savepoint, must be rolled back then.
    """
    sold = session.execute(SELL, {"holder": holder}).one()
    if sold.claims < expected and (session.scalar(COUNT, {"holder": holder}) or 0) < expected:
        raise ClaimsLost()
    if sold.moved < sold.claims:
        raise SaleClosed()


def release_claims(session: Session, *, holder: UUID) -> None:
    """Give back all seats of `holder`, held or sold; does nothing when there are none left."""
    _returned(session, session.execute(RELEASE, {"holder": holder}).all())


def _returned(session: Session, gone: Sequence[Any]) -> None:
    _move(
        session,
        (
            (row.flight_id, row.cabin, -row.seats, 0) if row.expires_at else (row.flight_id, row.cabin, 0, -row.seats)
            for row in gone
        ),
    )


def give_back(session: Session, *, holder: UUID, flight_id: int, cabin: str, seats: int) -> None:
    """Give back some of the holder's seats in one cabin of one flight, held or sold; the claim goes with its last one.

    Raises ClaimsLost when the holder has fewer.
    """
    values = {"holder": holder, "flight_id": flight_id, "cabin": cabin, "seats": seats}
    gone = session.execute(SHRINK, values).all() or session.execute(DROP, values).all()
    if not gone:
        raise ClaimsLost()
    _returned(session, gone)


def move_claims(session: Session, *, holder: UUID, to: UUID) -> None:
    """Let all seats of `holder` be `to`'s; none of them may be in a cabin of a flight where `to` has some already."""
    session.execute(RENAME, {"holder": holder, "to": to})


def lock_seats(session: Session, *, holders: Iterable[UUID], cabins: Iterable[tuple[int, str]]) -> None:
    """Lock the claims of `holders`, then `cabins` (flight, cabin), in order: who both takes and gives back does this
    first, so that two who swap flights never wait for each other."""
    session.execute(LOCK_CLAIMS, {"holders": sorted(holders)})
    for flight_id, cabin in sorted(set(cabins)):
        session.execute(LOCK_CABIN, {"flight_id": flight_id, "cabin": cabin})


def import_timetable(
    session: Session,
    rows: Iterable[tuple[int, list[str]]],
    *,
    bad_row: Callable[[int, str], None],
    progress: Callable[[str, int], None],
    dry_run: bool = False,
) -> Counts:
    """Keep the flights of `rows` (line number and cells in the order of forms.COLUMNS), all of them or none.

    Every reason why a row cannot be kept goes to `bad_row` with its line number; any at all raises TimetableRefused.
    A flight that is known (by carrier, number, origin and departure date) is changed unless its seats are held or sold;
    the same file twice changes nothing. `progress` hears what is being done, to how many rows. `dry_run` only looks.
    """
    wrong: list[int] = []

    def report(line: int, reason: str) -> None:
        wrong.append(line)
        bad_row(line, reason)

    timetable.enter(session)
    fleet.ensure_aircraft(session)
    parser = TimetableParser(all_places(session), fleet.aircraft_codes(session))
    total = timetable.stage(session, _parsed(parser, rows, report, progress))
    progress("checking", total)
    for line, reason in timetable.conflicts(session):
        report(line, reason)
    if wrong:
        count = len(set(wrong))
        raise TimetableRefused(f"{count:,} bad {'row' if count == 1 else 'rows'}; nothing was imported.")
    counts = timetable.counts(session)
    if not dry_run:
        progress("writing", total)
        _keep_staged(session)
    return counts


def extend_demo(session: Session, today: date) -> int:
    """Bring the demo airline's flights up to a year ahead of `today`; returns how many were added.

    The first call also makes aircraft, airlines and the 60 days before. Airports must be there.
    """
    timetable.enter(session)
    fleet.ensure_aircraft(session)
    last = timetable.last_day(session, demo.CARRIER)
    first, until = (last + timedelta(days=1) if last else today - demo.BEFORE), today + demo.AHEAD
    if first > until:
        return 0
    network = demo.network()
    places = places_by_code(session, {code for route in network for code in (route.origin, route.destination)})
    added = timetable.stage(session, demo.flights(network, places, first, until))
    _keep_staged(session)
    return added


def _parsed(
    parser: TimetableParser,
    rows: Iterable[tuple[int, list[str]]],
    report: Callable[[int, str], None],
    progress: Callable[[str, int], None],
) -> Iterator[DatedFlight]:
    # Runs inside the COPY, so nothing here may use the database.
    for count, (line, cells) in enumerate(rows, 1):
        found = parser.parse(line, cells)
        if isinstance(found, DatedFlight):
            yield found
        else:
            for reason in found:
                report(line, reason)
        if count % PROGRESS_EVERY == 0:
            progress("reading", count)


def _keep_staged(session: Session) -> None:
    fleet.ensure_carriers(session, timetable.carriers(session))
    timetable.merge(session)
    session.execute(text("analyze flights, flight_cabins"))
    mark_served(session)


def _take(session: Session, holder: UUID, wish: SeatWish, minutes: int) -> datetime:
    values = {"holder": holder, "minutes": minutes, "flight_id": wish.flight_id, "cabin": wish.cabin}
    deadline: datetime | None = session.scalar(TAKE, {**values, "seats": wish.seats})
    if deadline is None and _drop_lapsed(session, wish):
        deadline = session.scalar(TAKE, {**values, "seats": wish.seats})
    if deadline is None:
        raise SoldOut() if session.scalar(OPEN, {"flight_id": wish.flight_id}) else FlightClosed()
    return deadline


def _drop_lapsed(session: Session, wish: SeatWish) -> bool:
    lapsed = session.execute(DROP_LAPSED, {"flight_id": wish.flight_id, "cabin": wish.cabin}).all()
    seats = sum(row.seats for row in lapsed)
    _move(session, [(wish.flight_id, wish.cabin, -seats, 0)] if lapsed else ())
    return bool(lapsed)


def _move(session: Session, moves: Iterable[tuple[int, str, int, int]]) -> None:
    for flight_id, cabin, held, sold in sorted(moves):
        values: dict[str, Any] = {"flight_id": flight_id, "cabin": cabin, "held": held, "sold": sold}
        if session.scalar(MOVE, values) is None:
            raise SaleClosed()

"""Seats by name: choose, keep, give up, read, and seat everybody anew after a swap of aircraft.

A named seat belongs to one passenger on one flight: the primary key (flight, seat) is the last wall, whoever clicks at
once. Every verb that changes names takes one lock for each name that it may touch, in sorted order, after the caller's
own locks (booking row, claims) and before any cabin's counters; it waits three seconds and then says Busy. A lapsed
hold's names are free: who wants one takes the whole lapsed claim away, so that its late payment finds it lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg.errors
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from portal.flights import queries, rules
from portal.flights.errors import Busy, SeatTaken, SeatUnknown
from portal.flights.rules import CabinPlan, Moved, Seat, SeatPlan, SeatRow

WAITED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
PATIENCE = text("set local lock_timeout = '3s'")
# A row lock would not do: most of the seats that are chosen have no row yet.
LOCK = text(
    """
    select pg_advisory_xact_lock(flight_id, hashtext(seat))
    from unnest(cast(:flights as int[]), cast(:seats as text[])) wanted (flight_id, seat)
    """
)
# Keeps the claims from being dropped as lapsed while their holder chooses; selling and extending go on beside it.
CLAIMS = text("select flight_id, cabin from seat_claims where holder = :holder order by 1, 2 for key share")
OWN = text(
    """
    select flight_id, seat, occupant, successor, tentative_until is null as firm from named_seats
    where holder = :holder order by flight_id, seat
    """
)
PLAN = text(
    """
    select n.seat, n.holder, n.occupant from named_seats n join seat_claims c using (holder, flight_id, cabin)
    where n.flight_id = :flight_id and (c.expires_at is null or c.expires_at > now())
      and (n.tentative_until is null or n.tentative_until > now())
    """
)
NAMES = text(
    """
    select a.aircraft, c.cabin, a.first_row, a.last_row, a.layout
    from flights f join flight_cabins c on c.flight_id = f.id
    join aircraft_cabins a on a.aircraft = f.aircraft and a.cabin = c.cabin where f.id = :flight_id
    """
)
# SKIP LOCKED: a lapsed claim that its holder is selling at this moment is that holder's.
DROP_LAPSED = text(
    """
    delete from seat_claims where (holder, flight_id, cabin) in (
        select c.holder, c.flight_id, c.cabin from seat_claims c join named_seats n using (holder, flight_id, cabin)
        where c.flight_id = :flight_id and n.seat = :seat and c.holder <> :holder and c.expires_at <= now()
        for update of c skip locked)
    returning flight_id, cabin, seats
    """
)
DROP_TENTATIVE = text(
    """
    delete from named_seats
    where flight_id = :flight_id and seat = :seat and holder <> :holder and tentative_until <= now()
    """
)
TAKE = text(
    """
    insert into named_seats (flight_id, seat, cabin, holder, occupant, tentative_until)
    values (:flight_id, :seat, :cabin, :holder, :occupant, now() + make_interval(mins => cast(:minutes as int)))
    on conflict (flight_id, seat) do nothing returning seat
    """
)
LEAVE = text("delete from named_seats where holder = :holder and flight_id = :flight_id and seat = :seat")
HAND_ON = text(
    "update named_seats set successor = :occupant where holder = :holder and flight_id = :flight_id and seat = :seat"
)
FORGET = text("update named_seats set successor = null where holder = :holder and successor = any(:occupants)")
FREED = text("update flight_cabins set held = held - :seats where flight_id = :flight_id and cabin = :cabin")
SEATED = text("select holder, occupant, cabin, seat from named_seats where flight_id = :flight_id order by seat")
DROP_SET_ASIDE = text("delete from named_seats where flight_id = :flight_id and tentative_until is not null")
FIRM = text("select flight_id, occupant, seat from named_seats where holder = :holder and tentative_until is null")


@dataclass(frozen=True, slots=True, order=True)
class SeatChoice:
    """A seat by name for one passenger on one flight."""

    flight_id: int
    seat: str
    occupant: UUID


@dataclass(frozen=True, slots=True)
class _Own:
    flight_id: int
    seat: str
    occupant: UUID
    successor: UUID | None
    firm: bool


def choose(
    session: Session, *, holder: UUID, choices: Sequence[SeatChoice], tentative_minutes: int | None = None
) -> None:
    """Seat these passengers; each chosen seat replaces what the passenger had on that flight, all of them or none.

    Within a party seats may be swapped. With `tentative_minutes` the seats are only set aside for so long, and what the
    passengers had stays theirs until `keep`. The caller holds the lock of what stands above the claims (the booking)
    and rolls back on any error: SeatTaken (by whom ever, also twice in `choices`), SeatUnknown (not in the cabin that
    the holder has there), Busy (waited three seconds).
    """
    with _patiently(session):
        cabins = _claims(session, holder)
        _check_known(session, cabins, choices)
        own = _locked(session, holder, choices)
        _check_twice(own, choices)
        if tentative_minutes is None:
            _choose_firmly(session, holder, choices, own, cabins)
        else:
            _set_aside(session, holder, choices, own, cabins, tentative_minutes)


def keep(session: Session, *, holder: UUID, occupants: Collection[UUID]) -> dict[tuple[int, UUID], str]:
    """Make firm what was set aside for these passengers, and give up what they had on those flights.

    Returns what was made firm, by (flight, passenger): a seat that was set aside too long ago and went to somebody else
    is not in it. Again changes nothing. Raises Busy.
    """
    with _patiently(session):
        _claims(session, holder)
        own = _locked(session, holder, ())
        wanted = {(one.flight_id, who): one for who in occupants for one in own if _next_owner(one) == who}
        gone = [
            one for one in own if one.firm and (one.flight_id, one.occupant) in wanted and one not in wanted.values()
        ]
        for one in (*gone, *wanted.values()):
            session.execute(LEAVE, {"holder": holder, "flight_id": one.flight_id, "seat": one.seat})
        choices = [SeatChoice(flight, one.seat, who) for (flight, who), one in wanted.items()]
        _take(session, holder, choices, _claims(session, holder))
    return {(one.flight_id, one.occupant): one.seat for one in choices}


def give_up(
    session: Session,
    *,
    holder: UUID,
    occupant: UUID | None = None,
    flight_id: int | None = None,
    tentative_only: bool = False,
) -> None:
    """Give back the names of a holder: all, one passenger's, one flight's; or only what was set aside. Raises Busy."""
    with _patiently(session):
        _claims(session, holder)
        for one in _locked(session, holder, ()):
            if flight_id not in (None, one.flight_id):
                continue
            if occupant in (None, one.occupant) and not (tentative_only and one.firm):
                session.execute(LEAVE, {"holder": holder, "flight_id": one.flight_id, "seat": one.seat})
            elif one.successor is not None and occupant in (None, one.successor):
                session.execute(FORGET, {"holder": holder, "occupants": [one.successor]})


def seats_of(session: Session, holder: UUID) -> dict[tuple[int, UUID], str]:
    """Return the firm seats of a holder by (flight, passenger)."""
    return {(row.flight_id, row.occupant): row.seat for row in session.execute(FIRM, {"holder": holder})}


def seat_plan(session: Session, flight_id: int) -> SeatPlan:
    """Return the flight's seats with who has them; lapsed holds and lapsed tentative names count as free."""
    taken = {row.seat: (row.holder, row.occupant) for row in session.execute(PLAN, {"flight_id": flight_id})}
    return SeatPlan(flight_id, tuple(_cabin(one, taken) for one in queries.cabin_maps(session, flight_id)))


def reassign(session: Session, flight_id: int, *, before: SeatPlan) -> list[Moved]:
    """Seat everybody anew on the flight's present aircraft; `before` is the plan as it was. Returns who moved.

    Whose seat is still there keeps it; the others get the nearest like it, parties together, never an exit row; who
    finds none in the cabin is left without a name (`new` is None). The caller has locked the flight against sales.
    What was set aside for a payment is given up.
    """
    empty = SeatPlan(flight_id, tuple(_cabin(one, {}) for one in queries.cabin_maps(session, flight_id)))
    aboard = {seat.name for plan in (before, empty) for cabin in plan.cabins for seat in cabin.seats}
    with _patiently(session):
        _lock_names(session, {(flight_id, name) for name in aboard})
        session.execute(DROP_SET_ASIDE, {"flight_id": flight_id})
        rows = session.execute(SEATED, {"flight_id": flight_id}).all()
        moves = rules.reseat(empty, [(row.holder, row.occupant, row.cabin, _was(before, row.seat)) for row in rows])
        for one in moves:
            session.execute(LEAVE, {"holder": one.holder, "flight_id": flight_id, "seat": one.old})
        for one in moves:
            if one.new is not None:
                choice = SeatChoice(flight_id, one.new, one.occupant)
                _take(session, one.holder, [choice], _claims(session, one.holder))
    return moves


def _was(before: SeatPlan, name: str) -> Seat:
    return before.seat(name) or Seat(name, (), int(name[:-1]), ord(name[-1]) - ord("A"))


def next_best(plan: SeatPlan, cabin: str, name: str, *, besides: Collection[str] = ()) -> str | None:
    """Return the free seat nearest to `name`, one like it (window, middle, aisle) before others; None: all are taken.

    A seat by an exit is only offered instead of another one by an exit, and none of `besides`.
    """
    wanted = plan.seat(name)
    there = plan.cabin(cabin)
    if wanted is None or there is None:
        return None
    fits = [s for s in there.seats if "exit" in wanted.features or "exit" not in s.features]
    free = [s for s in fits if not s.taken and s != wanted and s.name not in besides]
    best = min(free, key=lambda s: (s.features[:1] != wanted.features[:1], rules.apart(s, wanted)), default=None)
    return best.name if best else None


def _cabin(one: queries.CabinMap, taken: dict[str, tuple[UUID, UUID]]) -> CabinPlan:
    rows = (_row(one, number, taken) for number in range(one.first_row, one.last_row + 1))
    return CabinPlan(one.cabin, one.layout, tuple(rows), one.free)


def _row(one: queries.CabinMap, number: int, taken: dict[str, tuple[UUID, UUID]]) -> SeatRow:
    # Only where knees touch the row in front are legroom and the way out worth a word.
    tight = one.cabin in ("economy", "premium")
    seats = _empty_row(number, one.layout, tuple(one.exit_rows), one.first_row if tight else 0)
    return SeatRow(number, tuple(_seated(seat, taken) for seat in seats), number in one.exit_rows)


@lru_cache(maxsize=4096)
def _empty_row(number: int, layout: str, exit_rows: tuple[int, ...], first_row: int) -> tuple[Seat | None, ...]:
    return tuple(rules.seat_row(number, layout, exit_rows, first_row=first_row))


def _seated(seat: Seat | None, taken: dict[str, tuple[UUID, UUID]]) -> Seat | None:
    if seat is None or seat.name not in taken:
        return seat
    return Seat(seat.name, seat.features, seat.row, seat.across, *taken[seat.name])


@contextmanager
def _patiently(session: Session) -> Iterator[None]:
    session.execute(PATIENCE)
    try:
        yield
    except OperationalError as no:
        if isinstance(no.orig, WAITED):
            raise Busy() from None
        raise


def _claims(session: Session, holder: UUID) -> dict[int, str]:
    return {row.flight_id: row.cabin for row in session.execute(CLAIMS, {"holder": holder})}


def _check_known(session: Session, cabins: dict[int, str], choices: Iterable[SeatChoice]) -> None:
    known: dict[int, set[str]] = {}
    for one in choices:
        if one.flight_id not in known:
            known[one.flight_id] = _names(session, one.flight_id, cabins.get(one.flight_id, ""))
        if one.seat not in known[one.flight_id]:
            raise SeatUnknown(one.seat)


def _names(session: Session, flight_id: int, cabin: str) -> set[str]:
    rows = session.execute(NAMES, {"flight_id": flight_id}).all()
    return {
        f"{number}{letter}"
        for row in rows
        if row.cabin == cabin
        for number in range(row.first_row, row.last_row + 1)
        for letter in row.layout.replace(" ", "")
    }


def _locked(session: Session, holder: UUID, choices: Iterable[SeatChoice]) -> list[_Own]:
    """Lock every name that the holder has or wants, in sorted order, and return what it has."""
    before = {(row.flight_id, row.seat) for row in session.execute(OWN, {"holder": holder})}
    _lock_names(session, before | {(one.flight_id, one.seat) for one in choices})
    return [_Own(*row) for row in session.execute(OWN, {"holder": holder})]


def _lock_names(session: Session, names: Collection[tuple[int, str]]) -> None:
    ordered = sorted(names)
    values = {"flights": [flight for flight, _ in ordered], "seats": [seat for _, seat in ordered]}
    session.execute(LOCK, values).all()


def _check_twice(own: Sequence[_Own], choices: Sequence[SeatChoice]) -> None:
    """Raise SeatTaken where two of a party would sit on one seat."""
    after = {(one.flight_id, one.occupant): one.seat for one in own if one.firm}
    after |= {(one.flight_id, one.occupant): one.seat for one in choices}
    seen: set[tuple[int, str]] = set()
    for (flight, _who), seat in after.items():
        if (flight, seat) in seen:
            raise SeatTaken(seat, flight_id=flight)
        seen.add((flight, seat))


def _choose_firmly(
    session: Session, holder: UUID, choices: Sequence[SeatChoice], own: Sequence[_Own], cabins: dict[int, str]
) -> None:
    who = {(one.flight_id, one.occupant) for one in choices}
    wanted = {(one.flight_id, one.seat, one.occupant) for one in choices}
    kept = {(one.flight_id, one.seat, one.occupant) for one in own if one.firm} & wanted
    session.execute(FORGET, {"holder": holder, "occupants": [one.occupant for one in choices]})
    for one in own:
        moving = (one.flight_id, one.occupant) in who or (not one.firm and _wants(choices, one))
        if moving and (one.flight_id, one.seat, one.occupant) not in kept:
            session.execute(LEAVE, {"holder": holder, "flight_id": one.flight_id, "seat": one.seat})
    fresh = [one for one in choices if (one.flight_id, one.seat, one.occupant) not in kept]
    _take(session, holder, fresh, cabins)


def _wants(choices: Sequence[SeatChoice], one: _Own) -> bool:
    return any((choice.flight_id, choice.seat) == (one.flight_id, one.seat) for choice in choices)


def _set_aside(
    session: Session,
    holder: UUID,
    choices: Sequence[SeatChoice],
    own: Sequence[_Own],
    cabins: dict[int, str],
    minutes: int,
) -> None:
    who = {(one.flight_id, one.occupant) for one in choices}
    session.execute(FORGET, {"holder": holder, "occupants": [one.occupant for one in choices]})
    for one in own:
        if not one.firm and ((one.flight_id, one.occupant) in who or _wants(choices, one)):
            session.execute(LEAVE, {"holder": holder, "flight_id": one.flight_id, "seat": one.seat})
    firm = {(one.flight_id, one.seat): one.occupant for one in own if one.firm}
    for choice in sorted(choices):
        owner = firm.get((choice.flight_id, choice.seat))
        if owner is None:
            _take(session, holder, [choice], cabins, minutes=minutes)
        elif owner != choice.occupant:
            values = {"holder": holder, "flight_id": choice.flight_id, "seat": choice.seat}
            session.execute(HAND_ON, {**values, "occupant": choice.occupant})


def _next_owner(one: _Own) -> UUID | None:
    return one.occupant if not one.firm else one.successor


def _take(
    session: Session,
    holder: UUID,
    choices: Iterable[SeatChoice],
    cabins: dict[int, str],
    *,
    minutes: int | None = None,
) -> None:
    freed: list[Any] = []
    for one in sorted(choices):
        values: dict[str, Any] = {"holder": holder, "flight_id": one.flight_id, "seat": one.seat}
        freed += session.execute(DROP_LAPSED, values).all()
        session.execute(DROP_TENTATIVE, values)
        taken = {**values, "cabin": cabins[one.flight_id], "occupant": one.occupant, "minutes": minutes}
        if session.scalar(TAKE, taken) is None:
            raise SeatTaken(one.seat, flight_id=one.flight_id)
    for row in sorted((row.flight_id, row.cabin, row.seats) for row in freed):
        session.execute(FREED, dict(zip(("flight_id", "cabin", "seats"), row, strict=True)))

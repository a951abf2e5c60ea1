"""Pure rules of flights: distances, hours in the air, clocks and seat maps. No session, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

EARTH_KM = 6371.0
LONGEST = timedelta(hours=20)
Feature = Literal["window", "middle", "aisle", "exit", "legroom", "front"]
FRONT_ROWS = 4
# How far a seat behind is, counted in seats beside: a party rather sits across an aisle than in two rows.
ROW_APART = 5


def distance_km(here: tuple[float, float], there: tuple[float, float]) -> int:
    """Return the great-circle distance of two (latitude, longitude) points in degrees, in whole kilometres."""
    south, west, north, east = map(radians, (*here, *there))
    chord = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin((east - west) / 2) ** 2
    return round(2 * EARTH_KM * asin(sqrt(min(1.0, chord))))


def to_utc(local: datetime, zone: ZoneInfo, *, second: bool = False) -> datetime | None:
    """Return the instant of a wall clock time, or None if clocks skip it (a night in spring).

    A time that comes twice (a night in autumn) means the first, or the second where asked for.
    """
    instant = local.replace(tzinfo=zone, fold=int(second)).astimezone(UTC)
    return instant if instant.astimezone(zone).replace(tzinfo=None, fold=0) == local else None


class DatedFlight(NamedTuple):
    """One flight on one day, ready to be kept; `line` says where in a file it came from (0: from no file)."""

    line: int
    carrier: str
    number: int
    origin: str
    destination: str
    departs_on: date
    departure_local: datetime
    arrival_local: datetime
    departure_at: datetime
    arrival_at: datetime
    aircraft: str
    distance_km: int
    fare_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Seat:
    """A seat by its name, `14B`, and what it is; `holder` and `occupant` say who has it, None while it is free."""

    name: str
    features: tuple[Feature, ...]
    row: int
    across: int
    holder: UUID | None = None
    occupant: UUID | None = None

    @property
    def taken(self) -> bool:
        """True when somebody has it."""
        return self.holder is not None


@dataclass(frozen=True, slots=True)
class SeatRow:
    """One row from left to right, None for an aisle."""

    number: int
    seats: tuple[Seat | None, ...]
    by_exit: bool


@dataclass(frozen=True, slots=True)
class CabinPlan:
    """One cabin as drawn; `free` is how many of its seats are still for sale, named or not."""

    cabin: str
    layout: str
    rows: tuple[SeatRow, ...]
    free: int

    @property
    def seats(self) -> tuple[Seat, ...]:
        """Every seat, front to back, left to right."""
        return tuple(seat for row in self.rows for seat in row.seats if seat is not None)


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """The seats of one flight, cabin by cabin from the nose."""

    flight_id: int
    cabins: tuple[CabinPlan, ...]

    def cabin(self, name: str) -> CabinPlan | None:
        """Return the cabin, or None where the aircraft has no such one."""
        return next((one for one in self.cabins if one.cabin == name), None)

    def seat(self, name: str) -> Seat | None:
        """Return the seat of that name, or None."""
        return next((seat for cabin in self.cabins for seat in cabin.seats if seat.name == name), None)


def seat_row(number: int, layout: str, exit_rows: Sequence[int], *, first_row: int = 0) -> Iterator[Seat | None]:
    """Yield a row's seats from left to right, None for an aisle. A lone seat is window and aisle at once.

    Exit rows and the first row of a cabin have extra legroom; the first four rows of a cabin are its front.
    """
    by_exit, nth = number in exit_rows, number - first_row if first_row else -1
    more: tuple[Feature, ...] = tuple(
        name for name, is_so in _row_features(by_exit=by_exit, first=nth == 0, front=0 <= nth < FRONT_ROWS) if is_so
    )
    for at, letter in enumerate(layout):
        yield Seat(f"{number}{letter}", (*_place(layout, at), *more), number, at) if letter != " " else None


def _row_features(*, by_exit: bool, first: bool, front: bool) -> tuple[tuple[Feature, bool], ...]:
    return (("exit", by_exit), ("legroom", by_exit or first), ("front", front))


def _place(layout: str, at: int) -> tuple[Feature, ...]:
    window = at in (0, len(layout) - 1)
    aisle = " " in (layout[at - 1 : at], layout[at + 1 : at + 2])
    kinds: tuple[tuple[Feature, bool], ...] = (
        ("window", window),
        ("middle", not window and not aisle),
        ("aisle", aisle),
    )
    return tuple(name for name, is_so in kinds if is_so)


_Group = tuple[int, int, list[int]]


def apart(one: Seat, other: Seat) -> int:
    """Return how far two seats are from each other, in seats; an aisle counts as one, a row as five."""
    return abs(one.across - other.across) + ROW_APART * abs(one.row - other.row)


def suggest(
    cabin: CabinPlan,
    count: int,
    *,
    may: Callable[[Seat], bool] = lambda _seat: True,
    cost: Callable[[Seat], int] = lambda _seat: 0,
) -> list[Seat] | None:
    """Return `count` free seats that keep a party together, in the order of the rows, or None when there are too few.

    Side by side wherever some row allows it, else as near to one seat as can be; of equals, those that cost least, then
    those nearest the nose.
    """
    free = [seat for seat in cabin.seats if not seat.taken and may(seat)]
    if count < 1 or len(free) < count:
        return None
    if count == 1:
        return [min(free, key=cost)]
    places = [(seat.row, seat.across, cost(seat)) for seat in free]
    _far, _dear, best = min((_around(place, places, count) for place in places), key=lambda found: found[:2])
    return sorted((free[at] for at in best), key=lambda seat: (seat.row, seat.across))


def _around(middle: tuple[int, int, int], places: Sequence[tuple[int, int, int]], count: int) -> _Group:
    """Return how far (as `apart` reckons) and how dear the nearest are in all, and which these are."""
    here, middle_across, _cost = middle
    reckoned = (
        (abs(across - middle_across) + ROW_APART * abs(row - here), cost, at)
        for at, (row, across, cost) in enumerate(places)
    )
    near = sorted(reckoned)[:count]
    return sum(far for far, _, _ in near), sum(cost for _, cost, _ in near), [at for _, _, at in near]


@dataclass(frozen=True, slots=True)
class Moved:
    """Whom a swap of the aircraft moves: from seat `old` to `new`, or to none when the cabin has no fitting one."""

    holder: UUID
    occupant: UUID
    cabin: str
    old: str
    new: str | None


def reseat(plan: SeatPlan, seated: Iterable[tuple[UUID, UUID, str, Seat]]) -> list[Moved]:
    """Return who must move on this plan (nobody in it yet), for (holder, occupant, cabin, seat as it was) each.

    A seat that is still there and no nearer to an exit is kept. The others get the free seat that is most like the old
    one – window, middle or aisle, never by an exit – and nearest to their party, party by party.
    """
    everybody = sorted(seated, key=lambda one: (one[2], str(one[0]), one[3].row, one[3].across))
    taken: dict[str, set[str]] = {}
    party: dict[tuple[UUID, str], list[Seat]] = {}
    moving = []
    for holder, occupant, cabin, old in everybody:
        same = _same(plan, cabin, old)
        if same is None:
            moving.append((holder, occupant, cabin, old))
        else:
            taken.setdefault(cabin, set()).add(same.name)
            party.setdefault((holder, cabin), []).append(same)
    return [_moved(plan, one, taken, party) for one in moving]


def _same(plan: SeatPlan, cabin: str, old: Seat) -> Seat | None:
    found = next((seat for seat in _seats(plan, cabin) if seat.name == old.name), None)
    return found if found and ("exit" not in found.features or "exit" in old.features) else None


def _seats(plan: SeatPlan, cabin: str) -> tuple[Seat, ...]:
    there = plan.cabin(cabin)
    return there.seats if there else ()


def _moved(
    plan: SeatPlan,
    one: tuple[UUID, UUID, str, Seat],
    taken: dict[str, set[str]],
    party: dict[tuple[UUID, str], list[Seat]],
) -> Moved:
    holder, occupant, cabin, old = one
    gone, mates = taken.setdefault(cabin, set()), party.setdefault((holder, cabin), [])
    free = [seat for seat in _seats(plan, cabin) if seat.name not in gone and "exit" not in seat.features]
    if not free:
        return Moved(holder, occupant, cabin, old.name, None)
    near = mates or [old]
    new = min(free, key=lambda seat: (sum(apart(seat, mate) for mate in near), seat.features[:1] != old.features[:1]))
    gone.add(new.name)
    mates.append(new)
    return Moved(holder, occupant, cabin, old.name, new.name)

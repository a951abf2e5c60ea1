"""Pure rules of flights: distances, hours in the air, clocks and seat maps. No session, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

EARTH_KM = 6371.0
LONGEST = timedelta(hours=20)
Feature = Literal["window", "middle", "aisle", "exit"]


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
    """A seat by its name, `14B`, with what it is: window, middle, aisle; exit."""

    name: str
    features: tuple[Feature, ...]


def seat_row(number: int, layout: str, exit_rows: Sequence[int]) -> Iterator[Seat | None]:
    """Yield a row's seats from left to right, None for an aisle. A lone seat is window and aisle at once."""
    for at, letter in enumerate(layout):
        yield Seat(f"{number}{letter}", _features(layout, at, number in exit_rows)) if letter != " " else None


def _features(layout: str, at: int, by_exit: bool) -> tuple[Feature, ...]:
    window = at in (0, len(layout) - 1)
    aisle = " " in (layout[at - 1 : at], layout[at + 1 : at + 2])
    kinds: tuple[tuple[Feature, bool], ...] = (
        ("window", window),
        ("middle", not window and not aisle),
        ("aisle", aisle),
        ("exit", by_exit),
    )
    return tuple(name for name, is_so in kinds if is_so)

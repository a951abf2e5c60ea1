"""Who is next in line, when a line ends, and when a lower fare is worth a mail. Pure: `now` is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from portal.flights.queries import FlightView
from portal.places.queries import Place
from portal.pricing.rules import Party

HOLD_MINUTES = 180
LINE_ENDS = timedelta(hours=6)
SHORTEST_INLAND, SHORTEST, LONGEST = timedelta(minutes=60), timedelta(minutes=90), timedelta(hours=24)
QUIET = timedelta(days=3)
MOST_WAITS, MOST_ALERTS = 5, 20
PENDING_KEPT = timedelta(days=7)

T = TypeVar("T")


def next_in_line(line: Sequence[tuple[T, int]], free: int) -> T | None:
    """Return who is offered seats next: the first in line whose party fits into the `free` seats, or None.

    `line` is (who, seats wanted) in the order of joining. A party is passed over only while it is too large.
    """
    return next((who for who, seats in line if seats <= free), None)


def is_closed(flight: FlightView, now: datetime) -> bool:
    """True once nobody waits for the flight: it leaves within six hours, or not at all.

    A hold of three hours then still ends two hours before sales close.
    """
    return flight.status != "scheduled" or flight.departure_at - now <= LINE_ENDS


def connects(first: FlightView, second: FlightView) -> bool:
    """True where one may change from the first flight to the second: at one airport, in time, and not back again.

    60 minutes at least where neither crosses a border, else 90; at most 24 hours.
    """
    places = (first.origin, first.destination, second.destination)
    least = SHORTEST_INLAND if len({one.country for one in places}) == 1 else SHORTEST
    wait = second.departure_at - first.arrival_at
    there = first.destination.code == second.origin.code and first.origin.code != second.destination.code
    return there and least <= wait <= LONGEST


@dataclass(frozen=True, slots=True)
class Heard:
    """What an alert remembers: whether the next price below counts as a new drop, and what was last told, and when."""

    armed: bool = True
    told_minor: int | None = None
    told_at: datetime | None = None


def hear(heard: Heard, price_minor: int | None, below_minor: int, now: datetime) -> tuple[Heard, bool]:
    """Return what is remembered after seeing a price (None: nothing for sale), and whether it is worth a mail.

    A drop is told once, and no second one within three days – unless it is lower than what was told last.
    """
    if price_minor is None:
        return heard, False
    if price_minor >= below_minor:
        return Heard(True, heard.told_minor, heard.told_at), False
    quiet = heard.told_at is not None and now - heard.told_at < QUIET
    lower = heard.told_minor is not None and price_minor < heard.told_minor
    if (heard.armed and not quiet) or lower:
        return Heard(False, price_minor, now), True
    return heard, False


@dataclass(frozen=True, slots=True)
class FullFlight:
    """A flight, or two that connect, without seats for a party, and how many parties wait for it."""

    flight: FlightView
    free: int
    waiting: int
    onward: FlightView | None = None


@dataclass(frozen=True, slots=True)
class WaitView:
    """A place in a line as its party sees it. `ahead` counts who came before and waits still."""

    id: UUID
    flight: FlightView
    cabin: str
    party: Party
    email: str
    user_id: UUID | None
    locale: str
    state: str
    created_at: datetime
    ahead: int
    reference: str | None
    expires_at: datetime | None
    onward: FlightView | None = None

    @property
    def destination(self) -> Place:
        """Where the party wants to go."""
        return (self.onward or self.flight).destination


@dataclass(frozen=True, slots=True)
class AlertView:
    """A fare alert as its owner sees it; it listens to one day, or to a whole month."""

    id: UUID
    origin: Place
    destination: Place
    first_on: date
    last_on: date
    cabin: str
    party: Party
    below_minor: int
    currency: str
    email: str
    user_id: UUID | None
    locale: str
    state: str
    told_minor: int | None
    told_at: datetime | None
    created_at: datetime

    @property
    def one_day(self) -> bool:
        """True when it is about one day only."""
        return self.first_on == self.last_on

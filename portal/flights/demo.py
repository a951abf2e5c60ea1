"""The demo airline's flights: Meridian Air, its regional and its Asian partner. All three are invented, and say so.

demo_network.csv is its network: a route a row, with the first of its flight numbers, the days it flies (1 is Monday)
and its departures by local clock, out and back. Out flights have every second number, back flights the ones between.
From that and a span of days everything follows, the same every time: local times stay the same all year, also when
clocks change; arrivals follow from the hours in the air; fares from distance, route and hour. What the season, the day
and demand make of a fare is pricing's.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zlib import crc32
from zoneinfo import ZoneInfo

from portal.flights.rules import DatedFlight, distance_km
from portal.places.queries import Place

NETWORK = Path(__file__).with_name("demo_network.csv")
CARRIER, CURRENCY = "ME", "USD"
BEFORE, AHEAD = timedelta(days=60), timedelta(days=365)

# Kilometres a minute in the air; the others fly 13.4, and 14.6 beyond 4,000 km. The ground takes 38 minutes on top.
SLOW = {"AT76": 8.2, "DH8D": 9.5, "E75L": 12.6, "CRJ9": 12.6, "E190": 12.9}


@dataclass(frozen=True, slots=True)
class Route:
    """One departure of the network in one direction, with the days of the week on which it goes."""

    carrier: str
    number: int
    origin: str
    destination: str
    aircraft: str
    days: frozenset[int]
    leaves: time


def network() -> list[Route]:
    """Return every departure of the demo airline's week."""
    with NETWORK.open(encoding="utf-8", newline="") as file:
        return [route for row in csv.DictReader(file) for route in _routes(row)]


def flights(network: Iterable[Route], places: Mapping[str, Place], first: date, until: date) -> Iterator[DatedFlight]:
    """Yield the flights of `network` on the local days from `first` to `until`, both included."""
    legs = [_Leg(route, places[route.origin], places[route.destination]) for route in network]
    for offset in range((until - first).days + 1):
        day = first + timedelta(days=offset)
        for leg in legs:
            if day.isoweekday() in leg.route.days:
                yield leg.on(day)


def block_minutes(aircraft: str, km: int, west: bool) -> int:
    """Return the minutes from gate to gate, to the next five; going west takes longer than going east."""
    cruise = min(km, 4000) / SLOW.get(aircraft, 13.4) + max(km - 4000, 0) / 14.6
    return 5 * round((38 + cruise * (1.04 if west else 0.97)) / 5)


class _Leg:
    """A route with all that does not change from day to day worked out."""

    def __init__(self, route: Route, here: Place, there: Place) -> None:
        self.route = route
        self.here, self.there = ZoneInfo(here.time_zone), ZoneInfo(there.time_zone)
        self.km = distance_km((here.latitude, here.longitude), (there.latitude, there.longitude))
        west = (there.longitude - here.longitude + 540) % 360 < 180
        self.minutes = timedelta(minutes=block_minutes(route.aircraft, self.km, west))
        self.fare = _base_fare(route, self.km)

    def on(self, day: date) -> DatedFlight:
        leaves_at = datetime.combine(day, self.route.leaves, self.here).astimezone(UTC)
        lands_at = leaves_at + self.minutes
        route = self.route
        return DatedFlight(
            0,
            route.carrier,
            route.number,
            route.origin,
            route.destination,
            day,
            leaves_at.astimezone(self.here).replace(tzinfo=None),
            lands_at.astimezone(self.there).replace(tzinfo=None),
            leaves_at,
            lands_at,
            route.aircraft,
            self.km,
            100 * round(self.fare),
            CURRENCY,
        )


def _routes(row: Mapping[str, str]) -> Iterator[Route]:
    ends = row["origin"], row["destination"]
    days = frozenset(int(day) for day in row["days"])
    for back, (origin, destination) in enumerate((ends, ends[::-1])):
        for index, leaves in enumerate(row["back" if back else "out"].split()):
            number = int(row["number"]) + 2 * index + back
            yield Route(row["carrier"], number, origin, destination, row["aircraft"], days, time.fromisoformat(leaves))


def _base_fare(route: Route, km: int) -> float:
    """Return the fare in whole units: by distance, a little by route, less at hours that nobody likes."""
    market = 0.92 + crc32("".join(sorted((route.origin, route.destination))).encode()) % 17 / 100
    hour = 0.9 if route.leaves.hour < 7 or route.leaves.hour >= 21 else 1.0
    return (38 + 0.056 * min(km, 4000) + 0.042 * max(km - 4000, 0)) * market * hour

"""Search with connections on a national week, against numpy scanning every connection of the day for the same ways.

The scan has all that could be made ready beforehand: each pair of flights of the day that connects, in memory. For each
market it must find the very ways that the search offers, all of them and no other, or the benchmark fails.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from deploy.local.services import TestServices
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.search import service
from portal.search.forms import Criteria, SliceWish
from tests.benchmarks import load, search
from tests.benchmarks.report import Figure, Result

DAY, SECONDS, TURNS = search.DAY, 3, 3
DOMESTIC, INTERNATIONAL, LONGEST = 60, 90, 24 * 60
FLIGHTS = text(
    """
    select f.id, f.origin, f.destination, o.country, d.country, f.currency, f.departs_on = :day,
           (extract(epoch from f.departure_at) / 60)::int, (extract(epoch from f.arrival_at) / 60)::int
    from flights f join flight_cabins c on c.flight_id = f.id and c.cabin = 'economy'
         join airports o on o.code = f.origin join airports d on d.code = f.destination
    where f.departs_on between :day and cast(:day as date) + 3 and f.status = 'scheduled' and f.sale_closed_at is null
          and c.capacity > c.sold + c.held
    """
)
Ways = set[tuple[int, ...]]
Column = NDArray[Any]


@dataclass(frozen=True)
class Flights:
    """The day's flights and those of the days after, a column each; places, countries and money as numbers."""

    ids: Column
    origin: Column
    destination: Column
    starts_in: Column
    ends_in: Column
    currency: Column
    of_day: Column
    leaves: Column
    lands: Column


@dataclass(frozen=True)
class Connections:
    """Every pair of flights that connects and whose first is of the day: its ends, and both flights."""

    origin: Column
    destination: Column
    first: Column
    second: Column


def run() -> Result:
    """Import the week, check both for the same ways, then ask both in turns, one question after the other."""
    with TestServices() as services:
        count = search.imported(services)
        markets = search.markets(near=12, many=20)
        codes, flights = read_flights()
        pairs = connections(flights)
        for market in markets:
            _check(market, scan(flights, pairs, codes[market[0]], codes[market[1]]))
        numbers = [(codes[origin], codes[destination]) for origin, destination in markets]
        paths = [f"/api/flights/search?{search.query(market, 1)}" for market in markets]
        turns = []
        with load.serving(services, "portal.app:serve") as port:
            load.requests_per_second(port, paths, clients=1, seconds=SECONDS)
            for _ in range(TURNS):
                scanned = _scans_per_second(flights, pairs, numbers)
                turns.append((load.requests_per_second(port, paths, clients=1, seconds=SECONDS), scanned))
    rate, scanned = (median(column) for column in zip(*turns, strict=True))
    figure = Figure("JSON, up to one stop", rate, "a second", {"a numpy scan of the day's connections": scanned}, 2.0)
    data = f"{count:,} flights of one week, {len(pairs.first):,} connections of the day; {len(markets)} markets"
    notes = [
        "Both found the same ways in every market. One client, one question after the other, as the scan is asked.",
        "The scan only finds; the door also reads what is free now, prices, sorts, seals and writes its page of 50.",
    ]
    return Result("connections", data, [figure], notes)


def read_flights() -> tuple[dict[str, int], Flights]:
    """Return the number of each place, and the flights that have a seat for one."""
    with db.reading() as session:
        rows = session.execute(FLIGHTS, {"day": DAY}).all()
    ids, origins, destinations, starts, ends, money, of_day, leaves, lands = zip(*rows, strict=True)
    codes = _numbered({*origins, *destinations})
    countries, currencies = _numbered({*starts, *ends}), _numbered({*money})
    columns = (
        np.array(ids, np.int32),
        _column(origins, codes),
        _column(destinations, codes),
        _column(starts, countries),
        _column(ends, countries),
        _column(money, currencies),
        np.array(of_day, bool),
        np.array(leaves, np.int32),
        np.array(lands, np.int32),
    )
    return codes, Flights(*columns)


def _numbered(words: set[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(sorted(words))}


def _column(words: tuple[str, ...], numbers: dict[str, int]) -> Column:
    return np.array([numbers[word] for word in words], np.int16)


def connections(flights: Flights) -> Connections:
    """Return every connection of the day: at one airport, with time enough, not over a day, not back to the start."""
    made = [pair for hub in np.unique(flights.origin) for pair in _at(flights, hub)]
    first, second = (np.concatenate(column) for column in zip(*made, strict=True))
    return Connections(flights.origin[first], flights.destination[second], first, second)


def _at(flights: Flights, hub: int) -> Iterator[tuple[Column, Column]]:
    arriving = np.flatnonzero((flights.destination == hub) & flights.of_day)
    leaving = np.flatnonzero(flights.origin == hub)
    leaving = leaving[np.argsort(flights.leaves[leaving], kind="stable")]
    low, high = (
        np.searchsorted(flights.leaves[leaving], flights.lands[arriving] + minutes, side)
        for minutes, side in ((DOMESTIC, "left"), (LONGEST, "right"))
    )
    many = high - low
    first = np.repeat(arriving, many)
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    second = leaving[np.repeat(low, many) + within]
    home = flights.starts_in[first] == flights.ends_in[first]
    home &= flights.ends_in[first] == flights.ends_in[second]
    wait = flights.leaves[second] - flights.lands[first]
    fits = (wait >= np.where(home, DOMESTIC, INTERNATIONAL)) & (flights.currency[first] == flights.currency[second])
    fits &= flights.destination[second] != flights.origin[first]
    yield first[fits], second[fits]


def scan(flights: Flights, pairs: Connections, origin: int, destination: int) -> Ways:
    """Return the flight ids of every way of the day between two places, with at most one stop."""
    direct = flights.of_day & (flights.origin == origin) & (flights.destination == destination)
    found = (pairs.origin == origin) & (pairs.destination == destination)
    firsts, seconds = flights.ids[pairs.first[found]], flights.ids[pairs.second[found]]
    return {(one,) for one in flights.ids[direct].tolist()} | set(zip(firsts.tolist(), seconds.tolist(), strict=True))


def _scans_per_second(flights: Flights, pairs: Connections, numbers: list[tuple[int, int]]) -> float:
    done, began = 0, time.monotonic()
    while time.monotonic() - began < SECONDS:
        scan(flights, pairs, *numbers[done % len(numbers)])
        done += 1
    return done / (time.monotonic() - began)


def _check(market: tuple[str, str], expected: Ways) -> None:
    found: list[tuple[int, ...]] = []
    asked, cursor = SliceWish(*market, DAY), None
    with db.reading() as session:
        while True:
            criteria = Criteria((asked,), Party(), limit=200, sort="departure", cursor=cursor)
            (page,) = service.search(session, criteria, settings=Settings()).slices
            found += [tuple(leg.flight_id for leg in one.segments) for one in page.itineraries]
            cursor = page.next_cursor
            if cursor is None:
                break
    if len(found) != len(set(found)) or set(found) != expected:
        raise load.Failed(f"{market}: the search found {len(found)} ways, the scan {len(expected)}")

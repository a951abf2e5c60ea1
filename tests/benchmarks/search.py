"""Search on a national week: JSON and page, against the same SQL from pgbench and the same answer made from memory."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import text

from deploy.local.services import TestServices
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.search import queries, service
from portal.search.forms import Criteria, SliceWish
from tests.benchmarks import load
from tests.benchmarks.report import ROOT, Figure, Result
from tests.running import operate

DAY = date(2027, 3, 3)
CLIENTS, SECONDS, TURNS = 8, 3, 3
MARKETS = text(
    """
    select origin, destination, count(*) from flights where departs_on = :day group by 1, 2
    order by abs(count(*) - :near), origin, destination limit :many
    """
)


def run() -> Result:
    """Import the week, then measure each door beside its limits."""
    with TestServices() as services:
        count = imported(services)
        usual, wide = markets(near=12, many=20), markets(near=50, many=6)
        figures = [
            _figure(services, "JSON, non-stop", "/api/flights/search", usual, stops=0),
            _figure(services, "page, non-stop", "/flights", usual, stops=0),
            _figure(services, "page of about 50 non-stop itineraries", "/flights", wide, stops=0),
            _figure(services, "JSON, up to one stop", "/api/flights/search", usual, stops=1),
            _figure(services, "page of 50, up to one stop", "/flights", usual, stops=1),
        ]
    data = f"{count:,} flights of one week; {len(usual)} markets of about 12 flights a day; {CLIENTS} clients"
    notes = [
        "pgbench runs the API door's statement, prepared; the page's also counts what the list may be narrowed by.",
        "Two server processes, the clients and PostgreSQL share the machine, as do the limits with their own.",
    ]
    return Result("search", data, figures, notes)


def imported(services: TestServices) -> int:
    """Import the week, or BENCH_TIMETABLE, and return how many flights it has."""
    week = Path(os.environ.get("BENCH_TIMETABLE", ROOT / "tests" / "data" / "us-week.csv.gz"))
    operate(services, ["migrate"], ["schedule", "import", str(week)])
    db.connect(Settings(database_url=services.postgres.serving_url))
    with db.writing() as session:
        session.execute(text("analyze"))
        return int(session.scalar(text("select count(*) from flights")) or 0)


def markets(**wanted: Any) -> list[tuple[str, str]]:
    """Return `many` pairs of ends that have about `near` flights on the day."""
    with db.reading() as session:
        return [(row[0], row[1]) for row in session.execute(MARKETS, {"day": DAY, **wanted})]


def _figure(services: TestServices, name: str, path: str, wanted: list[tuple[str, str]], *, stops: int) -> Figure:
    """Measure in turns, the door and its limits, so that whatever else the machine does hits them alike."""
    paths = [f"{path}?{query(market, stops)}" for market in wanted]
    kept = ["/api/memory" if path.startswith("/api/") else "/memory"]
    statements = [_statement(services, market, stops) for market in wanted]
    middle = query(wanted[len(wanted) // 2], stops)
    turns = []
    with (
        load.serving(services, "portal.app:serve") as port,
        load.serving(services, "tests.benchmarks.memory:app", BENCH_QUERY=middle) as memory,
    ):
        for warming, asked in ((port, paths), (memory, kept)):
            _rate(warming, asked)
        for _ in range(TURNS):
            sql = load.pgbench(services, statements, clients=CLIENTS, seconds=SECONDS)
            turns.append((_rate(port, paths), sql, _rate(memory, kept)))
    rate, sql, remembered = (median(column) for column in zip(*turns, strict=True))
    limits = {"the same SQL from pgbench": sql, "the same answer from memory": remembered}
    return Figure(name, rate, "a second", limits, 0.5)


def _rate(port: int, paths: list[str]) -> float:
    return load.requests_per_second(port, paths, clients=CLIENTS, seconds=SECONDS)


def query(market: tuple[str, str], stops: int) -> str:
    """Return a search for the market on the day, as an address has it."""
    return urlencode(
        {"origin": market[0], "destination": market[1], "departureDate": DAY.isoformat(), "maxStops": stops}
    )


def _statement(services: TestServices, market: tuple[str, str], stops: int) -> str:
    """Return the statement that a search really sends, with its values."""
    asked: list[queries.Ask] = []
    real = queries.ways

    def keep(session: Any, ask: queries.Ask) -> Any:
        asked.append(ask)
        return real(session, ask)

    queries.ways = keep
    try:
        with db.reading() as session:
            criteria = Criteria((SliceWish(*market, DAY),), Party(), max_stops=stops)
            service.search(session, criteria, settings=Settings())
    finally:
        queries.ways = real
    return load.literal(services, queries.statement(asked[0]), queries.values(asked[0]))

"""The demo airline: believable, the same every time, rolling; and a real week, imported whole."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from portal import cli
from portal.flights import demo, service
from portal.flights.queries import broken_counters
from portal.flights.rules import DatedFlight
from portal.kit import db
from portal.kit.settings import Settings
from portal.places import service as places
from portal.places.queries import Place, all_places

WEEK = Path(__file__).parents[1] / "data" / "us-week.csv.gz"
MONDAY = date(2027, 3, 8)


@pytest.fixture
def world_of(settings: Settings) -> dict[str, Place]:
    with db.writing() as session:
        places.load(session)
        return all_places(session)


def week(world_of: dict[str, Place]) -> list[DatedFlight]:
    return list(demo.flights(demo.network(), world_of, MONDAY, MONDAY + timedelta(days=13)))


def test_a_fortnight_is_believable(world_of: dict[str, Place]) -> None:
    flights = week(world_of)
    first = [flight for flight in flights if flight.departs_on == MONDAY]
    assert 400 < len(first) < 600
    assert len({flight.origin for flight in flights}) > 60
    assert sum((flight.origin, flight.destination) == ("JFK", "LAX") for flight in first) >= 4
    keys = Counter((flight.carrier, flight.number, flight.origin, flight.departs_on) for flight in flights)
    assert max(keys.values()) == 1
    for flight in flights:
        hours = (flight.arrival_at - flight.departure_at) / timedelta(hours=1)
        assert 0.7 < hours < 18.6
        assert 300 < flight.distance_km / hours < 900 or flight.distance_km < 800
        assert 3_000 < flight.fare_minor < 120_000


def test_every_flight_has_its_way_back(world_of: dict[str, Place]) -> None:
    ways = Counter((flight.origin, flight.destination) for flight in week(world_of))
    assert {(there, here): count for (here, there), count in ways.items()} == ways


def test_it_is_the_same_every_time(world_of: dict[str, Place]) -> None:
    assert week(world_of) == week(world_of)


def test_wall_clocks_stay_when_clocks_change(world_of: dict[str, Place]) -> None:
    jfk = [f for f in week(world_of) if f.carrier == "ME" and f.number == 101]
    assert {flight.departure_local.time() for flight in jfk} == {jfk[0].departure_local.time()}
    assert len({flight.departure_at.astimezone(UTC).time() for flight in jfk}) == 2
    assert len({flight.arrival_at - flight.departure_at for flight in jfk}) == 1


def test_the_year_rolls_and_a_second_call_adds_nothing(
    settings: Settings, world_of: dict[str, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "BEFORE", timedelta(days=2))
    monkeypatch.setattr(demo, "AHEAD", timedelta(days=5))
    today = date(2027, 3, 12)
    with db.writing() as session:
        first = service.extend_demo(session, today)
        assert service.extend_demo(session, today) == 0
        more = service.extend_demo(session, today + timedelta(days=7))
    with db.reading() as session:
        days = session.execute(text("select min(departs_on), max(departs_on), count(*) from flights")).one()
        bare = session.scalar(
            text("select count(*) from flights f where not exists (select 1 from flight_cabins where flight_id = f.id)")
        )
        assert broken_counters(session) == []
    assert tuple(days) == (date(2027, 3, 10), date(2027, 3, 24), first + more)
    assert bare == 0


@pytest.mark.slow
def test_a_real_week_is_imported_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with db.writing() as session:
        places.load(session)
    monkeypatch.setenv("PORTAL_DATABASE_URL", settings.database_url)
    for said in ("112,987 added, 0 changed, 0 unchanged", "0 added, 0 changed, 112,987 unchanged"):
        assert cli.main(["schedule", "import", str(WEEK)]) == 0
        assert said in capsys.readouterr().out
    db.connect(settings)
    with db.reading() as session:
        assert session.scalar(text("select count(*) from flights")) == 112_987
        served = session.scalar(text("select count(*) from airports where served"))
        seats = session.scalar(text("select count(distinct flight_id) from flight_cabins"))
        nonstop = session.scalar(
            text("select count(*) from flights where origin='JFK' and destination='LAX' and departs_on='2027-03-01'")
        )
        assert broken_counters(session) == []
    assert (served, seats) == (224, 112_987)
    assert nonstop

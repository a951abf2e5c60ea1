"""Where connecting begins and ends: minutes, hours, seats, and the moment at which sales close."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, update

from portal.flights.models import Flight, FlightCabin, SeatClaim
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.search import service
from portal.search.forms import Criteria, SliceWish
from tests import world

DAY = world.soon()


def found(
    settings: Settings,
    origin: str = "JFK",
    destination: str = "LAX",
    *,
    on: date = DAY,
    party: Party = Party(),  # noqa: B008 – a frozen value
    cabin: str = "economy",
) -> list[list[int]]:
    """Flight numbers of each itinerary, by departure."""
    asked = Criteria((SliceWish(origin, destination, on),), party, cabin, sort="departure")
    with db.reading() as session:
        ways = service.search(session, asked, settings=settings).slices[0].itineraries
    return [[segment.number for segment in way.segments] for way in ways]


@pytest.mark.parametrize(
    ("hub", "destination", "wait", "connects"),
    [
        ("ORD", "LAX", 59, False),
        ("ORD", "LAX", 60, True),
        ("ORD", "LAX", 24 * 60, True),
        ("ORD", "LAX", 24 * 60 + 1, False),
        ("ORD", "LHR", 89, False),
        ("ORD", "LHR", 90, True),
        ("LHR", "MUC", 89, False),
        ("LHR", "MUC", 90, True),
        ("LHR", "LAX", 89, False),
        ("LHR", "LAX", 90, True),
    ],
)
def test_how_long_a_connection_takes(settings: Settings, hub: str, destination: str, wait: int, connects: bool) -> None:
    with db.writing() as session:
        first = world.flight(session, "JFK", hub, number=1, minutes=420)
        second = world.flight(session, hub, destination, number=2, at=time(0, 1), on=DAY - timedelta(days=1))
        leaves = first.arrival_at + timedelta(minutes=wait)
        minutes = {"departure_at": leaves, "arrival_at": leaves + timedelta(hours=4)}
        session.execute(update(Flight).where(Flight.id == second.id).values(**minutes))
    assert found(settings, destination=destination) == ([[1, 2]] if connects else [])


def test_a_way_never_passes_its_own_ends_again(settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, "JFK", "LAX", number=1, minutes=300)
        world.flight(session, "LAX", "JFK", number=2, at=time(13), minutes=300)
        world.flight(session, "JFK", "LAX", number=3, at=time(23), minutes=300)
        world.flight(session, "JFK", "ORD", number=4, minutes=120)
        world.flight(session, "ORD", "JFK", number=5, at=time(13), minutes=120)
    assert found(settings) == [[1], [3]]


@pytest.mark.parametrize(("sold", "held", "party", "there"), [(8, 0, 2, True), (8, 0, 3, False), (4, 4, 2, True)])
def test_every_segment_needs_the_party_s_seats(
    settings: Settings, sold: int, held: int, party: int, there: bool
) -> None:
    with db.writing() as session:
        world.flight(session, "JFK", "ORD", number=1, minutes=120)
        second = world.flight(session, "ORD", "LAX", number=2, at=time(13), minutes=240, seats=10)
        session.execute(
            update(FlightCabin)
            .where(FlightCabin.flight_id == second.id, FlightCabin.cabin == "economy")
            .values(sold=sold, held=held)
        )
    assert bool(found(settings, party=Party(party))) is there
    assert found(settings, party=Party(9), cabin="business") == [[1, 2]]
    assert found(settings, cabin="first") == []


def test_infants_take_no_seat(settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, seats=2)
    assert found(settings, party=Party(2, 0, 2)) == [[101]]
    assert found(settings, party=Party(2, 1, 0)) == []


def test_cancelled_flights_never_appear(settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, "JFK", "LAX", number=1, status="cancelled")
        world.flight(session, "JFK", "ORD", number=2, minutes=120)
        world.flight(session, "ORD", "LAX", number=3, at=time(13), status="cancelled")
    assert found(settings) == []


@pytest.mark.parametrize(("minutes", "sold"), [(-600, False), (-5, False), (58, False), (62, True)])
def test_sales_close_an_hour_before_departure(settings: Settings, minutes: int, sold: bool) -> None:
    leaves = datetime.now(UTC) + timedelta(minutes=minutes)
    local = leaves.astimezone(ZoneInfo("America/New_York"))
    with db.writing() as session:
        flight = world.flight(session)
        moved = {
            "departs_on": local.date(),
            "departure_local": local.replace(tzinfo=None),
            "departure_at": leaves,
            "arrival_at": leaves + timedelta(hours=6),
        }
        session.execute(update(Flight).where(Flight.id == flight.id).values(**moved))
    with clock.shifted(min(timedelta(0), timedelta(minutes=minutes))):
        assert bool(found(settings, on=local.date())) is sold


def test_lapsed_holds_count_as_free_before_anyone_sweeps(settings: Settings) -> None:
    with db.writing() as session:
        flight = world.flight(session, seats=2)
        session.execute(
            update(FlightCabin).where(FlightCabin.flight_id == flight.id, FlightCabin.cabin == "economy").values(held=2)
        )
        claim = SeatClaim(flight_id=flight.id, cabin="economy", seats=2, expires_at=func.now() + timedelta(minutes=5))
        claim.holder = session.scalar(func.gen_random_uuid())
        session.add(claim)
    assert found(settings) == []
    with db.writing() as session:
        session.execute(update(SeatClaim).values(expires_at=func.now()))
    assert found(settings, party=Party(2)) == [[101]]

"""Booking classes: EMSR-b as published, nested, and kept on flights by the job."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from portal.booking.demand import class_demand
from portal.flights.models import FlightCabin
from portal.kit import clock, db, outbox
from portal.kit.settings import Settings
from portal.pricing import inventory
from portal.pricing.emsr import Demand, levels, protections
from portal.pricing.inventory import protections_of
from portal.pricing.service import read_tariff
from portal.pricing.steps import FareClass, Tariff, dearest_first
from tasks.handlers import HANDLERS
from tests import world
from tests.pricing.test_rules import BOOK

ECONOMY = BOOK.tariff.classes["economy"]
# Wollmer's four fares (1992), with the EMSR-b levels that Talluri and van Ryzin print in table 2.2.
FARES, MEANS, SIGMAS = (1050, 567, 534, 520), (17.3, 45.1, 39.6, 34.0), (5.8, 15.0, 13.2, 11.3)
PUBLISHED = [16.7, 50.9, 83.2]


def test_levels_are_those_of_the_textbook() -> None:
    demand = [Demand(*row) for row in zip(FARES, MEANS, SIGMAS, strict=True)]
    assert [round(level, 1) for level in levels(demand)] == PUBLISHED
    assert protections(demand, 119) == [17, 51, 83]


def test_two_classes_are_littlewood_s_rule() -> None:
    """Half the fare: the median is kept; a class as dear as the next is kept nothing from."""
    assert levels([Demand(200, 30, 8), Demand(100, 90, 30)]) == [pytest.approx(30)]
    assert levels([Demand(100, 30, 8), Demand(100, 90, 30)]) == [0]
    assert levels([Demand(200, 30, 0), Demand(100, 90, 30)]) == [30]


demands = st.lists(
    st.builds(Demand, st.floats(1, 100_000), st.floats(0, 300), st.floats(0, 100)), min_size=1, max_size=8
).map(lambda every: sorted(every, key=lambda one: -one.fare))


@given(demands, st.integers(0, 900))
def test_protections_ascend_within_the_cabin(demand: list[Demand], capacity: int) -> None:
    kept = protections(demand, capacity)
    assert len(kept) == len(demand) - 1
    assert all(0 <= low <= high <= capacity for low, high in pairwise([0, *kept]))


@given(st.lists(st.integers(0, 200), max_size=8).map(sorted), st.integers(-9, 200), st.integers(1, 9))
def test_a_dear_class_may_always_sell_what_a_cheap_one_may(kept: list[int], spare: int, more: int) -> None:
    tariff = BOOK.tariff
    here, fuller = tariff.class_at("economy", kept, spare), tariff.class_at("economy", kept, spare - more)
    assert 0 <= fuller <= here < len(ECONOMY)
    factors = tariff.class_factors("economy")
    assert factors[fuller] >= factors[here]


def test_nothing_kept_means_the_cheapest_class() -> None:
    assert ECONOMY[BOOK.tariff.class_at("economy", [], 0)].letter == "Q"
    assert ECONOMY[BOOK.tariff.class_at("economy", [3, 5, 9, 20, 50], 50)].letter == "Q"
    assert ECONOMY[BOOK.tariff.class_at("economy", [3, 5, 9, 20, 50], 49)].letter == "K"
    assert ECONOMY[BOOK.tariff.class_at("economy", [3, 5, 9, 20, 50], 2)].letter == "Y"
    assert Tariff().class_at("economy", [3, 5], 1) == 0


def test_classes_stand_dearest_first_whatever_their_rows_say() -> None:
    odd = [FareClass("A", 9_000, 1, 100, 100, 10), FareClass("Z", 20_000, 2, 100, 100, 10)]
    assert [one.letter for one in dearest_first(odd)] == ["Z", "A"]


@pytest.mark.parametrize("cabin", ["economy", "premium", "business", "first"])
def test_an_empty_flight_far_away_sells_its_cheapest_class(cabin: str) -> None:
    classes = BOOK.tariff.classes[cabin]
    for capacity in (4, 12, 20, 150, 400):
        kept = protections_of(classes, capacity, 300)
        assert BOOK.tariff.class_at(cabin, kept, capacity - 1) == len(classes) - 1
        assert BOOK.tariff.class_at(cabin, kept, 0) < len(classes) - 1


def test_less_is_kept_as_departure_nears() -> None:
    kept = [protections_of(ECONOMY, 150, days) for days in (300, 90, 30, 7, 1, 0)]
    for earlier, later in pairwise(kept):
        assert all(more >= less for more, less in zip(earlier, later, strict=True))
    assert kept[0][-1] > 2 * kept[3][-1]
    assert kept[-1] == [0] * 5


def cabins() -> dict[str, list[int]]:
    with db.reading() as session:
        return {row[0]: row[1] for row in session.execute(select(FlightCabin.cabin, FlightCabin.protections))}


def round_of_the_job(settings: Settings) -> None:
    with db.writing() as session:
        letter = outbox.post(session, "classes.protect", key=str(uuid4()))
    HANDLERS["classes.protect"](settings, letter)


def test_the_job_keeps_protections_on_flights(settings: Settings) -> None:
    with db.writing() as session:
        flight = world.flight(session, on=world.soon(40))
        days = (flight.departs_on - clock.now().date()).days
        old = world.flight(session, on=world.soon(-3), number=7).id
    round_of_the_job(settings)
    with db.reading() as session:
        rows = session.execute(select(FlightCabin).where(FlightCabin.flight_id != old)).scalars().all()
        past = session.execute(select(FlightCabin.protections).where(FlightCabin.flight_id == old)).scalars().all()
    classes = BOOK.tariff.classes
    assert {one.cabin: one.protections for one in rows} == {
        "economy": protections_of(classes["economy"], 150, days),
        "business": protections_of(classes["business"], 12, days),
    }
    assert all(one.protections for one in rows)
    assert past == [[], []]


def test_a_round_goes_through_every_flight_in_slices(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "SLICE", 3)
    with db.writing() as session:
        for number in range(1, 12):
            world.flight(session, on=world.soon(10 + number), number=number, business=0)
    round_of_the_job(settings)
    with db.reading() as session:
        assert session.scalar(text("select count(*) from flight_cabins where protections <> '{}'")) == 11


def test_a_cabin_in_which_somebody_buys_is_left_to_the_next_round(settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session)
    with db.writing() as buying:
        buying.execute(update(FlightCabin).where(FlightCabin.cabin == "economy").values(held=1))
        round_of_the_job(settings)
        assert cabins()["economy"] == []
        assert cabins()["business"] != []
        buying.rollback()
    round_of_the_job(settings)
    assert cabins()["economy"] != []


SOLD = text(
    """
    with made as (
        insert into bookings (reference, status, currency, total_minor, idempotency_key, fingerprint, confirmed_at)
        select 'AAAAA' || chr(65 + n), 'confirmed', 'USD', 0, 'k' || n, 'f', now() from generate_series(0, 4) n
        returning id
    ), slices as (
        insert into booking_slices (booking_id, position, origin, destination, cabin, brand, booking_class, conditions)
        select id, 0, 'JFK', 'LAX', 'economy', 'Basic', :letter, '{}' from made
    ), who as (
        insert into passengers (booking_id, position, type)
        select id, p, case when p = 3 then 'infant' else 'adult' end from made cross join generate_series(0, 3) p
    )
    insert into booking_segments (booking_id, slice_position, position, flight_id)
    select id, 0, 0, :flight from made
    """
)


def test_demand_is_what_was_sold_by_class(settings: Settings) -> None:
    """Five bookings of three seats on one flight of two: 15 and 0, so a mean of 7.5 and a deviation of 10.6."""
    with db.writing() as session:
        flight = world.flight(session, on=world.soon(-5))
        world.flight(session, on=world.soon(-6), number=9)
        session.execute(SOLD, {"letter": "H", "flight": flight.id})
    with db.reading() as session:
        span = inventory.history_span(clock.now().date())
        found = class_demand(session, *span, flights=2, seats=15)
        assert class_demand(session, *span, flights=3, seats=1) == {}
        assert class_demand(session, *span, flights=1, seats=16) == {}
    mean, sigma = found["JFK", "LAX", "economy"]["H"]
    assert (mean, round(sigma, 2)) == (7.5, 10.61)
    assert list(found) == [("JFK", "LAX", "economy")]


def test_a_route_s_own_history_counts_before_the_rows(settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, on=world.soon(200))
        classes = read_tariff(session, clock.now().date()).classes
        history = {("JFK", "LAX", "economy"): {"Y": (50.0, 5.0), "Q": (90.0, 10.0)}}
        start = inventory.Place(clock.now() - timedelta(days=1))
        values = {"classes": classes, "now": clock.now()}
        place = inventory.protect_slice(session, start, history=history, **values)
        assert place is not None
        assert inventory.protect_slice(session, place, history=history, **values) is None
    kept = cabins()["economy"]
    assert (kept[0], kept[-1]) == (44, 49)  # 50 + 5 Φ⁻¹(1 − 1.60/1.85) and 50 + 5 Φ⁻¹(1 − 1/1.85)

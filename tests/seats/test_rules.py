"""Rules of seats and extras, by properties: parties together, exits, prices, conversions, aircraft swaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.booking.views import BookingView, ItemView, PassengerView, SliceView
from portal.flights.queries import FlightView
from portal.flights.rules import CabinPlan, Seat, SeatPlan, SeatRow, apart, reseat, seat_row, suggest
from portal.pricing.rules import PriceBook
from portal.seats import rules
from portal.seats.rules import Catalogue, Extra, ExtraWish, SeatFare

LAYOUTS = ("AC DF", "ABC DEF", "AC DEFG HK", "ABC DEFG HJK", "A DG K", "AB DEF HJ")
SOMEBODY = uuid4()
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def cabin(layout: str, rows: int, exits: set[int], taken: frozenset[str] = frozenset(), first: int = 4) -> CabinPlan:
    """Return a cabin with some seats taken."""

    def seats(number: int) -> tuple[Seat | None, ...]:
        row = seat_row(number, layout, sorted(exits), first_row=first)
        return tuple(replace(s, holder=SOMEBODY, occupant=SOMEBODY) if s and s.name in taken else s for s in row)

    made = tuple(SeatRow(number, seats(number), number in exits) for number in range(first, first + rows))
    return CabinPlan("economy", layout, made, 0)


@st.composite
def cabins(draw: st.DrawFn) -> CabinPlan:
    layout, rows = draw(st.sampled_from(LAYOUTS)), draw(st.integers(1, 12))
    exits = draw(st.sets(st.integers(4, 3 + rows), max_size=2))
    names = [seat.name for seat in cabin(layout, rows, exits).seats]
    return cabin(layout, rows, exits, frozenset(draw(st.sets(st.sampled_from(names)))))


def beside(plan: CabinPlan, seats: list[Seat]) -> bool:
    """True when they are in one row without a gap or an aisle."""
    return len({seat.row for seat in seats}) == 1 and all(
        other.across - one.across == 1 for one, other in pairwise(seats)
    )


@given(cabins(), st.integers(1, 9))
def test_a_party_gets_distinct_free_seats_or_none(plan: CabinPlan, count: int) -> None:
    found = suggest(plan, count, may=lambda seat: "exit" not in seat.features)
    free = [seat for seat in plan.seats if not seat.taken and "exit" not in seat.features]
    if len(free) < count:
        assert found is None
        return
    assert found is not None
    assert len({seat.name for seat in found}) == count
    assert set(found) <= set(free)
    assert found == sorted(found, key=lambda seat: (seat.row, seat.across))


@given(cabins(), st.integers(2, 4))
def test_a_party_sits_side_by_side_wherever_a_row_allows_it(plan: CabinPlan, count: int) -> None:
    runs = (
        [seat for seat in row.seats[at : at + count] if seat is not None and not seat.taken]
        for row in plan.rows
        for at in range(len(row.seats))
    )
    possible = any(len(run) == count and beside(plan, run) for run in runs)
    found = suggest(plan, count)
    assert not possible or (found is not None and beside(plan, found))


@given(cabins(), st.integers(1, 6), st.integers(0, 50))
def test_of_equally_near_seats_the_cheapest_are_suggested(plan: CabinPlan, count: int, dear: int) -> None:
    def cost(seat: Seat) -> int:
        return dear if seat.row == plan.rows[0].number else 0

    found, plain = suggest(plan, count, cost=cost), suggest(plan, count)
    if found is None or plain is None:
        assert found is plain
        return
    assert sum(map(cost, found)) <= sum(map(cost, plain))


@given(cabins())
def test_a_seat_is_somewhere_in_its_row_and_features_are_told_once(plan: CabinPlan) -> None:
    for row in plan.rows:
        seats = [seat for seat in row.seats if seat is not None]
        assert ["window" in seat.features for seat in seats][:: len(seats) - 1] == [True, True]
        for seat in seats:
            places = {"window", "middle", "aisle"} & set(seat.features)
            assert places
            assert not ("middle" in places and len(places) > 1)
            assert ("exit" in seat.features) == row.by_exit
            assert "legroom" in seat.features or not row.by_exit
            assert apart(seat, seat) == 0


@given(cabins(), cabins(), st.data())
def test_a_swap_seats_everybody_once_and_nobody_nearer_to_an_exit(
    old: CabinPlan, new: CabinPlan, data: st.DataObject
) -> None:
    empty = rules.replace_own(new, [seat.name for seat in new.seats])
    sitting = data.draw(st.lists(st.sampled_from(old.seats), unique_by=lambda seat: seat.name, max_size=20))
    parties = [uuid4(), uuid4()]
    seated = [(parties[at % 2], UUID(int=at), "economy", seat) for at, seat in enumerate(sitting)]
    moved = {one.occupant: one for one in reseat(SeatPlan(1, (empty,)), seated)}
    after: dict[UUID, str | None] = {who: seat.name for _party, who, _cabin, seat in seated}
    after |= {who: one.new for who, one in moved.items()}
    named = [name for name in after.values() if name]
    assert len(named) == len(set(named))
    assert set(named) <= {seat.name for seat in empty.seats}
    by_exit = {seat.name for seat in empty.seats if "exit" in seat.features}
    was = {who: seat for _party, who, _cabin, seat in seated}
    assert all(name not in by_exit or "exit" in was[who].features for who, name in after.items() if name)
    left = [one for one in moved.values() if one.new is None]
    usable = {seat.name for seat in empty.seats} - by_exit
    assert not left or usable <= set(named)


def passenger(at: int, kind: str = "adult") -> PassengerView:
    return PassengerView(UUID(int=at + 1), at, kind, f"P{at}", "Smith", f"SMITH/P{at}", date(1980, 1, 1), None)


def booked(*kinds: str, assisted: tuple[int, ...] = ()) -> BookingView:
    """Return as much of a booking as these rules read."""
    people = tuple(passenger(at, kind) for at, kind in enumerate(kinds))
    items = tuple(
        ItemView(uuid4(), "assistance", "blind", "Blind", people[at].id, None, 1, 0, None, None) for at in assisted
    )
    return cast(BookingView, SimpleNamespace(passengers=people, active_passengers=people, items=items))


def sold(cabin: str = "economy", brand: str = "Basic", seat: dict[str, bool] | None = None) -> SliceView:
    """Return as much of a direction as these rules read."""
    conditions = {} if seat is None else {"seat": seat}
    flights = (flight(),)
    made = SimpleNamespace(
        position=0, cabin=cabin, brand=brand, conditions=conditions, flights=flights, cancelled_at=None
    )
    return cast(SliceView, made)


def flight(hours: float = 500) -> FlightView:
    at = NOW + timedelta(hours=hours)
    return cast(FlightView, SimpleNamespace(id=1, departure_at=at, leaves_at=at, status="scheduled"))


@given(st.lists(st.sampled_from(("adult", "child", "infant")), min_size=1, max_size=9), st.sets(st.integers(0, 8)))
def test_by_an_exit_sit_only_adults_with_free_hands_who_asked_for_nothing(kinds: list[str], asked: set[int]) -> None:
    kinds = sorted(kinds)
    view = booked(*kinds, assisted=tuple(at for at in asked if at < len(kinds)))
    infants = kinds.count("infant")
    for at, one in enumerate(view.passengers):
        may = one.type == "adult" and at >= infants and at not in asked
        assert (rules.exit_problem(one, view) is None) == may


def test_an_infant_takes_no_seat_at_all() -> None:
    view = booked("adult", "infant")
    plain = next(seat for seat in cabin("ABC DEF", 5, {6}).seats if seat.name == "5A")
    assert rules.seat_problem(view.passengers[1], plain, view)
    assert rules.seat_problem(view.passengers[0], plain, view) is None


@given(cabins(), st.integers(1, 4), st.integers(0, 3), st.data())
def test_together_never_seats_a_party_by_an_exit_or_on_strangers(
    plan: CabinPlan, adults: int, children: int, data: st.DataObject
) -> None:
    view = booked(*["adult"] * adults, *["child"] * children, "infant")
    own = data.draw(st.lists(st.sampled_from([seat.name for seat in plan.seats]), max_size=2))
    found = rules.together(plan, view.active_passengers, PRICES, "penalty", own=own)
    assert len(found) in (0, adults + children)
    assert len({seat.name for seat in found.values()}) == len(found)
    for seat in found.values():
        assert "exit" not in seat.features
        assert seat.name in own or not next(one for one in plan.seats if one.name == seat.name).taken


def fare(feature: str, minor: int, cabin: str = "economy", currency: str = "USD", **more: Any) -> SeatFare:
    return SeatFare(cabin, feature, minor, currency, more.get("since", date(2026, 1, 1)), more.get("until"))


PRICES = Catalogue("USD", (fare("any", 900), fare("window", 1200), fare("legroom", 3900), fare("exit", 4500)), ())
BOOK = PriceBook({}, (), {"USD": 1_000_000, "EUR": 900_000, "JPY": 150_000_000})


@given(cabins(), st.sampled_from(("allowed", "penalty", "no")))
def test_a_seat_costs_its_dearest_feature_or_nothing(plan: CabinPlan, term: Any) -> None:
    for seat in plan.seats:
        price = rules.seat_price(PRICES, seat, "economy", term)
        if term == "allowed":
            assert price == 0
        else:
            dearest = [4500] * ("exit" in seat.features) + [3900] * ("legroom" in seat.features)
            assert price == max([*dearest, *([1200] * ("window" in seat.features)), 900])
        assert rules.seat_price(PRICES, seat, "first", "penalty") == 0


@pytest.mark.parametrize(
    ("kept", "hours", "term"),
    [
        ({"allowed": True, "included": True}, 500, "allowed"),
        ({"allowed": True, "included": False}, 500, "penalty"),
        ({"allowed": False, "included": False}, 500, "no"),
        ({"allowed": False, "included": False}, 23, "allowed"),
        ({"allowed": True, "included": False}, 24, "allowed"),
        (None, 25, "penalty"),
    ],
)
def test_the_brand_says_what_choosing_costs_until_check_in_opens(kept: Any, hours: int, term: str) -> None:
    assert rules.seat_term(sold(seat=kept), flight(hours), NOW) == term


def test_choice_closes_with_check_in_and_opens_late_without_it() -> None:
    assert rules.flight_closed(sold(), flight(0.9), NOW)
    assert rules.flight_closed(sold(), flight(1.1), NOW) is None
    assert rules.flight_closed(sold(seat={"allowed": False}), flight(500), NOW)
    assert rules.flight_closed(sold(seat={"allowed": False}), flight(20), NOW) is None


def extra(code: str = "bag23", **given: Any) -> Extra:
    values: dict[str, Any] = {
        "code": code, "kind": "bag", "label": code, "detail": "", "per": "slice", "amount_minor": 4500,
        "currency": "USD", "most": 3, "cabins": None, "travellers": None, "included_cabins": [],
        "included_brands": [], "hours_before": 3, "position": 1, "valid_from": date(2026, 1, 1), "valid_to": None,
    }  # fmt: skip
    return Extra(**{**values, **given})


def test_a_price_holds_on_its_days_and_is_converted_unless_there_is_one_in_the_currency() -> None:
    fares = [
        fare("any", 900, since=date(2026, 6, 1)),
        fare("any", 700),
        fare("window", 1200, until=date(2026, 11, 22)),
        fare("exit", 4500, since=date(2026, 11, 24)),
        fare("aisle", 1001),
        fare("aisle", 777, currency="EUR"),
    ]
    made = rules.catalogue(fares, [extra()], BOOK, currency="EUR", on=NOW.date())
    assert {one.feature: one.amount_minor for one in made.seat_fares} == {"any": 810, "aisle": 777}
    assert (made.extras[0].amount_minor, made.extras[0].currency) == (4050, "EUR")
    yen = rules.catalogue(fares, [extra()], BOOK, currency="JPY", on=NOW.date())
    assert yen.extras[0].amount_minor == 6750


def test_what_the_fare_includes_costs_nothing() -> None:
    one = extra(included_cabins=["business"], included_brands=["Flex"])
    assert [one.price_in(sold(cabin, brand)) for cabin, brand in (("economy", "Basic"), ("business", "Basic"))] == [
        4500,
        0,
    ]
    assert one.price_in(sold("economy", "Flex")) == 0


@pytest.mark.parametrize(
    ("given", "quantity", "kind", "fits"),
    [
        ({}, 3, "adult", True),
        ({}, 4, "adult", False),
        ({"travellers": ["child"]}, 1, "adult", False),
        ({"travellers": ["child"]}, 1, "child", True),
        ({"cabins": ["business"]}, 1, "adult", False),
        ({"hours_before": 501}, 1, "adult", False),
    ],
)
def test_an_extra_fits_or_says_why_not(given: dict[str, Any], quantity: int, kind: str, fits: bool) -> None:
    wish = ExtraWish("bag23", UUID(int=1), 1, quantity)
    assert (rules.extra_problem(extra(**given), wish, passenger(0, kind), sold(), NOW) is None) == fits


def test_two_meals_on_one_flight_are_seen() -> None:
    kinds = {"vegan": "meal", "halal": "meal", "bag23": "bag"}
    one, other = UUID(int=1), UUID(int=2)
    fine = [ExtraWish("vegan", one, 1, 1), ExtraWish("halal", other, 1, 1), ExtraWish("halal", one, 2, 1)]
    assert not rules.meals_at_once([*fine, ExtraWish("bag23", one, 1, 3)], kinds)
    assert rules.meals_at_once([*fine, ExtraWish("halal", one, 1, 1)], kinds)
    assert rules.meals_at_once([ExtraWish("vegan", one, 1, 2)], kinds)

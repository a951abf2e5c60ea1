"""The steps of a fare: each by one rule that holds, rounded half up, never dearer for an emptier flight."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kit.money import share
from portal.pricing.models import RULE_KINDS
from portal.pricing.rules import Party, PriceBook, Sale, SegmentFare, quote, total_of
from portal.pricing.steps import FareRule, Tariff, factor_of, fare_basis, sold_bp, times
from tests.pricing.test_rules import BOOK, cabins, parties
from tests.pricing.test_rules import brands as brand_names

TODAY = date(2026, 11, 23)
CODES = ("JFK", "LHR", "NRT")


@st.composite
def rules(draw: st.DrawFn) -> FareRule:
    kind = draw(st.sampled_from(RULE_KINDS))
    low, high = None, None
    if kind == "season":
        low, high = draw(st.integers(101, 1231)), draw(st.integers(101, 1231))
    if kind == "holiday":
        low = draw(st.integers(20261101, 20271231))
        high = low + draw(st.integers(0, 40))
    if kind == "weekday":
        low, high = sorted(draw(st.lists(st.integers(1, 7), min_size=2, max_size=2)))
    if kind == "advance":
        low, high = draw(st.integers(0, 60)), None
    if kind == "load":
        low = draw(st.integers(0, 10_000))
    starts = TODAY + timedelta(days=draw(st.integers(-50, 5)))
    return FareRule(
        key=draw(st.text("abc", min_size=1)),
        kind=kind,
        label="A rule",
        code=draw(st.sampled_from(("", "H", "14"))),
        factor_bp=draw(st.integers(1_000, 100_000)),
        low=low,
        high=high,
        origin=None if kind == "load" else draw(st.none() | st.sampled_from(CODES)),
        destination=None if kind == "load" else draw(st.none() | st.sampled_from(CODES)),
        cabin=draw(st.none() | st.sampled_from(("economy", "business"))),
        valid_from=starts,
        valid_to=draw(st.none() | st.integers(0, 60).map(lambda days: starts + timedelta(days=days))),
    )


tariffs = st.lists(rules(), max_size=10).map(lambda made: Tariff(tuple(made), BOOK.tariff.classes))


@st.composite
def journeys(draw: st.DrawFn) -> list[SegmentFare]:
    count = draw(st.integers(1, 2))
    ends = [(draw(st.sampled_from(CODES)), draw(st.sampled_from(CODES))) for _ in range(count)]
    on = TODAY + timedelta(days=draw(st.integers(0, 300)))
    return [SegmentFare(draw(st.integers(0, 5_000_000)), "USD", "US", "GB", on, *pair) for pair in ends]


def book(tariff: Tariff) -> PriceBook:
    return PriceBook(BOOK.brands, BOOK.taxes, BOOK.rates, tariff)


def loaded(tariff: Tariff, journey: list[SegmentFare], cabin: str, free: int) -> list[SegmentFare]:
    ladder = tariff.ladder(cabin=cabin, today=TODAY)
    return [replace(one, load_at=ladder.at(180, free)) for one in journey]


@given(tariffs, journeys(), parties(), cabins, brand_names, st.integers(0, 180), st.integers(0, 2))
def test_steps_and_lines_add_up_and_nothing_is_negative(
    tariff: Tariff, journey: list[SegmentFare], party: Party, cabin: str, brand: str, free: int, class_at: int
) -> None:
    made = quote(
        book(tariff),
        loaded(tariff, journey, cabin, free),
        cabin=cabin,
        brand=brand,
        party=party,
        sale=Sale(TODAY, class_at),
    )
    assert made.total_minor == total_of(made.per_type, party) >= 0
    for one, segment in zip(made.segments, journey, strict=True):
        amount = segment.fare_minor
        assert one.base_minor == amount
        for step in one.steps:
            amount = share(amount, step.factor_bp, 10_000)
            assert step.amount_minor == amount >= 0
        assert one.fare_minor == amount
    adult = share(sum(one.fare_minor for one in made.segments), made.brand_bp, 10_000)
    assert made.per_type["adult"][0].amount_minor == adult


@given(tariffs, journeys(), parties(), parties(), cabins, brand_names, st.integers(0, 180))
def test_splitting_a_party_in_one_class_changes_nothing_at_all(
    tariff: Tariff, journey: list[SegmentFare], one: Party, other: Party, cabin: str, brand: str, free: int
) -> None:
    """Not even by rounding: a price is made for one traveller, and counted. Only another class costs otherwise."""
    both = Party(one.adults + other.adults, one.children + other.children, one.infants + other.infants)
    made = [
        quote(
            book(tariff), loaded(tariff, journey, cabin, free), cabin=cabin, brand=brand, party=p, sale=Sale(TODAY, 0)
        )
        for p in (one, other, both)
    ]
    assert made[0].total_minor + made[1].total_minor == made[2].total_minor
    assert made[0].segments == made[1].segments == made[2].segments


@given(tariffs, journeys(), cabins, brand_names, st.integers(0, 180), st.integers(0, 180))
def test_a_fuller_flight_is_never_cheaper(
    tariff: Tariff, journey: list[SegmentFare], cabin: str, brand: str, one: int, other: int
) -> None:
    few, many = sorted((one, other))
    kept = [5, 20, 60, 90, 120][-(len(tariff.class_factors(cabin)) - 1) :]
    totals = []
    for free in (few, many):
        sale = Sale(TODAY, tariff.class_at(cabin, kept, free - 1))
        asked = loaded(tariff, journey, cabin, free)
        totals.append(quote(book(tariff), asked, cabin=cabin, brand=brand, party=Party(1), sale=sale).total_minor)
    assert totals[0] >= totals[1]


@given(st.lists(rules(), max_size=10), rules(), journeys(), cabins, st.integers(0, 180))
def test_a_rule_outside_its_validity_has_no_effect(
    others: list[FareRule], late: FareRule, journey: list[SegmentFare], cabin: str, free: int
) -> None:
    later = replace(late, valid_from=TODAY + timedelta(days=1), valid_to=None)
    over = replace(late, valid_from=TODAY - timedelta(days=9), valid_to=TODAY - timedelta(days=1))
    quotes = []
    for made in (others, [*others, later, over]):
        tariff = Tariff(tuple(made), BOOK.tariff.classes)
        asked = loaded(tariff, journey, cabin, free)
        quotes.append(quote(book(tariff), asked, cabin=cabin, brand="Basic", party=Party(1, 1, 1), sale=Sale(TODAY, 1)))
    assert quotes[0] == quotes[1]


@given(st.lists(rules(), min_size=1, max_size=5), journeys(), cabins)
def test_the_order_of_the_rows_does_not_matter(made: list[FareRule], journey: list[SegmentFare], cabin: str) -> None:
    keyed = [replace(rule, key=f"{rule.key}{number}") for number, rule in enumerate(made)]
    quotes = [
        quote(book(Tariff(order)), journey, cabin=cabin, brand="Flex", party=Party(2), sale=Sale(TODAY, 0))
        for order in list(permutations(keyed))[:24]
    ]
    assert all(one == quotes[0] for one in quotes)


@given(st.integers(0, 10**9), st.integers(1, 100_000))
def test_times_is_share(minor: int, factor_bp: int) -> None:
    assert times(minor, factor_bp) == share(minor, factor_bp, 10_000)


def holding(kind: str, low: int | None, high: int | None, **more: str) -> FareRule:
    plain = {"origin": None, "destination": None, "cabin": None, **more}
    return FareRule(
        key=f"{kind}-{low}-{sorted(more)}",
        kind=kind,
        label=kind,
        code="",
        factor_bp=12_000,
        low=low,
        high=high,
        valid_from=date(2026, 1, 1),
        valid_to=None,
        **plain,  # type: ignore[arg-type]  # three names, each text or None
    )


@pytest.mark.parametrize(
    ("rule", "on", "holds"),
    [
        (holding("season", 1215, 106), date(2026, 12, 15), True),
        (holding("season", 1215, 106), date(2027, 1, 6), True),
        (holding("season", 1215, 106), date(2027, 1, 7), False),
        (holding("season", 601, 831), date(2027, 5, 31), False),
        (holding("season", 107, 229), date(2028, 2, 29), True),
        (holding("holiday", 20261124, 20261130), date(2026, 11, 30), True),
        (holding("holiday", 20261124, 20261130), date(2027, 11, 30), False),
        (holding("weekday", 6, 7), date(2026, 11, 28), True),
        (holding("weekday", 6, 7), date(2026, 11, 27), False),
        (holding("advance", 3, 6), date(2026, 11, 26), True),
        (holding("advance", 3, 6), date(2026, 11, 30), False),
        (holding("advance", 90, None), date(2027, 2, 21), True),
        (holding("advance", 0, 2), date(2026, 11, 22), True),
    ],
)
def test_what_a_rule_bounds(rule: FareRule, on: date, holds: bool) -> None:
    assert rule.holds(on, TODAY) is holds


def test_the_narrower_rule_counts_and_a_holiday_stands_in_the_season_s_place() -> None:
    season, holiday = holding("season", 101, 1231), holding("holiday", 20261124, 20261130)
    wide, narrow = holding("weekday", 1, 7), holding("weekday", 1, 7, origin="JFK")
    narrower = holding("weekday", 1, 7, origin="JFK", destination="LHR")
    cabin_only = holding("weekday", 1, 7, cabin="economy")
    tariff = Tariff((season, holiday, cabin_only, narrower, wide, narrow))
    when = {"cabin": "economy", "today": TODAY}
    assert tariff.lane("JFK", "LHR", on=date(2026, 11, 25), **when) == (None, holiday, narrower, None)  # type: ignore[arg-type]  # mixed values
    assert tariff.lane("JFK", "NRT", on=date(2026, 12, 25), **when) == (None, season, narrow, None)  # type: ignore[arg-type]  # mixed values
    assert tariff.lane("NRT", "JFK", on=date(2026, 12, 25), **when) == (None, season, cabin_only, None)  # type: ignore[arg-type]  # mixed values
    assert tariff.lane("NRT", "JFK", cabin="first", on=date(2026, 12, 25), today=TODAY) == (None, season, wide, None)


def test_load_rules_climb_whatever_was_entered() -> None:
    steep = [
        replace(holding("load", low, None), factor_bp=bp) for low, bp in ((0, 9_000), (5_000, 9_800), (7_000, 9_500))
    ]
    ladder = Tariff((*steep, replace(steep[0], low=9_000, factor_bp=14_000))).ladder(cabin="economy", today=TODAY)
    assert [factor_of(ladder.rules[ladder.at(100, 100 - sold)]) for sold in (0, 49, 50, 80, 90, 100)] == [
        9_000,
        9_000,
        9_800,
        9_800,
        14_000,
        14_000,
    ]
    own = replace(steep[0], cabin="business", factor_bp=20_000)
    assert Tariff((*steep, own)).ladder(cabin="business", today=TODAY).factors == (10_000, 20_000)


def test_how_full_a_cabin_is() -> None:
    assert [sold_bp(150, free) for free in (150, 149, 75, 0)] == [0, 66, 5_000, 10_000]
    assert sold_bp(0, 0) == 0


def test_a_fare_basis_has_eight_characters_at_most() -> None:
    lane = BOOK.tariff.lane("JFK", "LAX", cabin="economy", on=date(2026, 12, 12), today=TODAY)
    assert fare_basis("Q", lane, "Standard") == "QAW14STN"
    assert fare_basis("Y", (None, None, None, None), "Flex") == "YFLX"


def test_the_reference_rules_make_weekends_and_full_flights_dearer() -> None:
    def fare(on: date, free: int, today: date = TODAY) -> int:
        tariff = BOOK.tariff
        ladder = tariff.ladder(cabin="economy", today=today)
        asked = [SegmentFare(20_000, "USD", "US", "US", on, "JFK", "LAX", ladder.at(150, free))]
        made = quote(BOOK, asked, cabin="economy", brand="Basic", party=Party(1), sale=Sale(today, 5))
        return made.per_type["adult"][0].amount_minor

    wednesday, saturday = date(2027, 3, 10), date(2027, 3, 13)
    assert fare(saturday, 150) > fare(wednesday, 150)
    assert fare(wednesday, 10) > fare(wednesday, 40) > fare(wednesday, 70) > fare(wednesday, 150)
    assert fare(wednesday, 150, date(2027, 3, 9)) > fare(wednesday, 150, date(2027, 3, 1)) > fare(wednesday, 150)
    assert fare(date(2026, 12, 23), 150) > fare(date(2026, 12, 9), 150)

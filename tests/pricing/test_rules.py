"""Prices add up to the cent, whoever sits where, however a party is split."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kit.money import share
from portal.pricing import service
from portal.pricing.errors import MixedCurrencies, NoRate, UnknownBrand
from portal.pricing.models import ExchangeRate, FareBrand, FareClassRow, FareRuleRow, Tax
from portal.pricing.rules import Brand, Party, PriceBook, SegmentFare, conditions, quote, total_of
from portal.pricing.steps import FareClass, FareRule, Tariff, dearest_first

DAY = date(2027, 3, 1)
COUNTRIES = ("US", "GB", "DE", "JP", "FR", "CA", "BR")
CURRENCIES = ("USD", "EUR", "JPY", "KWD")
CABINS = ("economy", "premium", "business", "first")
BRANDS = ("Basic", "Standard", "Flex")


def without_days(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("valid_")}


def reference_book() -> PriceBook:
    """The price book of the reference rows, without a database."""
    here = Path(service.HERE)
    brands = [Brand(**without_days(row)) for row in service._rows(FareBrand.__table__, here / "brands.csv")]
    taxes = [service._tax(Tax(**row)) for row in service._rows(Tax.__table__, here / "taxes.csv")]
    rates = service._rows(ExchangeRate.__table__, here / "rates.csv")
    rules = [FareRule(**without_source(row)) for row in service._rows(FareRuleRow.__table__, here / "fare_rules.csv")]
    classes: dict[str, list[FareClass]] = {}
    for row in service._rows(FareClassRow.__table__, here / "fare_classes.csv"):
        classes.setdefault(row.pop("cabin"), []).append(FareClass(**without_days(row)))
    return PriceBook(
        {(one.cabin, one.brand): one for one in brands},
        tuple(taxes),
        {row["currency"]: row["millionths_per_usd"] for row in rates},
        Tariff(tuple(rules), {cabin: dearest_first(rows) for cabin, rows in classes.items()}),
    )


def without_source(row: dict[str, Any]) -> dict[str, Any]:
    """The row as pricing reads it."""
    return {name: value for name, value in row.items() if name != "source"}


BOOK = reference_book()


def hop(origin: str, destination: str, fare: int = 20_000, currency: str = "USD", on: date = DAY) -> SegmentFare:
    return SegmentFare(fare, currency, origin, destination, on)


@st.composite
def journeys(draw: st.DrawFn) -> list[SegmentFare]:
    chain = draw(st.lists(st.sampled_from(COUNTRIES), min_size=2, max_size=4))
    currency = draw(st.sampled_from(CURRENCIES))
    fares = draw(st.lists(st.integers(1, 5_000_000), min_size=3, max_size=3))
    return [hop(here, there, fare, currency) for here, there, fare in zip(chain, chain[1:], fares, strict=False)]


@st.composite
def parties(draw: st.DrawFn) -> Party:
    adults = draw(st.integers(1, 9))
    return Party(adults, draw(st.integers(0, 9 - adults)), draw(st.integers(0, adults)))


cabins, brands = st.sampled_from(CABINS), st.sampled_from(BRANDS)


@given(journeys(), parties(), cabins, brands)
def test_lines_add_up_to_the_total(journey: list[SegmentFare], party: Party, cabin: str, brand: str) -> None:
    made = quote(BOOK, journey, cabin=cabin, brand=brand, party=party)
    by_passenger = sum(sum(line.amount_minor for line in made.per_type[kind]) for kind in party.types)
    assert made.total_minor == by_passenger == total_of(made.per_type, party)
    assert set(made.per_type) == set(party.types)


@given(journeys(), parties(), cabins, brands)
def test_no_line_is_negative_and_no_tax_line_empty(
    journey: list[SegmentFare], party: Party, cabin: str, brand: str
) -> None:
    made = quote(BOOK, journey, cabin=cabin, brand=brand, party=party)
    assert made.total_minor >= 0
    for lines in made.per_type.values():
        assert lines[0].code == "fare"
        assert lines[0].amount_minor >= 0
        assert all(line.amount_minor > 0 for line in lines[1:])


@given(journeys(), parties(), parties(), cabins, brands)
def test_splitting_a_party_changes_nothing(
    journey: list[SegmentFare], one: Party, other: Party, cabin: str, brand: str
) -> None:
    both = Party(one.adults + other.adults, one.children + other.children, one.infants + other.infants)
    totals = [quote(BOOK, journey, cabin=cabin, brand=brand, party=party).total_minor for party in (one, other, both)]
    assert totals[0] + totals[1] == totals[2]


@given(journeys(), cabins, brands)
def test_children_and_infants_pay_their_share_of_the_fare(journey: list[SegmentFare], cabin: str, brand: str) -> None:
    made = quote(BOOK, journey, cabin=cabin, brand=brand, party=Party(1, 1, 1))
    adult, child, infant = (made.per_type[kind][0].amount_minor for kind in ("adult", "child", "infant"))
    assert (child, infant) == (share(adult, 75, 100), share(adult, 10, 100))


@given(journeys(), cabins)
def test_a_dearer_brand_never_costs_less(journey: list[SegmentFare], cabin: str) -> None:
    totals = [quote(BOOK, journey, cabin=cabin, brand=brand, party=Party(1)).total_minor for brand in BRANDS]
    assert totals == sorted(totals)


@given(journeys(), parties(), cabins, brands, st.integers(1, 100_000))
def test_a_dearer_fare_never_makes_a_cheaper_total(
    journey: list[SegmentFare], party: Party, cabin: str, brand: str, more: int
) -> None:
    first = journey[0]
    dearer = [
        hop(first.origin_country, first.destination_country, first.fare_minor + more, first.currency),
        *journey[1:],
    ]
    cheap, dear = (quote(BOOK, one, cabin=cabin, brand=brand, party=party).total_minor for one in (journey, dearer))
    assert cheap <= dear


@given(journeys(), parties(), cabins, brands)
def test_a_book_without_memory_says_the_same(journey: list[SegmentFare], party: Party, cabin: str, brand: str) -> None:
    fresh = PriceBook(BOOK.brands, BOOK.taxes, BOOK.rates)
    assert quote(fresh, journey, cabin=cabin, brand=brand, party=party) == quote(
        BOOK, journey, cabin=cabin, brand=brand, party=party
    )


def test_infants_pay_no_segment_fees() -> None:
    made = quote(BOOK, [hop("US", "US"), hop("US", "US")], cabin="economy", brand="Basic", party=Party(1, 0, 1))
    assert [(line.code, line.amount_minor) for line in made.per_type["infant"]] == [("fare", 4_000), ("US", 300)]
    assert [(line.code, line.amount_minor) for line in made.per_type["adult"]] == [
        ("fare", 40_000),
        ("US", 3_000),
        ("ZP", 1_060),
        ("AY", 560),
        ("XF", 900),
    ]


def test_facility_charges_are_capped_at_two_boardings() -> None:
    three = quote(BOOK, [hop("US", "US")] * 3, cabin="economy", brand="Basic", party=Party(1))
    amounts = {line.code: line.amount_minor for line in three.per_type["adult"]}
    assert (amounts["XF"], amounts["ZP"]) == (900, 1_590)


@pytest.mark.parametrize(
    ("chain", "cabin", "codes"),
    [
        (("GB", "US"), "economy", {"GB", "US", "XY", "YC", "XA", "YQ"}),
        (("US", "GB"), "economy", {"US", "AY", "XF", "YQ"}),
        (("US", "US", "JP"), "economy", {"US", "AY", "XF", "YQ"}),
        (("DE", "JP"), "economy", {"OY", "YQ"}),
        (("JP", "US"), "economy", {"TK", "US", "XY", "YC", "XA", "YQ"}),
        (("DE", "DE"), "economy", {"OY"}),
        (("BR", "BR"), "economy", set()),
    ],
)
def test_which_taxes_hold_where(chain: tuple[str, ...], cabin: str, codes: set[str]) -> None:
    hops = [hop(here, there) for here, there in pairwise(chain)]
    made = quote(BOOK, hops, cabin=cabin, brand="Basic", party=Party(1))
    assert {line.code for line in made.per_type["adult"]} - {"fare"} == codes


@pytest.mark.parametrize(
    ("destination", "cabin", "pounds"),
    [
        ("GB", "economy", 800),
        ("DE", "economy", 1500),
        ("US", "economy", 10200),
        ("JP", "economy", 10600),
        ("US", "business", 24400),
        ("JP", "first", 25300),
    ],
)
def test_air_passenger_duty_by_band_and_cabin(destination: str, cabin: str, pounds: int) -> None:
    made = quote(BOOK, [hop("GB", destination, currency="GBP")], cabin=cabin, brand="Flex", party=Party(1, 1))
    duty = {kind: [line.amount_minor for line in lines if line.code == "GB"] for kind, lines in made.per_type.items()}
    assert duty["adult"] == [pounds]
    assert duty["child"] == ([] if cabin == "economy" else [pounds])


def test_a_tax_is_the_one_of_the_day_the_journey_begins() -> None:
    amounts = []
    for on in (date(2026, 6, 30), date(2026, 7, 1)):
        made = quote(BOOK, [hop("JP", "DE", 50_000, "JPY", on)], cabin="economy", brand="Basic", party=Party(1))
        amounts += [line.amount_minor for line in made.per_type["adult"] if line.code == "TK"]
    assert amounts == [1000, 3000]


def test_amounts_keep_to_the_currency_s_own_digits() -> None:
    assert BOOK.converted(1_000, "JPY", "USD") == 658
    assert BOOK.converted(560, "USD", "JPY") == 851
    assert BOOK.converted(560, "USD", "KWD") == 1719


def test_currencies_do_not_mix() -> None:
    with pytest.raises(MixedCurrencies):
        quote(BOOK, [hop("US", "US"), hop("US", "US", 100, "EUR")], cabin="economy", brand="Basic", party=Party(1))


def test_an_unknown_rate_and_an_unknown_brand_say_so() -> None:
    with pytest.raises(NoRate):
        quote(BOOK, [hop("US", "US", 100, "XOF")], cabin="economy", brand="Basic", party=Party(1))
    with pytest.raises(UnknownBrand):
        quote(BOOK, [hop("US", "US")], cabin="economy", brand="Gratis", party=Party(1))


def test_conditions_are_allowed_with_penalty_or_no() -> None:
    basic, standard, flex = (conditions(BOOK, BOOK.brand("economy", name), "USD").wire() for name in BRANDS)
    assert basic["refund"] == {"allowed": False, "penalty": None}
    assert standard["refund"] == {"allowed": True, "penalty": {"amount": "120.00", "currency": "USD"}}
    assert flex["change"] == {"allowed": True, "penalty": {"amount": "0.00", "currency": "USD"}}

"""A code takes off what it says, within each of its limits, and its uses are counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing import promotions
from portal.pricing.discounts import PaidFare, PromotionView, discounts
from portal.pricing.errors import PromotionRefused
from portal.pricing.rules import PriceBook
from portal.pricing.service import forget_books
from tests.pricing import promoting
from tests.pricing.promoting import BACK, OUT, lapse, make, use

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
BOOK = PriceBook({}, (), {"USD": 1_000_000, "EUR": 900_000, "JPY": 150_000_000, "KWD": 300_000})


def promotion(**given: Any) -> PromotionView:
    plain: dict[str, Any] = dict.fromkeys(PromotionView.__dataclass_fields__)
    base = {"id": 1, "code": "TEN", "label": "Ten", "kind": "percent", "amount": 1_000, "currency": "USD"}
    return PromotionView(
        **{**plain, **base, "minimum_minor": 0, "sale_from": EPOCH, "used": 0, "sale": "open", **given}
    )


@pytest.fixture
def flight(settings: Settings) -> Iterator[int]:
    forget_books()
    yield promoting.flight()
    forget_books()


def off(found: list[promotions.Discount]) -> list[int]:
    return [one.line.amount_minor for one in found]


fare_lists = st.lists(
    st.builds(PaidFare, st.integers(0, 8), st.integers(0, 1), st.integers(0, 500_000)), min_size=1, max_size=18
)


@given(fare_lists, st.integers(1, 10_000), st.none() | st.integers(1, 100_000))
def test_per_cent_is_exact_capped_and_never_more_than_a_fare(fares: list[PaidFare], bp: int, cap: int | None) -> None:
    whole = sum(one.amount_minor for one in fares)
    if not whole:
        return
    found = discounts(promotion(amount=bp, cap_minor=cap), [OUT, BACK], fares, "USD", BOOK)
    exact = (whole * bp * 2 + 10_000) // 20_000
    assert -sum(off(found)) == min(exact, cap if cap is not None else exact)
    taken = sorted((one.who, one.slice_position, -one.line.amount_minor) for one in found)
    room = sorted((one.who, one.slice_position, one.amount_minor) for one in fares)
    assert all(any(r[:2] == t[:2] and 0 < t[2] <= r[2] for r in room) for t in taken)


@given(fare_lists, st.integers(1, 300_000))
def test_an_amount_is_split_to_the_cent_and_ends_at_nothing_to_pay(fares: list[PaidFare], amount: int) -> None:
    whole = sum(one.amount_minor for one in fares)
    if not whole:
        return
    found = discounts(promotion(kind="amount", amount=amount), [OUT, BACK], fares, "USD", BOOK)
    assert -sum(off(found)) == min(amount, whole)


@given(fare_lists, st.integers(1, 10_000))
def test_the_order_of_the_travellers_changes_nothing_in_the_sum(fares: list[PaidFare], bp: int) -> None:
    if not sum(one.amount_minor for one in fares):
        return
    one, other = (discounts(promotion(amount=bp), [OUT, BACK], order, "USD", BOOK) for order in (fares, fares[::-1]))
    assert sum(off(one)) == sum(off(other))


def test_three_travellers_share_ten_dollars_by_largest_remainder() -> None:
    fares = [PaidFare(0, 0, 10_000), PaidFare(1, 0, 10_000), PaidFare(2, 0, 10_000)]
    assert off(discounts(promotion(kind="amount", amount=1_000), [OUT], fares, "USD", BOOK)) == [-334, -333, -333]


@pytest.mark.parametrize(
    ("currency", "fare", "expected"), [("EUR", 90_000, -2_250), ("JPY", 15_000, -3_750), ("KWD", 30_000, -7_500)]
)
def test_an_amount_in_dollars_is_converted(currency: str, fare: int, expected: int) -> None:
    fares = [PaidFare(0, 0, fare)]
    assert off(discounts(promotion(kind="amount", amount=2_500), [OUT], fares, currency, BOOK)) == [expected]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"routes": ("LAX-JFK",)}, "only for LAX-JFK"),
        ({"cabins": ("business",)}, "not for this cabin"),
        ({"brands": ("Flex",)}, "only for the fare Flex"),
        ({"travel_from": date(2027, 3, 2)}, "not for flights on these days"),
        ({"travel_to": date(2027, 2, 28)}, "not for flights on these days"),
        ({"minimum_minor": 20_001}, "at least $200.01"),
    ],
)
def test_what_a_promotion_is_not_for_is_refused_with_the_reason(given: dict[str, Any], words: str) -> None:
    with pytest.raises(PromotionRefused, match="(?i)" + words.replace("$", r"\$")):
        discounts(promotion(**given), [OUT], [PaidFare(0, 0, 20_000)], "USD", BOOK)


def test_only_the_direction_that_fits_is_cheaper() -> None:
    fares = [PaidFare(0, 0, 20_000), PaidFare(0, 1, 30_000)]
    found = discounts(promotion(brands=("Flex",)), [OUT, BACK], fares, "USD", BOOK)
    assert [(one.slice_position, one.line.amount_minor) for one in found] == [(1, -3_000)]


def test_a_code_is_found_in_any_case_and_counted(flight: int) -> None:
    made = make(code="SPRING-10", total_uses=5)
    assert off(use(" spring-10 ", flight)) == [-2_000]
    assert promoting.counts(made) == (1, 1)


def test_an_unknown_code_is_refused(flight: int) -> None:
    with pytest.raises(PromotionRefused, match="do not know the code NOPE"):
        use("NOPE", flight)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sale_from": datetime.now(UTC) + timedelta(hours=1)}, "cannot be used yet"),
        ({"sale_from": EPOCH, "sale_to": EPOCH + timedelta(days=1)}, "no longer"),
        ({"sale_from": EPOCH, "ended_at": EPOCH}, "no longer"),
        ({"total_uses": 1, "used": 1}, "used up"),
    ],
)
def test_outside_its_sale_a_code_is_refused(flight: int, given: dict[str, Any], words: str) -> None:
    make(**given)
    with pytest.raises(PromotionRefused, match=words):
        use("TEN", flight)


def test_quoting_counts_nothing(flight: int) -> None:
    made = make(total_uses=1)
    for _ in range(3):
        with db.reading() as session:
            found = promotions.quote(session, code="ten", slices=[OUT], fares=[PaidFare(0, 0, 9_999)], currency="USD")
        assert off(found) == [-1_000]
    assert promoting.counts(made) == (0, 0)


def test_a_customer_uses_it_as_often_as_allowed_and_others_still_can(flight: int) -> None:
    make(per_customer=2)
    use("TEN", flight, customer="anna@example.com")
    use("TEN", flight, customer="anna@example.com")
    with pytest.raises(PromotionRefused, match="used this code already"):
        use("TEN", flight, customer="anna@example.com")
    use("TEN", flight, customer="bob@example.com")


def test_who_is_named_later_is_held_to_the_limit_then(flight: int) -> None:
    made, holder, known = make(per_customer=1), uuid4(), uuid4()
    use("TEN", flight, holder=holder)
    use("TEN", flight, holder=known, customer="anna@example.com")
    with pytest.raises(PromotionRefused), db.writing() as session:
        promotions.identify(session, holder=holder, customer="anna@example.com")
    with db.writing() as session:
        promotions.identify(session, holder=holder, customer="bob@example.com")
        promotions.identify(session, holder=holder, customer="bob@example.com")
        promotions.identify(session, holder=uuid4(), customer="carla@example.com")
    assert promoting.counts(made) == (2, 2)


def test_a_use_given_back_is_free_again_once(flight: int) -> None:
    made, holder = make(total_uses=1, per_customer=1), uuid4()
    use("TEN", flight, holder=holder, customer="anna@example.com")
    for _ in range(3):
        with db.writing() as session:
            promotions.release(session, holder=holder)
    assert promoting.counts(made) == (0, 0)
    use("TEN", flight, customer="anna@example.com")
    assert promoting.counts(made) == (1, 1)


def test_a_lapsed_hold_gives_its_use_back_before_any_sweep(flight: int) -> None:
    made, late = make(total_uses=1, per_customer=1), uuid4()
    use("TEN", flight, holder=late, customer="anna@example.com")
    lapse(late)
    use("TEN", flight, customer="bob@example.com")
    assert promoting.counts(made) == (1, 1)
    with pytest.raises(PromotionRefused, match="used up"), db.writing() as session:
        promotions.confirm(session, holder=late)


def test_a_lapsed_hold_of_the_same_customer_does_not_count_against_them(flight: int) -> None:
    made, late = make(per_customer=1), uuid4()
    use("TEN", flight, holder=late, customer="anna@example.com")
    lapse(late)
    use("TEN", flight, customer="anna@example.com")
    assert promoting.counts(made) == (1, 1)


def test_a_late_payer_keeps_the_use_that_nobody_took(flight: int) -> None:
    made, late = make(total_uses=2, per_customer=1), uuid4()
    use("TEN", flight, holder=late, customer="anna@example.com")
    lapse(late)
    with db.writing() as session:
        promotions.reclaim(session, made)
    assert promoting.counts(made) == (0, 0)
    for _ in range(2):
        with db.writing() as session:
            promotions.confirm(session, holder=late)
    assert promoting.counts(made) == (1, 1)


def test_a_paid_use_is_never_reclaimed(flight: int) -> None:
    made, paid = make(total_uses=1), uuid4()
    use("TEN", flight, holder=paid)
    with db.writing() as session:
        promotions.confirm(session, holder=paid)
    lapse(paid)
    with pytest.raises(PromotionRefused, match="used up"):
        use("TEN", flight)
    assert promoting.counts(made) == (1, 1)


def test_the_demo_s_codes_load_once(settings: Settings) -> None:
    with db.writing() as session:
        assert promotions.ensure_demo(session) == len(promotions.DEMO)
        assert promotions.ensure_demo(session) == 0
        welcome = promotions.look(session, "welcome10")
        assert welcome is not None
        assert (welcome.sale, welcome.worth) == ("open", "10 %")

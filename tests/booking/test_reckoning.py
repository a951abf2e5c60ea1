"""What goes back and what is due, by properties: never more than was paid, in parts as at once, free by rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.booking import reckoning, rules
from portal.booking.reckoning import Reckoning
from portal.booking.views import BookingView, ChargeView, PassengerView, SliceView
from portal.kit.money import Money
from portal.pricing.rules import PriceLine

FOLLOWS = {("US", "US transportation tax (7.5 %)")}
NOW = datetime(2028, 2, 29, 12, 0, tzinfo=UTC)
KINDS = st.lists(st.sampled_from(["adult", "child", "infant"]), min_size=1, max_size=5)
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD"])
AMOUNTS = st.integers(0, 500_000)


def term(allowed: bool, minor: int, currency: str) -> dict[str, Any]:
    return {"allowed": allowed, "penalty": Money(minor, currency).wire() if allowed else None}


@st.composite
def bookings(draw: st.DrawFn) -> BookingView:
    """Draw a paid booking: some travellers, one or two directions, each line of a price, perhaps a promotion."""
    currency = draw(CURRENCIES)
    people = [
        PassengerView(uuid4(), at, kind, "A", "B", "B/A", date(1990, 1, 1), None) for at, kind in enumerate(draw(KINDS))
    ]
    slices, charges = [], []
    for at in range(draw(st.integers(1, 2))):
        terms = {name: term(draw(st.booleans()), draw(AMOUNTS), currency) for name in ("refund", "change")}
        flight: Any = SimpleNamespace(
            id=at, departure_at=NOW + timedelta(days=30 + at), arrival_at=NOW + timedelta(days=31 + at)
        )
        place: Any = None
        slices.append(SliceView(at, place, place, "economy", "Any", "Y", terms, (flight,)))
        for one in people:
            fare = draw(AMOUNTS)
            off = draw(st.integers(0, fare))
            lines = [("fare", "Fare", fare), ("US", "US transportation tax (7.5 %)", draw(AMOUNTS) // 13)]
            lines += [("AY", "Security fee", draw(AMOUNTS) // 50), ("YQ", "Surcharge", draw(AMOUNTS) // 9)]
            lines += [("bag", "A bag", draw(AMOUNTS) // 10), ("promotion", "Promotion X", -off)]
            charges += [ChargeView(code, label, amount, one.id, at) for code, label, amount in lines]
    total = sum(one.amount_minor for one in charges)
    return BookingView(
        uuid4(), "AAAAAA", "confirmed", None, None, "a@example.com", None, currency, total, total, "en", 0,
        NOW, NOW - timedelta(days=5), tuple(slices), tuple(people), tuple(charges),
    )  # fmt: skip


def cancelled(view: BookingView, people: Any = None, slices: Any = None, *, free: bool = False) -> Reckoning:
    people, slices = view.passengers if people is None else people, view.slices if slices is None else slices
    return by_pairs(view, [(one, piece) for one in people for piece in slices], free=free)


def by_pairs(view: BookingView, pairs: Any, *, free: bool = False, at_fault: Any = ()) -> Reckoning:
    return reckoning.cancellation(view, pairs, follows_fare=FOLLOWS, free=free, at_fault=at_fault)


def after(view: BookingView, done: Reckoning) -> BookingView:
    """Return the booking with these lines appended, as applying them does."""
    lines = tuple(
        ChargeView(one["code"], one["label"], one["amount_minor"], UUID(one["passenger_id"]), one["slice_position"])
        for one in done.lines
    )
    return replace(view, charges=(*view.charges, *lines), total_minor=view.total_minor + done.sum_minor)


@given(bookings())
@settings(max_examples=150, deadline=None)
def test_no_more_goes_back_than_was_paid_and_never_less_than_nothing(view: BookingView) -> None:
    for free in (True, False):
        back = -cancelled(view, free=free).sum_minor
        assert 0 <= back <= view.total_minor
    assert -cancelled(view, free=True).sum_minor == view.total_minor


@given(bookings())
@settings(max_examples=150, deadline=None)
def test_in_parts_it_is_the_same_as_at_once_and_a_second_time_nothing(view: BookingView) -> None:
    whole = cancelled(view)
    by_traveller = [cancelled(view, [one]) for one in view.passengers]
    by_direction = [cancelled(view, None, [piece]) for piece in view.slices]
    each = [by_pairs(view, [(one, piece)]) for one in view.passengers for piece in view.slices]
    for parts in (by_traveller, by_direction, each):
        assert sum(one.sum_minor for one in parts) == whole.sum_minor
        assert sum(one.penalty_minor for one in parts) == whole.penalty_minor
    rest = after(view, whole)
    assert rest.total_minor >= 0
    again = cancelled(rest)
    assert again.sum_minor >= -rest.total_minor
    assert cancelled(after(view, cancelled(view, free=True)), free=True).lines == ()


@given(bookings(), st.data())
@settings(max_examples=150, deadline=None)
def test_travellers_leaving_directions_one_after_the_other_get_what_they_would_get_at_once(
    view: BookingView, data: st.DataObject
) -> None:
    """Whatever the order and the grouping: each pair is appended to the booking before the next is reckoned."""
    every = [(one, piece) for one in view.passengers for piece in view.slices]
    steps = data.draw(st.permutations(every))
    at_fault = data.draw(st.sets(st.sampled_from([piece.position for piece in view.slices])))
    so_far, back = view, 0
    for pair in steps:
        done = by_pairs(so_far, [pair], at_fault=at_fault)
        so_far, back = after(so_far, done), back - done.sum_minor
        assert so_far.total_minor >= 0
    assert back == -by_pairs(view, every, at_fault=at_fault).sum_minor
    assert so_far.total_minor == view.total_minor - back
    faultless = sum(one.amount_minor for one in view.charges if one.slice_position in at_fault)
    assert back >= faultless


@given(bookings())
@settings(max_examples=150, deadline=None)
def test_a_penalty_is_for_who_has_a_seat_and_never_dearer_than_the_fare(view: BookingView) -> None:
    for one in view.passengers:
        for piece in view.slices:
            fare, _taxes = reckoning.parts(reckoning.standing(view.charges, one.id, piece.position), FOLLOWS)
            taken = cancelled(view, [one], [piece]).penalty_minor
            assert 0 <= taken <= max(0, sum(fare.values()))
            assert one.takes_seat or taken == 0


def fares(amounts: list[int]) -> dict[str, list[PriceLine]]:
    """Return a new price for each type: the fare, a tax that follows it, and one that is due for who travels."""
    return {
        kind: [
            PriceLine("fare", "Fare", amounts[at]),
            PriceLine("US", "US transportation tax (7.5 %)", amounts[at + 3] // 13),
            PriceLine("AY", "Security fee", amounts[at + 6] // 5),
        ]
        for at, kind in enumerate(("adult", "child", "infant"))
    }


PRICES = st.lists(AMOUNTS, min_size=9, max_size=9).map(fares)


def flown_otherwise(view: BookingView, at: int, price: Any, new: Any, *, free: bool = False) -> BookingView:
    """Return the booking with a direction changed and paid for, or paid back."""
    piece = view.slices[at]
    terms = new if free else reckoning.stricter_refund(piece.conditions, new)
    done = reckoning.change(view, piece, price, terms=terms, follows_fare=FOLLOWS, free=free)
    pieces = [replace(one, conditions=terms) if one is piece else one for one in view.slices]
    return replace(after(view, done), slices=tuple(pieces))


@given(bookings(), PRICES, st.booleans(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_change_costs_the_difference_and_the_fee_and_keeps_what_is_not_refunded(
    view: BookingView, price: Any, free: bool, data: st.DataObject
) -> None:
    piece = view.slices[0]
    new = {"refund": term(data.draw(st.booleans()), data.draw(AMOUNTS), view.currency)}
    terms = new if free else reckoning.stricter_refund(piece.conditions, new)
    done = reckoning.change(view, piece, price, terms=terms, follows_fare=FOLLOWS, free=free)
    asked = sum(line.amount_minor for one in view.passengers for line in price[one.type])
    kept = [one["amount_minor"] for one in done.lines if one["code"] == "fare_kept"]
    assert done.sum_minor == asked + done.penalty_minor - reckoning.price_of(view, piece) + sum(kept)
    assert all(amount > 0 for amount in kept)
    assert after(view, done).total_minor >= 0
    assert free is False or (done.penalty_minor, kept) == (0, [])
    assert reckoning.penalty_minor(piece.conditions, "refund") != 0 or kept == []


@given(bookings(), st.data())
@settings(max_examples=200, deadline=None)
def test_who_changes_first_and_then_cancels_never_gets_more_than_who_cancels_at_once(
    view: BookingView, data: st.DataObject
) -> None:
    """Beside what the changes cost, that is: the carrier keeps at least as much, whatever was changed, and how often.

    By any number of changes, of any direction, to any fare, price and terms.
    """
    at_once = after(view, cancelled(view)).total_minor
    for _change in range(data.draw(st.integers(1, 3))):
        new = {name: term(data.draw(st.booleans()), data.draw(AMOUNTS), view.currency) for name in ("refund", "change")}
        at = data.draw(st.integers(0, len(view.slices) - 1))
        view = flown_otherwise(view, at, data.draw(PRICES), new)
        now = after(view, cancelled(view)).total_minor
        assert now >= at_once
        at_once = now


@given(bookings(), PRICES)
@settings(max_examples=50, deadline=None)
def test_a_free_change_comes_under_the_terms_of_the_new_fare(view: BookingView, price: Any) -> None:
    flex = {"refund": term(True, 0, view.currency)}
    view = flown_otherwise(view, 0, price, flex, free=True)
    back = -cancelled(view, None, view.slices[:1]).sum_minor
    assert back == reckoning.price_of(view, view.slices[0])


NO, FREE, DEAR, CHEAP = (term(*one, "USD") for one in ((False, 0), (True, 0), (True, 25_000), (True, 12_000)))


@pytest.mark.parametrize(
    ("old", "new", "holds"),
    [(NO, FREE, NO), (FREE, NO, NO), (DEAR, CHEAP, DEAR), (CHEAP, DEAR, DEAR), (DEAR, FREE, DEAR), (NO, DEAR, NO)],
)
def test_the_stricter_refund_term_holds_and_all_else_is_of_the_new_fare(old: Any, new: Any, holds: Any) -> None:
    had, gets = {"refund": old, "change": NO, "cabinBag": False}, {"refund": new, "change": FREE, "cabinBag": True}
    assert reckoning.stricter_refund(had, gets) == {**gets, "refund": holds}


@pytest.mark.parametrize(
    ("hours", "days", "free"),
    [(0, 30, True), (24, 30, True), (25, 30, False), (1, 6, False), (23, 7, True)],
)
def test_the_24_hour_rule(hours: int, days: int, free: bool) -> None:
    flight: Any = SimpleNamespace(departure_at=NOW + timedelta(days=days))
    view: Any = SimpleNamespace(confirmed_at=NOW, slices=[SimpleNamespace(flights=[flight])], amendments=())
    assert reckoning.is_free(view, NOW + timedelta(hours=hours)) is free


@pytest.mark.parametrize(
    ("one", "other", "apart"), [("SMITH", "SMYTH", 1), ("A B", "B A", 2), ("", "ABCD", 4), ("X", "X", 0)]
)
def test_letters_apart(one: str, other: str, apart: int) -> None:
    assert rules.letters_apart(one, other) == rules.letters_apart(other, one) == apart


def flight(leaves: datetime, hours: int = 10) -> Any:
    return SimpleNamespace(
        departure_at=leaves, arrival_at=leaves + timedelta(hours=hours), departs_on=leaves.date(), leaves_at=leaves
    )


def test_across_the_date_line_and_a_night_of_new_clocks_order_counts_in_real_time() -> None:
    """By the clocks on the wall, Tokyo to Los Angeles lands before it left; that is in order all the same."""
    out = flight(datetime(2027, 3, 28, 8, 0, tzinfo=UTC))
    back = flight(datetime(2027, 3, 28, 18, 0, tzinfo=UTC))
    assert rules.order_problem([[out], [back]]) is None
    assert rules.order_problem([[back], [out]]) is not None
    early = flight(datetime(2027, 3, 28, 17, 59, tzinfo=UTC))
    assert rules.order_problem([[out], [early]]) is not None


@pytest.mark.parametrize(
    ("born", "day", "fits"),
    [
        (date(2024, 2, 29), date(2026, 2, 28), True),
        (date(2024, 2, 29), date(2026, 3, 1), False),
        (date(2026, 2, 28), date(2028, 2, 28), False),
        (date(2026, 3, 1), date(2028, 2, 29), True),
    ],
)
def test_an_infant_around_29_february_needs_a_seat_from_the_second_birthday(born: date, day: date, fits: bool) -> None:
    adult = PassengerView(uuid4(), 0, "adult", "A", "B", "B/A", date(1990, 1, 1), None)
    infant = PassengerView(uuid4(), 1, "infant", "C", "B", "B/C", born, None)
    assert (rules.party_problem([adult, infant], [day]) is None) is fits


def test_check_in_is_open_from_24_hours_to_one_before_on_a_night_of_new_clocks() -> None:
    leaves = datetime.combine(date(2027, 3, 28), time(1, 30), UTC)
    opens, closes = rules.check_in_window(flight(leaves))
    assert (leaves - opens, leaves - closes) == (timedelta(hours=24), timedelta(minutes=60))

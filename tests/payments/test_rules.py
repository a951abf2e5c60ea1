"""What a payment becomes by what a gateway says."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kit.money import decimal_text
from portal.payments.models import PAYMENT_STATES
from portal.payments.rules import LONGEST_WAIT, OPEN, next_check, next_state, refusal
from portal.payments.stripe import NO_DECIMALS, THREE_DECIMALS, edge_amount

states = st.sampled_from(PAYMENT_STATES)
TAKEN = ("succeeded", "under_review")


@given(st.lists(states, max_size=8))
def test_money_taken_is_never_forgotten_in_whatever_order_it_is_told(told: list[str]) -> None:
    state = "pending"
    for word in told:
        before, state = state, next_state(state, word)
        assert before in (*OPEN, state) or state in TAKEN
    assert (state in TAKEN) == any(word in TAKEN for word in told)


@given(states, states)
def test_hearing_it_again_changes_nothing(state: str, told: str) -> None:
    once = next_state(state, told)
    assert next_state(once, told) == once


@given(st.timedeltas(timedelta(0), timedelta(days=30)), st.timedeltas(timedelta(0), timedelta(days=1)))
def test_the_waits_grow_and_have_an_end(age: timedelta, more: timedelta) -> None:
    assert timedelta(seconds=20) <= next_check(age) <= next_check(age + more) <= LONGEST_WAIT


def test_a_refusal_says_that_nothing_was_charged() -> None:
    for code in ("card_declined", "insufficient_funds", "not_authenticated", None, "something new"):
        assert "Nothing was charged" in refusal(code)


CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KRW", "KWD", "BHD", "JOD", "ISK", "UGX", "MGA", "VND", "LYD"])


@pytest.mark.parametrize(
    ("minor", "currency", "theirs"),
    [
        (12_345, "USD", 12_345),
        (12_345, "JPY", 12_345),
        (12_345, "KWD", 12_350),
        (12_344, "KWD", 12_340),
        (12_340, "BHD", 12_340),
        (500, "ISK", 50_000),
        (500, "UGX", 50_000),
        (500, "KRW", 500),
        (12_345, "LYD", 1235),
    ],
)
def test_sums_are_told_to_stripe_in_its_own_units(minor: int, currency: str, theirs: int) -> None:
    assert edge_amount(minor, currency) == theirs


@given(st.integers(0, 10**9), CURRENCIES)
def test_what_stripe_is_asked_for_is_right_to_its_smallest_unit(minor: int, currency: str) -> None:
    unit = Decimal(10) ** (-0 if currency in NO_DECIMALS else -3 if currency in THREE_DECIMALS else -2)
    smallest = unit * 10 if currency in THREE_DECIMALS else unit
    ours, theirs = Decimal(decimal_text(minor, currency)), edge_amount(minor, currency) * unit
    assert abs(ours - theirs) <= smallest / 2
    assert theirs % smallest == 0


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=6), CURRENCIES)
def test_refunds_in_parts_give_back_exactly_what_stripe_took(parts: list[int], currency: str) -> None:
    told, before = [], 0
    for part in parts:
        told.append(edge_amount(before + part, currency) - edge_amount(before, currency))
        before += part
    assert min(told) >= 0
    assert sum(told) == edge_amount(sum(parts), currency)

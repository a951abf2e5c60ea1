"""Amounts as they are typed: what is one is read exactly, and anything else is a ValueError, whatever was typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kit import money
from portal.kit.money import Money

REFUSED = r"is not an amount|has more digits than|is too much"
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD"])


@given(st.integers(1 - money.TOO_MUCH, money.TOO_MUCH - 1), CURRENCIES)
def test_what_is_written_is_read_again(minor: int, currency: str) -> None:
    assert money.parse(money.decimal_text(minor, currency), currency) == Money(minor, currency)


HUGE = ["1E5000", "-1E5000", "1E999999", "9" * 5000, "10000000000000.00", "1E13", "-1E13"]
NONE = ["", " ", "x", "1,5", "0.001", "1E-5000", "NaN", "sNaN", "Infinity", "-Infinity", "1E99999999999"]


@pytest.mark.parametrize("typed", HUGE + NONE)
def test_what_is_too_much_or_no_amount_is_refused_as_such(typed: str) -> None:
    with pytest.raises(ValueError, match=REFUSED):
        money.parse(typed, "USD")


@given(st.text(alphabet="0123456789eE+-._ ", max_size=12), CURRENCIES)
def test_whatever_is_typed_is_an_amount_that_can_be_written_or_is_refused(typed: str, currency: str) -> None:
    try:
        read = money.parse(typed, currency)
    except ValueError:
        return
    assert len(f"{read.minor}") <= 16
    assert money.parse(read.wire()["amount"], currency) == read

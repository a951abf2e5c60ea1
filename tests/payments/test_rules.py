"""What a payment becomes by what a gateway says."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from portal.payments.models import PAYMENT_STATES
from portal.payments.rules import LONGEST_WAIT, OPEN, next_check, next_state, refusal

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

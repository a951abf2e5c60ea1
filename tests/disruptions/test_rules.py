"""The rules of a change, tried with many values: rights never shrink as a delay grows, clocks stay within bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from portal.disruptions import queries, rules
from portal.disruptions.rules import Booked, RuleRow, Thresholds
from portal.flights.operations import Times
from portal.kit import db
from portal.kit.settings import Settings

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
FIGURES = Thresholds(60, 180, 360, timedelta(days=7))
LEAVES, LANDS = NOW + timedelta(days=30), NOW + timedelta(days=30, hours=5)
WALL = datetime(2027, 3, 31, 12, 0)
ONE = Booked(uuid4(), "ABC234", "confirmed", 0, "USD", True, 2, 2, 50_000, None, 60, None, 60, 0)
minutes = st.integers(0, 2880)


def times(late: int = 0, early: int = 0) -> Times:
    return Times(LEAVES - timedelta(minutes=early), LANDS + timedelta(minutes=late), WALL, WALL)


@given(minutes, minutes, st.booleans())
def test_a_longer_delay_never_takes_a_right_away(one: int, other: int, domestic: bool) -> None:
    short, long = sorted((one, other))
    booked = replace(ONE, domestic=domestic)
    less, more = (
        rules.impact("delay", booked, times(), times(late), leaving=(), figures=FIGURES) for late in (short, long)
    )
    assert (less.by_right, less.needs_answer) <= (more.by_right, more.needs_answer)
    assert less.by_right == (short >= (180 if domestic else 360))
    assert less.needs_answer == (short >= 60)


@given(minutes, minutes)
def test_landing_later_and_leaving_earlier_count_alike_and_never_below_zero(late: int, early: int) -> None:
    assert rules.shift_minutes(times(), times(late, early)) == max(late, early)
    assert rules.shift_minutes(times(late, early), times()) == 0


@given(st.integers(0, 600), st.integers(0, 600), st.sampled_from([60, 90]))
def test_a_connection_is_missed_exactly_when_it_is_shorter_than_the_minimum(wait: int, late: int, least: int) -> None:
    onward = replace(ONE, goes_at=LANDS + timedelta(minutes=wait), goes_least=least)
    assert rules.is_missed(onward, times(late)) == (wait - late < least)
    inward = replace(ONE, comes_at=LEAVES - timedelta(minutes=wait), comes_least=least)
    assert rules.is_missed(inward, times(early=late)) == (wait - late < least)


@given(st.integers(-10_000, 60_000), st.sampled_from(["cancelled", "misconnected", "no_seat", "delayed", "swapped"]))
def test_money_goes_back_by_itself_only_for_what_cannot_be_flown_and_never_before_it_is_told(
    ahead: int, why: str
) -> None:
    leaves = NOW + timedelta(minutes=ahead)
    at = rules.refund_time(why, NOW, leaves, FIGURES)
    if why in rules.CANNOT_FLY:
        assert at is not None
        assert NOW <= at <= NOW + timedelta(days=7)
        assert why != "cancelled" or at >= NOW + timedelta(days=1)
    else:
        assert at is None


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_reminders_lie_between_now_and_departure_and_come_to_an_end(ahead: int, gone: int) -> None:
    leaves, now, seen = NOW + timedelta(minutes=ahead), NOW + timedelta(minutes=gone), 0
    at = rules.next_reminder(NOW, leaves, now)
    while at is not None:
        assert now < at < leaves
        seen, now = seen + 1, at
        at = rules.next_reminder(NOW, leaves, now)
    assert seen <= 2


def test_what_cannot_be_flown_cannot_be_accepted() -> None:
    for why in ("cancelled", "misconnected", "no_seat"):
        assert rules.choices(why, by_right=True) == ("rebook", "refund")
    assert rules.choices("delayed", by_right=False) == ("accept", "rebook")
    assert rules.choices("retimed", by_right=True) == ("accept", "rebook", "refund")


def test_the_latest_row_in_force_counts() -> None:
    rows = [
        RuleRow("refund", "any", 240, "older", date(2020, 1, 1), None),
        RuleRow("refund", "domestic", 180, "14 CFR 260.2", date(2024, 10, 28), None),
        RuleRow("refund", "domestic", 120, "a later rule", date(2028, 1, 1), None),
        RuleRow("answer", "any", 60, "ours", date(2020, 1, 1), date(2026, 12, 31)),
        RuleRow("answer", "any", 30, "ours", date(2027, 1, 1), None),
        RuleRow("clock", "any", 1440, "ours", date(2020, 1, 1), None),
    ]
    found = rules.thresholds(rows, date(2027, 3, 1))
    assert (found.refund_domestic, found.refund_international, found.answer) == (180, 240, 30)
    assert rules.thresholds(rows, date(2028, 1, 1)).refund_domestic == 120
    with pytest.raises(LookupError):
        rules.thresholds(rows[:1], date(2027, 3, 1))


def test_the_figures_of_the_law_are_rows_with_their_source(settings: Settings) -> None:
    with db.reading() as session:
        found = rules.thresholds(queries.rule_rows(session), date(2027, 3, 1))
        sources = session.scalars(text("select source from carrier_change_rules where kind = 'refund'")).all()
    assert (found.refund_domestic, found.refund_international, found.answer) == (180, 360, 60)
    assert all("14 CFR 260.2" in source for source in sources)

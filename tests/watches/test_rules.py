"""Who is next in line, and when a price is worth a mail: proven for any line and any run of prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from portal.watches.rules import QUIET, Heard, hear, next_in_line

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
lines = st.lists(st.integers(1, 9), max_size=30).map(lambda parties: list(enumerate(parties)))


def serve(line: list[tuple[int, int]], free: int) -> tuple[list[int], int]:
    """Offer until nobody fits, as the round does; return who was served, in order, and what is left."""
    served, waiting, seats = [], list(line), dict(line)
    while (who := next_in_line(waiting, free)) is not None:
        served.append(who)
        free -= seats[who]
        waiting = [(other, wanted) for other, wanted in waiting if other != who]
    return served, free


@given(lines, st.integers(0, 40))
def test_nobody_is_passed_over_who_would_have_fitted(line: list[tuple[int, int]], free: int) -> None:
    served, left = serve(line, free)
    seats = dict(line)
    assert left == free - sum(seats[who] for who in served) >= 0
    assert served == sorted(served)
    for who, wanted in line:
        if who not in served:
            before = sum(seats[other] for other in served if other < who)
            assert wanted > free - before


@given(lines, st.integers(0, 40), st.integers(1, 9))
def test_who_comes_later_never_takes_what_an_earlier_party_would_get(
    line: list[tuple[int, int]], free: int, late: int
) -> None:
    served, _ = serve(line, free)
    longer, _ = serve([*line, (len(line), late)], free)
    assert longer[: len(served)] == served


@given(lines, st.integers(0, 20), st.integers(0, 20))
def test_the_first_in_line_is_served_as_soon_as_there_is_room(
    line: list[tuple[int, int]], free: int, more: int
) -> None:
    if line and line[0][1] <= free + more:
        assert serve(line, free + more)[0][0] == line[0][0]


prices = st.lists(st.tuples(st.none() | st.integers(1, 300), st.integers(1, 200)), max_size=60)


@given(prices, st.integers(2, 200))
def test_a_drop_is_told_once_and_not_again_within_three_days_unless_lower(
    seen: list[tuple[int | None, int]], below: int
) -> None:
    heard, now, mails, armed = Heard(), NOW, [], True
    for price, hours in seen:
        now += timedelta(hours=hours)
        heard, worth = hear(heard, price, below, now)
        if price is not None and price >= below:
            armed = True
        if worth:
            assert price is not None
            assert price < below
            if mails:
                last_price, last_at = mails[-1]
                assert price < last_price or (armed and now - last_at >= QUIET)
            mails.append((price, now))
            armed = False
        elif price is not None and price < below:
            assert mails, "the first price below is always told"
            assert price >= mails[-1][0]
            assert not armed or now - mails[-1][1] < QUIET


def test_a_price_that_stays_low_is_told_once() -> None:
    heard, worth = hear(Heard(), 90, 100, NOW)
    assert worth
    for days in range(1, 30):
        heard, worth = hear(heard, 90, 100, NOW + timedelta(days=days))
        assert not worth


def test_a_lower_price_is_told_at_once() -> None:
    heard, _ = hear(Heard(), 90, 100, NOW)
    heard, worth = hear(heard, 89, 100, NOW + timedelta(hours=1))
    assert worth
    assert (heard.told_minor, heard.told_at) == (89, NOW + timedelta(hours=1))

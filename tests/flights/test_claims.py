"""Claims on seats: the counters add up whatever is done, and never go below zero."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.flights import service
from portal.flights.errors import ClaimsLost, FlightClosed, SoldOut
from portal.flights.queries import broken_counters, free_seats
from portal.flights.service import SeatWish
from portal.kit import db
from portal.kit.settings import Settings
from tests import world


def make(seats: int = 3, number: int = 101, days: int = 30, status: str = "scheduled") -> int:
    with db.writing() as session:
        return world.flight(session, seats=seats, number=number, on=world.soon(days), status=status).id


def take(flight: int, seats: int = 1, holder: UUID | None = None) -> UUID:
    holder = holder or uuid4()
    with db.writing() as session:
        service.take_seats(session, holder=holder, wishes=[SeatWish(flight, "economy", seats)], minutes=15)
    return holder


def sell(holder: UUID, expected: int = 1) -> None:
    with db.writing() as session:
        service.sell_claims(session, holder=holder, expected=expected)


def release(holder: UUID) -> None:
    with db.writing() as session:
        service.release_claims(session, holder=holder)


def lapse(holder: UUID) -> None:
    with db.writing() as session:
        session.execute(
            text(
                "update seat_claims set expires_at = now() - interval '1 second'"
                " where holder = :holder and expires_at is not null"
            ),
            {"holder": holder},
        )


def counters(flight: int) -> tuple[int, int]:
    with db.reading() as session:
        row = session.execute(
            text("select held, sold from flight_cabins where flight_id = :id and cabin = 'economy'"), {"id": flight}
        ).one()
    return row.held, row.sold


def free(flight: int) -> int:
    with db.reading() as session:
        return free_seats(session, [flight])[flight, "economy"]


def test_taking_holds_seats_until_the_returned_instant(settings: Settings) -> None:
    flight = make()
    with db.writing() as session:
        now = session.scalar(text("select now()"))
        until = service.take_seats(session, holder=uuid4(), wishes=[SeatWish(flight, "economy", 2)], minutes=15)
    assert until - now == timedelta(minutes=15)
    assert counters(flight) == (2, 0)
    assert free(flight) == 1


def test_more_than_is_free_is_sold_out_and_takes_nothing(settings: Settings) -> None:
    flight = make(seats=3)
    take(flight, 2)
    with pytest.raises(SoldOut):
        take(flight, 2)
    assert counters(flight) == (2, 0)


def test_several_flights_are_all_or_none(settings: Settings) -> None:
    full, empty = make(seats=1), make(seats=9, number=102)
    take(full)
    wishes = [SeatWish(empty, "economy", 1), SeatWish(full, "economy", 1)]
    with pytest.raises(SoldOut), db.writing() as session:
        service.take_seats(session, holder=uuid4(), wishes=wishes, minutes=15)
    assert counters(empty) == (0, 0)


def test_a_departed_or_cancelled_flight_is_closed(settings: Settings) -> None:
    for flight in (make(days=-2), make(number=102, status="cancelled")):
        with pytest.raises(FlightClosed):
            take(flight)


def test_an_unknown_cabin_has_no_seats(settings: Settings) -> None:
    flight = make()
    with pytest.raises(SoldOut), db.writing() as session:
        service.take_seats(session, holder=uuid4(), wishes=[SeatWish(flight, "first", 1)], minutes=15)


def test_lapsed_claims_are_free_without_a_sweep(settings: Settings) -> None:
    flight = make(seats=2)
    lapse(take(flight, 2))
    assert free(flight) == 2
    take(flight, 2)
    assert counters(flight) == (2, 0)
    assert free(flight) == 0


def test_a_lapsed_claim_that_nobody_took_is_still_sold(settings: Settings) -> None:
    flight = make()
    holder = take(flight)
    lapse(holder)
    sell(holder)
    assert counters(flight) == (0, 1)


def test_selling_after_lapse_and_retake_is_refused(settings: Settings) -> None:
    flight = make(seats=1)
    late = take(flight)
    lapse(late)
    quick = take(flight)
    with pytest.raises(ClaimsLost):
        sell(late)
    sell(quick)
    assert counters(flight) == (0, 1)


def test_one_lost_claim_of_two_sells_neither(settings: Settings) -> None:
    one, two = make(seats=1), make(seats=1, number=102)
    late = uuid4()
    with db.writing() as session:
        wishes = [SeatWish(one, "economy", 1), SeatWish(two, "economy", 1)]
        service.take_seats(session, holder=late, wishes=wishes, minutes=15)
    lapse(late)
    take(two)
    with pytest.raises(ClaimsLost):
        sell(late, expected=2)
    assert counters(one) == (1, 0)


def test_selling_twice_sells_once(settings: Settings) -> None:
    flight = make()
    holder = take(flight, 2)
    sell(holder)
    sell(holder)
    assert counters(flight) == (0, 2)


def test_extending_moves_the_deadline(settings: Settings) -> None:
    flight = make()
    holder = take(flight)
    with db.writing() as session:
        now = session.scalar(text("select now()"))
        assert service.extend_claims(session, holder=holder, minutes=40) - now == timedelta(minutes=40)


def test_extending_lost_or_lapsed_claims_is_refused(settings: Settings) -> None:
    flight = make(seats=1)
    holder = take(flight)
    lapse(holder)
    with pytest.raises(ClaimsLost), db.writing() as session:
        service.extend_claims(session, holder=holder, minutes=15)
    with db.writing() as session:
        service.extend_claims(session, holder=holder, minutes=15, expected=1)
    lapse(holder)
    take(flight)
    with pytest.raises(ClaimsLost), db.writing() as session:
        service.extend_claims(session, holder=holder, minutes=15, expected=1)


def test_release_gives_back_held_and_sold_seats_once(settings: Settings) -> None:
    flight = make(seats=3)
    held, sold = take(flight), take(flight, 2)
    sell(sold)
    for holder in (held, sold, held, sold):
        release(holder)
    assert counters(flight) == (0, 0)


def test_broken_books_are_found(settings: Settings) -> None:
    flight = make()
    take(flight)
    with db.reading() as session:
        assert broken_counters(session) == []
    with db.writing() as session:
        session.execute(text("update flight_cabins set held = 2 where cabin = 'economy'"))
    with db.reading() as session:
        (row, *_) = broken_counters(session)
    assert (row.flight_id, row.cabin, row.held, row.claimed_held) == (flight, "economy", 2, 1)


STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "sell", "release", "lapse", "extend"]), st.integers(0, 3), st.integers(1, 3)),
    max_size=25,
)


@effort(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_books_balance_after_any_history(settings: Settings, steps: list[tuple[str, int, int]]) -> None:
    with db.writing() as session:
        session.execute(text("truncate seat_claims, flight_cabins, flights cascade"))
    flight = make(seats=5)
    holders = [uuid4() for _ in range(4)]
    for verb, who, seats in steps:
        _try(verb, flight, holders[who], seats)
        held, sold = counters(flight)
        assert held >= 0
        assert sold >= 0
        assert held + sold <= 5
        with db.reading() as session:
            assert broken_counters(session) == []


def _try(verb: str, flight: int, holder: UUID, seats: int) -> None:
    deeds = {"sell": sell, "release": release, "lapse": lapse, "extend": _extend}
    try:
        if verb == "take":
            take(flight, seats, None if _has_claim(holder) else holder)
        else:
            deeds[verb](holder)
    except (SoldOut, ClaimsLost):
        pass


def _extend(holder: UUID) -> None:
    with db.writing() as session:
        service.extend_claims(session, holder=holder, minutes=15)


def _has_claim(holder: UUID) -> bool:
    with db.reading() as session:
        return _claims(session, holder) > 0


def _claims(session: Session, holder: UUID) -> int:
    return session.scalar(text("select count(*) from seat_claims where holder = :holder"), {"holder": holder}) or 0

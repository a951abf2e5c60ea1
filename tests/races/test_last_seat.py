"""Two hundred buyers, one seat: sold once, fifty times over. A careless twin proves that this test can see a race."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import text

from portal.flights import service
from portal.flights.errors import SoldOut
from portal.flights.queries import broken_counters
from portal.flights.service import SeatWish
from portal.kit import db
from portal.kit.settings import Settings
from tests import world

BUYERS, ROUNDS, AT_ONCE = 200, 50, 10


def rush(buy: Callable[[], bool]) -> Counter[bool]:
    """Let all buyers loose, AT_ONCE of them at the same moment, and count who got a seat."""
    start = Barrier(AT_ONCE)

    def buyer(number: int) -> bool:
        if number < AT_ONCE:
            start.wait(10)
        return buy()

    with ThreadPoolExecutor(AT_ONCE) as crowd:
        return Counter(crowd.map(buyer, range(BUYERS)))


@pytest.mark.slow
def test_the_last_seat_is_sold_once_in_every_round(settings: Settings) -> None:
    for number in range(1, ROUNDS + 1):
        with db.writing() as session:
            flight = world.flight(session, seats=1, number=number, business=0).id

        def buy(flight: int = flight) -> bool:
            holder = uuid4()
            try:
                with db.writing() as session:
                    wish = SeatWish(flight, "economy", 1)
                    service.take_seats(session, holder=holder, wishes=[wish], minutes=15)
                with db.writing() as session:
                    service.sell_claims(session, holder=holder, expected=1)
            except SoldOut:
                return False
            return True

        assert rush(buy) == {True: 1, False: BUYERS - 1}
    with db.reading() as session:
        assert broken_counters(session) == []
        assert session.scalar(text("select sum(sold) from flight_cabins")) == ROUNDS


@pytest.mark.slow
def test_a_lapsed_last_seat_is_retaken_once_in_every_round(settings: Settings) -> None:
    for number in range(1, 11):
        with db.writing() as session:
            flight = world.flight(session, seats=1, number=number, business=0).id
            wish = SeatWish(flight, "economy", 1)
            service.take_seats(session, holder=uuid4(), wishes=[wish], minutes=15)
            session.execute(text("update seat_claims set expires_at = now() - interval '1 second'"))

        def buy(wish: SeatWish = wish) -> bool:
            try:
                with db.writing() as session:
                    service.take_seats(session, holder=uuid4(), wishes=[wish], minutes=15)
            except SoldOut:
                return False
            return True

        assert rush(buy) == {True: 1, False: BUYERS - 1}
    with db.reading() as session:
        assert broken_counters(session) == []


@pytest.mark.slow
def test_a_careless_twin_oversells_and_is_seen(settings: Settings) -> None:
    with db.writing() as session:
        session.execute(text("create table careless (flight int, capacity int, held int)"))
    sold = [_careless_round(number) for number in range(20)]
    assert min(sold) >= 1
    assert max(sold) > 1


def _careless_round(flight: int) -> int:
    with db.writing() as session:
        session.execute(text("insert into careless values (:flight, 1, 0)"), {"flight": flight})

    def buy() -> bool:
        with db.writing() as session:
            free = session.scalar(text("select capacity - held from careless where flight = :f"), {"f": flight}) or 0
            if free > 0:
                session.execute(text("update careless set held = held + 1 where flight = :f"), {"f": flight})
            return free > 0

    return rush(buy)[True]

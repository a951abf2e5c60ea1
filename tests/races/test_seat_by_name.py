"""Fifty buyers want 14A: one gets it, round after round. A careless twin gives it away twice and is seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from portal.flights import seating, service
from portal.flights.errors import SeatTaken
from portal.flights.seating import SeatChoice
from portal.flights.service import SeatWish
from portal.kit import db
from portal.kit.settings import Settings
from tests import world

BUYERS, ROUNDS, AT_ONCE = 50, 10, 10


def rush(buy: Callable[[UUID], bool], buyers: list[UUID]) -> Counter[bool]:
    """Let all buyers loose, AT_ONCE of them at the same moment, and count who got the seat."""
    start = Barrier(AT_ONCE)

    def one(at: int) -> bool:
        if at < AT_ONCE:
            start.wait(10)
        return buy(buyers[at])

    with ThreadPoolExecutor(AT_ONCE) as crowd:
        return Counter(crowd.map(one, range(len(buyers))))


def holders(flight: int, count: int = BUYERS, seats: int = 1) -> list[UUID]:
    """Return that many holders of unnamed seats in economy."""
    made = [uuid4() for _ in range(count)]
    for holder in made:
        with db.writing() as session:
            service.take_seats(session, holder=holder, wishes=[SeatWish(flight, "economy", seats)], minutes=15)
    return made


@pytest.mark.slow
def test_a_seat_by_name_is_given_once_in_every_round(settings: Settings) -> None:
    with db.writing() as session:
        flight = world.flight(session).id
    buyers = holders(flight)

    for row in range(14, 14 + ROUNDS):

        def buy(holder: UUID, seat: str = f"{row}A") -> bool:
            try:
                with db.writing() as session:
                    seating.choose(session, holder=holder, choices=[SeatChoice(flight, seat, holder)])
            except SeatTaken:
                return False
            return True

        assert rush(buy, buyers) == {True: 1, False: BUYERS - 1}


def test_parties_that_swap_against_each_other_never_wait_in_a_circle(settings: Settings) -> None:
    """Each of two parties wants what the other has, in the opposite order: both are told, nobody hangs."""
    with db.writing() as session:
        flight = world.flight(session).id
    one, other = holders(flight, count=2, seats=2)
    people = {holder: (uuid4(), uuid4()) for holder in (one, other)}
    for holder, seats in ((one, ("14A", "15A")), (other, ("15B", "14B"))):
        choices = [SeatChoice(flight, seat, who) for seat, who in zip(seats, people[holder], strict=True)]
        with db.writing() as session:
            seating.choose(session, holder=holder, choices=choices)
    wishes = {one: ("15B", "14B"), other: ("14A", "15A")}
    start = Barrier(2)

    def swap(holder: UUID) -> str:
        choices = [SeatChoice(flight, seat, who) for seat, who in zip(wishes[holder], people[holder], strict=True)]
        start.wait(5)
        try:
            with db.writing() as session:
                seating.choose(session, holder=holder, choices=choices)
        except SeatTaken as no:
            return no.code
        return "done"

    with ThreadPoolExecutor(2) as crowd:
        assert list(crowd.map(swap, (one, other))) == ["seat_taken", "seat_taken"]
    with db.reading() as session:
        assert sorted(seating.seats_of(session, one).values()) == ["14A", "15A"]


@pytest.mark.slow
def test_a_careless_twin_gives_a_seat_twice_and_is_seen(settings: Settings) -> None:
    with db.writing() as session:
        session.execute(text("create table careless_seats (round int, seat text, holder uuid)"))
    buyers = [uuid4() for _ in range(BUYERS)]
    given = [rush(_careless(number), buyers)[True] for number in range(20)]
    assert min(given) >= 1
    assert max(given) > 1


def _careless(number: int) -> Callable[[UUID], bool]:
    def buy(holder: UUID) -> bool:
        values = {"round": number, "holder": holder}
        with db.writing() as session:
            there = session.scalar(text("select count(*) from careless_seats where round = :round"), values)
            if not there:
                session.execute(text("insert into careless_seats values (:round, '14A', :holder)"), values)
            return not there

    return buy

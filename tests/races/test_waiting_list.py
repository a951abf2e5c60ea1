"""Many workers serve lines at once: each party is offered seats once, in order, also who waits for two flights.

Careless twins offer twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import time, timedelta
from itertools import cycle
from threading import Barrier, Lock
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from portal.booking import service as booking
from portal.booking.forms import HoldWish
from portal.flights.errors import SoldOut
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.search.rules import Offer
from portal.watches import queries, rules, service
from tests.booking import makers as bookings
from tests.watches import makers

WORKERS, PARTIES = 8, 6


def line(settings: Settings, number: int, seats: int) -> tuple[Flight, list[UUID]]:
    """Return a flight with that many seats just freed, and a line of single travellers."""
    flight, holder = makers.full(settings, seats=seats, number=number, business=0)
    waits = [makers.joined(flight, f"{number}-{at}@example.com") for at in range(PARTIES)]
    bookings.lapse(holder)
    with db.writing() as session:
        while booking.expire_lapsed(session):
            pass
    return flight, waits


def rush(serve: Callable[[], None]) -> None:
    """Let all workers loose at the same moment."""
    start = Barrier(WORKERS)

    def worker(_: int) -> None:
        start.wait(10)
        serve()

    with ThreadPoolExecutor(WORKERS) as crowd:
        list(crowd.map(worker, range(WORKERS)))


def test_each_freed_seat_is_offered_once_and_to_the_first_in_line(settings: Settings) -> None:
    for number in range(1, 6):
        flight, waits = line(settings, number, seats=3)

        def serve(flight_id: int = flight.id) -> None:
            with db.writing() as session:
                service.offer_next(session, flight_id, "economy", settings=settings)

        rush(serve)
        assert [makers.state(wait) for wait in waits] == ["offered"] * 3 + ["waiting"] * 3
        with db.reading() as session:
            held = session.scalar(
                text(
                    "select count(*) from seat_claims c join bookings b on b.id = c.holder"
                    " where c.flight_id = :id and b.status = 'held'"
                ),
                {"id": flight.id},
            )
        assert held == 3
    assert bookings.broken() == []


def test_a_careless_twin_offers_one_party_twice_and_is_seen(settings: Settings) -> None:
    with db.writing() as session:
        session.execute(text("create table careless (who uuid)"))
    for number in range(1, 6):
        flight, _ = line(settings, number, seats=3)
        offer = bookings.offer(settings, flight)

        def serve(flight_id: int = flight.id, offer: Offer = offer) -> None:
            with suppress(SoldOut), db.writing() as session:
                waiting = [one[:2] for one in queries.line(session, flight_id, "economy")]
                who = rules.next_in_line(waiting, 3)
                booking.hold(session, HoldWish((offer,), uuid4().hex, None, minutes=180))
                session.execute(text("insert into careless values (:who)"), {"who": who})

        rush(serve)
    assert int(str(bookings.one("select max(n) from (select count(*) n from careless group by who) t"))) > 1


def through(settings: Settings, number: int) -> tuple[Flight, Flight, list[UUID]]:
    """Return two flights that connect, two seats freed on the first and one on the second, and a mixed line.

    Of it three wait for both flights, two for the first alone, and one for the second alone, in this order.
    """
    on = clock.now().date() + timedelta(days=20)
    more = {"on": on, "business": 0}
    one, first = makers.full(settings, seats=2, number=number, destination="ORD", at=time(8), minutes=150, **more)
    two, second = makers.full(settings, seats=1, number=500 + number, origin="ORD", at=time(12), minutes=260, **more)
    both = {"onward_flight_id": two.public_id}
    waits = [makers.joined(one, f"{number}-{at}@example.com", **both) for at in range(3)]
    waits += [makers.joined(one, f"{number}-a{at}@example.com") for at in range(2)]
    waits += [makers.joined(two, f"{number}-b@example.com")]
    for holder in (first, second):
        bookings.lapse(holder)
    with db.writing() as session:
        while booking.expire_lapsed(session):
            pass
    return one, two, waits


def test_who_waits_for_two_flights_is_served_once_from_both_lines_or_not_at_all(settings: Settings) -> None:
    for number in range(1, 6):
        one, two, waits = through(settings, number)
        lines = cycle([one.id, two.id])
        turn = Lock()

        def serve(lines: Iterator[int] = lines, turn: Lock = turn) -> None:
            with turn:
                mine = next(lines)
            for _time in range(2):
                with suppress(SoldOut), db.writing() as session:
                    service.offer_next(session, mine, "economy", settings=settings)

        rush(serve)
        served = [makers.state(wait) == "offered" for wait in waits]
        assert served[0], "the first in line is served from whichever side"
        assert served == [True, False, False, True, False, False]
        assert held_on(one) == 2
        assert held_on(two) == 1
    with db.reading() as session:
        assert queries.broken_waits(session) == []
    assert bookings.broken() == []


def held_on(flight: Flight) -> object:
    return bookings.one(
        "select count(*) from seat_claims c join bookings b on b.id = c.holder where c.flight_id = :id"
        " and b.status = 'held'",
        id=flight.id,
    )


def test_a_careless_twin_serves_a_connection_from_both_ends(settings: Settings) -> None:
    with db.writing() as session:
        session.execute(text("create table careless (who uuid)"))
    for number in range(1, 6):
        one, two, _waits = through(settings, number)
        offers = {flight.id: bookings.offer(settings, flight) for flight in (one, two)}
        lines = cycle([one.id, two.id])
        turn = Lock()

        def serve(
            lines: Iterator[int] = lines, turn: Lock = turn, offers: dict[int, Offer] = offers, ends: Any = (one, two)
        ) -> None:
            """Each line looks at its own lock only, and holds its own flight for who waits for both."""
            with turn:
                mine = next(lines)
            with suppress(SoldOut), db.writing() as session:
                session.execute(service.LOCK_LINE, {"key": f"waiting list {mine} economy"})
                who, _seats, _other = queries.line(session, mine, "economy")[0]
                booking.hold(session, HoldWish((offers[mine],), uuid4().hex, None, minutes=180))
                session.execute(text("insert into careless values (:who)"), {"who": who})

        rush(serve)
    assert int(str(bookings.one("select max(n) from (select count(*) n from careless group by who) t"))) > 1

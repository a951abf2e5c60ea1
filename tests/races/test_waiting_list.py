"""Many workers serve one line at once: each party is offered seats once, in order. A careless twin offers twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from uuid import UUID, uuid4

from sqlalchemy import text

from portal.booking import service as booking
from portal.booking.forms import HoldWish
from portal.flights.errors import SoldOut
from portal.flights.models import Flight
from portal.kit import db
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

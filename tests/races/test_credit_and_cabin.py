"""Two bookings, one credit, one cabin: who gives money back and who pays by it never wait for each other in a circle.

The cabin is kept locked from outside until both wait, so that each round is the worst one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

from psycopg.errors import DeadlockDetected
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from portal.booking import amending, service
from portal.booking.models import Booking
from portal.booking.tender import CreditCode
from portal.flights.models import Flight
from portal.kit import db
from portal.kit.money import Money
from portal.kit.settings import Settings
from tests.booking import makers
from tests.booking.test_cancelling import quote, sold
from tests.booking.test_changing import change, later, offer
from tests.payments.paid import credit, left
from tests.races.test_same_booking import at_once

CABIN = text("select 1 from flight_cabins where flight_id = :id for update")
WAITING = "select count(*) from pg_locks where not granted"


def by_credit(booking: Booking, code: str, amount: int | None = None) -> str:
    """Pay by a credit: all that is due, or a part of it."""
    with db.writing() as session:
        part = Money(amount, "USD") if amount else None
        return service.redeem_credit(
            session, booking.reference, CreditCode(credit=code, key=uuid4().hex, amount=part)
        ).state


def both_wait(flight: Flight, *works: Callable[[], Any]) -> list[Any]:
    """Start the works one after the other while the flight's cabins are locked, and let go once all of them wait."""
    with ThreadPoolExecutor(len(works)) as pool:
        with db.writing() as session:
            session.execute(CABIN, {"id": flight.id})
            told = []
            for count, work in enumerate(works, 1):
                told.append(pool.submit(work))
                until = time.monotonic() + 2
                while int(str(makers.one(WAITING))) < count and time.monotonic() < until:
                    time.sleep(0.01)
            assert makers.one(WAITING) == len(works)
        return [one.exception() or one.result() for one in told]


def cancelled(quoted: UUID) -> str:
    with db.writing() as session:
        return amending.confirm(session, quoted, key=uuid4().hex).state


def test_a_cancellation_and_a_sale_by_the_same_credit_both_go_through(settings: Settings) -> None:
    flight, code = makers.flight(), credit(500_000).code
    first, next_one = (makers.named(settings, makers.offer(settings, flight, brand="Flex")) for _ in range(2))
    by_credit(first, code)
    told = both_wait(flight, lambda: cancelled(quote(first).id), lambda: by_credit(next_one, code))
    assert told == ["done", "succeeded"]
    assert (makers.status(first), makers.status(next_one)) == ("cancelled", "confirmed")
    assert left(code) == 500_000 - next_one.total_minor
    assert makers.broken() == []


def test_a_change_that_is_given_up_and_a_sale_by_the_same_credit_both_go_through(settings: Settings) -> None:
    code, there = credit(500_000).code, later(fare_minor=30_000)
    booking = sold(settings, makers.flight())
    waiting = change(booking, offer(settings, there))
    by_credit(booking, code, 2_000)
    buyer = makers.named(settings, makers.offer(settings, there))

    def give_up() -> str:
        with db.writing() as session:
            amending.withdraw(session, waiting.id)
        return "withdrawn"

    assert both_wait(there, give_up, lambda: by_credit(buyer, code)) == ["withdrawn", "succeeded"]
    assert left(code) == 500_000 - buyer.total_minor
    assert makers.broken() == []


def careless(first: str, second: str, values: dict[str, object], look: Barrier) -> bool:
    """Lock two things as they come, with no order that all keep."""
    with db.writing() as session:
        session.execute(text(first), values)
        look.wait()
        session.execute(text(second), values)
        return True


def test_without_an_order_one_of_two_is_thrown_out(settings: Settings) -> None:
    cabin = "select 1 from flight_cabins where flight_id = :flight for update"
    money = "select 1 from credits where id = :credit for update"
    values, look = {"flight": makers.flight().id, "credit": credit(1000).id}, Barrier(2)
    told = at_once(lambda: careless(cabin, money, values, look), lambda: careless(money, cabin, values, look))
    thrown = [one for one in told if isinstance(one, OperationalError)]
    assert (len(thrown), isinstance(thrown[0].orig, DeadlockDetected)) == (1, True)

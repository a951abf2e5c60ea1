"""A hundred at once want the last use of a code: exactly one has it. A careless twin proves that the race is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from portal.booking import amending, service
from portal.booking.forms import HoldWish, NameWish
from portal.booking.models import Booking
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing import promotions
from portal.pricing.errors import PromotionRefused
from tests.booking import makers
from tests.pricing import promoting

BUYERS, AT_ONCE = 100, 12


def rush(buy: Callable[[], bool]) -> Counter[bool]:
    start = Barrier(AT_ONCE)

    def buyer(number: int) -> bool:
        if number < AT_ONCE:
            start.wait(10)
        return buy()

    with ThreadPoolExecutor(AT_ONCE) as crowd:
        return Counter(crowd.map(buyer, range(BUYERS)))


def buyer(code: str, flight: int, customer: str | None = None) -> Callable[[], bool]:
    def buy() -> bool:
        try:
            promoting.use(code, flight, customer=customer)
        except PromotionRefused:
            return False
        return True

    return buy


def test_the_last_use_is_had_once(settings: Settings) -> None:
    flight = promoting.flight()
    for number in range(5):
        made = promoting.make(code=f"LAST{number}", total_uses=3, used=0)
        promoting.use(f"LAST{number}", flight)
        promoting.use(f"LAST{number}", flight)
        assert rush(buyer(f"LAST{number}", flight)) == {True: 1, False: BUYERS - 1}
        assert promoting.counts(made) == (3, 3)


def test_a_lapsed_last_use_is_retaken_once(settings: Settings) -> None:
    flight = promoting.flight()
    for number in range(5):
        late, made = uuid4(), promoting.make(code=f"LATE{number}", total_uses=1)
        promoting.use(f"LATE{number}", flight, holder=late)
        promoting.lapse(late)
        assert rush(buyer(f"LATE{number}", flight)) == {True: 1, False: BUYERS - 1}
        assert promoting.counts(made) == (1, 1)


def test_one_customer_in_many_windows_uses_it_once(settings: Settings) -> None:
    flight = promoting.flight()
    for number in range(5):
        made = promoting.make(code=f"ONCE{number}", per_customer=1)
        assert rush(buyer(f"ONCE{number}", flight, "anna@example.com")) == {True: 1, False: BUYERS - 1}
        assert promoting.counts(made) == (1, 1)


def test_given_back_and_retaken_at_once_it_is_never_counted_wrong(settings: Settings) -> None:
    flight, made = promoting.flight(), promoting.make(code="SWAP", total_uses=4)

    def come_and_go() -> bool:
        holder: UUID = uuid4()
        try:
            promoting.use("SWAP", flight, holder=holder)
        except PromotionRefused:
            return False
        with db.writing() as session:
            promotions.release(session, holder=holder)
        return True

    assert rush(come_and_go)[True] >= 4
    assert promoting.counts(made) == (0, 0)


@pytest.mark.slow
def test_holds_and_cancellations_with_one_code_on_one_flight_never_wait_for_each_other(settings: Settings) -> None:
    promoting.make(code="BOTH", total_uses=1_000)
    offer = makers.offer(settings, makers.flight(seats=120), brand="Flex")

    def hold() -> Booking:
        with db.writing() as session:
            return service.hold(session, HoldWish((offer,), uuid4().hex, promo_code="BOTH"))

    def sold() -> Booking:
        booking = hold()
        wish = NameWish(makers.people(makers.ONE), f"{booking.reference}@example.com", None)
        with db.writing() as session:
            service.name_passengers(session, booking.reference, wish)
        makers.settled(makers.begun(booking))
        return booking

    def cancel(booking: Booking) -> str:
        with db.writing() as session:
            quoted = amending.quote_cancellation(session, booking.reference, actor_id=None).id
        with db.writing() as session:
            return amending.confirm(session, quoted, key=uuid4().hex).state

    bookings = [sold() for _ in range(20)]
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        told = [crowd.submit(work) for one in bookings for work in (hold, lambda one=one: cancel(one))]  # type: ignore[misc]  # the default binds the round's booking
        results = [one.result() for one in told]
    assert results[1::2] == ["done"] * 20
    assert makers.one("select used from promotions where code = 'BOTH'") == 20
    assert makers.broken() == []


@pytest.mark.slow
def test_a_careless_look_before_the_use_lets_several_have_the_last(settings: Settings) -> None:
    with db.writing() as session:
        session.execute(text("create table careless (promotion int, used int, most int)"))
    had = [_careless_round(number) for number in range(10)]
    assert min(had) >= 1
    assert max(had) > 1


def _careless_round(number: int) -> int:
    with db.writing() as session:
        session.execute(text("insert into careless values (:p, 0, 1)"), {"p": number})

    def buy() -> bool:
        with db.writing() as session:
            free = session.scalar(text("select most - used from careless where promotion = :p"), {"p": number}) or 0
            if free > 0:
                session.execute(text("update careless set used = used + 1 where promotion = :p"), {"p": number})
            return free > 0

    return rush(buy)[True]

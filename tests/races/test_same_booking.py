"""Many at once at one booking: clicks, payments, the sweep. Each careless twin shows that the race is really run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

from sqlalchemy import select, text

from portal.booking import service
from portal.booking.forms import HoldWish
from portal.booking.models import Booking
from portal.booking.tender import PayWish
from portal.booking.views import BookingView
from portal.kit import db
from portal.kit.settings import Settings
from portal.payments import sandbox
from portal.payments.rules import Order, Outcome
from portal.search.rules import Offer
from tests.booking import makers

CLICKS = 8


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run all works at the same moment; a work's exception is its result."""
    start = Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return work()
        except Exception as raised:
            return raised

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def click(offer: Offer) -> str:
    with db.writing() as session:
        return service.hold(session, HoldWish((offer,), "one-key")).reference


def careless_click(offer: Offer, look: Barrier) -> str:
    """Look for the key and then book, as if nobody else could come between."""
    with db.writing() as session:
        known = session.scalar(select(Booking.reference).where(Booking.idempotency_key == "one-key"))
        look.wait()
        if known is not None:
            return known
        return service.hold(session, HoldWish((offer,), f"one-key-{uuid4()}")).reference


def test_eight_clicks_are_one_booking(settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    for _round in range(5):
        with db.writing() as session:
            session.execute(text("truncate bookings cascade"))
        assert len(set(at_once(*[lambda: click(offer)] * CLICKS))) == 1
        assert makers.one("select count(*) from bookings") == 1


def test_a_careless_look_before_the_booking_makes_several(settings: Settings) -> None:
    offer, look = makers.offer(settings, makers.flight()), Barrier(CLICKS)
    references = at_once(*[lambda: careless_click(offer, look)] * CLICKS)
    assert len(set(references)) > 1


def test_one_payment_settled_from_many_sides_is_one_set_of_tickets_and_letters(settings: Settings) -> None:
    flight = makers.flight()
    for _round in range(5):
        booking = makers.named(settings, makers.offer(settings, flight))
        payment = makers.begun(booking)
        states = at_once(*[lambda id=payment: makers.settled(id)] * 6)  # type: ignore[misc]  # the default binds the round's id
        assert states == ["succeeded"] * 6
        tickets = "select count(*) from tickets t join passengers p on p.id = t.passenger_id where p.booking_id = :id"
        assert makers.one(tickets, id=booking.id) == 1
    assert makers.one("select count(*) from letters where kind = 'booking.confirmed'") == 5
    assert makers.broken() == []


def test_two_keys_at_once_never_start_two_payments(settings: Settings) -> None:
    flight = makers.flight()
    for _round in range(5):
        booking = makers.named(settings, makers.offer(settings, flight))

        def begin(reference: str = booking.reference) -> Any:
            with db.writing() as session:
                return service.begin_payment(session, reference, PayWish(uuid4().hex, "card", "sandbox")).id

        told = at_once(*[begin] * 4)
        assert makers.one("select count(*) from payments where payable = :id", id=booking.id) == 1
        assert sum(isinstance(one, Exception) for one in told) == 3


def test_a_payment_and_the_sweep_end_in_a_sale_or_a_refund_never_in_both(settings: Settings) -> None:
    flight = makers.flight()
    for _round in range(10):
        booking = makers.named(settings, makers.offer(settings, flight))
        payment = makers.begun(booking)
        makers.settled(payment, "abandoned")
        makers.lapse(booking)

        def sweep() -> int:
            with db.writing() as session:
                return service.expire_lapsed(session)

        at_once(sweep, lambda id=payment: makers.settled(id), sweep)  # type: ignore[misc]  # as above
        refunds = makers.one("select count(*) from refunds where payment_id = :id", id=payment)
        assert (makers.status(booking), refunds) in (("confirmed", 0), ("expired", 1))
    assert makers.broken() == []


def test_a_lapsed_hold_paid_late_and_its_next_buyer_share_one_seat(settings: Settings) -> None:
    for number in range(1, 9):
        flight = makers.flight(number=number, seats=1)
        offer = makers.offer(settings, flight)
        late = makers.named(settings, offer)
        payment = makers.begun(late)
        makers.lapse(late)

        def take(offer: Offer = offer) -> BookingView:
            with db.writing() as session:
                return service.hold(session, HoldWish((offer,), uuid4().hex))

        paid, taken = at_once(lambda id=payment: makers.settled(id), take)  # type: ignore[misc]  # as above
        assert paid == "succeeded"
        lost = isinstance(taken, Exception)
        assert makers.status(late) == ("confirmed" if lost else "expired")
    assert makers.broken() == []


def test_the_bank_takes_one_order_once_from_many_askers(settings: Settings) -> None:
    order = Order(str(uuid4()), 1000, "USD", "words", "/back")
    told = at_once(*[lambda: sandbox.charge(order, "tok_visa")] * 6)
    assert told == [Outcome("succeeded", told[0].reference)] * 6
    assert makers.one("select count(*) from sandbox_charges") == 1

"""Several cards at once for one price: together they never take more than it, and whoever lost has paid nothing."""

from __future__ import annotations

from functools import partial
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from portal.booking import service
from portal.booking.errors import AlreadyPaid, PaymentUnderWay, PriceMismatch
from portal.booking.models import Booking
from portal.booking.tender import PayWish
from portal.kit import db
from portal.kit.money import Money
from portal.kit.settings import Settings
from portal.payments import ledger, sandbox
from portal.payments import service as payments
from portal.payments.models import Payment
from tests.booking import makers
from tests.races.test_same_booking import at_once

CARDS = 6


def pay(booking: Booking, amount: int) -> int:
    """Pay a part by a card, all the way; return what was taken."""
    with db.writing() as session:
        wish = PayWish(uuid4().hex, "card", "sandbox", Money(amount, "USD"), partial=True)
        made = service.begin_payment(session, booking.reference, wish)
        order = payments.order(made, description="a part", return_path="/back")
    outcome = sandbox.charge(order, "tok_visa")
    with db.writing() as session:
        service.settle_payment(session, made.id, outcome)
    return amount


def test_many_cards_at_once_never_pay_more_than_the_price(settings: Settings) -> None:
    for number in range(4):
        booking = makers.named(settings, makers.offer(settings, makers.flight(number=200 + number)))
        price = booking.total_minor
        sums: list[Any] = []
        for _again in range(5):
            sums += at_once(*[partial(pay, booking, price // 2 - 500)] * CARDS)
        taken = [one for one in sums if isinstance(one, int)]
        lost = [one for one in sums if not isinstance(one, int)]
        assert all(isinstance(one, PaymentUnderWay | PriceMismatch | AlreadyPaid) for one in lost), lost
        assert sum(taken) <= price
        assert makers.one("select paid_minor from bookings where id = :id", id=booking.id) == sum(taken)
        held = "select coalesce(sum(amount_minor), 0)::int from payments where payable = :id and state = 'succeeded'"
        assert makers.one(held, id=booking.id) == sum(taken)
    assert makers.one("select count(*) from refunds") == 0
    assert makers.broken() == []


def pay_carelessly(booking: Booking, amount: int, look: Barrier) -> bool:
    """Look what is left and take it, as if nobody else could come between."""
    paid = int(str(makers.one("select paid_minor from bookings where id = :id", id=booking.id)))
    look.wait()
    if paid + amount > booking.total_minor:
        return False
    with db.writing() as session:
        row = Payment(payable=booking.id, amount_minor=amount, currency="USD", gateway="sandbox", method="card")
        row.idempotency_key, row.state = uuid4().hex, "succeeded"
        session.add(row)
        session.flush()
        session.execute(text("update payments set applied_at = now() where id = :id"), {"id": row.id})
        values = {"id": booking.id, "more": amount}
        session.execute(text("update bookings set paid_minor = paid_minor + :more where id = :id"), values)
        ledger.received(session, row)
    return True


def test_careless_cards_pay_more_than_the_price(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    amount, look = booking.total_minor // 2, Barrier(CARDS)
    assert at_once(*[lambda: pay_carelessly(booking, amount, look)] * CARDS) == [True] * CARDS
    assert makers.one("select paid_minor > total_minor from bookings")
    assert makers.broken() != []


def test_a_card_and_the_hold_s_end_at_once_leave_nobody_s_money_behind(settings: Settings) -> None:
    """The part is either on the booking or on its way back, whoever came first."""
    for number in range(4):
        booking = makers.named(settings, makers.offer(settings, makers.flight(number=200 + number)))
        pay(booking, 3000)
        payment = _begun(booking, 2000)
        makers.lapse(booking)

        def sweep() -> int:
            with db.writing() as session:
                return service.expire_lapsed(session)

        at_once(sweep, lambda payment=payment: makers.settled(payment), sweep)  # type: ignore[misc]  # binds the round's
        sweep()
        assert makers.status(booking) == "expired"
        back = (
            "select coalesce(sum(r.amount_minor), 0)::int from refunds r join payments p on p.id = r.payment_id"
            " where p.payable = :id"
        )
        assert makers.one(back, id=booking.id) == 5000
    assert makers.broken() == []


def _begun(booking: Booking, amount: int) -> UUID:
    with db.writing() as session:
        wish = PayWish(uuid4().hex, "card", "sandbox", Money(amount, "USD"), partial=True)
        return service.begin_payment(session, booking.reference, wish).id

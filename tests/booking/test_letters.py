"""What follows a payment by itself: finding out how it ended, and sending money back."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from portal.booking import service
from portal.kit import clock, db, outbox
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.payments import gateway, sandbox
from portal.payments.rules import Order
from tasks.handlers import HANDLERS
from tests.booking import makers


def posted(kind: str) -> Letter:
    with db.writing() as session:
        return session.query(Letter).where(Letter.kind == kind).one()


def run(settings: Settings, kind: str) -> None:
    HANDLERS[kind](settings, posted(kind))


def order(payment: UUID) -> Order:
    return Order(str(payment), int(str(makers.one("select total_minor from bookings"))), "USD", "words", "/back")


def test_a_process_killed_between_charge_and_settle_is_repaired(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    payment = makers.begun(booking)
    assert gateway.charge(settings, order(payment), "tok_visa").state == "succeeded"
    assert makers.status(booking) == "held"
    for _ in range(2):
        run(settings, "payment.check")
    assert makers.status(booking) == "confirmed"
    assert makers.one("select count(*) from tickets") == 1
    assert makers.broken() == []


def test_the_check_waits_before_it_asks_and_longer_each_time(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    payment = makers.begun(booking)
    assert 15 < float(str(makers.one("select extract(epoch from next_try_at - now()) from letters"))) <= 20
    gateway.charge(settings, order(payment), "tok_timeout")
    with pytest.raises(outbox.Later) as first:
        run(settings, "payment.check")
    with db.writing() as session:
        session.execute(text("update payments set created_at = created_at - interval '4 minutes'"))
    with pytest.raises(outbox.Later) as later:
        run(settings, "payment.check")
    assert first.value.wait == timedelta(seconds=20)
    assert timedelta(minutes=2) <= later.value.wait < timedelta(minutes=3)
    with clock.shifted(timedelta(seconds=9)):
        run(settings, "payment.check")
    assert makers.status(booking) == "confirmed"


def test_a_charge_that_never_reached_the_bank_is_given_up_after_two_minutes(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    makers.begun(booking)
    with pytest.raises(outbox.Later):
        run(settings, "payment.check")
    with clock.shifted(timedelta(minutes=3)):
        run(settings, "payment.check")
    assert makers.one("select state from payments") == "abandoned"
    assert makers.status(booking) == "held"


def test_a_page_left_open_past_the_hold_is_closed_at_the_bank(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    payment = makers.begun(booking, method="page")
    outcome = gateway.start(settings, order(payment))
    with db.writing() as session:
        service.settle_payment(session, payment, outcome)
    with pytest.raises(outbox.Later):
        run(settings, "payment.check")
    makers.lapse(booking)
    run(settings, "payment.check")
    assert makers.one("select state from sandbox_charges") == "cancelled"
    with db.writing() as session:
        assert service.expire_lapsed(session) == 1


def test_a_refund_goes_back_once(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight(seats=1)))
    payment = makers.begun(booking)
    outcome = gateway.charge(settings, order(payment), "tok_visa")
    makers.lapse(booking)
    with db.writing() as session:
        session.execute(text("delete from seat_claims"))
        session.execute(text("update flight_cabins set held = 0"))
    with db.writing() as session:
        service.settle_payment(session, payment, outcome)
    for _ in range(2):
        run(settings, "payment.refund")
    assert makers.one("select state from refunds") == "succeeded"
    total = makers.one("select total_minor from bookings")
    assert (
        makers.one("select (select sum(v::int) from jsonb_each_text(refunds) as r(k, v)) from sandbox_charges") == total
    )
    assert makers.broken() == []


def test_the_bank_gives_back_no_more_than_it_took(settings: Settings) -> None:
    one = Order(str(uuid4()), 1000, "USD", "words", "/back")
    taken = sandbox.charge(one, "tok_visa")
    assert taken.reference
    sandbox.refund(taken.reference, "a", 600)
    sandbox.refund(taken.reference, "a", 600)
    with pytest.raises(ValueError, match="cannot give back"):
        sandbox.refund(taken.reference, "b", 600)

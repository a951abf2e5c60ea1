"""What happens afterwards with money: finding out how a payment ended, and sending money back, long as it may take."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from portal.booking import service as booking
from portal.booking.queries import amendment, is_over
from portal.kit import clock, db, outbox
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.payments import gateway
from portal.payments import service as payments
from portal.payments.queries import PaymentView, payment
from portal.payments.rules import OPEN, next_check
from tasks.delivery import Handler

REFUND_UNDER_WAY = timedelta(hours=1)


def check_payment(settings: Settings, letter: Letter) -> None:
    """Find out how a payment ended whose payer or process did not come back; goes on until it is known.

    Once the booking no longer waits for it, a charge that nobody has paid is closed at the gateway.
    """
    payment_id = UUID(letter.payload["paymentId"])
    with db.reading() as session:
        attempt = payment(session, payment_id)
        over = attempt is not None and _is_over(session, attempt)
    if attempt is None or attempt.state not in OPEN:
        return
    outcome = (gateway.cancel if over else gateway.lookup)(settings, attempt)
    with db.writing() as session:
        state = booking.settle_payment(session, payment_id, outcome).state
    if state in OPEN:
        raise outbox.Later(next_check(clock.now() - attempt.created_at))


def _is_over(session: Session, attempt: PaymentView) -> bool:
    """True when nobody waits for the money any more: neither a hold, nor the change that it is for."""
    if attempt.purpose is None:
        return is_over(session, attempt.payable)
    change = amendment(session, attempt.purpose)
    return change is None or change.state != "paying" or change.has_lapsed(clock.now())


def payment_heard(settings: Settings, letter: Letter) -> None:
    """Look a payment up of which the gateway spoke by itself. What it ended as before may change: money is a fact."""
    payment_id = UUID(letter.payload["paymentId"])
    with db.reading() as session:
        attempt = payment(session, payment_id)
    if attempt is None or attempt.state in ("succeeded", "under_review"):
        return
    outcome = gateway.lookup(settings, attempt)
    with db.writing() as session:
        booking.settle_payment(session, payment_id, outcome)
    if outcome.state == "pending":
        raise outbox.Later(next_check(clock.now() - attempt.created_at))


def send_refund(settings: Settings, letter: Letter) -> None:
    """Send money back through the gateway that took it; its key is the refund's, so it goes back once.

    Silence is asked again, longer apart each time, for as long as it takes. A no stays with the refund, for staff.
    """
    _follow(settings, UUID(letter.payload["refundId"]), heard=False)


def refund_heard(settings: Settings, letter: Letter) -> None:
    """Look a refund up of which the gateway spoke by itself: even one that has gone through may have come back."""
    _follow(settings, UUID(letter.payload["refundId"]), heard=True)


def _follow(settings: Settings, refund_id: UUID, *, heard: bool) -> None:
    with db.reading() as session:
        order = payments.refund_order(session, refund_id, heard=heard)
    if order is None:
        return
    outcome = gateway.refund(settings, order)
    with db.writing() as session:
        refund = payments.refunded(session, refund_id, outcome, key=order.key)
    if outcome.state == "pending" and refund.state != "failed":
        under_way = refund.state == "pending" and refund.gateway_reference
        raise outbox.Later(REFUND_UNDER_WAY if under_way else next_check(clock.now() - refund.created_at))


HANDLERS: dict[str, Handler] = {
    "payment.check": check_payment,
    "payment.heard": payment_heard,
    "payment.refund": send_refund,
    "refund.heard": refund_heard,
}

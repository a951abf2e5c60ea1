"""Take money and give it back, in steps that may be repeated: begin → (gateway, outside) → record; refund → refunded.

It knows a payable only by its id. A payment row is written before the gateway hears of it, and a `payment.check` letter
with it, so that a process that dies in between leaves a trace that somebody follows.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.kit import clock, outbox
from portal.payments.errors import KeyTaken, NotEnough, UnknownPayment
from portal.payments.models import Payment, Refund
from portal.payments.rules import FIRST_CHECK, Order, Outcome, next_state

NEVER_ARRIVED = timedelta(minutes=2)


def begin(
    session: Session,
    *,
    payable: UUID,
    amount_minor: int,
    currency: str,
    method: str,
    key: str,
    gateway: str,
    purpose: UUID | None = None,
) -> Payment:
    """Write down that money is about to be asked for; the same payable and key give the same payment.

    Raises KeyTaken when the key came with another amount. The gateway is asked only after this is committed.
    """
    values: dict[str, Any] = {
        "payable": payable,
        "amount_minor": amount_minor,
        "currency": currency,
        "method": method,
    }
    values |= {"idempotency_key": key, "gateway": gateway, "purpose": purpose}
    fresh = insert(Payment).values(values).on_conflict_do_nothing()
    made: Payment | None = session.scalar(fresh.returning(Payment))
    if made is not None:
        due = clock.now() + FIRST_CHECK
        outbox.post(session, "payment.check", key=str(made.id), not_before=due, paymentId=str(made.id))
        return made
    known = session.scalars(
        select(Payment).where(Payment.payable == payable, Payment.idempotency_key == key).with_for_update()
    ).one()
    if (known.amount_minor, known.currency, known.method) != (amount_minor, currency, method):
        raise KeyTaken()
    return known


def order(payment: Payment, *, description: str, return_path: str) -> Order:
    """Return what the gateway is to be asked for `payment`."""
    return Order(str(payment.id), payment.amount_minor, payment.currency, description, return_path)


def payable_of(session: Session, payment_id: UUID) -> UUID:
    """Return what the payment is for, without locking it; raises UnknownPayment."""
    payable = session.scalar(select(Payment.payable).where(Payment.id == payment_id))
    if payable is None:
        raise UnknownPayment()
    return payable


def record(session: Session, payment_id: UUID, outcome: Outcome) -> Payment:
    """Write down what the gateway said and return the payment, locked. Hearing it again changes nothing.

    A charge that the gateway never heard of is abandoned once it can no longer be on its way.
    """
    payment = session.get(Payment, payment_id, with_for_update=True, populate_existing=True)
    if payment is None:
        raise UnknownPayment()
    before, payment.state = payment.state, next_state(payment.state, _told(payment, outcome))
    payment.gateway_reference = payment.gateway_reference or outcome.reference
    if payment.state != before or payment.state == "action_required":
        payment.decline_code, payment.action_url = outcome.decline_code, outcome.action_url
    if payment.state not in ("pending", "action_required") and payment.settled_at is None:
        payment.settled_at = clock.now()
    return payment


def _told(payment: Payment, outcome: Outcome) -> str:
    if outcome.state != "unknown":
        return outcome.state
    return "abandoned" if clock.now() - payment.created_at > NEVER_ARRIVED else "pending"


def apply(payment: Payment) -> None:
    """Say that the payment's money has been put to use."""
    payment.applied_at = clock.now()


def refund(session: Session, payment: Payment, *, reason: str, amount_minor: int | None = None) -> UUID:
    """Send a payment's money (all of it by default) on its way back; one refund for one payment and reason."""
    values = {"payment_id": payment.id, "reason": reason, "amount_minor": amount_minor or payment.amount_minor}
    fresh = insert(Refund).values(values).on_conflict_do_nothing().returning(Refund.id)
    made = session.scalar(fresh)
    if made is None:
        known = select(Refund.id).where(Refund.payment_id == payment.id, Refund.reason == reason)
        return session.scalars(known).one()
    outbox.post(session, "payment.refund", key=str(made), refundId=str(made))
    return made


def refund_payable(
    session: Session,
    *,
    payable: UUID,
    amount_minor: int,
    reason: str,
    to: str = "original",  # noqa: ARG001 – one way back so far
    owner: str | None = None,  # noqa: ARG001 – whose credit it would be
) -> list[UUID]:
    """Send `amount_minor` of what came in for `payable` back, newest payments first; returns the refunds' ids.

    Never more than a payment has left. Raises NotEnough when all of them together have less; the caller's transaction
    must be rolled back then.
    """
    left, made = amount_minor, []
    for payment, kept in _refundable(session, payable):
        part = min(left, kept)
        if part > 0:
            made.append(refund(session, payment, reason=reason, amount_minor=part))
            left -= part
    if left > 0:
        raise NotEnough()
    return made


def _refundable(session: Session, payable: UUID) -> list[tuple[Payment, int]]:
    back = select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(
        Refund.payment_id == Payment.id, Refund.state != "failed"
    )
    mine = select(Payment, Payment.amount_minor - back.scalar_subquery()).where(
        Payment.payable == payable, Payment.state == "succeeded", Payment.applied_at.is_not(None)
    )
    return [(row[0], row[1]) for row in session.execute(mine.order_by(Payment.created_at.desc(), Payment.id))]


def refund_order(session: Session, refund_id: UUID) -> tuple[str, int] | None:
    """Return the gateway's name of the charge and the amount to give back; None when it is done or unknown."""
    row = session.execute(
        select(Payment.gateway_reference, Refund.amount_minor)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Refund.id == refund_id, Refund.state == "pending")
    ).one_or_none()
    return (row[0], row[1]) if row and row[0] else None


def refunded(session: Session, refund_id: UUID, reference: str) -> None:
    """Write down that the money has gone back; a second time changes nothing."""
    done = update(Refund).where(Refund.id == refund_id, Refund.state == "pending")
    session.execute(done.values(state="succeeded", gateway_reference=reference, settled_at=func.now()))

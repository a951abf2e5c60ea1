"""Reads of payments: one by its id, every attempt to pay for something, the one whose end is not known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.payments.models import Payment
from portal.payments.rules import UNDECIDED


@dataclass(frozen=True, slots=True)
class PaymentView:
    """One attempt to pay."""

    id: UUID
    payable: UUID
    amount_minor: int
    currency: str
    gateway: str
    gateway_reference: str | None
    method: str
    state: str
    decline_code: str | None
    action_url: str | None
    created_at: datetime
    settled_at: datetime | None
    purpose: UUID | None
    applied_at: datetime | None
    credit_id: UUID | None


def payment(session: Session, payment_id: UUID) -> PaymentView | None:
    """Return the payment, or None."""
    row = session.get(Payment, payment_id)
    return _view(row) if row else None


def payments_of(session: Session, payable: UUID) -> list[PaymentView]:
    """Return every attempt to pay for `payable`, oldest first."""
    found = select(Payment).where(Payment.payable == payable).order_by(Payment.created_at, Payment.id)
    return [_view(row) for row in session.scalars(found)]


def open_payment(session: Session, payable: UUID) -> PaymentView | None:
    """Return the attempt whose end is not known yet, the newest if several, or None."""
    found = select(Payment).where(Payment.payable == payable, Payment.state.in_(UNDECIDED))
    row = session.scalar(found.order_by(Payment.created_at.desc()).limit(1))
    return _view(row) if row else None


def _view(row: Payment) -> PaymentView:
    return PaymentView(
        row.id,
        row.payable,
        row.amount_minor,
        row.currency,
        row.gateway,
        row.gateway_reference,
        row.method,
        row.state,
        row.decline_code,
        row.action_url,
        row.created_at,
        row.settled_at,
        row.purpose,
        row.applied_at,
        row.credit_id,
    )

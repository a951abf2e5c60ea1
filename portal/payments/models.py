"""Payments, refunds, and the sandbox gateway's own memory."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

PAYMENT_STATES = ("pending", "action_required", "succeeded", "declined", "abandoned")
REFUND_STATES = ("pending", "succeeded", "failed")


class Payment(Base):
    """One attempt to take money for a payable. Unknown is `pending`: we are checking, never failed.

    One success for one payable and purpose: PostgreSQL keeps that with a unique index.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(f"state in {PAYMENT_STATES}", name="state_known"),
        Index("uq_payments_idempotency_key", "payable", "idempotency_key", unique=True),
        Index(
            "ix_payments_open", "state", "created_at", postgresql_where=text("state in ('pending', 'action_required')")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    payable: Mapped[UUID] = mapped_column(index=True)
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    gateway: Mapped[str]
    gateway_reference: Mapped[str | None] = mapped_column(unique=True)
    method: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    decline_code: Mapped[str | None]
    idempotency_key: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]
    applied_at: Mapped[datetime | None]


class Refund(Base):
    """Money on its way back through the gateway that took it."""

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(f"state in {REFUND_STATES}", name="state_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    amount_minor: Mapped[int]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    gateway_reference: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]


class SandboxCharge(Base):
    """What the sandbox gateway remembers: it plays another company, so no room but its own reads this table."""

    __tablename__ = "sandbox_charges"

    id: Mapped[str] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    description: Mapped[str]
    return_url: Mapped[str | None]
    state: Mapped[str]
    decline_code: Mapped[str | None]
    answers_at: Mapped[datetime | None]
    refunded_minor: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

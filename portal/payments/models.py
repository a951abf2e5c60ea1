"""Payments, refunds, and the sandbox gateway's own memory."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

PAYMENT_STATES = ("pending", "action_required", "succeeded", "declined", "abandoned")
REFUND_STATES = ("pending", "succeeded", "failed")
SANDBOX_STATES = ("open", "challenge", "processing", "succeeded", "declined", "cancelled")


class Payment(Base):
    """One attempt to take money for a payable. Unknown is `pending`: we are checking, never failed.

    `purpose` names what of the payable it pays for, if not the whole of it (an amendment of a booking). `applied_at`
    says when its money was put to use: added to what the payable has paid, or sent back as a refund.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(f"state in {PAYMENT_STATES}", name="state_known"),
        CheckConstraint("method in ('page', 'card')", name="method_known"),
        CheckConstraint("applied_at is null or state = 'succeeded'", name="only_real_money_applied"),
        Index("uq_payments_idempotency_key", "payable", "idempotency_key", unique=True),
        Index(
            "ix_payments_open", "state", "created_at", postgresql_where=text("state in ('pending', 'action_required')")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    payable: Mapped[UUID] = mapped_column(index=True)
    purpose: Mapped[UUID | None]
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    gateway: Mapped[str]
    gateway_reference: Mapped[str | None] = mapped_column(unique=True)
    method: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    decline_code: Mapped[str | None]
    action_url: Mapped[str | None]
    idempotency_key: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]
    applied_at: Mapped[datetime | None]


class Refund(Base):
    """Money on its way back through the gateway that took it; one for one payment and reason."""

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(f"state in {REFUND_STATES}", name="state_known"),
        UniqueConstraint("payment_id", "reason"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    amount_minor: Mapped[int]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    gateway_reference: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]


class SandboxCharge(Base):
    """What the sandbox gateway remembers: it plays another company, so only payments/sandbox.py reads this table.

    It knows no card: the test card's name says how the charge ends, and only the end is kept.
    """

    __tablename__ = "sandbox_charges"
    __table_args__ = (CheckConstraint(f"state in {SANDBOX_STATES}", name="state_known"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    description: Mapped[str]
    return_path: Mapped[str]
    state: Mapped[str]
    decline_code: Mapped[str | None]
    answers_at: Mapped[datetime | None]
    refunds: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

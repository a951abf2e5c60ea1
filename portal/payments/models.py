"""Payments, refunds, travel credits, the ledger that proves them, and the sandbox gateway's own memory."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

PAYMENT_STATES = ("pending", "action_required", "succeeded", "declined", "abandoned", "under_review")
METHODS = ("page", "card", "credit")
REFUND_STATES = ("pending", "succeeded", "failed")
REFUND_WAYS = ("original", "credit")
CREDIT_SOURCES = ("refund", "goodwill")
CREDIT_MOVES = ("issued", "used", "given_back")
SANDBOX_STATES = ("open", "challenge", "processing", "succeeded", "declined", "cancelled")


class Payment(Base):
    """One attempt to take money for a payable. Unknown is `pending`: we are checking, never failed.

    `purpose` names what of the payable it pays for, if not the whole of it (an amendment of a booking). `applied_at`
    says when its money was put to use: added to what the payable has paid, or sent back as a refund. `under_review` is
    for people: the gateway took another sum (`told_minor`, `told_currency`) than it was asked for, so it pays nothing.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(f"state in {PAYMENT_STATES}", name="state_known"),
        CheckConstraint(f"method in {METHODS}", name="method_known"),
        CheckConstraint("(state = 'under_review') = (told_minor is not null)", name="review_names_the_sum"),
        CheckConstraint("(method = 'credit') = (credit_id is not null)", name="credit_is_named"),
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
    told_minor: Mapped[int | None]
    told_currency: Mapped[str | None] = mapped_column(String(3))
    credit_id: Mapped[UUID | None] = mapped_column(ForeignKey("credits.id"))
    return_url: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]
    applied_at: Mapped[datetime | None]


class Refund(Base):
    """Money that is to go back: through the gateway that took it, or as a credit; one for one payment and reason.

    Once ordered it is owed, whatever becomes of it. `failed`: the gateway refused (`problem`), or a bank sent it back
    after all; staff see it and do it again, `round` by round. `tries` counts how often the gateway was asked.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(f"state in {REFUND_STATES}", name="state_known"),
        CheckConstraint(f"way in {REFUND_WAYS}", name="way_known"),
        UniqueConstraint("payment_id", "reason"),
        Index("ix_refunds_open", "created_at", postgresql_where=text("state <> 'succeeded'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    amount_minor: Mapped[int]
    reason: Mapped[str]
    way: Mapped[str] = mapped_column(server_default="original")
    credit_id: Mapped[UUID | None] = mapped_column(ForeignKey("credits.id"))
    state: Mapped[str] = mapped_column(server_default="pending")
    gateway_reference: Mapped[str | None]
    problem: Mapped[str | None]
    round: Mapped[int] = mapped_column(server_default="0")
    tries: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]

    @property
    def key(self) -> str:
        """What this round of it is called at the gateway, in the ledger and in letters: there it happens once."""
        return f"{self.id}:{self.round}" if self.round else str(self.id)


class Credit(Base):
    """Money kept for a later trip, spent by its code, in parts: one conditional UPDATE takes from `remaining_minor`."""

    __tablename__ = "credits"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("remaining_minor between 0 and amount_minor", name="never_overspent"),
        CheckConstraint(f"source in {CREDIT_SOURCES}", name="source_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    code: Mapped[str] = mapped_column(String(12), unique=True)
    owner_email: Mapped[str | None] = mapped_column(index=True)
    amount_minor: Mapped[int]
    remaining_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    source: Mapped[str]
    payable: Mapped[UUID | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class CreditMove(Base):
    """One movement of a credit: issued and given back add to it, used takes from it."""

    __tablename__ = "credit_moves"
    __table_args__ = (CheckConstraint(f"kind in {CREDIT_MOVES}", name="kind_known"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    credit_id: Mapped[UUID] = mapped_column(ForeignKey("credits.id"), index=True)
    kind: Mapped[str]
    amount_minor: Mapped[int]
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id"))
    refund_id: Mapped[UUID | None] = mapped_column(ForeignKey("refunds.id"))
    happened_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LedgerEntry(Base):
    """One movement of money, written in the transaction that moves it; `key` makes it one. Never changed.

    A trigger refuses an entry whose lines do not add up to nothing, at commit, and any change of what is written.
    """

    __tablename__ = "ledger_entries"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    payable: Mapped[UUID | None] = mapped_column(index=True)
    payment_id: Mapped[UUID | None]
    refund_id: Mapped[UUID | None]
    credit_id: Mapped[UUID | None]
    happened_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class LedgerLine(Base):
    """One side of an entry: debits are positive, credits negative. Accounts are those of payments/ledger.py.

    An entry is balanced when it is made, of lines 0 and 1 at least; a line put to it later is looked at once more.
    """

    __tablename__ = "ledger_lines"
    __table_args__ = (
        CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
        CheckConstraint("position >= 0", name="position_counted"),
        Index("ix_ledger_lines_account", "account", "currency"),
    )

    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))


class GatewayEvent(Base):
    """A word that a gateway sent by itself; kept by its id, so that the same word again does nothing."""

    __tablename__ = "gateway_events"

    id: Mapped[str] = mapped_column(primary_key=True)
    gateway: Mapped[str]
    kind: Mapped[str]
    about: Mapped[str | None]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())


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

"""Changes that the carrier made, whom they hit, and the rules of what is owed."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, Uuid, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

KINDS = ("delay", "retime", "cancel", "swap")
STATES = ("draft", "announced")
WHYS = ("cancelled", "misconnected", "no_seat", "retimed", "delayed", "swapped")
BOOKING_STATES = ("noted", "told", "accepted", "rebooked", "refunded", "lapsed")
RULE_KINDS = ("answer", "refund", "clock")
SCOPES = ("any", "domestic", "international")


class ChangeRule(Base):
    """How many minutes are needed for something, from when to when, and where that is written.

    `answer`: a change from which on the traveller is asked; `refund`: one that gives the whole money back by right;
    `clock`: the time to answer, after which what cannot be flown is refunded.
    """

    __tablename__ = "carrier_change_rules"
    __table_args__ = (
        CheckConstraint(f"kind in {RULE_KINDS}", name="kind_known"),
        CheckConstraint(f"scope in {SCOPES}", name="scope_known"),
        CheckConstraint("minutes > 0", name="minutes_positive"),
        CheckConstraint("valid_to >= valid_from", name="days_in_order"),
        UniqueConstraint("kind", "scope", "valid_from"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str]
    scope: Mapped[str]
    minutes: Mapped[int]
    source: Mapped[str]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class Disruption(Base):
    """One change of one flight by the carrier. It is a draft until everybody affected was told."""

    __tablename__ = "disruptions"
    __table_args__ = (
        CheckConstraint(f"kind in {KINDS}", name="kind_known"),
        CheckConstraint(f"state in {STATES}", name="state_known"),
        CheckConstraint("(state = 'announced') = (announced_at is not null)", name="announced_has_instant"),
        Index("ix_disruptions_flight_id", "flight_id"),
        Index("ix_disruptions_made_at", "made_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id", ondelete="CASCADE"))
    kind: Mapped[str]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    reason: Mapped[str]
    made_by: Mapped[UUID | None]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    state: Mapped[str] = mapped_column(server_default="draft")
    announced_at: Mapped[datetime | None]


class AffectedBooking(Base):
    """What one change means for one booking, and what its traveller decided.

    noted → told → accepted, rebooked, refunded, or lapsed (it departed as it was, or something newer took its place).
    A booking still held is noted and told once it is paid. `shift_minutes` is how much later it lands, or earlier it
    leaves. `refund_at` is when the money goes back by itself. `items` are the seats that were paid for and are lost or
    worse on another aircraft: their price goes back.
    """

    __tablename__ = "affected_bookings"
    __table_args__ = (
        CheckConstraint(f"why in {WHYS}", name="why_known"),
        CheckConstraint(f"state in {BOOKING_STATES}", name="state_known"),
        CheckConstraint("(state in ('noted', 'told')) = (decided_at is null)", name="decided_has_instant"),
        CheckConstraint("state <> 'told' or told_at is not null", name="told_has_instant"),
        UniqueConstraint("disruption_id", "booking_id"),
        Index("ix_affected_bookings_booking_id", "booking_id"),
        Index("ix_affected_bookings_open", "booking_id", postgresql_where=text("state in ('noted', 'told')")),
        Index("ix_affected_bookings_remind_at", "remind_at", postgresql_where=text("state = 'told'")),
        Index("ix_affected_bookings_refund_at", "refund_at", postgresql_where=text("state = 'told'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    disruption_id: Mapped[UUID] = mapped_column(ForeignKey("disruptions.id", ondelete="CASCADE"))
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    slice_position: Mapped[int]
    why: Mapped[str]
    shift_minutes: Mapped[int]
    by_right: Mapped[bool]
    needs_answer: Mapped[bool]
    state: Mapped[str] = mapped_column(server_default="noted")
    told_at: Mapped[datetime | None]
    remind_at: Mapped[datetime | None]
    reminders: Mapped[int] = mapped_column(server_default="0")
    refund_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None]
    amendment_id: Mapped[UUID | None]
    items: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default="{}")

"""Places in the line for a full flight, and wishes to hear of a lower fare."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.flights.models import CABINS
from portal.kit.model import Base

WAIT_STATES = ("waiting", "offered", "taken", "lapsed", "left")
WAITING = ("waiting", "offered")
ALERT_STATES = ("pending", "active", "over", "left")
LISTENING = ("pending", "active")


class Wait(Base):
    """A party's place in the line for one cabin of one flight, or of two that connect: who wants a connection stands in
    both lines, and is served once both have seats. `place` counts up, so the lowest one came first.

    waiting → offered → taken | lapsed, and waiting → lapsed | left. `booking_id` is the hold that it was offered; each
    wait is offered once at most.
    """

    __tablename__ = "waits"
    __table_args__ = (
        CheckConstraint(f"state in {WAIT_STATES}", name="state_known"),
        CheckConstraint(f"cabin in {CABINS}", name="cabin_known"),
        CheckConstraint("adults >= 1 and children >= 0 and infants between 0 and adults", name="party_possible"),
        CheckConstraint("adults + children <= 9", name="party_fits_a_booking"),
        CheckConstraint("state in ('waiting', 'lapsed', 'left') or offered_at is not null", name="offered_has_time"),
        Index(
            "uq_waits_once",
            "flight_id",
            "cabin",
            text("lower(email)"),
            text("coalesce(onward_id, 0)"),
            unique=True,
            postgresql_where=text(f"state in {WAITING}"),
        ),
        CheckConstraint("onward_id <> flight_id", name="goes_on"),
        Index("ix_waits_onward", "onward_id", "cabin", postgresql_where=text("state = 'waiting'")),
        Index("ix_waits_line", "flight_id", "cabin", "place", postgresql_where=text("state = 'waiting'")),
        Index("ix_waits_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    place: Mapped[int] = mapped_column(Identity())
    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id", ondelete="CASCADE"))
    onward_id: Mapped[int | None] = mapped_column(ForeignKey("flights.id", ondelete="CASCADE"))
    cabin: Mapped[str]
    brand: Mapped[str | None]
    adults: Mapped[int]
    children: Mapped[int]
    infants: Mapped[int]
    email: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    locale: Mapped[str] = mapped_column(server_default="en")
    state: Mapped[str] = mapped_column(server_default="waiting")
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("bookings.id", ondelete="SET NULL"), unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    offered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Alert(Base):
    """A wish to hear when a route costs less than `below_minor` for the whole party, on a day or within a month.

    pending → active (the address was confirmed) → over | left. `armed` says that the next price below counts as a new
    drop; `told_minor` and `told_at` are what was last written, and when.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint(f"state in {ALERT_STATES}", name="state_known"),
        CheckConstraint(f"cabin in {CABINS}", name="cabin_known"),
        CheckConstraint("adults >= 1 and children >= 0 and infants between 0 and adults", name="party_possible"),
        CheckConstraint("first_on <= last_on and last_on <= first_on + 31", name="a_month_at_most"),
        CheckConstraint("origin <> destination", name="goes_somewhere"),
        CheckConstraint("below_minor > 0", name="below_positive"),
        Index(
            "uq_alerts_once",
            text("lower(email)"),
            "origin",
            "destination",
            "first_on",
            "last_on",
            "cabin",
            "adults",
            "children",
            "infants",
            unique=True,
            postgresql_where=text(f"state in {LISTENING}"),
        ),
        Index("ix_alerts_due", "checked_at", postgresql_where=text("state = 'active'")),
        Index("ix_alerts_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    origin: Mapped[str] = mapped_column(ForeignKey("airports.code"))
    destination: Mapped[str] = mapped_column(ForeignKey("airports.code"))
    first_on: Mapped[date]
    last_on: Mapped[date]
    cabin: Mapped[str]
    adults: Mapped[int]
    children: Mapped[int]
    infants: Mapped[int]
    below_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    email: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    locale: Mapped[str] = mapped_column(server_default="en")
    state: Mapped[str] = mapped_column(server_default="pending")
    armed: Mapped[bool] = mapped_column(server_default=text("true"))
    told_minor: Mapped[int | None]
    told_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

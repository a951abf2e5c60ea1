"""Copies of one's own data, and wishes to be erased."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

COPY_STATES = ("waiting", "running", "ready", "failed")
ERASURE_STATES = ("asked", "withdrawn", "done")


class DataCopy(Base):
    """A copy of all that is kept about an account: one at a time is made, and it is thrown away after some days."""

    __tablename__ = "data_copies"
    __table_args__ = (
        CheckConstraint(f"state in {COPY_STATES}", name="state_known"),
        CheckConstraint("progress between 0 and 100", name="progress_in_percent"),
        CheckConstraint("(state = 'ready') = (content is not null)", name="ready_has_content"),
        Index(
            "uq_data_copies_underway",
            "user_id",
            unique=True,
            postgresql_where=text("state in ('waiting', 'running')"),
        ),
        Index("ix_data_copies_user_id_asked_at", "user_id", "asked_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(server_default="waiting")
    progress: Mapped[int] = mapped_column(server_default="0")
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ready_at: Mapped[datetime | None]
    fetched_at: Mapped[datetime | None]


class Erasure(Base):
    """A wish to be erased. The account is closed at once and erased when `due_at` has come; the row outlives it and
    says nothing of whom it was.
    """

    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint(f"state in {ERASURE_STATES}", name="state_known"),
        CheckConstraint("(state = 'done') = (done_at is not null)", name="done_has_a_time"),
        Index("uq_erasures_asked", "user_id", unique=True, postgresql_where=text("state = 'asked'")),
        Index("ix_erasures_due", "due_at", postgresql_where=text("state = 'asked'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    user_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default="asked")
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    due_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class LaterErasure(Base):
    """A booking of somebody who was erased: its contact and birthdays are erased, too, once its flights are over."""

    __tablename__ = "later_erasures"

    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(index=True)

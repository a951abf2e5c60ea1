"""Documents that were made for a booking, kept as made, and the numbered papers of each sale."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

SALE_PAPERS = ("receipt", "credit_note")


class Document(Base):
    """A finished file; a correction is a new version, never an edit.

    `amendment_id` says after which amendment it was made, `paper_id` which numbered paper it prints.
    """

    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("booking_id", "kind", "version"),
        Index("uq_documents_paper_id", "paper_id", unique=True, postgresql_where=text("paper_id is not null")),
        Index("ix_documents_amendment_id", "amendment_id", postgresql_where=text("amendment_id is not null")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    kind: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    amendment_id: Mapped[UUID | None] = mapped_column(ForeignKey("amendments.id", ondelete="CASCADE"))
    paper_id: Mapped[UUID | None] = mapped_column(ForeignKey("sale_papers.id", ondelete="CASCADE"))
    media_type: Mapped[str]
    filename: Mapped[str]
    content: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PaperSeries(Base):
    """The last number given in a year of a series; its row is locked while one is given: no gap, no double."""

    __tablename__ = "paper_series"
    __table_args__ = (CheckConstraint("last >= 0", name="last_not_negative"),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(server_default="0")


class SalePaper(Base):
    """A receipt or credit note: its number, and all that stands on it, frozen in `content` when it was issued.

    One for the sale, and one at most for each amendment that moved money. `refers_to` is the receipt that it corrects
    or adds to. Its file is drawn from `content` alone, so it never changes with the booking.
    """

    __tablename__ = "sale_papers"
    __table_args__ = (
        CheckConstraint(f"kind in {SALE_PAPERS}", name="kind_known"),
        CheckConstraint("serial > 0", name="serial_positive"),
        UniqueConstraint("kind", "year", "serial"),
        Index("uq_sale_papers_sale", "booking_id", unique=True, postgresql_where=text("amendment_id is null")),
        Index("uq_sale_papers_amendment_id", "amendment_id", unique=True),
        Index("ix_sale_papers_booking_id", "booking_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    amendment_id: Mapped[UUID | None] = mapped_column(ForeignKey("amendments.id", ondelete="CASCADE"))
    refers_to: Mapped[UUID | None] = mapped_column(ForeignKey("sale_papers.id", ondelete="CASCADE"))
    kind: Mapped[str]
    year: Mapped[int]
    serial: Mapped[int]
    number: Mapped[str] = mapped_column(unique=True)
    currency: Mapped[str] = mapped_column(String(3))
    total_minor: Mapped[int]
    content: Mapped[dict[str, Any]]
    issued_at: Mapped[datetime] = mapped_column(server_default=func.now())

"""Documents that were made for a booking, kept as made."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base


class Document(Base):
    """A finished file; a correction is a new version, never an edit."""

    __tablename__ = "documents"
    __table_args__ = (UniqueConstraint("booking_id", "kind", "version"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    kind: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    media_type: Mapped[str]
    filename: Mapped[str]
    content: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

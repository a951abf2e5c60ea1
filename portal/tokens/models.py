"""What is kept of tokens: never the word itself, only its SHA-256."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base


class RefreshToken(Base):
    """A refresh token of a family: used once; a second use revokes the family. Only its SHA-256 is kept."""

    __tablename__ = "refresh_tokens"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[UUID] = mapped_column(index=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

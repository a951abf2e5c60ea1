"""What is kept of tokens: never the word itself, only its SHA-256."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base


class RefreshToken(Base):
    """A refresh token of a family: used once; a second use revokes the family. Only its SHA-256 is kept.

    A family is one program that was signed in; its newest token is the one that was not used.
    """

    __tablename__ = "refresh_tokens"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[UUID] = mapped_column(index=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    began_at: Mapped[datetime] = mapped_column(server_default=func.now())
    address: Mapped[str | None]
    agent: Mapped[str | None]


class ApiKey(Base):
    """A personal key for programs: named, scoped, for some addresses only if wished. Only its SHA-256 is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("cardinality(scopes) > 0", name="may_something"),
        CheckConstraint("name <> ''", name="named"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    fingerprint: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    addresses: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_address: Mapped[str | None]
    revoked_at: Mapped[datetime | None]

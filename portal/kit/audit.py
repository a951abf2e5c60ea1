"""The audit trail: who did what to which thing, before and after, written in the same transaction as the deed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Identity, Index, func
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit.logs import request_id
from portal.kit.model import Base


class AuditEntry(Base):
    """One deed. `before` and `after` hold no secrets: callers pass only fields that may be shown to staff."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_thing", "thing", "thing_id"),
        Index("ix_audit_entries_happened_at", "happened_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    happened_at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor_id: Mapped[UUID | None]
    action: Mapped[str]
    thing: Mapped[str]
    thing_id: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    request_id: Mapped[str | None]


def record(
    session: Session,
    action: str,
    thing: str,
    thing_id: object,
    *,
    actor_id: UUID | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one entry in the caller's transaction."""
    entry = AuditEntry(
        action=action, thing=thing, thing_id=str(thing_id), actor_id=actor_id, before=before, after=after
    )
    entry.request_id = request_id.get()
    session.add(entry)

"""`Idempotency-Key`: the same key and body get the first answer again; another body is refused; one at a time.

A key is claimed with a lease before the work and answered after it. A crash in between lets the key be used again once
the lease is over: the verbs behind it are idempotent by themselves.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import LargeBinary, delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit.errors import Conflict, Invalid
from portal.kit.model import Base

LEASE = timedelta(seconds=30)
KEPT = timedelta(hours=24)


class IdempotencyKey(Base):
    """A key in its scope (who and where), the fingerprint of what came with it, and the answer once there is one."""

    __tablename__ = "idempotency_keys"

    scope: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    leased_until: Mapped[datetime]
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class KeyReused(Invalid):
    """The key came before with another body."""

    code, title = "idempotency_key_reused", "This Idempotency-Key was used for something else"


class StillRunning(Conflict):
    """The first request with this key has not finished."""

    code, title = "still_running", "The first request with this Idempotency-Key is still running"


def body_fingerprint(*parts: bytes) -> str:
    """Return what tells two requests apart."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def claim(session: Session, scope: str, key: str, fingerprint: str) -> IdempotencyKey | None:
    """Claim `key`: None means go ahead; a row means answer with it. Raises KeyReused or StillRunning."""
    values = {"scope": scope, "key": key, "fingerprint": fingerprint, "leased_until": func.now() + LEASE}
    fresh = insert(IdempotencyKey).values(values).on_conflict_do_nothing().returning(IdempotencyKey.key)
    if session.execute(fresh).first() is not None:
        return None
    row = session.get(IdempotencyKey, (scope, key), with_for_update=True)
    if row is None or row.fingerprint != fingerprint:
        raise KeyReused()
    if row.status is not None:
        return row
    _take_over(session, row)
    return None


def _take_over(session: Session, row: IdempotencyKey) -> None:
    lapsed = (
        update(IdempotencyKey)
        .where(
            IdempotencyKey.scope == row.scope, IdempotencyKey.key == row.key, IdempotencyKey.leased_until < func.now()
        )
        .values(leased_until=func.now() + LEASE)
    )
    if session.execute(lapsed.returning(IdempotencyKey.key)).first() is None:
        raise StillRunning(retry_after=2)


def answer(session: Session, scope: str, key: str, *, status: int, headers: dict[str, str], body: bytes) -> None:
    """Keep the answer for whoever asks again."""
    row = update(IdempotencyKey).where(IdempotencyKey.scope == scope, IdempotencyKey.key == key)
    session.execute(row.values(status=status, headers=headers, body=body))


def release(session: Session, scope: str, key: str) -> None:
    """Forget a claim whose work failed on our side, so that it may be tried again."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.scope == scope, IdempotencyKey.key == key))


def sweep(session: Session) -> int:
    """Forget keys older than a day; returns how many."""
    gone = delete(IdempotencyKey).where(IdempotencyKey.created_at < func.now() - KEPT).returning(IdempotencyKey.key)
    return len(session.execute(gone).all())

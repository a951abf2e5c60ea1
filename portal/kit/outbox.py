"""The outbox: what must happen after a commit, written in the very transaction that causes it.

`post` writes a *letter*; tasks/relay.py hands it to Huey; the handler's end is written back here. A letter is done once
its handler said so, and comes again otherwise: handlers are idempotent. PostgreSQL holds the truth, Huey does the work.
States: waiting → handed → done, or → failed (waits for `next_try_at`) → … → dead after the last attempt.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, Identity, Index, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit.logs import request_id
from portal.kit.model import Base

CHANNEL = "outbox"
LEASE = timedelta(minutes=2)
MAX_ATTEMPTS = 8
STATES = ("waiting", "handed", "done", "failed", "dead", "dropped")


class Letter(Base):
    """One thing to do after the commit that wrote it; `key`, where given, makes it one of its kind for ever."""

    __tablename__ = "letters"
    __table_args__ = (
        CheckConstraint(f"state in {STATES}", name="state_known"),
        CheckConstraint("attempts >= 0", name="attempts_counted"),
        Index("uq_letters_kind_key", "kind", "key", unique=True, postgresql_where=text("key is not null")),
        Index("ix_letters_open", "next_try_at", postgresql_where=text("state in ('waiting', 'handed', 'failed')")),
        Index("ix_letters_state_created_at", "state", "created_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str]
    key: Mapped[str | None]
    queue: Mapped[str] = mapped_column(server_default="default")
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None]
    request_id: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    next_try_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]


def post(
    session: Session,
    kind: str,
    *,
    key: str | None = None,
    queue: str = "default",
    not_before: datetime | None = None,
    **payload: Any,
) -> None:
    """Write a letter in the caller's transaction and ring the relay's bell at commit.

    With `key`, a second letter of the same kind and key is silently the first one. `not_before` delays it.
    """
    values: dict[str, Any] = {
        "kind": kind,
        "key": key,
        "queue": queue,
        "payload": payload,
        "request_id": request_id.get(),
    }
    if not_before is not None:
        values["next_try_at"] = not_before
    session.execute(insert(Letter).values(values).on_conflict_do_nothing())
    session.execute(text("select pg_notify(:channel, '')"), {"channel": CHANNEL})


def claim(session: Session, *, limit: int = 100) -> Sequence[Letter]:
    """Take up to `limit` due letters for handing over, oldest first; each is leased, so that it comes again if lost."""
    due = (
        select(Letter.id)
        .where(Letter.state.in_(("waiting", "handed", "failed")), Letter.next_try_at <= func.now())
        .order_by(Letter.next_try_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = update(Letter).where(Letter.id.in_(due)).values(state="handed", next_try_at=func.now() + LEASE)
    return session.scalars(taken.returning(Letter), execution_options={"synchronize_session": False}).all()


def begin(session: Session, letter_id: int) -> Letter | None:
    """Start the work on a letter: count the attempt, renew the lease. None when it is done, dropped or dead already."""
    started = (
        update(Letter)
        .where(Letter.id == letter_id, Letter.state.in_(("waiting", "handed", "failed")))
        .values(state="handed", attempts=Letter.attempts + 1, started_at=func.now(), next_try_at=func.now() + LEASE)
    )
    return session.scalars(started.returning(Letter), execution_options={"synchronize_session": False}).one_or_none()


def done(session: Session, letter_id: int) -> None:
    """Say that the letter's work is finished; it never comes again."""
    values = {"state": "done", "done_at": func.now(), "error": None}
    session.execute(update(Letter).where(Letter.id == letter_id).values(values))


def failed(session: Session, letter_id: int, error: str, *, attempts: int) -> None:
    """Say that an attempt failed: it comes again after a growing, jittered wait, or is dead after MAX_ATTEMPTS."""
    state = "dead" if attempts >= MAX_ATTEMPTS else "failed"
    values = {"state": state, "error": error[:2000], "next_try_at": func.now() + backoff(attempts)}
    session.execute(update(Letter).where(Letter.id == letter_id).values(values))


def retry(session: Session, letter_id: int) -> bool:
    """Give a dead or failed letter a fresh start; False when there is none such."""
    again = (
        update(Letter)
        .where(Letter.id == letter_id, Letter.state.in_(("dead", "failed", "dropped")))
        .values(state="waiting", attempts=0, next_try_at=func.now())
    )
    changed = session.execute(again.returning(Letter.id)).first() is not None
    session.execute(text("select pg_notify(:channel, '')"), {"channel": CHANNEL})
    return changed


def drop(session: Session, letter_id: int) -> bool:
    """Give up a dead or failed letter for good; False when there is none such."""
    gone = update(Letter).where(Letter.id == letter_id, Letter.state.in_(("dead", "failed"))).values(state="dropped")
    return session.execute(gone.returning(Letter.id)).first() is not None


def backoff(attempts: int) -> timedelta:
    """Return the wait after the `attempts`-th failure: 2, 4, 8 … seconds up to 10 minutes, ±25 %."""
    seconds = float(min(2 ** min(attempts, 12), 600))
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))

"""The outbox: what must happen after a commit, written in the very transaction that causes it.

`post` writes a *letter*; tasks/relay.py hands it to Huey; the handler's end is written back here. A letter is done once
its handler said so, and comes again otherwise: handlers are idempotent. PostgreSQL holds the truth, Huey does the work.

    waiting → handed → running → done
                          └───→ failed (waits for `next_try_at`) → … → dead after the last attempt → retried or dropped

`handed` and `running` are leases that end at `next_try_at`: a letter that Redis forgot, or whose worker was killed, is
due again by itself. A running letter's worker renews its lease; its attempt number tells it from an earlier, lost one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Identity,
    Index,
    Update,
    bindparam,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit.logs import request_id
from portal.kit.model import Base

CHANNEL = "outbox"
LEASE = timedelta(seconds=30)
MAX_ATTEMPTS = 8
STATES = ("waiting", "handed", "running", "done", "failed", "dead", "dropped")
QUEUES = ("money", "mail", "default", "exports")
OPEN = ("waiting", "handed", "running", "failed")


class Later(Exception):
    """Raised by a handler whose time has not come: the letter returns after `wait`, and no attempt is counted."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"again in {wait}")
        self.wait = wait


class Hopeless(Exception):
    """Raised by a handler that no further attempt can help; the letter is dead at once, with this text as reason."""


class Letter(Base):
    """One thing to do after the commit that wrote it; `key`, where given, makes it one of its kind for ever."""

    __tablename__ = "letters"
    __table_args__ = (
        CheckConstraint(f"state in {STATES}", name="state_known"),
        CheckConstraint("attempts >= 0", name="attempts_counted"),
        Index("uq_letters_kind_key", "kind", "key", unique=True, postgresql_where=text("key is not null")),
        Index("ix_letters_open", "next_try_at", postgresql_where=text(f"state in {OPEN}")),
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


# Literal words, not parameters: only then does PostgreSQL see that ix_letters_open serves, prepared statements too.
IS_OPEN = Letter.state.in_(bindparam("open_states", OPEN, expanding=True, literal_execute=True))

# One round trip: a buyer waits for the letters. A letter that is there already rang when it was written.
POST = text(
    f"""
    with posted as (
        insert into letters (kind, key, queue, payload, request_id, next_try_at)
        select kind, key, queue, payload, :request_id, coalesce(not_before, now())
        from jsonb_to_recordset(cast(:drafts as jsonb))
            as draft (kind text, key text, queue text, payload jsonb, not_before timestamptz)
        on conflict do nothing returning id
    )
    select pg_notify('{CHANNEL}', '') from posted limit 1
    """  # noqa: S608 – the channel's name is a constant
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter before it is posted; what its fields mean, `post` says."""

    kind: str
    payload: dict[str, Any]
    key: str | None = None
    queue: str = "default"
    not_before: datetime | None = None


def post(
    session: Session,
    kind: str,
    /,
    *,
    key: str | None = None,
    queue: str = "default",
    not_before: datetime | None = None,
    **payload: Any,
) -> None:
    """Write a letter in the caller's transaction and ring the relay's bell at commit.

    With `key`, a second letter of the same kind and key is silently the first one. `not_before` delays it. `queue` is
    one of QUEUES: money goes first and mail next, exports wait for a worker that others can spare.
    """
    post_all(session, Draft(kind, payload, key, queue, not_before))


def post_all(session: Session, *drafts: Draft) -> None:
    """Write several letters as `post` writes one, in one question."""
    told = json.dumps([asdict(draft) for draft in drafts], default=str)
    session.execute(POST, {"drafts": told, "request_id": request_id.get()})


def claim(session: Session, *, limit: int = 100, lease: timedelta = LEASE) -> Sequence[Letter]:
    """Take up to `limit` due letters, money first, then the oldest; each is leased, so that it comes again if lost."""
    due = (
        select(Letter.id)
        .where(IS_OPEN, Letter.next_try_at <= func.now())
        .order_by(Letter.queue != "money", Letter.next_try_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = update(Letter).where(Letter.id.in_(due)).values(state="handed", next_try_at=func.now() + lease)
    return _returned(session, taken)


def give_back(session: Session, letter_ids: Collection[int]) -> None:
    """Make claimed letters due at once: they could not be handed over."""
    back = update(Letter).where(Letter.id.in_(letter_ids), Letter.state == "handed")
    session.execute(back.values(state="waiting", next_try_at=func.now()))


def recall(session: Session) -> None:
    """Make every letter that was handed over and not begun due at once: the queue has forgotten them."""
    session.execute(update(Letter).where(Letter.state == "handed").values(state="waiting", next_try_at=func.now()))


def begin(session: Session, letter_id: int, *, lease: timedelta = LEASE) -> Letter | None:
    """Start an attempt on a handed letter, under a lease to be renewed. None when there is nothing to do.

    That is: it is done, dropped or dead, another worker is at it, or it waits for its next try. A letter whose workers
    were lost MAX_ATTEMPTS times is dead.
    """
    is_due = (Letter.state == "handed") | (IS_OPEN & (Letter.next_try_at <= func.now()))
    ours = update(Letter).where(Letter.id == letter_id, is_due)
    lost = ours.where(Letter.attempts >= MAX_ATTEMPTS).values(state="dead", error="Its worker was lost each time.")
    session.execute(lost)
    values = {"attempts": Letter.attempts + 1, "started_at": func.now(), "next_try_at": func.now() + lease}
    begun = _returned(session, ours.values(state="running", **values))
    return begun[0] if begun else None


def renew(session: Session, letter: Letter, *, lease: timedelta = LEASE) -> bool:
    """Prolong the lease of a running letter; False when this attempt no longer is the running one."""
    return _close(session, letter, next_try_at=func.now() + lease)


def done(session: Session, letter: Letter) -> bool:
    """Say that the letter's work is finished; it never comes again. False when this attempt was given up as lost."""
    return _close(session, letter, state="done", done_at=func.now(), error=None)


def failed(session: Session, letter: Letter, error: str) -> bool:
    """Say that this attempt failed: it comes again after a growing, jittered wait, or is dead after MAX_ATTEMPTS."""
    state = "dead" if letter.attempts >= MAX_ATTEMPTS else "failed"
    return _close(session, letter, state=state, error=error[:2000], next_try_at=func.now() + backoff(letter.attempts))


def postponed(session: Session, letter: Letter, wait: timedelta) -> bool:
    """Say that the letter came too early: it returns after `wait`, and this attempt is not counted."""
    due = func.now() + wait
    return _close(session, letter, state="waiting", attempts=Letter.attempts - 1, next_try_at=due, error=None)


def buried(session: Session, letter: Letter, error: str) -> bool:
    """Say that no further attempt can help: the letter is dead."""
    return _close(session, letter, state="dead", error=error[:2000])


def retry(session: Session, letter_id: int) -> bool:
    """Give a dead, failed or dropped letter a fresh start, at once; False when there is none such."""
    again = (
        update(Letter)
        .where(Letter.id == letter_id, Letter.state.in_(("dead", "failed", "dropped")))
        .values(state="waiting", attempts=0, next_try_at=func.now())
    )
    changed = bool(_returned(session, again))
    session.execute(text("select pg_notify(:channel, '')"), {"channel": CHANNEL})
    return changed


def drop(session: Session, letter_id: int) -> bool:
    """Give up a dead or failed letter for good; False when there is none such."""
    gone = update(Letter).where(Letter.id == letter_id, Letter.state.in_(("dead", "failed"))).values(state="dropped")
    return bool(_returned(session, gone))


def sweep(session: Session, *, older_than: timedelta, kinds: Collection[str] = ()) -> int:
    """Delete letters that were done longer than that ago, of `kinds` only if given; returns how many."""
    old = delete(Letter).where(Letter.state == "done", Letter.done_at < func.now() - older_than)
    gone = session.execute((old.where(Letter.kind.in_(kinds)) if kinds else old).returning(Letter.id))
    return len(gone.all())


def backoff(attempts: int) -> timedelta:
    """Return the wait after the `attempts`-th failure: 2, 4, 8 … seconds up to 10 minutes, ±25 %."""
    seconds = float(min(2 ** min(attempts, 12), 600))
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))


def _close(session: Session, letter: Letter, **values: Any) -> bool:
    """Change the letter only while this very attempt runs; another one's word is not overwritten."""
    ours = (Letter.id == letter.id, Letter.state == "running", Letter.attempts == letter.attempts)
    return bool(_returned(session, update(Letter).where(*ours).values(**values)))


def _returned(session: Session, change: Update) -> Sequence[Letter]:
    unsynchronised = {"synchronize_session": False, "populate_existing": True}
    return session.scalars(change.returning(Letter), execution_options=unsynchronised).all()

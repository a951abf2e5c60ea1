"""The audit trail: who did what to which thing, by what means, before and after, written in the deed's transaction.

Append-only: PostgreSQL lets nobody change, delete or truncate these tables by a plain statement (a trigger refuses),
and where the portal runs as a role of its own (`portal migrate` with PORTAL_DATABASE_OWNER_URL) that role is not even
given the privilege. portal.trail chains the entries: each seal's hash covers an entry's content and the hash before.

Redacted by type: a value in `before` and `after` is plain, `Personal`, or refused. `Secret` cannot be written – it is
no `Value` for mypy, and at run time `record` raises – nor can anything that is not plain JSON, such as bytes. FIELDS
names fields that are personal or secret whoever passes them, however they forgot to say so.

Personal values, and the address of the caller, are kept apart from the entry's content, as one text with a random salt;
the content holds only the place where each value belongs. What is hashed into the chain is SHA-256(salt + text), so the
text and its salt can be erased later (`erase`) and the chain stays verifiable: without the salt the digest that stays
behind says nothing about whom it was. Erasing is a deed, too, and recorded as one.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, Union
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, LargeBinary, func, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit.logs import caller, request_id
from portal.kit.model import Base

MARK = "§personal"


class AuditEntry(Base):
    """One deed. `transaction` is PostgreSQL's number of the deed's transaction: sealing goes by it, for entries of an
    open transaction may appear later under a lower id."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_thing", "thing", "thing_id"),
        Index("ix_audit_entries_happened_at", "happened_at"),
        Index("ix_audit_entries_transaction", "transaction", "id"),
        Index("ix_audit_entries_actor_id", "actor_id", "id", postgresql_where=text("actor_id is not null")),
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
    role: Mapped[str | None]
    means: Mapped[str | None]
    transaction: Mapped[int] = mapped_column(BigInteger, server_default=text("(pg_current_xact_id()::text)::bigint"))
    personal: Mapped[str | None]
    personal_salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    personal_digest: Mapped[bytes | None] = mapped_column(LargeBinary)


class AuditSeal(Base):
    """A link of the chain: the entry at this position, and the hash over its content and the hash before."""

    __tablename__ = "audit_seals"
    __table_args__ = (Index("uq_audit_seals_entry_id", "entry_id", unique=True),)

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_id: Mapped[int] = mapped_column(BigInteger)
    transaction: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_at: Mapped[datetime] = mapped_column(server_default=func.now())


@dataclass(frozen=True, slots=True)
class Personal:
    """A value about a person: written, shown to staff, and erased when the person is."""

    value: str | int | None


class Secret:
    """A value that must never be written anywhere; even its own repr does not show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"


# Union, because a string cannot be joined with |: the type names itself.
Value: TypeAlias = Union[str, int, float, bool, Personal, Sequence["Value"], Mapping[str, "Value"], None]  # noqa: UP007
Told: TypeAlias = Mapping[str, Value] | None

# Names are whole names, in the wire's spelling; a name that is not here is as its value's type says.
FIELDS: Mapping[str, type[Personal] | type[Secret]] = {
    **dict.fromkeys(("email", "givenName", "familyName", "firstName", "lastName", "ticketName"), Personal),
    **dict.fromkeys(("phone", "dateOfBirth", "documentNumber", "address", "owner", "contactEmail"), Personal),
    **dict.fromkeys(("password", "passwordHash", "token", "accessToken", "refreshToken", "bookingToken"), Secret),
    **dict.fromkeys(("secret", "apiKey", "totpSecret", "recoveryCode", "recoveryCodes", "cookie"), Secret),
}


class NotToBeWritten(TypeError):
    """A value that the trail does not take: a secret, or something that is not plain."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts in this context: whom the door let in, and by which means – session, token, key, guest, job, cli."""

    means: str
    actor_id: UUID | None = None
    role: str | None = None


acting: ContextVar[Acting | None] = ContextVar("acting", default=None)


@contextmanager
def by(means: str, *, actor_id: UUID | None = None, role: str | None = None) -> Iterator[None]:
    """Say for the length of the block who acts, and by which means."""
    token = acting.set(Acting(means, actor_id, role))
    try:
        yield
    finally:
        acting.reset(token)


def record(
    session: Session,
    action: str,
    thing: str,
    thing_id: object,
    *,
    actor_id: UUID | None = None,
    before: Told = None,
    after: Told = None,
) -> None:
    """Write one entry in the caller's transaction; of fields told on both sides only those that differ are kept.

    Who acts is whom the door let in, and else `actor_id`. Raises NotToBeWritten for a Secret and for what is not plain.
    """
    who, sorted_out = acting.get() or Acting(""), _SortedOut()
    before, after = _changed(before, after)
    entry = AuditEntry(action=action, thing=thing, thing_id=str(thing_id), request_id=request_id.get())
    entry.before, entry.after = sorted_out.plain(before), sorted_out.plain(after)
    entry.actor_id, entry.role, entry.means = who.actor_id or actor_id, who.role, who.means or None
    kept = sorted_out.text(caller.get())
    if kept is not None:
        entry.personal, entry.personal_salt = kept, secrets.token_bytes(16)
        entry.personal_digest = digest(entry.personal_salt, kept)
    session.add(entry)


def digest(salt: bytes, personal: str) -> bytes:
    """Return what the chain knows of the personal part."""
    return hashlib.sha256(salt + personal.encode()).digest()


def _changed(before: Told, after: Told) -> tuple[Told, Told]:
    if not before or not after:
        return before, after
    same = {name for name in before.keys() & after.keys() if before[name] == after[name]}
    return (
        {name: value for name, value in before.items() if name not in same},
        {name: value for name, value in after.items() if name not in same},
    )


@dataclass
class _SortedOut:
    """Takes personal values out of what is told, leaving at each place the number of the value."""

    values: list[str | int | None] = field(default_factory=list)

    def plain(self, told: Told) -> dict[str, Any] | None:
        return None if told is None else {str(name): self._one(value, str(name)) for name, value in told.items()}

    def text(self, address: str | None) -> str | None:
        """Return the personal part as the one text that is hashed and kept; None where there is none."""
        kept = {"caller": address, "values": self.values}
        found = {name: value for name, value in kept.items() if value}
        return json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if found else None

    def _one(self, value: Any, name: str) -> Any:
        meant = FIELDS.get(name)
        if isinstance(value, Secret) or (meant is Secret and value is not None):
            raise NotToBeWritten(f"{name} is a secret; the audit trail does not take it.")
        if isinstance(value, Personal):
            return self._keep(value.value)
        if isinstance(value, Mapping):
            return self.plain(value)
        if isinstance(value, list | tuple):
            return [self._one(one, name) for one in value]
        if value is not None and not isinstance(value, str | int | float):
            raise NotToBeWritten(f"{name} is a {type(value).__name__}; the audit trail takes plain values only.")
        return self._keep(value) if meant is Personal and value is not None else value

    def _keep(self, value: Any) -> dict[str, int]:
        self.values.append(value)
        return {MARK: len(self.values) - 1}


def erase(
    session: Session, *, of: UUID | None = None, things: Sequence[tuple[str, str]] = (), words: Sequence[str] = ()
) -> int:
    """Erase the personal part of every entry that this person made, that is about `things` (kind and id of each: the
    account, a booking), or in which one of `words` (an e-mail address) stands as a whole value; returns of how many.
    The entries, their seals and the chain stay. Recorded as a deed about the person, or about the first thing.
    """
    kinds, ids = [kind for kind, _ in things], [thing_id for _, thing_id in things]
    count = session.scalar(ERASE, {"of": of, "kinds": kinds, "ids": ids, "words": list(words)}) or 0
    if count:
        about = ("user", str(of)) if of else things[0]
        record(session, "personal.erased", *about, after={"entries": count})
    return int(count)


ERASE = text("select audit_erase(:of, cast(:kinds as text[]), cast(:ids as text[]), cast(:words as text[]))")

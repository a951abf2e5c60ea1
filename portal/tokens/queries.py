"""What an account has given to programs: API keys, and programs that are signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from portal.kit import ids
from portal.tokens import rules
from portal.tokens.models import ApiKey, RefreshToken


@dataclass(frozen=True, slots=True)
class Key:
    """An API key; the word itself is known to nobody but its owner."""

    id: UUID
    user_id: UUID
    name: str
    prefix: str
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_address: str | None


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is signed in: a family of refresh tokens, when it began and when it last got a new pair."""

    family: UUID
    began_at: datetime
    renewed_at: datetime
    expires_at: datetime
    address: str | None
    agent: str | None


COLUMNS = (
    ApiKey.id,
    ApiKey.user_id,
    ApiKey.name,
    ApiKey.prefix,
    ApiKey.scopes,
    ApiKey.addresses,
    ApiKey.created_at,
    ApiKey.expires_at,
    ApiKey.last_used_at,
    ApiKey.last_address,
)


def keys(session: Session, user_id: UUID) -> list[Key]:
    """Return the account's keys that were not revoked, lapsed ones too, the newest first."""
    found = select(*COLUMNS).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return [_key(row) for row in session.execute(found.order_by(ApiKey.created_at.desc(), ApiKey.id))]


def by_word(session: Session, word: str, *, caller: str, now: datetime) -> Key | None:
    """Return the key that `word` is, if it is neither revoked nor lapsed and may come from the caller's address."""
    alive = (ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now))
    row = session.execute(select(*COLUMNS).where(ApiKey.fingerprint == ids.fingerprint(word), *alive)).first()
    key = _key(row) if row else None
    return key if key and rules.may_come_from(key.addresses, caller) else None


def _key(row: Any) -> Key:
    whole: Any = (*row[:4], tuple(row.scopes), tuple(row.addresses), *row[6:])
    return Key(*whole)


def programs(session: Session, user_id: UUID, now: datetime) -> list[Program]:
    """Return the programs that are signed in to the account, the one that came last first."""
    columns = (
        RefreshToken.family,
        RefreshToken.began_at,
        RefreshToken.created_at,
        RefreshToken.expires_at,
        RefreshToken.address,
        RefreshToken.agent,
    )
    newest = (RefreshToken.used_at.is_(None), RefreshToken.revoked_at.is_(None), RefreshToken.expires_at > now)
    found = select(*columns).where(RefreshToken.user_id == user_id, *newest)
    return [Program(*row) for row in session.execute(found.order_by(RefreshToken.created_at.desc()))]

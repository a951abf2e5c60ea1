"""Verbs of tokens: issue a pair, use a refresh token once, revoke a family."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from portal.kit import clock, ids
from portal.kit.settings import Settings
from portal.tokens import rules
from portal.tokens.models import RefreshToken


@dataclass(frozen=True, slots=True)
class Tokens:
    """A new pair of tokens; the access token is good for `expires_in` seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A refresh token that was just used: whose it was, and the family that goes on."""

    user_id: UUID
    family: UUID


def issue(session: Session, user_id: UUID, role: str, settings: Settings, *, family: UUID | None = None) -> Tokens:
    """Return a new pair; the refresh token begins a family, or continues `family`."""
    now, family, word = clock.now(), family or uuid4(), ids.secret()
    session.add(
        RefreshToken(
            fingerprint=ids.fingerprint(word),
            family=family,
            user_id=user_id,
            expires_at=now + timedelta(days=settings.jwt_refresh_token_days),
        )
    )
    access = rules.access_token(settings, user_id, role, family, now)
    return Tokens(access, word, settings.jwt_access_token_minutes * 60)


def redeem(session: Session, word: str) -> Redeemed | None:
    """Use a refresh token that is good, once. None means refused: commit all the same, because a token that comes a
    second time was stolen from somebody, and its whole family is revoked (RFC 9700, 4.14.2).
    """
    row = session.get(RefreshToken, ids.fingerprint(word), with_for_update=True)
    if row is None or row.revoked_at is not None or row.expires_at <= clock.now():
        return None
    if row.used_at is not None:
        revoke_family(session, row.family)
        return None
    row.used_at = clock.now()
    return Redeemed(row.user_id, row.family)


def revoke(session: Session, word: str) -> None:
    """Revoke the family of a refresh token: it and its access tokens are worthless from now on. Unknown: nothing."""
    family = session.scalar(select(RefreshToken.family).where(RefreshToken.fingerprint == ids.fingerprint(word)))
    if family is not None:
        revoke_family(session, family)


def revoke_family(session: Session, family: UUID) -> None:
    """Make every token of the family worthless from now on."""
    whole = update(RefreshToken).where(RefreshToken.family == family, RefreshToken.revoked_at.is_(None))
    session.execute(whole.values(revoked_at=clock.now()))


def revoke_all(session: Session, user_id: UUID) -> None:
    """Make every refresh and access token of the account worthless from now on."""
    every = update(RefreshToken).where(RefreshToken.user_id == user_id, RefreshToken.revoked_at.is_(None))
    session.execute(every.values(revoked_at=clock.now()))


def sweep(session: Session, now: datetime) -> int:
    """Forget lapsed refresh tokens; returns how many."""
    gone = delete(RefreshToken).where(RefreshToken.expires_at <= now).returning(RefreshToken.fingerprint)
    return len(session.scalars(gone).all())

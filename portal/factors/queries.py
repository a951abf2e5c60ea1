"""What an account has to show besides its password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from portal.factors.models import Authenticator, HalfSignIn, Identity, Passkey, RecoveryCode, RememberedBrowser
from portal.kit import ids


@dataclass(frozen=True, slots=True)
class Key:
    """A passkey as its owner sees it."""

    id: UUID
    name: str
    synced: bool
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that is not asked for the second step."""

    id: UUID
    agent: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An account at another provider that signs in here."""

    id: UUID
    issuer: str
    email: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Factors:
    """All that an account has: the app's name and date or nothing, passkeys, codes left, remembered browsers."""

    app: str | None
    app_since: datetime | None
    keys: tuple[Key, ...]
    codes_left: int
    browsers: tuple[Browser, ...]
    identities: tuple[Elsewhere, ...]

    @property
    def enrolled(self) -> bool:
        """True when signing in asks for a second step."""
        return self.app is not None or bool(self.keys)


def enrolled(session: Session, user_id: UUID) -> bool:
    """True when signing in with a password asks this account for a second step."""
    app, key = exists().where(Authenticator.user_id == user_id), exists().where(Passkey.user_id == user_id)
    return bool(session.scalar(select(or_(app, key))))


def has_app(session: Session, user_id: UUID) -> bool:
    """True when the account has an authenticator app."""
    return bool(session.scalar(select(exists().where(Authenticator.user_id == user_id))))


def of(session: Session, user_id: UUID) -> Factors:
    """Return all that the account has."""
    app = session.execute(select(Authenticator.name, Authenticator.created_at).filter_by(user_id=user_id)).first()
    return Factors(
        app.name if app else None,
        app.created_at if app else None,
        tuple(keys(session, user_id)),
        codes_left(session, user_id),
        tuple(browsers(session, user_id)),
        tuple(identities(session, user_id)),
    )


def keys(session: Session, user_id: UUID) -> list[Key]:
    """Return the account's passkeys, the oldest first."""
    columns = (Passkey.id, Passkey.name, Passkey.synced, Passkey.created_at, Passkey.used_at)
    rows = session.execute(select(*columns).filter_by(user_id=user_id).order_by(Passkey.created_at, Passkey.id))
    return [Key(*row) for row in rows]


def codes_left(session: Session, user_id: UUID) -> int:
    """Return how many recovery codes are still unused."""
    unused = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return session.scalar(unused) or 0


def browsers(session: Session, user_id: UUID) -> list[Browser]:
    """Return the browsers that are remembered now, the newest first."""
    one = RememberedBrowser
    found = select(one.id, one.agent, one.created_at, one.expires_at).where(
        one.user_id == user_id, one.expires_at > func.now()
    )
    return [Browser(*row) for row in session.execute(found.order_by(one.created_at.desc(), one.id))]


def identities(session: Session, user_id: UUID) -> list[Elsewhere]:
    """Return the accounts at other providers that sign in here, the oldest first."""
    columns = (Identity.id, Identity.issuer, Identity.email, Identity.created_at)
    found = select(*columns).filter_by(user_id=user_id).order_by(Identity.created_at, Identity.id)
    return [Elsewhere(*row) for row in session.execute(found)]


def half(session: Session, word: str) -> UUID | None:
    """Return whose second step the half-signed cookie's `word` waits for, if it has not lapsed."""
    found = select(HalfSignIn.user_id).where(
        HalfSignIn.fingerprint == ids.fingerprint(word), HalfSignIn.expires_at > func.now()
    )
    return session.scalar(found)


def is_remembered(session: Session, user_id: UUID, word: str) -> bool:
    """True when this browser's `word` spares this very account the second step."""
    one = RememberedBrowser
    return bool(
        session.scalar(
            select(
                exists().where(
                    one.fingerprint == ids.fingerprint(word), one.user_id == user_id, one.expires_at > func.now()
                )
            )
        )
    )

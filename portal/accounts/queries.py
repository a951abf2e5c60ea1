"""Who stands behind a cookie or a token, in one indexed read each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from portal.accounts.models import RefreshToken, SignIn, User
from portal.kit import ids


@dataclass(frozen=True, slots=True)
class Known:
    """A person with an account."""

    id: UUID
    email: str
    given_name: str
    family_name: str
    role: str
    created_at: datetime
    email_verified_at: datetime | None

    @property
    def name(self) -> str:
        """Both names, as a person is greeted."""
        return f"{self.given_name} {self.family_name}".strip()


@dataclass(frozen=True, slots=True)
class Seen:
    """A signed-in browser: who, since when, and when it was last noted."""

    person: Known
    began_at: datetime
    last_seen_at: datetime


COLUMNS = (
    User.id,
    User.email,
    User.given_name,
    User.family_name,
    User.role,
    User.created_at,
    User.email_verified_at,
)


def person(session: Session, user_id: UUID) -> Known | None:
    """Return the person of that id."""
    row = session.execute(select(*COLUMNS).where(User.id == user_id)).first()
    return Known(*row) if row else None


def person_by_email(session: Session, email: str) -> Known | None:
    """Return the person of that address, whatever its case."""
    row = session.execute(select(*COLUMNS).where(func.lower(User.email) == email.lower())).first()
    return Known(*row) if row else None


def by_sign_in(session: Session, word: str, now: datetime) -> Seen | None:
    """Return whom the cookie's `word` stands for, if that sign-in has not lapsed."""
    found = (
        select(*COLUMNS, SignIn.created_at, SignIn.last_seen_at)
        .join(SignIn, SignIn.user_id == User.id)
        .where(SignIn.fingerprint == ids.fingerprint(word), SignIn.expires_at > now)
    )
    row = session.execute(found).first()
    return Seen(Known(*row[:-2]), row[-2], row[-1]) if row else None


def by_token(session: Session, user_id: UUID, family: UUID) -> Known | None:
    """Return whom an access token stands for, unless its family was revoked (signed out, or a token used twice)."""
    alive = exists().where(
        RefreshToken.family == family, RefreshToken.user_id == User.id, RefreshToken.revoked_at.is_(None)
    )
    row = session.execute(select(*COLUMNS).where(User.id == user_id, alive)).first()
    return Known(*row) if row else None

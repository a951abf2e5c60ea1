"""Who stands behind a cookie or a token, in one indexed read each; what an account keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select, text
from sqlalchemy.orm import Session

from portal.accounts import rules
from portal.accounts.models import FavouriteRoute, Preferences, SavedTraveller, SignIn, User
from portal.kit import ids
from portal.places.queries import Place, places_by_code
from portal.tokens.models import RefreshToken
from portal.tokens.rules import Claims


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
    version: int  # of the password and address that they sign in with

    @property
    def name(self) -> str:
        """Both names, as a person is greeted."""
        return f"{self.given_name} {self.family_name}".strip()


@dataclass(frozen=True, slots=True)
class Seen:
    """A signed-in browser: who, since when, when it was last noted, and when it showed who it is."""

    person: Known
    began_at: datetime
    last_seen_at: datetime
    proved_at: datetime | None
    factor_at: datetime | None


COLUMNS = (
    User.id,
    User.email,
    User.given_name,
    User.family_name,
    User.role,
    User.created_at,
    User.email_verified_at,
    User.credentials_version,
)


def person(session: Session, user_id: UUID) -> Known | None:
    """Return the person of that id."""
    row = session.execute(select(*COLUMNS).where(User.id == user_id)).first()
    return Known(*row) if row else None


def may_enter(session: Session, user_id: UUID) -> Known | None:
    """Return the person of that id unless their account is closed: a passkey or another place lets nobody in there."""
    row = session.execute(select(*COLUMNS).where(User.id == user_id, User.closed_at.is_(None))).first()
    return Known(*row) if row else None


def person_by_email(session: Session, email: str) -> Known | None:
    """Return the person of that address, whatever its case."""
    row = session.execute(select(*COLUMNS).where(func.lower(User.email) == email.lower())).first()
    return Known(*row) if row else None


def by_sign_in(session: Session, word: str, now: datetime) -> Seen | None:
    """Return whom the cookie's `word` stands for, if that sign-in has not lapsed."""
    found = (
        select(*COLUMNS, SignIn.created_at, SignIn.last_seen_at, SignIn.proved_at, SignIn.factor_at)
        .join(SignIn, SignIn.user_id == User.id)
        .where(SignIn.fingerprint == ids.fingerprint(word), SignIn.expires_at > now, User.closed_at.is_(None))
    )
    row: Any = session.execute(found).first()
    return Seen(Known(*row[:-4]), *row[-4:]) if row else None


def by_token(session: Session, claims: Claims) -> Known | None:
    """Return whom an access token stands for, unless they have another role by now, their account is closed, or
    its family was revoked.
    """
    alive = exists().where(
        RefreshToken.family == claims.family, RefreshToken.user_id == User.id, RefreshToken.revoked_at.is_(None)
    )
    same = (User.id == claims.user_id, User.role == claims.role, User.closed_at.is_(None))
    row = session.execute(select(*COLUMNS).where(*same, alive)).first()
    return Known(*row) if row else None


@dataclass(frozen=True, slots=True)
class Saved:
    """Somebody whom the account books for."""

    id: UUID
    given_name: str
    family_name: str
    date_of_birth: date

    @property
    def name(self) -> str:
        """The whole name."""
        return f"{self.given_name} {self.family_name}".strip()


@dataclass(frozen=True, slots=True)
class Likes:
    """An account's preferences; `muted` are the kinds of letters that it does not want."""

    home_airport: str | None = None
    seat: str | None = None
    meal: str | None = None
    language: str | None = None
    muted: tuple[str, ...] = ()
    keep_address: bool = True


def travellers(session: Session, user_id: UUID) -> list[Saved]:
    """Return the account's saved travellers, by name."""
    columns = (SavedTraveller.id, SavedTraveller.given_name, SavedTraveller.family_name, SavedTraveller.date_of_birth)
    found = select(*columns).where(SavedTraveller.user_id == user_id)
    by_name = (func.lower(SavedTraveller.family_name), func.lower(SavedTraveller.given_name), SavedTraveller.created_at)
    return [Saved(*row) for row in session.execute(found.order_by(*by_name))]


def favourites(session: Session, user_id: UUID) -> list[tuple[Place, Place]]:
    """Return the routes that the account keeps at hand, the newest first."""
    found = select(FavouriteRoute.origin, FavouriteRoute.destination).where(FavouriteRoute.user_id == user_id)
    rows = session.execute(found.order_by(FavouriteRoute.created_at.desc())).all()
    places = places_by_code(session, {code for row in rows for code in row})
    return [(places[row[0]], places[row[1]]) for row in rows]


def is_favourite(session: Session, user_id: UUID, origin: str, destination: str) -> bool:
    """True when the account keeps this route."""
    return session.get(FavouriteRoute, (user_id, origin, destination)) is not None


def likes(session: Session, user_id: UUID) -> Likes:
    """Return the account's preferences; none at all for who has not said any."""
    row = session.get(Preferences, user_id)
    if row is None:
        return Likes()
    return Likes(row.home_airport, row.seat, row.meal, row.language, tuple(row.muted), row.keep_address)


def home_airport(session: Session, user_id: UUID) -> Place | None:
    """Return where the account likes to start from, if it has said so."""
    code = likes(session, user_id).home_airport
    return places_by_code(session, (code,)).get(code) if code else None


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that is signed in: what it calls itself, from where, since when; `here` is the reader's own."""

    id: UUID
    agent: str
    address: str | None
    began_at: datetime
    last_seen_at: datetime
    here: bool

    @property
    def name(self) -> str:
        """What a person calls it."""
        return rules.device_name(self.agent)

    @property
    def is_mobile(self) -> bool:
        """True for a phone or a tablet."""
        return rules.is_mobile(self.agent)

    @property
    def place(self) -> str:
        """From where it came, as far as that is known."""
        return rules.place(self.address)


@dataclass(frozen=True, slots=True)
class Safety:
    """What an account is signed in to with."""

    email: str
    email_verified_at: datetime | None
    password_changed_at: datetime | None


def safety(session: Session, user_id: UUID) -> Safety | None:
    """Return what the account is signed in to with."""
    columns = (User.email, User.email_verified_at, User.password_changed_at)
    row = session.execute(select(*columns).where(User.id == user_id)).first()
    return Safety(*row) if row else None


# What must not be, as SQL that returns whose and how.
BOOKS: Mapping[str, str] = {
    "recovery codes are left without a second step": """
        select user_id::text, count(*)::text from recovery_codes r
        where not exists (select from authenticators a where a.user_id = r.user_id)
            and not exists (select from passkeys p where p.user_id = r.user_id) group by 1""",
    "a remembered browser is spared a second step that there is not": """
        select user_id::text, count(*)::text from remembered_browsers b
        where not exists (select from authenticators a where a.user_id = b.user_id)
            and not exists (select from passkeys p where p.user_id = b.user_id) group by 1""",
    "an account has more recovery codes than are dealt": """
        select user_id::text, count(*)::text from recovery_codes group by 1 having count(*) > 10""",
    "an account has more passkeys than it can": """
        select user_id::text, count(*)::text from passkeys group by 1 having count(*) > 20""",
    "an app has used up a code of the future": """
        select user_id::text, last_step::text from authenticators
        where last_step > extract(epoch from now()) / 30 + 2""",
    "a family of tokens goes on twice": """
        select family::text, count(*)::text from refresh_tokens where used_at is null and revoked_at is null
        group by 1 having count(*) > 1""",
    "a closed account is still signed in to": """
        select u.id::text, 'browser' from users u join sign_ins s on s.user_id = u.id where u.closed_at is not null
        union select u.id::text, 'program' from users u join refresh_tokens t on t.user_id = u.id
        where u.closed_at is not null and t.revoked_at is null
        union select u.id::text, 'key' from users u join api_keys k on k.user_id = u.id
        where u.closed_at is not null and k.revoked_at is null""",
}


def broken_ways_in(session: Session) -> list[tuple[str, str, str]]:
    """Return what is wrong with the ways into accounts: which rule, whose account or family, and how it is off."""
    found = []
    for rule, statement in BOOKS.items():
        found += [(rule, whose, how) for whose, how in session.execute(text(f"{statement} limit 1000"))]
    return found


def devices(session: Session, user_id: UUID, word: str, now: datetime) -> list[Device]:
    """Return the browsers that are signed in to the account: the one of `word` first, then the last seen."""
    here = SignIn.fingerprint == ids.fingerprint(word)
    columns = (SignIn.id, func.coalesce(SignIn.agent, ""), SignIn.address, SignIn.created_at, SignIn.last_seen_at, here)
    found = select(*columns).where(SignIn.user_id == user_id, SignIn.expires_at > now)
    return [Device(*row) for row in session.execute(found.order_by(here.desc(), SignIn.last_seen_at.desc()))]

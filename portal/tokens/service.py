"""Verbs of tokens: issue a pair, use a refresh token once, end a family; make an API key, note its use, revoke it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import column, delete, select, table, update
from sqlalchemy.orm import Session

from portal.kit import audit, clock, ids, outbox
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.tokens import queries, rules
from portal.tokens.errors import TooManyKeys, UnknownKey, UnknownProgram
from portal.tokens.forms import NewKey
from portal.tokens.models import ApiKey, RefreshToken


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
    began_at: datetime


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new API key: `word` is shown this once and never again."""

    key: queries.Key
    word: str


def issue(
    session: Session,
    user_id: UUID,
    role: str,
    settings: Settings,
    *,
    after: Redeemed | None = None,
    address: str = "",
    agent: str = "",
) -> Tokens:
    """Return a new pair; the refresh token begins a family, or continues that of the one it comes `after`.

    `address` and `agent` are where the program was: its owner sees them beside it.
    """
    now, word = clock.now(), ids.secret()
    family, began_at = (after.family, after.began_at) if after else (uuid4(), now)
    session.add(
        RefreshToken(
            fingerprint=ids.fingerprint(word),
            family=family,
            user_id=user_id,
            created_at=now,
            began_at=began_at,
            expires_at=now + timedelta(days=settings.jwt_refresh_token_days),
            address=address or None,
            agent=agent[:200] or None,
        )
    )
    if after is None:
        audit.record(session, "sign_in.program", "user", user_id, actor_id=user_id, after={"program": str(family)})
    access = rules.access_token(settings, rules.Claims(user_id, role, family, began_at), now)
    return Tokens(access, word, settings.jwt_access_token_minutes * 60)


def redeem(session: Session, word: str) -> Redeemed | None:
    """Use a refresh token that is good, once. None means refused: commit all the same, because a token that comes a
    second time was stolen from somebody, its whole family is revoked (RFC 9700, 4.14.2), and the owner is told by mail.
    """
    fingerprint = ids.fingerprint(word)
    owner = select(RefreshToken.user_id).where(RefreshToken.fingerprint == fingerprint)
    _one_at_a_time(session, session.scalar(owner))
    row = session.get(RefreshToken, fingerprint, with_for_update=True)
    if row is None or row.revoked_at is not None or row.expires_at <= clock.now():
        return None
    if row.used_at is not None:
        _revoke_family(session, row.family)
        audit.record(session, "sign_in.stolen", "user", row.user_id, after={"program": str(row.family)})
        _notice(session, row.user_id, "token_reused", str(row.family), agent=row.agent or "")
        return None
    row.used_at = clock.now()
    return Redeemed(row.user_id, row.family, row.began_at)


def revoke(session: Session, word: str) -> None:
    """Revoke the family of a refresh token: it and its access tokens are worthless from now on. Unknown: nothing."""
    found = select(RefreshToken.user_id, RefreshToken.family).where(RefreshToken.fingerprint == ids.fingerprint(word))
    row = session.execute(found).first()
    if row is not None:
        _one_at_a_time(session, row.user_id)
        _revoke_family(session, row.family)


def _revoke_family(session: Session, family: UUID) -> None:
    """Hold the account before: a pair that is being issued would not be seen, and would live on."""
    whole = update(RefreshToken).where(RefreshToken.family == family, RefreshToken.revoked_at.is_(None))
    session.execute(whole.values(revoked_at=clock.now()))


def revoke_all(session: Session, user_id: UUID, *, but: UUID | None = None) -> None:
    """Make every refresh and access token of the account worthless from now on, but those of one family.

    Holds the account's row until the transaction ends: no token is issued beside it.
    """
    _one_at_a_time(session, user_id)
    every = update(RefreshToken).where(RefreshToken.user_id == user_id, RefreshToken.revoked_at.is_(None))
    if but is not None:
        every = every.where(RefreshToken.family != but)
    session.execute(every.values(revoked_at=clock.now()))


def end_program(session: Session, user_id: UUID, family: UUID) -> None:
    """Sign one of the account's programs out. Raises UnknownProgram for another's as for none."""
    own = select(RefreshToken.family).where(RefreshToken.family == family, RefreshToken.user_id == user_id)
    if session.scalar(own.where(RefreshToken.revoked_at.is_(None)).limit(1)) is None:
        raise UnknownProgram()
    _one_at_a_time(session, user_id)
    _revoke_family(session, family)


def make_key(session: Session, user_id: UUID, role: str, wish: NewKey) -> MadeKey:
    """Make an API key, tell the account by mail and the audit trail; its word is in the answer and nowhere else.

    Raises Invalid (a scope that this role cannot give, an end in the past) and TooManyKeys.
    """
    _check(role, wish)
    _one_at_a_time(session, user_id)
    if len(queries.keys(session, user_id)) >= rules.MOST_KEYS:
        raise TooManyKeys(_("%(most)d are kept. Please revoke one first.") % {"most": rules.MOST_KEYS})
    word, prefix = rules.new_key()
    row = ApiKey(user_id=user_id, name=wish.name, prefix=prefix, fingerprint=ids.fingerprint(word))
    row.scopes, row.addresses = sorted(set(wish.scopes)), sorted(set(wish.addresses))
    row.created_at, row.expires_at = clock.now(), wish.expires_at
    session.add(row)
    session.flush()
    _tell(session, row, "key_made", "key.create", after=_shown(row))
    made = next(key for key in queries.keys(session, user_id) if key.id == row.id)
    return MadeKey(made, word)


def _check(role: str, wish: NewKey) -> None:
    if strange := sorted(set(wish.scopes) - set(rules.scopes_for(role))):
        raise Invalid(errors=[FieldError("scopes", _("There is no such scope for you: %s.") % ", ".join(strange))])
    if wish.expires_at is not None and wish.expires_at <= clock.now():
        raise Invalid(errors=[FieldError("expiresAt", _("This day is over already."))])


def _one_at_a_time(session: Session, user_id: UUID | None) -> None:
    """Let one transaction at a time count the account's keys, or issue and revoke its tokens."""
    users = table("users", column("id"))
    session.execute(select(users.c.id).where(users.c.id == user_id).with_for_update(key_share=True))


def revoke_key(session: Session, user_id: UUID, key_id: UUID) -> None:
    """Make one of the account's keys worthless from now on. Raises UnknownKey for another's as for none."""
    row = session.get(ApiKey, key_id, with_for_update=True)
    if row is None or row.user_id != user_id or row.revoked_at is not None:
        raise UnknownKey()
    row.revoked_at = clock.now()
    _tell(session, row, "key_revoked", "key.revoke", before=_shown(row))


def _shown(row: ApiKey) -> dict[str, Any]:
    until = row.expires_at.isoformat() if row.expires_at else None
    kept = {"name": row.name, "prefix": row.prefix, "scopes": list(row.scopes)}
    return {**kept, "addresses": list(row.addresses), "expiresAt": until}


def _tell(session: Session, row: ApiKey, kind: str, action: str, **change: Any) -> None:
    audit.record(session, action, "api_key", row.id, actor_id=row.user_id, **change)
    _notice(session, row.user_id, kind, str(row.id), name=row.name, prefix=row.prefix)


def _notice(session: Session, user_id: UUID, kind: str, about: str, **facts: Any) -> None:
    """Tell the account's owner by mail, once for each kind and thing it is about."""
    told: dict[str, Any] = {
        "userId": str(user_id),
        "kind": kind,
        "facts": {"at": clock.now().isoformat(), **facts},
    }
    outbox.post(session, "mail.account_notice", key=f"{kind} {about}", queue="mail", **told)


def note_use(session: Session, key: queries.Key, caller: str) -> None:
    """Remember that a key was used, and from where."""
    row = update(ApiKey).where(ApiKey.id == key.id)
    session.execute(row.values(last_used_at=clock.now(), last_address=caller or None))


def sweep(session: Session, now: datetime) -> int:
    """Forget lapsed refresh tokens, and API keys a month after they were revoked; returns how many."""
    gone = delete(RefreshToken).where(RefreshToken.expires_at <= now).returning(RefreshToken.fingerprint)
    old = delete(ApiKey).where(ApiKey.revoked_at <= now - timedelta(days=30)).returning(ApiKey.id)
    return len(session.scalars(gone).all()) + len(session.scalars(old).all())

"""Verbs of second factors: enrol an app, verify a code, deal recovery codes, wait half-way, remember a browser.

Every proof counts once, however many come at the same moment: one conditional update decides.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from portal.factors import queries, rules
from portal.factors.errors import HalfWayLapsed, OfferLapsed, UnknownFactor, WrongCode
from portal.factors.models import (
    Authenticator,
    HalfSignIn,
    Identity,
    Passkey,
    RecoveryCode,
    RememberedBrowser,
    SpentChallenge,
)
from portal.kit import audit, backoff, clock, ids, limits, outbox, signing
from portal.kit.settings import Settings

SECRET, OFFER, CONNECTING = "authenticator", "authenticator-offer", "connect-elsewhere"


def required(session: Session, user_id: UUID) -> bool:
    """True when a right password is only half of signing in to this account."""
    return queries.enrolled(session, user_id)


def verify(session: Session, settings: Settings, user_id: UUID, code: str) -> bool:
    """True, once, for a code of the account's app or one of its unused recovery codes; commit what this writes.

    Counts the guess first: raises TooMany beyond ten in a quarter of an hour, Unavailable while none can be counted.
    The tenth wrong one is told to the account's owner: whoever comes so far has the password.
    """
    count_guess(settings, user_id)
    typed = rules.plain(code)
    right = (
        _use_step(session, settings, user_id, typed) if rules.is_one_time(typed) else _use_code(session, user_id, typed)
    )
    if right:
        forgive(settings, user_id)
    elif backoff.failed(settings, "account", _guesses(user_id)):
        tell(session, user_id, "locked_out")
    return right


def _guesses(user_id: UUID) -> str:
    return f"code {user_id}"


def count_guess(settings: Settings, user_id: UUID) -> None:
    """Count one guess at an account's second factor; raises TooMany and, without Redis, Unavailable."""
    for policy in ("second-step", "second-step-day"):
        limits.check(settings, policy, str(user_id))


def forgive(settings: Settings, user_id: UUID) -> None:
    """Forget the wrong guesses of somebody who guessed right."""
    limits.forgive(settings, "second-step", str(user_id))
    limits.forgive(settings, "second-step-day", str(user_id))
    backoff.forgive(settings, "account", _guesses(user_id))


def _use_step(session: Session, settings: Settings, user_id: UUID, code: str) -> bool:
    app = session.execute(select(Authenticator.secret).filter_by(user_id=user_id)).first()
    step = rules.step_of(_secret(settings, user_id, app.secret), code, clock.now()) if app else None
    if step is None:
        return False
    newer = update(Authenticator).where(Authenticator.user_id == user_id, Authenticator.last_step < step)
    used = newer.values(last_step=step, used_at=clock.now()).returning(Authenticator.user_id)
    return session.scalar(used) is not None


def _secret(settings: Settings, user_id: UUID, locked: bytes) -> bytes:
    """Return an app's secret; after the SECRET_KEY was changed, one that no code fits."""
    try:
        return signing.unlock(settings, SECRET, user_id, locked)
    except signing.Tampered:
        return secrets.token_bytes(rules.SECRET_BYTES)


def _use_code(session: Session, user_id: UUID, code: str) -> bool:
    unused = update(RecoveryCode).where(
        RecoveryCode.user_id == user_id,
        RecoveryCode.fingerprint == rules.kept(user_id, code),
        RecoveryCode.used_at.is_(None),
    )
    if session.scalar(unused.values(used_at=clock.now()).returning(RecoveryCode.user_id)) is None:
        return False
    audit.record(session, "recovery_code.use", "user", user_id, actor_id=user_id)
    tell(session, user_id, "recovery_used", left=queries.codes_left(session, user_id))
    return True


def tell(session: Session, user_id: UUID, kind: str, **facts: object) -> None:
    """Post the notice that tells an account's owner what happened to its ways in."""
    outbox.post(
        session,
        "mail.account_notice",
        key=f"{user_id}.{kind}.{ids.secret(9)}",
        queue="mail",
        userId=str(user_id),
        kind=kind,
        facts={"at": clock.now().isoformat(), **facts},
    )


# ── the authenticator app ─────────────────────────────────────────────────────────────────────────────────


def offer(settings: Settings, user_id: UUID) -> tuple[bytes, str]:
    """Return a new secret for an app, and the same sealed for the form that comes back with its first code."""
    secret = secrets.token_bytes(rules.SECRET_BYTES)
    locked = signing.lock(settings, OFFER, user_id, secret)
    return secret, signing.seal(settings, OFFER, locked.hex())


def offered(settings: Settings, user_id: UUID, sealed: str) -> bytes:
    """Return the secret that `offer` sealed for this account; raises OfferLapsed after a quarter of an hour."""
    seconds = int(rules.OFFER_LASTS.total_seconds())
    try:
        locked = bytes.fromhex(signing.unseal(settings, OFFER, sealed, max_age_seconds=seconds))
        return signing.unlock(settings, OFFER, user_id, locked)
    except (ValueError, TypeError):
        raise OfferLapsed() from None


def enrol(session: Session, settings: Settings, user_id: UUID, *, sealed: str, code: str, name: str) -> None:
    """Let an app be the account's second factor: the one that was offered, if its first `code` is right.

    It takes the place of an app that was there. The first code is used up by this. Raises OfferLapsed, WrongCode.
    """
    secret = offered(settings, user_id, sealed)
    step = rules.step_of(secret, rules.plain(code), clock.now())
    if step is None:
        raise WrongCode()
    alone(session, user_id)
    locked = signing.lock(settings, SECRET, user_id, secret)
    values = {"secret": locked, "name": name, "last_step": step, "created_at": clock.now(), "used_at": None}
    row = upsert(Authenticator).values(user_id=user_id, **values)
    session.execute(row.on_conflict_do_update(index_elements=[Authenticator.user_id], set_=values))
    audit.record(session, "authenticator.add", "user", user_id, actor_id=user_id, after={"name": name})
    tell(session, user_id, "factor_added", name=name)


def alone(session: Session, user_id: UUID) -> None:
    """Let one transaction at a time change what an account has: two that each take one away both see the last one go,
    and recovery codes are there exactly as long as a factor is.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"factors {user_id}", 0))))


def rename_app(session: Session, user_id: UUID, name: str) -> None:
    """Call the app otherwise."""
    session.execute(update(Authenticator).where(Authenticator.user_id == user_id).values(name=name))


def remove_app(session: Session, user_id: UUID) -> None:
    """Take the app off the account and tell its owner; with the last factor go its recovery codes, too."""
    alone(session, user_id)
    gone = session.scalar(delete(Authenticator).where(Authenticator.user_id == user_id).returning(Authenticator.name))
    if gone is None:
        raise UnknownFactor()
    audit.record(session, "authenticator.remove", "user", user_id, actor_id=user_id, before={"name": gone})
    removed(session, user_id, "factor_removed", gone)


def removed(session: Session, user_id: UUID, kind: str, name: str) -> None:
    """Tell the owner that a factor is gone; after the last one nothing is asked beside the password any more."""
    last = not queries.enrolled(session, user_id)
    if last:
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
        session.execute(delete(RememberedBrowser).where(RememberedBrowser.user_id == user_id))
    tell(session, user_id, kind, name=name, last=last)


# ── recovery codes ────────────────────────────────────────────────────────────────────────────────────────


def deal(session: Session, user_id: UUID) -> list[str]:
    """Return ten new recovery codes, to be shown once; the old ones are worthless from now on."""
    alone(session, user_id)
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [ids.readable(rules.RECOVERY_LENGTH) for _number in range(rules.RECOVERY_CODES)]
    session.execute(
        insert(RecoveryCode), [{"user_id": user_id, "fingerprint": rules.kept(user_id, code)} for code in codes]
    )
    audit.record(session, "recovery_codes.deal", "user", user_id, actor_id=user_id)
    return [rules.grouped(code) for code in codes]


def own_codes(session: Session, user_id: UUID, typed: Sequence[str]) -> list[str]:
    """Return those of `typed` that are unused recovery codes of this account, as they were shown."""
    shown = {rules.kept(user_id, rules.plain(code)): rules.plain(code) for code in typed[: rules.RECOVERY_CODES]}
    found = select(RecoveryCode.fingerprint).where(
        RecoveryCode.user_id == user_id, RecoveryCode.fingerprint.in_(shown), RecoveryCode.used_at.is_(None)
    )
    good = set(session.scalars(found))
    return [rules.grouped(code) for fingerprint, code in shown.items() if fingerprint in good]


# ── between the password and the second step ──────────────────────────────────────────────────────────────


def begin_half(session: Session, user_id: UUID) -> str:
    """Remember that the account's password was right; returns the word of the cookie that waits for the second step."""
    word = ids.secret()
    until = func.now() + rules.HALF_LASTS
    session.execute(insert(HalfSignIn).values(fingerprint=ids.fingerprint(word), user_id=user_id, expires_at=until))
    return word


def guess_half(session: Session, word: str) -> UUID:
    """Count one guess at the second step that `word` waits for, and return whose it is; commit it in any case.

    Raises HalfWayLapsed after five minutes and after five guesses: then it begins with the password again.
    """
    row = update(HalfSignIn).where(
        HalfSignIn.fingerprint == ids.fingerprint(word),
        HalfSignIn.expires_at > func.now(),
        HalfSignIn.guesses < rules.MOST_GUESSES,
    )
    user_id: UUID | None = session.scalar(row.values(guesses=HalfSignIn.guesses + 1).returning(HalfSignIn.user_id))
    if user_id is None:
        raise HalfWayLapsed()
    return user_id


def end_half(session: Session, word: str) -> None:
    """Forget a half-way sign-in: it was finished, once, or given up. Raises HalfWayLapsed when it was gone already."""
    gone = delete(HalfSignIn).where(HalfSignIn.fingerprint == ids.fingerprint(word)).returning(HalfSignIn.user_id)
    if session.scalar(gone) is None:
        raise HalfWayLapsed()


def end_halves(session: Session, user_id: UUID) -> None:
    """Let everybody who is half-way into the account begin anew: the password that they showed counts no more."""
    session.execute(delete(HalfSignIn).where(HalfSignIn.user_id == user_id))


# ── remembered browsers ───────────────────────────────────────────────────────────────────────────────────


def remember(session: Session, user_id: UUID, *, agent: str) -> str:
    """Spare this browser the second step for 30 days; returns the word for its cookie."""
    word = ids.secret()
    values = {"user_id": user_id, "agent": agent[:200], "expires_at": func.now() + rules.REMEMBERED_LASTS}
    session.execute(insert(RememberedBrowser).values(fingerprint=ids.fingerprint(word), **values))
    return word


def forget(session: Session, user_id: UUID, browser_id: UUID | None = None) -> None:
    """Ask a remembered browser, or all of them, for the second step again. Raises UnknownFactor for another's."""
    gone = delete(RememberedBrowser).where(RememberedBrowser.user_id == user_id)
    if browser_id is not None:
        gone = gone.where(RememberedBrowser.id == browser_id)
    found = session.scalars(gone.returning(RememberedBrowser.id)).all()
    if browser_id is not None and not found:
        raise UnknownFactor()


# ── accounts elsewhere ────────────────────────────────────────────────────────────────────────────────────


def connecting(settings: Settings, user_id: UUID) -> str:
    """Return the word by which the account's own page begins to connect another: no other site knows it."""
    return signing.seal(settings, CONNECTING, str(user_id))


def may_connect(settings: Settings, user_id: UUID, word: str) -> bool:
    """True for the word of this account's own page, within the hour."""
    try:
        return bool(signing.unseal(settings, CONNECTING, word, max_age_seconds=3600) == str(user_id))
    except ValueError:
        return False


def linked(session: Session, issuer: str, subject: str) -> UUID | None:
    """Return whose account a provider's `subject` signs in to, and note that it did."""
    row = update(Identity).where(Identity.issuer == issuer, Identity.subject == subject)
    user_id: UUID | None = session.scalar(row.values(used_at=clock.now()).returning(Identity.user_id))
    return user_id


def link(session: Session, user_id: UUID, *, issuer: str, subject: str, email: str) -> bool:
    """Let a provider's account sign in to this one, and tell the owner; False when it signs in to another already."""
    row = upsert(Identity).values(user_id=user_id, issuer=issuer, subject=subject, email=email, used_at=clock.now())
    if session.scalar(row.on_conflict_do_nothing().returning(Identity.id)) is None:
        return linked(session, issuer, subject) == user_id
    audit.record(session, "identity.link", "user", user_id, actor_id=user_id, after={"issuer": issuer})
    tell(session, user_id, "identity_linked", issuer=issuer, email=email)
    return True


def unlink(session: Session, user_id: UUID, identity_id: UUID) -> None:
    """Let a provider's account sign in here no more; raises UnknownFactor for one of another's."""
    row = delete(Identity).where(Identity.id == identity_id, Identity.user_id == user_id)
    issuer = session.scalar(row.returning(Identity.issuer))
    if issuer is None:
        raise UnknownFactor()
    audit.record(session, "identity.unlink", "user", user_id, actor_id=user_id, before={"issuer": issuer})


def spend(session: Session, word: str, lasts: timedelta) -> None:
    """Use up a word that may come once in the time that it lasts; raises OfferLapsed when it came before."""
    spent = {"fingerprint": ids.fingerprint(word), "expires_at": clock.now() + lasts}
    row = upsert(SpentChallenge).values(spent).on_conflict_do_nothing()
    if session.scalar(row.returning(SpentChallenge.fingerprint)) is None:
        raise OfferLapsed()


# ── housekeeping ──────────────────────────────────────────────────────────────────────────────────────────


def reset(session: Session, user_id: UUID, *, actor_id: UUID | None) -> int:
    """Take every second factor off an account that lost them all, on the operator's word; returns how many it had."""
    app = session.scalars(
        delete(Authenticator).where(Authenticator.user_id == user_id).returning(Authenticator.user_id)
    ).all()
    keys = session.scalars(delete(Passkey).where(Passkey.user_id == user_id).returning(Passkey.id)).all()
    if app or keys:
        audit.record(session, "factors.reset", "user", user_id, actor_id=actor_id, before={"passkeys": len(keys)})
        removed(session, user_id, "factor_removed", "")
    return len(app) + len(keys)


def sweep(session: Session, now: datetime) -> int:
    """Forget what has lapsed: half-way sign-ins, spent challenges, remembered browsers; returns how many."""
    tables: tuple[type[HalfSignIn | SpentChallenge | RememberedBrowser], ...]
    tables = (HalfSignIn, SpentChallenge, RememberedBrowser)
    gone = [session.scalars(delete(one).where(one.expires_at <= now).returning(one.fingerprint)) for one in tables]
    return sum(len(rows.all()) for rows in gone)

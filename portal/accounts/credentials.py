"""Verbs of what one signs in with: confirm an address, reset or change a password, change an address, open a lock.

A mailed link is signed, lapses, and works once: it is for one version of the account's credentials (or one wish for an
account), and using it changes that version in the same statement. Who asks for a letter never learns whether there is
an account: the asking only posts a letter, and whether and what is mailed is decided afterwards (letters.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Update, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.accounts import passwords, queries, rules, service
from portal.accounts.errors import AddressTaken, LinkRefused, WrongPassword
from portal.accounts.forms import Registration
from portal.accounts.models import PendingAccount, User
from portal.factors import service as factors
from portal.factors.errors import OfferLapsed
from portal.kit import audit, clock, limits, outbox, signing
from portal.kit.errors import FieldError, Invalid, TooMany
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings

DAY, HOUR = 86_400, 3600
CONFIRM, VERIFY, RESET, ADDRESS, UNLOCK = "confirm-account", "verify-address", "reset-password", "new-address", "unlock"
LASTS = {CONFIRM: rules.CONFIRM_DAYS * DAY, VERIFY: 7 * DAY, RESET: HOUR, ADDRESS: DAY, UNLOCK: DAY}


@dataclass(frozen=True, slots=True)
class Promise:
    """What a mailed link is good for, to be shown before it is used: whose address, and their given name."""

    email: str
    given_name: str


def link(settings: Settings, purpose: str, *payload: Any) -> str:
    """Return the word of a mailed link."""
    return signing.seal(settings, purpose, list(payload))


def _read(settings: Settings, purpose: str, token: str) -> list[Any]:
    try:
        return list(signing.unseal(settings, purpose, token, max_age_seconds=LASTS[purpose]))
    except ValueError:
        raise LinkRefused(_("Please use the newest letter, or ask for another one.")) from None


# ── making an account ─────────────────────────────────────────────────────────────────────────────────────


def register(session: Session, wish: Registration, settings: Settings, *, locale: str = "en") -> UUID:
    """Keep a wish for an account until its address confirms it; the same is done whether or not the address is taken.

    Returns the id that the account will have. Raises Invalid for a password that leans on our own name.
    """
    _refuse_weak(wish.password, [wish.email, wish.first_name, wish.last_name, settings.email_from_name], "password")
    pending = PendingAccount(
        id=uuid4(),
        email=wish.email,
        given_name=wish.first_name,
        family_name=wish.last_name,
        password_hash=passwords.kept(wish.password),
        locale=locale,
    )
    session.add(pending)
    _ask(session, settings, "mail.account_confirm", wish.email, pendingId=str(pending.id))
    return pending.id


def ask_verification(session: Session, email: str, settings: Settings) -> None:
    """Have the letter that confirms an address sent again, if one waits for it."""
    _ask(session, settings, "mail.account_verify", email)


def ask_reset(session: Session, email: str, settings: Settings) -> None:
    """Have a link for a new password sent to the address, if it has an account."""
    _ask(session, settings, "mail.account_reset", email)


def _ask(session: Session, settings: Settings, kind: str, email: str, **payload: Any) -> None:
    """Post a letter, unless the address got many of late: nobody's mailbox is flooded through us."""
    try:
        limits.check(settings, "letter", rules.normal_email(email))
    except TooMany:
        return
    outbox.post(session, kind, key=str(uuid4()), queue="mail", email=email, **payload)


def promised(session: Session, settings: Settings, token: str) -> Promise:
    """Return what a confirming link is good for. Raises LinkRefused."""
    found: Any = select(PendingAccount.email, PendingAccount.given_name)
    try:
        found = found.where(PendingAccount.id == UUID(str(_read(settings, CONFIRM, token)[0])))
    except LinkRefused:
        unverified = (*_still(*_read(settings, VERIFY, token)), User.email_verified_at.is_(None))
        found = select(User.email, User.given_name).where(*unverified)
    row = session.execute(found).first()
    if row is None:
        raise LinkRefused(_("If you have used it before, simply sign in."))
    return Promise(*row)


def confirm(session: Session, settings: Settings, token: str) -> UUID:
    """Make the account that the link is for, or confirm its address; once. Raises LinkRefused, AddressTaken."""
    try:
        pending_id = UUID(str(_read(settings, CONFIRM, token)[0]))
    except LinkRefused:
        return _verify(session, settings, token)
    wishes = {one.id: one for one in _wishes_beside(session, pending_id)}
    ours = wishes.get(pending_id)
    if ours is None:
        raise LinkRefused(_("If you have used it before, simply sign in."))
    row = {name: getattr(ours, name) for name in ("id", "email", "given_name", "family_name", "password_hash")}
    made = insert(User).values({**row, "email_verified_at": clock.now()}).on_conflict_do_nothing()
    if session.scalar(made.returning(User.id)) is None:
        raise AddressTaken(_("Please sign in, or ask for a new password."))
    session.execute(delete(PendingAccount).where(PendingAccount.id.in_(wishes)))
    outbox.post(session, "mail.account_welcome", key=str(pending_id), queue="mail", userId=str(pending_id))
    return pending_id


def _wishes_beside(session: Session, pending_id: UUID) -> Sequence[PendingAccount]:
    """Lock all wishes for one address, in one order: two of its links that are used at once wait for each other."""
    email = select(func.lower(PendingAccount.email)).where(PendingAccount.id == pending_id).scalar_subquery()
    same = select(PendingAccount).where(func.lower(PendingAccount.email) == email)
    return session.scalars(same.order_by(PendingAccount.id).with_for_update()).all()


def _verify(session: Session, settings: Settings, token: str) -> UUID:
    user_id, version = _read(settings, VERIFY, token)
    verified = update(User).where(*_still(user_id, version), User.email_verified_at.is_(None))
    if not _took(session, verified.values(email_verified_at=clock.now())):
        raise LinkRefused(_("If you have used it before, simply sign in."))
    return UUID(str(user_id))


def _took(session: Session, change: Update) -> bool:
    """True when the change met its row: of two at once, one."""
    return session.scalar(change.returning(User.id)) is not None


def _still(user_id: Any, version: Any) -> tuple[Any, ...]:
    """The account, as long as its credentials are the very ones that a link was made for."""
    return User.id == UUID(str(user_id)), User.credentials_version == int(version), User.closed_at.is_(None)


# ── passwords ─────────────────────────────────────────────────────────────────────────────────────────────


def resettable(session: Session, settings: Settings, token: str) -> Promise:
    """Return for whom a link for a new password is. Raises LinkRefused."""
    row = session.execute(select(User.email, User.given_name).where(*_still(*_read(settings, RESET, token)))).first()
    if row is None:
        raise LinkRefused(_("Each link changes a password once. Please ask for another one."))
    return Promise(*row)


def reset(session: Session, settings: Settings, token: str, password: str, *, caller: str) -> UUID:
    """Give the account that the link is for a new password, once, and sign it out everywhere.

    Raises LinkRefused, and Invalid for a password that leans on a name. A second step of signing in stays as it is.
    """
    user_id, version = _read(settings, RESET, token)
    person = queries.person(session, UUID(str(user_id)))
    if person is None:
        raise LinkRefused()
    _set_password(session, settings, person, int(version), password)
    service.end_all(session, person.id)
    service.forgive_guesses(settings, person.email, caller=caller)
    return person.id


def change(session: Session, settings: Settings, user_id: UUID, current: str, new: str, **but: Any) -> None:
    """Give the account a new password and sign it out everywhere `but` here (see service.end_all).

    Raises WrongPassword, Invalid, and LinkRefused when another change was quicker.
    """
    version = prove(session, user_id, current)
    person = queries.person(session, user_id)
    if person is None:
        raise WrongPassword()
    if passwords.normal(current) == passwords.normal(new):
        raise Invalid(errors=[FieldError("newPassword", _("This is the password that you have now."))])
    _set_password(session, settings, person, version, new)
    service.end_all(session, user_id, **but)


def prove(session: Session, user_id: UUID, password: str) -> int:
    """Return the version of the account's credentials if `password` is its own; raises WrongPassword."""
    row = session.execute(select(User.password_hash, User.credentials_version).where(User.id == user_id)).first()
    if not passwords.fits(row.password_hash if row else passwords.nobodys(), password) or row is None:
        raise WrongPassword()
    return int(row.credentials_version)


def _set_password(session: Session, settings: Settings, person: queries.Known, version: int, password: str) -> None:
    _refuse_weak(password, [person.email, person.name, settings.email_from_name], "newPassword")
    now = clock.now()
    values: dict[str, Any] = {"password_hash": passwords.kept(password), "password_changed_at": now}
    values["credentials_version"] = User.credentials_version + 1
    values["email_verified_at"] = func.coalesce(User.email_verified_at, now)  # who read the letter has the address
    if not _took(session, update(User).where(*_still(person.id, version)).values(values)):
        raise LinkRefused(_("Each link changes a password once. Please ask for another one."))
    audit.record(session, "user.password", "user", person.id, actor_id=person.id)
    service.notice(session, person.id, "password_changed")


def _refuse_weak(password: str, words: list[str], pointer: str) -> None:
    no = passwords.objection(password, words)
    if no:
        raise Invalid(errors=[FieldError(pointer, no)])


# ── addresses ─────────────────────────────────────────────────────────────────────────────────────────────


def ask_address(session: Session, settings: Settings, user_id: UUID, email: str, password: str) -> None:
    """Have a link sent to a new address, which takes effect once it is used. Raises WrongPassword, Invalid."""
    version = prove(session, user_id, password)
    person = queries.person(session, user_id)
    if person is not None and rules.normal_email(person.email) == rules.normal_email(email):
        raise Invalid(errors=[FieldError("email", _("This is the address that you have now."))])
    _ask(session, settings, "mail.account_address", email, userId=str(user_id), version=version)


def new_address(session: Session, settings: Settings, token: str) -> tuple[Promise, str]:
    """Return whose address a link changes, and into which. Raises LinkRefused."""
    user_id, version, email = _read(settings, ADDRESS, token)
    row = session.execute(select(User.email, User.given_name).where(*_still(user_id, version))).first()
    if row is None:
        raise LinkRefused(_("Each link changes an address once."))
    return Promise(*row), str(email)


def change_address(session: Session, settings: Settings, token: str) -> str:
    """Let the account be signed in with its new address from now on, once, and tell the old one; returns the new one.

    Raises LinkRefused, and AddressTaken when somebody else has it by now: the unique index decides.
    """
    user_id, version, email = _read(settings, ADDRESS, token)
    old = queries.person(session, UUID(str(user_id)))
    values = {"email": email, "email_verified_at": clock.now(), "credentials_version": User.credentials_version + 1}
    try:
        with session.begin_nested():
            done = _took(session, update(User).where(*_still(user_id, version)).values(values))
    except IntegrityError:
        raise AddressTaken(_("Somebody has made an account with it in the meantime.")) from None
    if not done or old is None:
        raise LinkRefused(_("Each link changes an address once."))
    session.execute(delete(PendingAccount).where(func.lower(PendingAccount.email) == rules.normal_email(email)))
    audit.record(
        session, "user.address", "user", old.id, actor_id=old.id, before={"email": old.email}, after={"email": email}
    )
    service.notice(session, old.id, "address_changed", to=old.email, email=email)
    return str(email)


def unlock(session: Session, settings: Settings, token: str, *, caller: str) -> str:
    """Let the account be signed in to again at once after too many wrong guesses, once; returns its address.

    Raises LinkRefused: whoever gets hold of a used link must not guess on without end.
    """
    email = str(_read(settings, UNLOCK, token)[0])
    try:
        factors.spend(session, f"{UNLOCK} {token}", timedelta(seconds=LASTS[UNLOCK]))
    except OfferLapsed:
        raise LinkRefused(_("Each link opens an account once.")) from None
    service.forgive_guesses(settings, email, caller=caller)
    return email


def locked_address(settings: Settings, token: str) -> str:
    """Return for whose account an opening link is. Raises LinkRefused."""
    return str(_read(settings, UNLOCK, token)[0])

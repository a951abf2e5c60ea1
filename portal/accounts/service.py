"""Verbs of accounts: register, sign in and out, refresh tokens, keep travellers, routes and preferences.

Whether an address has an account shows in no answer and in no time: taken or free, known or unknown, the same work is
done and the same sentence said; only the address's owner is told, by mail.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.accounts import passwords, queries, rules
from portal.accounts.errors import TooManyTravellers, UnknownDevice, UnknownTraveller, WrongCredentials
from portal.accounts.forms import Credentials, Names, PreferencesChange, Registration, Traveller
from portal.accounts.models import (
    FavouriteRoute,
    KnownBrowser,
    PendingAccount,
    Preferences,
    SavedTraveller,
    SignIn,
    User,
)
from portal.accounts.queries import Known
from portal.factors import service as factors
from portal.kit import audit, backoff, clock, i18n, ids, limits, outbox
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.places.queries import places_by_code
from portal.tokens import service as tokens

DEMO_PASSWORD = "Fly-the-demo-1"  # noqa: S105 – the demo's, shown on its sign-in page
DEMO_USERS = (
    ("traveller@example.com", "Robin", "Traveller", "customer"),
    ("staff@example.com", "Sam", "Staff", "staff"),
    ("admin@example.com", "Ada", "Admin", "admin"),
)


def create_user(session: Session, wish: Registration, *, role: str) -> UUID | None:
    """Make an account of any role on the operator's word; None when the address is taken."""
    user_id = _insert(session, wish.email, wish.first_name, wish.last_name, wish.password, role)
    if user_id is not None:
        audit.record(session, "user.create", "user", user_id, after={"email": wish.email, "role": role})
    return user_id


def adopt(session: Session, *, email: str, given_name: str, family_name: str) -> UUID | None:
    """Make an account for somebody whom another place knows by a verified address; None when the address is taken.

    Nobody knows its password: its owner may choose one by the letter for a forgotten one.
    """
    user_id = _insert(session, email, given_name, family_name, ids.secret(), "customer")
    if user_id is not None:
        audit.record(session, "user.create", "user", user_id, actor_id=user_id, after={"means": "provider"})
    return user_id


def ensure_demo_users(session: Session) -> None:
    """Make the demo's accounts where they are missing; they keep what was changed in them."""
    for email, given_name, family_name, role in DEMO_USERS:
        if queries.person_by_email(session, email) is None:
            _insert(session, email, given_name, family_name, DEMO_PASSWORD, role)


def _insert(session: Session, email: str, given: str, family: str, password: str, role: str) -> UUID | None:
    values = {
        "email": email,
        "given_name": given,
        "family_name": family,
        "role": role,
        "email_verified_at": clock.now(),
    }
    values["password_hash"] = passwords.kept(password)
    made = insert(User).values(values).on_conflict_do_nothing().returning(User.id)
    return session.scalar(made)


def authenticate(session: Session, email: str, password: str) -> Known:
    """Return whose address and password these are; raises WrongCredentials, after the same work, for any other pair."""
    found: Any = session.execute(
        select(*queries.COLUMNS, User.password_hash, User.closed_at).where(
            func.lower(User.email) == rules.normal_email(email)
        )
    ).first()
    fits = passwords.fits(found.password_hash if found else passwords.nobodys(), password)
    if not fits or found is None or found.closed_at is not None:
        raise WrongCredentials()
    return Known(*found[:-2])


def identify(
    session: Session, wish: Credentials, settings: Settings, *, caller: str, browser: str = ""
) -> Known | None:
    """Return whose address and password these are, within the limits on guessing.

    None means that they are wrong: commit all the same, for the guess is counted, and the owner told by mail once
    there were many. `browser` is the word of a browser that this account used before: what strangers guess elsewhere
    does not make it wait. Raises TooMany, and Unavailable while guesses cannot be counted.
    """
    account = rules.normal_email(wish.email)
    lock = f"{account} {browser}".strip()
    _admit(settings, caller, lock, known=bool(browser))
    try:
        person = authenticate(session, wish.email, wish.password)
    except WrongCredentials:
        _count_guess(session, settings, account, caller=caller, lock=lock)
        return None
    forgive_guesses(settings, account, caller=caller, browser=browser)
    return person


def _admit(settings: Settings, caller: str, lock: str, *, known: bool) -> None:
    """Many people share an address: what one of them guesses does not hold up browsers that are known."""
    limits.check(settings, "sign-in-address", caller)
    limits.check(settings, "sign-in-account", lock)
    limits.check(settings, "sign-in", f"{lock} {caller}")
    backoff.check(settings, "account", lock)
    if not known:
        backoff.check(settings, "caller", caller)


def _count_guess(session: Session, settings: Settings, account: str, *, caller: str, lock: str) -> None:
    """Whether there is such an account is found out later, by the letter's handler: here the work is the same."""
    backoff.failed(settings, "caller", caller)
    if backoff.failed(settings, "account", lock):
        audit.record(session, "sign_in.locked", "sign_in", "guessing", after={"email": audit.Personal(account)})
        outbox.post(session, "mail.account_locked", key=str(uuid4()), queue="mail", email=account, address=caller)


def forgive_guesses(settings: Settings, email: str, *, caller: str, browser: str = "") -> None:
    """Forget what this browser guessed at an account's password: its owner is here. What strangers guessed stays."""
    lock = f"{rules.normal_email(email)} {browser}".strip()
    limits.forgive(settings, "sign-in", f"{lock} {caller}")
    limits.forgive(settings, "sign-in-account", lock)
    backoff.forgive(settings, "account", lock)


def renew_hash(session: Session, user_id: UUID, password: str) -> None:
    """Hash the password anew if it was hashed by older parameters; call it with a password that was just verified."""
    kept = session.scalar(select(User.password_hash).where(User.id == user_id))
    if kept is not None and passwords.hasher.check_needs_rehash(kept):
        same = update(User).where(User.id == user_id, User.password_hash == kept)  # and no newer password
        session.execute(same.values(password_hash=passwords.kept(password)))


def sign_in(session: Session, person: Known, *, address: str, agent: str, factor: bool = False) -> str:
    """Begin a signed-in browser; returns the word for its cookie, new each time, of which only the hash is kept.

    `factor` says that a second factor was shown besides.

    A browser of a kind, or in a network, that the account never used before is told by mail. Raises WrongCredentials
    as `hold_still` does, whatever was shown to sign in.
    """
    hold_still(session, person)
    word, now = ids.secret(), clock.now()
    likes = queries.likes(session, person.id)
    session.add(
        SignIn(
            fingerprint=ids.fingerprint(word),
            user_id=person.id,
            created_at=now,
            last_seen_at=now,
            expires_at=rules.lasts_until(person.role, now, now),
            proved_at=now,
            factor_at=now if factor else None,
            address=address if likes.keep_address else None,
            agent=agent[:200],
        )
    )
    told: dict[str, audit.Value] = {"device": rules.device_name(agent), "secondFactor": factor}
    audit.record(session, "sign_in.browser", "user", person.id, actor_id=person.id, after=told)
    if _is_new(session, person.id, rules.browser_mark(agent, address), now) and "newSignIn" not in likes.muted:
        notice(session, person.id, "new_sign_in", device=rules.device_name(agent), address=address)
    return word


def begin_program(session: Session, person: Known, settings: Settings, *, address: str, agent: str) -> tokens.Tokens:
    """Begin a family of tokens for a program that showed a password; one of a kind, or in a network, that the account
    never used before is told by mail, as a browser is. Raises WrongCredentials as `hold_still` does.
    """
    hold_still(session, person)
    likes = queries.likes(session, person.id)
    kept = address if likes.keep_address else ""
    made = tokens.issue(session, person.id, person.role, settings, address=kept, agent=agent)
    new = _is_new(session, person.id, rules.program_mark(agent, address), clock.now())
    if new and "newSignIn" not in likes.muted:
        notice(session, person.id, "new_program", program=rules.program_name(agent), address=address)
    return made


def hold_still(session: Session, person: Known) -> None:
    """Let nobody close the account or change its password or address until this transaction ends: who then signs it out
    everywhere finds this sign-in, too. Raises WrongCredentials where that was done since `person` was looked up.
    """
    same = (User.id == person.id, User.closed_at.is_(None), User.credentials_version == person.version)
    if session.scalar(select(User.id).where(*same).with_for_update(read=True)) is None:
        raise WrongCredentials()


def _is_new(session: Session, user_id: UUID, mark: str, now: datetime) -> bool:
    """Note that the account used this kind of browser; True for a new one, except for the very first of an account."""
    first = session.scalar(select(func.count()).select_from(KnownBrowser).where(KnownBrowser.user_id == user_id)) == 0
    seen = {"user_id": user_id, "mark": mark, "last_seen_at": now}
    known = update(KnownBrowser).where(KnownBrowser.user_id == user_id, KnownBrowser.mark == mark)
    if session.scalar(known.values(last_seen_at=now).returning(KnownBrowser.mark)) is not None:
        return False
    session.execute(insert(KnownBrowser).values(seen).on_conflict_do_nothing())
    return not first


def notice(session: Session, user_id: UUID, kind: str, **facts: Any) -> None:
    """Tell the account's owner by mail that something about its safety has changed; `kind`: see letters.NOTICES."""
    now = clock.now().isoformat()
    letter: dict[str, Any] = {"userId": str(user_id), "kind": kind, "facts": {"at": now, **facts}}
    outbox.post(session, "mail.account_notice", key=str(uuid4()), queue="mail", **letter)


def note_seen(session: Session, word: str, seen: queries.Seen) -> None:
    """Let a sign-in last longer because it is used."""
    now = clock.now()
    until = rules.lasts_until(seen.person.role, seen.began_at, now)
    row = update(SignIn).where(SignIn.fingerprint == ids.fingerprint(word))
    session.execute(row.values(last_seen_at=now, expires_at=until))


def prove(session: Session, word: str, *, factor: bool) -> None:
    """Write down that a signed-in browser has just shown again who is there, by a second factor or by a password."""
    now = clock.now()
    shown = {"proved_at": now, "factor_at": now} if factor else {"proved_at": now}
    session.execute(update(SignIn).where(SignIn.fingerprint == ids.fingerprint(word)).values(shown))


def sign_out(session: Session, word: str) -> None:
    """End a signed-in browser; its cookie is worthless from now on."""
    session.execute(delete(SignIn).where(SignIn.fingerprint == ids.fingerprint(word)))


def end_sign_in(session: Session, user_id: UUID, sign_in_id: UUID) -> None:
    """End one of the account's signed-in browsers. Raises UnknownDevice for another's as for none."""
    own = delete(SignIn).where(SignIn.id == sign_in_id, SignIn.user_id == user_id)
    if session.scalar(own.returning(SignIn.id)) is None:
        raise UnknownDevice()


def end_all(session: Session, user_id: UUID, *, but_word: str | None = None, but_family: UUID | None = None) -> int:
    """Sign the account out everywhere, programs too, but for one browser or program; returns how many browsers.

    API keys are not ended, since their programs would stop without warning; the letter of a new password tells of them.
    No browser is spared the second step any more, and who is half-way in begins anew. The account's row is held from
    the first statement on, so that no sign-in and no new token slips in between.
    """
    tokens.revoke_all(session, user_id, but=but_family)
    others = delete(SignIn).where(SignIn.user_id == user_id)
    if but_word is not None:
        others = others.where(SignIn.fingerprint != ids.fingerprint(but_word))
    factors.forget(session, user_id)
    factors.end_halves(session, user_id)
    return len(session.scalars(others.returning(SignIn.id)).all())


def rename(session: Session, user_id: UUID, names: Names) -> None:
    """Change the names that are given."""
    values = {"given_name": names.first_name, "family_name": names.last_name}
    given = {name: value for name, value in values.items() if value is not None}
    if given:
        session.execute(update(User).where(User.id == user_id).values(given))
        told: dict[str, audit.Value] = {name: audit.Personal(value) for name, value in given.items()}
        audit.record(session, "user.rename", "user", user_id, actor_id=user_id, after=told)


def save_traveller(session: Session, user_id: UUID, wish: Traveller, traveller_id: UUID | None = None) -> UUID:
    """Add a traveller to the account's list, or change the one of `traveller_id`; returns its id.

    Raises Invalid (an impossible birthday), UnknownTraveller (none of this account's), TooManyTravellers (20 are kept).
    """
    no = rules.birth_objection(wish.date_of_birth, clock.now().date())
    if no:
        raise Invalid(errors=[FieldError("dateOfBirth", no)])
    row = _new_traveller(session, user_id) if traveller_id is None else own_traveller(session, user_id, traveller_id)
    row.given_name, row.family_name, row.date_of_birth = wish.given_name, wish.family_name, wish.date_of_birth
    session.add(row)
    session.flush()
    return row.id


def _new_traveller(session: Session, user_id: UUID) -> SavedTraveller:
    session.execute(select(User.id).where(User.id == user_id).with_for_update())  # the list is counted by one at a time
    kept = session.scalar(select(func.count()).where(SavedTraveller.user_id == user_id)) or 0
    if kept >= rules.MOST_TRAVELLERS:
        raise TooManyTravellers(_("%(most)d are kept. Please remove one first.") % {"most": rules.MOST_TRAVELLERS})
    return SavedTraveller(user_id=user_id)


def own_traveller(session: Session, user_id: UUID, traveller_id: UUID) -> SavedTraveller:
    """Return one of the account's own travellers; raises UnknownTraveller for another's as for none."""
    row = session.get(SavedTraveller, traveller_id)
    if row is None or row.user_id != user_id:
        raise UnknownTraveller()
    return row


def forget_traveller(session: Session, user_id: UUID, traveller_id: UUID) -> None:
    """Take a traveller off the account's list. Raises UnknownTraveller."""
    session.delete(own_traveller(session, user_id, traveller_id))


def keep_route(session: Session, user_id: UUID, origin: str, destination: str, *, keep: bool) -> None:
    """Keep a route at hand, or no longer; again changes nothing. At most 50 are kept. Raises Invalid for no route."""
    if origin == destination or len(places_by_code(session, (origin, destination))) < 2:
        raise Invalid(errors=[FieldError("origin", _("There is no such route."))])
    own = (
        FavouriteRoute.user_id == user_id,
        FavouriteRoute.origin == origin,
        FavouriteRoute.destination == destination,
    )
    if not keep:
        session.execute(delete(FavouriteRoute).where(*own))
    elif (session.scalar(select(func.count()).where(FavouriteRoute.user_id == user_id)) or 0) < rules.MOST_FAVOURITES:
        row = {"user_id": user_id, "origin": origin, "destination": destination}
        session.execute(insert(FavouriteRoute).values(row).on_conflict_do_nothing())


def prefer(session: Session, user_id: UUID, change: PreferencesChange) -> None:
    """Change the preferences that are given; null means none. Raises Invalid for an unknown airport or language."""
    given = {name: getattr(change, name) for name in change.model_fields_set if name != "notifications"}
    if given.get("keep_address") is None:
        given.pop("keep_address", None)
    home, language = given.get("home_airport"), given.get("language")
    if home and not places_by_code(session, (home,)):
        raise Invalid(errors=[FieldError("homeAirport", _("We know no such place. Try its three-letter code."))])
    if language and language not in i18n.offered():
        raise Invalid(errors=[FieldError("language", _("We do not speak this language yet."))])
    session.execute(insert(Preferences).values(user_id=user_id).on_conflict_do_nothing())
    row = session.get_one(Preferences, user_id, with_for_update=True)
    for name, value in given.items():
        setattr(row, name, value)
    row.muted, row.changed_at = _muted(row.muted, change), clock.now()
    session.flush()


def _muted(before: Sequence[str], change: PreferencesChange) -> list[str]:
    wanted = change.notifications.wire() if change.notifications else {}
    off = {name for name, on in wanted.items() if on is False}
    return sorted((set(before) - {name for name, on in wanted.items() if on}) | off)


def refresh(session: Session, word: str, settings: Settings, *, address: str, agent: str) -> tokens.Tokens | None:
    """Return the next pair for a refresh token that is good, once. None means refused: commit all the same, because a
    token that comes a second time was stolen from somebody, and its whole family is revoked.
    """
    used = tokens.redeem(session, word)
    person = queries.may_enter(session, used.user_id) if used else None
    if used is None or person is None:
        return None
    kept = address if queries.likes(session, person.id).keep_address else ""
    return tokens.issue(session, person.id, person.role, settings, after=used, address=kept, agent=agent)


def sweep(session: Session, now: datetime) -> int:
    """Forget lapsed sign-ins and refresh tokens (returns how many), unconfirmed wishes, browsers not seen for long."""
    gone = session.scalars(delete(SignIn).where(SignIn.expires_at <= now).returning(SignIn.fingerprint)).all()
    session.execute(delete(PendingAccount).where(PendingAccount.created_at <= now - timedelta(days=rules.CONFIRM_DAYS)))
    session.execute(delete(KnownBrowser).where(KnownBrowser.last_seen_at <= now - rules.LONGEST))
    factors.sweep(session, now)
    return len(gone) + tokens.sweep(session, now)

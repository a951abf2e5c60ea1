"""The letters of accounts, composed: what a link does, and notices when something about an account's safety changed.

Each is composed from what stands in the database when it goes out; None means that there is nobody to write to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.accounts import credentials, queries, rules
from portal.accounts.models import PendingAccount, User
from portal.kit import clock, i18n, mail
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.tokens import queries as tokens


@dataclass(frozen=True, slots=True)
class Words:
    """What a letter says: a heading, its sentences, a button, and what stands small below."""

    subject: str
    body: Sequence[str]
    button: str
    path: str
    after: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a letter's handler knows: its kind, its key – which makes its Message-ID – and what it carries."""

    kind: str
    key: str
    payload: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """What the message is about, in one word."""
        return f"{self.kind}.{self.key}"


def welcome(session: Session, settings: Settings, letter: Envelope) -> EmailMessage | None:
    """Return the letter that greets a new account; None when it is gone again."""
    person = queries.person(session, UUID(letter.payload["userId"]))
    if person is None:
        return None
    locale = _locale(session, person.id)
    with i18n.speaking(locale):
        subject = _("Your account at %(name)s is ready") % {"name": settings.email_from_name}
    known: Any = {"name": person.given_name, "email": person.email}
    made: Any = {"to": person.email, "subject": subject, "identity": letter.identity, "locale": locale}
    return mail.compose(settings, template="account_welcome", **made, **known)


def confirm(session: Session, settings: Settings, letter: Envelope) -> EmailMessage | None:
    """Return the letter that a wish for an account is confirmed by – or, to a taken address, that it has an account."""
    pending = session.get(PendingAccount, UUID(letter.payload["pendingId"]))
    if pending is None:
        return None
    if queries.person_by_email(session, pending.email) is not None:
        return _exists(settings, letter, pending.email, pending.locale)
    return _confirming(settings, letter, pending)


def verify(session: Session, settings: Settings, letter: Envelope) -> EmailMessage | None:
    """Return the confirming letter once more, for a wish for an account or for an account that never was confirmed."""
    email = rules.normal_email(letter.payload["email"])
    row = session.execute(_credentials_of(email)).first()
    if row is not None:
        return None if row.email_verified_at else _verifying(session, settings, letter, row)
    newest = select(PendingAccount).where(func.lower(PendingAccount.email) == email)
    pending = session.scalar(newest.order_by(PendingAccount.created_at.desc()).limit(1))
    return _confirming(settings, letter, pending) if pending else None


def reset(session: Session, settings: Settings, letter: Envelope) -> EmailMessage | None:
    """Return the letter with the link for a new password; to an address that waits for its confirmation, that one."""
    row = session.execute(_credentials_of(rules.normal_email(letter.payload["email"]))).first()
    if row is None:
        return verify(session, settings, letter)
    token = credentials.link(settings, credentials.RESET, str(row.id), row.credentials_version)
    with i18n.speaking(_locale(session, row.id)):
        words = Words(
            _("Choose a new password"),
            [_("Somebody – you, we hope – wants a new password for %(email)s.") % {"email": row.email}],
            _("Choose a new password"),
            f"/account/reset-password?token={token}",
            [
                _("The link works once, within an hour. You are then signed out everywhere."),
                _("You did not ask? Then you need not do anything: your password stays as it is."),
            ],
        )
    return _linked(settings, letter, row.email, words, _locale(session, row.id))


def address(session: Session, settings: Settings, letter: Envelope) -> EmailMessage | None:
    """Return the letter that a new address is confirmed by – or, to a taken address, that it has an account."""
    person, email = queries.person(session, UUID(letter.payload["userId"])), letter.payload["email"]
    if person is None:
        return None
    locale = _locale(session, person.id)
    if queries.person_by_email(session, email) is not None:
        return _exists(settings, letter, email, locale)
    token = credentials.link(settings, credentials.ADDRESS, str(person.id), letter.payload["version"], email)
    with i18n.speaking(locale):
        words = Words(
            _("Use this address from now on?"),
            [
                _("The account of %(name)s is to be signed in to with %(email)s.")
                % {"name": person.name, "email": email},
                _("Until you confirm it, everything stays as it is."),
            ],
            _("See and confirm"),
            f"/account/change-address?token={token}",
            [_("The link works once, within a day."), _("You know nothing of this? Then you need not do anything.")],
        )
    return _linked(settings, letter, email, words, locale)


def locked(session: Session, settings: Settings, letter: Envelope) -> EmailMessage | None:
    """Return the letter that opens an account again after too many wrong guesses."""
    email = rules.normal_email(letter.payload["email"])
    row = session.execute(_credentials_of(email)).first()
    if row is None:
        return None
    token, locale = credentials.link(settings, credentials.UNLOCK, email), _locale(session, row.id)
    with i18n.speaking(locale):
        words = Words(
            _("Somebody typed wrong passwords for your account"),
            [
                _("Ten passwords were tried for %(email)s, and none was right. Guessing is slowed down now.")
                % {"email": row.email},
                _("It was tried from %(place)s.") % {"place": rules.place(letter.payload["address"])},
            ],
            _("Sign in without waiting"),
            f"/account/unlock?token={token}",
            [
                _("Was it you? Then use the button, or choose a new password on the sign-in page."),
                _("Was it somebody else? They are not in. Browsers that you have used before are not held up."),
            ],
        )
    return _linked(settings, letter, row.email, words, locale)


def notice(session: Session, settings: Settings, letter: Envelope) -> EmailMessage | None:
    """Return the letter about a change in an account's safety; None when the account is gone or the kind unknown."""
    person = queries.person(session, UUID(letter.payload["userId"]))
    facts: dict[str, Any] = dict(letter.payload["facts"])
    kind, to = letter.payload["kind"], facts.get("to") or (person.email if person else None)
    if to is None or kind not in NOTICES:
        return None
    locale = _locale(session, person.id) if person else facts.get("locale", "en")
    with i18n.speaking(locale):
        words = NOTICES[kind]({**facts, **_keys(session, settings, person)})
        shown = _facts(facts)
    return _linked(settings, letter, to, words, locale, facts=shown, name=person.given_name if person else "")


def _keys(session: Session, settings: Settings, person: queries.Known | None) -> dict[str, Any]:
    """Return how many API keys go on working, whatever else is ended, and where they are revoked."""
    kept, now = tokens.keys(session, person.id) if person else [], clock.now()
    alive = [one for one in kept if one.expires_at is None or one.expires_at > now]
    return {"keys": len(alive), "keysUrl": f"{settings.base_url}/account/api-keys"}


def _keys_stay(facts: Mapping[str, Any]) -> list[str]:
    """Programs would stop without warning if a new password ended their keys, so it does not – and that is said."""
    words = _("It ended no API key: you have %(num)d. Look at them, and revoke what is not yours: %(url)s")
    return [words % {"num": facts["keys"], "url": facts["keysUrl"]}] if facts["keys"] else []


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the facts that a person can make use of, as label and value."""
    told = [(_("What"), facts.get("name") or facts.get("label")), (_("Browser"), facts.get("device"))]
    told.append(
        (_("Program"), facts.get("program") or (rules.program_name(facts["agent"]) if "agent" in facts else ""))
    )
    if facts.get("address"):
        told.append((_("From"), rules.place(str(facts["address"]))))
    if facts.get("at"):
        told.append((_("When"), i18n.moment(datetime.fromisoformat(facts["at"]))))
    return [(label, str(value)) for label, value in told if value]


def _plain(subject: str, sentence: str, button: str, path: str, *more: str, after: str = "") -> Words:
    closing = after or _("Was it not you? Choose a new password at once: that signs everybody out.")
    return Words(subject, [sentence, *more], button, path, [closing])


def _key(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return by what an owner knows a key: its name, and how it begins."""
    return {"name": f"“{facts.get('name', '')}”", "prefix": str(facts.get("prefix", ""))}


# What changed → what its owner is told. Each is made in the reader's language, so each is a function.
NOTICES: Mapping[str, Callable[[Mapping[str, Any]], Words]] = {
    "password_changed": lambda facts: _plain(
        _("Your password was changed"),
        _("Everybody who was signed in to your account has been signed out, except where it was changed."),
        _("I did not do this"),
        "/account/forgot-password",
        *_keys_stay(facts),
    ),
    "address_changed": lambda facts: Words(
        _("Your account has a new address"),
        [
            _("From now on your account is signed in to with %(email)s. Letters go there.")
            % {"email": facts.get("email", "")}
        ],
        _("Get help"),
        "/help",
        [_("Was it not you? Then write to us at once: somebody knows your password.")],
    ),
    "new_sign_in": lambda _facts: _plain(
        _("A new browser signed in to your account"),
        _("It is the first time that your account is used there."),
        _("See where you are signed in"),
        "/account/security",
    ),
    "new_program": lambda _facts: _plain(
        _("A new program signed in to your account"),
        _("It is the first time that this kind of program signs in there with your password."),
        _("See your programs and keys"),
        "/account/api-keys",
    ),
    "token_reused": lambda _facts: Words(
        _("A program was signed out of your account"),
        [
            _("A token that it had used before came a second time. Either it was copied, or the program asked twice."),
            _("To be safe, that sign-in has ended. Please sign the program in again."),
        ],
        _("See your programs and keys"),
        "/account/api-keys",
        [_("Does it happen again? Then choose a new password, and look at where the program keeps its tokens.")],
    ),
    "factor_added": lambda _facts: _plain(
        _("Signing in takes a second step now"),
        _("A second step was added to your account. Keep its recovery codes in a safe place."),
        _("See your account's safety"),
        "/account/security",
    ),
    "factor_removed": lambda _facts: _plain(
        _("A second step was taken away"),
        _("Your account can be signed in to with less than before."),
        _("See your account's safety"),
        "/account/security",
    ),
    "passkey_added": lambda _facts: _plain(
        _("A passkey was added to your account"),
        _("Whoever holds it can sign in as you."),
        _("See your account's safety"),
        "/account/security",
    ),
    "passkey_removed": lambda _facts: _plain(
        _("A passkey was removed from your account"),
        _("It opens your account no longer."),
        _("See your account's safety"),
        "/account/security",
    ),
    "recovery_used": lambda _facts: _plain(
        _("A recovery code was used"),
        _("Somebody signed in to your account with one of its recovery codes. Each works once; make new ones in time."),
        _("See your account's safety"),
        "/account/security",
    ),
    "key_made": lambda facts: _plain(
        _("An API key was made for your account"),
        _("A program that has the key %(name)s (%(prefix)s…) may act for you, as far as the key allows.") % _key(facts),
        _("See your keys"),
        "/account/api-keys",
        after=_("Was it not you? Revoke the key there at once. Then choose a new password, which alone ends no key."),
    ),
    "key_revoked": lambda facts: _plain(
        _("An API key was revoked"),
        _("Programs that used the key %(name)s (%(prefix)s…) are refused from now on.") % _key(facts),
        _("See your keys"),
        "/account/api-keys",
    ),
    "identity_linked": lambda _facts: _plain(
        _("Another way to sign in was added"),
        _("Your account can now be signed in to through another service as well."),
        _("See your account's safety"),
        "/account/security",
    ),
    "locked_out": lambda _facts: _plain(
        _("Signing in to your account is held up"),
        _("Somebody typed wrong passwords, or wrong codes, too often."),
        _("Choose a new password"),
        "/account/forgot-password",
    ),
    "data_downloaded": lambda _facts: _plain(
        _("Your data was downloaded"),
        _("A copy of everything that we keep about you was made and downloaded."),
        _("See your account's safety"),
        "/account/security",
    ),
    "account_closing": lambda facts: Words(
        _("Your account is closed"),
        [
            _("As you wished, nobody can sign in to it any more. On %(day)s it is erased.")
            % {"day": facts.get("day", "")},
            _("Until then you can take that back."),
        ],
        _("Keep my account"),
        str(facts.get("path", "/")),
        [_("Trips that are still to come stay valid. Was it not you? Then use the button, and choose a new password.")],
    ),
    "account_deleted": lambda _facts: Words(
        _("Your account is deleted"),
        [
            _("Your name, your address, your saved travellers and everything else that was kept for you is erased."),
            _("Only what the law makes us keep of your purchases stays, until its time is over."),
        ],
        _("Fly with us again"),
        "/",
    ),
}


def _credentials_of(email: str) -> Any:
    columns = (User.id, User.email, User.given_name, User.credentials_version, User.email_verified_at)
    return select(*columns).where(func.lower(User.email) == email, User.closed_at.is_(None))


def _confirming(settings: Settings, letter: Envelope, pending: PendingAccount) -> EmailMessage:
    token = credentials.link(settings, credentials.CONFIRM, str(pending.id))
    with i18n.speaking(pending.locale):
        words = Words(
            _("Confirm your address"),
            [
                _("One click, and your account for %(email)s is ready.") % {"email": pending.email},
                _("Until then nobody can sign in to it."),
            ],
            _("Confirm the address"),
            f"/account/verify-email?token={token}",
            [
                _("The link works once, within three days."),
                _("You did not ask for an account? Then do nothing: somebody mistyped, and we forget it."),
            ],
        )
    return _linked(settings, letter, pending.email, words, pending.locale, name=pending.given_name)


def _verifying(session: Session, settings: Settings, letter: Envelope, row: Any) -> EmailMessage:
    locale = _locale(session, row.id)
    token = credentials.link(settings, credentials.VERIFY, str(row.id), row.credentials_version)
    with i18n.speaking(locale):
        words = Words(
            _("Confirm your address"),
            [_("Is %(email)s your address? One click confirms it.") % {"email": row.email}],
            _("Confirm the address"),
            f"/account/verify-email?token={token}",
            [_("The link works once, within a week.")],
        )
    return _linked(settings, letter, row.email, words, locale, name=row.given_name)


def _exists(settings: Settings, letter: Envelope, email: str, locale: str) -> EmailMessage:
    with i18n.speaking(locale):
        subject = _("You have an account at %(name)s already") % {"name": settings.email_from_name}
    made: Any = {"to": email, "subject": subject, "identity": letter.identity, "locale": locale, "email": email}
    return mail.compose(settings, template="account_exists", **made)


def _linked(settings: Settings, letter: Envelope, to: str, words: Words, locale: str, **more: Any) -> EmailMessage:
    made: Any = {"to": to, "subject": words.subject, "identity": letter.identity, "locale": locale}
    context = {"words": words, "url": f"{settings.base_url}{words.path}", "facts": [], "name": "", **more}
    return mail.compose(settings, template="account_letter", **made, **context)


def _locale(session: Session, user_id: UUID) -> str:
    return queries.likes(session, user_id).language or "en"


LETTERS: Mapping[str, Callable[[Session, Settings, Envelope], EmailMessage | None]] = {
    "mail.account_address": address,
    "mail.account_confirm": confirm,
    "mail.account_exists": lambda _session, settings, letter: _exists(settings, letter, letter.payload["email"], "en"),
    "mail.account_locked": locked,
    "mail.account_notice": notice,
    "mail.account_reset": reset,
    "mail.account_verify": verify,
    "mail.account_welcome": welcome,
}

"""Passkeys (WebAuthn, level 3): register one, recognise one. The device must have recognised its owner each time.

A challenge says in itself what it is for, of whom, and until when, so a page that shows a button writes nothing; an
answer to it is written down and counts once.
"""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

import webauthn
from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portal.factors import rules, service
from portal.factors.errors import OfferLapsed, PasskeyKnown, PasskeyRefused, TooManyPasskeys, UnknownFactor
from portal.factors.models import Passkey
from portal.kit import audit, clock, signing
from portal.kit.settings import Settings

REGISTER, SIGN_IN, SECOND, CONFIRM = "register", "sign-in", "second", "confirm"
KEY = "passkey-challenges"
MOST_CHARACTERS = 20_000
MALFORMED = (WebAuthnException, ValueError, KeyError, TypeError, IndexError)


def registration(session: Session, settings: Settings, user_id: UUID, *, email: str, name: str) -> str:
    """Return what a browser needs to make a passkey for this account, as the JSON of WebAuthn's creation options."""
    made = webauthn.generate_registration_options(
        rp_id=rules.home(settings.base_url).rp_id,
        rp_name=settings.email_from_name,
        user_id=user_id.bytes,
        user_name=email,
        user_display_name=name or email,
        challenge=_challenge(settings, REGISTER, user_id),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_own(session, user_id),
    )
    return webauthn.options_to_json(made)


def assertion(session: Session, settings: Settings, purpose: str, user_id: UUID | None = None) -> str:
    """Return what a browser needs to show a passkey for `purpose`, as JSON; without an account, any passkey it has."""
    made = webauthn.generate_authentication_options(
        rp_id=rules.home(settings.base_url).rp_id,
        challenge=_challenge(settings, purpose, user_id),
        allow_credentials=_own(session, user_id) if user_id else [],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(made)


def register(session: Session, settings: Settings, user_id: UUID, *, answer: str, name: str) -> UUID:
    """Put the passkey that a device made on the account's list and tell its owner; returns its id.

    Raises OfferLapsed for an old or used challenge, PasskeyRefused for an answer that does not fit, PasskeyKnown for
    one that is on a list already, TooManyPasskeys.
    """
    given = _read(parse_registration_credential_json, answer)
    challenge = _answered(settings, REGISTER, user_id, given)
    home = rules.home(settings.base_url)
    try:
        made = webauthn.verify_registration_response(
            credential=given,
            expected_challenge=challenge,
            expected_rp_id=home.rp_id,
            expected_origin=list(home.origins),
            require_user_verification=True,
        )
    except MALFORMED:
        raise PasskeyRefused() from None
    service.spend(session, challenge.hex(), rules.CHALLENGE_LASTS)
    return _keep(session, user_id, made, name, [one.value for one in given.response.transports or []])


def _keep(session: Session, user_id: UUID, made: Any, name: str, transports: list[str]) -> UUID:
    service.alone(session, user_id)
    if len(_own(session, user_id)) >= rules.MOST_PASSKEYS:
        raise TooManyPasskeys()
    row = insert(Passkey).values(
        user_id=user_id,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        transports=transports,
        synced=made.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        name=name,
    )
    found: UUID | None = session.scalar(row.on_conflict_do_nothing().returning(Passkey.id))
    if found is None:
        raise PasskeyKnown()
    audit.record(session, "passkey.add", "user", user_id, actor_id=user_id, after={"name": name})
    service.tell(session, user_id, "passkey_added", name=name)
    return found


def recognise(session: Session, settings: Settings, purpose: str, answer: str, user_id: UUID | None = None) -> UUID:
    """Return whose passkey answered, once, what was asked for `purpose`; with an account, only one of its own does.

    Raises OfferLapsed for an old or used challenge, PasskeyRefused for anything else that does not fit: another site,
    a key that we do not know, an owner whom the device did not recognise, a count that did not rise (a copied key).
    """
    given = _read(parse_authentication_credential_json, answer)
    challenge = _answered(settings, purpose, user_id, given)
    row = session.execute(select(Passkey).filter_by(credential_id=given.raw_id)).scalar_one_or_none()
    if row is None or user_id not in (None, row.user_id):
        raise PasskeyRefused()
    if given.response.user_handle not in (None, b"", row.user_id.bytes):
        raise PasskeyRefused()
    count = _verified(settings, given, challenge, row)
    service.spend(session, challenge.hex(), rules.CHALLENGE_LASTS)
    rising = update(Passkey).where(Passkey.id == row.id, or_(Passkey.sign_count < count, Passkey.sign_count == 0))
    if session.scalar(rising.values(sign_count=count, used_at=clock.now()).returning(Passkey.id)) is None:
        raise PasskeyRefused()
    return row.user_id


def _verified(settings: Settings, given: Any, challenge: bytes, row: Passkey) -> int:
    home = rules.home(settings.base_url)
    try:
        done = webauthn.verify_authentication_response(
            credential=given,
            expected_challenge=challenge,
            expected_rp_id=home.rp_id,
            expected_origin=list(home.origins),
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=True,
        )
    except MALFORMED:
        raise PasskeyRefused() from None
    return done.new_sign_count


def rename(session: Session, user_id: UUID, passkey_id: UUID, name: str) -> None:
    """Call a passkey otherwise; raises UnknownFactor for one of another account."""
    row = update(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
    if session.scalar(row.values(name=name).returning(Passkey.id)) is None:
        raise UnknownFactor()


def remove(session: Session, user_id: UUID, passkey_id: UUID) -> None:
    """Take a passkey off the list and tell its owner; raises UnknownFactor for one of another account."""
    service.alone(session, user_id)
    row = delete(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
    name = session.scalar(row.returning(Passkey.name))
    if name is None:
        raise UnknownFactor()
    audit.record(session, "passkey.remove", "user", user_id, actor_id=user_id, before={"name": name})
    service.removed(session, user_id, "passkey_removed", name)


def _own(session: Session, user_id: UUID) -> list[PublicKeyCredentialDescriptor]:
    rows = session.execute(select(Passkey.credential_id, Passkey.transports).filter_by(user_id=user_id))
    known = {one.value: one for one in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(id=row[0], transports=[known[word] for word in row[1] if word in known])
        for row in rows
    ]


def _challenge(settings: Settings, purpose: str, user_id: UUID | None) -> bytes:
    until = clock.now() + rules.CHALLENGE_LASTS
    return rules.challenge(signing.derived(settings, KEY), f"{purpose} {user_id}", until, secrets.token_bytes(16))


def _read(parser: Any, answer: str) -> Any:
    if len(answer) > MOST_CHARACTERS:
        raise PasskeyRefused()
    try:
        return parser(answer)
    except MALFORMED:
        raise PasskeyRefused() from None


def _answered(settings: Settings, purpose: str, user_id: UUID | None, given: Any) -> bytes:
    """Return the challenge that was answered, if we made it for this and it has not lapsed."""
    try:
        challenge = parse_client_data_json(given.response.client_data_json).challenge
    except MALFORMED:
        raise PasskeyRefused() from None
    key = signing.derived(settings, KEY)
    if rules.read_challenge(key, f"{purpose} {user_id}", challenge, clock.now()) is None:
        raise OfferLapsed()
    return challenge

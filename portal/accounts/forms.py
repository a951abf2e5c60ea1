"""What people and programs tell us about who they are: one parser for pages and API."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from portal.accounts import passwords
from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire


def _printable(text: str) -> str:
    if any(unicodedata.category(character).startswith("C") for character in text):
        raise PydanticCustomError("name", "{why}", {"why": _("Please leave out characters that cannot be printed.")})
    if not any(character.isalpha() for character in text):
        raise PydanticCustomError("name", "{why}", {"why": _("Please give a name with letters in it.")})
    return unicodedata.normalize("NFC", text)


def _email(typed: str) -> str:
    try:
        return validate_email(typed, check_deliverability=False).normalized
    except EmailNotValidError:
        why = _("Please give an e-mail address such as name@example.com.")
        raise PydanticCustomError("email", "{why}", {"why": why}) from None


Name = Annotated[str, StringConstraints(min_length=1, max_length=80), AfterValidator(_printable)]
Address = Annotated[
    str,
    StringConstraints(max_length=254),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
# Blanks at the ends belong to a password; everything else is trimmed.
Secret = Annotated[str, StringConstraints(strip_whitespace=False, min_length=1, max_length=1024)]


def _good(password: str, words: Sequence[str] = ()) -> str:
    no = passwords.objection(password, words)
    if no:
        raise PydanticCustomError("password", "{why}", {"why": no})
    return password


NewPassword = Annotated[Secret, AfterValidator(_good)]


class Registration(Wire):
    """A wish for an account."""

    email: Address
    first_name: Name
    last_name: Name
    password: Secret
    confirm_password: Secret

    @field_validator("password")
    @classmethod
    def _strong(cls, value: str, info: ValidationInfo) -> str:
        words = [str(info.data.get(name, "")) for name in ("email", "first_name", "last_name")]
        return _good(value, words)

    @field_validator("confirm_password")
    @classmethod
    def _same(cls, value: str, info: ValidationInfo) -> str:
        if value != info.data.get("password", value):
            raise PydanticCustomError("password", "{why}", {"why": _("This is not the password typed above.")})
        return value


class Credentials(Wire):
    """An address and its password."""

    email: Address
    password: Secret


class Login(Credentials):
    """The same from a program. `code` is for accounts with a second factor; one without it takes any."""

    code: Annotated[str, StringConstraints(max_length=20)] | None = None


class Newcomer(Wire):
    """Somebody whom another place knows: a verified address, and such names as it has."""

    email: Address
    first_name: Annotated[str, StringConstraints(max_length=80)] = ""
    last_name: Annotated[str, StringConstraints(max_length=80)] = ""


class RegistrationForm(Registration):
    """The same from a page, which also remembers where to go afterwards."""

    next: str = ""


class SignInForm(Credentials):
    """The same from a page, which also remembers where to go afterwards."""

    next: str = ""


class JustAddress(Wire):
    """An e-mail address, for which something is to be mailed."""

    email: Address


class MailedToken(Wire):
    """The word of a mailed link: what stands after `token=` in it."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class Reset(MailedToken):
    """A mailed link's word, with the password that is to count from now on."""

    new_password: NewPassword


class PasswordChange(Wire):
    """The password as it is, and as it is to be."""

    current_password: Secret
    new_password: NewPassword


class AddressChange(Wire):
    """The address that is to be signed in with from now on, and the password as proof."""

    email: Address
    password: Secret


class Names(Wire):
    """New names for a profile; what is not given stays."""

    first_name: Name | None = None
    last_name: Name | None = None


class Traveller(Wire):
    """Somebody to book for. People with one name give it as the family name."""

    given_name: Annotated[str, StringConstraints(max_length=60)] = ""
    family_name: Annotated[str, StringConstraints(min_length=1, max_length=60), AfterValidator(_printable)]
    date_of_birth: date

    @field_validator("given_name")
    @classmethod
    def _given(cls, value: str) -> str:
        return _printable(value) if value else value


class TravellerOut(Traveller):
    """A saved traveller; `type` is what they travel as today."""

    id: UUID
    type: Literal["adult", "child", "infant"]


class TravellerList(Wire):
    """Saved travellers, by name."""

    data: tuple[TravellerOut, ...]
    next_cursor: None = None


def _airport(typed: str) -> str:
    code = typed.upper()
    if len(code) != 3 or not (code.isascii() and code.isalpha()):
        why = _("Please give an airport by its three letters, such as JFK.")
        raise PydanticCustomError("airport", "{why}", {"why": why})
    return code


Airport = Annotated[
    str, AfterValidator(_airport), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$", "examples": ["JFK"]})
]


class Notifications(Wire):
    """Which letters an account wants; what is not given stays. News of booked flights always comes."""

    check_in: bool | None = Field(None, description="a reminder when check-in opens")
    fare_alerts: bool | None = Field(None, description="the drops that its fare alerts find")
    new_sign_in: bool | None = Field(None, description="a letter when a browser or program new to it signs in")


class PreferencesChange(Wire):
    """New preferences: what is not given stays, null means none."""

    home_airport: Airport | None = Field(None, description="IATA code")
    seat: Literal["window", "aisle", "front"] | None = None
    meal: Literal["VGML", "VLML", "MOML", "KSML", "GFML", "DBML", "CHML"] | None = Field(None, description="IATA code")
    language: Annotated[str, StringConstraints(max_length=12)] | None = None
    notifications: Notifications | None = None
    keep_address: bool | None = Field(None, description="keep from which network address each sign-in came")


class Change(Names):
    """What of a profile is to be changed; what is not given stays."""

    preferences: PreferencesChange | None = None


class NotificationsOut(Wire):
    """Which letters an account gets."""

    check_in: bool
    fare_alerts: bool
    new_sign_in: bool


class PreferencesOut(Wire):
    """How an account likes it; null where it has said nothing."""

    home_airport: str | None
    seat: str | None
    meal: str | None
    language: str | None
    notifications: NotificationsOut
    keep_address: bool


class Person(Wire):
    """An account as its owner sees it."""

    id: UUID
    email: str
    first_name: str
    last_name: str
    email_verified: bool


class Profile(Person):
    """An account with what only its owner and staff may know."""

    role: str
    created_at: datetime
    preferences: PreferencesOut

"""Rules of who you are: passwords, how long a sign-in lasts, which addresses are ours.

Pure: no session, no clock; `now` is an argument.
"""

from __future__ import annotations

import unicodedata
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from portal.kit.i18n import gettext as _

PASSWORD_AT_LEAST, PASSWORD_AT_MOST = 10, 128
SEEN_EVERY = timedelta(minutes=5)
LONGEST = timedelta(days=180)
MOST_TRAVELLERS, MOST_FAVOURITES = 20, 50
IDLE = {"customer": timedelta(days=14), "staff": timedelta(hours=12), "admin": timedelta(hours=12)}


def password_objection(password: str, email: str) -> str | None:
    """Return why `password` will not do for the account of `email`, in a sentence, or None."""
    if len(password) < PASSWORD_AT_LEAST:
        return _("Please use at least %(least)d characters.") % {"least": PASSWORD_AT_LEAST}
    if len(password) > PASSWORD_AT_MOST:
        return _("Please use at most %(most)d characters.") % {"most": PASSWORD_AT_MOST}
    if password.casefold() in (email.casefold(), email.casefold().split("@")[0]):
        return _("Please use something else than your e-mail address.")
    return None


def normal_password(password: str) -> str:
    """Return `password` in the one spelling that is hashed, whichever keyboard typed it (NFKC, NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


def normal_email(email: str) -> str:
    """Return the spelling by which an address is found: without regard to case."""
    return email.strip().lower()


def birth_objection(born: date, today: date) -> str | None:
    """Return why nobody who travels was born on that day, in a sentence, or None."""
    if born > today:
        return _("This day is still to come.")
    return _("Please check the year of birth.") if born.year < 1900 else None


def type_on(born: date, day: date) -> str:
    """Return what somebody born then travels as on `day`: infant under 2, child to 11, adult from 12 (IATA)."""
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return "infant" if years < 2 else "child" if years < 12 else "adult"


def meal_words() -> dict[str, str]:
    """Return the special meals by IATA code, with what they are called."""
    return {
        "VGML": _("Vegan"),
        "VLML": _("Vegetarian"),
        "MOML": _("Muslim"),
        "KSML": _("Kosher"),
        "GFML": _("Without gluten"),
        "DBML": _("For diabetics"),
        "CHML": _("For children"),
    }


def lasts_until(role: str, began: datetime, now: datetime) -> datetime:
    """Return when a sign-in lapses: some time after it was last seen, and in any case 180 days after it began."""
    return min(now + IDLE[role], began + LONGEST)


def local_path(wish: str, default: str = "/") -> str:
    """Return `wish` if it is a path of this portal, else `default`: no link of ours leads to another site."""
    if not wish.startswith("/") or wish.startswith("//") or "\\" in wish or len(wish) > 2000:
        return default
    if any(unicodedata.category(character).startswith("C") for character in wish):
        return default
    try:
        parts = urlsplit(wish)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else wish

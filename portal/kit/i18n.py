"""Words in catalogues: gettext for text, Babel for numbers and dates. English is the source and the fallback."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import date, datetime
from functools import cache
from gettext import NullTranslations, translation
from pathlib import Path

from babel.dates import format_date, format_datetime, format_time

from portal.kit import money

CATALOGUES = Path(__file__).resolve().parents[1] / "locale"
locale: ContextVar[str] = ContextVar("locale", default="en")


@cache
def _catalogue(name: str) -> NullTranslations:
    return translation("portal", CATALOGUES, languages=[name], fallback=True)


def gettext(message: str) -> str:
    """Return `message` in the reader's language."""
    return _catalogue(locale.get()).gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """Return the form for `count`, in the reader's language."""
    return _catalogue(locale.get()).ngettext(singular, plural, count)


def price(minor: int, currency: str) -> str:
    """Return an amount as the reader writes it: `$1,234.50`."""
    return money.shown(minor, currency, locale.get())


def day(value: date) -> str:
    """Return `1 Mar 2027`, in the reader's order."""
    return format_date(value, "d MMM y" if locale.get() == "en" else "medium", locale=locale.get())


def long_day(value: date) -> str:
    """Return `Monday, 1 March 2027`, in the reader's order."""
    return format_date(value, "EEEE, d MMMM y" if locale.get() == "en" else "full", locale=locale.get())


def short_day(value: date) -> str:
    """Return `Mon 1 Mar`."""
    return format_date(value, "EEE d MMM", locale=locale.get())


def clock_time(value: datetime) -> str:
    """Return the wall-clock time as it stands in `value`: `08:05`. Airports keep to 24 hours."""
    return format_time(value, "HH:mm", tzinfo=value.tzinfo, locale=locale.get())


def moment(value: datetime) -> str:
    """Return `1 Mar 2027, 08:05` in the zone that `value` carries."""
    return format_datetime(value, "d MMM y, HH:mm", tzinfo=value.tzinfo, locale=locale.get())


def duration(minutes: int) -> str:
    """Return `6 h 15 min`."""
    hours, rest = divmod(minutes, 60)
    if not hours:
        return gettext("%(minutes)d min") % {"minutes": rest}
    if not rest:
        return gettext("%(hours)d h") % {"hours": hours}
    return gettext("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": rest}

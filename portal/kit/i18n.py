"""Words in catalogues: gettext for text, Babel for numbers and dates. English is the source and the fallback.

A catalogue is portal/locale/<language>/LC_MESSAGES/portal.po, read as it is, without a compile step. A language is
offered to readers once nearly all of the template portal.pot is translated; until then it may be tried by name.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, time
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel.core import negotiate_locale
from babel.dates import format_date, format_datetime, format_time
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from portal.kit import money

CATALOGUES = Path(__file__).resolve().parents[1] / "locale"
locale: ContextVar[str] = ContextVar("locale", default="en")


SOURCE = "en"
OFFERED_FROM = 0.95


@cache
def _catalogue(name: str) -> NullTranslations:
    path = CATALOGUES / name / "LC_MESSAGES" / "portal.po"
    if name == SOURCE or not path.exists():
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, _read(path))
    compiled.seek(0)
    return GNUTranslations(compiled)


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


@cache
def offered() -> tuple[str, ...]:
    """Return the languages that readers may get: English, and every catalogue that covers nearly all of portal.pot."""
    wanted = {str(message.id) for message in _read(CATALOGUES / "portal.pot") if message.id}
    names = sorted(path.parents[1].name for path in CATALOGUES.glob("*/LC_MESSAGES/portal.po"))
    return (SOURCE, *(name for name in names if _covered(name, wanted) >= OFFERED_FROM))


def _covered(name: str, wanted: set[str]) -> float:
    known = _read(CATALOGUES / name / "LC_MESSAGES" / "portal.po")
    done = {str(message.id) for message in known if message.string and not message.fuzzy}
    return len(wanted & done) / max(1, len(wanted))


@lru_cache(maxsize=1000)
def choose(cookie: str, accepted: str) -> str:
    """Return the offered language that suits best: the reader's own choice, else the browser's, else English."""
    wishes = [part.split(";")[0].strip() for part in accepted[:200].split(",")]
    return negotiate_locale([w for w in (cookie, *wishes) if w], list(offered()), sep="-") or SOURCE


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Let everything within the block be said in `language`: what is written to a reader who is not the one asking."""
    token = locale.set(language)
    try:
        yield
    finally:
        locale.reset(token)


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
    return _short_day(value.year, value.month, value.day, locale.get())


@lru_cache(maxsize=1024)
def _short_day(year: int, month: int, day_of_month: int, name: str) -> str:
    return format_date(date(year, month, day_of_month), "EEE d MMM", locale=name)


def clock_time(value: datetime) -> str:
    """Return the wall-clock time as it stands in `value`: `08:05`. Airports keep to 24 hours."""
    return _clock_time(value.hour, value.minute, locale.get())


@lru_cache(maxsize=4096)
def _clock_time(hour: int, minute: int, name: str) -> str:
    return format_time(time(hour, minute), "HH:mm", locale=name)


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

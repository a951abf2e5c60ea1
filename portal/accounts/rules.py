"""Rules of who you are: passwords, how long a sign-in lasts, which addresses are ours.

Pure: no session, no clock; `now` is an argument.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from portal.kit import ids
from portal.kit.i18n import gettext as _

CONFIRM_DAYS, RESET_MINUTES = 3, 60
SEEN_EVERY = timedelta(minutes=5)
LONGEST = timedelta(days=180)
MOST_TRAVELLERS, MOST_FAVOURITES = 20, 50
IDLE = {"customer": timedelta(days=14), "staff": timedelta(hours=12), "admin": timedelta(hours=12)}


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


# What a browser says of itself → what people call it; the first that fits counts, for most claim to be others too.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)


def device_name(agent: str) -> str:
    """Return what a person would call the browser that sends this User-Agent: `Firefox on Windows`."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("A browser that does not say its name")


def program_name(agent: str) -> str:
    """Return what a program that sends this User-Agent is called: `curl`; one that claims to be a browser, as that."""
    first = "".join(one for one in agent if one.isprintable()).split("/")[0].split("(")[0].strip()[:60]
    return device_name(agent) if first in ("", "Mozilla") else first


def is_mobile(agent: str) -> bool:
    """True for the browser of a phone or a tablet."""
    return any(mark in agent for mark in ("iPhone", "iPad", "Android"))


def network(address: str) -> str:
    """Return the network of an address, rough enough to stay the same at one place: /16 of IPv4, /48 of IPv6."""
    try:
        host = ipaddress.ip_interface(address).ip
    except ValueError:
        return ""
    return str(ipaddress.ip_network((host, 16 if host.version == 4 else 48), strict=False))


def place(address: str | None) -> str:
    """Return where a sign-in came from, as far as an address tells."""
    if not address:
        return _("place not kept")
    try:
        host = ipaddress.ip_interface(address).ip
    except ValueError:
        return _("an unknown place")
    if host.is_loopback:
        return _("this very machine")
    return _("your own network (%(address)s)") % {"address": address} if host.is_private else address


def browser_mark(agent: str, address: str) -> str:
    """Return by which a kind of browser at a place is known again: its name, its system and its network, hashed."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return ids.fingerprint(f"{browser} {system} {network(address)}")[:32]


def program_mark(agent: str, address: str) -> str:
    """Return by which a kind of program at a place is known again: its name and its network, hashed."""
    return ids.fingerprint(f"program {program_name(agent)} {network(address)}")[:32]


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

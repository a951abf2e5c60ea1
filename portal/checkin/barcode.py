"""The bar code of a boarding pass: IATA Resolution 792 (BCBP), format M, one to four flights; and its drawing.

Mandatory items have fixed places; conditional ones follow in version 6, as far as they are known. Text is ASCII, so
that every scanner reads it. Aztec is for screens, PDF417 for paper. Pure: no session, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import zxingcpp

VERSION = "6"
NAME_WIDTH = 20
MOST_LEGS = 4
INFANT_SEAT = "INF"
COMPARTMENTS = {"economy": "Y", "premium": "W", "business": "C", "first": "F"}
DESCRIPTIONS = {"adult": "0", "child": "3", "infant": "4"}
AZTEC, PDF417 = zxingcpp.BarcodeFormat.Aztec, zxingcpp.BarcodeFormat.PDF417
CHECKED_IN = "1"
PATH = re.compile(r'<svg width="(\d+)" height="(\d+)".*<path d="([^"]+)"', re.S)
HEAD = re.compile(r"M(?P<legs>[1-4])(?P<name>[ -~]{20})[ -~]")
LEG = re.compile(
    r"(?P<reference>[A-Z0-9 ]{7})(?P<origin>[A-Z]{3})(?P<destination>[A-Z]{3})(?P<carrier>[A-Z0-9 ]{3})"
    r"(?P<number>\d{4})[A-Z ](?P<day>\d{3})(?P<compartment>[A-Z])(?P<seat>[A-Z0-9 ]{4})(?P<sequence>\d{4})[A-Z ]"
    r"(?P<status>[0-9A-Z])(?P<size>[0-9A-F]{2})"
)


@dataclass(frozen=True, slots=True)
class Repeated:
    """What may be told of each flight (items 142–118): unknown is blank. `airline_use` is for the airline itself."""

    airline_number: str = ""
    document_serial: str = ""
    selectee: str = ""
    documents_verified: str = ""
    marketing_carrier: str = ""
    frequent_carrier: str = ""
    frequent_number: str = ""
    discount: str = ""
    free_bags: str = ""
    fast_track: str = ""
    airline_use: str = ""


@dataclass(frozen=True, slots=True)
class Unique:
    """What may be told once (items 15–31): who, where checked in, when and by whom the pass was made, bag tags."""

    description: str
    checkin_source: str
    pass_source: str
    issued_on: date | None
    issuer: str
    document: str = "B"
    bag_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leg:
    """One flight of a pass. `seat` is `12C`, or INFANT_SEAT; `day` the local day of departure."""

    reference: str
    origin: str
    destination: str
    carrier: str
    number: int
    day: date
    compartment: str
    seat: str
    sequence: int
    status: str = CHECKED_IN
    repeated: Repeated | None = None


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scanner's text says of one flight; the year is not in it."""

    name: str
    reference: str
    origin: str
    destination: str
    carrier: str
    number: int
    day_of_year: int
    seat: str
    sequence: int

    def day_near(self, today: date) -> date:
        """Return the day of departure: the one of its number that is nearest to `today`, over New Year's Eve too."""
        firsts = (date(today.year + shift, 1, 1) for shift in (-1, 0, 1))
        days = (first + timedelta(days=self.day_of_year - 1) for first in firsts)
        return min(days, key=lambda day: abs((day - today).days))


@dataclass(frozen=True, slots=True)
class Symbol:
    """A drawn code: black modules as one SVG path on a grid of `width` × `height`, quiet zones not included."""

    width: int
    height: int
    path: str


def encode(
    name: str, legs: Sequence[Leg], *, unique: Unique | None = None, security: str = "", electronic: bool = True
) -> str:
    """Return the text of a bar code. `security` is a signature of the text (type 1), where there is one.

    Raises ValueError for no or more than four flights, and for what a scanner could not read: letters beyond ASCII, or
    items that are wider than their place.
    """
    if not 1 <= len(legs) <= MOST_LEGS:
        raise ValueError("a boarding pass is for one to four flights")
    head = f"M{len(legs)}{_left(short_name(name), NAME_WIDTH)}{'E' if electronic else ' '}"
    told = "".join(_leg(leg, unique if at == 0 else None) for at, leg in enumerate(legs))
    text = head + told + (f"^1{len(security):02X}{security}" if security else "")
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a bar code holds printable ASCII only")
    return text


def short_name(name: str) -> str:
    """Return a ticket name cut to 20 characters: given names first, down to their first letter; then the family name.

    Resolution 792, attachment C, item 11; a family name keeps at most 18 characters beside an initial.
    """
    if len(name) <= NAME_WIDTH:
        return name
    family, slash, given = name.partition("/")
    kept = family[: NAME_WIDTH - 2] if given else family[:NAME_WIDTH]
    return f"{kept}{slash}{given}"[:NAME_WIDTH].rstrip()


def decode(text: str) -> list[Scanned]:
    """Return the flights of a scanned text; an empty list for what is no boarding pass."""
    head = HEAD.match(text)
    if head is None:
        return []
    found, at = [], head.end()
    for _number in range(int(head["legs"])):
        leg = LEG.match(text, at)
        if leg is None:
            return []
        found.append(_scanned(head["name"].rstrip(), leg))
        at = leg.end() + int(leg["size"], 16)
    return found


def draw(text: str, kind: zxingcpp.BarcodeFormat) -> Symbol:
    """Return `text` drawn as AZTEC or PDF417, at the error correction that the symbologies advise."""
    correction = {} if kind == AZTEC else {"ec_level": "4"}
    drawn = zxingcpp.create_barcode(text, kind, **correction).to_svg(add_quiet_zones=False)
    found = PATH.search(drawn)
    if found is None:
        raise ValueError("the code was not drawn as a path")
    return Symbol(int(found[1]), int(found[2]), found[3])


def _leg(leg: Leg, unique: Unique | None) -> str:
    conditional = _conditional(leg.repeated, unique)
    return "".join(
        (
            _left(leg.reference, 7),
            _left(leg.origin, 3),
            _left(leg.destination, 3),
            _left(leg.carrier, 3),
            f"{_number(leg.number, 4)} ",
            f"{leg.day:%j}",
            _left(leg.compartment, 1),
            _seat(leg.seat),
            f"{_number(leg.sequence, 4)} ",
            _left(leg.status, 1),
            _sized(conditional),
        )
    )


def _conditional(repeated: Repeated | None, unique: Unique | None) -> str:
    start = f">{VERSION}{_sized(_unique(unique))}" if unique else ""
    return start + (_sized(_repeated(repeated)) + repeated.airline_use if repeated else "")


def _unique(one: Unique) -> str:
    issued = f"{one.issued_on.year % 10}{one.issued_on:%j}" if one.issued_on else " " * 4
    tags = "".join(_left(tag, 13) for tag in one.bag_tags[:3])
    return f"{one.description}{one.checkin_source}{one.pass_source}{issued}{one.document}{_left(one.issuer, 3)}{tags}"


def _repeated(one: Repeated) -> str:
    widths = (3, 10, 1, 1, 3, 3, 16, 1, 3, 1)
    items = (
        one.airline_number,
        one.document_serial,
        one.selectee,
        one.documents_verified,
        one.marketing_carrier,
        one.frequent_carrier,
        one.frequent_number,
        one.discount,
        one.free_bags,
        one.fast_track,
    )
    return "".join(_left(item, width) for item, width in zip(items, widths, strict=True))


def _scanned(name: str, leg: re.Match[str]) -> Scanned:
    return Scanned(
        name,
        leg["reference"].strip(),
        leg["origin"],
        leg["destination"],
        leg["carrier"].strip(),
        int(leg["number"]),
        int(leg["day"]),
        leg["seat"].strip().lstrip("0"),
        int(leg["sequence"]),
    )


def _seat(seat: str) -> str:
    """Rows have three digits: `001A`; INF stands left, as words do."""
    return _left(seat.zfill(4) if seat[:1].isdigit() else seat, 4)


def _sized(text: str) -> str:
    if len(text) > 0xFF:
        raise ValueError("a field of variable size holds at most 255 characters")
    return f"{len(text):02X}{text}"


def _left(text: str, width: int) -> str:
    if len(text) > width:
        raise ValueError(f"{text!r} is wider than {width}")
    return text.ljust(width)


def _number(number: int, width: int) -> str:
    if not 0 <= number < 10**width:
        raise ValueError(f"{number} has more than {width} digits")
    return f"{number:0{width}}"

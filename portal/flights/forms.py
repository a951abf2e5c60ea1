"""Untrusted input of flights: rows of a timetable file. And what the API shows of a flight."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Literal, TextIO, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.numbers import list_currencies
from pydantic import ConfigDict, Field

from portal.flights.errors import TimetableRefused
from portal.flights.rules import LONGEST, DatedFlight, distance_km, to_utc
from portal.kit import money
from portal.kit.validation import Wire
from portal.places.forms import AirportOut
from portal.places.queries import Place

COLUMNS = (
    "carrier",
    "number",
    "origin",
    "destination",
    "departure_local",
    "arrival_local",
    "aircraft",
    "fare",
    "currency",
)
CARRIER = re.compile(r"[A-Z0-9]{2}")
NUMBER = re.compile(r"[0-9]{1,5}")
LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:00)?")
FARE = re.compile(r"[0-9]{1,7}(\.[0-9]{1,4})?")
YEARS = range(1990, 2101)
T = TypeVar("T")


class FlightOut(Wire):
    """One dated flight; instants carry the local offset. Made of a FlightView by `FlightOut.model_validate(view)`."""

    model_config = ConfigDict(from_attributes=True)

    flight_id: UUID = Field(validation_alias="public_id")
    carrier: str
    carrier_name: str
    flight_number: str = Field(validation_alias="designator")
    origin: AirportOut
    destination: AirportOut
    departure_at: datetime = Field(validation_alias="departure")
    arrival_at: datetime = Field(validation_alias="arrival")
    estimated_departure_at: datetime | None = Field(None, validation_alias="estimated_departure")
    estimated_arrival_at: datetime | None = Field(None, validation_alias="estimated_arrival")
    duration_minutes: int
    aircraft: str
    aircraft_name: str
    distance_km: int
    status: Literal["scheduled", "cancelled"]


class PriceOut(Wire):
    """An amount of money."""

    amount: str
    currency: str


def timetable_rows(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a timetable file as (line number, cells in the order of COLUMNS), one at a time.

    The header may order the columns as it likes. Raises TimetableRefused for a header that is not it, and for a file
    that cannot be read to its end (cut off, not gzip, not CSV).
    """
    reader = csv.reader(file)
    try:
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise TimetableRefused(f"The first line must name these columns: {','.join(COLUMNS)}")
        order = [header.index(name) for name in COLUMNS]
        for cells in reader:
            if cells:
                yield reader.line_num, [cells[at] for at in order] if len(cells) == len(order) else cells
    except (csv.Error, OSError, EOFError, zlib.error) as broken:
        raise TimetableRefused(f"Line {reader.line_num + 1} cannot be read: {broken}") from None


@dataclass(slots=True)
class TimetableParser:
    """Turns rows of a timetable file into flights. It knows the airports and aircraft that rows may name."""

    places: Mapping[str, Place]
    aircraft: Collection[str]
    reasons: list[str] = field(default_factory=list)

    def parse(self, line: int, cells: Sequence[str]) -> DatedFlight | list[str]:
        """Return the flight that a row (cells in the order of COLUMNS) describes, or every reason why it is none."""
        self.reasons = []
        if len(cells) != len(COLUMNS):
            return [f"{len(cells)} columns instead of {len(COLUMNS)}"]
        given = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=True))
        carrier = self._keep(given["carrier"], _carrier)
        number = self._keep(given["number"], _number)
        ends = self._ends(given["origin"], given["destination"])
        times = self._times(given, ends)
        aircraft = self._keep(given["aircraft"], self._aircraft)
        price = self._price(given["fare"], given["currency"])
        if self.reasons or not (carrier and number and ends and times and aircraft and price):
            return self.reasons
        return DatedFlight(
            line,
            carrier,
            number,
            ends[0].code,
            ends[1].code,
            times[0].date(),
            *times,
            aircraft,
            _distance(ends[0], ends[1]),
            price.minor,
            price.currency,
        )

    def _keep(self, text: str, reader: Callable[[str], T]) -> T | None:
        try:
            return reader(text)
        except ValueError as wrong:
            self.reasons.append(str(wrong))
            return None

    def _ends(self, origin: str, destination: str) -> tuple[Place, Place] | None:
        if origin == destination and origin in self.places:
            self.reasons.append(f"origin and destination are the same: {origin}")
            return None
        known = [self._keep(code, self._place) for code in (origin, destination)]
        return (known[0], known[1]) if known[0] and known[1] else None

    def _place(self, code: str) -> Place:
        if code not in self.places:
            raise ValueError(f"unknown airport {_shown(code)}")
        return self.places[code]

    def _aircraft(self, code: str) -> str:
        if code not in self.aircraft:
            raise ValueError(f"unknown aircraft {_shown(code)}")
        return code

    def _times(
        self, given: Mapping[str, str], ends: tuple[Place, Place] | None
    ) -> tuple[datetime, datetime, datetime, datetime] | None:
        leaves = self._keep(given["departure_local"], _departure)
        lands = self._keep(given["arrival_local"], _arrival)
        if ends is None or leaves is None or lands is None:
            return None
        instants = self._keep("", lambda _: instants_of(leaves, lands, ends))
        return (leaves, lands, *instants) if instants else None

    def _price(self, fare: str, currency: str) -> money.Money | None:
        if currency not in _currencies():
            self.reasons.append(f"unknown currency {_shown(currency)}")
            return None if FARE.fullmatch(fare) else self._keep(fare, _bad_fare)
        return self._keep(fare, lambda text: _fare(text, currency))


def _carrier(text: str) -> str:
    if not CARRIER.fullmatch(text) or text.isdigit():
        raise ValueError(f"bad carrier code {_shown(text)}: it has two characters, A–Z or 0–9")
    return text


def _number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise ValueError(f"bad flight number {_shown(text)}: a whole number is wanted")
    if not 1 <= int(text) <= 9999:
        raise ValueError(f"flight number {int(text)} is out of range: 1 to 9999")
    return int(text)


def _departure(text: str) -> datetime:
    return _local("departure", text)


def _arrival(text: str) -> datetime:
    return _local("arrival", text)


def _local(end: str, text: str) -> datetime:
    try:
        local = datetime.fromisoformat(text) if LOCAL.fullmatch(text) else None
    except ValueError:
        local = None
    if local is None:
        raise ValueError(f"bad {end} time {_shown(text)}: such as 2027-03-28T23:55 is wanted")
    if local.year not in YEARS:
        raise ValueError(f"{end} year {local.year} is out of range: {YEARS[0]} to {YEARS[-1]}")
    return local


def instants_of(leaves: datetime, lands: datetime, ends: tuple[Place, Place]) -> tuple[datetime, datetime]:
    """Return the instants of two wall clocks at both ends; raises ValueError, with the reason, if they cannot be so."""
    here, there = (ZoneInfo(place.time_zone) for place in ends)
    start, end = _exact(leaves, here, ends[0]), _exact(lands, there, ends[1])
    if end <= start:  # in the night when clocks go back, an arrival may mean the second of two equal times
        end = to_utc(lands, there, second=True) or end
    if end <= start:
        raise ValueError(f"arrival {lands:%Y-%m-%dT%H:%M} is not after departure {leaves:%Y-%m-%dT%H:%M}")
    if end - start > LONGEST:
        raise ValueError(f"{_hours(end - start)} in the air: more than {_hours(LONGEST)}")
    return start, end


def _exact(local: datetime, zone: ZoneInfo, place: Place) -> datetime:
    instant = to_utc(local, zone)
    if instant is None:
        raise ValueError(f"{local:%Y-%m-%dT%H:%M} does not exist at {place.code}: clocks go forward that night")
    return instant


def _hours(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def _fare(text: str, currency: str) -> money.Money:
    if not FARE.fullmatch(text):
        _bad_fare(text)
    fare = money.parse(text, currency)
    if not 0 < fare.minor < 2**31:
        raise ValueError(f"fare {text} is out of range")
    return fare


def _bad_fare(text: str) -> money.Money:
    raise ValueError(f"bad fare {_shown(text)}: a positive amount such as 175.00 is wanted")


def _shown(text: str) -> str:
    return ascii(text[:40])


@cache
def _currencies() -> frozenset[str]:
    return frozenset(list_currencies())


@cache
def _distance(here: Place, there: Place) -> int:
    return distance_km((here.latitude, here.longitude), (there.latitude, there.longitude))

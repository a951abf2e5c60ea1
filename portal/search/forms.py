"""What may be asked of a search: one model for the page and the API, and the criteria that it becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire
from portal.places.queries import Place
from portal.pricing.rules import Party

MAX_SLICES = 6
MAX_SEATS = 9
SLICE = re.compile(r"([A-Za-z]{3})-([A-Za-z]{3})-(\d{4}-\d{2}-\d{2})")

Sort = Literal["best", "price", "duration", "departure", "arrival"]
Cabin = Literal["economy", "premium", "business", "first"]


def _upper(given: object) -> object:
    return given.strip().upper() if isinstance(given, str) else given


def _wall_clock(given: object) -> object:
    if isinstance(given, str) and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", given.strip()):
        raise ValueError(_("Please give a time of day, such as 08:30."))
    return given.strip() if isinstance(given, str) else given


def _amount(given: object) -> object:
    try:
        amount = Decimal(str(given))
    except InvalidOperation:
        raise ValueError(_("Please give an amount, such as 450 or 450.00.")) from None
    if not amount.is_finite() or not 0 <= amount < 10**9:
        raise ValueError(_("Please give an amount, such as 450 or 450.00."))
    return amount


Code = Annotated[str, BeforeValidator(_upper), StringConstraints(pattern="^[A-Z]{3}$")]
Clock = Annotated[time, BeforeValidator(_wall_clock)]
Amount = Annotated[Decimal, BeforeValidator(_amount)]


@dataclass(frozen=True, slots=True)
class SliceWish:
    """One direction: from, to, and the day of departure, local to the origin."""

    origin: str
    destination: str
    on: date


@dataclass(frozen=True, slots=True)
class Criteria:
    """Everything that a search is for. Times of day are local: of departure at the origin, of arrival at the end.

    `listed` says that the slices came as a list, so that a refusal points at the right field.
    """

    slices: tuple[SliceWish, ...]
    party: Party
    cabin: str = "economy"
    max_stops: int = 1
    airlines: frozenset[str] = frozenset()
    depart_after: time | None = None
    depart_before: time | None = None
    arrive_after: time | None = None
    arrive_before: time | None = None
    max_minutes: int | None = None
    max_price: Decimal | None = None
    sort: str = "best"
    limit: int = 50
    cursor: str | None = None
    listed: bool = False


class SearchQuery(Wire):
    """A search as the API takes it. Either origin, destination and dates, or one `slice` for each direction."""

    origin: Code | None = Field(None, description="IATA code", examples=["JFK"])
    destination: Code | None = Field(None, description="IATA code", examples=["LAX"])
    departure_date: date | None = Field(None, description="local to the origin", examples=["2027-03-01"])
    return_date: date | None = Field(None, description="asks for the way back too")
    slice: list[str] = Field([], max_length=MAX_SLICES, description="JFK-LAX-2027-03-01, once for each direction")
    adults: int = Field(1, ge=1, le=9)
    children: int = Field(0, ge=0, le=8, description="2 to 11 years")
    infants: int = Field(0, ge=0, le=9, description="under 2, on an adult's lap")
    cabin: Cabin = "economy"
    max_stops: int = Field(1, ge=0, le=1)
    airlines: list[str] = Field([], max_length=50, description="designators, repeated or with commas: PA,ME")
    depart_after: Clock | None = Field(None, description="local time of departure, HH:MM")
    depart_before: Clock | None = Field(None, description="local time of departure, HH:MM")
    arrive_after: Clock | None = Field(None, description="local time of arrival, HH:MM, whichever the day")
    arrive_before: Clock | None = Field(None, description="local time of arrival, HH:MM, whichever the day")
    max_duration: int | None = Field(None, ge=1, le=10_000, description="minutes from departure to arrival")
    max_price: Amount | None = Field(None, description="the lowest fare for the whole party, taxes in")
    sort: Sort = "best"
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=500)

    def criteria(self) -> Criteria:
        """Return the search this asks for; raises Invalid, naming each field that does not go with the others."""
        problems = self._party_problems()
        slices = self._slices(problems)
        airlines = _airlines(self.airlines, problems)
        if problems:
            raise Invalid(errors=problems)
        return Criteria(
            slices=tuple(slices),
            party=Party(self.adults, self.children, self.infants),
            cabin=self.cabin,
            max_stops=self.max_stops,
            airlines=airlines,
            depart_after=self.depart_after,
            depart_before=self.depart_before,
            arrive_after=self.arrive_after,
            arrive_before=self.arrive_before,
            max_minutes=self.max_duration,
            max_price=self.max_price,
            sort=self.sort,
            limit=self.limit,
            cursor=self.cursor,
            listed=bool(self.slice),
        )

    def _party_problems(self) -> list[FieldError]:
        if self.adults + self.children > MAX_SEATS:
            return [FieldError("children", _("We seat at most 9 travellers in one booking. Please split the party."))]
        if self.infants > self.adults:
            return [FieldError("infants", _("Each infant sits on the lap of one adult: add adults or a child's seat."))]
        return []

    def _slices(self, problems: list[FieldError]) -> list[SliceWish]:
        if self.slice:
            if self.origin or self.destination or self.departure_date or self.return_date:
                problems.append(FieldError("slice", _("Give either slices, or origin, destination and dates.")))
            return _listed(self.slice, problems)
        return self._there_and_back(problems)

    def _there_and_back(self, problems: list[FieldError]) -> list[SliceWish]:
        given = {"origin": self.origin, "destination": self.destination, "departureDate": self.departure_date}
        problems += [FieldError(name, _("Please fill this in.")) for name, value in given.items() if value is None]
        if self.origin is None or self.destination is None or self.departure_date is None:
            return []
        if self.origin == self.destination:
            problems.append(FieldError("destination", _("This is where you start. Please choose another place.")))
        there = SliceWish(self.origin, self.destination, self.departure_date)
        if self.return_date is None:
            return [there]
        if self.return_date < self.departure_date:
            problems.append(
                FieldError("returnDate", _("You would be back before you left. Please choose a later day."))
            )
        return [there, SliceWish(self.destination, self.origin, self.return_date)]


def _listed(texts: list[str], problems: list[FieldError]) -> list[SliceWish]:
    slices: list[SliceWish] = []
    for number, text in enumerate(texts):
        wish = _slice(text)
        if wish is None:
            problems.append(FieldError(f"slice.{number}", _("Please write a slice as JFK-LAX-2027-03-01.")))
        elif wish.origin == wish.destination:
            problems.append(FieldError(f"slice.{number}", _("This slice ends where it starts.")))
        elif slices and wish.on < slices[-1].on:
            problems.append(FieldError(f"slice.{number}", _("This slice leaves before the one in front of it.")))
        else:
            slices.append(wish)
    return slices


def _slice(text: str) -> SliceWish | None:
    found = SLICE.fullmatch(text.strip())
    try:
        return SliceWish(found[1].upper(), found[2].upper(), date.fromisoformat(found[3])) if found else None
    except ValueError:
        return None


def _airlines(given: list[str], problems: list[FieldError]) -> frozenset[str]:
    codes = [code.strip().upper() for text in given for code in text.split(",") if code.strip()]
    if any(not re.fullmatch("[A-Z0-9]{2}", code) for code in codes):
        problems.append(FieldError("airlines", _("Please give airlines by their two characters, such as PA.")))
    return frozenset(codes)


@dataclass(frozen=True, slots=True)
class TypedSearch:
    """The search sentence as somebody typed it, to be shown again."""

    trip: str
    origin: str
    origin_text: str
    destination: str
    destination_text: str
    depart_on: str
    return_on: str
    adults: int
    children: int
    infants: int
    cabin: str

    def understood(self, criteria: Criteria, places: Mapping[str, Place]) -> TypedSearch:
        """Return it with the places and days that it was taken to mean."""
        wish, last = criteria.slices[0], criteria.slices[-1]
        back = (last.origin, last.destination) == (wish.destination, wish.origin)
        return replace(
            self,
            trip="return" if back else "oneway",
            origin=wish.origin,
            origin_text=f"{places[wish.origin].city} ({wish.origin})",
            destination=wish.destination,
            destination_text=f"{places[wish.destination].city} ({wish.destination})",
            depart_on=wish.on.isoformat(),
            return_on=last.on.isoformat() if back else "",
        )


def typed_search(given: Mapping[str, str]) -> TypedSearch:
    """Return what was typed, cut to what a field shows; nothing typed is a return trip for one."""
    oneway = given.get("trip") == "oneway" or (given.get("origin") and not given.get("returnDate"))
    origin, destination = given.get("origin", "")[:80], given.get("destination", "")[:80]
    return TypedSearch(
        trip="oneway" if oneway else "return",
        origin=origin,
        origin_text=origin,
        destination=destination,
        destination_text=destination,
        depart_on=given.get("departureDate", "")[:20],
        return_on=given.get("returnDate", "")[:20],
        adults=_count(given.get("adults"), 1),
        children=_count(given.get("children"), 0),
        infants=_count(given.get("infants"), 0),
        cabin=given.get("cabin", "economy")[:10],
    )


def _count(text: str | None, otherwise: int) -> int:
    return int(text) if text and re.fullmatch("[0-9]{1,2}", text) else otherwise


class CalendarQuery(Wire):
    """The cheapest price of each day of a month."""

    origin: Code
    destination: Code
    month: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2027-03"])

    def days(self) -> list[date]:
        """Return the days of the month; raises Invalid for a year that no calendar has."""
        if self.origin == self.destination:
            raise Invalid(
                errors=[FieldError("destination", _("This is where you start. Please choose another place."))]
            )
        try:
            first = date.fromisoformat(f"{self.month}-01")
            span = [first + timedelta(days=number) for number in range(31)]
        except (ValueError, OverflowError):
            raise Invalid(errors=[FieldError("month", _("Please give a month, such as 2027-03."))]) from None
        return [day for day in span if day.month == first.month]


class ExplainQuery(Wire):
    """The offer to be explained."""

    offer_id: str = Field(min_length=1, max_length=5000)

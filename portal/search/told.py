"""How results are told on a page: addresses that hold the whole state, trips with stops, columns of fares. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from portal.flights.queries import FlightView
from portal.kit.i18n import gettext as _
from portal.kit.i18n import ngettext
from portal.kit.money import decimal_text
from portal.places.queries import Place
from portal.pricing.rules import Conditions, Party
from portal.search.rules import (
    Facet,
    Fare,
    Found,
    Itinerary,
    Names,
    Offer,
    Priced,
    SearchResult,
    Segment,
    SliceResult,
    minutes_between,
)

FACET_NAMES = ("maxStops", "airlines", "departs", "arrives", "maxPrice")
BANDS = {
    "00-06": ("00:00", "05:59"),
    "06-12": ("06:00", "11:59"),
    "12-18": ("12:00", "17:59"),
    "18-24": ("18:00", "23:59"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """The state of the results page as (name, value) pairs: what it is, and what it would be with a change."""

    pairs: tuple[tuple[str, str], ...]

    @property
    def url(self) -> str:
        """The address of this state."""
        return f"/flights?{urlencode(self.pairs)}"

    def changed(self, **changes: str | None) -> Address:
        """Return the state with these names set anew, None for without, and back on the first page."""
        gone = {*changes, "cursor"}
        kept = tuple(pair for pair in self.pairs if pair[0] not in gone)
        return Address((*kept, *((name, value) for name, value in changes.items() if value is not None)))

    def each(self, name: str, values: Iterable[str]) -> list[str]:
        """Return the address for every value of `name`, back on the first page."""
        start = self.changed(**{name: None}).url
        return [f"{start}&{urlencode({name: value})}" for value in values]

    def with_more(self, name: str, value: str) -> Address:
        """Return the state with one more value of a name that may repeat."""
        return Address((*self.pairs, (name, value)))

    def without(self, names: Iterable[str]) -> Address:
        """Return the state without these names, and back on the first page."""
        return self.changed(**dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Stop:
    """A change of planes, `offset_minutes` after the departure and `wait_minutes` long."""

    code: str
    city: str
    offset_minutes: int
    wait_minutes: int


@dataclass(frozen=True, slots=True)
class Leg:
    """One flight, and the minutes of waiting after it (0 at the last)."""

    departure_local: datetime
    arrival_local: datetime
    origin: Place
    destination: Place
    carrier_name: str
    flight_number: str
    aircraft: str
    duration_minutes: int
    day_shift: int
    wait_minutes: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a brand promises; kinds are yes, fee or no."""

    brand: str
    cabin_bag: bool
    checked_bags: int
    change_kind: str
    change_fee_minor: int | None
    refund_kind: str
    refund_fee_minor: int | None
    seat_choice: str


@dataclass(frozen=True, slots=True)
class Column(Terms):
    """One brand's column: what it promises, and the whole price for the party and for one adult."""

    href: str
    total_minor: int
    each_minor: int | None
    seats_left: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the breakdown, an amount for each column."""

    label: str
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What one traveller of a kind pays."""

    label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Trip:
    """One direction as a line with its stops; `fares` are empty for one that is chosen already."""

    id: str
    currency: str
    carrier_names: str
    flight_numbers: str
    departure_local: datetime
    arrival_local: datetime
    origin: Place
    destination: Place
    day_shift: int
    duration_minutes: int
    stops: tuple[Stop, ...]
    segments: tuple[Leg, ...]
    fares: tuple[Column, ...] = ()
    groups: tuple[Group, ...] = ()
    brand: str = ""
    total_minor: int = 0
    change_href: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """A day beside the one asked for, and its lowest price where it is known."""

    label: date
    href: str
    from_minor: int | None
    currency: str
    current: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a facet."""

    value: str
    label: str
    checked: bool
    note: str


@dataclass(frozen=True, slots=True)
class FacetView:
    """One question to narrow the list by."""

    name: str
    legend: str
    kind: str
    options: tuple[Choice, ...]


def trip(one: Itinerary, result: SearchResult, hrefs: Sequence[str]) -> Trip:
    """Return an itinerary as the page shows it; `hrefs` lead on with each of its fares."""
    return trip_of(one.priced, result.party, result.names, hrefs)


def trip_of(one: Priced, party: Party, names: Names, hrefs: Sequence[str]) -> Trip:
    """Return what `trip` does for an itinerary without its offers."""
    first, last = one.segments[0], one.segments[-1]
    carriers = dict.fromkeys(names.carriers.get(segment.carrier, segment.carrier) for segment in one.segments)
    return Trip(
        id=one.id,
        currency=one.currency,
        carrier_names=", ".join(carriers),
        flight_numbers=" · ".join(f"{segment.carrier}{segment.number}" for segment in one.segments),
        departure_local=first.departure_local,
        arrival_local=last.arrival_local,
        origin=names.places[first.origin],
        destination=names.places[last.destination],
        day_shift=_days(first.departure_local, last.arrival_local),
        duration_minutes=one.minutes,
        stops=_stops(one.segments, names.places),
        segments=tuple(_legs(one.segments, names)),
        fares=columns(one, party, hrefs),
        groups=tuple(_groups(one.fares, party)),
    )


def _days(start: datetime, end: datetime) -> int:
    return (end.date() - start.date()).days


def _stops(segments: Sequence[Segment], places: Mapping[str, Place]) -> tuple[Stop, ...]:
    start = segments[0].departure_at
    return tuple(
        Stop(
            here.destination,
            places[here.destination].city,
            minutes_between(start, here.arrival_at),
            minutes_between(here.arrival_at, there.departure_at),
        )
        for here, there in pairwise(segments)
    )


def _legs(segments: Sequence[Segment], names: Names) -> Iterable[Leg]:
    for here, there in zip(segments, (*segments[1:], None), strict=True):
        yield Leg(
            departure_local=here.departure_local,
            arrival_local=here.arrival_local,
            origin=names.places[here.origin],
            destination=names.places[here.destination],
            carrier_name=names.carriers.get(here.carrier, here.carrier),
            flight_number=f"{here.carrier}{here.number}",
            aircraft=names.aircraft.get(here.aircraft, here.aircraft),
            duration_minutes=here.minutes,
            day_shift=_days(here.departure_local, here.arrival_local),
            wait_minutes=minutes_between(here.arrival_at, there.departure_at) if there else 0,
        )


def columns(one: Priced, party: Party, hrefs: Sequence[str] = ()) -> tuple[Column, ...]:
    """Return an itinerary's fares as columns; without `hrefs` they lead nowhere."""
    links = hrefs or [""] * len(one.fares)
    return tuple(_column(fare, href, one, party) for fare, href in zip(one.fares, links, strict=True))


def _column(fare: Fare, href: str, one: Priced, party: Party) -> Column:
    each = sum(line.amount_minor for line in fare.quote.per_type["adult"])
    return Column(
        **_terms(fare),
        href=href,
        total_minor=fare.quote.total_minor,
        each_minor=each if len(party.types) > 1 else None,
        seats_left=one.seats_left,
    )


def terms(fares: Sequence[Fare]) -> tuple[Terms, ...]:
    """Return what the fares promise, without their prices."""
    return tuple(Terms(**_terms(fare)) for fare in fares)


def _terms(fare: Fare) -> dict[str, Any]:
    promised = fare.conditions
    return {
        "brand": fare.brand,
        "cabin_bag": promised.cabin_bag,
        "checked_bags": promised.checked_bags,
        "change_kind": _kind(promised.change_minor),
        "change_fee_minor": promised.change_minor,
        "refund_kind": _kind(promised.refund_minor),
        "refund_fee_minor": promised.refund_minor,
        "seat_choice": _seat(promised),
    }


def _kind(penalty_minor: int | None) -> str:
    if penalty_minor is None:
        return "no"
    return "fee" if penalty_minor else "yes"


def _seat(terms: Conditions) -> str:
    return {"allowed": "yes", "penalty": "fee", "no": "no"}[terms.seat]


def _groups(fares: Sequence[Fare], party: Party) -> Iterable[Group]:
    for kind, count in party.counts.items():
        amounts: dict[tuple[str, str], list[int]] = {}
        for number, fare in enumerate(fares):
            for line in fare.quote.per_type[kind]:
                row = amounts.setdefault((line.code, line.label), [0] * len(fares))
                row[number] += line.amount_minor
        lines = tuple(Line(_(label), tuple(row)) for (_code, label), row in amounts.items())
        yield Group(_each_of(kind, count), lines)


def _each_of(kind: str, count: int) -> str:
    one, many = {
        "adult": (_("1 adult"), _("each of %(num)s adults")),
        "child": (_("1 child"), _("each of %(num)s children")),
        "infant": (_("1 infant on a lap"), _("each of %(num)s infants on a lap")),
    }[kind]
    return one if count == 1 else many % {"num": count}


def chosen_trip(offer: Offer, flights: Sequence[FlightView], change_href: str) -> Trip:
    """Return a direction that is chosen already."""
    first, last = flights[0], flights[-1]
    return Trip(
        id="",
        currency=offer.currency,
        carrier_names=", ".join(dict.fromkeys(flight.carrier_name for flight in flights)),
        flight_numbers=" · ".join(flight.designator for flight in flights),
        departure_local=first.departure_local,
        arrival_local=last.arrival_local,
        origin=first.origin,
        destination=last.destination,
        day_shift=_days(first.departure_local, last.arrival_local),
        duration_minutes=minutes_between(first.departure_at, last.arrival_at),
        stops=tuple(
            Stop(
                here.destination.code,
                here.destination.city,
                minutes_between(first.departure_at, here.arrival_at),
                minutes_between(here.arrival_at, there.departure_at),
            )
            for here, there in pairwise(flights)
        ),
        segments=(),
        brand=offer.brand,
        total_minor=offer.total_minor,
        change_href=change_href,
    )


def facets(found: Found, names: Mapping[str, str], asked: Mapping[str, Sequence[str]]) -> list[FacetView]:
    """Return the questions that narrow this list; `asked` is what is ticked already."""
    made = [_stop_facet(found.stops, asked)] if len(found.stops) > 1 or asked.get("maxStops") else []
    if len(found.airlines) > 1 or asked.get("airlines"):
        made.append(_airline_facet(found.airlines, names, asked.get("airlines", ())))
    for name, legend in (("departs", _("Leaves")), ("arrives", _("Arrives"))):
        made.append(_band_facet(name, legend, asked.get(name, ())))
    return made


def _stop_facet(stops: Sequence[Facet], asked: Mapping[str, Sequence[str]]) -> FacetView:
    count = {one.value: one.count for one in stops}
    ticked = "0" in asked.get("maxStops", ())
    options = (
        Choice("", _("Any"), not ticked, str(sum(count.values()))),
        Choice("0", _("Non-stop"), ticked, str(count.get("0", 0))),
    )
    return FacetView("maxStops", _("Stops"), "radio", options)


def _airline_facet(airlines: Sequence[Facet], names: Mapping[str, str], ticked: Sequence[str]) -> FacetView:
    known = {one.value: one.count for one in airlines} | {code: 0 for code in ticked if code in names}
    known |= {one.value: one.count for one in airlines}
    options = (Choice(code, names.get(code, code), code in ticked, str(count)) for code, count in known.items())
    return FacetView("airlines", _("Airline"), "checkbox", tuple(sorted(options, key=lambda one: one.label)))


def _band_facet(name: str, legend: str, ticked: Sequence[str]) -> FacetView:
    labels = {"00-06": _("0 to 6 h"), "06-12": _("6 to 12 h"), "12-18": _("12 to 18 h"), "18-24": _("18 to 24 h")}
    options = [Choice("", _("Any time"), not ticked, "")]
    options += [Choice(value, label, value in ticked, "") for value, label in labels.items()]
    return FacetView(name, legend, "radio", tuple(options))


def travellers(count: int) -> str:
    """Return what a price is for."""
    return ngettext("for 1 traveller", "for all %(num)s travellers", count) % {"num": count}


def low_text(found: SliceResult, currency: str) -> str:
    """Return the lowest whole price of the page in `currency` as a form writes it, or nothing."""
    totals = [one.fares[0].quote.total_minor for one in found.itineraries if one.priced.currency == currency]
    return decimal_text(min(totals), currency) if totals else ""

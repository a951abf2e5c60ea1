"""What a search finds, and offers as pure data: an itinerary's fares with their lines, packed to travel in a link.

`pack` makes JSON of one itinerary with all its brands; an offer is that plus the number of a brand. What was promised –
steps, lines, labels, conditions – is in it, so that an offer in date is honoured and explained whatever the rows say by
then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from portal.places.queries import Place
from portal.pricing.rules import Conditions, Party, PriceLine, Quote, total_of
from portal.pricing.steps import SegmentPrice, Step, times

VERSION = 2


@dataclass(frozen=True, slots=True, eq=False)
class Fare:
    """A brand of an itinerary with its whole price for the party. Compared by identity: quoting remembers its fares."""

    brand: str
    quote: Quote
    conditions: Conditions

    @property
    def booking_class(self) -> str:
        """The letter that it is sold in."""
        return self.quote.booking_class


@dataclass(frozen=True, slots=True)
class Frozen:
    """One itinerary with all its fares, for a party, from `issued` until `expires` (seconds since 1970)."""

    origin: str
    destination: str
    flight_ids: tuple[int, ...]
    cabin: str
    party: Party
    fares: tuple[Fare, ...]
    issued: int
    expires: int


@dataclass(frozen=True, slots=True)
class Offer:
    """One fare of one itinerary at one price, until `expires_at`. `per_type` holds the lines for one passenger each.

    `pricing` are the printed steps that lead to an adult's fare, as JSON that a booking keeps; see `printed_steps`.
    """

    token: str
    slice_origin: str
    slice_destination: str
    flight_ids: tuple[int, ...]
    cabin: str
    brand: str
    booking_class: str
    fare_basis: str
    party: Party
    currency: str
    total_minor: int
    per_type: dict[str, tuple[PriceLine, ...]]
    conditions: dict[str, Any]
    pricing: list[dict[str, Any]]
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """One flight of an itinerary; `*_local` are wall clocks at each end, `*_at` aware instants."""

    flight_id: int
    public_id: UUID
    carrier: str
    number: int
    origin: str
    destination: str
    departs_on: date
    departure_local: datetime
    arrival_local: datetime
    departure_at: datetime
    arrival_at: datetime
    aircraft: str
    fare_minor: int
    currency: str

    @property
    def minutes(self) -> int:
        """Real minutes from gate to gate."""
        return minutes_between(self.departure_at, self.arrival_at)


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One itinerary as found: its segments, the country it connects in, the seats free on all (9: as many or more).

    `loads` are the stairs of the load rules that its flights stand on, `class_at` the cheapest class open on all.
    Compared by identity: while nothing of it changes, the search finds the same one again.
    """

    segments: tuple[Segment, ...]
    via: str
    free: int
    loads: tuple[int, int]
    class_at: int


@dataclass(frozen=True, slots=True)
class Stock:
    """What pricing needs to know of a flight, and what is left of a cabin on it (nothing where it has none)."""

    flight_id: int
    fare_minor: int
    currency: str
    origin_country: str
    destination_country: str
    departs_on: date
    origin: str
    destination: str
    capacity: int
    free: int
    protections: list[int]


@dataclass(frozen=True, slots=True)
class Facet:
    """One value to narrow by, with how many itineraries have it and the lowest total among them."""

    value: str
    count: int
    low_minor: int


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to an Ask: one page of ways with the place of each in order, whether more follow, how many in all.

    And, where they were asked for, the facets of the day and how many of its non-stop flights have too few seats.
    """

    ways: tuple[Way, ...]
    places: tuple[str, ...]
    more: bool
    total: int
    unfiltered: int = 0
    full: int = 0
    stops: tuple[Facet, ...] = ()
    airlines: tuple[Facet, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """A way with its fares, without the offers that are only good for a time.

    Compared by identity: the search remembers it, and pages and answers remember what they made of it.
    """

    segments: tuple[Segment, ...]
    fares: tuple[Fare, ...]
    seats_left: int

    @property
    def id(self) -> str:
        """An outward name, the same in every search."""
        return ".".join(segment.public_id.hex for segment in self.segments)

    @property
    def currency(self) -> str:
        """The currency of all its fares."""
        return self.fares[0].quote.currency

    @property
    def minutes(self) -> int:
        """Real minutes from the first departure to the last arrival."""
        return minutes_between(self.segments[0].departure_at, self.segments[-1].arrival_at)


@dataclass(frozen=True, slots=True, eq=False)
class Itinerary:
    """One way of a slice with its fares; offer `number` of it is `f"{sealed}~{number}"`, good until `expires`."""

    priced: Priced
    sealed: str
    expires: int

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Its flights, in order."""
        return self.priced.segments

    @property
    def fares(self) -> tuple[Fare, ...]:
        """Its brands, the leanest first."""
        return self.priced.fares

    @property
    def seats_left(self) -> int:
        """The seats free on all its flights; 9 means as many or more."""
        return self.priced.seats_left

    def token(self, number: int) -> str:
        """Return the offer of the fare at `number`."""
        return f"{self.sealed}~{number}"


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """What codes stand for. Compared by identity: while nothing is called anything else, it stays the same object."""

    places: dict[str, Place]
    carriers: dict[str, str]
    aircraft: dict[str, str]


@dataclass(frozen=True, slots=True)
class SliceResult:
    """What was found for one direction; `next_cursor` leads to the rest."""

    origin: Place
    destination: Place
    on: date
    itineraries: tuple[Itinerary, ...]
    next_cursor: str | None
    found: Found


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A search's answer: one entry for each slice, in order, and the names that its codes stand for, among others."""

    currency: str
    party: Party
    cabin: str
    slices: tuple[SliceResult, ...]
    names: Names


@dataclass(frozen=True, slots=True)
class DayPrice:
    """The lowest whole price of a day's non-stop flights for the party, or None where nothing is left to sell."""

    on: date
    currency: str
    total_minor: int | None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A route that leaves soon, at its lowest whole price for one adult."""

    origin: Place
    destination: Place
    on: date
    currency: str
    total_minor: int


def minutes_between(start: datetime, end: datetime) -> int:
    """Return the real minutes between two aware instants; both are UTC, so no clock change hides in between."""
    return int((end - start).total_seconds()) // 60


def pack(frozen: Frozen) -> list[Any]:
    """Return `frozen` as short JSON; `unpack` is its inverse."""
    labels: dict[tuple[str, str], int] = {}
    rules: dict[tuple[Any, ...], int] = {}
    fares = [_pack_fare(fare, labels) for fare in frozen.fares]
    first = frozen.fares[0].quote
    steps = [_pack_segment(one, rules) for one in first.segments]
    party = [frozen.party.adults, frozen.party.children, frozen.party.infants]
    head = [frozen.origin, frozen.destination, list(frozen.flight_ids), frozen.cabin, party]
    words = [[list(label) for label in labels], [list(rule) for rule in rules]]
    return [VERSION, *head, first.currency, *words, steps, fares, frozen.issued, frozen.expires]


def _pack_segment(one: SegmentPrice, rules: dict[tuple[Any, ...], int]) -> list[int]:
    steps = ((step.kind, step.key, step.label, step.factor_bp) for step in one.steps)
    return [one.base_minor, *(rules.setdefault(step, len(rules)) for step in steps)]


def _pack_fare(fare: Fare, labels: dict[tuple[str, str], int]) -> list[Any]:
    quote, terms = fare.quote, fare.conditions
    lines = [
        [
            cell
            for line in of_type
            for cell in (labels.setdefault((line.code, line.label), len(labels)), line.amount_minor)
        ]
        for of_type in quote.per_type.values()
    ]
    kept = [terms.refund_minor, terms.change_minor, terms.seat, int(terms.cabin_bag), terms.checked_bags]
    return [fare.brand, quote.booking_class, quote.fare_basis, quote.brand_bp, kept, lines]


def unpack(packed: Sequence[Any]) -> Frozen:
    """Return what `pack` was given; the text must be one that we signed. Raises ValueError for another version."""
    if packed[0] != VERSION:
        raise ValueError(f"version {packed[0]}")
    _, origin, destination, flights, cabin, party, currency, labels, rules, steps, fares, issued, expires = packed
    who = Party(*party)
    segments = tuple(_unpack_segment(one, rules) for one in steps)
    made = tuple(_unpack_fare(fare, who, currency, labels, segments) for fare in fares)
    return Frozen(origin, destination, tuple(flights), cabin, who, made, issued, expires)


def _unpack_segment(packed: Sequence[int], rules: Sequence[Sequence[Any]]) -> SegmentPrice:
    amount, steps = packed[0], []
    for kind, key, label, factor_bp in (rules[number] for number in packed[1:]):
        amount = times(amount, factor_bp)
        steps.append(Step(kind, key, label, factor_bp, amount))
    return SegmentPrice(packed[0], tuple(steps))


def _unpack_fare(
    packed: Sequence[Any],
    party: Party,
    currency: str,
    labels: Sequence[tuple[str, str]],
    segments: tuple[SegmentPrice, ...],
) -> Fare:
    brand, letter, basis, brand_bp, (refund, change, seat, cabin_bag, bags), lines = packed
    per_type = {
        name: tuple(_line(labels[cells[i]], cells[i + 1]) for i in range(0, len(cells), 2))
        for name, cells in zip(party.counts, lines, strict=True)
    }
    quote = Quote(currency, total_of(per_type, party), per_type, letter, basis, segments, brand_bp)
    return Fare(brand, quote, Conditions(currency, refund, change, seat, bool(cabin_bag), bags))


def _line(label: tuple[str, str], amount_minor: int) -> PriceLine:
    code, words = label
    return PriceLine(code, words, amount_minor)


def offer_of(frozen: Frozen, number: int, token: str) -> Offer:
    """Return the offer of the brand at `number`; raises IndexError."""
    fare = frozen.fares[number]
    return Offer(
        token=token,
        slice_origin=frozen.origin,
        slice_destination=frozen.destination,
        flight_ids=frozen.flight_ids,
        cabin=frozen.cabin,
        brand=fare.brand,
        booking_class=fare.booking_class,
        fare_basis=fare.quote.fare_basis,
        party=frozen.party,
        currency=fare.quote.currency,
        total_minor=fare.quote.total_minor,
        per_type=fare.quote.per_type,
        conditions=fare.conditions.wire(),
        pricing=printed_steps(fare.quote, frozen.flight_ids, fare.brand),
        issued_at=datetime.fromtimestamp(frozen.issued, UTC),
        expires_at=datetime.fromtimestamp(frozen.expires, UTC),
    )


def printed_steps(quote: Quote, flight_ids: Sequence[int], brand: str) -> list[dict[str, Any]]:
    """Return what leads to an adult's fare, step by step as JSON: each flight's base fare and steps, then the brand.

    Every entry has kind, key, label, factorBp, amount (minor units, after the step) and flightId (null for the brand).
    """
    printed = []
    for flight_id, segment in zip(flight_ids, quote.segments, strict=True):
        base = Step("base", "", "", 0, segment.base_minor)
        printed += [_printed(step, flight_id) for step in (base, *segment.steps)]
    whole = sum(segment.fare_minor for segment in quote.segments)
    return [*printed, _printed(Step("brand", brand, brand, quote.brand_bp, times(whole, quote.brand_bp)), None)]


def _printed(step: Step, flight_id: int | None) -> dict[str, Any]:
    words = {"kind": step.kind, "key": step.key, "label": step.label}
    return {"flightId": flight_id, **words, "factorBp": step.factor_bp, "amount": step.amount_minor}

"""What a search finds, and offers as pure data: an itinerary's fares with their lines, packed to travel in a link.

`pack` makes JSON of one itinerary with all its brands; an offer is that plus the number of a brand. What was promised –
lines, labels, conditions – is in it, so that an offer in date is honoured whatever the rows say by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from portal.places.queries import Place
from portal.pricing.rules import Conditions, Party, PriceLine, Quote, total_of

VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Fare:
    """A brand of an itinerary with its whole price for the party. Compared by identity: quoting remembers its fares."""

    brand: str
    booking_class: str
    quote: Quote
    conditions: Conditions


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
    """One fare of one itinerary at one price, until `expires_at`. `per_type` holds the lines for one passenger each."""

    token: str
    slice_origin: str
    slice_destination: str
    flight_ids: tuple[int, ...]
    cabin: str
    brand: str
    booking_class: str
    party: Party
    currency: str
    total_minor: int
    per_type: dict[str, tuple[PriceLine, ...]]
    conditions: dict[str, Any]
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


@dataclass(frozen=True, slots=True)
class Way:
    """One itinerary as found: its segments, the country it connects in, the seats free on all, its place in order."""

    segments: tuple[Segment, ...]
    via: str
    free: int
    place: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Facet:
    """One value to narrow by, with how many itineraries have it and the lowest total among them."""

    value: str
    count: int
    low_minor: int


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to an Ask: one page of ways, whether more follow, how many in all, and the facets of the day."""

    ways: tuple[Way, ...]
    more: bool
    total: int
    unfiltered: int = 0
    stops: tuple[Facet, ...] = ()
    airlines: tuple[Facet, ...] = ()


@dataclass(frozen=True, slots=True)
class Itinerary:
    """One way of a slice with its fares; offer `number` of it is `f"{sealed}~{number}"`."""

    segments: tuple[Segment, ...]
    fares: tuple[Fare, ...]
    seats_left: int
    sealed: str
    expires: int

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

    def token(self, number: int) -> str:
        """Return the offer of the fare at `number`."""
        return f"{self.sealed}~{number}"


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
    """A search's answer: one entry for each slice, in order, and the names that its codes stand for."""

    currency: str
    party: Party
    cabin: str
    slices: tuple[SliceResult, ...]
    places: dict[str, Place]
    carriers: dict[str, str]
    aircraft: dict[str, str]


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
    fares = [_pack_fare(fare, labels) for fare in frozen.fares]
    party = [frozen.party.adults, frozen.party.children, frozen.party.infants]
    head = [frozen.origin, frozen.destination, list(frozen.flight_ids), frozen.cabin, party]
    currency = frozen.fares[0].quote.currency
    return [VERSION, *head, currency, [list(label) for label in labels], fares, frozen.issued, frozen.expires]


def _pack_fare(fare: Fare, labels: dict[tuple[str, str], int]) -> list[Any]:
    lines = [
        [
            cell
            for line in of_type
            for cell in (labels.setdefault((line.code, line.label), len(labels)), line.amount_minor)
        ]
        for of_type in fare.quote.per_type.values()
    ]
    terms = fare.conditions
    kept = [terms.refund_minor, terms.change_minor, terms.seat, int(terms.cabin_bag), terms.checked_bags]
    return [fare.brand, fare.booking_class, kept, lines]


def unpack(packed: Sequence[Any]) -> Frozen:
    """Return what `pack` was given; the text must be one that we signed. Raises ValueError for another version."""
    if packed[0] != VERSION:
        raise ValueError(f"version {packed[0]}")
    _, origin, destination, flights, cabin, party, currency, labels, fares, issued, expires = packed
    who = Party(*party)
    made = tuple(_unpack_fare(fare, who, currency, labels) for fare in fares)
    return Frozen(origin, destination, tuple(flights), cabin, who, made, issued, expires)


def _unpack_fare(packed: Sequence[Any], party: Party, currency: str, labels: Sequence[tuple[str, str]]) -> Fare:
    brand, booking_class, (refund, change, seat, cabin_bag, bags), lines = packed
    per_type = {
        name: tuple(_line(labels[cells[i]], cells[i + 1]) for i in range(0, len(cells), 2))
        for name, cells in zip(party.counts, lines, strict=True)
    }
    terms = Conditions(currency, refund, change, seat, bool(cabin_bag), bags)
    return Fare(brand, booking_class, Quote(currency, total_of(per_type, party), per_type), terms)


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
        party=frozen.party,
        currency=fare.quote.currency,
        total_minor=fare.quote.total_minor,
        per_type=fare.quote.per_type,
        conditions=fare.conditions.wire(),
        issued_at=datetime.fromtimestamp(frozen.issued, UTC),
        expires_at=datetime.fromtimestamp(frozen.expires, UTC),
    )

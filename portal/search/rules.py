"""Offers as pure data: one itinerary's fares frozen with their lines, packed small enough to travel in a link.

`pack` makes JSON of one itinerary with all its brands; an offer is that plus the number of a brand. What was promised –
lines, labels, conditions – is in it, so that an offer in date is honoured whatever the rows say by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portal.pricing.rules import Conditions, Party, PriceLine, Quote, total_of

VERSION = 1


@dataclass(frozen=True, slots=True)
class Fare:
    """A brand of an itinerary with its whole price for the party."""

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

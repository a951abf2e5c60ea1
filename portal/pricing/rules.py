"""What a journey costs: fare by brand and kind of traveller, then taxes by code; every amount in whole minor units.

A quote is made of lines for ONE passenger of each type, and its total is the sum of count × lines, to the cent. So a
price never depends on the order of the passengers or on how a party is split.

- fare: what each segment comes to (pricing.steps), together, times the brand's factor, half a cent up; a child pays
  75 %, an infant on a lap 10 % of an adult's fare. All segments are sold in one booking class: the cheapest that is
  open on every one of them for the whole party.
- percent taxes: their rates together on that passenger's fare, rounded once, then split by rate.
- fixed taxes: once for a direction (per_passenger) or for each segment they hold on (per_segment, up to `at_most`).
  They are turned into the fare's currency one by one.
- A tax holds when it is valid on the day the journey begins. A journey is domestic when it never leaves one country.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from typing import Any

from portal.kit.money import Money, digits, share, split
from portal.pricing.errors import MixedCurrencies, NoRate, UnknownBrand
from portal.pricing.steps import FLOOR, NO_RULES, WHOLE_BP, FareClass, Lane, SegmentPrice, Tariff, fare_basis, times

TYPES = ("adult", "child", "infant")
FARE_PERCENT = {"adult": 100, "child": 75, "infant": 10}
HOME_CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class Party:
    """Who travels. An infant sits on an adult's lap and takes no seat."""

    adults: int = 1
    children: int = 0
    infants: int = 0

    @property
    def seats(self) -> int:
        """How many seats the party takes."""
        return self.adults + self.children

    @property
    def counts(self) -> dict[str, int]:
        """How many travel of each type, without the types that nobody is."""
        all_types = zip(TYPES, (self.adults, self.children, self.infants), strict=True)
        return {name: count for name, count in all_types if count}

    @property
    def types(self) -> tuple[str, ...]:
        """The type of each passenger, adults first."""
        return tuple(name for name, count in self.counts.items() for _ in range(count))


@dataclass(frozen=True, slots=True)
class SegmentFare:
    """What pricing needs to know of a flight: its base fare for an adult in economy, where, and when (local day).

    `load_at` is the stair of the cabin's Ladder that it stands on.
    """

    fare_minor: int
    currency: str
    origin_country: str
    destination_country: str
    departs_on: date
    origin: str = ""
    destination: str = ""
    load_at: int = 0


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of a price, for one passenger."""

    code: str
    label: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A whole price: `per_type` holds the lines for one passenger of each type that travels.

    `segments` are the printed steps of each flight's fare; their sum times `brand_bp` is an adult's fare.
    """

    currency: str
    total_minor: int
    per_type: dict[str, tuple[PriceLine, ...]]
    booking_class: str = ""
    fare_basis: str = ""
    segments: tuple[SegmentPrice, ...] = ()
    brand_bp: int = WHOLE_BP


@dataclass(frozen=True, slots=True)
class Sale:
    """When something is sold, and in which class: its place in the cabin's classes, counted from the dearest."""

    on: date
    class_at: int


@dataclass(frozen=True, slots=True)
class Brand:
    """A fare brand in a cabin; terms are allowed, penalty or no; penalties are in US cents."""

    cabin: str
    brand: str
    position: int
    booking_class: str
    factor_bp: int
    cabin_bag: bool
    checked_bags: int
    seat: str
    refund: str
    refund_penalty_minor: int
    change: str
    change_penalty_minor: int


@dataclass(frozen=True, slots=True)
class TaxRule:
    """A tax as its row says; see pricing.models.Tax."""

    code: str
    label: str
    kind: str
    amount: int
    currency: str
    origins: frozenset[str] | None
    destinations: frozenset[str] | None
    elsewhere: bool
    domestic: bool | None
    economy: bool | None
    children_pay: bool
    infants_pay: bool
    at_most: int | None
    valid_from: date
    valid_to: date | None

    def holds(self, origin: str, destination: str, *, domestic: bool, cabin: str, on: date) -> bool:
        """True where this tax is due between two countries, in a cabin, on a day."""
        return (
            self.valid_from <= on
            and (self.valid_to is None or on <= self.valid_to)
            and self.domestic in (None, domestic)
            and self.economy in (None, cabin == "economy")
            and (self.origins is None or origin in self.origins)
            and (self.destinations is None or (destination in self.destinations) is not self.elsewhere)
        )

    def due_from(self, passenger: str) -> bool:
        """True when a passenger of this type pays it."""
        return {"adult": True, "child": self.children_pay, "infant": self.infants_pay}[passenger]


@dataclass(frozen=True, slots=True)
class Levies:
    """What one type of passenger pays on top of the fare: rates on it, and fixed lines in the fare's currency."""

    rates: tuple[tuple[str, str, int], ...]
    fixed: tuple[PriceLine, ...]

    @property
    def rate_bp(self) -> int:
        """All rates together, in basis points."""
        return sum(bp for _, _, bp in self.rates)

    @property
    def fixed_minor(self) -> int:
        """All fixed lines together."""
        return sum(line.amount_minor for line in self.fixed)


Chain = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PriceBook:
    """The brands and exchange rates that hold for sales of one day, and all taxes, which say their days themselves.

    Remembers the levies of journeys it was asked about.
    """

    brands: Mapping[tuple[str, str], Brand]
    taxes: tuple[TaxRule, ...]
    rates: Mapping[str, int]
    tariff: Tariff = field(default_factory=Tariff, repr=False)
    known: dict[tuple[Chain, date, str, str], dict[str, Levies]] = field(default_factory=dict, repr=False)

    def brand(self, cabin: str, brand: str) -> Brand:
        """Return the brand; raises UnknownBrand."""
        found = self.brands.get((cabin, brand))
        if found is None:
            raise UnknownBrand(f"There is no {brand} fare in {cabin}.")
        return found

    def in_cabin(self, cabin: str) -> list[Brand]:
        """Return a cabin's brands, the leanest first."""
        return sorted((one for one in self.brands.values() if one.cabin == cabin), key=lambda one: one.position)

    def converted(self, minor: int, currency: str, into: str) -> int:
        """Return the amount in another currency's minor units, half up; raises NoRate."""
        if currency == into:
            return minor
        if currency not in self.rates or into not in self.rates:
            raise NoRate(f"No exchange rate from {currency} to {into} is known.")
        numerator = self.rates[into] * 10 ** digits(into)
        return share(minor, numerator, self.rates[currency] * 10 ** digits(currency))

    def levies(self, chain: Chain, *, on: date, cabin: str, currency: str) -> dict[str, Levies]:
        """Return what each type of passenger pays on top of the fare, for a journey through the countries of `chain`.

        Raises NoRate when a tax that is due cannot be turned into `currency`.
        """
        key = (chain, on, cabin, currency)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = _levies(self, chain, on, cabin, currency)
        return found


def _levies(book: PriceBook, chain: Chain, on: date, cabin: str, currency: str) -> dict[str, Levies]:
    due = [(tax, times) for tax in book.taxes if (times := _times(tax, chain, on, cabin))]
    return {passenger: _levies_of(book, due, passenger, currency) for passenger in TYPES}


def _times(tax: TaxRule, chain: Chain, on: date, cabin: str) -> int:
    domestic = len(set(chain)) == 1
    hops = list(pairwise(chain)) if tax.kind == "per_segment" else [(chain[0], chain[-1])]
    count = sum(tax.holds(here, there, domestic=domestic, cabin=cabin, on=on) for here, there in hops)
    return count if tax.at_most is None else min(count, tax.at_most)


def _levies_of(book: PriceBook, due: Sequence[tuple[TaxRule, int]], passenger: str, currency: str) -> Levies:
    mine = [(tax, times) for tax, times in due if tax.due_from(passenger)]
    rates = tuple((tax.code, tax.label, tax.amount) for tax, _ in mine if tax.kind == "percent")
    fixed = (
        PriceLine(tax.code, tax.label, book.converted(tax.amount, tax.currency, currency) * times)
        for tax, times in mine
        if tax.kind != "percent"
    )
    return Levies(rates, tuple(line for line in fixed if line.amount_minor))


def quote(
    book: PriceBook,
    segments: Sequence[SegmentFare],
    *,
    cabin: str,
    brand: str,
    party: Party,
    sale: Sale | None = None,
) -> Quote:
    """Return the whole price of one direction for `party`; raises UnknownBrand, MixedCurrencies or NoRate.

    Without a `sale` the base fares stand as they are, and the class is the one that the brand is filed in.
    """
    one_currency(segments)
    lanes = [_lane(book, segment, cabin, sale) for segment in segments]
    fare_class = _class(book, cabin, sale)
    ladder = book.tariff.ladder(cabin=cabin, today=sale.on) if sale else FLOOR
    priced = tuple(
        book.tariff.price(segment.fare_minor, lane, ladder.rules[segment.load_at], fare_class)
        for segment, lane in zip(segments, lanes, strict=True)
    )
    made = quote_of(book, sum(one.fare_minor for one in priced), segments, cabin=cabin, brand=brand, party=party)
    letter = made.booking_class if fare_class is None else fare_class.letter
    return replace(made, booking_class=letter, fare_basis=fare_basis(letter, lanes[0], brand), segments=priced)


def _lane(book: PriceBook, segment: SegmentFare, cabin: str, sale: Sale | None) -> Lane:
    if sale is None:
        return NO_RULES
    return book.tariff.lane(segment.origin, segment.destination, cabin=cabin, on=segment.departs_on, today=sale.on)


def _class(book: PriceBook, cabin: str, sale: Sale | None) -> FareClass | None:
    classes = book.tariff.classes.get(cabin, ())
    return classes[sale.class_at] if sale and classes else None


def quote_of(
    book: PriceBook, fare_minor: int, segments: Sequence[SegmentFare], *, cabin: str, brand: str, party: Party
) -> Quote:
    """Return the whole price where the segments come to `fare_minor` already; raises UnknownBrand or NoRate."""
    sold, currency = book.brand(cabin, brand), segments[0].currency
    fare = times(fare_minor, sold.factor_bp)
    levies = book.levies(chain_of(segments), on=segments[0].departs_on, cabin=cabin, currency=currency)
    per_type = {name: _lines(fare, name, levies[name]) for name in party.counts}
    return Quote(currency, total_of(per_type, party), per_type, sold.booking_class, brand_bp=sold.factor_bp)


def one_currency(segments: Sequence[SegmentFare]) -> str:
    """Return the currency of all segments; raises MixedCurrencies."""
    currencies = {segment.currency for segment in segments}
    if len(currencies) > 1:
        raise MixedCurrencies(f"{' and '.join(sorted(currencies))} cannot stand in one price.")
    return segments[0].currency


def chain_of(segments: Sequence[SegmentFare]) -> Chain:
    """Return the countries that a journey touches, in order."""
    return (segments[0].origin_country, *(segment.destination_country for segment in segments))


def total_of(per_type: Mapping[str, Sequence[PriceLine]], party: Party) -> int:
    """Return the sum of count × lines."""
    counts = party.counts
    return sum(counts[name] * sum(line.amount_minor for line in lines) for name, lines in per_type.items())


def _lines(adult_fare: int, passenger: str, levies: Levies) -> tuple[PriceLine, ...]:
    fare = share(adult_fare, FARE_PERCENT[passenger], 100)
    return (PriceLine("fare", "Fare", fare), *_percents(fare, levies), *levies.fixed)


def _percents(fare: int, levies: Levies) -> list[PriceLine]:
    if not levies.rates:
        return []
    parts = split(share(fare, levies.rate_bp, WHOLE_BP), [bp for _, _, bp in levies.rates])
    lines = (PriceLine(code, label, part) for (code, label, _), part in zip(levies.rates, parts, strict=True))
    return [line for line in lines if line.amount_minor]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a brand promises: a penalty of None means not allowed, of 0 free; `seat` is allowed, penalty or no."""

    currency: str
    refund_minor: int | None
    change_minor: int | None
    seat: str
    cabin_bag: bool
    checked_bags: int

    def wire(self) -> dict[str, Any]:
        """Return the form that the API speaks and that a booking keeps."""
        return {
            "refund": self._term(self.refund_minor),
            "change": self._term(self.change_minor),
            "seat": {"allowed": self.seat != "no", "included": self.seat == "allowed"},
            "cabinBag": self.cabin_bag,
            "checkedBags": self.checked_bags,
        }

    def _term(self, penalty_minor: int | None) -> dict[str, Any]:
        penalty = None if penalty_minor is None else Money(penalty_minor, self.currency).wire()
        return {"allowed": penalty is not None, "penalty": penalty}


def conditions(book: PriceBook, brand: Brand, currency: str) -> Conditions:
    """Return what the brand promises, its penalties in `currency`."""

    def penalty(term: str, minor: int) -> int | None:
        return {"no": None, "allowed": 0}.get(term, book.converted(minor, HOME_CURRENCY, currency))

    return Conditions(
        currency=currency,
        refund_minor=penalty(brand.refund, brand.refund_penalty_minor),
        change_minor=penalty(brand.change, brand.change_penalty_minor),
        seat=brand.seat,
        cabin_bag=brand.cabin_bag,
        checked_bags=brand.checked_bags,
    )

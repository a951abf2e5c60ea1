"""Search, and the offers it hands out. Searching writes nothing; an offer in date is honoured at its price."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import URL
from sqlalchemy.orm import Session

from portal.kit import clock, money, signing
from portal.kit.errors import FieldError, Invalid, NotFound
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.places.queries import Place
from portal.pricing.rules import Party, PriceBook, Sale, SegmentFare, conditions, quote, quote_of
from portal.pricing.service import load_book
from portal.search import queries
from portal.search.errors import OfferExpired, OfferUnknown
from portal.search.forms import Criteria, SliceWish
from portal.search.lanes import days_of, factors, levies
from portal.search.queries import Ask, Network
from portal.search.rules import (
    DayPrice,
    Fare,
    Found,
    Frozen,
    Itinerary,
    Offer,
    Priced,
    SearchResult,
    SliceResult,
    Stock,
    Suggestion,
    Way,
    offer_of,
    pack,
    unpack,
)

OFFER, CURSOR = "offer", "search.cursor"
OFFER_STEP_SECONDS = 15
LONGEST_TOKEN = 4096
SOLD_DAYS_AHEAD = 360
LINES_CLOSE = timedelta(hours=6)  # as in portal.watches.rules, which stands above
SUGGESTIONS, SUGGESTION_SECONDS = 6, 300
_suggestions: dict[URL, tuple[float, list[Suggestion]]] = {}


def search(
    session: Session,
    criteria: Criteria,
    *,
    settings: Settings,
    only: int | None = None,
    currency: str | None = None,
    leaves_after: datetime | None = None,
    facets: bool = False,
) -> SearchResult:
    """Return the itineraries of each slice with a signed offer for each brand; raises Invalid, naming the wrong field.

    Sorted by `criteria.sort`: price (the leanest brand for the whole party), duration, departure, arrival; or best:
    price against the cheapest plus duration against the quickest of what matches, plus 0.2 for a stop. `only` answers
    that slice alone, `currency` leaves out what is sold in another, `leaves_after` what leaves earlier, and `facets`
    adds what the list could be narrowed by, and how much of the day is full.
    """
    net, book = queries.network(session), load_book(session)
    places = net.places(session, {code for wish in criteria.slices for code in (wish.origin, wish.destination)})
    _check(criteria, places)
    turn, after = _read_cursor(settings, criteria)
    slices = []
    for position, wish in enumerate(criteria.slices):
        if only in (None, position):
            ask = _ask(criteria, wish, places=places, net=net, book=book, main=settings.currency)
            limits = {"only_currency": currency, "leaves_after": leaves_after}
            filters = ask.filters | {name: value for name, value in limits.items() if value is not None}
            closes = clock.now() + LINES_CLOSE if facets else None
            ask = replace(ask, filters=filters, after=after if position == turn else None, lines_close_at=closes)
            slices.append(_slice(queries.ways(session, ask), criteria, position, ask, book, settings))
    net.places(session, _codes(slices))
    chief = currency or next((one.priced.currency for made in slices for one in made.itineraries), settings.currency)
    return SearchResult(chief, criteria.party, criteria.cabin, tuple(slices), net.names)


def _codes(slices: Sequence[SliceResult]) -> set[str]:
    segments = [segment for made in slices for one in made.itineraries for segment in one.segments]
    return {code for segment in segments for code in (segment.origin, segment.destination)}


def _check(criteria: Criteria, places: dict[str, Place]) -> None:
    problems: list[FieldError] = []
    for position, wish in enumerate(criteria.slices):
        fields = [f"slice.{position}"] * 3 if criteria.listed else _fields(position)
        for name, code in zip(fields, (wish.origin, wish.destination), strict=False):
            if code not in places:
                problems.append(FieldError(name, _("There is no airport with the code %(code)s.") % {"code": code}))
        if wish.origin in places:
            problems += _wrong_day(fields[2], wish.on, places[wish.origin])
    if problems:
        raise Invalid(errors=problems)


def _fields(position: int) -> list[str]:
    return ["origin", "destination", "departureDate"] if position == 0 else ["destination", "origin", "returnDate"]


def _wrong_day(name: str, on: date, origin: Place) -> list[FieldError]:
    today = clock.now().astimezone(ZoneInfo(origin.time_zone)).date()
    if on < today:
        return [FieldError(name, _("This day is over. Please choose today or a later one."))]
    if on > today + timedelta(days=SOLD_DAYS_AHEAD):
        days = {"days": SOLD_DAYS_AHEAD}
        return [FieldError(name, _("Flights are sold up to %(days)d days ahead. Please choose an earlier day.") % days)]
    return []


def _read_cursor(settings: Settings, criteria: Criteria) -> tuple[int, tuple[int, ...] | None]:
    if criteria.cursor is None:
        return 0, None
    try:
        position, sort, *place = signing.unseal(settings, CURSOR, criteria.cursor)
    except ValueError:
        raise Invalid(errors=[FieldError("cursor", _("This cursor is not one of ours."))]) from None
    if sort != criteria.sort or position >= len(criteria.slices):
        raise Invalid(errors=[FieldError("cursor", _("This cursor belongs to another search."))])
    return position, tuple(place)


def _ask(
    criteria: Criteria,
    wish: SliceWish,
    *,
    places: dict[str, Place],
    net: Network,
    book: PriceBook,
    main: str,
) -> Ask:
    ends = places[wish.origin], places[wish.destination]
    party = criteria.party
    return Ask(
        origin=ends[0],
        destination=ends[1],
        on=wish.on,
        today=_today(),
        cabin=criteria.cabin,
        seats=party.seats,
        counts=(party.adults, party.children, party.infants),
        max_stops=criteria.max_stops,
        factor_bp=book.in_cabin(criteria.cabin)[0].factor_bp,
        levies=levies(
            book,
            (ends[0].country, ends[1].country),
            on=wish.on,
            cabin=criteria.cabin,
            party=party,
            vias=net.countries if criteria.max_stops else (),
            currencies=net.currencies,
            main=main,
        ),
        factors=factors(
            book.tariff,
            wish.origin,
            wish.destination,
            cabin=criteria.cabin,
            on=wish.on,
            today=_today(),
            stops=criteria.max_stops > 0,
        ),
        priceable=tuple(book.rates),
        filters=_filters(criteria, main),
        sort=criteria.sort,
        limit=criteria.limit,
    )


def _filters(criteria: Criteria, main: str) -> dict[str, Any]:
    highest = None if criteria.max_price is None else int(criteria.max_price.scaleb(money.digits(main)))
    wanted = {
        "airlines": sorted(criteria.airlines) or None,
        "depart_after": criteria.depart_after,
        "depart_before": criteria.depart_before,
        "arrive_after": criteria.arrive_after,
        "arrive_before": criteria.arrive_before,
        "max_minutes": criteria.max_minutes,
        "max_total": highest,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _today() -> date:
    """Return the day of sale: of UTC, the same for everybody."""
    return clock.now().date()


def _slice(
    found: Found, criteria: Criteria, position: int, ask: Ask, book: PriceBook, settings: Settings
) -> SliceResult:
    desk = _desk(settings, book, (ask.origin, ask.destination), ask.cabin, criteria.party, ask.today)
    issued, cursor = _issued(), None
    itineraries = tuple(_itinerary(desk, way, issued) for way in found.ways)
    if found.more:
        place = map(int, found.places[-1].split())
        cursor = signing.seal(settings, CURSOR, [position, criteria.sort, *place])
    return SliceResult(ask.origin, ask.destination, ask.on, itineraries, cursor, found)


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """What all ways of a slice are priced and sealed with. Compared by identity: the same again for the same."""

    settings: Settings
    book: PriceBook
    ends: tuple[Place, Place]
    cabin: str
    party: Party
    today: date


_desk = lru_cache(maxsize=512)(Desk)


@lru_cache(maxsize=8192)
def _itinerary(desk: Desk, way: Way, issued: int) -> Itinerary:
    """Return the way with its fares and its offers; the desk and the way are all that these depend on."""
    ends, priced = desk.ends, _priced(desk, way)
    flight_ids = tuple(segment.flight_id for segment in way.segments)
    parts = (ends[0].code, ends[1].code, flight_ids, desk.cabin, desk.party, priced.fares)
    expires = issued + desk.settings.offer_minutes * 60
    return Itinerary(priced, signing.seal(desk.settings, OFFER, pack(Frozen(*parts, issued, expires))), expires)


@lru_cache(maxsize=8192)
def _priced(desk: Desk, way: Way) -> Priced:
    sale = Sale(desk.today, way.class_at)
    fares = _fares(desk.book, _segment_fares(desk.ends, way), desk.cabin, desk.party, sale)
    return Priced(way.segments, fares, way.free)


def _issued() -> int:
    """Return when an offer made now begins, in seconds since 1970: up to 15 seconds ago, so that it is sealed once."""
    now = int(clock.now().timestamp())
    return now - now % OFFER_STEP_SECONDS


def _segment_fares(ends: tuple[Place, Place], way: Way) -> tuple[SegmentFare, ...]:
    chain = (ends[0].country, *([way.via] if way.via else []), ends[1].country)
    return tuple(
        SegmentFare(one.fare_minor, one.currency, here, there, one.departs_on, one.origin, one.destination, load)
        for one, here, there, load in zip(way.segments, chain, chain[1:], way.loads, strict=False)
    )


@lru_cache(maxsize=8192)
def _fares(
    book: PriceBook, segments: tuple[SegmentFare, ...], cabin: str, party: Party, sale: Sale
) -> tuple[Fare, ...]:
    return tuple(
        Fare(
            brand=brand.brand,
            quote=quote(book, segments, cabin=cabin, brand=brand.brand, party=party, sale=sale),
            conditions=conditions(book, brand, segments[0].currency),
        )
        for brand in book.in_cabin(cabin)
    )


def _fares_of(book: PriceBook, stocks: Sequence[Stock], cabin: str, party: Party) -> tuple[Fare, ...]:
    """Return the fares of flights as they stand, in the cheapest class that is open on all for the whole party."""
    today, tariff = _today(), book.tariff
    ladder = tariff.ladder(cabin=cabin, today=today)
    segments = tuple(
        SegmentFare(
            one.fare_minor,
            one.currency,
            one.origin_country,
            one.destination_country,
            one.departs_on,
            one.origin,
            one.destination,
            ladder.at(one.capacity, one.free),
        )
        for one in stocks
    )
    class_at = min(tariff.class_at(cabin, one.protections, one.free - party.seats) for one in stocks)
    return _fares(book, segments, cabin, party, Sale(today, class_at))


def read_offer(settings: Settings, token: str) -> Offer:
    """Return the offer that `token` is; raises OfferUnknown for what we did not make, OfferExpired past its time."""
    sealed, _mark, number = token.rpartition("~")
    if len(token) > LONGEST_TOKEN or not (number.isascii() and number.isdecimal() and len(number) < 3):
        raise OfferUnknown(_("Please search again and choose a fare from the list."))
    try:
        offer = offer_of(unpack(signing.unseal(settings, OFFER, sealed)), int(number), token)
    except (ValueError, IndexError):
        raise OfferUnknown(_("Please search again and choose a fare from the list.")) from None
    if offer.expires_at <= clock.now():
        minutes = {"minutes": round((offer.expires_at - offer.issued_at).total_seconds() / 60)}
        words = _("We keep a price for %(minutes)d minutes. Please search again: you will see today's price.")
        raise OfferExpired(words % minutes, offer=offer)
    return offer


def reprice(session: Session, offer: Offer, *, settings: Settings) -> Offer:
    """Return a fresh offer for the same flights, cabin, brand and party at today's price.

    Raises NotFound when a flight has left the timetable, UnknownBrand when the brand is no longer sold.
    """
    stocks = queries.segment_fares(session, offer.flight_ids, offer.cabin)
    if len(stocks) < len(offer.flight_ids):
        raise NotFound(_("One of these flights is no longer in the timetable."))
    book = load_book(session)
    book.brand(offer.cabin, offer.brand)
    fares = _fares_of(book, stocks, offer.cabin, offer.party)
    ends = offer.slice_origin, offer.slice_destination
    issued = _issued()
    frozen = Frozen(
        *ends, offer.flight_ids, offer.cabin, offer.party, fares, issued, issued + settings.offer_minutes * 60
    )
    number = [fare.brand for fare in fares].index(offer.brand)
    return offer_of(frozen, number, f"{signing.seal(settings, OFFER, pack(frozen))}~{number}")


def day_prices(
    session: Session,
    origin: str,
    destination: str,
    days: Sequence[date],
    *,
    settings: Settings,
    cabin: str = "economy",
    party: Party = Party(),  # noqa: B008 – a frozen value
) -> list[DayPrice]:
    """Return the lowest price of each of `days`, which follow each other; raises Invalid for an unknown airport."""
    places = queries.network(session).places(session, (origin, destination))
    for name, code in (("origin", origin), ("destination", destination)):
        if code not in places:
            raise Invalid(errors=[FieldError(name, _("There is no airport with the code %(code)s.") % {"code": code})])
    book, countries = load_book(session), (places[origin].country, places[destination].country)
    today, pair = _today(), (origin, destination)
    counted = factors(book.tariff, *pair, cabin=cabin, on=days[0], today=today, stops=False)
    lanes = days_of(book.tariff, *pair, days, cabin=cabin, today=today)
    span, brand = (days[0], days[-1]), book.in_cabin(cabin)[0].brand
    found = queries.cheapest(
        session, origin, destination, span, cabin=cabin, seats=party.seats, factors=counted, lanes=lanes
    )
    lowest: dict[date, DayPrice] = {}
    for on, currency, fare in found:
        if currency in book.rates:
            whole = (SegmentFare(fare, currency, *countries, on),)
            total = quote_of(book, fare, whole, cabin=cabin, brand=brand, party=party).total_minor
            lowest.setdefault(on, DayPrice(on, currency, total))
    return [lowest.get(on, DayPrice(on, settings.currency, None)) for on in days]


def cheapest_days(
    session: Session, criteria: Criteria, position: int, days: Sequence[date], *, settings: Settings
) -> list[DayPrice]:
    """Return the lowest price of each day for one slice of a search without its filters, connections included."""
    wish = criteria.slices[position]
    plain = Criteria((wish,), criteria.party, criteria.cabin, sort="price", limit=1)
    prices = []
    for on in days:
        asked = replace(plain, slices=(replace(wish, on=on),))
        found = search(session, asked, settings=settings).slices[0].itineraries
        total = found[0].fares[0].quote.total_minor if found else None
        prices.append(DayPrice(on, found[0].priced.currency if found else settings.currency, total))
    return prices


def leaving_soon(session: Session) -> list[Suggestion]:
    """Return a few routes of the coming days, each from another place, at most five minutes old."""
    key = session.get_bind().engine.url
    read_at, known = _suggestions.get(key, (0.0, []))
    if not known or time.monotonic() - read_at > SUGGESTION_SECONDS:
        known = _suggest(session)
        _suggestions[key] = (time.monotonic(), known)
    return known


def _suggest(session: Session) -> list[Suggestion]:
    stocks, net, book = queries.leaving_soon(session), queries.network(session), load_book(session)
    lowest: dict[tuple[str, str], tuple[int, Stock]] = {}
    for one in stocks:
        if one.currency in book.rates:
            total = _fares_of(book, [one], "economy", Party())[0].quote.total_minor
            ends = one.origin, one.destination
            lowest[ends] = min(lowest.get(ends, (total, one)), (total, one), key=lambda pair: pair[0])
    places = net.places(session, {code for ends in lowest for code in ends})
    found: dict[str, Suggestion] = {}
    for (origin, destination), (total, one) in lowest.items():
        if not {origin, destination} & set(found) and len(found) < 2 * SUGGESTIONS:
            ends_of = places[origin], places[destination]
            found[origin] = found[destination] = Suggestion(*ends_of, one.departs_on, one.currency, total)
    return list(dict.fromkeys(found.values()))

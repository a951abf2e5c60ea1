"""Search, and the offers it hands out. Searching writes nothing; an offer in date is honoured at its price."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from portal.kit import clock, money, signing
from portal.kit.errors import FieldError, Invalid, NotFound
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.places.queries import Place
from portal.pricing.rules import TYPES, Party, PriceBook, SegmentFare, conditions, quote
from portal.pricing.service import load_book
from portal.search import queries
from portal.search.errors import OfferExpired, OfferUnknown
from portal.search.forms import Criteria, SliceWish
from portal.search.queries import Ask, LevyRow, Network
from portal.search.rules import (
    DayPrice,
    Fare,
    Found,
    Frozen,
    Itinerary,
    Offer,
    SearchResult,
    SliceResult,
    Suggestion,
    Way,
    offer_of,
    pack,
    unpack,
)

OFFER, CURSOR = "offer", "search.cursor"
MOST_SEATS_SHOWN = 9
OFFER_STEP_SECONDS = 15
LONGEST_TOKEN = 4096
SOLD_DAYS_AHEAD = 360
SUGGESTIONS, SUGGESTION_SECONDS = 6, 300
_suggestions: dict[str, tuple[float, list[Suggestion]]] = {}


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
    adds what the list could be narrowed by.
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
            ask = replace(ask, filters=filters, after=after if position == turn else None, facets=facets)
            slices.append(_slice(queries.ways(session, ask), criteria, position, ask, book=book, settings=settings))
    names = places | net.places(session, _codes(slices))
    chief = currency or next((one.currency for made in slices for one in made.itineraries), settings.currency)
    return SearchResult(chief, criteria.party, criteria.cabin, tuple(slices), names, net.carriers, net.aircraft)


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
        cabin=criteria.cabin,
        seats=party.seats,
        counts=(party.adults, party.children, party.infants),
        max_stops=criteria.max_stops,
        factor_bp=book.in_cabin(criteria.cabin)[0].factor_bp,
        levies=tuple(_levy_rows(book, criteria, wish, ends, net=net, main=main)),
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


def _levy_rows(
    book: PriceBook, criteria: Criteria, wish: SliceWish, ends: tuple[Place, Place], *, net: Network, main: str
) -> Iterator[LevyRow]:
    vias = ("", *(net.countries if criteria.max_stops else ()))
    for currency in {main, *net.currencies}:
        if currency not in book.rates:
            continue
        weight = book.converted(10**9, currency, main) / 10**9
        for via in vias:
            chain = (ends[0].country, *([via] if via else []), ends[1].country)
            levies = book.levies(chain, on=wish.on, cabin=criteria.cabin, currency=currency)
            counts = criteria.party.counts
            fixed = sum(count * levies[name].fixed_minor for name, count in counts.items())
            adult, child, infant = (levies[name].rate_bp for name in TYPES)
            yield LevyRow(via, currency, adult, child, infant, fixed, weight)


def _slice(
    found: Found, criteria: Criteria, position: int, ask: Ask, *, book: PriceBook, settings: Settings
) -> SliceResult:
    itineraries = tuple(_itinerary(way, criteria, ask, book=book, settings=settings) for way in found.ways)
    cursor = None
    if found.more:
        cursor = signing.seal(settings, CURSOR, [position, criteria.sort, *found.ways[-1].place])
    return SliceResult(ask.origin, ask.destination, ask.on, itineraries, cursor, found)


def _itinerary(way: Way, criteria: Criteria, ask: Ask, *, book: PriceBook, settings: Settings) -> Itinerary:
    flight_ids = tuple(segment.flight_id for segment in way.segments)
    fares = _fares(book, _segment_fares(way, ask), criteria.cabin, criteria.party)
    ends = ask.origin.code, ask.destination.code
    times = _times(settings)
    sealed = _sealed(settings, (*ends, flight_ids, criteria.cabin, criteria.party, fares, *times))
    return Itinerary(way.segments, fares, min(way.free, MOST_SEATS_SHOWN), sealed, times[1])


def _times(settings: Settings) -> tuple[int, int]:
    """Return when an offer made now begins and ends, in seconds since 1970.

    It begins up to 15 seconds ago, so that the same offer asked for again in a moment is the same token and costs
    nothing to seal.
    """
    now = int(clock.now().timestamp())
    issued = now - now % OFFER_STEP_SECONDS
    return issued, issued + settings.offer_minutes * 60


@lru_cache(maxsize=8192)
def _sealed(settings: Settings, parts: tuple[Any, ...]) -> str:
    return signing.seal(settings, OFFER, pack(Frozen(*parts)))


def _segment_fares(way: Way, ask: Ask) -> tuple[SegmentFare, ...]:
    chain = (ask.origin.country, *([way.via] if way.via else []), ask.destination.country)
    return tuple(
        SegmentFare(segment.fare_minor, segment.currency, here, there, segment.departs_on)
        for segment, here, there in zip(way.segments, chain, chain[1:], strict=False)
    )


@lru_cache(maxsize=8192)
def _fares(book: PriceBook, segments: tuple[SegmentFare, ...], cabin: str, party: Party) -> tuple[Fare, ...]:
    return tuple(
        Fare(
            brand=brand.brand,
            booking_class=brand.booking_class,
            quote=quote(book, segments, cabin=cabin, brand=brand.brand, party=party),
            conditions=conditions(book, brand, segments[0].currency),
        )
        for brand in book.in_cabin(cabin)
    )


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
    segments = tuple(queries.segment_fares(session, offer.flight_ids))
    if len(segments) < len(offer.flight_ids):
        raise NotFound(_("One of these flights is no longer in the timetable."))
    book = load_book(session)
    book.brand(offer.cabin, offer.brand)
    fares = _fares(book, segments, offer.cabin, offer.party)
    ends = offer.slice_origin, offer.slice_destination
    parts = (*ends, offer.flight_ids, offer.cabin, offer.party, fares, *_times(settings))
    number = [fare.brand for fare in fares].index(offer.brand)
    return offer_of(Frozen(*parts), number, f"{_sealed(settings, parts)}~{number}")


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
    lowest: dict[date, DayPrice] = {}
    found = queries.cheapest(session, origin, destination, (days[0], days[-1]), cabin=cabin, seats=party.seats)
    for on, currency, fare in found:
        if currency in book.rates:
            total = _fares(book, (SegmentFare(fare, currency, *countries, on),), cabin, party)[0].quote.total_minor
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
        prices.append(DayPrice(on, found[0].currency if found else settings.currency, total))
    return prices


def leaving_soon(session: Session) -> list[Suggestion]:
    """Return a few routes of the coming days, each from another place, at most five minutes old."""
    key = str(session.get_bind().engine.url)
    read_at, known = _suggestions.get(key, (0.0, []))
    if not known or time.monotonic() - read_at > SUGGESTION_SECONDS:
        known = _suggest(session)
        _suggestions[key] = (time.monotonic(), known)
    return known


def _suggest(session: Session) -> list[Suggestion]:
    rows, net, book = queries.leaving_soon(session), queries.network(session), load_book(session)
    places = net.places(session, {code for row in rows for code in row[:2]})
    found: dict[str, Suggestion] = {}
    for origin, destination, on, currency, fare in rows:
        if currency in book.rates and not {origin, destination} & set(found) and len(found) < 2 * SUGGESTIONS:
            ends = places[origin], places[destination]
            segment = SegmentFare(fare, currency, ends[0].country, ends[1].country, on)
            total = _fares(book, (segment,), "economy", Party())[0].quote.total_minor
            found[origin] = found[destination] = Suggestion(*ends, on, currency, total)
    return list(dict.fromkeys(found.values()))

"""Search for people: the question, and its answers. The query string is the whole state; nothing needs a script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, cast

from markupsafe import Markup, escape
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route

from portal.accounts.queries import favourites, home_airport
from portal.flights.queries import FlightView, flights_by_id
from portal.kit import clock, db, i18n, money
from portal.kit.errors import FieldError, Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.kit.validation import parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other, templates
from portal.places.queries import Place, resolve
from portal.pricing.rules import Party
from portal.search import service, told
from portal.search.errors import OfferExpired, OfferUnknown
from portal.search.forms import Criteria, SearchQuery, typed_search
from portal.search.queries import network, starred, unserved
from portal.search.rules import Names, Offer, Priced, SearchResult, SliceResult
from portal.search.told import Address, Day, Trip

PLAIN = ("origin", "destination", "departureDate", "returnDate", "adults", "children", "infants", "cabin", "sort")
LISTS = ("slice", "airlines")
WHO = {"adults", "children", "infants"}
DAYS_AROUND = 3
CHANGE_MINUTES = 60


# ── the question ──────────────────────────────────────────────────────────────────────────────────────────


def home(request: Request) -> Response:
    """Show the search, and what leaves soon."""
    today = clock.now().date()
    form = typed_search(request.query_params)
    form = replace(form, depart_on=form.depart_on or str(today + timedelta(days=14)))
    form = replace(form, return_on=form.return_on or str(today + timedelta(days=21)))
    with db.reading() as session:
        soon = service.leaving_soon(session)
        kept = favourites(session, request.viewer.id) if request.viewer else []
        start = home_airport(session, request.viewer.id) if request.viewer and not form.origin else None
    if start is not None:
        form = replace(form, origin=start.code, origin_text=f"{start.city} ({start.code})")
    routes = [
        {
            "href": f"/flights?origin={one.origin.code}&destination={one.destination.code}&departureDate={one.on}",
            "origin": one.origin,
            "destination": one.destination,
            "depart_on": one.on,
            "from_minor": one.total_minor,
            "currency": one.currency,
        }
        for one in soon
    ]
    return render(request, "search/home.html", form=form, routes=routes, kept=kept, errors={}, **_constants())


def _constants() -> dict[str, Any]:
    today = clock.now().date()
    cabins = [("economy", _("Economy")), ("premium", _("Premium")), ("business", _("Business")), ("first", _("First"))]
    last = today + timedelta(days=service.SOLD_DAYS_AHEAD)
    return {"cabins": cabins, "first_day": today.isoformat(), "last_day": last.isoformat()}


# ── the answers ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as the page understood it: criteria, the state as an address, the offers chosen before."""

    criteria: Criteria
    address: Address
    chosen: tuple[Offer, ...]


class WhichAirport(Exception):
    """A typed place may mean several airports; `candidates` by field."""

    def __init__(self, candidates: dict[str, list[Place]]) -> None:
        super().__init__()
        self.candidates = candidates


def results(request: Request) -> Response:
    """Show the itineraries of the slice to choose next; asks again where a field is wrong or a place unclear."""
    given, wrong = request.query_params, cast(tuple[FieldError, ...], ())
    try:
        return _answer(request, given, {})
    except WhichAirport as unclear:
        return _which(request, unclear)
    except (OfferExpired, OfferUnknown) as no:
        return see_other(request, _plain_state(given), Notice("warn", no.detail))
    except Invalid as no:
        wrong = no.errors
    if {error.pointer for error in wrong} == {"maxPrice"}:
        without = QueryParams([pair for pair in given.multi_items() if pair[0] != "maxPrice"])
        return _answer(request, without, {"maxPrice": wrong[0].detail}, typed=given.get("maxPrice", ""))
    return _again(request, Invalid(errors=wrong))


def _again(request: Request, no: PortalError) -> Response:
    if request.wants_part:
        raise no
    errors = errors_by_field(no)
    errors = {("travellers" if name in WHO else name.split(".")[0]): words for name, words in errors.items()}
    form = typed_search(request.query_params)
    return render(request, "search/home.html", status=422, form=form, routes=[], kept=[], errors=errors, **_constants())


def _plain_state(given: QueryParams) -> str:
    return Address(tuple(pair for pair in given.multi_items() if pair[1])).without(("out",)).url


def _which(request: Request, unclear: WhichAirport) -> Response:
    kept = [pair for pair in request.query_params.multi_items() if pair[0] not in unclear.candidates and pair[1]]
    return render(
        request,
        "search/which.html",
        kept=kept,
        questions=[
            {"name": name, "typed": request.query_params.get(name, ""), "places": places}
            for name, places in unclear.candidates.items()
        ],
    )


def _answer(request: Request, given: QueryParams, errors: dict[str, str], typed: str = "") -> Response:
    settings = request.settings
    with db.reading() as session:
        asked = _understand(session, given, settings)
        position = len(asked.chosen)
        known = [one for offer in asked.chosen for one in offer.flight_ids]
        flights = flights_by_id(session, known) if known else {}
        result = _search(session, asked, flights, settings)
        days = _days(session, asked, result, settings)
        star = starred(session, result.slices[0], request.viewer_id)
        nobody = unserved(session, result.slices[0])
    found = result.slices[0]
    chosen = [_chosen(asked, number, flights) for number in range(position)]
    shown = {
        "form": typed_search(given).understood(asked.criteria, result.names.places),
        "results": _view(asked, result, found, chosen, days),
        "starred": star,
        "unserved": nobody,
        "errors": errors,
        "max_price": typed or given.get("maxPrice", ""),
    }
    return render(
        request, "search/results.html", block="results", status=422 if errors else 200, **shown, **_constants()
    )


def _understand(session: Session, given: QueryParams, settings: Settings) -> Asked:
    plain = {name: given[name] for name in (*PLAIN, "cursor", "maxPrice", "maxStops") if given.get(name)}
    if given.get("trip") == "oneway":
        plain.pop("returnDate", None)
    elif given.get("trip") == "return" and "returnDate" not in plain:
        raise Invalid(errors=[FieldError("returnDate", _("Please choose the day you come back, or one way."))])
    if "maxPrice" in plain:
        plain["maxPrice"] = money.typed_text(plain["maxPrice"], settings.currency)
    lists = {name: found for name in LISTS if (found := [value for value in given.getlist(name) if value])}
    codes, problems = _resolved(session, plain)
    plain |= codes
    criteria = _criteria(plain | lists | _bands(given), problems)
    pairs = [(name, plain[name]) for name in (*PLAIN, "maxStops", "maxPrice") if name in plain]
    pairs += [(name, value) for name in LISTS for value in lists.get(name, ())]
    pairs += [(name, given[name]) for name in ("departs", "arrives") if given.get(name) in told.BANDS]
    outs = tuple(service.read_offer(settings, token) for token in given.getlist("out") if token)
    asked = Asked(criteria, Address((*pairs, *(("out", offer.token) for offer in outs))), outs)
    _check_chosen(asked)
    return asked


def _criteria(fields: dict[str, Any], problems: list[FieldError]) -> Criteria:
    """Return the criteria; raises Invalid with everything that is wrong at once, each field's first problem."""
    if not fields.get("slice"):
        missing = [name for name in ("origin", "destination", "departureDate") if name not in fields]
        problems += [FieldError(name, _("Please fill this in.")) for name in missing]
    known = {problem.pointer for problem in problems}
    try:
        criteria = parse(SearchQuery, fields).criteria()
    except Invalid as no:
        raise Invalid(errors=[*problems, *(one for one in no.errors if one.pointer not in known)]) from None
    if problems:
        raise Invalid(errors=problems)
    return criteria


def _resolved(session: Session, plain: dict[str, str]) -> tuple[dict[str, str], list[FieldError]]:
    """Return the codes of the typed places, and what is wrong with them; raises WhichAirport where several fit."""
    codes: dict[str, str] = {}
    unclear: dict[str, list[Place]] = {}
    problems: list[FieldError] = []
    for name in ("origin", "destination"):
        typed = plain.get(name, "").replace("\x00", "")[:80]
        known = network(session).places(session, [typed.upper()]) if re.fullmatch("[A-Za-z]{3}", typed) else {}
        found = next(iter(known.values())) if known else resolve(session, typed) if typed else None
        if isinstance(found, list) and len(found) == 1 and _names(typed, found[0]):
            found = found[0]
        if isinstance(found, Place):
            codes[name] = found.code
        elif found:
            unclear[name] = found
        elif typed:
            problems.append(FieldError(name, _("We know no such place. Try the city, or its three-letter code.")))
    if unclear and not problems:
        raise WhichAirport(unclear)
    return codes, problems


def _names(typed: str, place: Place) -> bool:
    """True when what was typed stands in the airport's own names, so that nobody needs to be asked."""
    return typed.strip().casefold() in f"{place.city} {place.name}".casefold()


def _bands(given: QueryParams) -> dict[str, str]:
    made: dict[str, str] = {}
    for name, verb in (("departs", "depart"), ("arrives", "arrive")):
        if given.get(name) in told.BANDS:
            made[f"{verb}After"], made[f"{verb}Before"] = told.BANDS[given[name]]
    return made


def _check_chosen(asked: Asked) -> None:
    """Raise OfferUnknown where a chosen offer is not of this search: another way, party or cabin."""
    wishes, criteria = asked.criteria.slices, asked.criteria
    fits = len(asked.chosen) < len(wishes) and all(
        (offer.slice_origin, offer.slice_destination, offer.cabin, offer.party)
        == (wish.origin, wish.destination, criteria.cabin, criteria.party)
        for offer, wish in zip(asked.chosen, wishes, strict=False)
    )
    if not fits:
        raise OfferUnknown(_("The flight chosen before does not belong to this search. Please choose again."))


def _search(session: Session, asked: Asked, flights: dict[int, FlightView], settings: Settings) -> SearchResult:
    position = len(asked.chosen)
    before = flights.get(asked.chosen[-1].flight_ids[-1]) if asked.chosen else None
    return service.search(
        session,
        asked.criteria,
        settings=settings,
        only=position,
        currency=asked.chosen[0].currency if asked.chosen else None,
        leaves_after=before.arrival_at + timedelta(minutes=CHANGE_MINUTES) if before else None,
        facets=True,
    )


def _days(session: Session, asked: Asked, result: SearchResult, settings: Settings) -> list[Day]:
    """Return the days around with their lowest price: non-stop ones, or any where this day has nothing at all."""
    position, found = len(asked.chosen), result.slices[0]
    around = _around(asked.criteria, position)
    name = "departureDate" if position == 0 else "returnDate"
    if asked.criteria.listed or len(around) < 2:
        return []
    if found.found.unfiltered == 0:
        prices = service.cheapest_days(session, asked.criteria, position, around, settings=settings)
    else:
        ends = found.origin.code, found.destination.code
        party, cabin = asked.criteria.party, asked.criteria.cabin
        prices = service.day_prices(session, *ends, around, settings=settings, cabin=cabin, party=party)
    if all(price.total_minor is None for price in prices):
        return []
    addresses = asked.address.each(name, (str(price.on) for price in prices))
    return [
        Day(price.on, href, price.total_minor, price.currency, price.on == found.on)
        for price, href in zip(prices, addresses, strict=True)
    ]


def _around(criteria: Criteria, position: int) -> list[date]:
    wish, today = criteria.slices[position], clock.now().date()
    first = criteria.slices[position - 1].on if position else today
    last = criteria.slices[position + 1].on if position + 1 < len(criteria.slices) else today + timedelta(360)
    days = (wish.on + timedelta(days=number) for number in range(-DAYS_AROUND, DAYS_AROUND + 1))
    return [day for day in days if first <= day <= last]


def _chosen(asked: Asked, number: int, flights: dict[int, FlightView]) -> Trip:
    offer = asked.chosen[number]
    before = asked.address.without(("out",))
    for earlier in asked.chosen[:number]:
        before = before.with_more("out", earlier.token)
    if any(one not in flights for one in offer.flight_ids):
        raise OfferUnknown(_("One of the flights chosen before is no longer in the timetable. Please choose again."))
    return told.chosen_trip(offer, [flights[one] for one in offer.flight_ids], before.url)


def _view(
    asked: Asked, result: SearchResult, found: SliceResult, chosen: Sequence[Trip], days: Sequence[Day]
) -> dict[str, Any]:
    address, position, count = asked.address, len(chosen), len(asked.criteria.slices)
    ticked: dict[str, list[str]] = {}
    for name, value in address.pairs:
        ticked.setdefault(name, []).append(value)
    last = position + 1 == count
    hrefs = _book_hrefs(asked) if last else _next_hrefs(asked)
    return {
        "slice_number": position + 1,
        "slice_count": count,
        "origin": found.origin,
        "destination": found.destination,
        "depart_on": found.on,
        "asked_days": [wish.on for wish in asked.criteria.slices],
        "unfiltered": found.found.unfiltered,
        "full": found.found.full,
        "travellers": len(asked.criteria.party.types),
        "currency": result.currency,
        "total": found.found.total,
        "low_text": told.low_text(found, result.currency),
        "rows": _rows(found, result, hrefs),
        "brands": _brands(found),
        "next_href": address.changed(cursor=found.next_cursor).url if found.next_cursor else "",
        "sorts": _sorts(asked),
        "facets": told.facets(found.found, result.names.carriers, ticked),
        "state": [pair for pair in address.pairs if pair[0] not in told.FACET_NAMES],
        "clear_href": address.without(told.FACET_NAMES).url,
        "filtered": any(name in told.FACET_NAMES for name in ticked),
        "chosen": chosen,
        "days": days,
        "last": last,
    }


OFFER_MARK = "\0"  # PostgreSQL keeps no such character, so no name holds it


def _rows(found: SliceResult, result: SearchResult, href: str) -> Markup:
    """Return the rows, the links of each leading to `href` followed by its fares' offers."""
    link, known = str(escape(href)), (result.party, result.names, i18n.locale.get())
    rows = ((link + one.sealed).join(_row(one.priced, *known)) for one in found.itineraries)
    return Markup("".join(rows))  # noqa: S704 – rendered by a template, and a sealed offer is plain letters


@lru_cache(maxsize=4096)
def _row(one: Priced, party: Party, names: Names, language: str) -> tuple[str, ...]:
    """Return a row in pieces, between which the offer stands: only that changes with time.

    What it shows is all in the arguments: the same itinerary at the same price looks the same to everybody who reads
    `language`.
    """
    hrefs = [f"{OFFER_MARK}~{number}" for number in range(len(one.fares))]
    with i18n.speaking(language):
        trip = told.trip_of(one, party, names, hrefs)
        return tuple(templates().get_template("search/_trip.html").render(trip=trip).split(OFFER_MARK))


def _brands(found: SliceResult) -> Markup:
    first = next(iter(found.itineraries), None)
    return _terms(told.terms(first.fares), first.priced.currency, i18n.locale.get()) if first else Markup()


@lru_cache(maxsize=256)
def _terms(terms: tuple[told.Terms, ...], currency: str, language: str) -> Markup:
    """Return the table of what fares allow, the same for all that allow the same."""
    with i18n.speaking(language):
        return cast(Markup, cast(Any, templates().globals["ui"]).brand_table(terms, currency))


def _sorts(asked: Asked) -> list[dict[str, Any]]:
    named = {
        "best": _("Best"),
        "price": _("Price"),
        "duration": _("Duration"),
        "departure": _("Departure"),
        "arrival": _("Arrival"),
    }
    return [
        {"label": label, "href": href, "current": name == asked.criteria.sort}
        for (name, label), href in zip(named.items(), asked.address.each("sort", named), strict=True)
    ]


def _book_hrefs(asked: Asked) -> str:
    return "/book?" + "".join(f"offer={offer.token}&" for offer in asked.chosen) + "offer="


def _next_hrefs(asked: Asked) -> str:
    return f"{asked.address.without(told.FACET_NAMES).url}&out="


routes: list[Route] = [
    page("/", home),
    page("/flights", results),
]

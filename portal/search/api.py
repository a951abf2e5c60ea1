"""Search, for programs: itineraries with signed offers, why they cost what they cost, and a calendar of lowest prices.

An answer is joined of texts, one for each itinerary, of the shape that answers.SearchOut documents: a page of 50 is
hot, and a test holds it against the model. The same itinerary at the same price is the same text but for its offer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portal.flights.queries import FlightView, flights_by_id
from portal.kit import clock, db
from portal.kit.money import Money
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.places.forms import AirportOut
from portal.places.queries import Place
from portal.pricing.errors import NoRate
from portal.pricing.rules import FARE_PERCENT
from portal.pricing.told import factor_text, step_label
from portal.search import service
from portal.search.answers import CalendarOut, ExplainOut, SearchOut
from portal.search.errors import OfferExpired, OfferUnknown
from portal.search.forms import CalendarQuery, ExplainQuery, SearchQuery
from portal.search.rules import Itinerary, Names, Offer, Priced, SearchResult, Segment, SliceResult

# Where the offer and its end stand: JSON escapes such characters in what it is made of, so these are ours alone.
OFFER_MARK, EXPIRY_MARK = "\0", "\1"


@operation(
    "Search flights", query=SearchQuery, answer=SearchOut, errors=(NoRate,), lists=frozenset({"slice", "airlines"})
)
def search(request: Request, query: SearchQuery) -> Response:
    """Answer the itineraries of each slice; `nextCursor` of a slice is the cursor that shows more of it."""
    with db.reading() as session:
        result = service.search(session, query.criteria(), settings=request.settings)
    return Response(written(result), media_type="application/json", headers={"Cache-Control": "no-store"})


@operation("Lowest price of each day", query=CalendarQuery, answer=CalendarOut, errors=(NoRate,))
def calendar(request: Request, query: CalendarQuery) -> Response:
    """Answer the lowest non-stop economy price for one adult, taxes in, for each day of a month."""
    with db.reading() as session:
        days = service.day_prices(session, query.origin, query.destination, query.days(), settings=request.settings)
    data = [
        {
            "date": day.on.isoformat(),
            "from": None if day.total_minor is None else Money(day.total_minor, day.currency).wire(),
        }
        for day in days
    ]
    return JSONResponse({"data": data, "asOf": _instant(clock.now())}, headers={"Cache-Control": "no-store"})


@operation("Why a price is what it is", query=ExplainQuery, answer=ExplainOut, errors=(OfferExpired, OfferUnknown))
def explain(request: Request, query: ExplainQuery) -> Response:
    """Answer every step of an offer's price, with the rule that asked for it; the steps add up to the total."""
    offer = service.read_offer(request.settings, query.offer_id)
    with db.reading() as session:
        flights = flights_by_id(session, offer.flight_ids)
    return JSONResponse(_explained(offer, flights), headers={"Cache-Control": "no-store"})


def _explained(offer: Offer, flights: dict[int, FlightView]) -> dict[str, Any]:
    steps = [(step["flightId"], _step(step, offer.currency)) for step in offer.pricing]
    return {
        "offerId": offer.token,
        "brand": offer.brand,
        "cabin": offer.cabin,
        "bookingClass": offer.booking_class,
        "fareBasis": offer.fare_basis,
        "segments": [
            _priced_segment(flights.get(one), [step for flight, step in steps if flight == one])
            for one in offer.flight_ids
        ],
        "brandStep": steps[-1][1],
        "travellers": [_traveller(offer, kind, count) for kind, count in offer.party.counts.items()],
        "total": Money(offer.total_minor, offer.currency).wire(),
        "expiresAt": _instant(offer.expires_at),
    }


def _priced_segment(flight: FlightView | None, steps: list[dict[str, Any]]) -> dict[str, Any]:
    named = {"flightId": str(flight.public_id), "flightNumber": flight.designator} if flight else {}
    return {"flightId": None, "flightNumber": None, **named, "steps": steps, "fare": steps[-1]["amount"]}


def _step(step: dict[str, Any], currency: str) -> dict[str, Any]:
    return {
        "kind": step["kind"],
        "key": step["key"],
        "label": step_label(step["kind"], step["label"]),
        "factor": None if step["kind"] == "base" else factor_text(step["factorBp"]),
        "amount": Money(step["amount"], currency).wire(),
    }


def _traveller(offer: Offer, kind: str, count: int) -> dict[str, Any]:
    lines = offer.per_type[kind]
    each = sum(line.amount_minor for line in lines)
    return {
        "type": kind,
        "count": count,
        "farePercent": FARE_PERCENT[kind],
        "lines": [
            {"code": line.code, "label": line.label, "amount": Money(line.amount_minor, offer.currency).wire()}
            for line in lines
        ],
        "each": Money(each, offer.currency).wire(),
        "all": Money(each * count, offer.currency).wire(),
    }


def written(result: SearchResult) -> str:
    """Return the answer as the contract writes it, in JSON."""
    party = result.party
    head = {
        "currency": result.currency,
        "passengers": {"adults": party.adults, "children": party.children, "infants": party.infants},
    }
    return _joined(head, "slices", [_slice(one, result) for one in result.slices])


def _slice(found: SliceResult, result: SearchResult) -> str:
    head = {
        "origin": found.origin.code,
        "destination": found.destination.code,
        "date": found.on.isoformat(),
        "nextCursor": found.next_cursor,
    }
    return _joined(head, "itineraries", [_itinerary(one, result) for one in found.itineraries])


def _joined(head: dict[str, Any], name: str, items: Iterable[str]) -> str:
    """Return the object `head` with one more entry, a list of what is JSON already."""
    return f'{_json(head)[:-1]},"{name}":[{",".join(items)}]}}'


def _itinerary(one: Itinerary, result: SearchResult) -> str:
    """Return what is remembered of it, with the offers of today."""
    text = _remembered(one.priced, result.names, result.cabin)
    return text.replace(OFFER_MARK, one.sealed).replace(EXPIRY_MARK, _expiry(one.expires))


@lru_cache(maxsize=4096)
def _remembered(one: Priced, names: Names, cabin: str) -> str:
    """Return an itinerary as JSON, with marks where its offers and their end stand: only these change with time."""
    head = {
        "id": one.id,
        "durationMinutes": one.minutes,
        "stops": len(one.segments) - 1,
        "segments": [_segment(segment, names) for segment in one.segments],
    }
    return _joined(head, "fares", [_fare(number, one, cabin) for number in range(len(one.fares))])


def _fare(number: int, one: Priced, cabin: str) -> str:
    fare = one.fares[number]
    told = {
        "brand": fare.brand,
        "cabin": cabin,
        "bookingClass": fare.booking_class,
        "fareBasis": fare.quote.fare_basis,
        "total": Money(fare.quote.total_minor, fare.quote.currency).wire(),
        "conditions": fare.conditions.wire(),
        "seatsLeft": one.seats_left,
    }
    return f'{{"offerId":"{OFFER_MARK}~{number}",{_json(told)[1:-1]},"expiresAt":"{EXPIRY_MARK}"}}'


def _segment(segment: Segment, names: Names) -> dict[str, Any]:
    return {
        "flightId": str(segment.public_id),
        "carrier": segment.carrier,
        "carrierName": names.carriers.get(segment.carrier, segment.carrier),
        "flightNumber": f"{segment.carrier}{segment.number}",
        "origin": _airport(names.places[segment.origin]),
        "destination": _airport(names.places[segment.destination]),
        "departureAt": _local(segment.departure_local, segment.departure_at),
        "arrivalAt": _local(segment.arrival_local, segment.arrival_at),
        "durationMinutes": segment.minutes,
        "aircraft": segment.aircraft,
    }


@lru_cache(maxsize=64)
def _expiry(expires: int) -> str:
    return _instant(datetime.fromtimestamp(expires, UTC))


@lru_cache(maxsize=4096)
def _airport(place: Place) -> dict[str, Any]:
    return AirportOut.model_validate(place).wire()


def _json(given: Any) -> str:
    """Return `given` as JSONResponse would write it."""
    return json.dumps(given, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _local(wall: datetime, at: datetime) -> str:
    minutes = round((wall - at.replace(tzinfo=None)).total_seconds() / 60)
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{wall.isoformat()}{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


routes: list[Route] = [
    endpoint("/api/flights/search", search),
    endpoint("/api/flights/calendar", calendar),
    endpoint("/api/pricing/explain", explain),
]

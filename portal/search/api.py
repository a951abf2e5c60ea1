"""Search, for programs: itineraries with signed offers, why they cost what they cost, and a calendar of lowest prices.

The answers are built as plain dicts of the shape that answers.SearchOut documents: a page of 50 itineraries is hot, and
a test holds it against the model.
"""

from __future__ import annotations

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
from portal.search.rules import Fare, Itinerary, Offer, SearchResult, Segment, SliceResult


@operation(
    "Search flights", query=SearchQuery, answer=SearchOut, errors=(NoRate,), lists=frozenset({"slice", "airlines"})
)
def search(request: Request, query: SearchQuery) -> Response:
    """Answer the itineraries of each slice; `nextCursor` of a slice is the cursor that shows more of it."""
    with db.reading() as session:
        result = service.search(session, query.criteria(), settings=request.settings)
    return JSONResponse(told(result), headers={"Cache-Control": "no-store"})


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


def told(result: SearchResult) -> dict[str, Any]:
    """Return the answer as the contract writes it."""
    airports = {code: _airport(place) for code, place in result.places.items()}
    party = result.party
    return {
        "currency": result.currency,
        "passengers": {"adults": party.adults, "children": party.children, "infants": party.infants},
        "slices": [_slice(one, result, airports) for one in result.slices],
    }


def _slice(found: SliceResult, result: SearchResult, airports: dict[str, Any]) -> dict[str, Any]:
    return {
        "origin": found.origin.code,
        "destination": found.destination.code,
        "date": found.on.isoformat(),
        "nextCursor": found.next_cursor,
        "itineraries": [_itinerary(one, result, airports) for one in found.itineraries],
    }


def _itinerary(one: Itinerary, result: SearchResult, airports: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": one.id,
        "durationMinutes": one.minutes,
        "stops": len(one.segments) - 1,
        "segments": [_segment(segment, result.carriers, airports) for segment in one.segments],
        "fares": _fares(one, result.cabin),
    }


def _segment(segment: Segment, carriers: dict[str, str], airports: dict[str, Any]) -> dict[str, Any]:
    return {
        "flightId": str(segment.public_id),
        "carrier": segment.carrier,
        "carrierName": carriers.get(segment.carrier, segment.carrier),
        "flightNumber": f"{segment.carrier}{segment.number}",
        "origin": airports[segment.origin],
        "destination": airports[segment.destination],
        "departureAt": _local(segment.departure_local, segment.departure_at),
        "arrivalAt": _local(segment.arrival_local, segment.arrival_at),
        "durationMinutes": segment.minutes,
        "aircraft": segment.aircraft,
    }


def _fares(one: Itinerary, cabin: str) -> list[dict[str, Any]]:
    mine = {"seatsLeft": one.seats_left, "expiresAt": _expiry(one.expires)}
    return [{"offerId": one.token(number), **_fare(fare, cabin), **mine} for number, fare in enumerate(one.fares)]


@lru_cache(maxsize=8192)
def _fare(fare: Fare, cabin: str) -> dict[str, Any]:
    """Return what many itineraries have in common: quoting remembers its fares."""
    return {
        "brand": fare.brand,
        "cabin": cabin,
        "bookingClass": fare.booking_class,
        "fareBasis": fare.quote.fare_basis,
        "total": Money(fare.quote.total_minor, fare.quote.currency).wire(),
        "conditions": fare.conditions.wire(),
    }


@lru_cache(maxsize=64)
def _expiry(expires: int) -> str:
    return _instant(datetime.fromtimestamp(expires, UTC))


@lru_cache(maxsize=4096)
def _airport(place: Place) -> dict[str, Any]:
    return AirportOut.model_validate(place).wire()


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

"""The JSON doors of the seat map and the extras, before and after paying."""

from __future__ import annotations

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from portal.booking.errors import AmendmentUnderWay, HoldExpired, PartPaid, PaymentUnderWay, UnknownBooking
from portal.booking.forms import BookingOut, booking_wire
from portal.booking.queries import booking_view
from portal.booking.rules import may_manage
from portal.booking.views import BookingView
from portal.flights.errors import Busy, SeatTaken, SeatUnknown, UnknownFlight
from portal.flights.queries import flight_by_public_id
from portal.flights.seating import seat_plan, seats_of
from portal.kit import clock, db, grants, ids
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.seats import queries, rules, service
from portal.seats.errors import ExtraRefused, SeatNotAllowed, SelectionClosed
from portal.seats.forms import (
    ExtrasIn,
    ExtrasOut,
    SeatMapOut,
    SeatMapQuery,
    SeatsIn,
    extra_wishes,
    extras_wire,
    seat_map,
    suggested,
)
from portal.seats.service import SeatWish

PRIVATE = {"Cache-Control": "private, no-store"}
NOT_NOW = (UnknownBooking, SelectionClosed, HoldExpired, PaymentUnderWay, PartPaid, AmendmentUnderWay, Busy)


@operation("The seats of a flight", query=SeatMapQuery, answer=SeatMapOut, errors=(UnknownFlight, UnknownBooking))
def seats(request: Request, query: SeatMapQuery) -> Response:
    """Answer a flight's seat map with what choosing costs; a seat is available while nobody has it and its cabin sells.

    With the reference of a booking that the asker may manage: at that booking's prices, its own seats available.
    """
    with db.reading() as session:
        flight = flight_by_public_id(session, request.path_params["flightId"])
        if flight is None:
            raise UnknownFlight()
        plan = seat_plan(session, flight.id)
        if query.reference is None:
            prices = queries.catalogue(session, queries.currency_of(session, flight.id))
            return JSONResponse(seat_map(plan, prices, terms={}, open_to_all=True).wire())
        view = _mine(request, session, query.reference)
        prices = queries.catalogue(session, view.currency)
        own = [seat for (at, _who), seat in seats_of(session, view.id).items() if at == flight.id]
        wish = queries.liked(session, view)
    flown = [
        piece
        for piece in view.active_slices
        if any(one.id == flight.id for one in piece.flights) and rules.flight_closed(piece, flight, clock.now()) is None
    ]
    terms = {piece.cabin: rules.seat_term(piece, flight, clock.now()) for piece in flown}
    out = seat_map(plan, prices, terms=terms, open_to_all=False, own=own)
    for piece in flown:
        cabin, term, party = plan.cabin(piece.cabin), terms[piece.cabin], view.flying(piece.position)
        beside = rules.together(cabin, party, prices, term, own=own, wish=wish) if cabin else {}
        out = out.model_copy(update={"suggestion": suggested(beside, prices, piece.cabin, term) or None})
    return JSONResponse(out.wire(), headers=PRIVATE)


@operation("Choose seats", body=SeatsIn, answer=BookingOut, errors=(SeatTaken, SeatUnknown, SeatNotAllowed, *NOT_NOW))
def choose(request: Request, body: SeatsIn) -> Response:
    """Seat these travellers, all or none; who is not named keeps what they have, null gives a seat up.

    For a paid booking whose new seats cost more, they are set aside for 15 minutes and `balance` says what is due.
    """
    with db.writing() as session:
        view = _mine(request, session, request.path_params["reference"])
        flights = {flight.public_id: flight.id for flight in view.flights}
        wishes = [SeatWish(one.passenger_id, flights.get(one.flight_id, 0), one.seat) for one in body.root]
        service.choose_seats(session, view.reference, wishes, key=_key(request), actor_id=request.viewer_id)
    return _booking(request, view)


@operation("The extras of a booking", answer=ExtrasOut, errors=(UnknownBooking,))
def extras(request: Request) -> Response:
    """Answer what can be had – bags, meals, priority, assistance – at what price, and what the booking has."""
    with db.reading() as session:
        view = _mine(request, session, request.path_params["reference"])
        wire = extras_wire(view, queries.catalogue(session, view.currency), queries.liked(session, view))
    return JSONResponse(wire, headers=PRIVATE)


@operation("Choose extras", body=ExtrasIn, answer=ExtrasOut, errors=(ExtraRefused, *NOT_NOW))
def choose_extras(request: Request, body: ExtrasIn) -> Response:
    """Let the booking have exactly these extras. What a paid booking gives up is not paid back; assistance is free."""
    with db.writing() as session:
        view = _mine(request, session, request.path_params["reference"])
        flights = {flight.public_id: flight.id for flight in view.flights}
        wishes = extra_wishes(body, flights)
        service.choose_extras(session, view.reference, wishes, key=_key(request), actor_id=request.viewer_id)
    return extras(request)


def _booking(request: Request, view: BookingView) -> Response:
    with db.reading() as session:
        fresh = _mine(request, session, view.reference)
        freed = request.app.state.carrier_fault(session, view.id).freed
    return JSONResponse(booking_wire(fresh, clock.now(), freed=freed), headers=PRIVATE)


def _key(request: Request) -> str:
    given = request.headers.get("idempotency-key")
    return f"api:{given}" if given else f"api:{ids.secret(18)}"


def _mine(request: Request, session: Session, reference: str) -> BookingView:
    """Return the booking that the asker may manage; raises UnknownBooking, the same for every reason."""
    view = booking_view(session, reference)
    if view is None or not may_manage(view, **grants.standing(request, view.reference)):
        raise UnknownBooking()
    return view


routes: list[BaseRoute] = [
    endpoint("/api/flights/{flightId:uuid}/seats", seats),
    endpoint("/api/bookings/{reference}/seats", choose, methods=("PUT",)),
    endpoint("/api/bookings/{reference}/extras", extras),
    endpoint("/api/bookings/{reference}/extras", choose_extras, methods=("PUT",)),
]

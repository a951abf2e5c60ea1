"""The JSON doors of carrier changes: staff steer flights, travellers answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from portal.booking.errors import UnknownBooking
from portal.booking.queries import booking_view
from portal.booking.rules import may_manage
from portal.booking.views import BookingView
from portal.disruptions import queries, service, told
from portal.disruptions.errors import AlreadyDecided, ChoiceClosed, UnknownChange
from portal.disruptions.forms import (
    CabinSeats,
    CancelIn,
    CarrierChangeOut,
    CarrierChangesOut,
    ChangeOut,
    DecisionIn,
    DelayIn,
    FlightsQuery,
    Order,
    RetimeIn,
    StaffFlightOut,
    StaffFlightsOut,
    SwapIn,
)
from portal.disruptions.queries import StaffFlight
from portal.disruptions.rules import Preview
from portal.flights.errors import AircraftTooSmall, FlightCancelled, FlightClosed, FlightLeft, SoldOut, UnknownFlight
from portal.flights.forms import FlightOut, PriceOut
from portal.flights.operations import Deed
from portal.flights.queries import FlightView, flight_by_public_id, flights_by_id
from portal.kit import db, grants, signing
from portal.kit.errors import FieldError, Forbidden, Invalid, NotSignedIn
from portal.kit.i18n import gettext as _
from portal.kit.money import Money
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.search.errors import OfferExpired
from portal.search.service import read_offer

LIST = "staff flights list"
PRIVATE = {"Cache-Control": "private, no-store"}
STAFF: dict[str, Any] = {"tag": "staff"}


@operation(
    "Flights, soonest first", query=FlightsQuery, answer=StaffFlightsOut, errors=(NotSignedIn, Forbidden), **STAFF
)
def flights(request: Request, query: FlightsQuery) -> Response:
    """List flights with what is sold of each. For staff."""
    request.require("staff", "admin")
    after = _after(request, query.cursor)
    with db.reading() as session:
        found = queries.staff_flights(session, query, after=after, limit=query.limit + 1)
    more = _cursor(request, found[query.limit - 1]) if len(found) > query.limit else None
    answer = StaffFlightsOut(data=tuple(_flight(one) for one in found[: query.limit]), next_cursor=more)
    return JSONResponse(answer.wire(), headers=PRIVATE)


@operation("One flight for staff", answer=StaffFlightOut, errors=(NotSignedIn, Forbidden, UnknownFlight), **STAFF)
def flight(request: Request) -> Response:
    """Answer a flight with what is sold of it. For staff."""
    request.require("staff", "admin")
    with db.reading() as session:
        found = queries.staff_flight(session, _known(session, request).id)
    return JSONResponse(_flight(found).wire(), headers=PRIVATE)


CHANGE: dict[str, Any] = {
    "answer": ChangeOut,
    "errors": (NotSignedIn, Forbidden, UnknownFlight, FlightCancelled, FlightLeft),
    **STAFF,
}


@operation("Delay a flight", body=DelayIn, **CHANGE)
def delay(request: Request, body: DelayIn) -> Response:
    """Say by how many minutes a flight is late; everybody booked is told, and asked from an hour on. For staff."""
    return _change(request, "delay", body)


@operation("Give a flight new times", body=RetimeIn, **CHANGE)
def retime(request: Request, body: RetimeIn) -> Response:
    """Change the schedule of a flight on its day; connections that no longer work are found and asked. For staff."""
    return _change(request, "retime", body)


@operation("Cancel a flight", body=CancelIn, **CHANGE)
def cancel(request: Request, body: CancelIn) -> Response:
    """Cancel a flight; everybody booked chooses another one or gets the money back. For staff."""
    return _change(request, "cancel", body)


@operation("Swap a flight's aircraft", body=SwapIn, **{**CHANGE, "errors": (*CHANGE["errors"], AircraftTooSmall)})
def swap(request: Request, body: SwapIn) -> Response:
    """Fly with another aircraft; seats by name are dealt out again. For staff."""
    return _change(request, "swap", body)


@operation("What the airline changed of a booking", answer=CarrierChangesOut, errors=(UnknownBooking,))
def changes(request: Request) -> Response:
    """List a booking's changes by the airline to its owner, to staff, or to its own token."""
    with db.reading() as session:
        view = _booking(session, request)
        found = queries.changes_of_booking(session, view.id)
        known = flights_by_id(session, [one.flight_id for one in found])
    data = tuple(_carrier_change(told.told(one, known[one.flight_id])) for one in found)
    return JSONResponse(CarrierChangesOut(data=data).wire(), headers=PRIVATE)


@operation(
    "Answer a change by the airline",
    body=DecisionIn,
    answer=CarrierChangesOut,
    errors=(UnknownBooking, UnknownChange, AlreadyDecided, ChoiceClosed, SoldOut, FlightClosed, OfferExpired),
)
def decide(request: Request, body: DecisionIn) -> Response:
    """Accept the change, fly otherwise at no extra cost, or have the money back; answers with all changes."""
    viewer = request.viewer_id
    with db.reading() as session:
        view = _booking(session, request)
        one = queries.affected(session, request.path_params["id"])
    if one is None or one.booking_id != view.id:
        raise UnknownChange()
    with db.writing() as session:
        if body.choice == "accept":
            service.accept(session, one.id, actor_id=viewer)
        elif body.choice == "refund":
            service.refund(session, one.id, actor_id=viewer)
        else:
            service.rebook(session, one.id, read_offer(request.settings, body.offer_id or ""), actor_id=viewer)
    return changes(request)


def _booking(session: Session, request: Request) -> BookingView:
    view = booking_view(session, request.path_params["reference"])
    if view is None or not may_manage(view, **grants.standing(request, view.reference)):
        raise UnknownBooking()
    return view


def _carrier_change(one: told.Told) -> CarrierChangeOut:
    row, gone = one.one, one.now.cancelled
    return CarrierChangeOut(
        id=row.id,
        flight_id=one.flight.public_id,
        flight_number=one.flight.designator,
        kind=row.kind,
        why=row.why,
        reason=row.reason,
        departure_was=one.was.departure,
        arrival_was=one.was.arrival,
        departure_is=None if gone else one.now.departure,
        arrival_is=None if gone else one.now.arrival,
        refund_by_right=row.by_right,
        choices=one.choices,
        state=row.state,
        refund_at=row.refund_at,
    )


def _change(request: Request, kind: str, order: Order) -> Response:
    viewer = request.require("staff", "admin")
    with db.reading() as session:
        view = _known(session, request)
        deed = service.deed_of(session, view.id, kind, order)
        ahead = service.look_ahead(session, view, deed)
    if order.dry_run:
        return _told(view, None, deed, ahead)
    with db.writing() as session:
        service.close(session, view.id, actor_id=viewer.id)
    with db.writing() as session:
        made = service.carry_out(session, view.id, deed, actor_id=viewer.id)
    if order.reopen:
        with db.writing() as session:
            service.reopen(session, view.id, actor_id=viewer.id)
    return _told(view, made, deed, ahead)


def _told(view: FlightView, made: Any, deed: Deed, ahead: Preview) -> Response:
    answer = ChangeOut(
        id=made,
        kind=deed.kind,
        flight_id=view.public_id,
        bookings=ahead.bookings,
        passengers=ahead.passengers,
        asked=ahead.asked,
        misconnections=ahead.misconnected,
        held_bookings=ahead.held,
        refunds_up_to=tuple(PriceOut(**Money(minor, currency).wire()) for currency, minor in ahead.refunds),
    )
    return JSONResponse(answer.wire(), headers=PRIVATE)


def _known(session: Session, request: Request) -> FlightView:
    found = flight_by_public_id(session, request.path_params["flightId"])
    if found is None:
        raise UnknownFlight()
    return found


def _flight(one: StaffFlight) -> StaffFlightOut:
    cabins = (CabinSeats(cabin=c.cabin, capacity=c.capacity, sold=c.sold, held=c.held) for c in one.cabins)
    view = FlightOut.model_validate(one.flight)
    return StaffFlightOut(flight=view, state=one.state, sale_open=one.sale_open, cabins=tuple(cabins))


def _cursor(request: Request, last: StaffFlight) -> str:
    return signing.seal(request.settings, LIST, [last.flight.departure_at.isoformat(), last.flight.id])


def _after(request: Request, cursor: str | None) -> tuple[datetime, int] | None:
    if cursor is None:
        return None
    try:
        departure, flight_id = signing.unseal(request.settings, LIST, cursor)
    except signing.Tampered:
        raise Invalid(errors=[FieldError("cursor", _("Please use `nextCursor` of the answer before."))]) from None
    return datetime.fromisoformat(departure), int(flight_id)


ONE, MINE = "/api/admin/flights/{flightId:uuid}", "/api/bookings/{reference}/carrier-changes"
routes: list[BaseRoute] = [
    endpoint("/api/admin/flights", flights),
    endpoint(ONE, flight),
    endpoint(f"{ONE}/delay", delay, methods=("POST",)),
    endpoint(f"{ONE}/retime", retime, methods=("POST",)),
    endpoint(f"{ONE}/cancel", cancel, methods=("POST",)),
    endpoint(f"{ONE}/swap", swap, methods=("POST",)),
    endpoint(MINE, changes),
    endpoint(f"{MINE}/{{id:uuid}}", decide, methods=("POST",)),
]

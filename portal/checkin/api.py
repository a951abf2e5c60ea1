"""The JSON doors of check-in, boarding passes and the gate."""

from __future__ import annotations

from uuid import UUID

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from portal.booking.errors import UnknownBooking
from portal.checkin import errors, gate, queries, service
from portal.checkin.forms import (
    CheckInOut,
    CheckInsIn,
    CheckInsOut,
    GateOut,
    GateTravellerOut,
    ScanIn,
    ScannedOut,
)
from portal.checkin.forms import wishes as wished
from portal.checkin.rules import Scan
from portal.checkin.told import BoardingPass, boarding_passes
from portal.flights.errors import Busy, SeatTaken, SeatUnknown
from portal.flights.queries import FlightView, flight_by_public_id
from portal.kit import clock, db, grants, ids
from portal.kit.errors import Forbidden, NotSignedIn
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.seats.errors import SeatNotAllowed

PRIVATE = {"Cache-Control": "private, no-store"}
MAY_REFUSE = (
    UnknownBooking,
    Forbidden,
    errors.CheckInClosed,
    errors.PartySplit,
    errors.DocumentsMissing,
    SeatNotAllowed,
    errors.NoSeatLeft,
    SeatTaken,
    SeatUnknown,
    Busy,
)
FOR_STAFF = (NotSignedIn, Forbidden, errors.UnknownFlight)


@operation("Check in", body=CheckInsIn, answer=CheckInsOut, status=201, errors=MAY_REFUSE)
def check_in(request: Request, body: CheckInsIn) -> Response:
    """Check in these travellers for these flights, all or nobody; answers every check-in of the booking.

    Open from 24 hours to 60 minutes before departure. An infant comes along with its adult. Without `seat` parties are
    seated together; any free seat of the cabin may be named, free of charge. Checking in again changes nothing.
    """
    reference, asker = _reference(request), _asker(request)
    with db.writing() as session:
        service.look(session, reference, asker)
        source = "O" if asker.staff else "W"
        service.check_in(session, reference, wished(body), now=clock.now(), actor_id=asker.user_id, source=source)
    return _answer(request, 201)


@operation("The check-ins of a booking", answer=CheckInsOut, errors=(UnknownBooking, Forbidden))
def check_ins(request: Request) -> Response:
    """Return who is checked in, with seats, numbers and the texts of the bar codes."""
    return _answer(request, 200)


@operation(
    "Undo a check-in",
    status=204,
    errors=(
        UnknownBooking,
        Forbidden,
        errors.NotCheckedIn,
        errors.AlreadyBoarded,
        errors.CheckInClosed,
        errors.PartySplit,
    ),
)
def undo(request: Request) -> Response:
    """Take a check-in back, until its traveller has boarded; an adult's goes with that of the infant on the lap."""
    reference, asker = _reference(request), _asker(request)
    with db.writing() as session:
        service.look(session, reference, asker)
        service.undo(session, reference, _id(request), now=clock.now(), actor_id=asker.user_id)
    return Response(status_code=204)


@operation(
    "The boarding passes of a booking, a page each",
    media_type="application/pdf",
    errors=(UnknownBooking, Forbidden, errors.NotCheckedIn),
)
def passes_pdf(request: Request) -> Response:
    """Return the boarding passes as PDF to the owner, staff, or the booking's token."""
    with db.reading() as session:
        desk = service.look(session, _reference(request), _asker(request))
    made = service.passes_pdf(service.printable_passes(desk), desk.view, request.settings)
    headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{made.name}"'}
    return Response(made.content, media_type=made.media_type, headers=headers)


@operation(
    "Scan a boarding pass",
    body=ScanIn,
    answer=ScannedOut,
    errors=(errors.BoardingClosed, *FOR_STAFF),
    tag="boarding",
)
def scan(request: Request, body: ScanIn) -> Response:
    """Let who holds this pass on board. For staff.

    Give the scanned text, with `flightId` of the gate's own flight; or a flight and a sequence number. The same pass
    boards once, at however many gates it is scanned: the others are answered `already_boarded`.
    """
    staff = request.require("staff", "admin")
    with db.writing() as session:
        found = gate.board(session, body, staff_id=staff.id, now=clock.now())
        flight = queries.flight_of(session, found)
    return JSONResponse(_scanned(found, flight).wire(), headers=PRIVATE)


@operation("A flight's gate", answer=GateOut, errors=FOR_STAFF, tag="boarding")
def gate_list(request: Request) -> Response:
    """Return everybody with a ticket for the flight: who is expected, checked in, boarded, or did not come."""
    request.require("staff", "admin")
    with db.reading() as session:
        flight = flight_by_public_id(session, request.path_params["id"])
        if flight is None:
            raise errors.UnknownFlight()
        rows, closed_at = queries.gate_list(session, flight.id), queries.gate_closed_at(session, flight.id)
    data = tuple(
        GateTravellerOut(
            passenger=row.ticket_name,
            type=row.type,
            cabin=row.cabin,
            reference=row.reference,
            seat=row.seat,
            sequence=row.sequence_number,
            state=row.state,
            boarded_at=row.boarded_at,
        )
        for row in rows
    )
    body = GateOut(flight_id=flight.public_id, flight_number=flight.designator, closed_at=closed_at, data=data)
    return JSONResponse(body.wire(), headers=PRIVATE)


def _answer(request: Request, status: int) -> Response:
    with db.reading() as session:
        desk = service.look(session, _reference(request), _asker(request))
    body = CheckInsOut(data=tuple(_out(one) for one in boarding_passes(desk)))
    return JSONResponse(body.wire(), status, headers=PRIVATE)


def _out(one: BoardingPass) -> CheckInOut:
    return CheckInOut(
        id=one.check_in.id,
        passenger_id=one.passenger.id,
        flight_id=one.flight.public_id,
        sequence_number=one.check_in.sequence_number,
        seat=one.seat,
        boarding_at=one.boarding_local,
        gate_closes_at=one.gate_closes_local,
        barcode=one.barcode,
        checked_in_at=one.check_in.checked_in_at,
        boarded_at=one.check_in.boarded_at,
    )


def _scanned(found: Scan, flight: FlightView | None) -> ScannedOut:
    made = found.check_in
    return ScannedOut(
        result=found.result,
        flight_id=flight.public_id if flight else None,
        passenger=found.name,
        type=found.type,
        sequence=made.sequence_number if made else None,
        seat=found.seat,
        seat_changed=found.seat_changed,
        boarded_at=made.boarded_at if made else None,
    )


def _reference(request: Request) -> str:
    return ids.normal_reference(request.path_params["reference"])


def _asker(request: Request) -> service.Asker:
    return service.Asker(**grants.standing(request, _reference(request)))


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise errors.NotCheckedIn() from None


routes: list[BaseRoute] = [
    endpoint("/api/bookings/{reference}/check-ins", check_ins),
    endpoint("/api/bookings/{reference}/check-ins", check_in, methods=("POST",)),
    endpoint("/api/bookings/{reference}/check-ins/{id}", undo, methods=("DELETE",)),
    endpoint("/api/bookings/{reference}/boarding-passes.pdf", passes_pdf),
    endpoint("/api/boarding/scans", scan, methods=("POST",)),
    endpoint("/api/boarding/flights/{id}", gate_list),
]

"""A booking's files for programs."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from portal.booking.errors import UnknownBooking
from portal.booking.views import BookingView
from portal.kit import db, grants, ids, limits, mail
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.tickets import service
from portal.tickets.errors import NotConfirmed, UnknownPaper
from portal.tickets.forms import DocumentOut, DocumentsOut, FileQuery


@operation(
    "The itinerary of a confirmed booking",
    query=FileQuery,
    media_type="application/pdf",
    errors=(UnknownBooking, NotConfirmed),
)
def itinerary(request: Request, query: FileQuery) -> Response:
    """Return the itinerary as PDF to the owner, staff, the booking's token, or who knows a traveller's family name."""
    view = _seen(request, query)
    with db.writing() as session:
        return _file(service.itinerary(session, view, request.settings))


@operation(
    "The flights of a confirmed booking for a calendar",
    query=FileQuery,
    media_type="text/calendar",
    errors=(UnknownBooking, NotConfirmed),
)
def calendar(request: Request, query: FileQuery) -> Response:
    """Return the flights as an iCalendar file to the same askers."""
    return _file(service.calendar(_seen(request, query), request.settings))


@operation(
    "The documents of a booking",
    query=FileQuery,
    answer=DocumentsOut,
    errors=(UnknownBooking, NotConfirmed),
)
def documents(request: Request, query: FileQuery) -> Response:
    """List the itinerary, receipts and credit notes of a paid booking, with the addresses of their files."""
    view = _seen(request, query, service.PAID)
    with db.reading() as session:
        found = service.papers(session, view)
    answer = DocumentsOut(data=tuple(DocumentOut.of(one) for one in found))
    return JSONResponse(answer.wire(), headers={"Cache-Control": "private, no-store"})


@operation(
    "The receipt of a booking",
    query=FileQuery,
    media_type="application/pdf",
    errors=(UnknownBooking, NotConfirmed),
)
def receipt(request: Request, query: FileQuery) -> Response:
    """Return the receipt of the sale as PDF, also of a booking that was cancelled since."""
    view = _seen(request, query, service.PAID)
    with db.writing() as session:
        return _file(service.receipt(session, view, request.settings))


@operation(
    "A receipt or credit note of a booking",
    query=FileQuery,
    media_type="application/pdf",
    errors=(UnknownBooking, NotConfirmed, UnknownPaper),
)
def paper(request: Request, query: FileQuery) -> Response:
    """Return one of the booking's receipts and credit notes by its number, as PDF."""
    view = _seen(request, query, service.PAID)
    with db.writing() as session:
        return _file(service.paper_file(session, view, request.path_params["number"], request.settings))


def _seen(request: Request, query: FileQuery, states: tuple[str, ...] = ("confirmed",)) -> BookingView:
    reference = ids.normal_reference(request.path_params["reference"])
    asker = service.Asker(
        **grants.standing(request, reference),
        family_name=query.family_name,
        address=limits.caller(request.scope),
    )
    with db.reading() as session:
        return service.find(session, reference, asker, request.settings, states=states)


def _file(made: mail.File) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{made.name}"', "Cache-Control": "private, no-store"}
    return Response(made.content, media_type=made.media_type, headers=headers)


routes = [
    endpoint("/api/bookings/{reference}/itinerary.pdf", itinerary),
    endpoint("/api/bookings/{reference}/calendar.ics", calendar),
    endpoint("/api/bookings/{reference}/documents", documents),
    endpoint("/api/bookings/{reference}/receipt.pdf", receipt),
    endpoint("/api/bookings/{reference}/papers/{number}.pdf", paper),
]

"""Own bookings for programs: a list, one, and every change of it: quote, confirm, drop."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from portal.booking import amending
from portal.booking.actions import Freed
from portal.booking.errors import (
    ActionClosed,
    AmendmentUnderWay,
    HoldExpired,
    NotHeld,
    QuoteExpired,
    QuoteOutdated,
    UnknownAmendment,
    UnknownBooking,
)
from portal.booking.forms import BookingOut, booking_wire
from portal.booking.queries import Access, amendment, booking_access, booking_view
from portal.booking.rules import BookingView, may_manage, may_see
from portal.flights.errors import FlightClosed, SoldOut
from portal.kit import clock, db, grants, ids, limits, signing
from portal.kit.errors import FieldError, Invalid, NotSignedIn
from portal.kit.i18n import gettext as _
from portal.kit.openapi import operation
from portal.kit.settings import Settings
from portal.kit.web import Request, endpoint
from portal.search.errors import OfferExpired
from portal.search.rules import Offer
from portal.search.service import read_offer
from portal.trips import queries, service
from portal.trips.forms import (
    AmendmentOut,
    BookingsOut,
    ListQuery,
    LookUp,
    NewCancellation,
    NewChange,
    NewContact,
    NewCorrection,
    OneBooking,
    amendment_wire,
)
from portal.trips.rules import Fault

PRIVATE = {"Cache-Control": "private, no-store"}


@operation("Your bookings, newest first", query=ListQuery, answer=BookingsOut, errors=(NotSignedIn,))
def own(request: Request, query: ListQuery) -> Response:
    """List the caller's own bookings."""
    viewer, now = request.require(), clock.now()
    after = _after(request.settings, viewer.id, query.cursor)
    with db.reading() as session:
        rows = queries.own_references(session, viewer.id, limit=query.limit + 1, after=after)
        views = [booking_view(session, reference) for reference, _created, _id in rows[: query.limit]]
        data = [booking_wire(view, now, freed=_freed(request, session, view)) for view in views if view is not None]
    more = _cursor(request.settings, viewer.id, rows[query.limit - 1]) if len(rows) > query.limit else None
    return JSONResponse({"data": data, "nextCursor": more}, headers=PRIVATE)


@operation("One booking", query=OneBooking, answer=BookingOut, errors=(UnknownBooking,))
def one(request: Request, query: OneBooking) -> Response:
    """Return a booking to its owner, to staff, to its own token, or to who knows a traveller's family name."""
    with db.reading() as session:
        view = _seen(session, request, query.family_name)
        freed = _freed(request, session, view)
    return JSONResponse(booking_wire(view, clock.now(), freed=freed), headers=PRIVATE)


def _freed(request: Request, session: Session, view: BookingView) -> Freed:
    fault: Fault = request.app.state.carrier_fault(session, view.id) if view.status == "confirmed" else Fault()
    return fault.freed


def _seen(session: Session, request: Request, family_name: str | None) -> BookingView:
    reference = request.path_params["reference"]
    view = booking_view(session, reference)
    if view and may_see(view, **grants.standing(request, view.reference), family_name=None):
        return view
    if family_name is None:
        raise UnknownBooking()
    return _by_name(session, request, reference, family_name)


def _by_name(session: Session, request: Request, reference: str, family_name: str) -> BookingView:
    try:
        wish = LookUp(reference=reference, family_name=family_name)
    except ValueError:
        raise UnknownBooking() from None
    return service.find(session, wish, request.settings, caller=limits.caller(request.scope))


def _cursor(settings: Settings, user_id: UUID, row: tuple[str, datetime, UUID]) -> str:
    return signing.seal(settings, f"bookings of {user_id}", [row[1].isoformat(), str(row[2])])


def _after(settings: Settings, user_id: UUID, cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        created, booking_id = signing.unseal(settings, f"bookings of {user_id}", cursor)
    except signing.Tampered:
        raise Invalid(errors=[FieldError("cursor", _("Please use `nextCursor` of the answer before."))]) from None
    return datetime.fromisoformat(created), UUID(booking_id)


QUOTES = (UnknownBooking, ActionClosed, NotHeld, HoldExpired)
CONFIRMS = (UnknownAmendment, QuoteExpired, QuoteOutdated, ActionClosed, AmendmentUnderWay, SoldOut, FlightClosed)


def _mine(request: Request) -> Access:
    """Return the booking that the asker may manage; raises UnknownBooking, the same for every reason."""
    with db.reading() as session:
        found = booking_access(session, request.path_params["reference"])
    if found is None or not may_manage(found, **grants.standing(request, found.reference)):
        raise UnknownBooking()
    return found


def _told(amendment_id: UUID, reference: str, status: int) -> Response:
    with db.reading() as session:
        kept = amendment(session, amendment_id)
    if kept is None:
        raise UnknownAmendment()
    headers = {**PRIVATE, "Location": f"/api/bookings/{reference}/amendments/{amendment_id}"}
    return JSONResponse(amendment_wire(kept), status, headers=headers)


@operation("Quote a cancellation", body=NewCancellation, answer=AmendmentOut, status=201, errors=QUOTES)
def quote_cancellation(request: Request, body: NewCancellation) -> Response:
    """Say what would go back; nothing is changed, and the quote holds for 15 minutes.

    What the airline itself has changed goes back in full, whatever the fare; `rule` says so.
    """
    found = _mine(request)
    at_fault = _fault(request, found).refund
    with db.writing() as session:
        made = amending.quote_cancellation(
            session, found.reference, **body.command(), at_fault=at_fault, actor_id=request.viewer_id
        ).id
    return _told(made, found.reference, 201)


def _fault(request: Request, found: Access) -> Fault:
    with db.reading() as session:
        fault: Fault = request.app.state.carrier_fault(session, found.id)
    return fault


def _is_free(request: Request, found: Access, position: int, offer: Offer) -> bool:
    fault = _fault(request, found)
    with db.reading() as session:
        view = booking_view(session, found.reference)
        return view is not None and service.is_free(session, view, position, offer, fault)


@operation("Quote a change of flights", body=NewChange, answer=AmendmentOut, status=201, errors=(*QUOTES, OfferExpired))
def quote_change(request: Request, body: NewChange) -> Response:
    """Say what it would cost to fly a direction by the offer's flights; nothing is changed.

    Where the airline itself has changed it, the same cabin up to 14 days earlier or later costs nothing.
    """
    found = _mine(request)
    offer = read_offer(request.settings, body.offer_id)
    given: dict[str, Any] = {"slice_position": body.slice_index, "offer": offer, "actor_id": request.viewer_id}
    waive = _is_free(request, found, body.slice_index, offer)
    with db.writing() as session:
        made = amending.quote_change(session, found.reference, **given, waive=waive).id
    return _told(made, found.reference, 201)


@operation("Quote a name correction", body=NewCorrection, answer=AmendmentOut, status=201, errors=QUOTES)
def quote_correction(request: Request, body: NewCorrection) -> Response:
    """Say how a name would stand on the ticket: free for up to three letters, twice, until check-in opens."""
    found = _mine(request)
    with db.writing() as session:
        made = amending.quote_correction(
            session,
            found.reference,
            passenger_id=body.passenger_id,
            given_name=body.given_name,
            family_name=body.family_name,
            actor_id=request.viewer_id,
        ).id
    return _told(made, found.reference, 201)


@operation("Do what was quoted", answer=AmendmentOut, errors=(UnknownBooking, *CONFIRMS))
def confirm(request: Request) -> Response:
    """Do it at once when nothing is due (status `done`); else it waits to be paid (status `paying`)."""
    found = _mine(request)
    kinds = {"cancellations": "cancellation", "changes": "change", "corrections": "correction"}
    kind = kinds[request.url.path.split("/")[-3]]
    with db.reading() as session:
        known = service.amendment_of(session, found.id, request.path_params["amendment_id"], kind)
    with db.writing() as session:
        amending.confirm(session, known.id, key=f"api:{ids.secret(18)}")
    return _told(known.id, found.reference, 200)


@operation("One change of a booking", answer=AmendmentOut, errors=(UnknownBooking, UnknownAmendment))
def one_amendment(request: Request) -> Response:
    """Return a change as it stands."""
    found = _mine(request)
    with db.reading() as session:
        known = service.amendment_of(session, found.id, request.path_params["amendment_id"])
    return JSONResponse(amendment_wire(known), headers=PRIVATE)


@operation("Drop a change", answer=AmendmentOut, errors=(UnknownBooking, UnknownAmendment, AmendmentUnderWay, NotHeld))
def withdraw(request: Request) -> Response:
    """Drop a change that is quoted or waits to be paid."""
    found = _mine(request)
    with db.reading() as session:
        known = service.amendment_of(session, found.id, request.path_params["amendment_id"])
    with db.writing() as session:
        amending.withdraw(session, known.id)
    return _told(known.id, found.reference, 200)


@operation("Change where news goes", body=NewContact, answer=BookingOut, errors=QUOTES)
def change_contact(request: Request, body: NewContact) -> Response:
    """Send what is about the booking elsewhere from now on; the old address is told."""
    found = _mine(request)
    with db.writing() as session:
        amending.change_contact(
            session, found.reference, email=body.email, phone=body.phone, actor_id=request.viewer_id
        )
    with db.reading() as session:
        view = booking_view(session, found.reference)
        freed = _freed(request, session, view) if view else Freed()
    if view is None:
        raise UnknownBooking()
    return JSONResponse(booking_wire(view, clock.now(), freed=freed), headers=PRIVATE)


AT = "/api/bookings/{reference}"
routes = [
    *(
        endpoint(f"{AT}/{name}", quote, methods=("POST",))
        for name, quote in (
            ("cancellations", quote_cancellation),
            ("changes", quote_change),
            ("corrections", quote_correction),
        )
    ),
    *(
        endpoint(
            f"{AT}/{name}/{{amendment_id}}/confirm", confirm, methods=("POST",), name=f"portal.trips.api.confirm_{name}"
        )
        for name in ("cancellations", "changes", "corrections")
    ),
    endpoint(f"{AT}/amendments/{{amendment_id}}", one_amendment),
    endpoint(f"{AT}/amendments/{{amendment_id}}/withdraw", withdraw, methods=("POST",)),
    endpoint(f"{AT}/contact", change_contact, methods=("PUT",)),
    endpoint("/api/bookings", own),
    endpoint("/api/bookings/{reference}", one),
]

"""Own bookings for programs: a list, and one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from portal.booking.errors import UnknownBooking
from portal.booking.forms import BookingOut, booking_wire
from portal.booking.queries import booking_view
from portal.booking.rules import BookingView, may_see
from portal.kit import clock, db, grants, limits, signing
from portal.kit.errors import FieldError, Invalid, NotSignedIn
from portal.kit.i18n import gettext as _
from portal.kit.openapi import operation
from portal.kit.settings import Settings
from portal.kit.web import Request, endpoint
from portal.trips import queries, service
from portal.trips.forms import BookingsOut, ListQuery, LookUp, OneBooking

PRIVATE = {"Cache-Control": "private, no-store"}


@operation("Your bookings, newest first", query=ListQuery, answer=BookingsOut, errors=(NotSignedIn,), signed_in=True)
def own(request: Request, query: ListQuery) -> Response:
    """List the caller's own bookings."""
    viewer, now = request.require(), clock.now()
    after = _after(request.settings, viewer.id, query.cursor)
    with db.reading() as session:
        rows = queries.own_references(session, viewer.id, limit=query.limit + 1, after=after)
        views = [booking_view(session, reference) for reference, _created, _id in rows[: query.limit]]
    more = _cursor(request.settings, viewer.id, rows[query.limit - 1]) if len(rows) > query.limit else None
    data = [booking_wire(view, now) for view in views if view is not None]
    return JSONResponse({"data": data, "nextCursor": more}, headers=PRIVATE)


@operation("One booking", query=OneBooking, answer=BookingOut, errors=(UnknownBooking,))
def one(request: Request, query: OneBooking) -> Response:
    """Return a booking to its owner, to staff, to its own token, or to who knows a traveller's family name."""
    with db.reading() as session:
        view = _seen(session, request, query.family_name)
    return JSONResponse(booking_wire(view, clock.now()), headers=PRIVATE)


def _seen(session: Session, request: Request, family_name: str | None) -> BookingView:
    reference, viewer = request.path_params["reference"], request.viewer
    view = booking_view(session, reference)
    user_id, staff = (viewer.id, viewer.is_staff) if viewer else (None, False)
    granted = grants.granted(request, view.reference) if view else None
    if view and may_see(view, user_id=user_id, staff=staff, family_name=None, granted=granted):
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


routes = [
    endpoint("/api/bookings", own),
    endpoint("/api/bookings/{reference}", one),
]

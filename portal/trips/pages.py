"""Pages of a traveller's own bookings: find one, look at it, list them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from portal.booking.actions import available_actions
from portal.booking.errors import UnknownBooking
from portal.booking.queries import booking_view
from portal.booking.rules import BookingView, may_manage, may_see
from portal.booking.told import journey, price_of_booking, search_again
from portal.kit import clock, db, grants, limits
from portal.kit.docs import every_error
from portal.kit.errors import Invalid
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Request, errors_by_field, page, render, see_other
from portal.pricing.service import load_book
from portal.tickets import rules as tickets
from portal.trips import queries, rules, service
from portal.trips.forms import LookUp


@dataclass(frozen=True, slots=True)
class Hold:
    """How long the seats are held, counted here, so that a wrong clock in the browser misleads nobody."""

    expires_at: datetime
    seconds_left: int
    extend_url: str
    search_url: str


def manage_form(request: Request) -> Response:
    """Ask which booking."""
    return _manage_page(request, {"reference": request.query_params.get("reference", "")[:12]}, {}, 200)


def manage(request: Request) -> Response:
    """Let this browser see the booking that was named; a wrong reference and a wrong name get the same answer."""
    typed = dict(request.fields)
    try:
        wish = parse(LookUp, nested(request.fields))
        with db.reading() as session:
            view = service.find(session, wish, request.settings, caller=limits.caller(request.scope))
    except Invalid as no:
        return _manage_page(request, typed, errors_by_field(no), no.status)
    except UnknownBooking as no:
        return _manage_page(request, typed, {"reference": no.detail}, no.status)
    response = see_other(request, f"/bookings/{view.reference}")
    grants.grant(request, response, view.reference, "view")
    return response


def _manage_page(request: Request, typed: Any, errors: Any, status: int) -> Response:
    form = {name: str(typed.get(name, "")) for name in ("reference", "familyName")}
    return render(request, "trips/manage.html", status=status, form=form, errors=errors)


def booking(request: Request) -> Response:
    """Show a booking to who may see it: its owner, staff, and a browser that made it or looked it up."""
    reference, now = request.path_params["reference"], clock.now()
    with db.reading() as session:
        view = booking_view(session, reference)
    if view is None or not _may(may_see, request, view, family_name=None):
        raise UnknownBooking()
    if reference != view.reference:
        return see_other(request, f"/bookings/{view.reference}")
    mine = _may(may_manage, request, view)
    return render(request, "trips/booking.html", block="booking", **_shown(view, now, mine=mine))


def _may(rule: Any, request: Request, view: BookingView, **more: Any) -> bool:
    viewer = request.viewer
    user_id, staff = (viewer.id, viewer.is_staff) if viewer else (None, False)
    granted = grants.granted(request, view.reference)
    return bool(rule(view, user_id=user_id, staff=staff, granted=granted, **more))


def _shown(view: BookingView, now: datetime, *, mine: bool) -> dict[str, Any]:
    state = view.status_at(now)
    paid = state == "confirmed"
    return {
        "booking": view,
        "state": state,
        "trips": tickets.trips(view),
        "travellers": tickets.travellers(view, is_printable=str.isprintable) if view.is_named else (),
        "price": price_of_booking(view, [journey(piece.flights) for piece in view.slices]),
        "terms": tickets.terms(view),
        "hold": _hold(view, now, mine=mine) if state == "held" else None,
        "go_on": _go_on(view) if state == "held" and mine else "",
        "files": _files(view) if paid else (),
        "closed": rules.closed_actions(view, now) if paid else (),
        "search_url": search_again(view),
        "mine": mine,
    }


def _hold(view: BookingView, now: datetime, *, mine: bool) -> Hold:
    expires_at = view.expires_at or now
    left = max(0, int((expires_at - now).total_seconds()))
    extend = f"/book/{view.reference}/extend" if mine and available_actions(view, now)["extend"] is None else ""
    return Hold(expires_at, left, extend, search_again(view))


def _go_on(view: BookingView) -> str:
    return f"/book/{view.reference}/pay" if view.is_named else f"/book/{view.reference}/passengers"


def _files(view: BookingView) -> tuple[tuple[str, str, str], ...]:
    at = f"/bookings/{view.reference}"
    return (
        (f"{at}/itinerary.pdf", _("Itinerary to print (PDF)"), "paper"),
        (f"{at}/calendar.ics", _("Add to my calendar"), "date"),
    )


def mine(request: Request) -> Response:
    """List the trips of who is signed in: those ahead, and those behind."""
    viewer, now = request.require(), clock.now()
    with db.reading() as session:
        trips = queries.own_trips(session, viewer.id, now)
    upcoming, past = rules.ahead_and_behind(trips, now)
    return render(request, "trips/mine.html", upcoming=upcoming, past=past)


def help_page(request: Request) -> Response:
    """Answer what travellers ask, with the figures that this portal really keeps to."""
    with db.reading() as session:
        brands = load_book(session).brands.values()
    settings = request.settings
    return render(
        request,
        "trips/help.html",
        hold_minutes=settings.hold_minutes,
        cabins=rules.brands_by_cabin(brands),
        support_email=settings.support_email,
    )


def errors_page(request: Request) -> Response:
    """List every error code that a program can meet; problem details point here."""
    return render(request, "trips/errors.html", problems=list(every_error()))


routes = [
    page("/manage", manage_form),
    page("/manage", manage, methods=("POST",)),
    page("/bookings/{reference}", booking),
    page("/account/trips", mine),
    page("/help", help_page),
    page("/help/errors", errors_page),
]

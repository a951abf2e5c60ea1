"""Pages of a traveller's own bookings: find one, look at it, list them; help."""

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
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other
from portal.pricing.service import load_book
from portal.tickets import rules as tickets
from portal.tickets import service as documents
from portal.tickets.rules import trips as cards
from portal.trips import queries, rules, service, told
from portal.trips.forms import (
    LookUp,
)


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
    view, now = _seen(request, may_see, family_name=None), clock.now()
    if request.path_params["reference"] != view.reference:
        return see_other(request, f"/bookings/{view.reference}")
    mine = _may(may_manage, request, view)
    shown = _shown(view, now, mine=mine, fault=fault_of(request, view) if mine else rules.Fault())
    changed = changed_by_airline(request, view)
    with db.reading() as session:
        passes = mine and queries.is_checked_in(session, view.id)
        shown["files"] = [*(told.passes(view) if passes else ()), *documents.files(session, view)]
    return render(request, "trips/booking.html", block="booking", **shown, changed_by_airline=changed)


def changed_by_airline(request: Request, view: BookingView) -> tuple[Any, ...]:
    """Return the changes that wait for an answer. Who knows stands above this room: the app hands the question down."""
    with db.reading() as session:
        return tuple(request.app.state.changed_by_airline(session, view.id))


def fault_of(request: Request, view: BookingView) -> rules.Fault:
    """Return what open changes by the airline give the booking a right to; who knows stands above this room, too."""
    with db.reading() as session:
        found: rules.Fault = request.app.state.carrier_fault(session, view.id)
    return found


def _seen(request: Request, rule: Any, **more: Any) -> BookingView:
    """Return the booking to who `rule` lets; raises UnknownBooking, the same for every reason."""
    with db.reading() as session:
        view = booking_view(session, request.path_params["reference"])
    if view is None or not _may(rule, request, view, **more):
        raise UnknownBooking()
    return view


def own(request: Request) -> BookingView:
    """Return the booking to who may manage it; raises UnknownBooking to everybody else."""
    return _seen(request, may_manage)


def _may(rule: Any, request: Request, view: BookingView, **more: Any) -> bool:
    return bool(rule(view, **grants.standing(request, view.reference), **more))


def _shown(view: BookingView, now: datetime, *, mine: bool, fault: rules.Fault) -> dict[str, Any]:
    state = view.status_at(now)
    paid, waiting = state == "confirmed", view.open_amendment
    may = mine and paid
    return {
        "booking": view,
        "state": state,
        "trips": [
            (trip, told.slice_doors(view, trip.piece, now, fault) if may else (), told.left_of(view, trip.piece))
            for trip in cards(view)
        ],
        "gone": [piece for piece in view.slices if piece.cancelled_at and view.active_slices],
        "travellers": tickets.travellers(view, is_printable=str.isprintable) if view.is_named else (),
        "left": [one.name for one in view.passengers if one.cancelled_at and view.active_passengers],
        "price": price_of_booking(view, [journey(piece.flights) for piece in view.slices]),
        "terms": tickets.terms(view),
        "extras": told.extras(view),
        "history": told.history(view),
        "waiting": waiting if waiting and paid and not waiting.has_lapsed(now) else None,
        "hold": _hold(view, now, mine=mine) if state == "held" else None,
        "go_on": _go_on(view) if state == "held" and mine else "",
        "doors": told.doors(view, now, fault) if mine else {},
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


def ask_link(request: Request) -> Response:
    """Mail a link to the booking's contact, with which its reader may change it."""
    view = _seen(request, may_see, family_name=None)
    with db.writing() as session:
        service.ask_link(session, view, request.settings, caller=limits.caller(request.scope))
    words = _("We sent a link to the address that the tickets went to. It opens for 30 minutes.")
    return see_other(request, f"/bookings/{view.reference}", Notice("good", words))


def link(request: Request) -> Response:
    """Show whose link was opened; only its button grants anything, so that no mail program does it by looking."""
    token = request.query_params.get("token", "")[:2000]
    with db.reading() as session:
        view = service.linked(session, token, request.settings)
    return render(request, "trips/link.html", booking=view, token=token)


def use_link(request: Request) -> Response:
    """Let this browser change the booking that the link is for."""
    with db.reading() as session:
        view = service.linked(session, str(request.fields.get("token", ""))[:2000], request.settings)
    response = see_other(request, f"/bookings/{view.reference}")
    grants.grant(request, response, view.reference, "manage")
    return response


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


AT = "/bookings/{reference}"
routes = [
    page("/manage", manage_form),
    page("/manage", manage, methods=("POST",)),
    page("/manage/link", link),
    page("/manage/link", use_link, methods=("POST",)),
    page(AT, booking),
    page(f"{AT}/link", ask_link, methods=("POST",)),
    page("/account/trips", mine),
    page("/help", help_page),
    page("/help/errors", errors_page),
]

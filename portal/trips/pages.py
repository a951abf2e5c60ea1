"""Pages of a traveller's own bookings: find one, look at it, list them, change it.

Every change goes one way: a form asks what is meant, its quote is shown with all it costs, and a button confirms it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from portal.booking import amending
from portal.booking.actions import available_actions, changeable
from portal.booking.errors import ActionClosed, UnknownBooking
from portal.booking.queries import booking_view
from portal.booking.rules import BookingView, may_manage, may_see
from portal.booking.told import journey, price_of_amendment, price_of_booking, search_again
from portal.booking.views import AmendmentView
from portal.flights.errors import FlightClosed, SoldOut
from portal.kit import clock, db, grants, limits
from portal.kit.docs import every_error
from portal.kit.errors import Conflict, Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other
from portal.pricing.service import load_book
from portal.search.errors import OfferExpired
from portal.search.service import read_offer
from portal.tickets import rules as tickets
from portal.tickets import service as documents
from portal.tickets.rules import trips as cards
from portal.trips import queries, rules, service, told
from portal.trips.forms import (
    LookUp,
    NewCancellation,
    NewChange,
    NewContact,
    NewCorrection,
    cancellation_fields,
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
    shown = _shown(view, now, mine=mine)
    changed = _changed_by_airline(request, view)
    with db.reading() as session:
        passes = mine and queries.is_checked_in(session, view.id)
        shown["files"] = [*(told.passes(view) if passes else ()), *documents.files(session, view)]
    return render(request, "trips/booking.html", block="booking", **shown, changed_by_airline=changed)


def _changed_by_airline(request: Request, view: BookingView) -> int:
    """Return how many changes wait for an answer. Who knows stands above this room: the app hands the question down."""
    with db.reading() as session:
        return int(request.app.state.changed_by_airline(session, view.id))


def _seen(request: Request, rule: Any, **more: Any) -> BookingView:
    """Return the booking to who `rule` lets; raises UnknownBooking, the same for every reason."""
    with db.reading() as session:
        view = booking_view(session, request.path_params["reference"])
    if view is None or not _may(rule, request, view, **more):
        raise UnknownBooking()
    return view


def _mine(request: Request) -> BookingView:
    return _seen(request, may_manage)


def _may(rule: Any, request: Request, view: BookingView, **more: Any) -> bool:
    return bool(rule(view, **grants.standing(request, view.reference), **more))


def _shown(view: BookingView, now: datetime, *, mine: bool) -> dict[str, Any]:
    state = view.status_at(now)
    paid, waiting = state == "confirmed", view.open_amendment
    return {
        "booking": view,
        "state": state,
        "trips": [(trip, told.slice_doors(view, trip.piece, now) if mine and paid else ()) for trip in cards(view)],
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
        "doors": told.doors(view, now) if mine else {},
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


def cancel_form(request: Request) -> Response:
    """Ask what is to be cancelled."""
    view = _mine(request)
    given = request.query_params
    typed = {"part": given.get("part", "all"), "slice": given.getlist("slice"), "passenger": [], "refund": "original"}
    return _cancel_page(request, view, typed, {}, 200)


def _cancel_page(request: Request, view: BookingView, typed: Any, errors: Any, status: int) -> Response:
    reason = available_actions(view, clock.now())["cancel"]
    slices = [piece for piece in view.active_slices if not piece.has_left(clock.now())]
    shown = {"booking": view, "typed": typed, "errors": errors, "reason": reason, "slices": slices}
    shown["changed_by_airline"] = _changed_by_airline(request, view)
    return render(request, "trips/cancel.html", status=status, **shown, terms=tickets.terms(view))


def cancel(request: Request) -> Response:
    """Quote what was chosen and show it."""
    view, fields = _mine(request), request.fields
    typed = {"part": fields.get("part"), "slice": fields.getlist("slice"), "passenger": fields.getlist("passenger")}
    typed["refund"] = fields.get("refund", "original")
    try:
        wish = parse(NewCancellation, cancellation_fields(typed))
        waive = bool(fields.get("waive") and request.viewer and request.viewer.is_staff)
        return _quoted(request, view, amending.quote_cancellation, **wish.command(), waive=waive)
    except (Invalid, ActionClosed) as no:
        return _cancel_page(request, view, typed, _why(no), no.status)


def _why(no: PortalError) -> dict[str, str]:
    return dict(errors_by_field(no)) if isinstance(no, Invalid) else {"": no.detail}


def _quoted(request: Request, view: BookingView, quote: Any, **command: Any) -> Response:
    actor = request.viewer_id
    with db.writing() as session:
        made = quote(session, view.reference, actor_id=actor, **command).id
    return see_other(request, f"/bookings/{view.reference}/amendments/{made}")


def change_form(request: Request) -> Response:
    """Ask which direction and which day, and show what flies then with the difference in price."""
    return _change_page(request, _mine(request), {}, 200)


def _change_page(request: Request, view: BookingView, errors: dict[str, str], status: int) -> Response:
    now, given = clock.now(), request.query_params
    able = [piece for piece in view.active_slices if changeable(view, piece.position, now)]
    piece = next((one for one in able if str(one.position) == given.get("slice")), able[0] if able else None)
    found: list[told.Instead] = []
    if piece is not None and given.get("on"):
        try:
            with db.reading() as session:
                result = service.other_flights(session, view, piece, rules.day(given["on"]), request.settings)
            found = told.instead(result, view, piece)
        except Invalid as no:
            errors, status = {"on": next(iter(errors_by_field(no).values()), no.detail)}, no.status
    shown = {"booking": view, "able": able, "piece": piece, "found": found, "asked": given.get("on", "")}
    shown["ways"] = [(one.position, f"{one.origin.city} – {one.destination.city}") for one in able]
    shown["changed_by_airline"] = _changed_by_airline(request, view)
    shown["fee_minor"] = told.change_fee(view, piece, now) if piece else 0
    return render(request, "trips/change.html", block="found", status=status, **shown, errors=errors)


def change(request: Request) -> Response:
    """Quote the chosen flights and show it."""
    view = _mine(request)
    try:
        wish = parse(NewChange, {"sliceIndex": request.fields.get("slice"), "offerId": request.fields.get("offer")})
        offer = read_offer(request.settings, wish.offer_id)
        return _quoted(request, view, amending.quote_change, slice_position=wish.slice_index, offer=offer)
    except (Invalid, ActionClosed, OfferExpired, FlightClosed) as no:
        return _change_page(request, view, {"on": no.detail}, no.status)


def correct_form(request: Request) -> Response:
    """Ask how a name should stand."""
    return _correct_page(request, _mine(request), {}, {}, 200)


def _correct_page(request: Request, view: BookingView, typed: Any, errors: Any, status: int) -> Response:
    chosen = str(typed.get("passengerId") or request.query_params.get("passenger", ""))
    one = next((one for one in view.active_passengers if str(one.id) == chosen), None)
    reason = available_actions(view, clock.now())["correct"]
    shown = {"booking": view, "one": one, "typed": typed, "errors": errors, "reason": reason}
    return render(request, "trips/correct.html", status=status, **shown)


def correct(request: Request) -> Response:
    """Quote the correction and show it."""
    view, typed = _mine(request), dict(request.fields)
    try:
        wish = parse(NewCorrection, nested(request.fields))
        return _quoted(request, view, amending.quote_correction, **wish.model_dump())
    except (Invalid, ActionClosed) as no:
        return _correct_page(request, view, typed, _why(no), no.status)


def contact_form(request: Request) -> Response:
    """Ask where news of the booking should go."""
    view = _mine(request)
    typed = {"email": view.contact_email or "", "phone": view.contact_phone or ""}
    return render(request, "trips/contact.html", booking=view, typed=typed, errors={})


def contact(request: Request) -> Response:
    """Keep the new contact; the old address is told."""
    view, typed = _mine(request), {name: str(request.fields.get(name, "")) for name in ("email", "phone")}
    try:
        wish = parse(NewContact, nested(request.fields))
        actor = request.viewer_id
        with db.writing() as session:
            amending.change_contact(session, view.reference, email=wish.email, phone=wish.phone, actor_id=actor)
    except Invalid as no:
        errors = errors_by_field(no)
        return render(request, "trips/contact.html", status=422, booking=view, typed=typed, errors=errors)
    words = _("From now on, news goes to %(email)s. We told the old address.") % {"email": wish.email}
    return see_other(request, f"/bookings/{view.reference}", Notice("good", words))


def quote(request: Request) -> Response:
    """Show a change with all it costs or gives back, and the button that confirms it."""
    view = _mine(request)
    with db.reading() as session:
        one = service.amendment_of(session, view.id, request.path_params["amendment_id"])
    return _quote_page(request, view, one, "", 200)


def _quote_page(request: Request, view: BookingView, one: AmendmentView, problem: str, status: int) -> Response:
    with db.reading() as session:
        flights = service.new_flights(session, one)
    shown: dict[str, Any] = {"booking": view, "one": one, "problem": problem, "heading": told.kind_words(one)}
    shown |= {"effects": told.effects(view, one), "rule": told.rule_words(one), "way": told.refund_words(one)}
    shown |= {"price": price_of_amendment(view, one, [journey(piece.flights) for piece in view.slices])}
    shown |= {"trip": journey(flights) if flights else None, "over": one.has_lapsed(clock.now())}
    return render(request, "trips/quote.html", status=status, **shown)


def confirm(request: Request) -> Response:
    """Do what was quoted, or go on to pay for it."""
    view = _mine(request)
    with db.reading() as session:
        one = service.amendment_of(session, view.id, request.path_params["amendment_id"])
    try:
        with db.writing() as session:
            state = amending.confirm(session, one.id, key=f"page:{one.id}").state
    except (Conflict, SoldOut, FlightClosed) as no:
        return _quote_page(request, view, one, no.detail or no.title, no.status)
    if state == "paying":
        return see_other(request, f"/book/{view.reference}/pay")
    return see_other(request, f"/bookings/{view.reference}", Notice("good", told.done_words(one)))


def withdraw(request: Request) -> Response:
    """Drop a change that is quoted or waits to be paid."""
    view = _mine(request)
    with db.reading() as session:
        one = service.amendment_of(session, view.id, request.path_params["amendment_id"])
    with db.writing() as session:
        amending.withdraw(session, one.id)
    return see_other(request, f"/bookings/{view.reference}", Notice("info", _("Nothing was changed.")))


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
FORMS = (
    ("cancel", cancel_form, cancel),
    ("change", change_form, change),
    ("correct", correct_form, correct),
    ("contact", contact_form, contact),
)
routes = [
    page("/manage", manage_form),
    page("/manage", manage, methods=("POST",)),
    page("/manage/link", link),
    page("/manage/link", use_link, methods=("POST",)),
    page(AT, booking),
    page(f"{AT}/link", ask_link, methods=("POST",)),
    *(page(f"{AT}/{name}", form) for name, form, _deed in FORMS),
    *(page(f"{AT}/{name}", deed, methods=("POST",)) for name, _form, deed in FORMS),
    page(f"{AT}/amendments/{{amendment_id}}", quote),
    page(f"{AT}/amendments/{{amendment_id}}", confirm, methods=("POST",)),
    page(f"{AT}/amendments/{{amendment_id}}/withdraw", withdraw, methods=("POST",)),
    page("/account/trips", mine),
    page("/help", help_page),
    page("/help/errors", errors_page),
]

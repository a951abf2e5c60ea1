"""Pages that change a booking: cancel, fly otherwise, correct a name, send news elsewhere.

Every change goes one way: a form asks what is meant, its quote is shown with all it costs, and a button confirms it.
What the airline itself has changed is quoted without a penalty, and says so.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from portal.booking import amending
from portal.booking.actions import available_actions
from portal.booking.errors import ActionClosed
from portal.booking.told import journey, price_of_amendment
from portal.booking.views import AmendmentView, BookingView
from portal.flights.errors import FlightClosed, SoldOut
from portal.kit import clock, db
from portal.kit.errors import Conflict, Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other
from portal.search.errors import OfferExpired
from portal.search.service import read_offer
from portal.tickets import rules as tickets
from portal.trips import rules, service, told
from portal.trips.forms import NewCancellation, NewChange, NewContact, NewCorrection, cancellation_fields
from portal.trips.pages import changed_by_airline, fault_of, own


def cancel_form(request: Request) -> Response:
    """Ask what is to be cancelled."""
    view = own(request)
    return _cancel_page(request, view, {**_typed(request.query_params), "refund": "original"}, {}, 200)


def _typed(given: Any) -> dict[str, Any]:
    """Return who and what is ticked; ticking some says by itself that not all are meant."""
    chosen = {name: [str(one) for one in given.getlist(name)] for name in ("slice", "passenger")}
    who, ways = given.get("who", "all"), given.get("ways", "all")
    return {**chosen, "who": "some" if chosen["passenger"] else who, "ways": "some" if chosen["slice"] else ways}


def _cancel_page(request: Request, view: BookingView, typed: Any, errors: Any, status: int) -> Response:
    fault = fault_of(request, view)
    reason = available_actions(view, clock.now(), fault.freed)["cancel"]
    slices = [piece for piece in view.active_slices if not piece.has_left(clock.now())]
    people = [one for one in view.active_passengers if any(one.flies(piece.position) for piece in slices)]
    shown = {"booking": view, "typed": typed, "errors": errors, "reason": reason, "slices": slices, "people": people}
    shown["changed_by_airline"] = changed_by_airline(request, view)
    shown["why"] = told.fault_words(fault, fault.refund, [piece.position for piece in slices])
    return render(request, "trips/cancel.html", status=status, **shown, terms=tickets.terms(view))


def cancel(request: Request) -> Response:
    """Quote what was chosen and show it."""
    view, fields = own(request), request.fields
    typed = {**_typed(fields), "refund": fields.get("refund", "original")}
    try:
        wish = parse(NewCancellation, cancellation_fields(typed))
        waive = bool(fields.get("waive") and request.viewer and request.viewer.is_staff)
        right: dict[str, Any] = {"waive": waive, "at_fault": fault_of(request, view).refund}
        return _quoted(request, view, amending.quote_cancellation, **wish.command(), **right)
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
    return _change_page(request, own(request), {}, 200)


def _change_page(request: Request, view: BookingView, errors: dict[str, str], status: int) -> Response:
    now, given, fault = clock.now(), request.query_params, fault_of(request, view)
    able = [piece for piece in view.active_slices if told.may_change(view, piece, now, fault)]
    piece = next((one for one in able if str(one.position) == given.get("slice")), able[0] if able else None)
    found: list[told.Instead] = []
    if piece is not None and given.get("on"):
        try:
            with db.reading() as session:
                result = service.other_flights(session, view, piece, rules.day(given["on"]), request.settings)
            found = told.instead(result, view, piece, fault)
        except Invalid as no:
            errors, status = {"on": next(iter(errors_by_field(no).values()), no.detail)}, no.status
    shown = {"booking": view, "able": able, "piece": piece, "found": found, "asked": given.get("on", "")}
    shown["ways"] = [(one.position, f"{one.origin.city} – {one.destination.city}") for one in able]
    shown["changed_by_airline"] = changed_by_airline(request, view)
    shown["fee_minor"] = told.change_fee(view, piece, now) if piece else 0
    shown["refund_kept"] = told.refund_kept(view, piece, now) if piece else ""
    shown["why"] = told.fault_words(fault, fault.rebook, [piece.position] if piece else [])
    shown["free_days"] = fault.rebook.get(piece.position) if piece else None
    return render(request, "trips/change.html", block="found", status=status, **shown, errors=errors)


def change(request: Request) -> Response:
    """Quote the chosen flights and show it."""
    view = own(request)
    try:
        wish = parse(NewChange, {"sliceIndex": request.fields.get("slice"), "offerId": request.fields.get("offer")})
        offer = read_offer(request.settings, wish.offer_id)
        with db.reading() as session:
            waive = service.is_free(session, view, wish.slice_index, offer, fault_of(request, view))
        return _quoted(request, view, amending.quote_change, slice_position=wish.slice_index, offer=offer, waive=waive)
    except (Invalid, ActionClosed, OfferExpired, FlightClosed) as no:
        return _change_page(request, view, {"on": no.detail}, no.status)


def correct_form(request: Request) -> Response:
    """Ask how a name should stand."""
    return _correct_page(request, own(request), {}, {}, 200)


def _correct_page(request: Request, view: BookingView, typed: Any, errors: Any, status: int) -> Response:
    chosen = str(typed.get("passengerId") or request.query_params.get("passenger", ""))
    one = next((one for one in view.active_passengers if str(one.id) == chosen), None)
    reason = available_actions(view, clock.now())["correct"]
    shown = {"booking": view, "one": one, "typed": typed, "errors": errors, "reason": reason}
    return render(request, "trips/correct.html", status=status, **shown)


def correct(request: Request) -> Response:
    """Quote the correction and show it."""
    view, typed = own(request), dict(request.fields)
    try:
        wish = parse(NewCorrection, nested(request.fields))
        return _quoted(request, view, amending.quote_correction, **wish.model_dump())
    except (Invalid, ActionClosed) as no:
        return _correct_page(request, view, typed, _why(no), no.status)


def contact_form(request: Request) -> Response:
    """Ask where news of the booking should go."""
    view = own(request)
    typed = {"email": view.contact_email or "", "phone": view.contact_phone or ""}
    return render(request, "trips/contact.html", booking=view, typed=typed, errors={})


def contact(request: Request) -> Response:
    """Keep the new contact; the old address is told."""
    view, typed = own(request), {name: str(request.fields.get(name, "")) for name in ("email", "phone")}
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
    view = own(request)
    with db.reading() as session:
        one = service.amendment_of(session, view.id, request.path_params["amendment_id"])
    return _quote_page(request, view, one, "", 200)


def _quote_page(request: Request, view: BookingView, one: AmendmentView, problem: str, status: int) -> Response:
    with db.reading() as session:
        flights = service.new_flights(session, one)
    shown: dict[str, Any] = {"booking": view, "one": one, "problem": problem, "heading": told.kind_words(one)}
    shown |= {"effects": told.effects(view, one), "rule": told.rule_words(one), "way": told.refund_words(one)}
    shown["extras_back"] = told.extras_back(one)
    shown |= {"price": price_of_amendment(view, one, [journey(piece.flights) for piece in view.slices])}
    shown |= {"trip": journey(flights) if flights else None, "over": one.has_lapsed(clock.now())}
    return render(request, "trips/quote.html", status=status, **shown)


def confirm(request: Request) -> Response:
    """Do what was quoted, or go on to pay for it."""
    view = own(request)
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
    view = own(request)
    with db.reading() as session:
        one = service.amendment_of(session, view.id, request.path_params["amendment_id"])
    with db.writing() as session:
        amending.withdraw(session, one.id)
    return see_other(request, f"/bookings/{view.reference}", Notice("info", _("Nothing was changed.")))


AT = "/bookings/{reference}"
FORMS = (
    ("cancel", cancel_form, cancel),
    ("change", change_form, change),
    ("correct", correct_form, correct),
    ("contact", contact_form, contact),
)
routes = [
    *(page(f"{AT}/{name}", form) for name, form, _deed in FORMS),
    *(page(f"{AT}/{name}", deed, methods=("POST",)) for name, _form, deed in FORMS),
    page(f"{AT}/amendments/{{amendment_id}}", quote),
    page(f"{AT}/amendments/{{amendment_id}}", confirm, methods=("POST",)),
    page(f"{AT}/amendments/{{amendment_id}}/withdraw", withdraw, methods=("POST",)),
]

"""Pages of carrier changes: staff steer flights, travellers answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.booking.errors import UnknownBooking
from portal.booking.queries import booking_view
from portal.booking.rules import may_manage, may_see
from portal.booking.views import BookingView
from portal.disruptions import queries, rules, service, told
from portal.disruptions.errors import UnknownChange
from portal.disruptions.forms import ORDERS, FlightsQuery, Order
from portal.disruptions.queries import StaffFlight
from portal.disruptions.rules import Affected
from portal.flights import operations, seating
from portal.flights.errors import UnknownFlight
from portal.flights.operations import Deed
from portal.flights.queries import FlightView, flight_by_public_id, flights_by_id
from portal.kit import clock, db, grants, signing
from portal.kit.errors import Conflict, FieldError, Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.validation import parse
from portal.kit.web import Notice, Request, Viewer, errors_by_field, page, render, see_other
from portal.search.service import read_offer

PAGE = 50
FLIGHTS, LIST = "/admin/flights", "staff flights page"
FILTERS = ("on", "number", "route", "state")


def flights(request: Request) -> Response:
    """List flights by day, number, route and state; the address says which. For staff."""
    _staff(request)
    given = {name: value for name, value in request.query_params.items() if value and name in (*FILTERS, "cursor")}
    shown = {"filters": {name: given.get(name, "") for name in FILTERS}}
    try:
        wish = parse(FlightsQuery, {**given, "limit": PAGE})
        after = _unsealed(request, wish.cursor)
    except Invalid as no:
        return _list(request, 422, **shown, errors=errors_by_field(no), rows=[], next_href="")
    with db.reading() as session:
        found = queries.staff_flights(session, wish, after=after, limit=PAGE + 1)
    more = _next(request, given, found[PAGE - 1]) if len(found) > PAGE else ""
    return _list(request, 200, **shown, errors={}, rows=found[:PAGE], next_href=more)


def _list(request: Request, status: int, **context: Any) -> Response:
    first = f"{FLIGHTS}?{urlencode(context['filters'])}" if request.query_params.get("cursor") else ""
    return render(request, "disruptions/flights.html", block="rows", status=status, first_href=first, **context)


def _next(request: Request, given: dict[str, str], last: StaffFlight) -> str:
    sealed = signing.seal(request.settings, LIST, [last.flight.departure_at.isoformat(), last.flight.id])
    return f"{FLIGHTS}?{urlencode({**given, 'cursor': sealed})}"


def _unsealed(request: Request, cursor: str | None) -> tuple[datetime, int] | None:
    if cursor is None:
        return None
    try:
        departure, flight_id = signing.unseal(request.settings, LIST, cursor)
    except signing.Tampered:
        raise Invalid(errors=[FieldError("", _("Please begin again at the first page."))]) from None
    return datetime.fromisoformat(departure), int(flight_id)


def flight(request: Request) -> Response:
    """Show one flight: what is sold, who sits where, who is booked, what was done, and what can be. For staff."""
    _staff(request)
    return _flight_page(request, {}, {}, 200)


def _flight_page(request: Request, typed: dict[str, str], errors: Mapping[str, str], status: int) -> Response:
    with db.reading() as session:
        view = _known(session, request)
        context: dict[str, Any] = {
            "one": queries.staff_flight(session, view.id),
            "plan": seating.seat_plan(session, view.id),
            "aboard": queries.passengers(session, view.id),
            "changes": queries.changes_of_flight(session, view.id),
            "affected": queries.affected_by_flight(session, view.id),
            "history": queries.history(session, view.public_id),
            "aircraft": queries.aircraft(session),
        }
    aboard, one = context["aboard"], context["one"]
    return render(
        request,
        "disruptions/flight.html",
        block="telling",
        status=status,
        flight=view,
        typed=typed,
        errors=errors,
        telling=any(change.told < change.bookings for change in context["changes"]),
        names={who.id: who.ticket_name for who in aboard},
        initials={who.id: told.initials(who.ticket_name) for who in aboard},
        bars=[told.bar(cabin.cabin, cabin.sold, cabin.capacity, cabin.held) for cabin in one.cabins],
        brief=told.brief,
        state_words=told.state_words,
        why_words=rules.why_words,
        **context,
    )


def change_form(request: Request) -> Response:
    """Show what a change would do before it is done: bookings, passengers, connections missed, money. For staff."""
    _staff(request)
    typed = dict(request.query_params)
    try:
        kind, order = _order(typed)
        with db.reading() as session:
            view = _known(session, request)
            deed = service.deed_of(session, view.id, kind, order)
            ahead = service.look_ahead(session, view, deed)
            room = operations.room_for(session, view, deed) if kind == "swap" else []
    except Invalid as no:
        return _flight_page(request, typed, _errors(typed, no), 422)
    times = operations.new_times(view, deed)
    zones = view.departure.tzinfo, view.arrival.tzinfo
    return render(
        request,
        "disruptions/change.html",
        flight=view,
        deed=deed,
        order=order,
        typed=typed,
        ahead=ahead,
        room=room,
        leaves=times.departure_at.astimezone(zones[0]),
        lands=times.arrival_at.astimezone(zones[1]),
    )


def change(request: Request) -> Response:
    """Change the flight: its sale is closed first, by itself; then everybody booked is noted and told. For staff."""
    viewer = _staff(request)
    typed = {name: str(value) for name, value in request.fields.items()}
    try:
        kind, order = _order(typed)
        with db.reading() as session:
            view = _known(session, request)
            deed = service.deed_of(session, view.id, kind, order)
            service.look_ahead(session, view, deed)
        _carry_out(view, deed, viewer, reopen=order.reopen)
    except Invalid as no:
        return _flight_page(request, typed, _errors(typed, no), 422)
    except Conflict as no:
        return see_other(request, f"{FLIGHTS}/{view.public_id}", Notice("stop", f"{no.title}. {no.detail}"))
    done = Notice("good", _("Done. Everybody booked is being told; you can watch it below."))
    return see_other(request, f"{FLIGHTS}/{view.public_id}#changes", done)


def _carry_out(view: FlightView, deed: Deed, viewer: Viewer, *, reopen: bool) -> None:
    with db.writing() as session:
        service.close(session, view.id, actor_id=viewer.id)
    with db.writing() as session:
        service.carry_out(session, view.id, deed, actor_id=viewer.id)
    if reopen:
        with db.writing() as session:
            service.reopen(session, view.id, actor_id=viewer.id)


def _order(typed: dict[str, str]) -> tuple[str, Order]:
    kind = typed.get("kind", "")
    if kind not in ORDERS:
        raise Invalid(errors=[FieldError("kind", _("Please choose what is to be done."))])
    given = {name: value for name, value in typed.items() if value and name != "kind"}
    known = {field.alias for field in ORDERS[kind].model_fields.values()}
    return kind, parse(ORDERS[kind], {name: value for name, value in given.items() if name in known})  # type: ignore[return-value]  # one of Order


def _errors(typed: Mapping[str, str], no: Invalid) -> dict[str, str]:
    """Every form of the page has a reason; the error stands with the one that was sent."""
    kind = typed.get("kind", "")
    return {f"{kind}-reason" if name == "reason" else name: words for name, words in errors_by_field(no).items()}


def sale(request: Request) -> Response:
    """Close or open the flight's sale. For staff."""
    viewer = _staff(request)
    with db.reading() as session:
        view = _known(session, request)
    try:
        with db.writing() as session:
            if request.fields.get("open"):
                service.reopen(session, view.id, actor_id=viewer.id)
                words = _("The flight is sold again.")
            else:
                service.close(session, view.id, actor_id=viewer.id)
                words = _("The sale is closed. What is sold stays sold.")
    except Conflict as no:
        return see_other(request, f"{FLIGHTS}/{view.public_id}", Notice("stop", f"{no.title}. {no.detail}"))
    return see_other(request, f"{FLIGHTS}/{view.public_id}", Notice("good", words))


def _staff(request: Request) -> Viewer:
    return request.require("staff", "admin")


def _known(session: Session, request: Request) -> FlightView:
    found = flight_by_public_id(session, request.path_params["publicId"])
    if found is None:
        raise UnknownFlight()
    return found


def changes(request: Request) -> Response:
    """Show what the airline changed of a booking, and ask; the link of the mail shows it and lets its reader decide."""
    reference, key = request.path_params["reference"], request.query_params.get("key", "")
    found = told.read(request.settings, key, reference) if key else None
    with db.reading() as session:
        view = booking_view(session, reference)
        if view is None:
            raise UnknownBooking()
        linked = found is not None and _still_for(request, found, view)
        if not (linked or _may(may_see, request, view, family_name=None)):
            return _refused(request, found)
        listed = _listed(session, view)
    mine = linked or _may(may_manage, request, view)
    response = render(
        request,
        "disruptions/changes.html",
        block="changes",
        booking=view,
        listed=listed,
        mine=mine,
        choice_words=told.choice_words,
        state_words=told.state_words,
        at_stake={one.one.id: _at_stake(view, one.one) for one in listed},
        at=_page(view),
    )
    if linked:
        grants.grant(request, response, view.reference, "manage")
    return response


def _still_for(request: Request, found: grants.MailedLink, view: BookingView) -> bool:
    return grants.still_for(request.settings, found, view.contact_email, moved=view.contact_moved)


def _refused(request: Request, found: grants.MailedLink | None) -> Response:
    """A link that was ours is told where to get another: its reader may have a deadline."""
    if found is None:
        raise UnknownBooking()
    words = _("Mails about this booking go to another address since. Find it here, and we mail a new link there.")
    return see_other(request, "/manage", Notice("info", words))


def _at_stake(view: BookingView, one: Affected) -> int:
    return rules.at_stake_minor(view, one.slice_position, _flown(view, one))


def _flown(view: BookingView, one: Affected) -> int:
    piece = next((piece for piece in view.active_slices if piece.position == one.slice_position), None)
    return rules.flown(piece, one.flight_id, clock.now()) if piece and one.is_open else 0


def decide(request: Request) -> Response:
    """Do what the traveller chose: accept, another flight, or the money back."""
    view, one = _asked(request)
    viewer = request.viewer_id
    choice = str(request.fields.get("choice", ""))
    words = {
        "accept": _("Thank you. Your booking stands as it is now."),
        "refund": _("Your money is on its way back. Banks need a few days to show it."),
        "rebook": _("Your new flights are booked. The new tickets come by mail."),
    }
    if choice == "rebook" and not request.fields.get("offer"):
        return see_other(request, f"{_page(view)}/{one.id}/flights")
    try:
        with db.writing() as session:
            if choice == "accept":
                service.accept(session, one.id, actor_id=viewer)
            elif choice == "refund":
                service.refund(session, one.id, actor_id=viewer)
            elif choice == "rebook":
                offer = read_offer(request.settings, str(request.fields["offer"]))
                service.rebook(session, one.id, offer, actor_id=viewer)
            else:
                raise Invalid(_("Please choose one of the three."))
    except (Conflict, Invalid) as no:
        return see_other(request, _page(view), Notice("warn", _sentence(no)))
    return see_other(request, f"/bookings/{view.reference}", Notice("good", words[choice]))


def _sentence(no: PortalError) -> str:
    return no.detail or (no.errors[0].detail if no.errors else f"{no.title}.")


def others(request: Request) -> Response:
    """List the flights of a day that the traveller may choose instead, free of charge."""
    view, one = _asked(request)
    piece = next(one_slice for one_slice in view.slices if one_slice.position == one.slice_position)
    flown = _flown(view, one)
    first = piece.flights[0].departs_on
    day = _day(request.query_params.get("on", ""), piece.flights[flown].departs_on)
    with db.reading() as session:
        found = service.other_flights(session, view, piece, day, settings=request.settings, flown=flown)
    days = {name: day + timedelta(days=by) for name, by in (("before", -1), ("after", 1))}
    return render(
        request,
        "disruptions/flights_instead.html",
        block="found",
        booking=view,
        piece=piece,
        start=piece.flights[flown].origin,
        one=one,
        found=found,
        day=day,
        first=first - rules.OTHER_DAYS,
        last=first + rules.OTHER_DAYS,
        before=days["before"] if max(first - rules.OTHER_DAYS, clock.now().date()) <= days["before"] else None,
        after=days["after"] if abs(days["after"] - first) <= rules.OTHER_DAYS else None,
        at=_page(view),
    )


def _day(typed: str, first: date) -> date:
    try:
        wanted = date.fromisoformat(typed) if typed else first
    except ValueError:
        wanted = first
    earliest = max(first - rules.OTHER_DAYS, clock.now().date())
    return min(max(wanted, earliest), first + rules.OTHER_DAYS)


def _asked(request: Request) -> tuple[BookingView, Affected]:
    """Return the booking and its change to who may decide; to others both sound as if they were not there."""
    with db.reading() as session:
        view = booking_view(session, request.path_params["reference"])
        typed = request.path_params.get("id") or request.fields.get("change", "")
        one = queries.affected(session, _uuid(typed))
    if view is None or not _may(may_manage, request, view):
        raise UnknownBooking()
    if one is None or one.booking_id != view.id or one.told_at is None:
        raise UnknownChange()
    return view, one


def _uuid(typed: Any) -> UUID:
    try:
        return typed if isinstance(typed, UUID) else UUID(str(typed))
    except ValueError:
        raise UnknownChange() from None


def _listed(session: Session, view: BookingView) -> list[told.Told]:
    found = queries.changes_of_booking(session, view.id)
    known = flights_by_id(session, [one.flight_id for one in found])
    return [told.told(one, known[one.flight_id]) for one in found]


def _may(rule: Any, request: Request, view: BookingView, **more: Any) -> bool:
    return bool(rule(view, **grants.standing(request, view.reference), **more))


def _page(view: BookingView) -> str:
    return f"/bookings/{view.reference}/changes-by-airline"


ONE, MINE = f"{FLIGHTS}/{{publicId:uuid}}", "/bookings/{reference}/changes-by-airline"
routes: list[BaseRoute] = [
    page(FLIGHTS, flights),
    page(ONE, flight),
    page(f"{ONE}/change", change_form),
    page(f"{ONE}/change", change, methods=("POST",)),
    page(f"{ONE}/sale", sale, methods=("POST",)),
    page(MINE, changes),
    page(MINE, decide, methods=("POST",)),
    page(f"{MINE}/{{id:uuid}}/flights", others),
]

"""Pages of the seat map and the extras: steps on the way to paying, and the same for a paid booking.

Each flight is a step. Nothing that was chosen is lost on a refusal: a seat that has just gone is said by name, and the
nearest one like it is put in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.booking import told as trip
from portal.booking.errors import AmendmentUnderWay, HoldExpired, NotHeld, PaymentUnderWay, UnknownBooking
from portal.booking.models import Amendment
from portal.booking.queries import booking_view
from portal.booking.rules import may_manage
from portal.booking.views import BookingView, SliceView
from portal.flights.errors import Busy, SeatTaken, SeatUnknown
from portal.flights.queries import FlightView
from portal.flights.rules import CabinPlan, SeatPlan
from portal.flights.seating import seat_plan, seats_of
from portal.kit import clock, db, grants, ids
from portal.kit.errors import PortalError
from portal.kit.i18n import gettext as _
from portal.kit.web import Notice, Request, page, render, see_other
from portal.seats import queries, rules, service, told
from portal.seats.errors import ExtraRefused, SeatNotAllowed, SelectionClosed
from portal.seats.forms import page_extras, page_seats
from portal.seats.rules import Catalogue
from portal.seats.service import SeatWish

Way = tuple[SliceView, FlightView]
NOT_THIS = (SeatTaken, SeatUnknown, SeatNotAllowed, SelectionClosed, Busy, AmendmentUnderWay)


def seats(request: Request) -> Response:
    """Show the map of one flight of the booking, with the list that does the same."""
    view = _read(request)
    return _sent_on(request, view) or _map(request, view, _at(request, view), {}, None)


def choose(request: Request) -> Response:
    """Take the seats of one flight and go on to the next, or show the map again with what was chosen and why not."""
    view = _read(request)
    return _sent_on(request, view) or _choose(request, view, _at(request, view))


def _choose(request: Request, view: BookingView, at: int) -> Response:
    piece, flight = _ways(view)[at]
    people = told.sitters(view, piece, {})
    given = page_seats(request.fields, len(people))
    wishes = [SeatWish(one.id, flight.id, given[one.number] or None) for one in people if one.number in given]
    try:
        with db.writing() as session:
            made = service.choose_seats(session, view.reference, wishes, key=_key(request), actor_id=request.viewer_id)
    except NOT_THIS as no:
        return _map(request, view, at, {one.id: given.get(one.number, "") for one in people}, no)
    except (HoldExpired, NotHeld, PaymentUnderWay):
        return _elsewhere(request, view)
    following = [n for n, (piece, each) in enumerate(_ways(view)) if n > at and not _closed(piece, each)]
    if following:
        return see_other(request, f"{_base(view)}/seats?flight={following[0] + 1}")
    return _onward(request, view, made)


def extras(request: Request) -> Response:
    """Show what can be had beside the seat."""
    view = _read(request)
    return _sent_on(request, view) or _extras(request, view, None, {}, status=200)


def choose_extras(request: Request) -> Response:
    """Take the extras and go on, or show the form again with what was chosen and a sentence at each wrong field."""
    view = _read(request)
    return _sent_on(request, view) or _choose_extras(request, view)


def _choose_extras(request: Request, view: BookingView) -> Response:
    with db.reading() as session:
        slots = told.slots(view, queries.catalogue(session, view.currency), page_extras(request.fields), clock.now())
    wanted = [one for one in slots if one.quantity]
    try:
        with db.writing() as session:
            wishes = [one.wish for one in wanted]
            made = service.choose_extras(session, view.reference, wishes, key=_key(request), actor_id=request.viewer_id)
    except ExtraRefused as no:
        wrong = {_field(wanted, error.pointer): error.detail for error in no.errors}
        return _extras(request, view, page_extras(request.fields), wrong, status=no.status)
    except (SelectionClosed, AmendmentUnderWay) as no:
        return _extras(request, view, page_extras(request.fields), {"": no.detail}, status=no.status)
    except (HoldExpired, NotHeld, PaymentUnderWay):
        return _elsewhere(request, view)
    if view.status == "held":
        return see_other(request, f"/book/{view.reference}/seats")
    return _onward(request, view, made)


def _field(wanted: list[told.Slot], pointer: str) -> str:
    if not pointer.isdecimal():
        return ""
    one = wanted[int(pointer)]
    return one.field if one.product.kind != "meal" else "meal." + one.field.split(".", 2)[2]


def _map(request: Request, view: BookingView, at: int, chosen: Mapping[UUID, str], no: PortalError | None) -> Response:
    piece, flight = _ways(view)[at]
    with db.reading() as session:
        plan = seat_plan(session, flight.id)
        names = seats_of(session, view.id)
        prices, wish = queries.catalogue(session, view.currency), queries.liked(session, view)
    own = {who: seat for (flown, who), seat in _with_pending(view, names).items() if flown == flight.id}
    if isinstance(no, SeatTaken):
        chosen = {who: no.next_best or "" if seat == no.seat else seat for who, seat in chosen.items()}
    people = told.sitters(view, piece, chosen or own)
    term = rules.seat_term(piece, flight, clock.now())
    cabin = plan.cabin(piece.cabin)
    return render(
        request,
        "seats/map.html",
        status=no.status if no else 200,
        **_common(view, "seats"),
        **_drawn(view, piece, plan, cabin, people, own, prices, term, wish),
        flights=[_step(view, names, n, way, current=n == at) for n, way in enumerate(_ways(view))],
        at=at,
        flight=flight,
        closed=_closed(piece, flight) or ("" if cabin else _("There is no seat map of this aircraft.")),
        term=term,
        problem=no.detail if no else "",
        skip=_skip(view),
    )


def _drawn(
    view: BookingView,
    piece: SliceView,
    plan: SeatPlan,
    cabin: CabinPlan | None,
    people: list[told.Sitter],
    own: Mapping[UUID, str],
    prices: Catalogue,
    term: rules.Term,
    wish: rules.Liked,
) -> dict[str, Any]:
    if cabin is None:
        return {"deck": None, "people": people, "suggestion": None, "likes": ""}
    price = told.Price(prices, cabin.cabin, term)
    beside = rules.together(cabin, view.flying(piece.position), prices, term, own=list(own.values()), wish=wish)
    return {
        "deck": told.deck(plan, cabin, people, own.values(), price),
        "people": people,
        "suggestion": told.party(people, beside, price),
        "likes": wish.seat if any(wish.seat in seat.features for seat in beside.values()) else "",
    }


def _step(view: BookingView, names: Mapping[tuple[int, UUID], str], n: int, way: Way, *, current: bool) -> Any:
    piece, flight = way
    chosen = sum(flown == flight.id for flown, _who in _with_pending(view, names))
    return told.FlightStep(n + 1, flight, chosen, _closed(piece, flight), current)


def _with_pending(view: BookingView, names: Mapping[tuple[int, UUID], str]) -> dict[tuple[int, UUID], str]:
    """Return the seats as they will be once what waits is paid."""
    waiting = view.open_amendment
    rows = waiting.payload.get("add", ()) if waiting is not None and waiting.kind == "items" else ()
    return dict(names) | {(row["flight_id"], UUID(row["passenger_id"])): row["seat"] for row in rows if row["seat"]}


def _extras(
    request: Request, view: BookingView, typed: Mapping[str, int] | None, errors: Mapping[str, str], *, status: int
) -> Response:
    with db.reading() as session:
        wish = queries.liked(session, view)
        slots = told.slots(view, queries.catalogue(session, view.currency), typed, clock.now(), wish)
    return render(
        request,
        "seats/extras.html",
        status=status,
        **_common(view, "extras"),
        shelves=told.shelves(slots),
        meals=told.meals(slots),
        fare_bags=told.fare_bags(view),
        errors=errors,
        skip=f"{_base(view)}/seats",
    )


def _common(view: BookingView, step: str) -> dict[str, Any]:
    journeys = [trip.journey(piece.flights) for piece in view.active_slices]
    now = clock.now()
    expires_at = view.expires_at or now
    return {
        "view": view,
        "base": _base(view),
        "buying": view.status == "held",
        "key": ids.secret(18),
        "trips": journeys,
        "price": trip.price_of_booking(view, [trip.journey(piece.flights) for piece in view.slices]),
        "expires_at": expires_at,
        "seconds_left": max(0, int((expires_at - now).total_seconds())),
        "extend_url": f"/book/{view.reference}/extend?to={step}" if view.extensions < 10 else "",
        "search_url": trip.search_again(view),
    }


def _ways(view: BookingView) -> list[Way]:
    return [(piece, flight) for piece in view.active_slices for flight in piece.flights]


def _closed(piece: SliceView, flight: FlightView) -> str | None:
    return rules.flight_closed(piece, flight, clock.now())


def _at(request: Request, view: BookingView) -> int:
    """Return which flight is asked for, counted from 0: without a word about it the first that is open."""
    ways, asked = _ways(view), request.query_params.get("flight", "")
    if asked.isdecimal() and 0 < int(asked[:3]) <= len(ways):
        return int(asked[:3]) - 1
    return next((n for n, (piece, flight) in enumerate(ways) if not _closed(piece, flight)), 0)


def _skip(view: BookingView) -> str:
    base = _base(view)
    return f"{base}/pay" if view.status == "held" else base


def _base(view: BookingView) -> str:
    return f"/book/{view.reference}" if view.status == "held" else f"/bookings/{view.reference}"


def _sent_on(request: Request, view: BookingView) -> Response | None:
    """Return where this booking's step is found, or None where it is here."""
    status = view.status_at(clock.now())
    if status not in ("held", "confirmed"):
        return _elsewhere(request, view)
    if status == "held" and not view.is_named:
        return see_other(request, f"/book/{view.reference}/passengers")
    here = _base(view) + "/" + request.url.path.rsplit("/", 1)[-1]
    return None if request.url.path == here else see_other(request, here)


def _elsewhere(request: Request, view: BookingView) -> Response:
    """Send on to the page that says what became of the booking."""
    return see_other(request, f"/book/{view.reference}/pay" if view.status == "held" else f"/bookings/{view.reference}")


def _onward(request: Request, view: BookingView, made: Amendment | None) -> Response:
    if view.status == "held" or (made is not None and made.state == "paying"):
        return see_other(request, f"/book/{view.reference}/pay")
    return see_other(request, f"/bookings/{view.reference}", Notice("good", _("It is done. Nothing is due.")))


def _key(request: Request) -> str:
    return f"page:{ids.fingerprint(str(request.fields.get('key') or ids.secret(18)))}"


def _read(request: Request) -> BookingView:
    with db.reading() as session:
        return _mine(request, session)


def _mine(request: Request, session: Session) -> BookingView:
    """Return the booking that this browser may manage; raises UnknownBooking, the same for every reason."""
    view = booking_view(session, request.path_params["reference"])
    if view is None or not may_manage(view, **grants.standing(request, view.reference)):
        raise UnknownBooking()
    return view


routes: list[BaseRoute] = [
    page("/book/{reference}/extras", extras),
    page("/book/{reference}/extras", choose_extras, methods=("POST",)),
    page("/book/{reference}/seats", seats),
    page("/book/{reference}/seats", choose, methods=("POST",)),
    page("/bookings/{reference}/extras", extras),
    page("/bookings/{reference}/extras", choose_extras, methods=("POST",)),
    page("/bookings/{reference}/seats", seats),
    page("/bookings/{reference}/seats", choose, methods=("POST",)),
]

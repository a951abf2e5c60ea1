"""Pages from a chosen offer to its travellers: review, hold, names; booking/paying.py goes on from there.

Whatever is clicked twice, reloaded or gone back to is the same booking. Each step that no longer fits sends on to the
one that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response

from portal.accounts.queries import Saved
from portal.accounts.queries import travellers as saved_travellers
from portal.booking import actions, rules, service, told
from portal.booking.errors import (
    HoldExpired,
    NotHeld,
    PaymentUnderWay,
    UnknownBooking,
)
from portal.booking.forms import ChosenOffers, HoldWish, Travellers
from portal.booking.queries import booking_view
from portal.booking.rules import BookingView
from portal.flights.errors import FlightClosed, SoldOut
from portal.flights.queries import flights_by_id
from portal.kit import clock, db, grants, i18n, ids, limits
from portal.kit.errors import Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other
from portal.payments import queries as payment_queries
from portal.search.errors import OfferExpired
from portal.search.rules import Offer
from portal.search.service import read_offer, reprice

# With it a reloaded page carries the same key, so that going back and on again is the same booking.
VISIT_COOKIE = "visit"
STEPS = ("passengers", "extras", "seats", "pay")
MONEY_IN_HANDS = ("succeeded", "pending", "under_review")


def review(request: Request) -> Response:
    """Show what was chosen at its whole price, with the button that holds it."""
    tokens = request.query_params.getlist("offer")
    offers, before = _offers(request, parse(ChosenOffers, {"offer": tokens, "key": "not-used-yet"}))
    return _review(request, offers, before, status=200)


def choose(request: Request) -> Response:
    """Hold the chosen offers and go on to the travellers; a lapsed price is shown again before anything is held."""
    fields = request.fields
    chosen = parse(ChosenOffers, {"offer": fields.getlist("offer"), "key": fields.get("key") or ""})
    offers, before = _offers(request, chosen)
    if before is not None:
        return _review(request, offers, before, status=409)
    user_id = request.viewer_id
    limits.check_holding(request.settings, user_id, request.scope)
    key = f"page:{user_id or 'guest'}:{chosen.key}"
    wish = HoldWish(offers, key, user_id, i18n.locale.get(), request.settings.hold_minutes)
    try:
        with db.writing() as session:
            booking = service.hold(session, wish)
    except (SoldOut, FlightClosed) as no:
        return see_other(request, told.search_like(offers, _journeys(offers)), Notice("stop", _lost(no)))
    response = see_other(request, f"/book/{booking.reference}/passengers")
    grants.grant(request, response, booking.reference, "manage")
    return response


def _offers(request: Request, chosen: ChosenOffers) -> tuple[tuple[Offer, ...], int | None]:
    """Return the offers, fresh ones for those that lapsed, and the old total if any did."""
    offers, lapsed = [], False
    for token in chosen.offer:
        try:
            offers.append(read_offer(request.settings, token))
        except OfferExpired as no:
            lapsed = True
            offers.append(no.offer)
    if not lapsed:
        return tuple(offers), None
    with db.reading() as session:
        fresh = tuple(reprice(session, offer, settings=request.settings) for offer in offers)
    return fresh, sum(offer.total_minor for offer in offers)


def _review(request: Request, offers: tuple[Offer, ...], before: int | None, *, status: int) -> Response:
    journeys = _journeys(offers)
    visit = request.cookies.get(VISIT_COOKIE) or ids.secret(18)
    response = render(
        request,
        "booking/review.html",
        status=status,
        offers=offers,
        trips=journeys,
        price=told.price_of_offers(offers, journeys),
        whys=told.whys_of_offers(offers, journeys),
        before_minor=before,
        key=ids.fingerprint("\n".join([visit, *(offer.token for offer in offers)])),
        search_url=told.search_like(offers, journeys),
        hold_minutes=request.settings.hold_minutes,
    )
    secure = request.settings.secure_cookies
    response.set_cookie(VISIT_COOKIE, visit, httponly=True, samesite="lax", secure=secure)
    return response


def _journeys(offers: tuple[Offer, ...]) -> list[told.Journey]:
    with db.reading() as session:
        known = flights_by_id(session, [flight for offer in offers for flight in offer.flight_ids])
    if any(flight not in known for offer in offers for flight in offer.flight_ids):
        raise FlightClosed(_("One of these flights is no longer in the timetable. Please search again."))
    return [told.journey(tuple(known[flight] for flight in offer.flight_ids)) for offer in offers]


def _lost(no: PortalError) -> str:
    if isinstance(no, SoldOut):
        return _("Somebody was quicker: the last of these seats have just been sold. These flights still have some.")
    return _("That flight can no longer be booked. These can.")


@dataclass(frozen=True, slots=True)
class _Hold:
    reference: str
    expires_at: datetime
    seconds_left: int
    extend_url: str
    search_url: str


def common(view: BookingView, step: str) -> dict[str, Any]:
    """Return what every page of a hold shows: the view, its clock, its journeys and its price."""
    journeys = [told.journey(piece.flights) for piece in view.slices]
    waiting = view.open_amendment
    price = told.price_of_amendment(view, waiting, journeys) if waiting else told.price_of_booking(view, journeys)
    shown = {"view": view, "hold": _hold(view, step), "trips": journeys, "price": price, "step": step}
    return {**shown, "waiting": waiting}


def _hold(view: BookingView, step: str) -> _Hold:
    now, waiting = clock.now(), view.open_amendment
    expires_at = view.expires_at or (waiting.expires_at if waiting else now)
    left = max(0, int((expires_at - now).total_seconds()))
    if waiting:
        return _Hold(view.reference, expires_at, left, "", f"/bookings/{view.reference}")
    more = actions.available_actions(view, now)["extend"] is None
    url = f"/book/{view.reference}/extend?to={step}" if more else ""
    return _Hold(view.reference, expires_at, left, url, told.search_again(view))


def mine(request: Request, session: Session) -> BookingView:
    """Return the booking that this browser may manage; raises UnknownBooking, the same for every reason."""
    view = booking_view(session, request.path_params["reference"])
    if view is None or not rules.may_manage(view, **grants.standing(request, view.reference)):
        raise UnknownBooking()
    return view


def read(request: Request) -> BookingView:
    """Return the booking that this browser may manage; raises UnknownBooking."""
    with db.reading() as session:
        return mine(request, session)


def sent_on(request: Request, view: BookingView) -> Response | None:
    """Return where a booking that is no longer held is shown, or None while it is."""
    status = view.status_at(clock.now())
    if status == "held":
        return None
    if status == "expired":
        return expired(request, view)
    return see_other(request, f"/bookings/{view.reference}")


def expired(request: Request, view: BookingView) -> Response:
    """Say that the hold is over, and what becomes of money that came in; one that is still on its way is looked up."""
    with db.reading() as session:
        paid = [one for one in payment_queries.payments_of(session, view.id) if one.state in MONEY_IN_HANDS]
    for one in paid:
        if one.state != "succeeded":
            return see_other(request, f"/book/{view.reference}/payments/{one.id}")
    return render(request, "booking/expired.html", status=409, **common(view, "expired"), money_back=bool(paid))


@dataclass(frozen=True, slots=True)
class _Typed:
    index: int
    type: str
    heading: str
    given_name: str
    family_name: str
    date_of_birth: str


def passengers(request: Request) -> Response:
    """Ask who flies."""
    view = read(request)
    return sent_on(request, view) or _passengers(request, view, {}, status=200)


def name_passengers(request: Request) -> Response:
    """Take the names, or show the form again with what was typed and a sentence at each wrong field."""
    view = read(request)
    if told.filled(request.fields, _saved(request, view)):
        return sent_on(request, view) or _passengers(request, view, {}, status=200)
    try:
        wish = parse(Travellers, {"contact": {}, **nested(request.fields)}).wish()
        with db.writing() as session:
            service.name_passengers(session, view.reference, wish)
    except HoldExpired:
        return expired(request, view)
    except PaymentUnderWay as no:
        return see_other(request, f"/book/{view.reference}/payments/{no.payment_id}")
    except NotHeld:
        return see_other(request, f"/bookings/{view.reference}")
    except Invalid as no:
        return _passengers(request, view, dict(errors_by_field(no)), status=422)
    following = "pay" if request.fields.get("_next") == "pay" else "extras"
    return see_other(request, f"/book/{view.reference}/{following}")


def _passengers(request: Request, view: BookingView, errors: dict[str, str], *, status: int) -> Response:
    headings, saved = told.headings(one.type for one in view.passengers), _saved(request, view)
    typed = {**request.fields, **told.filled(request.fields, saved)}
    travellers = [_typed(typed, at, one, headings[at]) for at, one in enumerate(view.passengers)]
    known = {
        "email": view.contact_email or (request.viewer.email if request.viewer else ""),
        "phone": view.contact_phone,
    }
    contact = {name: request.fields.get(f"contact.{name}", value or "") for name, value in known.items()}
    return render(
        request,
        "booking/passengers.html",
        status=status,
        **common(view, "passengers"),
        travellers=travellers,
        contact=contact,
        saved=saved,
        errors=errors,
        summary=told.error_list(errors, headings),
    )


def _saved(request: Request, view: BookingView) -> dict[str, list[Saved]]:
    if request.viewer is None:
        return {}
    with db.reading() as session:
        return told.by_type(saved_travellers(session, request.viewer.id), view.flights[0].departs_on)


def _typed(typed: Mapping[str, Any], index: int, one: rules.PassengerView, heading: str) -> _Typed:
    at = f"passengers.{index}."
    born = one.date_of_birth.isoformat() if one.date_of_birth else ""
    return _Typed(
        index,
        one.type,
        heading,
        str(typed.get(f"{at}givenName", one.given_name or "")),
        str(typed.get(f"{at}familyName", one.family_name or "")),
        str(typed.get(f"{at}dateOfBirth", born)),
    )


def extend(request: Request) -> Response:
    """Hold the seats longer, and go back to the step that asked."""
    view = read(request)
    limits.check_holding(request.settings, request.viewer_id, request.scope)
    asked = request.query_params.get("to", "")
    step = asked if asked in STEPS else "passengers"
    try:
        with db.writing() as session:
            service.extend(session, view.reference, minutes=request.settings.hold_minutes)
    except HoldExpired:
        return expired(request, view)
    if request.wants_part:
        return render(request, "booking/passengers.html", block="hold", **common(read(request), step))
    if "contact.email" in request.fields:  # without scripts the form comes along, so that nothing typed is lost
        return _passengers(request, read(request), {}, status=200)
    return see_other(request, f"/book/{view.reference}/{step}")


routes = [
    page("/book", review),
    page("/book", choose, methods=("POST",)),
    page("/book/{reference}/passengers", passengers),
    page("/book/{reference}/passengers", name_passengers, methods=("POST",)),
    page("/book/{reference}/extend", extend, methods=("POST",)),
]

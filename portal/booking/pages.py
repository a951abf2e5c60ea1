"""Pages from a chosen offer to the ticket: review, hold, travellers, pay, and the way back from the bank.

Whatever is clicked twice, reloaded or gone back to is the same booking and the same payment. Each step that no longer
fits sends on to the one that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response

from portal.accounts.queries import Saved
from portal.accounts.queries import travellers as saved_travellers
from portal.booking import actions, rules, service, told
from portal.booking.errors import HoldExpired, NamesMissing, NotHeld, PaymentUnderWay, TooManyPayments, UnknownBooking
from portal.booking.forms import ChosenOffers, HoldWish, PayWish, Travellers
from portal.booking.queries import booking_view
from portal.booking.rules import BookingView
from portal.flights.errors import FlightClosed, SoldOut
from portal.flights.queries import flights_by_id
from portal.kit import clock, db, grants, i18n, ids
from portal.kit.errors import Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other
from portal.payments import gateway
from portal.payments import queries as payment_queries
from portal.payments import service as payments
from portal.payments.errors import NoGateway, UnknownPayment
from portal.payments.queries import PaymentView
from portal.payments.rules import OPEN, refusal
from portal.search.errors import OfferExpired
from portal.search.rules import Offer
from portal.search.service import read_offer, reprice

# With it a reloaded page carries the same key, so that going back and on again is the same booking.
VISIT_COOKIE = "visit"
STEPS = ("passengers", "extras", "seats", "pay")


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
    user_id = request.viewer.id if request.viewer else None
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


def _common(view: BookingView, step: str) -> dict[str, Any]:
    journeys = [told.journey(piece.flights) for piece in view.slices]
    price = told.price_of_booking(view, journeys)
    return {"view": view, "hold": _hold(view, step), "trips": journeys, "price": price, "step": step}


def _hold(view: BookingView, step: str) -> _Hold:
    now = clock.now()
    expires_at = view.expires_at or now
    left = max(0, int((expires_at - now).total_seconds()))
    more = actions.available_actions(view, now)["extend"] is None
    url = f"/book/{view.reference}/extend?to={step}" if more else ""
    return _Hold(view.reference, expires_at, left, url, told.search_again(view))


def _mine(request: Request, session: Session) -> BookingView:
    """Return the booking that this browser may manage; raises UnknownBooking, the same for every reason."""
    view = booking_view(session, request.path_params["reference"])
    if view is None:
        raise UnknownBooking()
    viewer, granted = request.viewer, grants.granted(request, view.reference)
    if not rules.may_manage(
        view, user_id=viewer.id if viewer else None, staff=bool(viewer and viewer.is_staff), granted=granted
    ):
        raise UnknownBooking()
    return view


def _read(request: Request) -> BookingView:
    with db.reading() as session:
        return _mine(request, session)


def _sent_on(request: Request, view: BookingView) -> Response | None:
    """Return where a booking that is no longer held is shown, or None while it is."""
    status = view.status_at(clock.now())
    if status == "held":
        return None
    if status == "expired":
        return _expired(request, view)
    return see_other(request, f"/bookings/{view.reference}")


def _expired(request: Request, view: BookingView) -> Response:
    with db.reading() as session:
        paid = [one for one in payment_queries.payments_of(session, view.id) if one.state in ("succeeded", "pending")]
    for one in paid:
        if one.state == "pending":
            return see_other(request, f"/book/{view.reference}/payments/{one.id}")
    return render(request, "booking/expired.html", status=409, **_common(view, "expired"), money_back=bool(paid))


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
    view = _read(request)
    return _sent_on(request, view) or _passengers(request, view, {}, status=200)


def name_passengers(request: Request) -> Response:
    """Take the names, or show the form again with what was typed and a sentence at each wrong field."""
    view = _read(request)
    if told.filled(request.fields, _saved(request, view)):
        return _sent_on(request, view) or _passengers(request, view, {}, status=200)
    try:
        wish = parse(Travellers, {"contact": {}, **nested(request.fields)}).wish()
        with db.writing() as session:
            service.name_passengers(session, view.reference, wish)
    except HoldExpired:
        return _expired(request, view)
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
        **_common(view, "passengers"),
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
    view = _read(request)
    asked = request.query_params.get("to", "")
    step = asked if asked in STEPS else "passengers"
    try:
        with db.writing() as session:
            service.extend(session, view.reference, minutes=request.settings.hold_minutes)
    except HoldExpired:
        return _expired(request, view)
    if request.wants_part:
        return render(request, "booking/passengers.html", block="hold", **_common(_read(request), step))
    if "contact.email" in request.fields:  # without scripts the form comes along, so that nothing typed is lost
        return _passengers(request, _read(request), {}, status=200)
    return see_other(request, f"/book/{view.reference}/{step}")


def pay(request: Request) -> Response:
    """Show the last look before paying, with the reason if a card was refused before."""
    view = _read(request)
    if not view.is_named and view.status_at(clock.now()) == "held":
        return see_other(request, f"/book/{view.reference}/passengers")
    return _sent_on(request, view) or _pay(request, view, _refused(view), status=200)


def _refused(view: BookingView) -> str:
    with db.reading() as session:
        attempts = payment_queries.payments_of(session, view.id)
    return refusal(attempts[-1].decline_code) if attempts and attempts[-1].state == "declined" else ""


def _pay(request: Request, view: BookingView, problem: str, *, status: int) -> Response:
    try:
        gateway.name(request.settings)
        payable = True
    except NoGateway as no:
        payable, problem = False, no.detail
    travellers = [(one, told.kind_word(one.type)) for one in view.passengers]
    return render(
        request,
        "booking/pay.html",
        status=status,
        **_common(view, "pay"),
        travellers=travellers,
        key=ids.secret(18),
        payment_problem=problem,
        payable=payable,
    )


def start_payment(request: Request) -> Response:
    """Begin a payment and send the payer to the bank's page; a second click is sent to the same page."""
    view = _read(request)
    key = ids.fingerprint(str(request.fields.get("key") or ids.secret(18)))
    wish = PayWish(f"page:{key}", "page", gateway.name(request.settings))
    try:
        with db.writing() as session:
            payment = service.begin_payment(session, view.reference, wish)
    except PaymentUnderWay as no:
        return see_other(request, f"/book/{view.reference}/payments/{no.payment_id}")
    except HoldExpired:
        return _expired(request, view)
    except NotHeld:
        return see_other(request, f"/bookings/{view.reference}")
    except NamesMissing:
        return see_other(request, f"/book/{view.reference}/passengers")
    except TooManyPayments as no:
        return _pay(request, view, no.detail, status=no.status)
    back = f"/book/{view.reference}/payments/{payment.id}"
    if payment.state not in OPEN:
        return see_other(request, back)
    order = payments.order(payment, description=_order_words(view), return_path=back)
    outcome = gateway.start(request.settings, order)
    with db.writing() as session:
        payment = service.settle_payment(session, payment.id, outcome)
    return see_other(request, payment.action_url or back)


def _order_words(view: BookingView) -> str:
    ways = ", ".join(f"{one.origin.code}–{one.destination.code}" for one in view.slices)
    return f"{view.reference} · {ways}"


def payment(request: Request) -> Response:
    """The way back from the bank: find out how it ended and send on; while that is not known, say so and ask again."""
    view, attempt = _attempt(request)
    if attempt.state in OPEN:
        outcome = gateway.lookup(request.settings, attempt)
        with db.writing() as session:
            state = service.settle_payment(session, attempt.id, outcome).state
        attempt = replace(attempt, state=state)
        view = _read(request)
    response = _after(request, view, attempt)
    if request.wants_part and response.status_code == 303:
        response = Response(headers={"HX-Redirect": response.headers["location"]})
    return response


def _attempt(request: Request) -> tuple[BookingView, PaymentView]:
    try:
        payment_id = UUID(request.path_params["payment_id"])
    except ValueError:
        raise UnknownPayment() from None
    with db.reading() as session:
        view = _mine(request, session)
        attempt = payment_queries.payment(session, payment_id)
    if attempt is None or attempt.payable != view.id:
        raise UnknownPayment()
    return view, attempt


def _after(request: Request, view: BookingView, attempt: PaymentView) -> Response:
    if view.status == "confirmed":
        return see_other(
            request, f"/bookings/{view.reference}", Notice("good", _("Paid and booked. Have a good trip."))
        )
    if attempt.state == "pending":
        return render(request, "booking/checking.html", block="checking", **_common(view, "pay"), attempt=attempt)
    if attempt.state == "succeeded":
        return _expired(request, view)
    notices = {
        "action_required": _("You came back before the payment was finished. Nothing was charged yet."),
        "abandoned": _("The payment was stopped. Nothing was charged."),
    }
    words = notices.get(attempt.state)
    return see_other(request, f"/book/{view.reference}/pay", *([Notice("info", words)] if words else []))


routes = [
    page("/book", review),
    page("/book", choose, methods=("POST",)),
    page("/book/{reference}/passengers", passengers),
    page("/book/{reference}/passengers", name_passengers, methods=("POST",)),
    page("/book/{reference}/extend", extend, methods=("POST",)),
    page("/book/{reference}/pay", pay),
    page("/book/{reference}/pay", start_payment, methods=("POST",)),
    page("/book/{reference}/payments/{payment_id}", payment),
]

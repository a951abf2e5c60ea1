"""Booking for programs: hold and name in one call, pay by token, ask how a payment ended, extend a hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from portal.booking import rules, service, told
from portal.booking.errors import (
    AlreadyPaid,
    HoldExpired,
    NamesMissing,
    NoMoreTime,
    OffersDoNotFit,
    PaymentUnderWay,
    PriceChanged,
    PriceMismatch,
    UnknownBooking,
)
from portal.booking.forms import BookingOut, HoldWish, MoneyWire, NewBooking, booking_wire
from portal.booking.queries import Access, booking_access, booking_view
from portal.booking.rules import BookingView
from portal.booking.tender import CreditCode, NewPayment, PaymentOut, PayWish
from portal.flights.errors import FlightClosed, SoldOut
from portal.kit import clock, db, grants, i18n, ids, limits, origins
from portal.kit.errors import FieldError, Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.openapi import operation
from portal.kit.replay import scope_of
from portal.kit.web import Request, endpoint
from portal.payments import gateway
from portal.payments import queries as payment_queries
from portal.payments import service as payments
from portal.payments.errors import (
    CreditEmpty,
    CreditExpired,
    CreditUnknown,
    OtherCurrency,
    PaymentRefused,
    PayOnPage,
    UnknownPayment,
)
from portal.payments.models import Payment
from portal.payments.queries import PaymentView
from portal.payments.rules import OPEN, refusal
from portal.pricing.errors import PromotionRefused
from portal.search.errors import OfferExpired, OfferUnknown
from portal.search.rules import Offer
from portal.search.service import read_offer

HOLD_REFUSALS = (SoldOut, FlightClosed, OfferExpired, OfferUnknown, OffersDoNotFit, PriceChanged, PromotionRefused)
CREDIT_REFUSALS = (CreditUnknown, CreditExpired, CreditEmpty, OtherCurrency, PayOnPage, PaymentRefused)
PAY_REFUSALS = (
    *CREDIT_REFUSALS,
    UnknownBooking,
    HoldExpired,
    AlreadyPaid,
    NamesMissing,
    PaymentUnderWay,
    PriceMismatch,
)


@operation("Hold seats and name who flies", body=NewBooking, answer=BookingOut, status=201, errors=HOLD_REFUSALS)
def create(request: Request, body: NewBooking) -> Response:
    """Hold the offers for these travellers; without a sign-in the answer carries a token for this one booking."""
    offers = tuple(_offer(request, at, token) for at, token in enumerate(body.offer_ids))
    user_id = request.viewer_id
    limits.check_holding(request.settings, user_id, request.scope)
    expected = body.expected_total.money if body.expected_total else None
    minutes = request.settings.hold_minutes
    wish = HoldWish(offers, _key(request), user_id, i18n.locale.get(), minutes, expected, body.promo_code)
    with db.writing() as session:
        booking = service.hold(session, wish, body.wish())
    token = None if request.viewer else grants.booking_token(request.settings, booking.reference)
    location = {"Location": f"/api/bookings/{booking.reference}"}
    return JSONResponse(_wire(booking, token), 201, headers=location)


def _offer(request: Request, at: int, token: str) -> Offer:
    try:
        return read_offer(request.settings, token)
    except OfferUnknown as no:
        raise OfferUnknown(no.detail, errors=[FieldError(f"offerIds.{at}", no.detail)]) from None


def _key(request: Request) -> str:
    given = request.headers.get("idempotency-key")
    return f"api:{scope_of(request, asker(request))}:{given}" if given else f"api:{ids.secret(18)}"


def asker(request: Request) -> str:
    """Return who asks, so that two askers' keys never meet."""
    if request.viewer is not None:
        return str(request.viewer.id)
    return request.headers.get("authorization") or (request.client.host if request.client else "")


def _wire(view: BookingView | None, token: str | None = None) -> dict[str, Any]:
    if view is None:
        raise UnknownBooking()
    return booking_wire(view, clock.now(), token=token)


@operation("Hold the seats longer", answer=BookingOut, errors=(UnknownBooking, HoldExpired, NoMoreTime))
def extend(request: Request) -> Response:
    """Hold the seats for another HOLD_MINUTES from now, at most ten times."""
    view = _mine(request)
    limits.check_holding(request.settings, request.viewer_id, request.scope)
    with db.writing() as session:
        service.extend(session, view.reference, minutes=request.settings.hold_minutes)
    with db.reading() as session:
        return JSONResponse(_wire(booking_view(session, view.reference)))


@operation(
    "Pay by a card's token, by a credit, or on the payment page",
    body=NewPayment,
    answer=PaymentOut,
    status=201,
    errors=PAY_REFUSALS,
)
def pay(request: Request, body: NewPayment) -> Response:
    """Charge what is due, or a part of it: 201 paid or action required, 202 not known yet, 402 refused.

    With `partial` the amount may be less than the balance: the booking stays held until the rest is paid, and what came
    in goes back by itself where that does not happen in time. A refusal tells the `balance` and until when it is due.
    The payer comes back from the page to a page that says how it ended, or is led on to `returnUrl`, with `payment` and
    `status` added to its query; believe the payment itself, not the query.
    """
    view = _mine(request)
    if body.method == "credit":
        return _pay_by_credit(request, view.reference, body)
    if body.method == "card" and not gateway.takes_tokens(request.settings):
        raise PayOnPage(_("Send method page, and the payer to the address in the answer."))
    amount = body.amount.money if body.amount else None
    url = _return_url(request, body.return_url)
    wish = PayWish(_key(request), body.method, gateway.name(request.settings), amount, body.partial, url)
    with db.writing() as session:
        payment = service.begin_payment(session, view.reference, wish)
    if payment.state in OPEN:
        path = told.paid_path(request.settings, payment.id)
        order = payments.order(payment, description=view.reference, return_path=path)
        if body.method == "card":
            outcome = gateway.charge(request.settings, order, body.token or "")
        else:
            outcome = gateway.start(request.settings, order)
        with db.writing() as session:
            payment = service.settle_payment(session, payment.id, outcome)
    if payment.state in ("declined", "abandoned"):
        raise _refused(payment, view.reference)
    location = {"Location": f"/api/bookings/{view.reference}/payments/{payment.id}"}
    return _answer(request, payment, 202 if payment.state in ("pending", "under_review") else 201, location)


def _return_url(request: Request, given: str | None) -> str | None:
    if given is None or origins.is_ours(request.settings, given):
        return given
    words = _("Please give an address of this portal, or of an origin that it allows.")
    raise Invalid(errors=[FieldError("returnUrl", words)])


def _pay_by_credit(request: Request, reference: str, body: NewPayment) -> Response:
    limits.check(request.settings, "credit", limits.caller(request.scope))
    amount = body.amount.money if body.amount else None
    wish = CreditCode(credit=body.token or "", key=_key(request), amount=amount)
    with db.writing() as session:
        used = service.redeem_credit(session, reference, wish)
    return _answer(request, used, 201, {"Location": f"/api/bookings/{reference}/payments/{used.id}"})


def _refused(payment: Payment, reference: str) -> PortalError:
    with db.reading() as session:
        stands = _wire(booking_view(session, reference))
    no = PaymentRefused(refusal(payment.decline_code), {name: stands[name] for name in ("balance", "expiresAt")})
    if payment.decline_code:
        no.code = payment.decline_code
    return no


@operation("Ask how a payment stands", answer=PaymentOut, errors=(UnknownPayment, UnknownBooking))
def payment(request: Request) -> Response:
    """Return the payment; one whose end is not known yet is asked for at the gateway first."""
    view = _mine(request)
    with db.reading() as session:
        attempt = _attempt(session, view, request.path_params["payment_id"])
    if attempt.state not in OPEN:
        return _answer(request, attempt, 200, {})
    outcome = gateway.lookup(request.settings, attempt)
    with db.writing() as session:
        settled = service.settle_payment(session, attempt.id, outcome)
    return _answer(request, settled, 200, {})


def _attempt(session: Session, view: Access, given: str) -> PaymentView:
    try:
        attempt = payment_queries.payment(session, UUID(given))
    except ValueError:
        raise UnknownPayment() from None
    if attempt is None or attempt.payable != view.id:
        raise UnknownPayment()
    return attempt


def _answer(request: Request, one: Payment | PaymentView, status: int, headers: dict[str, str]) -> Response:
    url = one.action_url if one.state == "action_required" else None
    out = PaymentOut(
        id=one.id,
        status=one.state,
        amount=MoneyWire.of(one.amount_minor, one.currency),
        action_url=f"{request.settings.base_url.rstrip('/')}{url}" if url and url.startswith("/") else url,
        decline_code=one.decline_code,
        created_at=one.created_at,
    )
    return JSONResponse(out.wire(), status, headers=headers)


def _mine(request: Request) -> Access:
    """Return the booking that the asker may manage; raises UnknownBooking, the same for every reason."""
    with db.reading() as session:
        found = booking_access(session, request.path_params["reference"])
    if found is None or not rules.may_manage(found, **grants.standing(request, found.reference)):
        raise UnknownBooking()
    return found


routes = [
    endpoint("/api/bookings", create, methods=("POST",)),
    endpoint("/api/bookings/{reference}/extensions", extend, methods=("POST",)),
    endpoint("/api/bookings/{reference}/payments", pay, methods=("POST",)),
    endpoint("/api/bookings/{reference}/payments/{payment_id}", payment),
]

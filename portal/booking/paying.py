"""The last step's pages: look once more, pay by card or credit, and come back from the bank.

Whatever is clicked twice, reloaded or gone back to is the same payment. What is not known yet is said to be checked.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from portal.booking import actions, service, told
from portal.booking.errors import (
    HoldExpired,
    NamesMissing,
    NotHeld,
    PartPaid,
    PaymentUnderWay,
    PriceMismatch,
    QuoteExpired,
    TooManyPayments,
    UnknownBooking,
)
from portal.booking.pages import common, expired, read, sent_on
from portal.booking.queries import booking_access, booking_by_id
from portal.booking.rules import BookingView, least_of, may_manage
from portal.booking.tender import CreditCode, PayWish
from portal.flights.errors import FlightClosed
from portal.kit import clock, db, grants, i18n, ids, limits, money, origins
from portal.kit.errors import Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.money import Money
from portal.kit.validation import parse
from portal.kit.web import Notice, Request, page, render, see_other
from portal.payments import credits, gateway
from portal.payments import queries as payment_queries
from portal.payments import service as payments
from portal.payments.errors import NoGateway, UnknownPayment
from portal.payments.models import Payment
from portal.payments.queries import PaymentView
from portal.payments.rules import OPEN, UNDECIDED, refusal
from portal.pricing.discounts import LINE
from portal.pricing.errors import PromotionRefused


def pay(request: Request) -> Response:
    """Show the last look before paying, with the reason if a card was refused before."""
    view = read(request)
    if not view.is_named and view.status_at(clock.now()) == "held":
        return see_other(request, f"/book/{view.reference}/passengers")
    if actions.available_actions(view, clock.now())["pay"] is None:
        return _pay(request, view, None, status=200)
    return sent_on(request, view) or see_other(request, f"/bookings/{view.reference}")


def promote(request: Request) -> Response:
    """Use a promotion for the hold instead of what it had; an empty code takes it off."""
    view, code = read(request), str(request.fields.get("promoCode", ""))[:40]
    try:
        with db.writing() as session:
            service.use_promotion(session, view.reference, code)
            bought = booking_by_id(session, view.id)
    except HoldExpired:
        return expired(request, view)
    except PromotionRefused as no:
        return _pay(request, view, "", status=no.status, promo={"code": code, "error": no.detail})
    except PartPaid as no:
        words = _("With this promotion nothing would be left to pay by another card. What is paid stays paid.")
        return _pay(request, view, "", status=no.status, promo={"code": code, "error": words})
    except PaymentUnderWay as no:
        return see_other(request, f"/book/{view.reference}/payments/{no.payment_id}")
    except NotHeld:
        return see_other(request, f"/bookings/{view.reference}")
    return see_other(request, f"/book/{view.reference}/pay", *_promoted(bought))


def _promoted(view: BookingView | None) -> list[Notice]:
    """Return what is said of the promotion that a booking is bought with now; nothing without one."""
    off = sum(line.amount_minor for line in view.charges if line.code == LINE) if view else 0
    if view is None or not off:
        return []
    words = {"code": told.promotion_code(view), "amount": i18n.price(-off, view.currency)}
    return [Notice("good", _("%(code)s takes %(amount)s off.") % words)]


def _refused(attempts: list[PaymentView]) -> str:
    return refusal(attempts[-1].decline_code) if attempts and attempts[-1].state == "declined" else ""


def _pay(
    request: Request,
    view: BookingView,
    problem: str | None,
    *,
    status: int,
    credit_problem: str = "",
    part_problem: str = "",
    promo: dict[str, str] | None = None,
) -> Response:
    """Show the page; `problem` is None where the last attempt says whether there is one."""
    with db.reading() as session:
        attempts = payment_queries.payments_of(session, view.id)
    problem = _refused(attempts) if problem is None else problem
    try:
        gateway.name(request.settings)
        payable = True
    except NoGateway as no:
        payable, problem = False, no.detail
    travellers = [(one, told.kind_word(one.type)) for one in view.passengers]
    promo = promo or {"code": told.promotion_code(view), "error": ""}
    wrong = {"promoCode": promo["error"], "part": part_problem, "credit": credit_problem}
    return render(
        request,
        "booking/pay.html",
        status=status,
        **common(view, "pay"),
        travellers=travellers,
        key=ids.secret(18),
        payment_problem=problem,
        payable=payable,
        promo=promo,
        errors={name: words for name, words in wrong.items() if words},
        credit_problem=credit_problem,
        part_problem=part_problem,
        part=str(request.fields.get("part", ""))[:20],
        least=least_of(Money(view.balance_minor, view.currency)),
        parts=_parts(view, attempts),
        credit=credits.normal_code(str(request.fields.get("credit", ""))),
    )


def _parts(view: BookingView, attempts: list[PaymentView]) -> list[tuple[str, int]]:
    """Return what paid a part of what is due so far: how, and how much."""
    purpose = view.open_amendment.id if view.open_amendment else None
    names = {"credit": _("Travel credit")}
    mine = [one for one in attempts if one.state == "succeeded" and one.purpose == purpose]
    return [(names.get(one.method, _("Card")), one.amount_minor) for one in mine]


def start_payment(request: Request) -> Response:
    """Begin a payment and send the payer to the bank's page; a second click is sent to the same page.

    With the code of a credit, that pays first, as much as it is good for. With a part, the card pays that much, and
    the rest is paid by another; a page that stands open at the bank for another sum is closed first.
    """
    view = read(request)
    try:
        payment = _begun_at_last(request, view)
    except PaymentUnderWay as no:
        return see_other(request, f"/book/{view.reference}/payments/{no.payment_id}")
    except PriceMismatch:
        return _pay(request, view, "", status=422, part_problem=_part_words(view))
    except HoldExpired:
        return expired(request, view)
    except NotHeld:
        return see_other(request, f"/bookings/{view.reference}")
    except QuoteExpired as no:
        return see_other(request, f"/bookings/{view.reference}", Notice("warn", no.detail))
    except NamesMissing:
        return see_other(request, f"/book/{view.reference}/passengers")
    except (TooManyPayments, FlightClosed) as no:
        return _pay(request, view, _never(no), status=no.status)
    except Invalid as no:
        return _pay(request, view, "", status=no.status, credit_problem=_sentence(no))
    back = f"/book/{view.reference}/payments/{payment.id}"
    if payment.state not in OPEN:
        return see_other(request, back)
    order = payments.order(payment, description=_order_words(view), return_path=back)
    outcome = gateway.start(request.settings, order)
    with db.writing() as session:
        payment = service.settle_payment(session, payment.id, outcome)
    return see_other(request, payment.action_url or back)


def _never(no: PortalError) -> str:
    if isinstance(no, FlightClosed):
        return _("One of these flights is not sold any more. Nothing was charged. Please search again.")
    return _("Too many cards were refused for this booking. Nothing was charged. Please search again, or call us.")


def _begun_at_last(request: Request, view: BookingView) -> Payment:
    try:
        return _begun(request, view)
    except PaymentUnderWay as no:
        if not _closed(request, no.payment_id):
            raise
        return _begun(request, view)


def _closed(request: Request, payment_id: UUID) -> bool:
    """Close the bank's page of an attempt that nobody has paid; False where its end is not known, or it was paid."""
    with db.reading() as session:
        attempt = payment_queries.payment(session, payment_id)
    if attempt is None or (attempt.method, attempt.state) != ("page", "action_required"):
        return False
    outcome = gateway.cancel(request.settings, attempt)
    with db.writing() as session:
        return service.settle_payment(session, payment_id, outcome).state in ("abandoned", "declined")


def _part_words(view: BookingView) -> str:
    least = least_of(Money(view.balance_minor, view.currency))
    words = _("Please give an amount from %(least)s to %(most)s.")
    most = i18n.price(view.balance_minor - least.minor, view.currency)
    return words % {"least": i18n.price(least.minor, view.currency), "most": most}


def _begun(request: Request, view: BookingView) -> Payment:
    key = ids.fingerprint(str(request.fields.get("key") or ids.secret(18)))
    if "credit" in request.fields:
        limits.check(request.settings, "credit", limits.caller(request.scope))
        code = parse(CreditCode, {"credit": request.fields["credit"], "key": f"credit:{key}"})
        with db.writing() as session:
            return service.redeem_credit(session, view.reference, code)
    part = _part(request, view)
    name = f"page:{key}" if part is None else f"page:{key}:{part.minor}"
    wish = PayWish(name, "page", gateway.name(request.settings), part, partial=part is not None)
    with db.writing() as session:
        return service.begin_payment(session, view.reference, wish)


def _part(request: Request, view: BookingView) -> Money | None:
    """Return the part that was typed; None where all is to be paid. Raises PriceMismatch for what is no amount."""
    typed = str(request.fields.get("part", "")).strip()
    if "part" not in request.fields:
        return None
    try:
        return money.typed(typed, view.currency)
    except ValueError:
        raise PriceMismatch(balance=Money(view.balance_minor, view.currency)) from None


def _sentence(no: Invalid) -> str:
    return no.detail or (no.errors[0].detail if no.errors else no.title)


def _order_words(view: BookingView) -> str:
    return f"{view.reference} · {_ways(view)}"


def _ways(view: BookingView) -> str:
    return ", ".join(f"{one.origin.code}–{one.destination.code}" for one in view.slices)


def payment(request: Request) -> Response:
    """The way back from the bank: find out how it ended and send on; while that is not known, say so and ask again."""
    attempt = _attempt(request)
    if attempt.state in OPEN:
        outcome = gateway.lookup(request.settings, attempt)
        with db.writing() as session:
            state = service.settle_payment(session, attempt.id, outcome).state
        attempt = replace(attempt, state=state)
    response = _after(request, read(request), attempt)
    if request.wants_part and response.status_code == 303:
        response = Response(headers={"HX-Redirect": response.headers["location"]})
    return response


def _attempt(request: Request) -> PaymentView:
    try:
        payment_id = UUID(request.path_params["payment_id"])
    except ValueError:
        raise UnknownPayment() from None
    with db.reading() as session:
        owned = booking_access(session, request.path_params["reference"])
        attempt = payment_queries.payment(session, payment_id)
    if owned is None or not may_manage(owned, **grants.standing(request, owned.reference)):
        raise UnknownBooking()
    if attempt is None or attempt.payable != owned.id:
        raise UnknownPayment()
    return attempt


def _after(request: Request, view: BookingView, attempt: PaymentView) -> Response:
    if attempt.state in UNDECIDED and attempt.state != "action_required":
        return render(request, "booking/checking.html", block="checking", **common(view, "pay"), attempt=attempt)
    if _is_part(view, attempt):
        by_credit = _("%(amount)s are paid by your credit. The rest is still to be paid.")
        words = by_credit if attempt.method == "credit" else _("%(amount)s are paid. The rest is still to be paid.")
        paid = i18n.price(attempt.amount_minor, attempt.currency)
        return see_other(request, f"/book/{view.reference}/pay", Notice("good", words % {"amount": paid}))
    if view.status == "confirmed":
        notice = _booked(view, attempt)
        return see_other(request, f"/bookings/{view.reference}", *([notice] if notice else []))
    if attempt.state == "succeeded":
        return expired(request, view)
    notice = _not_paid(attempt)
    return see_other(request, f"/book/{view.reference}/pay", *([notice] if notice else []))


def _is_part(view: BookingView, attempt: PaymentView) -> bool:
    """True for what paid a part of what is still due: of a hold, or of the change that waits to be paid."""
    due_for = view.open_amendment.id if view.open_amendment else None
    waits = bool(view.balance_minor) and view.status_at(clock.now()) != "expired"
    return attempt.state == "succeeded" and attempt.purpose == due_for and waits


def _booked(view: BookingView, attempt: PaymentView) -> Notice | None:
    if attempt.state == "declined":
        return Notice("warn", refusal(attempt.decline_code))
    if attempt.state != "succeeded":
        return _not_paid(attempt)
    if attempt.purpose is None:
        return Notice("good", _("Paid and booked. Have a good trip."))
    if any(one.id == attempt.purpose for one in view.amendments):
        return Notice("good", _("Paid and changed."))
    return Notice("warn", _("The payment came too late for this change. Nothing was changed; the money goes back."))


def _not_paid(attempt: PaymentView) -> Notice | None:
    notices = {
        "action_required": _("You came back before the payment was finished. Nothing was charged yet."),
        "abandoned": _("The payment was stopped. Nothing was charged."),
    }
    words = notices.get(attempt.state)
    return Notice("info", words) if words else None


def paid(request: Request) -> Response:
    """Tell whoever paid how it ended, and nothing else of the booking; who may manage it is led to it.

    Where the payment names an address to return to, the payer is led there, with the payment and its state.
    """
    attempt, view = _of_token(request)
    if attempt.state in OPEN:
        outcome = gateway.lookup(request.settings, attempt)
        with db.writing() as session:
            service.settle_payment(session, attempt.id, outcome)
        attempt, view = _of_token(request)
    onward = _onward(request, attempt, view)
    if onward is None:
        return _paid(request, attempt, view)
    if request.wants_part:
        return Response(headers={"HX-Redirect": onward})
    return RedirectResponse(onward, 303)


def _paid(request: Request, attempt: PaymentView, view: BookingView) -> Response:
    state = view.status_at(clock.now())
    return render(
        request,
        "booking/paid.html",
        block="paid",
        payment=attempt,
        trip=_ways(view),
        state=state,
        balance_minor=0 if state == "expired" else view.balance_minor,
        why=refusal(attempt.decline_code) if attempt.state == "declined" else "",
    )


def _of_token(request: Request) -> tuple[PaymentView, BookingView]:
    try:
        payment_id = told.paid_id(request.settings, request.path_params["token"])
    except ValueError:
        raise UnknownPayment() from None
    with db.reading() as session:
        attempt = payment_queries.payment(session, payment_id)
        view = booking_by_id(session, attempt.payable) if attempt else None
    if attempt is None or view is None:
        raise UnknownPayment()
    return attempt, view


def _onward(request: Request, attempt: PaymentView, view: BookingView) -> str | None:
    if attempt.return_url is not None and origins.is_ours(request.settings, attempt.return_url):
        joint = "&" if urlsplit(attempt.return_url).query else "?"
        before, hash_mark, fragment = attempt.return_url.partition("#")
        return f"{before}{joint}payment={attempt.id}&status={attempt.state}{hash_mark}{fragment}"
    if may_manage(view, **grants.standing(request, view.reference)):
        return f"/book/{view.reference}/payments/{attempt.id}"
    return None


routes = [
    page("/paid/{token}", paid),
    page("/book/{reference}/pay", pay),
    page("/book/{reference}/pay", start_payment, methods=("POST",)),
    page("/book/{reference}/promotion", promote, methods=("POST",)),
    page("/book/{reference}/payments/{payment_id}", payment),
]

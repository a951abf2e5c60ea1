"""What may be done with a booking: hold, name, extend, pay, expire.

Every verb may be repeated: it finds its own work done and changes nothing. Locks are taken in one order: the booking's
row, its payment, its claims on seats, the cabins. The database's clock decides whether a hold has lapsed.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.booking import amending, errors, making, queries, quotes, records, rules
from portal.booking.forms import HoldWish, NameWish
from portal.booking.models import Amendment, Booking, Passenger
from portal.booking.tender import CreditCode, PayWish
from portal.booking.views import BookingView
from portal.flights.errors import ClaimsLost, FlightClosed
from portal.flights.service import SeatWish, extend_claims, release_claims, require_on_sale, sell_claims, take_seats
from portal.kit import audit, clock, outbox
from portal.kit.i18n import gettext as _
from portal.kit.idempotency import KeyReused
from portal.kit.money import Money
from portal.kit.outbox import Draft
from portal.payments import credits
from portal.payments import queries as payment_queries
from portal.payments import service as payments
from portal.payments.models import Payment
from portal.payments.rules import OPEN, Outcome
from portal.pricing import promotions
from portal.pricing.discounts import LINE
from portal.pricing.errors import PromotionRefused


def hold(session: Session, wish: HoldWish, names: NameWish | None = None) -> BookingView:
    """Take the seats and return the booking, held; the same key returns the same booking, whatever became of it.

    `names` may come along. Raises KeyReused for the same key with other offers, OffersDoNotFit, PriceChanged (not the
    expected total), Invalid (names), SoldOut, FlightClosed. The transaction must be rolled back then. The seats are
    taken last, so that other buyers of the same flight wait as shortly as possible.
    """
    booking = _same(session, wish) or _fresh(session, wish, names) or _same(session, wish)
    if booking is None:
        raise RuntimeError("somebody made a booking with the same key, and it is gone")
    return booking


def _fresh(session: Session, wish: HoldWish, names: NameWish | None) -> BookingView | None:
    booking = making.make(session, wish, names, making.flights_of(session, wish.offers))
    if booking is None:
        return None
    if wish.promo_code:
        booking = _promoted(session, booking, wish.promo_code)
    _check_price(wish, booking)
    _note_hold(session, booking)
    seats = wish.offers[0].party.seats
    wishes = [SeatWish(flight, offer.cabin, seats) for offer in wish.offers for flight in offer.flight_ids]
    take_seats(session, holder=booking.id, wishes=wishes, minutes=wish.minutes)
    return booking


def _note_hold(session: Session, booking: BookingView) -> None:
    told: dict[str, audit.Value] = {"status": "held", "totalMinor": booking.total_minor, "currency": booking.currency}
    audit.record(session, "booking.held", "booking", booking.reference, actor_id=booking.user_id, after=told)
    session.flush()  # Before the seats: nobody waits for a cabin while it is written.


def _same(session: Session, wish: HoldWish) -> BookingView | None:
    known = making.known(session, wish.key)
    if known is None:
        return None
    if known.fingerprint != making.fingerprint(wish.offers) or known.user_id != wish.user_id:
        raise KeyReused(_("This form was used for another booking. Please search again."))
    return queries.booking_by_id(session, known.id)


def _check_price(wish: HoldWish, booking: BookingView) -> None:
    """Who names a price may name it with or without the promotion; it is never more than that."""
    total = Money(booking.total_minor, booking.currency)
    whole = Money(sum(offer.total_minor for offer in wish.offers), booking.currency)
    if wish.expected not in (None, total, whole):
        raise errors.PriceChanged(_("The price is not the one you named."), total=total)


def use_promotion(session: Session, reference: str, code: str) -> Booking:
    """Let a hold be bought with this promotion instead of what it had; an empty code takes the promotion off.

    Raises PromotionRefused with the reason, HoldExpired, NotHeld, PaymentUnderWay, PartPaid; roll back then.
    """
    booking = _held(session, reference, unpaid=True)
    promotions.release(session, holder=booking.id)
    booking.total_minor -= records.drop_lines(session, booking.id, LINE)
    if code.strip():
        _promote(session, booking, code)
    records.require_something_due(booking)
    session.flush()
    return booking


def _promoted(session: Session, booking: BookingView, code: str) -> BookingView:
    _promote(session, session.get_one(Booking, booking.id), code)
    return queries.booking_by_id(session, booking.id) or booking


def _promote(session: Session, booking: Booking, code: str) -> None:
    lines = quotes.promotion_lines(session, booking, code, customer=_customer(booking))
    off = sum(int(line["amount_minor"]) for line in lines)
    if booking.total_minor + off <= 0:
        raise PromotionRefused(_("With this code nothing would be left to pay. Please use it for a dearer trip."))
    records.append_lines(session, booking, lines)
    booking.total_minor += off
    session.flush()


def _customer(booking: Booking) -> str | None:
    if booking.user_id is not None:
        return str(booking.user_id)
    return booking.contact_email.lower() if booking.contact_email else None


def name_passengers(session: Session, reference: str, wish: NameWish) -> Booking:
    """Say who flies and where the tickets go; again replaces what was said before.

    Raises Invalid with a sentence at each wrong field, HoldExpired, NotHeld, PaymentUnderWay (names are fixed while
    money is on its way).
    """
    booking = _held(session, reference, unpaid=True)
    found = select(Passenger).where(Passenger.booking_id == booking.id).order_by(Passenger.position)
    rows = session.scalars(found).all()
    records.check_names(wish, [row.type for row in rows], queries.travel_days(session, booking.id))
    for row, one in zip(rows, rules.in_party_order(wish.passengers), strict=True):
        for field, value in rules.name_fields(one).items():
            setattr(row, field, value)
    booking.contact_email, booking.contact_phone = wish.email, wish.phone
    promotions.identify(session, holder=booking.id, customer=_customer(booking) or "")
    session.flush()
    return booking


def extend(session: Session, reference: str, *, minutes: int) -> Booking:
    """Hold the seats for `minutes` from now, at most ten times. Raises HoldExpired, NotHeld, NoMoreTime."""
    booking = _held(session, reference)
    if booking.extensions >= rules.MAX_EXTENSIONS:
        raise errors.NoMoreTime(_("It was extended ten times. Please pay now, or search again."))
    booking.extensions += 1
    _prolong(session, booking, minutes)
    return booking


def _prolong(session: Session, booking: Booking, minutes: int) -> None:
    try:
        booking.expires_at = extend_claims(session, holder=booking.id, minutes=minutes)
    except ClaimsLost:
        raise _expired() from None
    session.flush()


def expire_lapsed(session: Session) -> int:
    """Tidy one hold whose time is over: its seats go back, it is expired, its contact is told. Returns 0 or 1.

    One booking a transaction, so that seats are never locked out of order; call it again until it returns 0. A booking
    whose payment is not decided yet waits for it; the letter that checks the payment goes on until it is.
    """
    undecided = select(Payment.id).where(Payment.payable == Booking.id, Payment.state.in_(OPEN))
    lapsed = (
        select(Booking)
        .where(Booking.status == "held", Booking.expires_at <= func.now(), ~undecided.exists())
        .order_by(Booking.expires_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    booking = session.scalar(lapsed)
    if booking is None:
        return 0
    _expire(session, booking)
    return 1


def _expire(session: Session, booking: Booking, *, refund_id: UUID | None = None) -> None:
    if booking.paid_minor:
        refund_id = _part_back(session, booking)
    promotions.release(session, holder=booking.id)
    release_claims(session, holder=booking.id)
    records.become(booking, "expired")
    booking.ended_at = clock.now()
    session.flush()
    records.tell_expired(session, booking, refund_id)


def _part_back(session: Session, booking: Booking) -> UUID:
    """Send back what had come in for a hold that was never paid in full."""
    part, booking.paid_minor = booking.paid_minor, 0
    return payments.refund_payable(session, payable=booking.id, amount_minor=part, reason="seats_gone")[0]


def _held(session: Session, reference: str, *, unpaid: bool = False) -> Booking:
    """Return a hold, locked; `unpaid`: only while no money is on its way for it."""
    booking = records.locked(session, reference)
    over, paying = queries.hold_stands(session, booking.id)
    _require_held(booking, over=over)
    if unpaid and paying is not None:
        raise errors.PaymentUnderWay(paying)
    return booking


def _require_held(booking: Booking, *, over: bool) -> None:
    if booking.status == "confirmed":
        raise errors.AlreadyPaid(_("It is paid and confirmed."))
    if booking.status == "cancelled":
        raise errors.NotHeld(_("This booking is cancelled."))
    if over:
        raise _expired()


def _expired() -> errors.HoldExpired:
    return errors.HoldExpired(_("Your seats went back on sale and nothing was charged. Please search again."))


def begin_payment(session: Session, reference: str, wish: PayWish) -> Payment:
    """Write down an attempt to pay what is due, before any gateway is asked; the same key returns the same attempt.

    Due is a hold's price, or what a change of a confirmed booking costs; `wish.partial` takes a part of it, and a hold
    that lapses before the rest is there sends it back. What is held lasts at least ten more minutes, so that it cannot
    lapse while the payer is away paying. Who comes back to the gateway's page gets the same page again. Raises
    PriceMismatch, NamesMissing, PaymentUnderWay, TooManyPayments, AlreadyPaid, HoldExpired, QuoteExpired, NotHeld,
    FlightClosed (no longer sold).
    """
    booking = records.locked(session, reference)
    stands = queries.before_paying(session, booking.id)
    made = select(Payment).where(Payment.payable == booking.id).order_by(Payment.created_at)
    attempts = session.scalars(made).all() if stands.tried else []
    same = next((one for one in attempts if one.idempotency_key == wish.key), None)
    if same is not None:
        return same
    waiting = amending.require_payable(session, booking) if booking.status == "confirmed" else None
    due = Money(_due(booking, waiting, stands), booking.currency)
    amount = rules.taken_of(due, wish.amount, partial=wish.partial)
    if amount is None:
        raise errors.PriceMismatch(balance=due, least=rules.least_of(due) if wish.partial else None)
    going_on = payment_queries.open_payment(session, booking.id) if attempts else None
    if going_on is not None:
        return _go_on(next(one for one in attempts if one.id == going_on.id), wish, amount)
    purpose = waiting.id if waiting else None
    if sum(one.purpose == purpose for one in attempts) >= rules.MAX_PAYMENTS:
        raise errors.TooManyPayments(_("Nothing was charged. Please search again, or call us."))
    _keep_while_paying(session, booking, waiting, stands)
    return payments.begin(
        session,
        payable=booking.id,
        purpose=purpose,
        amount_minor=amount.minor,
        currency=booking.currency,
        method=wish.method,
        key=wish.key,
        gateway=wish.gateway,
        return_url=wish.return_url,
    )


def redeem_credit(session: Session, reference: str, wish: CreditCode) -> Payment:
    """Pay by a travel credit, at once: `wish.amount`, or all that is due and that the credit is good for.

    What is then still due is paid otherwise; a hold that lapses first gives the credit back. The same key pays once.
    Raises CreditUnknown, CreditExpired, CreditEmpty, OtherCurrency, PriceMismatch (more than is due), and what
    `begin_payment` raises.
    """
    booking = records.locked(session, reference)
    same = session.scalar(select(Payment).where(Payment.payable == booking.id, Payment.idempotency_key == wish.key))
    if same is not None:
        return same
    waiting = amending.require_payable(session, booking) if booking.status == "confirmed" else None
    stands = queries.before_paying(session, booking.id)
    due = Money(_due(booking, waiting, stands), booking.currency)
    records.require_no_payment(session, booking)
    amount = wish.amount or Money(min(due.minor, credits.look(session, wish.credit).remaining_minor), due.currency)
    if amount.currency != due.currency or not 0 < amount.minor <= due.minor:
        raise errors.PriceMismatch(balance=due)
    _keep_while_paying(session, booking, waiting, stands)
    payment = payments.redeem(
        session,
        code=wish.credit,
        payable=booking.id,
        amount_minor=amount.minor,
        currency=due.currency,
        key=wish.key,
        purpose=waiting.id if waiting else None,
    )
    return settle_payment(session, payment.id, Outcome("succeeded"))


def _go_on(undecided: Payment, wish: PayWish, amount: Money) -> Payment:
    same_page = (undecided.method, undecided.state, wish.method) == ("page", "action_required", "page")
    if not same_page or undecided.amount_minor != amount.minor:
        raise errors.PaymentUnderWay(undecided.id)
    return undecided


def _due(booking: Booking, waiting: Amendment | None, stands: queries.Payable) -> int:
    if waiting is not None:
        return waiting.due_minor - waiting.paid_minor
    _require_held(booking, over=stands.over)
    if not stands.named:
        raise errors.NamesMissing(_("Every traveller needs a name before the booking can be paid."))
    return booking.total_minor - booking.paid_minor


def _keep_while_paying(session: Session, booking: Booking, waiting: Amendment | None, stands: queries.Payable) -> None:
    least = clock.now() + timedelta(minutes=rules.PAYING_MINUTES)
    if waiting is not None:
        require_on_sale(session, holder=waiting.id)
        if waiting.expires_at < least:
            amending.prolong(session, waiting, minutes=rules.PAYING_MINUTES)
    elif stands.closed:
        raise FlightClosed()
    elif booking.expires_at is not None and booking.expires_at < least:
        _prolong(session, booking, rules.PAYING_MINUTES)


def settle_payment(session: Session, payment_id: UUID, outcome: Outcome) -> Payment:
    """Write down what the gateway said, and confirm the booking if the money came. Hearing it again changes nothing.

    The payer's return, the check letter and the API all end here. Money for seats that are gone, or for a booking that
    is paid already, goes back at once, and the contact is told. Raises UnknownPayment.
    """
    booking, payment = records.locked_with_payment(session, payment_id)
    payments.heard(session, payment, outcome)
    if payment.state == "succeeded" and payment.applied_at is None:
        payments.apply(payment)
        _put_to_use(session, booking, payment)
    return payment


def _put_to_use(session: Session, booking: Booking, payment: Payment) -> None:
    if payment.purpose is not None:
        used = amending.take_money(session, booking, payment.purpose, payment.amount_minor)
    else:
        used = booking.status == "held" and _take_money(session, booking, payment)
    if not used:
        _send_back(session, booking, payment)


def _send_back(session: Session, booking: Booking, payment: Payment) -> None:
    too_much = booking.paid_minor + payment.amount_minor > booking.total_minor
    late = booking.status == "expired" or (booking.status == "held" and not too_much)
    reason = "change_not_made" if payment.purpose else "seats_gone" if late else "paid_twice"
    refund_id = payments.refund(session, payment, reason=reason)
    audit.record(session, "payment.returned", "booking", booking.reference, after={"paymentId": str(payment.id)})
    if late and booking.status == "held":
        _expire(session, booking, refund_id=refund_id)
    elif late:
        records.tell_expired(session, booking, refund_id)


def _take_money(session: Session, booking: Booking, payment: Payment) -> bool:
    """Put money to a hold, and confirm it once all is there. False: it is too much, or the seats are gone."""
    if booking.paid_minor + payment.amount_minor < booking.total_minor:
        booking.paid_minor += payment.amount_minor
        session.flush()
        return True
    return booking.paid_minor + payment.amount_minor == booking.total_minor and _sold(session, booking, payment)


def _sold(session: Session, booking: Booking, payment: Payment) -> bool:
    """Confirm, and sell the seats last of all: the cabins are locked no longer than needed. False: seats are gone."""
    try:
        with session.begin_nested():
            promotions.confirm(session, holder=booking.id)
            flights = _confirm(session, booking, payment)
            sell_claims(session, holder=booking.id, expected=flights)
    except (ClaimsLost, PromotionRefused):
        return False
    session.expire(booking)
    return True


def _confirm(session: Session, booking: Booking, payment: Payment) -> int:
    paid = booking.paid_minor + payment.amount_minor
    flights = records.confirm(session, booking, paid_minor=paid, now=clock.now())
    name = str(booking.id)
    outbox.post_all(
        session,
        Draft("booking.confirmed", {"bookingId": name}, name, "mail"),
        Draft("analytics.booking", {"bookingId": name}, name),
    )
    audit.record(
        session,
        "booking.confirmed",
        "booking",
        booking.reference,
        actor_id=booking.user_id,
        before={"status": "held"},
        after={"status": "confirmed", "paidMinor": paid, "currency": booking.currency},
    )
    session.flush()
    return flights

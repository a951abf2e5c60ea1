"""Change a booking after it was made, by one uniform way: quote → confirm → (pay) → apply; all or nothing, once.

A quote changes nothing and lapses after 15 minutes. Confirming it does it at once when nothing is due; otherwise it
waits to be paid, holding what it needs, and is done when the money is there. Money that comes too late goes back. Locks
are taken as everywhere: booking, amendment, payment, claims, cabins.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from portal.booking import applying, errors, queries, quotes, records
from portal.booking.models import Amendment, Booking
from portal.booking.records import ItemWish
from portal.booking.views import BookingView
from portal.flights import seating
from portal.flights.errors import ClaimsLost
from portal.flights.service import SeatWish, extend_claims, lock_seats, release_claims, take_seats
from portal.kit import audit
from portal.kit.i18n import gettext as _
from portal.kit.idempotency import KeyReused
from portal.payments import queries as payment_queries
from portal.payments import service as payments
from portal.payments.models import Payment
from portal.payments.rules import OPEN
from portal.pricing import promotions
from portal.search.rules import Offer

__all__ = ["ItemWish"]

QUOTE_MINUTES = 15
HOLD_MINUTES = 15
MOVES = ("take", "give")


def choose_items(
    session: Session,
    reference: str,
    *,
    kinds: frozenset[str],
    wishes: Sequence[ItemWish],
    key: str,
    actor_id: UUID | None,
) -> Amendment | None:
    """Let the booking have exactly these extras of these kinds; the caller has priced them and knows that they fit.

    A hold changes at once and gets None. A paid booking gets an amendment: done when nothing is due, else paying for 15
    minutes; extras given up for dearer ones are set off, for cheaper ones nothing goes back. The same key returns the
    same amendment. Raises UnknownBooking, HoldExpired, NotHeld, PaymentUnderWay, AmendmentUnderWay.
    """
    booking = records.locked(session, reference)
    if booking.status == "held":
        _choose_held(session, booking, kinds, wishes)
        return None
    same = _by_key(session, booking, key)
    if same is not None:
        return same
    records.require_confirmed(booking)
    plan = quotes.plan_items(session, booking, kinds, wishes)
    if plan is None:
        return None
    _make_way(session, booking, plan.payload)
    made = records.write_down(session, booking, plan, minutes=QUOTE_MINUTES, actor_id=actor_id, key=key)
    return _go(session, booking, made)


def _choose_held(session: Session, booking: Booking, kinds: frozenset[str], wishes: Sequence[ItemWish]) -> None:
    over, paying = queries.hold_stands(session, booking.id)
    if over:
        raise errors.HoldExpired(_("Your seats went back on sale and nothing was charged. Please search again."))
    if paying is not None:
        raise errors.PaymentUnderWay(paying)
    records.drop_items(session, booking, kinds)
    rows = records.item_rows(wishes)
    records.add_items(session, booking.id, rows)
    records.append_lines(session, booking, quotes.item_lines(session, booking.id, rows))
    booking.total_minor += sum(wish.amount_minor for wish in wishes)
    records.require_something_due(booking)
    session.flush()


def _by_key(session: Session, booking: Booking, key: str) -> Amendment | None:
    same = select(Amendment).where(Amendment.booking_id == booking.id, Amendment.idempotency_key == key)
    return session.scalar(same)


def _make_way(session: Session, booking: Booking, payload: dict[str, Any]) -> None:
    """Withdraw another amendment that waits to be paid; raises AmendmentUnderWay while money is on its way for it.

    All seats that either is about are locked first, in order; before them what else is given back: credit, promotion.
    """
    payments.lock_credits(session, payable=booking.id)
    if payload.get("whole"):
        promotions.lock(session, holder=booking.id)
    mine = select(Amendment).where(Amendment.booking_id == booking.id, Amendment.state == "paying")
    waiting = session.scalar(mine.with_for_update().execution_options(populate_existing=True))
    payloads = [payload, waiting.payload] if waiting else [payload]
    cabins = [(one[0], one[1]) for kept in payloads for name in MOVES for one in kept.get(name, ())]
    if cabins:
        lock_seats(session, holders=[booking.id, *([waiting.id] if waiting else [])], cabins=cabins)
    if waiting is None:
        return
    if waiting.paid_minor or payment_queries.open_payment(session, booking.id) is not None:
        raise errors.AmendmentUnderWay(waiting.id)
    _end(session, waiting, "withdrawn")


def _end(session: Session, amendment: Amendment, state: str) -> None:
    """Let go of what the amendment held: seats, and money that had come in for a part of it."""
    payments.lock_credits(session, payable=amendment.booking_id)
    release_claims(session, holder=amendment.id)
    seating.give_up(session, holder=amendment.booking_id, tentative_only=True)
    paid = select(Payment).where(Payment.payable == amendment.booking_id, Payment.purpose == amendment.id)
    came = paid.where(Payment.state == "succeeded", Payment.applied_at.is_not(None))
    for payment in session.scalars(came):
        payments.refund(session, payment, reason="change_not_made")
    amendment.state, amendment.paid_minor = state, 0
    session.flush()


def quote_cancellation(
    session: Session,
    reference: str,
    *,
    passenger_ids: Collection[UUID] | None = None,
    slice_positions: Collection[int] | None = None,
    refund_to: str = "original",
    actor_id: UUID | None,
    waive: bool = False,
    at_fault: Collection[int] = (),
    kept: Mapping[int, int] = quotes.NONE_KEPT,
) -> Amendment:
    """Say what it gives back to cancel everything that is not flown, or some travellers, directions, or both.

    With both, these travellers no longer fly these directions; all else stands. `waive`: the carrier is at fault, so
    all of it goes back; `at_fault`: only on these directions. `kept`: of these directions so many flights have left,
    and only the rest is given back. Nothing is changed. Raises UnknownBooking, NotHeld, HoldExpired, Invalid,
    ActionClosed.
    """
    booking = _confirmed(session, reference)
    plan = quotes.plan_cancellation(
        session,
        _view(session, booking),
        passenger_ids=passenger_ids,
        slice_positions=slice_positions,
        refund_to=refund_to,
        waive=waive,
        at_fault=at_fault,
        kept=kept,
    )
    return records.write_down(session, booking, plan, minutes=QUOTE_MINUTES, actor_id=actor_id)


def quote_change(
    session: Session,
    reference: str,
    *,
    slice_position: int,
    offer: Offer,
    actor_id: UUID | None,
    waive: bool = False,
    kept: int = 0,
) -> Amendment:
    """Say what it costs to fly a direction by the offer's flights instead; the offer is for who still flies.

    `waive`: the carrier is at fault, so it costs nothing. `kept`: so many of its flights have left, and the offer is
    for the rest of the way. Nothing is changed. Raises UnknownBooking, NotHeld, HoldExpired, Invalid, FlightClosed,
    ActionClosed.
    """
    booking = _confirmed(session, reference)
    plan = quotes.plan_change(
        session, _view(session, booking), slice_position=slice_position, offer=offer, waive=waive, kept=kept
    )
    return records.write_down(session, booking, plan, minutes=QUOTE_MINUTES, actor_id=actor_id)


def quote_correction(
    session: Session,
    reference: str,
    *,
    passenger_id: UUID,
    given_name: str,
    family_name: str,
    actor_id: UUID | None,
) -> Amendment:
    """Say how a name would stand on the ticket; it is free, for up to three letters and twice at most.

    Raises UnknownBooking, NotHeld, HoldExpired, Invalid, ActionClosed.
    """
    booking = _confirmed(session, reference)
    plan = quotes.plan_correction(
        _view(session, booking), passenger_id=passenger_id, given_name=given_name, family_name=family_name
    )
    return records.write_down(session, booking, plan, minutes=QUOTE_MINUTES, actor_id=actor_id)


def change_contact(
    session: Session, reference: str, *, email: str, phone: str | None, actor_id: UUID | None
) -> Amendment | None:
    """Send what is about this booking elsewhere from now on, and tell the old address. None: it goes there already."""
    booking = _confirmed(session, reference)
    before = {"email": booking.contact_email, "phone": booking.contact_phone}
    after = {"email": email, "phone": phone}
    if before == after:
        return None
    plan = records.Plan("contact", {"before": before, "after": after})
    made = records.write_down(session, booking, plan, minutes=QUOTE_MINUTES, actor_id=actor_id)
    applying.apply(session, booking, made)
    return made


def note_carrier_change(
    session: Session, reference: str, *, payload: dict[str, Any], items: Collection[UUID] = (), actor_id: UUID | None
) -> Amendment:
    """Write down that the carrier changed a flight and that it stands so; the papers are made anew.

    What was paid for `items` – seats that are lost or worse now – goes back, and who still has them has them for
    nothing. With `told` in the payload no mail is sent: the caller's own tells it.
    """
    booking = _confirmed(session, reference)
    kept = [str(one) for one in items]
    lines = quotes.given_back(_view(session, booking), kept)
    plan = records.Plan("carrier", {**payload, "items": kept}, lines)
    made = records.write_down(session, booking, plan, minutes=QUOTE_MINUTES, actor_id=actor_id)
    applying.apply(session, booking, made)
    return made


def _confirmed(session: Session, reference: str) -> Booking:
    booking = records.locked(session, reference)
    records.require_confirmed(booking)
    return booking


def _view(session: Session, booking: Booking) -> BookingView:
    view = queries.booking_by_id(session, booking.id)
    if view is None:
        raise errors.UnknownBooking()
    return view


def confirm(session: Session, amendment_id: UUID, *, key: str) -> Amendment:
    """Do what was quoted: at once when nothing is due, else when it is paid, for which there are 15 minutes.

    Confirming again returns the amendment as it stands. Raises UnknownAmendment, QuoteExpired, QuoteOutdated,
    ActionClosed, AmendmentUnderWay, KeyReused, SoldOut, FlightClosed; the transaction must be rolled back then.
    """
    booking, amendment = records.locked_amendment(session, amendment_id)
    if amendment.state in ("paying", "done"):
        return amendment
    if _by_key(session, booking, key) is not None:
        raise KeyReused(_("This key confirmed another change. Please look at the booking first."))
    _require_fresh(session, booking, amendment)
    _make_way(session, booking, amendment.payload)
    amendment.idempotency_key = key
    return _go(session, booking, amendment)


def _require_fresh(session: Session, booking: Booking, amendment: Amendment) -> None:
    records.require_confirmed(booking)
    lapsed = select(Amendment.expires_at <= func.clock_timestamp()).where(Amendment.id == amendment.id)
    if amendment.state != "quoted" or session.scalar(lapsed):
        raise errors.QuoteExpired(_("Please look at the price once more; nothing was done."))
    if amendment.payload["basis"] != records.done_count(session, booking.id):
        raise errors.QuoteOutdated(_("Please look at the price once more; nothing was done."))
    quotes.require_possible(session, _view(session, booking), amendment)


def _go(session: Session, booking: Booking, amendment: Amendment) -> Amendment:
    if amendment.due_minor == 0:
        applying.apply(session, booking, amendment)
        return amendment
    amendment.state, amendment.expires_at = "paying", records.in_minutes(HOLD_MINUTES)
    session.flush()
    session.refresh(amendment)
    wishes = [SeatWish(*one) for one in amendment.payload.get("take", ())]
    if wishes:
        take_seats(session, holder=amendment.id, wishes=wishes, minutes=HOLD_MINUTES)
    return amendment


def withdraw(session: Session, amendment_id: UUID) -> Amendment:
    """Drop an amendment that was quoted or waits to be paid; nothing is done. Raises AmendmentUnderWay, NotHeld.

    It cannot be dropped while a payment for it is on its way.
    """
    booking, amendment = records.locked_amendment(session, amendment_id)
    if amendment.state == "done":
        raise errors.NotHeld(_("This change is already made."))
    if amendment.state == "paying":
        if payment_queries.open_payment(session, booking.id) is not None:
            raise errors.AmendmentUnderWay(amendment.id)
        _end(session, amendment, "withdrawn")
    elif amendment.state == "quoted":
        amendment.state = "withdrawn"
    session.flush()
    return amendment


def require_payable(session: Session, booking: Booking) -> Amendment:
    """Return what a confirmed booking waits to be paid for, locked; raises AlreadyPaid or QuoteExpired."""
    mine = select(Amendment).where(Amendment.booking_id == booking.id, Amendment.state == "paying")
    waiting = session.scalar(mine.with_for_update().execution_options(populate_existing=True))
    if waiting is None:
        raise errors.AlreadyPaid(_("It is paid and confirmed."))
    if session.scalar(select(Amendment.expires_at <= func.clock_timestamp()).where(Amendment.id == waiting.id)):
        raise errors.QuoteExpired(_("Nothing was charged and nothing was changed. Please choose again."))
    return waiting


def prolong(session: Session, amendment: Amendment, *, minutes: int) -> None:
    """Keep the amendment and its seats for at least `minutes` from now; raises QuoteExpired when seats are gone."""
    if amendment.payload.get("take"):
        try:
            extend_claims(session, holder=amendment.id, minutes=minutes)
        except ClaimsLost:
            raise errors.QuoteExpired(_("The new seats are gone. Nothing was charged; please choose again.")) from None
    amendment.expires_at = records.in_minutes(minutes)
    session.flush()
    session.refresh(amendment)


def take_money(session: Session, booking: Booking, amendment_id: UUID, amount_minor: int) -> bool:
    """Put money that came in to the amendment, and do it once all is there. False: it came too late or twice.

    The caller then sends it back. When the seats are gone after all, what came before goes back too.
    """
    amendment = session.get_one(Amendment, amendment_id, with_for_update=True, populate_existing=True)
    if amendment.state != "paying" or amendment.paid_minor + amount_minor > amendment.due_minor:
        return False
    try:
        with session.begin_nested():
            amendment.paid_minor += amount_minor
            session.flush()
            if amendment.paid_minor == amendment.due_minor:
                applying.apply(session, booking, amendment)
    except ClaimsLost:
        session.refresh(amendment)
        _end(session, amendment, "lapsed")
        return False
    return True


def lapse_amendments(session: Session) -> int:
    """End one amendment whose time to be paid is over, and forget quotes whose time is; returns how many ended.

    One paying amendment a transaction, as with holds; call it again until it returns 0. One whose payment is not
    decided yet waits for it.
    """
    mine = select(Payment.id).where(Payment.payable == Amendment.booking_id, Payment.purpose == Amendment.id)
    undecided = mine.where(Payment.state.in_(OPEN))
    over = select(Amendment.id, Amendment.booking_id).where(
        Amendment.state == "paying", Amendment.expires_at <= func.now(), ~undecided.exists()
    )
    row = session.execute(over.order_by(Amendment.expires_at).limit(1)).one_or_none()
    return _forget_quotes(session) if row is None else _lapse(session, row.id)


def _lapse(session: Session, amendment_id: UUID) -> int:
    booking, amendment = records.locked_amendment(session, amendment_id)
    lapsed = select(Amendment.expires_at <= func.clock_timestamp()).where(Amendment.id == amendment_id)
    if amendment.state == "paying" and session.scalar(lapsed):
        _end(session, amendment, "lapsed")
        audit.record(session, "booking.change_lapsed", "booking", booking.reference, after={"number": amendment.number})
    return 1


def _forget_quotes(session: Session) -> int:
    old = select(Amendment).where(Amendment.state == "quoted", Amendment.expires_at <= func.now()).limit(500)
    found = session.scalars(old.with_for_update(skip_locked=True)).all()
    for one in found:
        one.state = "lapsed"
    session.flush()
    return len(found)


def forget_over(session: Session, *, before: datetime) -> int:
    """Delete up to 500 changes that were never made and whose time was over before then; returns how many.

    Those that somebody began to pay for stay, with the payments that name them.
    """
    gone = text(
        """
        delete from amendments where id in (
            select a.id from amendments a where a.state in ('lapsed', 'withdrawn') and a.expires_at < :before
              and not exists (select from payments p where p.payable = a.booking_id and p.purpose = a.id)
              and not exists (select from charges c where c.amendment_id = a.id)
              and not exists (select from booking_items i where i.amendment_id = a.id)
            order by a.expires_at limit 500 for update skip locked
        ) returning id
        """
    )
    return len(session.execute(gone, {"before": before}).all())

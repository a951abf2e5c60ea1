"""Rows of a booking: lock it, put lines on it and take them off, write down an amendment.

Who calls decides what may be done; here it is only done. Every caller locks the booking's row first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, case, delete, func, select, text, update
from sqlalchemy.orm import Session

from portal.booking import errors, rules
from portal.booking.forms import NameWish
from portal.booking.models import (
    CONFIRM,
    EXCHANGE,
    VOID,
    Amendment,
    Booking,
    Charge,
    Coupon,
    Item,
    Passenger,
    Segment,
    Slice,
    Ticket,
)
from portal.kit import ids, outbox
from portal.kit.errors import Invalid
from portal.kit.i18n import gettext as _
from portal.payments import queries as payment_queries
from portal.payments.errors import UnknownPayment
from portal.payments.models import Payment

UNUSED = ("open", "checked_in")
LOCK = (
    select(Booking)
    .where(Booking.reference == bindparam("wanted"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
# Rows are locked in the order of the tables: the booking's first.
LOCK_WITH_PAYMENT = (
    select(Booking, Payment)
    .join(Payment, Payment.payable == Booking.id)
    .where(Payment.id == bindparam("payment"))
    .with_for_update()
    .execution_options(populate_existing=True)
)

DROP_ITEMS = text(
    """
    with items as (delete from booking_items where booking_id = :booking_id and kind = any(:kinds) returning id),
        lines as (delete from charges where item_id in (select id from items) returning amount_minor)
    select sum(amount_minor)::bigint from lines
    """
)


@dataclass(frozen=True, slots=True)
class ItemWish:
    """An extra that somebody wants: which, for whom, on which flight (None: the whole trip), at what price in all."""

    kind: str
    code: str
    label: str
    passenger_id: UUID
    flight_id: int | None
    quantity: int
    amount_minor: int
    seat: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an amendment is to do, before it is written down; `lines` add up to due − refund."""

    kind: str
    payload: dict[str, Any]
    lines: list[dict[str, Any]] = field(default_factory=list)
    penalty_minor: int = 0
    refund_to: str = "original"

    @property
    def sum_minor(self) -> int:
        """What is due, or below zero what goes back."""
        return sum(int(line["amount_minor"]) for line in self.lines)


def locked(session: Session, reference: str) -> Booking:
    """Return the booking with its row locked; raises UnknownBooking."""
    booking = session.scalar(LOCK, {"wanted": ids.normal_reference(reference)})
    if booking is None:
        raise errors.UnknownBooking()
    return booking


def locked_with_payment(session: Session, payment_id: UUID) -> tuple[Booking, Payment]:
    """Return the booking that a payment is for, and the payment, both locked; raises UnknownPayment."""
    found = session.execute(LOCK_WITH_PAYMENT, {"payment": payment_id}).one_or_none()
    if found is None:
        raise UnknownPayment()
    return found[0], found[1]


def locked_amendment(session: Session, amendment_id: UUID) -> tuple[Booking, Amendment]:
    """Return the amendment and its booking, both locked, the booking first; raises UnknownAmendment."""
    booking_id = session.scalar(select(Amendment.booking_id).where(Amendment.id == amendment_id))
    if booking_id is None:
        raise errors.UnknownAmendment()
    booking = session.get_one(Booking, booking_id, with_for_update=True, populate_existing=True)
    amendment = session.get_one(Amendment, amendment_id, with_for_update=True, populate_existing=True)
    return booking, amendment


def in_minutes(minutes: int) -> Any:
    """Return the instant so many minutes from now, by the database's clock."""
    return func.now() + func.make_interval(0, 0, 0, 0, 0, minutes)


def check_names(names: NameWish, party: Sequence[str], days: Sequence[date]) -> None:
    """Raise Invalid, with a sentence at each wrong field, unless these people are this party and may fly then."""
    wrong = rules.traveller_errors(names.passengers, party, days)
    if wrong:
        raise Invalid(errors=wrong)


def confirm(session: Session, booking: Booking, *, paid_minor: int, now: datetime) -> int:
    """Confirm a hold, with a ticket for each passenger and a coupon for each flight; returns how many flights it has.

    The table knows it at once; `booking` does once the caller lets it expire.
    """
    if not rules.may_become(booking.status, "confirmed"):
        raise errors.NotHeld()
    coupons = session.scalars(CONFIRM, {"id": booking.id, "paid": paid_minor, "now": now})
    return len(set(coupons.all()))


def append_lines(
    session: Session, booking: Booking, lines: Sequence[dict[str, Any]], *, amendment_id: UUID | None = None
) -> None:
    """Put lines at the end of the booking's price; the caller puts their sum on its total."""
    highest = select(func.coalesce(func.max(Charge.position), -1)).where(Charge.booking_id == booking.id)
    first = (session.scalar(highest) or 0) + 1 if lines else 0
    for position, line in enumerate(lines, first):
        session.add(Charge(booking_id=booking.id, position=position, amendment_id=amendment_id, **_typed(line)))
    session.flush()


def _typed(line: dict[str, Any]) -> dict[str, Any]:
    return {name: UUID(value) if name.endswith("_id") and value else value for name, value in line.items()}


def drop_lines(session: Session, booking_id: UUID, code: str) -> int:
    """Take a hold's lines of this code off again, and return their sum."""
    gone = delete(Charge).where(Charge.booking_id == booking_id, Charge.code == code)
    return sum(session.scalars(gone.returning(Charge.amount_minor)))


def item_rows(wishes: Sequence[ItemWish]) -> list[dict[str, Any]]:
    """Return the rows that these wishes become, each with its id, fit to be kept as JSON."""
    return [{**asdict(wish), "id": str(uuid4()), "passenger_id": str(wish.passenger_id)} for wish in wishes]


def add_items(
    session: Session, booking_id: UUID, rows: Sequence[dict[str, Any]], *, amendment_id: UUID | None = None
) -> None:
    """Make extras of rows as `item_rows` returned them."""
    for row in rows:
        values = {**row, "id": UUID(row["id"]), "passenger_id": UUID(row["passenger_id"])}
        session.add(Item(booking_id=booking_id, amendment_id=amendment_id, **values))
    session.flush()


def drop_items(session: Session, booking: Booking, kinds: Collection[str]) -> None:
    """Take a hold's extras of these kinds off again, with their lines: nothing of them was paid."""
    session.flush()
    booking.total_minor -= session.scalar(DROP_ITEMS, {"booking_id": booking.id, "kinds": list(kinds)}) or 0


def cancel_items(session: Session, item_ids: Collection[UUID]) -> None:
    """Say that these extras no longer stand."""
    session.execute(update(Item).where(Item.id.in_(item_ids)).values(state="cancelled"))


def free_items(session: Session, item_ids: Collection[UUID]) -> None:
    """Say that these extras cost nothing any more; a seat without a name no longer stands."""
    gone = case((Item.seat.is_(None), "cancelled"), else_=Item.state)
    session.execute(update(Item).where(Item.id.in_(item_ids)).values(amount_minor=0, state=gone))


def write_down(
    session: Session,
    booking: Booking,
    plan: Plan,
    *,
    minutes: int,
    actor_id: UUID | None,
    state: str = "quoted",
    key: str | None = None,
) -> Amendment:
    """Keep the plan as the booking's next amendment, until the database's clock is `minutes` on."""
    last = session.scalar(select(func.max(Amendment.number)).where(Amendment.booking_id == booking.id))
    made = Amendment(
        booking_id=booking.id,
        number=(last or 0) + 1,
        kind=plan.kind,
        state=state,
        payload={**plan.payload, "basis": done_count(session, booking.id)},
        lines=plan.lines,
        due_minor=max(0, plan.sum_minor),
        refund_minor=max(0, -plan.sum_minor),
        penalty_minor=plan.penalty_minor,
        currency=booking.currency,
        refund_to=plan.refund_to,
        idempotency_key=key,
        actor_id=actor_id,
        expires_at=in_minutes(minutes),
    )
    session.add(made)
    session.flush()
    session.refresh(made)
    return made


def done_count(session: Session, booking_id: UUID) -> int:
    """Return how many amendments of the booking are done: a quote made before the last of them is out of date."""
    found = select(func.count()).where(Amendment.booking_id == booking_id, Amendment.state == "done")
    return session.scalar(found) or 0


def require_confirmed(booking: Booking) -> None:
    """Raise what says best why a booking that is not paid, or no longer stands, cannot be amended."""
    if booking.status == "held":
        raise errors.NotHeld(_("Pay for the booking first; until then it can simply be made again."))
    if booking.status == "expired":
        raise errors.HoldExpired(_("Your seats went back on sale and nothing was charged. Please search again."))
    if booking.status == "cancelled":
        raise errors.NotHeld(_("This booking is cancelled."))


def flights_of(session: Session, booking_id: UUID, slices: Collection[int]) -> list[int]:
    """Return the flights of these directions."""
    mine = select(Segment.flight_id).where(Segment.booking_id == booking_id, Segment.slice_position.in_(slices))
    return list(session.scalars(mine))


def cancel_passengers(session: Session, ids: Collection[UUID], now: datetime) -> None:
    """Say that these travellers no longer fly."""
    session.execute(update(Passenger).where(Passenger.id.in_(ids)).values(cancelled_at=now))


def keep_off(session: Session, passenger_id: UUID, position: int) -> None:
    """Say that this traveller no longer flies this direction, while others of the party do."""
    one = session.get_one(Passenger, passenger_id)
    one.stays_off = sorted({*one.stays_off, position})
    session.flush()


def cancel_slices(session: Session, booking_id: UUID, slices: Collection[int], now: datetime) -> None:
    """Say that these directions are no longer flown."""
    mine = update(Slice).where(Slice.booking_id == booking_id, Slice.position.in_(slices))
    session.execute(mine.values(cancelled_at=now))


def close_tickets(session: Session, travellers: Collection[UUID], flights: Collection[int], status: str) -> None:
    """Let the unused coupons of these travellers for these flights be refunded or void; also tickets with none left."""
    open_ones = select(Ticket.number).where(Ticket.passenger_id.in_(travellers), Ticket.status == "open")
    used = update(Coupon).where(Coupon.ticket_number.in_(open_ones), Coupon.flight_id.in_(flights))
    session.execute(used.where(Coupon.status.in_(UNUSED)).values(status=status))
    alive = select(Coupon.position).where(Coupon.ticket_number == Ticket.number, Coupon.status.in_(("flown", *UNUSED)))
    mine = update(Ticket).where(Ticket.passenger_id.in_(travellers), Ticket.status == "open", ~alive.exists())
    session.execute(mine.values(status=status), execution_options={"synchronize_session": False})


def replace_slice(
    session: Session, booking_id: UUID, position: int, sold: dict[str, Any], flights: Sequence[int]
) -> None:
    """Let a direction be flown by other flights, as it was sold now."""
    mine = Slice.booking_id == booking_id, Slice.position == position
    session.execute(update(Slice).where(*mine).values(**sold))
    old = delete(Segment).where(Segment.booking_id == booking_id, Segment.slice_position == position)
    session.execute(old)
    for at, flight_id in enumerate(flights):
        session.add(Segment(booking_id=booking_id, slice_position=position, position=at, flight_id=flight_id))
    session.flush()


def exchange_tickets(session: Session, booking_id: UUID, position: int, kept: Collection[int] = ()) -> None:
    """Give each traveller of a direction a new ticket for what is still to be flown, in exchange for the old one.

    The coupons of the `kept` flights, which have left, stay as they are on the old one.
    """
    session.execute(VOID, {"id": booking_id, "slice": position, "kept": list(kept)})
    session.execute(EXCHANGE, {"id": booking_id, "kept": list(kept)})


def end_slice(session: Session, booking_id: UUID, position: int, kept: Collection[int]) -> None:
    """Let a direction end with its `kept` flights: the rest of it is not flown."""
    rest = delete(Segment).where(Segment.booking_id == booking_id, Segment.slice_position == position)
    session.execute(rest.where(Segment.flight_id.not_in(kept)))


def move_items(session: Session, moved: dict[str, Any]) -> None:
    """Let extras go along to other flights; copies of what is paid cost nothing."""
    cancel_items(session, [UUID(one) for one in moved["cancel"]])
    for one, flight_id in moved["copy"]:
        kept = session.get_one(Item, UUID(one))
        names = ("booking_id", "amendment_id", "passenger_id", "kind", "code", "label", "quantity")
        session.add(Item(**{name: getattr(kept, name) for name in names}, flight_id=flight_id, amount_minor=0))
    for one, flight_id in moved["move"]:
        session.execute(update(Item).where(Item.id == UUID(one)).values(flight_id=flight_id))
    session.flush()


def require_something_due(booking: Booking) -> None:
    """Raise PartPaid where a hold costs no more than what is paid of it: nothing would ever confirm it."""
    if booking.paid_minor and booking.total_minor <= booking.paid_minor:
        raise errors.PartPaid()


def require_no_payment(session: Session, booking: Booking) -> None:
    """Raise PaymentUnderWay while the end of a payment for the booking is not known."""
    under_way = payment_queries.open_payment(session, booking.id)
    if under_way is not None:
        raise errors.PaymentUnderWay(under_way.id)


def tell_expired(session: Session, booking: Booking, refund_id: UUID | None) -> None:
    """Have the contact told that the hold is over, and of the money that goes back."""
    if booking.contact_email is None:
        return
    key = f"{booking.id}:{refund_id}" if refund_id else str(booking.id)
    refund = str(refund_id) if refund_id else None
    outbox.post(session, "booking.expired", key=key, queue="mail", bookingId=str(booking.id), refundId=refund)


def become(booking: Booking, status: str) -> None:
    """Change the booking's state; raises NotHeld for a way that there is not. Nothing is held any longer."""
    if not rules.may_become(booking.status, status):
        raise errors.NotHeld()
    booking.status, booking.expires_at = status, None

"""Do what an amendment says, all or nothing: seats, extras, names, tickets and money change in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.booking import records
from portal.booking.models import Amendment, Booking, Charge, Item, Passenger
from portal.flights import seating
from portal.flights.errors import ClaimsLost, SeatTaken, SeatUnknown
from portal.flights.seating import SeatChoice
from portal.flights.service import SeatWish, give_back, lock_seats, move_claims, sell_claims, take_seats
from portal.kit import audit, clock, outbox
from portal.payments import service as payments
from portal.pricing import promotions

Deed = Callable[[Session, Booking, Amendment], None]


def apply(session: Session, booking: Booking, amendment: Amendment) -> None:
    """Do the amendment, once: both rows are locked by the caller, and what was due has come in.

    Raises ClaimsLost or SoldOut where seats are no longer to be had; the transaction (or savepoint) is then undone.
    """
    before: dict[str, audit.Value] = {"totalMinor": booking.total_minor, "status": booking.status}
    if amendment.refund_minor:  # Credits before cabins, as all do; who has locked cabins already has locked them, too.
        _give_money_back(session, booking, amendment)
    DEEDS[amendment.kind](session, booking, amendment)
    _change_total(booking, amendment)
    records.append_lines(session, booking, amendment.lines, amendment_id=amendment.id)
    amendment.state, amendment.done_at = "done", clock.now()
    session.flush()
    _tell(session, booking, amendment, before)


def _change_total(booking: Booking, amendment: Amendment) -> None:
    """Total and what is paid change together: what was due has come in, what goes back is ordered with it."""
    booking.total_minor += sum(int(line["amount_minor"]) for line in amendment.lines)
    booking.paid_minor += amendment.due_minor - amendment.refund_minor


def _give_money_back(session: Session, booking: Booking, amendment: Amendment) -> None:
    payments.refund_payable(
        session,
        payable=booking.id,
        amount_minor=amendment.refund_minor,
        reason=f"amendment {amendment.number}",
        to=amendment.refund_to,
        owner=booking.contact_email,
    )


def _tell(session: Session, booking: Booking, amendment: Amendment, before: dict[str, audit.Value]) -> None:
    name, key = str(booking.id), str(amendment.id)
    if not amendment.payload.get("told"):  # Else the mail that told of the carrier's change brings the papers.
        outbox.post(session, "booking.amended", key=key, queue="mail", bookingId=name, amendmentId=key)
    outbox.post(session, "analytics.booking", key=f"{name}:{amendment.number}", bookingId=name)
    audit.record(
        session,
        f"booking.{amendment.kind}",
        "booking",
        booking.reference,
        actor_id=amendment.actor_id,
        before=before,
        after={
            "amendment": amendment.number,
            "totalMinor": booking.total_minor,
            "refundMinor": amendment.refund_minor,
            "status": booking.status,
        },
    )


def _items(session: Session, booking: Booking, amendment: Amendment) -> None:
    cancelled = [UUID(one) for one in amendment.payload["cancel"]]
    _require_still_worth(session, amendment)
    records.cancel_items(session, cancelled)
    records.add_items(session, booking.id, amendment.payload["add"], amendment_id=amendment.id)
    _name_seats(session, booking, amendment, cancelled)


def _require_still_worth(session: Session, amendment: Amendment) -> None:
    """Raise ClaimsLost where what was to be set off has been given back since: a seat lost on another aircraft."""
    off = {UUID(line["item_id"]): line["amount_minor"] for line in amendment.lines if line["amount_minor"] < 0}
    if not off:
        return
    worth = select(Charge.item_id, func.sum(Charge.amount_minor)).where(Charge.item_id.in_(off))
    for item_id, minor in session.execute(worth.group_by(Charge.item_id)):
        if item_id is not None and minor + off[item_id] < 0:
            raise ClaimsLost()


def _name_seats(session: Session, booking: Booking, amendment: Amendment, cancelled: list[UUID]) -> None:
    """Let the seats by name follow their extras; raises ClaimsLost where one has gone to somebody else."""
    dropped = select(Item.flight_id, Item.passenger_id).where(Item.id.in_(cancelled), Item.kind == "seat")
    for flight_id, passenger_id in session.execute(dropped):
        seating.give_up(session, holder=booking.id, occupant=passenger_id, flight_id=flight_id)
    added = [row for row in amendment.payload["add"] if row["kind"] == "seat"]
    choices = [SeatChoice(row["flight_id"], row["seat"], UUID(row["passenger_id"])) for row in added]
    try:
        seating.choose(session, holder=booking.id, choices=choices)
    except (SeatTaken, SeatUnknown):  # Taken, or not on the aircraft that flies instead.
        raise ClaimsLost() from None


def _cancellation(session: Session, booking: Booking, amendment: Amendment) -> None:
    plan, now = amendment.payload, clock.now()
    pairs = [(UUID(who), at) for who, at in plan["pairs"]]
    kept = {at: set(flown) for at, flown in plan["ends"]}
    flights = {
        at: [one for one in records.flights_of(session, booking.id, [at]) if one not in kept.get(at, ())]
        for _who, at in pairs
    }
    for who, flight_id in [(who, one) for who, at in pairs if at not in plan["dropped"] for one in flights[at]]:
        seating.give_up(session, holder=booking.id, occupant=who, flight_id=flight_id)
    for flight_id, cabin, seats in plan["give"]:
        give_back(session, holder=booking.id, flight_id=flight_id, cabin=cabin, seats=seats)
    records.cancel_items(session, [UUID(one) for one in plan["items"]])
    for at, those in flights.items():
        going = [who for who, place in pairs if place == at]
        records.close_tickets(session, going, those, "refunded" if amendment.refund_minor else "void")
    _leave(session, booking, plan, now)


def _leave(session: Session, booking: Booking, plan: dict[str, Any], now: datetime) -> None:
    for at, kept in plan["ends"]:
        records.end_slice(session, booking.id, at, kept)
    for who, at in plan["off"]:
        records.keep_off(session, UUID(who), at)
    records.cancel_passengers(session, [UUID(one) for one in plan["leaving"]], now)
    records.cancel_slices(session, booking.id, plan["dropped"], now)
    if plan["whole"]:
        promotions.release(session, holder=booking.id)
        booking.status, booking.ended_at = "cancelled", now


def _change(session: Session, booking: Booking, amendment: Amendment) -> None:
    plan = amendment.payload
    cabins = [(one[0], one[1]) for one in (*plan["take"], *plan["give"])]
    lock_seats(session, holders=[booking.id, amendment.id], cabins=cabins)
    if amendment.due_minor == 0 and plan["take"]:
        take_seats(session, holder=amendment.id, wishes=[SeatWish(*one) for one in plan["take"]], minutes=1)
    for flight_id, cabin, seats in plan["give"]:
        give_back(session, holder=booking.id, flight_id=flight_id, cabin=cabin, seats=seats)
    sell_claims(session, holder=amendment.id, expected=len(plan["take"]))
    move_claims(session, holder=amendment.id, to=booking.id)
    records.replace_slice(session, booking.id, plan["slice"], plan["sold"], plan["flights"])
    records.exchange_tickets(session, booking.id, plan["slice"], plan.get("kept", ()))
    records.move_items(session, plan["items"])


def _correction(session: Session, _booking: Booking, amendment: Amendment) -> None:
    one = session.get_one(Passenger, UUID(amendment.payload["passenger"]))
    for name, value in amendment.payload["after"].items():
        setattr(one, name, value)


def _contact(session: Session, booking: Booking, amendment: Amendment) -> None:
    """The address that was told so far hears of it, so that nobody takes a booking over in silence."""
    before, after = amendment.payload["before"], amendment.payload["after"]
    booking.contact_email, booking.contact_phone = after["email"], after["phone"]
    if before["email"] not in (None, after["email"]):
        name, key = str(booking.id), str(amendment.id)
        outbox.post(session, "booking.contact_changed", key=key, queue="mail", bookingId=name, email=before["email"])


def _carrier(session: Session, _booking: Booking, amendment: Amendment) -> None:
    """The flight itself has changed; the seats whose price goes back for it cost nothing from now on."""
    records.free_items(session, [UUID(one) for one in amendment.payload.get("items", ())])


DEEDS: dict[str, Deed] = {
    "items": _items,
    "cancellation": _cancellation,
    "change": _change,
    "correction": _correction,
    "contact": _contact,
    "carrier": _carrier,
}

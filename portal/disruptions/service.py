"""Verbs around a change by the carrier: look ahead, carry out, tell everybody, remind, decide, let the clock decide.

Locks: an affected row before its booking, which comes before all that booking locks. Changing a flight takes two
transactions, both opened by the door: `close` first, by itself, then `carry_out` – it touches bookings, and must not do
so while it holds cabins. Whoever was sold a seat before the closing is seen by the second; nobody is sold one after.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from portal.booking import amending
from portal.booking.queries import booking_by_id
from portal.booking.views import BookingView, SliceView
from portal.disruptions import queries, records, rules
from portal.disruptions.errors import AlreadyDecided, ChoiceClosed, UnknownChange
from portal.disruptions.forms import Order, SwapIn
from portal.disruptions.models import AffectedBooking, Disruption
from portal.disruptions.rules import Impact, Preview, Thresholds
from portal.flights import operations
from portal.flights.operations import Deed, Times
from portal.flights.queries import FlightView, flights_by_id
from portal.flights.rules import Moved
from portal.kit import audit, clock, outbox
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.pricing.rules import TYPES, Party
from portal.search.forms import Criteria, SliceWish
from portal.search.rules import Itinerary, Offer
from portal.search.service import search
from portal.search.told import Trip, trip

SLICE = 50
DECIDED = {"accept": "accepted", "rebook": "rebooked", "refund": "refunded"}


def deed_of(session: Session, flight_id: int, kind: str, order: Order) -> Deed:
    """Return what staff ordered, ready to be done. Raises Invalid, naming bookings that are not on the flight."""
    given = order.model_dump(exclude={"reopen", "dry_run", "leaving"})
    leaving = _holders(session, flight_id, order.leaving) if isinstance(order, SwapIn) else frozenset()
    return Deed(kind, **given, leaving=leaving)


def _holders(session: Session, flight_id: int, references: Collection[str]) -> frozenset[UUID]:
    rows = session.execute(records.HOLDERS, {"flight_id": flight_id, "references": list(references)}).all()
    missing = sorted(set(references) - {row.reference for row in rows})
    if missing:
        words = _("These bookings are not on this flight: %(references)s.") % {"references": ", ".join(missing)}
        raise Invalid(errors=[FieldError("leaving", words)])
    return frozenset(row.id for row in rows)


def look_ahead(session: Session, flight: FlightView, deed: Deed) -> Preview:
    """Return what the deed would do. Raises Invalid for times or an aircraft that cannot be."""
    if deed.kind == "swap":
        operations.room_for(session, flight, deed)
    return rules.preview(_impacts(session, flight, deed, operations.new_times(flight, deed)))


def close(session: Session, flight_id: int, *, actor_id: UUID | None) -> bool:
    """Close the sale of the flight, to be committed before anything else is done; False when it was closed."""
    return operations.close_sale(session, flight_id, actor_id=actor_id)


def carry_out(session: Session, flight_id: int, deed: Deed, *, actor_id: UUID | None) -> UUID:
    """Change the flight, note every booking that it hits, and have them told; returns the change's id.

    What was open from an earlier change lapses where the new one takes its place. Raises what
    flights.operations.carry_out raises.
    """
    before = operations.flight_of(session, flight_id)
    impacts = _impacts(session, before, deed, operations.new_times(before, deed))
    done = operations.carry_out(session, flight_id, deed, actor_id=actor_id)
    if deed.kind == "swap":
        impacts = _hit_by_swap(session, flight_id, impacts, done.moved)
        session.execute(records.SEATS_LOST, {"flight_id": flight_id, "leaving": list(deed.leaving)})
    session.execute(records.SUPERSEDE, {"flight_id": flight_id, "kind": deed.kind})
    disruption_id = _write_down(session, flight_id, deed, done, actor_id)
    _note(session, disruption_id, impacts)
    outbox.post(session, "disruption.announce", key=str(disruption_id), disruptionId=str(disruption_id))
    outbox.post(session, "analytics.flight", key=str(disruption_id), day=before.departs_on.isoformat())
    return disruption_id


def reopen(session: Session, flight_id: int, *, actor_id: UUID | None) -> None:
    """Sell the flight again. Raises FlightCancelled, FlightLeft, AircraftTooSmall."""
    operations.open_sale(session, flight_id, actor_id=actor_id)


def _impacts(session: Session, flight: FlightView, deed: Deed, new: Times) -> list[Impact]:
    old = Times(flight.departure_at, flight.arrival_at, flight.departure_local, flight.arrival_local)
    figures = figures_now(session)
    return [
        rules.impact(deed.kind, one, old, new, leaving=deed.leaving, figures=figures)
        for one in queries.booked(session, flight.id)
    ]


def figures_now(session: Session) -> Thresholds:
    """Return what is owed today."""
    return rules.thresholds(queries.rule_rows(session), clock.now().date())


def _hit_by_swap(session: Session, flight_id: int, impacts: Sequence[Impact], moved: Sequence[Moved]) -> list[Impact]:
    """Who sits where they sat notices nothing and is not written to."""
    for one in moved:
        session.execute(records.SEATS_MOVED, {"flight_id": flight_id, "occupant": one.occupant, "new": one.new})
    holders = {one.holder for one in moved}
    return [one for one in impacts if one.needs_answer or one.booked.booking_id in holders]


def _write_down(session: Session, flight_id: int, deed: Deed, done: operations.Done, actor_id: UUID | None) -> UUID:
    values = {"flight_id": flight_id, "kind": deed.kind, "reason": deed.reason, "made_by": actor_id}
    made = insert(Disruption).values(**values, before=done.before, after=done.after).returning(Disruption.id)
    return session.scalars(made).one()


def _note(session: Session, disruption_id: UUID, impacts: Sequence[Impact]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "disruption_id": disruption_id,
            "booking_id": one.booked.booking_id,
            "slice_position": one.booked.slice_position,
            "why": one.why,
            "shift_minutes": one.shift_minutes,
            "by_right": one.by_right,
            "needs_answer": one.needs_answer,
        }
        for one in impacts
    ]
    if rows:
        session.execute(insert(AffectedBooking), rows)


def tell_some(session: Session, disruption_id: UUID) -> int:
    """Tell the next fifty bookings of a change by letter, one each; returns how many. 0: everybody was told.

    One that is still held is told once it is paid: the round of the clock calls this again.
    """
    rows = session.execute(records.TO_TELL, {"id": disruption_id, "limit": SLICE}).all()
    figures, now = figures_now(session), clock.now()
    for row in rows:
        one = session.get_one(AffectedBooking, row.id)
        one.state, one.told_at = "told", now
        one.remind_at = rules.next_reminder(now, row.leaves_at, now) if one.needs_answer else None
        one.refund_at = rules.refund_time(one.why, now, row.leaves_at, figures)
        outbox.post(session, "disruption.tell", key=str(one.id), queue="mail", affectedId=str(one.id))
    if not rows:
        _announced(session, disruption_id, now)
    session.flush()
    return len(rows)


def _announced(session: Session, disruption_id: UUID, now: datetime) -> None:
    draft = update(Disruption).where(Disruption.id == disruption_id, Disruption.state == "draft")
    session.execute(draft.values(state="announced", announced_at=now))


def unfinished(session: Session) -> list[UUID]:
    """Return the changes of which somebody is still to be told: who paid for a hold only afterwards."""
    return list(session.scalars(records.UNFINISHED))


def accept(session: Session, affected_id: UUID, *, actor_id: UUID | None) -> None:
    """Keep the booking as the carrier has changed it. Raises UnknownChange, AlreadyDecided, ChoiceClosed."""
    row = _open(session, affected_id, "accept")
    if row is not None:
        row.amendment_id = _noted(session, row, actor_id)
        _decide(session, row, "accepted", actor_id)


def make_papers_anew(session: Session, affected_id: UUID) -> None:
    """Have itinerary and calendar made anew where new times or seats are told without a question; once."""
    row = session.get_one(AffectedBooking, affected_id, with_for_update=True, populate_existing=True)
    if row.needs_answer or row.amendment_id is not None or row.why not in ("retimed", "swapped"):
        return
    row.amendment_id = _noted(session, row, None)
    session.flush()


def _noted(session: Session, row: AffectedBooking, actor_id: UUID | None) -> UUID:
    view = _view(session, row)
    payload = {"affectedBooking": str(row.id), "why": row.why}
    return amending.note_carrier_change(session, view.reference, payload=payload, actor_id=actor_id).id


def refund(session: Session, affected_id: UUID, *, actor_id: UUID | None) -> None:
    """Cancel this direction and all after it, and give back all that was paid for them, to where it came from.

    Raises UnknownChange, AlreadyDecided, ChoiceClosed (no right to it), and what booking's cancelling raises.
    """
    row = _open(session, affected_id, "refund")
    if row is None:
        return
    view = _view(session, row)
    positions = rules.refunded_slices(view, row.slice_position, clock.now())
    quote = amending.quote_cancellation(
        session, view.reference, slice_positions=positions, actor_id=actor_id, waive=True
    )
    row.amendment_id = amending.confirm(session, quote.id, key=f"carrier-change {row.id}").id
    _decide(session, row, "refunded", actor_id)


def rebook(session: Session, affected_id: UUID, offer: Offer, *, actor_id: UUID | None) -> None:
    """Fly by the offer's flights instead, at no extra cost: same way and cabin, up to 14 days earlier or later.

    Raises UnknownChange, AlreadyDecided, ChoiceClosed, SoldOut, FlightClosed, and what booking's changing raises.
    """
    row = _open(session, affected_id, "rebook")
    if row is None:
        return
    view = _view(session, row)
    piece = next(one for one in view.slices if one.position == row.slice_position)
    leaves = flights_by_id(session, offer.flight_ids[:1])
    no = rules.rebooking_problem(piece, offer, [flight.departs_on for flight in leaves.values()])
    if no:
        raise ChoiceClosed(no)
    quote = amending.quote_change(
        session, view.reference, slice_position=row.slice_position, offer=offer, actor_id=actor_id, waive=True
    )
    row.amendment_id = amending.confirm(session, quote.id, key=f"carrier-change {row.id}").id
    _decide(session, row, "rebooked", actor_id)


def other_flights(
    session: Session, view: BookingView, piece: SliceView, on: date, *, settings: Settings
) -> list[tuple[Trip, str]]:
    """Return the ways of a day for the same party, route and cabin, each with the offer that `rebook` takes.

    The offer is of the brand that was bought, or the leanest where that is not sold.
    """
    party = Party(*([one.type for one in view.flying(piece.position)].count(kind) for kind in TYPES))
    wish = SliceWish(piece.origin.code, piece.destination.code, on)
    criteria = Criteria((wish,), party, piece.cabin, sort="departure")
    result = search(session, criteria, settings=settings, currency=view.currency)
    have = [flight.public_id for flight in piece.flights]
    ways = [one for one in result.slices[0].itineraries if [leg.public_id for leg in one.segments] != have]
    return [(trip(one, result, ()), one.token(_same_brand(one, piece.brand))) for one in ways]


def _same_brand(one: Itinerary, brand: str) -> int:
    return next((at for at, fare in enumerate(one.fares) if fare.brand == brand), 0)


def _open(session: Session, affected_id: UUID, choice: str) -> AffectedBooking | None:
    """Return the row, locked with all that are open of its booking; None where this very choice was made before."""
    session.execute(records.LOCK_OPEN, {"id": affected_id})
    row = session.get(AffectedBooking, affected_id, populate_existing=True)
    if row is None or row.told_at is None:
        raise UnknownChange()
    if row.state == DECIDED[choice]:
        return None
    if row.state != "told" or not row.needs_answer:
        raise AlreadyDecided(_("Please look at your booking: it shows how it stands now."))
    if choice not in rules.choices(row.why, by_right=row.by_right):
        raise ChoiceClosed(_("Please look at what you can choose from on the page of this change."))
    return row


def _view(session: Session, row: AffectedBooking) -> BookingView:
    view = booking_by_id(session, row.booking_id)
    if view is None or view.status != "confirmed":
        raise AlreadyDecided(_("This booking is over."))
    return view


def _decide(session: Session, row: AffectedBooking, state: str, actor_id: UUID | None) -> None:
    row.state, row.decided_at, row.decided_by, row.remind_at, row.refund_at = state, clock.now(), actor_id, None, None
    session.flush()
    amendment = str(row.amendment_id) if row.amendment_id else None
    audit.record(
        session,
        f"carrier_change.{state}",
        "affected_booking",
        row.id,
        actor_id=actor_id,
        before={"state": "told"},
        after={"state": state, "bookingId": str(row.booking_id), "amendmentId": amendment},
    )
    session.execute(records.MOOT, {"booking_id": row.booking_id})


def tidy(session: Session) -> int:
    """Close what needs no answer any more: booked otherwise since, cancelled, or left as it was; returns how many."""
    moot = session.execute(records.MOOT, {"booking_id": None}).all()
    return len(moot) + len(session.execute(records.LEFT, {"cannot_fly": list(rules.CANNOT_FLY)}).all())


def remind_some(session: Session) -> int:
    """Have the next fifty who have not answered reminded by letter; returns how many."""
    rows, now = session.execute(records.TO_REMIND, {"limit": SLICE}).all(), clock.now()
    for row in rows:
        one = session.get_one(AffectedBooking, row.id)
        one.reminders += 1
        one.remind_at = rules.next_reminder(one.told_at or now, row.leaves_at, now)
        name, number = str(one.id), one.reminders
        outbox.post(session, "disruption.tell", key=f"{name}:{number}", queue="mail", affectedId=name, reminder=number)
    session.flush()
    return len(rows)


def overdue(session: Session) -> list[UUID]:
    """Return the bookings whose money goes back by itself now, the longest due first."""
    due = select(AffectedBooking.id).where(AffectedBooking.state == "told", AffectedBooking.refund_at <= func.now())
    return list(session.scalars(due.order_by(AffectedBooking.refund_at).limit(500)))


def leave_to_staff(session: Session, affected_id: UUID, reason: str) -> None:
    """Stop the clock of one booking whose money cannot go back by itself; staff see it open, and why in the audit."""
    row = session.get_one(AffectedBooking, affected_id, with_for_update=True)
    row.refund_at = None
    audit.record(session, "carrier_change.left_to_staff", "affected_booking", row.id, after={"reason": reason})

"""Verbs around a change by the carrier: look ahead, carry out, tell everybody, remind, decide, let the clock decide.

Locks: an affected row before its booking, which comes before all that booking locks. Changing a flight takes two
transactions, both opened by the door: `close` first, by itself, then `carry_out` – it touches bookings, and must not do
so while it holds cabins. Whoever was sold a seat before the closing is seen by the second; nobody is sold one after.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
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
from portal.disruptions.figures import figures_now
from portal.disruptions.forms import Order, SwapIn
from portal.disruptions.models import AffectedBooking, Disruption
from portal.disruptions.rules import Impact, Preview
from portal.flights import operations, seating
from portal.flights.operations import Deed, Times
from portal.flights.queries import FlightView, flights_by_id
from portal.flights.rules import Moved, Seat, SeatPlan
from portal.kit import audit, clock, outbox
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.pricing.rules import TYPES, Party
from portal.search.forms import Criteria, SliceWish
from portal.search.rules import Itinerary, Offer
from portal.search.service import search
from portal.search.told import Trip, trip
from portal.seats.queries import catalogue
from portal.seats.rules import seat_price

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
    bought = _paid_seats(session, flight_id, deed) if deed.kind == "swap" else None
    done = operations.carry_out(session, flight_id, deed, actor_id=actor_id)
    worse: dict[UUID, set[UUID]] = {}
    if bought is not None:
        worse = _worse_seats(session, flight_id, bought, done.moved)
        impacts = _hit_by_swap(session, flight_id, impacts, done.moved, worse)
        session.execute(records.SEATS_LOST, {"flight_id": flight_id, "leaving": list(deed.leaving)})
    session.execute(records.SUPERSEDE, {"flight_id": flight_id, "kind": deed.kind})
    disruption_id = _write_down(session, flight_id, deed, done, actor_id)
    _note(session, disruption_id, impacts, worse)
    outbox.post(session, "disruption.announce", key=str(disruption_id), disruptionId=str(disruption_id))
    outbox.post(session, "analytics.flight", key=str(disruption_id), day=before.departs_on.isoformat())
    return disruption_id


def reopen(session: Session, flight_id: int, *, actor_id: UUID | None) -> None:
    """Sell the flight again. Raises FlightCancelled, FlightLeft, AircraftTooSmall."""
    operations.open_sale(session, flight_id, actor_id=actor_id)


def _impacts(session: Session, flight: FlightView, deed: Deed, new: Times) -> list[Impact]:
    old = Times(flight.departure_at, flight.arrival_at, flight.departure_local, flight.arrival_local)
    known: dict[str, Any] = {"leaving": deed.leaving, "figures": figures_now(session)}
    in_the_air = operations.has_left(flight)
    return [
        rules.impact(deed.kind, one, old, new, **known, in_the_air=in_the_air)
        for one in queries.booked(session, flight.id)
    ]


@dataclass(frozen=True, slots=True)
class _Bought:
    """The plan of a flight before its aircraft is swapped, and the seats on it that were paid for."""

    plan: SeatPlan
    rows: Sequence[Any]


def _paid_seats(session: Session, flight_id: int, deed: Deed) -> _Bought:
    rows = session.execute(records.PAID_SEATS, {"flight_id": flight_id, "leaving": list(deed.leaving)}).all()
    return _Bought(seating.seat_plan(session, flight_id), rows)


def _worse_seats(session: Session, flight_id: int, bought: _Bought, moved: Sequence[Moved]) -> dict[UUID, set[UUID]]:
    """Return, by booking, the seats that were paid for and are lost or worse now; also of swaps not told yet."""
    found: dict[UUID, set[UUID]] = {}
    for row in session.execute(records.STILL_DUE, {"flight_id": flight_id}):
        found.setdefault(row.booking_id, set()).add(row.item)
    now = {one.occupant: one.new for one in moved}
    plan = seating.seat_plan(session, flight_id) if bought.rows else bought.plan
    for row in bought.rows:
        old, name = bought.plan.seat(row.seat), now.get(row.passenger_id, row.seat)
        new = plan.seat(name) if name else None
        if old is not None and rules.is_worse(old, new, price=_price_in(session, row.currency, row.cabin)):
            found.setdefault(row.booking_id, set()).add(row.id)
    return found


def _price_in(session: Session, currency: str, cabin: str) -> Callable[[Seat], int]:
    prices = catalogue(session, currency)
    return lambda seat: seat_price(prices, seat, cabin, "penalty")


def _hit_by_swap(
    session: Session,
    flight_id: int,
    impacts: Sequence[Impact],
    moved: Sequence[Moved],
    worse: Collection[UUID],
) -> list[Impact]:
    """Who sits where they sat, as they sat, notices nothing and is not written to."""
    for one in moved:
        session.execute(records.SEATS_MOVED, {"flight_id": flight_id, "occupant": one.occupant, "new": one.new})
    hit = {*(one.holder for one in moved), *worse}
    return [one for one in impacts if one.needs_answer or one.booked.booking_id in hit]


def _write_down(session: Session, flight_id: int, deed: Deed, done: operations.Done, actor_id: UUID | None) -> UUID:
    values = {"flight_id": flight_id, "kind": deed.kind, "reason": deed.reason, "made_by": actor_id}
    made = insert(Disruption).values(**values, before=done.before, after=done.after).returning(Disruption.id)
    return session.scalars(made).one()


def _note(
    session: Session, disruption_id: UUID, impacts: Sequence[Impact], worse: Mapping[UUID, Collection[UUID]]
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "disruption_id": disruption_id,
            "booking_id": one.booked.booking_id,
            "slice_position": one.booked.slice_position,
            "why": one.why,
            "shift_minutes": one.shift_minutes,
            "by_right": one.by_right,
            "needs_answer": one.needs_answer,
            "items": sorted(worse.get(one.booked.booking_id, ())),
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


def settle_untold(session: Session, affected_id: UUID) -> UUID | None:
    """Do what new times or seats bring about where they are told without a question, once; returns the amendment.

    Seats that were paid for and are lost or worse are given back. None where there is nothing to do, or it is no longer
    to be done. The mail that tells it brings the new papers: there is none but that.
    """
    row = session.get_one(AffectedBooking, affected_id, with_for_update=True, populate_existing=True)
    if row.amendment_id is None and row.state == "told" and row.why in ("retimed", "swapped") and not row.needs_answer:
        row.amendment_id = _noted(session, row, None, told=True)
        session.flush()
    return None if row.needs_answer else row.amendment_id


def _noted(session: Session, row: AffectedBooking, actor_id: UUID | None, *, told: bool = False) -> UUID:
    view = _view(session, row)
    payload = {"affectedBooking": str(row.id), "why": row.why, "told": told}
    return amending.note_carrier_change(session, view.reference, payload=payload, items=row.items, actor_id=actor_id).id


def refund(session: Session, affected_id: UUID, *, actor_id: UUID | None) -> None:
    """Cancel this direction and all after it, and give back all that was paid for them, to where it came from.

    Raises UnknownChange, AlreadyDecided, ChoiceClosed (no right to it), and what booking's cancelling raises.
    """
    row = _open(session, affected_id, "refund")
    if row is None:
        return
    view, now = _view(session, row), clock.now()
    positions = rules.refunded_slices(view, row.slice_position, now)
    flown = _flown(session, row, view)
    quote = amending.quote_cancellation(
        session,
        view.reference,
        slice_positions=positions,
        actor_id=actor_id,
        waive=True,
        kept={row.slice_position: flown} if flown else {},
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
    kept = _flown(session, row, view)
    no = rules.rebooking_problem(piece, offer, [flight.departs_on for flight in leaves.values()], kept)
    if no:
        raise ChoiceClosed(no)
    given: dict[str, Any] = {"slice_position": row.slice_position, "offer": offer, "waive": True, "kept": kept}
    quote = amending.quote_change(session, view.reference, **given, actor_id=actor_id)
    row.amendment_id = amending.confirm(session, quote.id, key=f"carrier-change {row.id}").id
    _decide(session, row, "rebooked", actor_id)


def _flown(session: Session, row: AffectedBooking, view: BookingView) -> int:
    """Return how many flights of the row's direction have left with its travellers."""
    piece = next((one for one in view.active_slices if one.position == row.slice_position), None)
    flight_id = session.get_one(Disruption, row.disruption_id).flight_id
    return rules.flown(piece, flight_id, clock.now()) if piece else 0


def other_flights(
    session: Session, view: BookingView, piece: SliceView, on: date, *, settings: Settings, flown: int = 0
) -> list[tuple[Trip, str]]:
    """Return the ways of a day for the same party, route and cabin, each with the offer that `rebook` takes.

    The offer is of the brand that was bought, or the leanest where that is not sold. Of a direction of which the first
    `flown` flights have left, the rest of the way, from when the last of them lands.
    """
    party = Party(*([one.type for one in view.flying(piece.position)].count(kind) for kind in TYPES))
    wish = SliceWish(piece.flights[flown].origin.code, piece.destination.code, on)
    criteria = Criteria((wish,), party, piece.cabin, sort="departure")
    lands = piece.flights[flown - 1].lands_at if flown else None
    result = search(session, criteria, settings=settings, currency=view.currency, leaves_after=lands)
    have = [flight.public_id for flight in piece.flights[flown:]]
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

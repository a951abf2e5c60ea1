"""Reads of changes by the carrier: who is booked on a flight, who is affected, what staff see of flights, the books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.booking.queries import Finding, booking_by_id
from portal.disruptions import told
from portal.disruptions.forms import FlightsQuery
from portal.disruptions.models import ChangeRule
from portal.disruptions.rules import Affected, Booked, RuleRow, free_days
from portal.flights.queries import FlightView, flights_by_id
from portal.search.statements import MINIMUM_DOMESTIC, MINIMUM_INTERNATIONAL
from portal.trips.rules import Fault

LEAST = f"case when {{0}} = {{1}} and {{1}} = {{2}} then {MINIMUM_DOMESTIC} else {MINIMUM_INTERNATIONAL} end"
BOOKED = text(
    f"""
    select b.id, b.reference, b.status, s.position, b.currency, so.country = sd.country, n.passengers, n.seats,
           coalesce(m.at_stake, 0)::int, coalesce(p.estimated_arrival_at, p.arrival_at),
           {LEAST.format("po.country", "o.country", "d.country")},
           coalesce(q.estimated_departure_at, q.departure_at), {LEAST.format("o.country", "d.country", "qd.country")},
           coalesce(w.shift, 0)::int
    from booking_segments g
    join booking_slices s on s.booking_id = g.booking_id and s.position = g.slice_position and s.cancelled_at is null
    join bookings b on b.id = g.booking_id and b.status in ('confirmed', 'held')
    join flights f on f.id = g.flight_id
    join airports o on o.code = f.origin join airports d on d.code = f.destination
    join airports so on so.code = s.origin join airports sd on sd.code = s.destination
    left join booking_segments gp on gp.booking_id = g.booking_id and gp.slice_position = g.slice_position
        and gp.position = g.position - 1
    left join flights p on p.id = gp.flight_id left join airports po on po.code = p.origin
    left join booking_segments gq on gq.booking_id = g.booking_id and gq.slice_position = g.slice_position
        and gq.position = g.position + 1
    left join flights q on q.id = gq.flight_id left join airports qd on qd.code = q.destination
    join lateral (
        select count(*)::int passengers, (count(*) filter (where type <> 'infant'))::int seats
        from passengers where booking_id = b.id and cancelled_at is null and not (s.position = any(stays_off))
    ) n on true
    join lateral (
        select sum(amount_minor) at_stake from charges where booking_id = b.id and slice_position >= s.position
    ) m on true
    left join lateral (
        select max(a.shift_minutes) shift from affected_bookings a join disruptions x on x.id = a.disruption_id
        where a.booking_id = b.id and x.flight_id = f.id and x.kind = 'retime' and a.needs_answer
          and a.state in ('noted', 'told')
    ) w on true
    where g.flight_id = :flight_id order by b.id
    """  # noqa: S608 – only our own words are put in, values are bound
)
AFFECTED = """
    select a.id, a.disruption_id, a.booking_id, b.reference, b.status, b.locale, b.contact_email, b.user_id,
           a.slice_position, d.flight_id, d.kind, d.reason, d.before, d.after, a.why, a.shift_minutes, a.by_right,
           a.needs_answer, a.state, a.told_at, a.refund_at, a.decided_at, a.amendment_id, d.made_at,
           coalesce(n.passengers, 0)::int, n.lead, b.currency, coalesce(m.refund_minor, 0)::int
    from affected_bookings a join disruptions d on d.id = a.disruption_id join bookings b on b.id = a.booking_id
    left join amendments m on m.id = a.amendment_id
    join lateral (
        select count(*) passengers, min(ticket_name) filter (where position = 0) lead
        from passengers where booking_id = b.id and cancelled_at is null and not (a.slice_position = any(stays_off))
    ) n on true
"""
OF_BOOKING = text(f"{AFFECTED} where a.booking_id = :id and a.told_at is not null order by d.made_at desc")
# What was booked otherwise or cancelled since is asked about no more, though the round that closes it is still to come.
ASKED = text(
    f"""
    {AFFECTED} where a.booking_id = :id and a.needs_answer and a.state in ('noted', 'told') and b.status = 'confirmed'
      and exists (select from booking_segments g join booking_slices s on s.booking_id = g.booking_id
        and s.position = g.slice_position and s.cancelled_at is null
        where g.booking_id = b.id and g.flight_id = d.flight_id) order by a.id
    """
)
BY_ID = text(f"{AFFECTED} where a.id = :id")
OF_FLIGHT = text(f"{AFFECTED} where d.flight_id = :id order by d.made_at desc, b.reference")
CHANGES = text(
    """
    select d.id, d.kind, d.before, d.after, d.reason, d.made_at, u.email, d.state, d.announced_at,
           (count(a.id) filter (where b.status = 'confirmed' or a.told_at is not null))::int, count(a.told_at)::int,
           (count(a.id) filter (where a.needs_answer and a.told_at is not null))::int,
           (count(a.id) filter (where a.needs_answer and a.state = 'told'))::int,
           (count(a.id) filter (where a.state = 'accepted'))::int,
           (count(a.id) filter (where a.state = 'rebooked'))::int,
           (count(a.id) filter (where a.state = 'refunded'))::int
    from disruptions d left join affected_bookings a on a.disruption_id = d.id
    left join bookings b on b.id = a.booking_id left join users u on u.id = d.made_by
    where d.flight_id = :id group by d.id, u.email order by d.made_at desc
    """
)
# A flight is in one state only: the first of these that fits.
IN_STATE = {
    "cancelled": "f.status = 'cancelled'",
    "departed": "f.status <> 'cancelled' and coalesce(f.estimated_departure_at, f.departure_at) <= now()",
    "delayed": "f.status <> 'cancelled' and f.estimated_departure_at > now()",
    "closed": "f.status <> 'cancelled' and f.departure_at > now() and f.estimated_departure_at is null"
    " and f.sale_closed_at is not null",
    "scheduled": "f.status <> 'cancelled' and f.departure_at > now() and f.estimated_departure_at is null"
    " and f.sale_closed_at is null",
}
NARROWED = {
    "on": "f.departs_on = :on and f.departure_at between :on - interval '1 day' and :on + interval '2 days'",
    "ends": "f.origin = :origin and f.destination = :destination",
    "flight": "f.number = :number and (cast(:carrier as text) is null or f.carrier = :carrier)",
}
LISTED = f"""
    select f.id, (select json_agg(json_build_array(c.cabin, c.capacity, c.sold, c.held) order by c.cabin)
        from flight_cabins c where c.flight_id = f.id), case {
    " ".join(f"when {sql} then '{name}'" for name, sql in IN_STATE.items())
} end, f.sale_closed_at is null
    from flights f where {{where}} order by f.departure_at, f.id limit :limit
"""  # noqa: S608 – made of our own words only; what is asked for are parameters

RULES = select(*[getattr(ChangeRule, name) for name in RuleRow.__dataclass_fields__])
ON_FLIGHT = """
    from booking_segments g
    join booking_slices s on s.booking_id = g.booking_id and s.position = g.slice_position and s.cancelled_at is null
    join bookings b on b.id = g.booking_id and b.status = 'confirmed'
    join flights f on f.id = g.flight_id
"""
PASSENGERS = text(
    f"""
    select p.id, b.reference, p.ticket_name, p.type, s.cabin, s.brand, n.seat, c.status,
           (select o.number from booking_segments og join flights o on o.id = og.flight_id
            where og.booking_id = b.id and og.slice_position = g.slice_position and og.position = g.position - 1),
           (select o.number from booking_segments og join flights o on o.id = og.flight_id
            where og.booking_id = b.id and og.slice_position = g.slice_position and og.position = g.position + 1)
    {ON_FLIGHT}
    join passengers p on p.booking_id = b.id and p.cancelled_at is null and not (s.position = any(p.stays_off))
    left join named_seats n on n.flight_id = f.id and n.occupant = p.id and n.tentative_until is null
    left join tickets t on t.passenger_id = p.id and t.status = 'open'
    left join coupons c on c.ticket_number = t.number and c.flight_id = f.id
    where f.id = :id order by s.cabin, p.ticket_name, p.id
    """  # noqa: S608 – only our own words are put in, values are bound
)
HISTORY = text(
    """
    select a.happened_at, a.action, u.email, a.before, a.after from audit_entries a
    left join users u on u.id = a.actor_id where a.thing = 'flight' and a.thing_id = :id
    order by a.happened_at desc, a.id desc limit 100
    """
)
AIRCRAFT = text(
    """
    select t.code, t.name, sum(c.capacity)::int from aircraft_types t join aircraft_cabins c on c.aircraft = t.code
    group by t.code order by t.name
    """
)
BOOKS = {
    "who is booked on a cancelled flight is asked": f"""
        select b.reference, 'flight ' || f.id || ' is cancelled, and nothing is open for it' {ON_FLIGHT}
        where f.status = 'cancelled' and f.departure_at > now() and not exists (
            select from affected_bookings a join disruptions d on d.id = a.disruption_id
            where a.booking_id = b.id and d.flight_id = f.id and a.needs_answer and a.state in ('noted', 'told'))
        """,  # noqa: S608 – only our own words are put in, values are bound
    "a closed flight sells nobody a seat": """
        select 'flight ' || c.flight_id, c.cabin || ': ' || c.sold || ' sold, ' || coalesce(c.closed_at_sold::text,
            'never counted') || ' when the sale was closed'
        from flight_cabins c join flights f on f.id = c.flight_id
        where f.sale_closed_at is not null and c.sold > coalesce(c.closed_at_sold, -1)
           or f.sale_closed_at is null and c.closed_at_sold is not null""",
    "an answer was carried out": """
        select b.reference, 'the carrier''s change was answered with a refund, but the booking still has the flight'
        from affected_bookings a join disruptions d on d.id = a.disruption_id join bookings b on b.id = a.booking_id
        join booking_segments g on g.booking_id = b.id and g.flight_id = d.flight_id
        join booking_slices s on s.booking_id = b.id and s.position = g.slice_position
        join flights f on f.id = d.flight_id
        where a.state = 'refunded' and b.status = 'confirmed' and s.cancelled_at is null
          and (f.status = 'cancelled' or coalesce(f.estimated_departure_at, f.departure_at) > a.decided_at)""",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a flight, with how many bookings it hit, how many were told, and what they decided."""

    id: UUID
    kind: str
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str
    made_at: datetime
    made_by: str | None
    state: str
    announced_at: datetime | None
    bookings: int
    told: int
    asked: int
    open: int
    accepted: int
    rebooked: int
    refunded: int

    @property
    def percent(self) -> int:
        """How far the telling has come."""
        return 100 * self.told // self.bookings if self.bookings else 100


@dataclass(frozen=True, slots=True)
class CabinCount:
    """The seats of one cabin: sold + held + free = capacity."""

    cabin: str
    capacity: int
    sold: int
    held: int

    @property
    def free(self) -> int:
        """Seats that are neither sold nor held."""
        return self.capacity - self.sold - self.held


@dataclass(frozen=True, slots=True)
class StaffFlight:
    """A flight as staff see it; `state` is scheduled, delayed, closed, cancelled or departed."""

    flight: FlightView
    state: str
    sale_open: bool
    cabins: tuple[CabinCount, ...]

    @property
    def sold(self) -> int:
        """Seats sold, all cabins."""
        return sum(one.sold for one in self.cabins)

    @property
    def capacity(self) -> int:
        """Seats in all cabins."""
        return sum(one.capacity for one in self.cabins)


@dataclass(frozen=True, slots=True)
class Aboard:
    """One passenger of the flight; `comes_by` and `goes_by` are the flights' numbers of connections within the way."""

    id: UUID
    reference: str
    ticket_name: str
    type: str
    cabin: str
    brand: str
    seat: str | None
    coupon: str | None
    comes_by: int | None
    goes_by: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed of the audit trail."""

    happened_at: datetime
    action: str
    who: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def passengers(session: Session, flight_id: int) -> list[Aboard]:
    """Return who is booked on the flight, cabin by cabin, by ticket name."""
    return [Aboard(*row) for row in session.execute(PASSENGERS, {"id": flight_id})]


def history(session: Session, public_id: UUID) -> list[Entry]:
    """Return the last hundred deeds with a flight, newest first."""
    return [Entry(*row) for row in session.execute(HISTORY, {"id": str(public_id)})]


def aircraft(session: Session) -> list[tuple[str, str, int]]:
    """Return every aircraft that can be flown: code, name, seats."""
    return [(row[0], row[1], row[2]) for row in session.execute(AIRCRAFT)]


def booked(session: Session, flight_id: int) -> list[Booked]:
    """Return every booking, held ones too, that has this flight in a direction that stands."""
    return [Booked(*row) for row in session.execute(BOOKED, {"flight_id": flight_id})]


def staff_flights(
    session: Session, wish: FlightsQuery, *, after: tuple[datetime, int] | None, limit: int
) -> list[StaffFlight]:
    """Return the flights that fit, soonest first, of those after `after`, if given; without a day those to come."""
    parts = [words for name, words in NARROWED.items() if getattr(wish, name)]
    parts += [IN_STATE[wish.state]] if wish.state else []
    parts += ["f.departure_at > now() - interval '2 hours'"] if not wish.on and wish.state != "departed" else []
    parts += ["(f.departure_at, f.id) > (:departure_at, :id)"] if after else []
    known = _asked(wish) | dict(zip(("departure_at", "id"), after or (), strict=False))
    where = " and ".join(parts) or "true"
    values = {name: value for name, value in known.items() if f":{name}" in where}
    return _staff_flights(session, where, {**values, "limit": limit})


def staff_flight(session: Session, flight_id: int) -> StaffFlight:
    """Return one flight as staff see it; it is there."""
    return _staff_flights(session, "f.id = :id", {"id": flight_id, "limit": 1})[0]


def _asked(wish: FlightsQuery) -> dict[str, Any]:
    origin, destination = wish.ends or ("", "")
    carrier, number = wish.flight or (None, 0)
    return {"on": wish.on, "origin": origin, "destination": destination, "carrier": carrier, "number": number}


def _staff_flights(session: Session, where: str, values: dict[str, Any]) -> list[StaffFlight]:
    rows = session.execute(text(LISTED.format(where=where)), values).all()
    views = flights_by_id(session, [row[0] for row in rows])
    return [
        StaffFlight(views[one], state, is_open, tuple(CabinCount(*cabin) for cabin in cabins or ()))
        for one, cabins, state, is_open in rows
    ]


def rule_rows(session: Session) -> list[RuleRow]:
    """Return the figures of what is owed, of all times."""
    return [RuleRow(*row) for row in session.execute(RULES)]


def affected(session: Session, affected_id: UUID) -> Affected | None:
    """Return one booking's row, or None."""
    row = session.execute(BY_ID, {"id": affected_id}).one_or_none()
    return Affected(*row) if row else None


def changes_of_booking(session: Session, booking_id: UUID) -> list[Affected]:
    """Return what the carrier has changed of a booking and told its traveller, newest first."""
    return [Affected(*row) for row in session.execute(OF_BOOKING, {"id": booking_id})]


def open_changes(session: Session, booking_id: UUID) -> tuple[told.Notice, ...]:
    """Return the changes by the airline that wait for the traveller's answer, as they are told in passing."""
    asked = [one for one in _asked_about(session, booking_id) if one.state == "told"]
    known = flights_by_id(session, [one.flight_id for one in asked])
    return tuple(told.notice(told.told(one, known[one.flight_id])) for one in asked)


def _asked_about(session: Session, booking_id: UUID) -> list[Affected]:
    return [Affected(*row) for row in session.execute(ASKED, {"id": booking_id})]


def fault_of(session: Session, booking_id: UUID) -> Fault:
    """Return what changes by the carrier that wait for an answer give a booking a right to, told or not yet.

    The whole money of a direction and of all after it where the traveller has a right to it; another flight, in the
    same cabin up to 14 days earlier or later, of any direction that is asked about.
    """
    asked = _asked_about(session, booking_id)
    view = booking_by_id(session, booking_id) if asked else None
    if view is None:
        return Fault()
    known = flights_by_id(session, [one.flight_id for one in asked])
    pieces = {piece.position: piece for piece in view.active_slices}
    why: dict[int, str] = {}
    refund: set[int] = set()
    rebook: dict[int, tuple[date, date]] = {}
    for one in asked:
        freed = [at for at in pieces if at == one.slice_position or (one.by_right and at > one.slice_position)]
        why |= {at: told.told(one, known[one.flight_id]).headline for at in freed}
        refund |= set(freed) if one.by_right else set()
        rebook |= {at: free_days(pieces[at]) for at in freed if at == one.slice_position}
    return Fault(why, frozenset(refund), rebook)


def affected_by_flight(session: Session, flight_id: int) -> list[Affected]:
    """Return the bookings that changes of this flight hit, the newest change first."""
    return [Affected(*row) for row in session.execute(OF_FLIGHT, {"id": flight_id})]


def changes_of_flight(session: Session, flight_id: int) -> list[Change]:
    """Return the changes of a flight, newest first."""
    return [Change(*row) for row in session.execute(CHANGES, {"id": flight_id})]


def broken_changes(session: Session) -> Sequence[Finding]:
    """Return what is wrong with changes by the carrier, at most 1,000 a rule; none is the proof that all is right.

    Nobody sits on a cancelled flight unasked, a closed flight sells nothing, and what was refunded is not flown.
    """
    return [
        Finding(rule, thing, detail)
        for rule, statement in BOOKS.items()
        for thing, detail in session.execute(text(f"{statement} limit 1000"))
    ]

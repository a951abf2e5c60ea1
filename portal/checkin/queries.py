"""Reads of check-in: a booking's desk, a flight's list for the gate, who a scanner's text means, what is broken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.booking.models import Booking, Passenger
from portal.booking.queries import Finding
from portal.booking.views import BookingView
from portal.checkin.models import Boarding, CheckIn, TravelDocument
from portal.checkin.rules import CheckedIn, Coupon, Desk, Document, Scan, guardians
from portal.flights.models import NamedSeat
from portal.flights.queries import FlightView, flights_by_id
from portal.flights.seating import seats_of

COUPONS = text(
    """
    select t.number, c.position, t.passenger_id, c.flight_id, c.status
    from tickets t join passengers p on p.id = t.passenger_id join coupons c on c.ticket_number = t.number
    where p.booking_id = :id and t.status = 'open' and p.cancelled_at is null
    """
)
LIST = text(
    """
    select b.reference, p.id, p.ticket_name, p.type, g.cabin, n.seat, c.status, i.id, i.sequence_number,
           i.checked_in_at, i.boarded_at, x.noted_at is not null
    from coupons c join tickets t on t.number = c.ticket_number and t.status = 'open'
    join passengers p on p.id = t.passenger_id join bookings b on b.id = p.booking_id
    join booking_segments s on s.booking_id = b.id and s.flight_id = c.flight_id
    join booking_slices g on g.booking_id = b.id and g.position = s.slice_position
    left join check_ins i on i.ticket_number = c.ticket_number and i.coupon_position = c.position
    left join named_seats n on n.flight_id = c.flight_id and n.occupant = p.id and n.tentative_until is null
    left join no_shows x on x.ticket_number = c.ticket_number and x.coupon_position = c.position
    where c.flight_id = :flight_id and b.status = 'confirmed' and p.cancelled_at is null
      and c.status in ('open', 'checked_in', 'flown')
    order by i.sequence_number nulls last, p.ticket_name, p.id
    """
)
SCANNED = text(
    """
    select f.id from flights f
    where f.carrier = :carrier and f.number = :number and f.origin = :origin and f.departs_on = :day
    """
)
HOLDS_TICKET = text(
    """
    select 1 from coupons c join tickets t on t.number = c.ticket_number join passengers p on p.id = t.passenger_id
    join bookings b on b.id = p.booking_id
    where c.flight_id = :flight_id and b.reference = :reference and c.status in ('open', 'checked_in') limit 1
    """
)
GATES = text(
    """
    select f.id, t.travellers, t.checked_in, t.boarded, b.closed_at
    from (
        select id, departure_at from flights
        where departure_at between :since and :until and status <> 'cancelled'
          and (cast(:origin as text) is null or origin = :origin)
          and (cast(:flight as text) is null or carrier || number = :flight)
        order by departure_at, id limit :most
    ) f
    left join boardings b on b.flight_id = f.id
    cross join lateral (
        select count(*)::int travellers, count(i.id)::int checked_in, count(i.boarded_at)::int boarded
        from coupons c join tickets t on t.number = c.ticket_number and t.status = 'open'
        left join check_ins i on i.ticket_number = c.ticket_number and i.coupon_position = c.position
        where c.flight_id = f.id and c.status in ('open', 'checked_in', 'flown')
    ) t
    order by f.departure_at, f.id
    """
)
BROKEN = {
    "a checked-in coupon has its check-in": """
        select c.ticket_number, 'coupon ' || c.position || ' is ' || c.status || ' without a check-in'
        from coupons c left join check_ins i on i.ticket_number = c.ticket_number and i.coupon_position = c.position
        where i.id is null and (c.status = 'checked_in' or (c.status = 'flown' and exists (
            select from boardings b where b.flight_id = c.flight_id and b.settled_at is not null)))""",
    "a check-in is for a coupon that is checked in or flown": """
        select c.ticket_number, 'coupon ' || c.position || ' is ' || c.status || ', check-in ' || i.sequence_number
        from check_ins i join coupons c on c.ticket_number = i.ticket_number and c.position = i.coupon_position
        where c.status not in ('checked_in', 'flown') or c.flight_id <> i.flight_id""",
    "who was flown had boarded": """
        select c.ticket_number, 'coupon ' || c.position || ' is flown, nobody boarded with it'
        from check_ins i join coupons c on c.ticket_number = i.ticket_number and c.position = i.coupon_position
        where c.status = 'flown' and i.boarded_at is null""",
    "who boarded is no no-show": """
        select x.ticket_number, 'coupon ' || x.coupon_position || ' boarded and did not come'
        from no_shows x join check_ins i using (ticket_number, coupon_position) where i.boarded_at is not null""",
    "check-ins are numbered from 1 up to the flight's last number": """
        select i.flight_id::text, 'highest number ' || max(i.sequence_number) || ', the flight counts '
            || coalesce(max(b.last_sequence), 0)
        from check_ins i left join boardings b on b.flight_id = i.flight_id
        group by i.flight_id having max(i.sequence_number) > coalesce(max(b.last_sequence), 0)
           or min(i.sequence_number) < 1 or count(*) <> count(distinct i.sequence_number)""",
    "who is checked in has a seat or a lap, on a flight that they go on": """
        select b.reference, 'passenger ' || p.position || ', check-in ' || i.sequence_number
        from check_ins i join passengers p on p.id = i.passenger_id join bookings b on b.id = p.booking_id
        join coupons c on c.ticket_number = i.ticket_number and c.position = i.coupon_position
        where c.status = 'checked_in' and (b.status <> 'confirmed' or p.cancelled_at is not null)""",
}


@dataclass(frozen=True, slots=True)
class GateRow:
    """One traveller with a ticket for the flight, as the gate sees them; `seat` is the one of the day."""

    reference: str
    passenger_id: UUID
    ticket_name: str
    type: str
    cabin: str
    seat: str | None
    coupon_status: str
    check_in_id: UUID | None
    sequence_number: int | None
    checked_in_at: datetime | None
    boarded_at: datetime | None
    no_show: bool

    @property
    def state(self) -> str:
        """Where they are: boarded, no_show, checked_in, or expected."""
        if self.boarded_at is not None:
            return "boarded"
        if self.no_show:
            return "no_show"
        return "checked_in" if self.check_in_id is not None else "expected"


@dataclass(frozen=True, slots=True)
class Gate:
    """One flight in the list of gates, counted."""

    flight: FlightView
    travellers: int
    checked_in: int
    boarded: int
    closed_at: datetime | None


def gates(session: Session, *, since: datetime, until: datetime, most: int, narrowed: str = "") -> list[Gate]:
    """Return the flights that leave between the two instants, counted, in order of departure; at most so many.

    `narrowed` is an airport that they leave from (`JFK`) or a flight (`ME101`); nothing means all.
    """
    words = narrowed.replace(" ", "").upper()
    origin = words if len(words) == 3 and words.isalpha() else None
    values = {
        "since": since,
        "until": until,
        "origin": origin,
        "flight": None if origin else words or None,
        "most": most,
    }
    rows = session.execute(GATES, values).all()
    flights = flights_by_id(session, [row[0] for row in rows])
    return [Gate(flights[row[0]], *row[1:]) for row in rows]


def desk(session: Session, view: BookingView) -> Desk:
    """Return all that check-in looks at for this booking."""
    return Desk(
        view,
        {(one.passenger_id, one.flight_id): one for one in _coupons(session, view.id)},
        {(one.passenger_id, one.flight_id): one for one in check_ins_of(session, view.id)},
        documents_of(session, view.id),
        seats_of(session, view.id),
        guardians(view.active_passengers),
    )


def _coupons(session: Session, booking_id: UUID) -> list[Coupon]:
    return [Coupon(*row) for row in session.execute(COUPONS, {"id": booking_id})]


def check_ins_of(session: Session, booking_id: UUID) -> list[CheckedIn]:
    """Return the booking's check-ins, flight by flight in the order of their numbers."""
    mine = _check_ins().join(Passenger, Passenger.id == CheckIn.passenger_id)
    rows = session.execute(
        mine.where(Passenger.booking_id == booking_id).order_by(CheckIn.flight_id, CheckIn.sequence_number)
    )
    return [CheckedIn(*row) for row in rows]


def check_in_at(session: Session, flight_id: int, number: int) -> Scan | None:
    """Return the flight's check-in of this number with whose it is and the seat of the day, or None.

    Its result is what a scan would come to: `boarded` for the first time, else `already_boarded`.
    """
    found = (
        _check_ins(Booking.reference, Passenger.ticket_name, Passenger.type, NamedSeat.seat)
        .join(Passenger, Passenger.id == CheckIn.passenger_id)
        .join(Booking, Booking.id == Passenger.booking_id)
        .outerjoin(
            NamedSeat,
            (NamedSeat.flight_id == CheckIn.flight_id)
            & (NamedSeat.occupant == CheckIn.passenger_id)
            & NamedSeat.tentative_until.is_(None),
        )
        .where(CheckIn.flight_id == flight_id, CheckIn.sequence_number == number)
    )
    row = session.execute(found).one_or_none()
    if row is None:
        return None
    made, (reference, name, kind, seat) = CheckedIn(*row[:-4]), row[-4:]
    return Scan(
        "already_boarded" if made.boarded_at else "boarded", flight_id, made, name, reference, kind, seat, made.seat
    )


def flight_of(session: Session, found: Scan) -> FlightView | None:
    """Return the flight that a scan was for, or None."""
    return flights_by_id(session, [found.flight_id]).get(found.flight_id) if found.flight_id is not None else None


def last_number(session: Session, flight_id: int) -> int:
    """Return the last sequence number that was given on the flight, 0 before the first."""
    return session.scalar(select(Boarding.last_sequence).where(Boarding.flight_id == flight_id)) or 0


def _check_ins(*more: Any) -> Any:
    return select(*(getattr(CheckIn, name) for name in CheckedIn.__dataclass_fields__), *more)


def documents_of(session: Session, booking_id: UUID) -> dict[UUID, Document]:
    """Return the travel documents of a booking's travellers, as long as they are kept."""
    columns = [getattr(TravelDocument, name) for name in Document.__dataclass_fields__]
    found = select(TravelDocument.passenger_id, *columns).join(Passenger, Passenger.id == TravelDocument.passenger_id)
    rows = session.execute(found.where(Passenger.booking_id == booking_id))
    return {row[0]: Document(*row[1:]) for row in rows}


def flight_on_pass(session: Session, carrier: str, number: int, origin: str, day: date) -> int | None:
    """Return the id of the flight that a pass names, or None."""
    values = {"carrier": carrier, "number": number, "origin": origin, "day": day}
    found: int | None = session.scalar(SCANNED, values)
    return found


def holds_ticket(session: Session, flight_id: int, reference: str) -> bool:
    """True when somebody of the booking has a ticket for this flight that is still to be flown."""
    return session.scalar(HOLDS_TICKET, {"flight_id": flight_id, "reference": reference}) is not None


def gate_list(session: Session, flight_id: int) -> list[GateRow]:
    """Return everybody with a ticket for the flight, by number, those who are not checked in last."""
    return [GateRow(*row) for row in session.execute(LIST, {"flight_id": flight_id})]


def gate_closed_at(session: Session, flight_id: int) -> datetime | None:
    """Return when the flight's gate was closed, or None while it is open."""
    return session.scalar(select(Boarding.closed_at).where(Boarding.flight_id == flight_id))


def broken_check_ins(session: Session) -> list[Finding]:
    """Return what does not add up in check-ins and boarding, at most 1,000 a rule; none is the proof that all does."""
    return [
        Finding(rule, thing, detail)
        for rule, statement in BROKEN.items()
        for thing, detail in session.execute(text(f"{statement} limit 1000"))
    ]

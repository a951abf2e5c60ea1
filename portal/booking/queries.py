"""Wide reads of bookings: the whole view for pages, API, mails and PDFs; the steps of a check; the books' balance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, bindparam, func, select, text
from sqlalchemy.orm import Session

from portal.booking.models import Booking
from portal.booking.views import AmendmentView, BookingView, ChargeView, ItemView, PassengerView, SliceView
from portal.flights.queries import CELLS, JOINS, broken_counters, flight_of_cells
from portal.kit import ids
from portal.payments.queries import LEDGER_BOOKS, open_payment_id

__all__ = [
    "AmendmentView",
    "BookingView",
    "ChargeView",
    "ItemView",
    "PassengerView",
    "SliceView",
    "booking_by_id",
    "booking_view",
    "broken_books",
]

LAPSED = text("select status <> 'held' or expires_at <= clock_timestamp() from bookings where id = :id")
HOLD_STANDS = select(
    (Booking.status != "held") | (Booking.expires_at <= func.clock_timestamp()), open_payment_id(Booking.id)
).where(Booking.id == bindparam("id"))
TRAVEL_DAYS = text(
    "select departs_on from booking_segments s join flights f on f.id = s.flight_id where s.booking_id = :id order by 1"
)
PAYABLE = text(
    """
    select b.status <> 'held' or b.expires_at <= clock_timestamp() as over,
           b.contact_email is not null and not exists (
               select from passengers where booking_id = b.id and ticket_name is null) as named,
           exists (select from payments where payable = b.id) as tried,
           exists (select from seat_claims join flight_cabins using (flight_id, cabin)
               where holder = b.id and closed_at_sold is not null) as closed
    from bookings b where b.id = :id
    """
)
AMENDMENT = """json_build_array(m.id, m.booking_id, m.number, m.kind, m.state, m.payload, m.lines, m.due_minor,
    m.paid_minor, m.refund_minor, m.penalty_minor, m.currency, m.refund_to, m.expires_at, m.created_at, m.done_at)"""
ONE_AMENDMENT = text(f"select {AMENDMENT} from amendments m where m.id = :id")  # noqa: S608 – constant
# All of a booking in one question: seven of them were a third of what a page of it cost.
WHOLE = f"""
    select b.id, b.reference, b.status, b.expires_at, b.user_id, b.contact_email, b.contact_phone, b.currency,
        b.total_minor, b.paid_minor, b.locale, b.extensions, b.created_at, b.confirmed_at, json_build_array((
        select coalesce(json_agg(json_build_array(s.position, s.cabin, s.brand, s.booking_class, s.conditions,
            s.cancelled_at, s.pricing, s.fare_basis, way.flights) order by s.position), '[]')
        from booking_slices s cross join lateral (
            select json_agg({CELLS} order by g.position) as flights
            from booking_segments g join flights f on f.id = g.flight_id {JOINS}
            where g.booking_id = s.booking_id and g.slice_position = s.position) way
        where s.booking_id = b.id and way.flights is not null
    ), (
        select coalesce(json_agg(json_build_array(p.id, p.position, p.type, p.given_name, p.family_name, p.ticket_name,
            p.date_of_birth, (select t.number from tickets t where t.passenger_id = p.id and t.status <> 'exchanged'
                order by t.status = 'open' desc limit 1), p.cancelled_at, p.stays_off) order by p.position), '[]')
        from passengers p where p.booking_id = b.id
    ), (
        select coalesce(json_agg(json_build_array(l.code, l.label, l.amount_minor, l.passenger_id, l.slice_position,
            l.amendment_id, l.item_id) order by l.position), '[]')
        from charges l where l.booking_id = b.id
    ), (
        select coalesce(json_agg(json_build_array(i.id, i.kind, i.code, i.label, i.passenger_id, i.flight_id,
            i.quantity, i.amount_minor, i.seat, i.amendment_id) order by i.created_at, i.kind, i.code, i.id), '[]')
        from booking_items i where i.booking_id = b.id and i.state = 'active'
    ), (
        select coalesce(json_agg({AMENDMENT} order by m.number), '[]')
        from amendments m where m.booking_id = b.id and m.state in ('paying', 'done')
    ), (
        select coalesce(json_agg(json_build_array(n.flight_id, n.occupant, n.seat) order by n.flight_id, n.seat), '[]')
        from named_seats n where n.holder = b.id and n.tentative_until is null
    )) from bookings b
"""  # noqa: S608 – constant lists of columns
BY_ID = text(f"{WHOLE} where b.id = :key")
BY_REFERENCE = text(f"{WHOLE} where b.reference = :key")
ACCESS = text("select id, reference, user_id from bookings where reference = :reference")


@dataclass(frozen=True, slots=True)
class Access:
    """What is needed to say who may do something with a booking."""

    id: UUID
    reference: str
    user_id: UUID | None


@dataclass(frozen=True, slots=True)
class Payable:
    """Whether a hold is over by the database's clock, whether all are named, whether anybody has tried to pay.

    `closed` is said of a hold with seats on a flight that is not sold now: better before than after paying.
    """

    over: bool
    named: bool
    tried: bool
    closed: bool


def booking_access(session: Session, reference: str) -> Access | None:
    """Return whose the booking with this reference is, or None where there is none."""
    row = session.execute(ACCESS, {"reference": ids.normal_reference(reference)}).one_or_none()
    return Access(*row) if row else None


def booking_view(session: Session, reference: str) -> BookingView | None:
    """Return the booking with this reference in any spelling, or None. Who may see it is the door's question."""
    return _view(session, BY_REFERENCE, ids.normal_reference(reference))


def booking_by_id(session: Session, booking_id: UUID) -> BookingView | None:
    """Return the booking, or None."""
    return _view(session, BY_ID, booking_id)


def is_over(session: Session, booking_id: UUID) -> bool:
    """True when the booking no longer waits to be paid: lapsed by the database's clock, or in another state."""
    return bool(session.scalar(LAPSED, {"id": booking_id}))


def hold_stands(session: Session, booking_id: UUID) -> tuple[bool, UUID | None]:
    """Return whether a hold is over, as `is_over`, and the payment whose end is not known yet; lock it first."""
    over, paying = session.execute(HOLD_STANDS, {"id": booking_id}).one()
    return over, paying


def before_paying(session: Session, booking_id: UUID) -> Payable:
    """Return what decides whether the booking may be paid for; lock it first."""
    return Payable(*session.execute(PAYABLE, {"id": booking_id}).one())


def travel_days(session: Session, booking_id: UUID) -> list[date]:
    """Return the days of departure, local to each origin."""
    return list(session.scalars(TRAVEL_DAYS, {"id": booking_id}))


def _view(session: Session, statement: TextClause, key: Any) -> BookingView | None:
    """Return the whole booking of one look at the database; what the session still had to write is written first."""
    if session.autoflush:
        session.flush()
    row = session.execute(statement, {"key": key}).one_or_none()
    if row is None:
        return None
    *cells, parts = row
    return BookingView(*cells, *(tuple(map(read, part)) for read, part in zip(READERS, parts, strict=True)))


def _slice(cells: list[Any]) -> SliceView:
    position, cabin, brand, booking_class, conditions, cancelled_at, pricing, fare_basis, flown = cells
    flights = tuple(map(flight_of_cells, flown))
    ends = flights[0].origin, flights[-1].destination
    sold = cabin, brand, booking_class, conditions
    return SliceView(position, *ends, *sold, flights, _instant(cancelled_at), tuple(pricing), fare_basis)


def _passenger(cells: list[Any]) -> PassengerView:
    who, *words, born, ticket, cancelled_at, stays_off = cells
    day = date.fromisoformat(born) if born else None
    told = [UUID(who), *words, day, ticket, _instant(cancelled_at), tuple(stays_off)]
    return PassengerView(*told)


def _charge(cells: list[Any]) -> ChargeView:
    code, label, amount, who, *where = cells
    position, amendment_id, item_id = where
    return ChargeView(code, label, amount, _uuid(who), position, _uuid(amendment_id), _uuid(item_id))


def _item(cells: list[Any]) -> ItemView:
    name, kind, code, label, who, *more, amendment_id = cells
    told = [UUID(name), kind, code, label, UUID(who), *more, _uuid(amendment_id)]
    return ItemView(*told)


def _amendment(cells: list[Any]) -> AmendmentView:
    name, booking_id, number, kind, state, payload, lines, *money, expires_at, created_at, done_at = cells
    plan = number, kind, state, payload, tuple(lines)
    instants = map(_instant, (expires_at, created_at, done_at))
    return AmendmentView(UUID(name), UUID(booking_id), *plan, *money, *instants)


def _named(cells: list[Any]) -> tuple[int, UUID, str]:
    flight_id, who, seat = cells
    return flight_id, UUID(who), seat


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


READERS = (_slice, _passenger, _charge, _item, _amendment, _named)


def amendment(session: Session, amendment_id: UUID) -> AmendmentView | None:
    """Return the amendment in whatever state, or None."""
    cells = session.scalar(ONE_AMENDMENT, {"id": amendment_id})
    return _amendment(cells) if cells else None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in the books that does not add up: which rule, which thing, and how it is off."""

    rule: str
    thing: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.thing}: {self.detail}"


# Each returns (thing, detail) for what is off. A hold past its time may have lost its claims: its seats are free.
BOOKS: dict[str, str] = {
    "a booking has exactly its seats": """
        with due as (
            select b.id holder, s.flight_id, p.cabin, n.seats, b.status = 'confirmed' sold
            from bookings b join booking_slices p on p.booking_id = b.id and p.cancelled_at is null
            join booking_segments s on s.booking_id = b.id and s.slice_position = p.position
            join lateral (select count(*) seats from passengers
                where booking_id = b.id and type <> 'infant' and cancelled_at is null
                  and not (p.position = any(stays_off))) n on true
            where b.status = 'confirmed' or (b.status = 'held' and b.expires_at > now())
            union all
            select a.id, (t ->> 0)::bigint, t ->> 1, (t ->> 2)::bigint, false
            from amendments a, jsonb_array_elements(a.payload -> 'take') t
            where a.state = 'paying' and a.expires_at > now()
        ), have as (
            select c.holder, c.flight_id, c.cabin, c.seats, c.expires_at is null sold
            from seat_claims c left join bookings b on b.id = c.holder left join amendments a on a.id = c.holder
            where (b.id is null or b.status <> 'held' or b.expires_at > now())
              and (a.id is null or a.state <> 'paying' or a.expires_at > now())
        )
        select coalesce(b.reference, holder::text), 'flight ' || flight_id || ' ' || cabin || ': due '
            || coalesce(due.seats || case when due.sold then ' sold' else ' held' end, 'nothing') || ', has '
            || coalesce(have.seats || case when have.sold then ' sold' else ' held' end, 'nothing')
        from due full join have using (holder, flight_id, cabin) left join bookings b on b.id = holder
        where due.seats is distinct from have.seats or due.sold is distinct from have.sold""",
    "the lines of a price add up to its total": """
        select b.reference, 'total ' || b.total_minor || ', lines ' || coalesce(sum(c.amount_minor), 0)
        from bookings b left join charges c on c.booking_id = b.id
        group by b.id having b.total_minor <> coalesce(sum(c.amount_minor), 0)""",
    "what was quoted is what was done": """
        select b.reference, 'amendment ' || a.number || ': due ' || a.due_minor || ', back ' || a.refund_minor
            || ', lines ' || q.quoted || ', charged ' || c.charged
        from amendments a join bookings b on b.id = a.booking_id
        join lateral (select coalesce(sum((l ->> 'amount_minor')::bigint), 0) quoted
            from jsonb_array_elements(a.lines) l) q on true
        join lateral (select coalesce(sum(amount_minor), 0) charged from charges where amendment_id = a.id) c on true
        where a.due_minor - a.refund_minor <> q.quoted
           or c.charged <> case when a.state = 'done' then q.quoted else 0 end""",
    "what a booking has paid is what came in less what went back": """
        select b.reference, 'paid ' || b.paid_minor || ', came in ' || m.net
        from bookings b join lateral (
            select coalesce(sum(p.amount_minor - coalesce(r.back, 0)), 0) net
            from payments p left join (
                select payment_id, sum(amount_minor) back from refunds group by payment_id
            ) r on r.payment_id = p.id
            left join amendments a on a.id = p.purpose and a.state = 'paying'
            where p.payable = b.id and p.state = 'succeeded' and p.applied_at is not null and a.id is null
        ) m on true where b.paid_minor <> m.net""",
    "what is paid in parts is less than the price": """
        select reference, 'held, paid ' || paid_minor || ' of ' || total_minor
        from bookings where status = 'held' and paid_minor > 0 and paid_minor >= total_minor""",
    "what came in for a change waits for it": """
        select b.reference, 'amendment ' || a.number || ' has ' || a.paid_minor || ', came in ' || m.net
        from amendments a join bookings b on b.id = a.booking_id join lateral (
            select coalesce(sum(amount_minor), 0) net from payments
            where purpose = a.id and state = 'succeeded' and applied_at is not null
        ) m on true where a.state = 'paying' and a.paid_minor <> m.net""",
    "what is confirmed or cancelled is paid": """
        select reference, 'total ' || total_minor || ', paid ' || paid_minor from bookings
        where status in ('confirmed', 'cancelled') and total_minor <> paid_minor""",
    "money that came in was put to use or sent back": """
        select p.id::text, p.amount_minor || ' ' || p.currency || ' taken, neither applied nor refunded'
        from payments p where p.state = 'succeeded' and p.applied_at is null""",
    "money for what is not confirmed goes back": """
        select b.reference, p.amount_minor || ' taken, ' || coalesce(sum(r.amount_minor), 0) || ' sent back'
        from payments p join bookings b on b.id = p.payable
        left join refunds r on r.payment_id = p.id
        where p.state = 'succeeded' and b.status = 'expired'
        group by b.id, p.id having p.amount_minor <> coalesce(sum(r.amount_minor), 0)""",
    "each payment is for a booking": """
        select p.id::text, 'its payable is no booking' from payments p left join bookings b on b.id = p.payable
        where b.id is null""",
    "one ticket for each passenger of a confirmed booking": """
        select b.reference, 'passenger ' || p.position || ' has ' || t.ones || ' open tickets, is due ' || d.due
        from bookings b join passengers p on p.booking_id = b.id
        join lateral (select (b.status = 'confirmed' and p.cancelled_at is null)::int due) d on true
        join lateral (select count(*) ones from tickets where passenger_id = p.id and status = 'open') t on true
        where t.ones <> d.due
        union all
        select b.reference, 'passenger ' || p.position || ' of a booking never confirmed has ticket ' || t.number
        from bookings b join passengers p on p.booking_id = b.id join tickets t on t.passenger_id = p.id
        where b.status in ('held', 'expired')""",
    "one coupon for each flight of a ticket": """
        select b.reference, 'passenger ' || p.position || ': coupons and flights differ'
        from bookings b join passengers p on p.booking_id = b.id
        where b.status in ('confirmed', 'cancelled') and array(
            select c.flight_id from tickets t join coupons c on c.ticket_number = t.number
            where t.passenger_id = p.id and c.status in ('open', 'checked_in', 'flown') order by 1
        ) is distinct from array(
            select s.flight_id from booking_segments s
            join booking_slices l on l.booking_id = s.booking_id and l.position = s.slice_position
            where s.booking_id = b.id and l.cancelled_at is null and p.cancelled_at is null
              and not (l.position = any(p.stays_off)) order by 1)""",
    "an extra is of somebody who flies, on a flight of the trip": """
        select b.reference, i.kind || ' ' || i.code || ' of ' || coalesce('flight ' || i.flight_id, 'the trip')
        from booking_items i join bookings b on b.id = i.booking_id join passengers p on p.id = i.passenger_id
        where i.state = 'active' and b.status in ('confirmed', 'cancelled') and (p.cancelled_at is not null
           or (i.flight_id is not null and not exists (
               select from booking_segments s
               join booking_slices l on l.booking_id = s.booking_id and l.position = s.slice_position
               where s.booking_id = b.id and s.flight_id = i.flight_id and l.cancelled_at is null
                 and not (l.position = any(p.stays_off)))))""",
    "every passenger of a confirmed booking has a name": """
        select b.reference, 'passenger ' || p.position || ' has no name'
        from bookings b join passengers p on p.booking_id = b.id
        where b.status = 'confirmed' and (p.ticket_name is null or b.contact_email is null)""",
    **LEDGER_BOOKS,
}


def broken_books(session: Session) -> list[Finding]:
    """Return what does not add up in seats, money and tickets, at most 1,000 a rule; none is the proof that all does.

    Read it in one REPEATABLE READ transaction, or a sale in between looks like a fault.
    """
    found = [_counter(one) for one in broken_counters(session)]
    for rule, statement in BOOKS.items():
        found += [Finding(rule, thing, detail) for thing, detail in session.execute(text(f"{statement} limit 1000"))]
    return found


def _counter(one: Any) -> Finding:
    told = f"counters {one.held} held {one.sold} sold, claims {one.claimed_held} held {one.claimed_sold} sold"
    return Finding("counters equal claims", f"flight {one.flight_id} {one.cabin}", f"{told}, capacity {one.capacity}")

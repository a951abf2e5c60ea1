"""Wide reads of the back office: letters, bookings as a list, and the figures of the whole portal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from portal.kit import ids
from portal.kit.metrics import Gauge
from portal.kit.outbox import IS_OPEN, QUEUES, STATES, Letter
from portal.payments import queries as payments
from portal.staff.forms import BookingsWish, Waiting
from portal.trail import queries as trail_queries

LARGEST_ID = 2**31 - 1
COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class LetterView:
    """A letter without its payload, which may hold an address or a secret."""

    id: int
    kind: str
    key: str | None
    queue: str
    state: str
    attempts: int
    error: str | None
    request_id: str | None
    created_at: datetime
    next_try_at: datetime
    started_at: datetime | None
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Letters of one kind and queue: how many are where, and since when (in seconds) the most overdue one is due."""

    kind: str
    queue: str
    waiting: int
    running: int
    failed: int
    dead: int
    dropped: int
    done_in_hour: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue: how deep it is, and how late."""

    name: str
    waiting: int
    running: int
    oldest_seconds: float | None


# Done letters are many; only those posted within a day are looked at, by the index on state and time.
TALLY = text(
    """
    select kind, queue,
        (count(*) filter (where state in ('waiting', 'handed')))::int waiting,
        (count(*) filter (where state = 'running'))::int running,
        (count(*) filter (where state = 'failed'))::int failed,
        (count(*) filter (where state = 'dead'))::int dead,
        (count(*) filter (where state = 'dropped'))::int dropped,
        (count(*) filter (where state = 'done'))::int done_in_hour,
        extract(epoch from now() - min(due) filter (where due <= now()))::float oldest_seconds
    from (
        select kind, queue, state, case state when 'waiting' then next_try_at when 'handed' then created_at end due
        from letters where state in ('waiting', 'handed', 'running', 'failed', 'dead', 'dropped')
        union all
        select kind, queue, state, null from letters
        where state = 'done' and created_at > now() - interval '1 day' and done_at > now() - interval '1 hour'
    ) one group by kind, queue order by kind, queue
    """
)


def tallies(session: Session) -> list[Tally]:
    """Return the letters counted by kind and queue; those done longer than an hour ago are left out."""
    return [Tally(*row) for row in session.execute(TALLY)]


def queues(found: Sequence[Tally]) -> list[QueueView]:
    """Return every queue of the outbox, empty ones too."""
    return [_queue(name, [one for one in found if one.queue == name]) for name in QUEUES]


def _queue(name: str, found: list[Tally]) -> QueueView:
    oldest = max((one.oldest_seconds for one in found if one.oldest_seconds is not None), default=None)
    return QueueView(name, sum(one.waiting for one in found), sum(one.running for one in found), oldest)


def letters(
    session: Session, *, states: Collection[str] = (), kind: str | None = None, before: int | None = None, limit: int
) -> list[LetterView]:
    """Return letters, newest first: in any of `states`, of `kind`, older than the one numbered `before`, if given."""
    found = select(*_columns()).order_by(Letter.id.desc()).limit(limit)
    if states:
        found = found.where(Letter.state.in_(states))
    if kind is not None:
        found = found.where(Letter.kind == kind)
    if before is not None:
        found = found.where(Letter.id < before)
    return [LetterView(*row) for row in session.execute(found)]


def letter(session: Session, letter_id: int, *, locked: bool = False) -> LetterView | None:
    """Return the letter, or None; `locked` keeps others from changing it until the transaction ends."""
    if not 0 < letter_id <= LARGEST_ID:
        return None
    found = select(*_columns()).where(Letter.id == letter_id)
    row = session.execute(found.with_for_update() if locked else found).one_or_none()
    return LetterView(*row) if row else None


def _columns() -> list[Any]:
    return [getattr(Letter, one.name) for one in fields(LetterView)]


@dataclass(frozen=True, slots=True)
class BookingRow:
    """One booking in the list; a hold whose time is over is called expired."""

    id: UUID
    reference: str
    status: str
    booked_at: datetime
    contact_email: str | None
    travellers: int
    lead: str | None
    route: str
    depart_on: date
    total_minor: int
    currency: str


STATUS = "case when b.status = 'held' and b.expires_at <= now() then 'expired' else b.status end"
BOOKINGS = f"""
    select b.id, b.reference, {STATUS} status, b.created_at booked_at, b.contact_email, p.travellers, p.lead,
           s.route, s.depart_on, b.total_minor, b.currency
    from (select b.* from bookings b where {{where}} order by b.created_at desc, b.id desc limit :limit) b
    join lateral (
        select count(*)::int travellers, min(ticket_name) filter (where position = 0) lead
        from passengers where booking_id = b.id
    ) p on true
    join lateral (
        select string_agg(route, ', ' order by position) route, min(depart_on) depart_on from (
            select t.position, t.origin || '–' || t.destination route, min(f.departs_on) depart_on
            from booking_slices t
            join booking_segments g on g.booking_id = t.booking_id and g.slice_position = t.position
            join flights f on f.id = g.flight_id where t.booking_id = b.id group by t.position, t.origin, t.destination
        ) one
    ) s on true
    order by b.created_at desc, b.id desc
"""  # noqa: S608 – made of our own words only; what is asked for are parameters
COUNT = "select count(*) from (select 1 from bookings b where {where} limit :most) one"
NARROWED = {
    "q": """(b.reference like :reference or lower(b.contact_email) like :mail or exists (
        select from passengers x where x.booking_id = b.id
        and (upper(x.family_name) like :family or x.ticket_name like :family)))""",
    "held": "b.status = 'held' and b.expires_at > now()",
    "expired": "(b.status = 'expired' or b.status = 'held' and b.expires_at <= now())",
    "confirmed": "b.status = 'confirmed'",
    "cancelled": "b.status = 'cancelled'",
    "ends": """exists (select from booking_slices x
        where x.booking_id = b.id and x.origin = :origin and x.destination = :destination)""",
    "from_on": "b.created_at >= cast(:from_on as date)",
    "to_on": "b.created_at < cast(:to_on as date) + 1",
}


def bookings(
    session: Session, wish: BookingsWish, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[BookingRow]:
    """Return the bookings that fit, newest first, of those booked before `after`, if given."""
    where, values = _narrowed(wish)
    if after is not None:
        where += " and (b.created_at, b.id) < (:created, :id)"
        values |= {"created": after[0], "id": after[1]}
    found = session.execute(text(BOOKINGS.format(where=where)), {**values, "limit": limit})
    return [BookingRow(*row) for row in found]


def count_bookings(session: Session, wish: BookingsWish) -> int:
    """Return how many bookings fit; counting ends one after COUNTED."""
    where, values = _narrowed(wish)
    return int(session.scalars(text(COUNT.format(where=where)), {**values, "most": COUNTED + 1}).one())


def _narrowed(wish: BookingsWish) -> tuple[str, dict[str, Any]]:
    parts = [words for name, words in NARROWED.items() if name == wish.status or getattr(wish, name, None)]
    origin, destination = wish.ends or ("", "")
    words = wish.q or ""
    known = {
        "reference": _literal(ids.normal_reference(words)) + "%"
        if words.isascii() and ids.normal_reference(words)
        else "",
        "mail": f"{_literal(words.lower())}%",
        "family": f"{_literal(words.upper())}%",
        "origin": origin,
        "destination": destination,
        "from_on": wish.from_on,
        "to_on": wish.to_on,
    }
    where = " and ".join(parts) or "true"
    return where, {name: value for name, value in known.items() if f":{name}" in where}


def _literal(words: str) -> str:
    """Return `words` for LIKE, every character standing for itself."""
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def waiting_money(session: Session) -> Waiting:
    """Return the money that waits for somebody: sums that fit no order, refunds not gone through, and the books."""
    reviews, refunds = payments.under_review(session), payments.open_refunds(session)
    known = bookings_of(session, {one.payable for one in reviews} | {one.payable for one in refunds})
    references = {payable: reference for payable, (reference, _email) in known.items()}
    return Waiting(reviews, refunds, payments.balances(session), references)


def contact_of_refund(session: Session, refund_id: UUID) -> str | None:
    """Return the address of the booking that a refund is for, if there are both."""
    found = payments.refund(session, refund_id)
    known = bookings_of(session, {found.payable}) if found else {}
    return next((email for _reference, email in known.values()), None)


def bookings_of(session: Session, ids_: Collection[UUID]) -> dict[UUID, tuple[str, str | None]]:
    """Return the reference and the contact of each booking that there is among these ids."""
    found = text("select id, reference, contact_email from bookings where id = any(:ids)")
    rows = session.execute(found, {"ids": list(ids_)})
    return {row.id: (row.reference, row.contact_email) for row in rows}


def gauges(session: Session) -> list[Gauge]:
    """Return the portal's figures as one reads them from the database at this moment."""
    by_status = _counted(session, "select status, count(*) from bookings group by 1")
    by_state = _counted(session, "select state, count(*) from letters group by 1")
    overdue = session.scalars(select(func.extract("epoch", func.now() - func.min(Letter.next_try_at))).where(IS_OPEN))
    seats = session.execute(text("select coalesce(sum(held), 0), coalesce(sum(sold), 0) from flight_cabins")).one()
    statuses = ("held", "confirmed", "cancelled", "expired")
    chain = trail_queries.chain(session)
    return [
        Gauge(
            "portal_audit_sealed", "Links of the audit trail's chain.", {"": chain.head.position if chain.head else 0}
        ),
        Gauge("portal_audit_waiting", "Entries of the audit trail that wait to be sealed.", {"": chain.waiting}),
        Gauge("portal_audit_waiting_seconds", "How long the oldest of them has waited.", {"": chain.waiting_seconds}),
        Gauge("portal_bookings", "Bookings by status.", {s: by_status.get(s, 0) for s in statuses}, "status"),
        Gauge("portal_jobs", "Letters of the outbox by state.", {s: by_state.get(s, 0) for s in STATES}, "state"),
        Gauge(
            "portal_jobs_overdue_seconds",
            "How long the most overdue letter has been due.",
            {"": max(0.0, float(overdue.one() or 0))},
        ),
        Gauge(
            "portal_seats",
            "Seats that holds keep and that are sold.",
            dict(zip(("held", "sold"), map(int, seats), strict=True)),
            "state",
        ),
    ]


def _counted(session: Session, statement: str) -> dict[str, int]:
    return {row[0]: row[1] for row in session.execute(text(statement))}

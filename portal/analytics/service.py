"""What may be done with figures: mark days as stale, redo their roll-ups, ask for an export and write it.

A sale never waits for a roll-up: it posts a letter, whose handler marks the days it touched; `refresh` redoes marked
days only, each from scratch, so that it may run twice, or twice at once, and nothing is counted double.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, func, insert, text, update
from sqlalchemy.orm import Session

from portal.analytics import demo, sheets
from portal.analytics.errors import ExportTooLarge, NothingToRetry, UnknownExport
from portal.analytics.models import Export, ExportChunk
from portal.analytics.reports import Rows
from portal.analytics.rules import Scope, scope_of
from portal.analytics.sheets import Step, Table
from portal.flights.demo import CARRIER, network
from portal.flights.timetable import enter, last_day
from portal.kit import audit, clock, outbox
from portal.kit.i18n import gettext as _
from portal.payments import ledger
from portal.places.queries import places_by_code
from portal.pricing.service import load_book
from portal.seats.queries import catalogue

HISTORY_DAYS = 60
SLOT_SECONDS = 5
DAYS_AT_ONCE = 5

# An existing mark is written again, not left alone: whoever is redoing that day may not have seen this booking.
MARK = "insert into stale_days (kind, day) {days} on conflict (kind, day) do update set marked_at = now()"
MARK_BOOKING = text(
    MARK.format(
        days="""
    select kind, day from (
        select 'sales' kind, (confirmed_at at time zone 'UTC')::date as day from bookings
        where id = :id and confirmed_at is not null
        union select 'flights', f.departs_on from booking_segments s join flights f on f.id = s.flight_id
        where s.booking_id = :id
        union select 'flights', f.departs_on from amendments a, jsonb_array_elements(a.payload -> 'give') g
        join flights f on f.id = (g ->> 0)::bigint where a.booking_id = :id and a.state = 'done'
    ) touched order by kind, day"""
    )
)
MARK_ALL = text(
    MARK.format(
        days="""
    select kind, day from (
        select 'sales' kind, (confirmed_at at time zone 'UTC')::date as day from bookings where confirmed_at is not null
        union select 'sales', sold_on from sales_days union select 'sales', sold_on from sales_facts
        union select 'flights', departs_on from flights
        union select 'flights', departs_on from flight_days
    ) every order by kind, day"""
    )
)
MARK_SPAN = text(
    MARK.format(
        days="select :kind, day::date from generate_series(cast(:first as date), cast(:last as date), '1 day') day"
    )
)
TAKE = text(
    """
    delete from stale_days where (kind, day) in (
        select kind, day from stale_days order by kind, day limit :limit for update skip locked)
    returning kind, day
    """
)
REDO_SALES = (
    text("delete from sales_days where sold_on = any(:days)"),
    text(
        """
        insert into sales_days (sold_on, origin, destination, cabin, brand, currency, bookings, passengers,
                                revenue_minor)
        select day, origin, destination, cabin, brand, currency, count(*), sum(passengers), sum(revenue) from (
            select d.day, b.id, s.origin, s.destination, s.cabin, s.brand, b.currency,
                   (select count(*) from passengers p where p.booking_id = b.id) passengers,
                   sum((select coalesce(sum(c.amount_minor), 0) from charges c
                        where c.booking_id = b.id and c.slice_position = s.position)) revenue
            from unnest(cast(:days as date[])) d(day)
            join bookings b on b.status = 'confirmed' and b.confirmed_at >= d.day::timestamp at time zone 'UTC'
                           and b.confirmed_at < (d.day + 1)::timestamp at time zone 'UTC'
            join booking_slices s on s.booking_id = b.id
            group by d.day, b.id, s.origin, s.destination, s.cabin, s.brand
        ) each group by day, origin, destination, cabin, brand, currency
        """
    ),
)
# Each slice stands for its own route, cabin and brand, and for any; a booking counts once wherever its slices stand.
REDO_COUNTS = (
    text("delete from sales_counts where sold_on = any(:days)"),
    text(
        """
        insert into sales_counts (sold_on, origin, destination, cabin, brand, currency, bookings, passengers)
        with sold as (
            select d.day, b.id, b.currency, count(p.id) passengers
            from unnest(cast(:days as date[])) d(day)
            join bookings b on b.status = 'confirmed' and b.confirmed_at >= d.day::timestamp at time zone 'UTC'
                           and b.confirmed_at < (d.day + 1)::timestamp at time zone 'UTC'
            left join passengers p on p.booking_id = b.id group by d.day, b.id
        )
        select day, origin, destination, cabin, brand, currency, count(*), sum(passengers) from (
            select distinct sold.*, r.origin, r.destination, c.cabin, f.brand
            from sold join booking_slices s on s.booking_id = sold.id
            cross join lateral (values (s.origin, s.destination), ('***', '***')) r(origin, destination)
            cross join lateral (values (s.cabin), ('*')) c(cabin)
            cross join lateral (values (s.brand), ('*')) f(brand)
        ) each group by day, origin, destination, cabin, brand, currency
        """
    ),
)
# Of each booking and each way to narrow it a fact stands once, whatever slices it has there.
REDO_FACTS = (
    text("delete from sales_facts where sold_on = any(:days)"),
    text(
        """
        insert into sales_facts (sold_on, origin, destination, cabin, brand, currency, fact, bookings, passengers,
                                 amount_minor)
        with sold as (
            select d.day, b.id, b.currency, b.status from unnest(cast(:days as date[])) d(day)
            join bookings b on b.status in ('confirmed', 'cancelled')
                           and b.confirmed_at >= d.day::timestamp at time zone 'UTC'
                           and b.confirmed_at < (d.day + 1)::timestamp at time zone 'UTC'
        ), facts as (
            select s.day, s.id, s.currency, 'cancelled' fact, (s.status = 'cancelled')::int bookings,
                   count(*) filter (where s.status = 'cancelled' or p.cancelled_at is not null) passengers, 0 amount
            from sold s join passengers p on p.booking_id = s.id group by s.day, s.id, s.currency, s.status
            union all
            select s.day, s.id, s.currency, 'refunded', 1,
                   (select count(*) from passengers p where p.booking_id = s.id), sum(a.refund_minor)
            from sold s join amendments a on a.booking_id = s.id and a.state = 'done' and a.refund_minor > 0
            group by s.day, s.id, s.currency
            union all
            select s.day, s.id, s.currency, coalesce(i.kind, 'extra'), 1, count(distinct i.passenger_id),
                   sum(i.amount_minor)
            from sold s join booking_items i on i.booking_id = s.id and i.state = 'active' and i.kind <> 'assistance'
            where s.status = 'confirmed' group by s.day, s.id, s.currency, grouping sets ((i.kind), ())
        )
        select day, origin, destination, cabin, brand, currency, fact, sum(bookings), sum(passengers), sum(amount)
        from (
            select distinct facts.*, r.origin, r.destination, c.cabin, f.brand
            from facts join booking_slices s on s.booking_id = facts.id
            cross join lateral (values (s.origin, s.destination), ('***', '***')) r(origin, destination)
            cross join lateral (values (s.cabin), ('*')) c(cabin)
            cross join lateral (values (s.brand), ('*')) f(brand)
        ) each where bookings + passengers > 0 group by day, origin, destination, cabin, brand, currency, fact
        """
    ),
)
# The instants around a local day find its flights by their index; the local day itself decides.
REDO_FLIGHTS = (
    text("delete from flight_days where departs_on = any(:days)"),
    text(
        """
        insert into flight_days (departs_on, origin, destination, cabin, flights, seats, sold, ask_km, rpk_km, ticketed,
                                 no_shows)
        select f.departs_on, f.origin, f.destination, c.cabin, count(*), sum(c.capacity), sum(c.sold),
               sum(c.capacity::bigint * f.distance_km), sum(c.sold::bigint * f.distance_km),
               sum(coalesce(n.ticketed, 0)), sum(coalesce(n.stayed, 0))
        from unnest(cast(:days as date[])) d(day)
        join flights f on f.departs_on = d.day and f.status = 'scheduled'
                      and f.departure_at >= d.day - interval '1 day' and f.departure_at < d.day + interval '2 days'
        join flight_cabins c on c.flight_id = f.id
        left join boardings o on o.flight_id = f.id and o.settled_at is not null
        left join lateral (
            select count(*) ticketed, count(x.noted_at) stayed from booking_segments s
            join booking_slices g on g.booking_id = s.booking_id and g.position = s.slice_position
                and g.cabin = c.cabin
            join passengers p on p.booking_id = s.booking_id join tickets t on t.passenger_id = p.id
            join coupons k on k.ticket_number = t.number and k.flight_id = f.id
                and k.status in ('open', 'checked_in', 'flown')
            left join no_shows x on x.ticket_number = k.ticket_number and x.coupon_position = k.position
            where s.flight_id = o.flight_id
        ) n on true
        group by f.departs_on, f.origin, f.destination, c.cabin
        """
    ),
)


def mark(session: Session, booking_id: UUID) -> None:
    """Mark the days that a booking is sold and flown on as stale. A booking that is gone marks nothing."""
    session.execute(MARK_BOOKING, {"id": booking_id})


def mark_all(session: Session) -> None:
    """Mark every day that anything was sold, or that any flight leaves on."""
    session.execute(MARK_ALL)


def mark_flights_around(session: Session, now: datetime) -> None:
    """Mark the days around today, so that the seats of a day on which nothing is sold are counted too."""
    _mark_span(session, "flights", now.date() - timedelta(days=1), now.date() + timedelta(days=1))


def mark_flight_day(session: Session, day: date) -> None:
    """Mark the flights of a local day of departure: seats, or whether one flies at all, have changed."""
    _mark_span(session, "flights", day, day)


def _mark_span(session: Session, kind: str, first: date, last: date) -> None:
    session.execute(MARK_SPAN, {"kind": kind, "first": first, "last": last})


def ask_refresh(session: Session, now: datetime) -> None:
    """Ask for a refresh soon; a rush of sales asks once for each slot of a few seconds."""
    slot = int(now.timestamp()) // SLOT_SECONDS
    due = datetime.fromtimestamp((slot + 1) * SLOT_SECONDS, now.tzinfo) + timedelta(seconds=1)
    outbox.post(session, "analytics.refresh", key=f"sales-{slot}", not_before=due)


def refresh(session: Session) -> int:
    """Redo the roll-ups of some stale days from what is sold now; returns how many, 0 when none is left to take.

    Days that somebody else is redoing are left to them.
    """
    taken = session.execute(TAKE, {"limit": DAYS_AT_ONCE}).all()
    for kind, steps in (("sales", REDO_SALES + REDO_COUNTS + REDO_FACTS), ("flights", REDO_FLIGHTS)):
        days = [row.day for row in taken if row.kind == kind]
        for step in steps if days else ():
            session.execute(step, {"days": days})
    return len(taken)


def ensure_demo_history(session: Session) -> int:
    """Fill the demo's last sixty days with sales, each day once; returns how many bookings that added.

    Needs the demo's flights, prices and extras; their absence is no fault. The days that it touches are marked.
    """
    enter(session)
    now = clock.now()
    days = demo.days_to_fill(session, now.date(), HISTORY_DAYS)
    if not days or last_day(session, CARRIER) is None:
        return 0
    routes = network()
    pairs = demo.pairs_of(routes)
    places = places_by_code(session, {code for pair in pairs for code in pair})
    stock = demo.load_stock(session, pairs, {route.carrier for route in routes}, days)
    world = demo.World(
        stock,
        load_book(session),
        {code: place.country for code, place in places.items()},
        pairs,
        demo.read_prefixes(session),
        {currency: catalogue(session, currency) for currency in demo.currencies(stock)},
    )
    added = demo.keep_history(session, world, days, now)
    ledger.catch_up(session)
    _mark_span(session, "sales", days[0], days[-1])
    _mark_span(session, "flights", days[0], days[-1] + demo.AHEAD)
    return added


def refresh_all(session: Session) -> int:
    """Redo every stale day in the caller's transaction; returns how many."""
    return sum(iter(lambda: refresh(session), 0))


def ask_export(session: Session, scope: Scope, *, report: str, format_: str, user_id: UUID) -> UUID:
    """Write down that an export is wanted, and have it written; returns its id."""
    kept = scope.wire()
    name = "_".join([report, *(kept[part] for part in ("from", "to", "route", "cabin") if part in kept)])
    values = {"user_id": user_id, "report": report, "format": format_, "filters": kept, "filename": f"{name}.{format_}"}
    export_id = session.execute(insert(Export).values(values).returning(Export.id)).scalar_one()
    outbox.post(session, "export.run", key=str(export_id), queue="exports", exportId=str(export_id))
    audit.record(
        session, "export.asked", "export", export_id, actor_id=user_id, after={"report": report, "filters": kept}
    )
    return export_id


def retry_export(session: Session, export_id: UUID) -> None:
    """Have a failed export written again. Raises UnknownExport, and NothingToRetry for one that did not fail."""
    row = session.get(Export, export_id, with_for_update=True)
    if row is None:
        raise UnknownExport()
    if row.state != "failed":
        raise NothingToRetry()
    row.state, row.error, row.progress = "waiting", None, 0
    audit.record(session, "export.retried", "export", export_id)
    outbox.post(session, "export.run", queue="exports", exportId=str(export_id))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at writing an export. Only the newest one may write."""

    export_id: UUID
    number: int
    report: str
    format: str
    scope: Scope


def begin_export(session: Session, export_id: UUID) -> Attempt | None:
    """Begin to write an export afresh; None when it is written already, or gone."""
    row = session.get(Export, export_id, with_for_update=True)
    if row is None or row.state == "done":
        return None
    session.execute(delete(ExportChunk).where(ExportChunk.export_id == export_id))
    row.state, row.progress, row.rows, row.attempt = "running", 0, None, row.attempt + 1
    return Attempt(export_id, row.attempt, row.report, row.format, scope_of(row.filters))


def write_export(session: Session, attempt: Attempt, folder: Path, *, most_rows: int) -> Iterator[tuple[Step, int]]:
    """Yield the file step by step, each with the per cent done; `session` must have a transaction, as its snapshot.

    Raises ExportTooLarge for more than `most_rows` before anything is written: a file is never cut short silently.
    """
    rows = Rows(session, attempt.report, attempt.scope)
    count = rows.count(most_rows)
    if count > most_rows:
        sentence = _("It would have more than %(most)s rows. Please choose fewer days, or one route.")
        raise ExportTooLarge(sentence % {"most": f"{most_rows:,}"})
    table = Table(attempt.report, rows.report.columns, attempt.scope.wire())
    sheet = sheets.sheet_for(attempt.format, table, folder)
    for step in sheets.write(sheet, rows, rows.sums()):
        yield step, min(99, 100 * step.rows // max(1, count))


def keep_step(session: Session, attempt: Attempt, step: Step, percent: int, position: int) -> None:
    """Keep a piece of the file and how far it is. Raises outbox.Hopeless when a newer attempt has begun."""
    _change(session, attempt, progress=percent, rows=step.rows)
    if step.content:
        values = {"export_id": attempt.export_id, "position": position, "content": step.content}
        session.execute(insert(ExportChunk).values(values))


def finish_export(session: Session, attempt: Attempt) -> None:
    """Say that the file is whole."""
    _change(session, attempt, state="done", progress=100, done_at=func.now(), error=None)


def fail_export(session: Session, attempt: Attempt, reason: str) -> None:
    """Say that the file cannot be written, and why, in words for its asker."""
    _change(session, attempt, state="failed", error=reason)
    session.execute(delete(ExportChunk).where(ExportChunk.export_id == attempt.export_id))


def _change(session: Session, attempt: Attempt, **values: object) -> None:
    ours = update(Export).where(Export.id == attempt.export_id, Export.attempt == attempt.number)
    if session.scalar(ours.values(values).returning(Export.id)) is None:
        raise outbox.Hopeless("A newer attempt writes this export.")


def sweep_exports(session: Session, *, older_than: timedelta) -> int:
    """Forget exports that were asked for longer ago, with their files; returns how many."""
    gone = delete(Export).where(Export.created_at < func.now() - older_than).returning(Export.id)
    return len(session.execute(gone).all())

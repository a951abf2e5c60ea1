"""Wide reads of figures, from the roll-ups: revenue and load by adding up, bookings and passengers as counted there.

Bookings and passengers do not add up over routes (a return trip is on two), so each way to narrow them is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.analytics.errors import UnknownExport
from portal.analytics.models import ANY, ANY_PORT, Export
from portal.analytics.rules import TIMES, Aftermath, Fact, Figures, Scope, may_see_export
from portal.kit.i18n import gettext as _

SALES_KEYS = {
    "": "''",
    "day": "sold_on::text",
    "week": "date_trunc('week', sold_on)::date::text",
    "month": "date_trunc('month', sold_on)::date::text",
    "route": "origin || '-' || destination",
    "cabin": "cabin",
    "brand": "brand",
}
LOAD_KEYS = {name: key.replace("sold_on", "departs_on") for name, key in SALES_KEYS.items() if name != "brand"}

REVENUE = """
    select {key} as key, sum(revenue_minor)::bigint from sales_days
    where sold_on between :first and :last and currency = :currency {narrow} group by 1
"""
SLICES = """
    from bookings b join booking_slices s on s.booking_id = b.id
    where b.status = 'confirmed' and b.confirmed_at >= cast(:first as date)::timestamp at time zone 'UTC'
      and b.confirmed_at < (cast(:last as date) + 1)::timestamp at time zone 'UTC' {narrow}
"""
COUNTS = """
    select {key} as key, sum(bookings)::bigint, sum(passengers)::bigint from sales_counts
    where sold_on between :first and :last {narrow} group by 1
"""
LOAD = """
    select {key} as key, sum(ask_km)::bigint, sum(rpk_km)::bigint from flight_days
    where departs_on between :first and :last {narrow} group by 1
"""
FACTS = """
    select fact, sum(bookings)::bigint, sum(passengers)::bigint, sum(amount_minor)::bigint from sales_facts
    where sold_on between :first and :last {narrow} group by 1
"""
STAYED = """
    select coalesce(sum(ticketed), 0)::bigint, coalesce(sum(no_shows), 0)::bigint from flight_days
    where departs_on between :first and :last {narrow}
"""
CURRENCIES = """
    select currency, sum(revenue_minor)::bigint from sales_days where sold_on between :first and :last {narrow}
    group by 1 order by 2 desc, 1
"""
TYPES = (
    "select p.type, count(*) from passengers p where p.booking_id in (select b.id {slices}) group by 1 order by 2 desc"
)
AGES = """
    select case when age is null then null when age < 2 then '0-1' when age < 12 then '2-11' when age < 18 then '12-17'
                when age < 30 then '18-29' when age < 45 then '30-44' when age < 65 then '45-64' else '65+' end,
           count(*), min(age)
    from (select extract(year from age(f.departs_on, p.date_of_birth)) age
          from passengers p
          join booking_segments g on g.booking_id = p.booking_id and g.slice_position = 0 and g.position = 0
          join flights f on f.id = g.flight_id
          where p.booking_id in (select b.id {slices})) each
    group by 1 order by 3 nulls last
"""
KNOWN_ROUTES = text(
    """
    select origin || '-' || destination from sales_days where sold_on between :first and :last
    group by 1 order by sum(revenue_minor) desc, 1 limit 200
    """
)


def narrowing(scope: Scope, table: str = "", *, money: bool = False) -> str:
    """Return the conditions that the scope adds, on columns of `table`; `money` narrows bookings to its currency."""
    at = f"{table}." if table else ""
    names = [name for name in ("origin", "destination", "cabin", "brand") if getattr(scope, name)]
    said = "".join(f" and {at}{name} = :{name}" for name in names)
    return said + (" and b.currency = :currency" if money and scope.currency else "")


def values_of(scope: Scope) -> dict[str, Any]:
    """Return what the conditions of a scope are filled with."""
    return {name: getattr(scope, name) for name in Scope.__slots__}


def _read(session: Session, statement: str, scope: Scope) -> list[Any]:
    return list(session.execute(text(statement), values_of(scope)))


def slices_of(scope: Scope) -> str:
    """Return the FROM and WHERE that find the sold slices (s) and bookings (b) of the scope, and of its currency."""
    return SLICES.format(narrow=narrowing(scope, "s", money=True))


def figures(session: Session, scope: Scope, group: str = "", *, count: bool = True) -> dict[str, Figures]:
    """Return the figures of the scope by key of `group`, or of all together by the key "" where there is no group.

    Bookings and passengers are left at 0 unless `count` says so.
    Load is given for times, routes and cabins; a brand has no seats of its own, so it narrows sales only.
    """
    money = dict(map(tuple, _read(session, REVENUE.format(key=SALES_KEYS[group], narrow=narrowing(scope)), scope)))
    counts = {row[0]: row[1:] for row in _read(session, _counts(scope, group), scope)} if count else {}
    load = {row[0]: row[1:] for row in _read(session, _load(scope, group), scope)} if group in LOAD_KEYS else {}
    keys = money.keys() | counts.keys() | (load.keys() if group in ("", *TIMES) else set())
    return {key: _figures(key, counts.get(key), money.get(key, 0), load.get(key)) for key in sorted(keys)}


def _figures(key: str, counted: Any, minor: int, load: Any) -> Figures:
    bookings, passengers = counted or (0, 0)
    ask, rpk = load or (0, 0)
    return Figures(key, bookings, passengers, minor, ask, rpk)


def total(session: Session, scope: Scope, *, count: bool = True) -> Figures:
    """Return what the scope adds up to, each booking counted once."""
    return figures(session, scope, count=count).get("", Figures(""))


def aftermath(session: Session, scope: Scope, whole: Figures) -> Aftermath:
    """Return what became of what was sold in the scope, which is `whole`; of money in the scope's currency."""
    money = " and currency = :currency" if scope.currency else ""
    said = "".join(_any_of(scope, column, told=False) for column in ("origin", "cabin", "brand"))
    rows = _read(session, FACTS.format(narrow=narrowing(scope) + said + money), scope)
    seats = replace(scope, brand="", currency="")
    ticketed, no_shows = _read(session, STAYED.format(narrow=narrowing(seats)), scope)[0]
    facts = {row[0]: Fact(*row[1:]) for row in rows}
    return Aftermath(Fact(whole.bookings, whole.passengers, whole.revenue_minor), facts, ticketed, no_shows)


def _counts(scope: Scope, group: str) -> str:
    parts = (("route", "origin"), ("cabin", "cabin"), ("brand", "brand"))
    said = "".join(_any_of(scope, column, told=name == group) for name, column in parts)
    money = " and currency = :currency" if scope.currency else ""
    return COUNTS.format(key=SALES_KEYS[group], narrow=narrowing(scope) + said + money)


def _any_of(scope: Scope, column: str, *, told: bool) -> str:
    """Return which rows count of a column that is not narrowed: each value's where they are told apart, else any's."""
    if getattr(scope, column):
        return ""
    return f" and {column} {'<>' if told else '='} '{ANY_PORT if column == 'origin' else ANY}'"


def _load(scope: Scope, group: str) -> str:
    seats = Scope(scope.first, scope.last, scope.origin, scope.destination, scope.cabin)
    return LOAD.format(key=LOAD_KEYS[group], narrow=narrowing(seats))


def currencies(session: Session, scope: Scope) -> dict[str, int]:
    """Return what was sold in each currency, the most first. They are never added together."""
    return dict(map(tuple, _read(session, CURRENCIES.format(narrow=narrowing(scope)), scope)))


def in_currency(session: Session, scope: Scope, own: str) -> Scope:
    """Return the scope in one currency: the one asked for, else the portal's `own`, else what was sold in most."""
    if scope.currency:
        return scope
    sold = currencies(session, scope)
    return replace(scope, currency=own if own in sold or not sold else next(iter(sold)))


def passenger_types(session: Session, scope: Scope) -> list[tuple[str, int]]:
    """Return how many adults, children and infants travel."""
    return [(row[0], row[1]) for row in _read(session, TYPES.format(slices=slices_of(scope)), scope)]


def passenger_ages(session: Session, scope: Scope) -> list[tuple[str | None, int]]:
    """Return how many travel by age on the day of the first flight; None where it is not known."""
    return [(row[0], row[1]) for row in _read(session, AGES.format(slices=slices_of(scope)), scope)]


def known_routes(session: Session, scope: Scope) -> list[str]:
    """Return the routes that were sold in the scope's days, the best first, at most 200."""
    return list(session.scalars(KNOWN_ROUTES, {"first": scope.first, "last": scope.last}))


@dataclass(frozen=True, slots=True)
class ExportView:
    """An export as its asker sees it."""

    id: UUID
    user_id: UUID
    report: str
    format: str
    filters: Mapping[str, str]
    state: str
    progress: int
    rows: int | None
    error: str | None
    filename: str | None
    created_at: datetime


def export(session: Session, export_id: UUID) -> ExportView | None:
    """Return the export, or None."""
    row = session.get(Export, export_id)
    return _export(row) if row else None


def export_for(session: Session, export_id: UUID, *, viewer_id: UUID, role: str) -> ExportView:
    """Return the export to who asked for it and to admins; raises UnknownExport to everybody else."""
    found = export(session, export_id)
    if found is None or not may_see_export(found.user_id, viewer_id, role):
        raise UnknownExport(_("It may have been forgotten, or it is not yours."))
    return found


def exports_of(session: Session, user_id: UUID, limit: int = 5) -> list[ExportView]:
    """Return the latest exports of a person, newest first."""
    rows = session.query(Export).where(Export.user_id == user_id).order_by(Export.created_at.desc(), Export.id)
    return [_export(row) for row in rows.limit(limit)]


def _export(row: Export) -> ExportView:
    return ExportView(**{name: getattr(row, name) for name in ExportView.__slots__})


PIECE = text(
    "select position, content from export_chunks where export_id = :id and position > :after order by position limit 1"
)
SIZE = text("select coalesce(sum(length(content)), 0) from export_chunks where export_id = :id")


def file_size(session: Session, export_id: UUID) -> int:
    """Return how many bytes the export's file has."""
    return int(session.scalar(SIZE, {"id": export_id}) or 0)


def file_pieces(reading: Callable[[], AbstractContextManager[Session]], export_id: UUID) -> Iterator[bytes]:
    """Yield the export's file piece by piece; `reading` opens a session for each, so that none stays open."""
    after = -1
    while True:
        with reading() as session:
            piece = session.execute(PIECE, {"id": export_id, "after": after}).one_or_none()
        if piece is None:
            return
        yield bytes(piece.content)
        after = piece.position

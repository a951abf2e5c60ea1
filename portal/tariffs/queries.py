"""Reads for the pages of prices: rows with their days, promotions with their uses, and what a price would come to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session

from portal.booking.queries import Finding
from portal.kit.i18n import day, ngettext
from portal.kit.model import Base
from portal.pricing.models import ExchangeRate, FareBrand, FareClassRow, FareRuleRow, Tax
from portal.pricing.rules import Party, PriceBook, Sale, SegmentFare, quote
from portal.pricing.service import read_book
from portal.pricing.steps import FareRule
from portal.seats.models import ExtraProduct, SeatPrice
from portal.tariffs.errors import UnknownRow
from portal.tariffs.rules import TABLES, Table, choice

MODELS: dict[str, type[Base]] = {
    "fares": FareRuleRow,
    "taxes": Tax,
    "brands": FareBrand,
    "classes": FareClassRow,
    "rates": ExchangeRate,
    "seats": SeatPrice,
    "extras": ExtraProduct,
}
ORDER = {
    "fares": "kind, low nulls first, label, valid_from",
    "taxes": "code, label, valid_from",
    "brands": "cabin, position, valid_from",
    "classes": "cabin, position, valid_from",
    "rates": "currency, valid_from",
    "seats": "cabin, currency, feature, valid_from",
    "extras": "position, currency, valid_from",
}
# A trip in words, what it costs in minor units (None: it cannot be bought), and the currency.
Figure = tuple[str, int | None, str]
AHEAD = timedelta(days=30)
A_YEAR = 364
LONGEST = 3
# Routes that fly about a month ahead, each at its lowest base fare: those that were asked for, the known one first.
ROUTES = text(
    """
    select f.origin, f.destination, min(f.fare_minor) fare_minor, f.currency, o.country home, d.country away
    from flights f join airports o on o.code = f.origin join airports d on d.code = f.destination
    where f.departs_on = (select min(departs_on) from flights where departs_on >= :on and status = 'scheduled')
        and f.status = 'scheduled' and (cast(:origin as text) is null or f.origin = :origin)
        and (cast(:destination as text) is null or f.destination = :destination)
        and (cast(:homes as text[]) is null or o.country = any(:homes))
        and (cast(:aways as text[]) is null or (d.country = any(:aways)) <> cast(:elsewhere as boolean))
        and (cast(:domestic as boolean) is null or (o.country = d.country) = :domestic)
    group by 1, 2, 4, 5, 6 order by (f.origin = 'JFK' and f.destination = 'LAX') desc, count(*) desc, 1, 2 limit :most
    """
)
MISCOUNTED = text(
    """
    select p.code, 'counts ' || p.used || ' uses, has ' || count(u.id) from promotions p
    left join promotion_uses u on u.promotion_id = p.id and u.state <> 'returned'
    group by p.id having p.used <> count(u.id) limit 1000
    """
)
TAKEN_OFF = text(
    """
    select b.reference, 'promotion of ' || u.amount_minor || ', lines of ' || coalesce(-sum(c.amount_minor), 0)
    from promotion_uses u join bookings b on b.id = u.holder
    left join charges c on c.booking_id = b.id and c.code = 'promotion' and c.amendment_id is null
    where u.state <> 'returned' group by b.id, u.id having u.amount_minor <> coalesce(-sum(c.amount_minor), 0)
    limit 1000
    """
)


@dataclass(frozen=True, slots=True)
class RowView:
    """One row of a table of prices as a line; `state` is now, coming or over."""

    id: str
    title: str
    told: str
    worth: str
    valid_from: date | None
    valid_to: date | None
    state: str
    source: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What a trip would cost: before a change, None where it could not be bought, and after it."""

    words: str
    before_minor: int | None
    after_minor: int
    currency: str


def table(name: str) -> Table:
    """Return the table of this name; raises UnknownRow."""
    found = next((one for one in TABLES if one.name == name), None)
    if found is None:
        raise UnknownRow()
    return found


def values_of(row: Base) -> dict[str, Any]:
    """Return a row as plain values."""
    return {column.key: getattr(row, column.key) for column in inspect(type(row)).columns}


def row_id(row: Base) -> str:
    """Return what names a row in an address."""
    return "~".join(str(part) for part in inspect(row).identity or ())


def find(session: Session, kind: Table, number: str, *, lock: bool = False) -> Base:
    """Return a row by what names it in an address, perhaps locked; raises UnknownRow."""
    model = MODELS[kind.name]
    columns = inspect(model).primary_key
    parts = number.split("~")
    try:
        key = tuple(_part(column, part) for column, part in zip(columns, parts, strict=True))
    except ValueError:
        raise UnknownRow() from None
    row = session.get(model, key, with_for_update=lock, populate_existing=True)
    if row is None:
        raise UnknownRow()
    return row


def _part(column: Any, part: str) -> Any:
    kind = column.type.python_type
    if kind is int and (not part.isascii() or not part.isdecimal() or len(part) > 9):
        raise ValueError(part)
    return date.fromisoformat(part) if kind is date else kind(part)


def rows(session: Session, kind: Table, today: date) -> list[RowView]:
    """Return a table's rows in their order."""
    found = session.scalars(select(MODELS[kind.name]).order_by(text(ORDER[kind.name]))).all()
    views = [_row(kind, one, today) for one in found]
    return _superseded(found, views) if kind.name == "rates" else views


def _row(kind: Table, row: Base, today: date) -> RowView:
    values = values_of(row)
    start, end = values.get("valid_from"), values.get("valid_to")
    state = "coming" if start and start > today else "over" if end and end < today else "now"
    title, told, worth = kind.words(values)
    return RowView(row_id(row), title, told, worth, start, end, state, values.get("source", ""))


def _superseded(found: Any, views: list[RowView]) -> list[RowView]:
    """A rate has no last day: it is over once the next one has begun."""
    newest = {one.currency: row_id(one) for one, view in zip(found, views, strict=True) if view.state == "now"}
    return [
        view if view.state != "now" or newest[one.currency] == view.id else replace(view, state="over")
        for one, view in zip(found, views, strict=True)
    ]


def prices(session: Session, kind: Table, values: Mapping[str, Any], *, today: date) -> list[Figure]:
    """Return what trips that a row concerns would cost by the rows as they stand."""
    begins = values.get("valid_from") or today
    sold = today if kind.name == "taxes" else max(today, begins)
    book = read_book(session, sold)
    on = _departure(kind, values, sold, begins)
    return [_price(book, one, values, sold=sold, on=on, today=today) for one in _routes(session, kind, values, today)]


def _departure(kind: Table, values: Mapping[str, Any], sold: date, begins: date) -> date:
    """Return a day of departure about a month after the sale on which the row holds."""
    usual = max(sold + AHEAD, begins) if kind.name == "taxes" else sold + AHEAD
    if kind.name != "fares":
        return usual
    kept: dict[str, Any] = {name: values.get(name) for name in FareRule.__dataclass_fields__}
    rule = FareRule(**{**kept, "key": ""})
    days = [usual + timedelta(days=ahead) for ahead in range(A_YEAR)] + [sold + timedelta(days=n) for n in range(30)]
    return next((one for one in days if rule.kind == "load" or rule.holds(one, sold)), usual)


def _routes(session: Session, kind: Table, values: Mapping[str, Any], today: date) -> list[Any]:
    wanted = dict.fromkeys(("origin", "destination", "homes", "aways", "domestic"))
    wanted |= {"elsewhere": False, "on": today + AHEAD, "most": LONGEST}
    if kind.name == "fares":
        wanted |= {"origin": values["origin"], "destination": values["destination"]}
    if kind.name == "taxes":
        wanted |= {"homes": values["origins"], "aways": values["destinations"]}
        wanted |= {"elsewhere": values["elsewhere"], "domestic": values["domestic"]}
    return list(session.execute(ROUTES, wanted).all())


def _price(book: PriceBook, route: Any, values: Mapping[str, Any], *, sold: date, on: date, today: date) -> Figure:
    cabin = values.get("cabin") or ("business" if values.get("economy") is False else "economy")
    brand = values.get("brand") or "Standard"
    ladder, classes = book.tariff.ladder(cabin=cabin, today=sold), book.tariff.classes.get(cabin, ())
    load = values["low"] or 0 if values.get("kind") == "load" else 0
    at = next((at for at, one in enumerate(classes) if one.letter == values.get("letter")), len(classes) - 1)
    ends = (route.home, route.away, on, route.origin, route.destination)
    segment = SegmentFare(route.fare_minor, route.currency, *ends, bisect_right(ladder.starts, load))
    sale, known = Sale(sold, max(at, 0)), (cabin, brand) in book.brands
    found = quote(book, [segment], cabin=cabin, brand=brand, party=Party(1), sale=sale) if known else None
    ahead = ngettext("in %(num)s day", "in %(num)s days", (on - today).days) % {"num": (on - today).days}
    words = f"{route.origin}–{route.destination} {ahead} ({day(on)}), {choice(cabin)} {brand}"
    return words, None if found is None else found.total_minor, route.currency


def broken_promotions(session: Session) -> list[Finding]:
    """Return which promotions' counts and uses, or uses and lines, do not agree."""
    rules = {"each use of a promotion is counted": MISCOUNTED, "a promotion takes off what it says": TAKEN_OFF}
    return [Finding(rule, *row) for rule, statement in rules.items() for row in session.execute(statement)]

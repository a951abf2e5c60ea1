"""The price book of a day of sale: loaded whole, remembered for a minute, and its first rows put in place.

The reference rows stand beside this file as brands.csv, fare_rules.csv, fare_classes.csv, taxes.csv and rates.csv,
each rule and tax with its source.
Loading them adds what is missing and never touches a row that is there: staff may have changed it.
"""

from __future__ import annotations

import csv
import time
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import URL, Boolean, Date, Integer, Select, Table, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.kit import clock
from portal.kit.model import Base
from portal.pricing.models import ExchangeRate, FareBrand, FareClassRow, FareRuleRow, Tax
from portal.pricing.rules import Brand, PriceBook, TaxRule
from portal.pricing.steps import FareClass, FareRule, Tariff, dearest_first

BOOK_SECONDS, SAME_BOOK_SECONDS = 60, 3600
HERE = Path(__file__).parent
Row = TypeVar("Row", FareBrand, FareClassRow)
_books: dict[URL, tuple[float, float, date, PriceBook]] = {}


def load_book(session: Session) -> PriceBook:
    """Return today's price book of the session's database, at most a minute old; a new day has a new one at once.

    While its rows stay the same it is the same object, for an hour: what was worked out from it stays known, and what
    remembers by it does not keep a book for every minute.
    """
    key, now, today = session.get_bind().engine.url, time.monotonic(), clock.now().date()
    read_at, made_at, of_day, book = _books.get(key, (0.0, 0.0, today, None))
    if book is None or of_day != today or now - read_at > BOOK_SECONDS:
        fresh = read_book(session, today)
        if book is None or now - made_at > SAME_BOOK_SECONDS or _rows_of(fresh) != _rows_of(book):
            made_at, book = now, fresh
        _books[key] = (now, made_at, today, book)
    return book


def _rows_of(book: PriceBook) -> tuple[Any, ...]:
    return book.brands, book.taxes, book.rates, book.tariff.rules, book.tariff.classes


def read_book(session: Session, on: date) -> PriceBook:
    """Return the price book for sales of the day `on`, as its rows stand now."""
    brands = [Brand(**_values(row, Brand)) for row in session.scalars(_in_force(FareBrand, on))]
    taxes = [_tax(row) for row in session.scalars(select(Tax).order_by(Tax.id))]
    rates = session.execute(
        select(ExchangeRate.currency, ExchangeRate.millionths_per_usd)
        .where(ExchangeRate.valid_from <= on)
        .order_by(ExchangeRate.valid_from)
    )
    known = {row[0]: row[1] for row in rates}
    return PriceBook({(one.cabin, one.brand): one for one in brands}, tuple(taxes), known, read_tariff(session, on))


def _in_force(model: type[Row], on: date) -> Select[Row]:
    ends = model.valid_to
    return select(model).where(model.valid_from <= on, ends.is_(None) | (ends >= on))


def read_tariff(session: Session, on: date) -> Tariff:
    """Return all price rules, and the booking classes that hold for sales of `on`, each cabin's dearest first."""
    rules = tuple(
        FareRule(**_values(row, FareRule)) for row in session.scalars(select(FareRuleRow).order_by(FareRuleRow.id))
    )
    classes: dict[str, list[FareClass]] = {}
    for row in session.scalars(_in_force(FareClassRow, on)):
        classes.setdefault(row.cabin, []).append(FareClass(**_values(row, FareClass)))
    return Tariff(rules, {cabin: dearest_first(rows) for cabin, rows in classes.items()})


def forget_books() -> None:
    """Let the next `load_book` read afresh, after rows were changed."""
    _books.clear()


def _values(row: Base, kind: type[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in kind.__dataclass_fields__}


def _tax(row: Tax) -> TaxRule:
    values = _values(row, TaxRule)
    for name in ("origins", "destinations"):
        values[name] = None if values[name] is None else frozenset(values[name])
    return TaxRule(**values)


def ensure_reference_rows(session: Session) -> None:
    """Put brands, fare rules, classes, taxes and rates in place where missing; what is there stays as it is."""
    files: tuple[tuple[type[Base], str], ...] = (
        (FareBrand, "brands.csv"),
        (FareRuleRow, "fare_rules.csv"),
        (FareClassRow, "fare_classes.csv"),
        (Tax, "taxes.csv"),
        (ExchangeRate, "rates.csv"),
    )
    for model, file in files:
        table = cast(Table, model.__table__)
        session.execute(insert(table).values(_rows(table, HERE / file)).on_conflict_do_nothing())
    forget_books()


def _rows(table: Table, path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [{name: _cell(table, name, text) for name, text in row.items()} for row in csv.DictReader(lines)]


def _cell(table: Table, name: str, text: str) -> Any:
    kind = table.columns[name].type
    if text == "":
        return None if table.columns[name].nullable else ""
    if name in ("origins", "destinations"):
        return text.split()
    if isinstance(kind, Boolean):
        return text == "yes"
    if isinstance(kind, Integer):
        return int(text)
    return kind.python_type.fromisoformat(text) if isinstance(kind, Date) else text

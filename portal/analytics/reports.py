"""What the reports hold: their columns, the rows of a scope read with a cursor, and the sums under them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.analytics.queries import narrowing, slices_of, total, values_of
from portal.analytics.rules import Scope
from portal.analytics.sheets import Cell
from portal.kit.money import Money

AT_ONCE = 500
SALES = """
    select sold_on, origin || '-' || destination, cabin, brand, bookings, passengers, currency, revenue_minor
    from sales_days where sold_on between :first and :last {narrow}
    order by sold_on, origin, destination, cabin, brand, currency
"""
BOOKINGS = """
    select b.reference, b.confirmed_at, m.routes, m.cabins, m.brands,
           (select count(*) from passengers p where p.booking_id = b.id),
           (select concat_ws(' ', p.given_name, p.family_name) from passengers p
            where p.booking_id = b.id order by p.position limit 1),
           coalesce(b.contact_email, ''), b.currency, m.revenue, b.total_minor
    from (select b.id, string_agg(s.origin || '-' || s.destination, ' ' order by s.position) routes,
                 string_agg(distinct s.cabin, ' ') cabins, string_agg(distinct s.brand, ' ') brands,
                 sum((select coalesce(sum(c.amount_minor), 0) from charges c
                      where c.booking_id = b.id and c.slice_position = s.position))::bigint revenue
          {slices} group by b.id) m
    join bookings b on b.id = m.id order by b.confirmed_at, b.reference
"""


@dataclass(frozen=True, slots=True)
class Report:
    """A report: its columns as (key, title), its statement, and which columns are money in the row's currency."""

    columns: tuple[tuple[str, str], ...]
    statement: str
    currency_at: int
    money_at: tuple[int, ...]


REPORTS = {
    "sales": Report(
        (
            ("soldOn", "Sold on"),
            ("route", "Route"),
            ("cabin", "Cabin"),
            ("brand", "Fare"),
            ("bookings", "Bookings"),
            ("passengers", "Passengers"),
            ("currency", "Currency"),
            ("revenue", "Revenue"),
        ),
        SALES,
        6,
        (7,),
    ),
    "bookings": Report(
        (
            ("reference", "Reference"),
            ("soldAt", "Sold at (UTC)"),
            ("routes", "Routes"),
            ("cabins", "Cabins"),
            ("brands", "Fares"),
            ("passengers", "Passengers"),
            ("leadPassenger", "First passenger"),
            ("email", "E-mail"),
            ("currency", "Currency"),
            ("revenue", "Revenue in this selection"),
            ("total", "Booking total"),
        ),
        BOOKINGS,
        8,
        (9, 10),
    ),
}


class Rows:
    """The rows of a report. They are read once, a few at a time; what they add up to is known afterwards."""

    def __init__(self, session: Session, name: str, scope: Scope) -> None:
        self.session, self.scope, self.report = session, scope, REPORTS[name]
        self.name = name
        narrow = narrowing(scope) + (" and currency = :currency" if scope.currency else "")
        self.statement = self.report.statement.format(narrow=narrow, slices=slices_of(scope))
        self.added: dict[str, list[int]] = defaultdict(lambda: [0] * len(self.report.money_at))

    def count(self, most: int) -> int:
        """Return how many rows there are, counting no further than one above `most`."""
        counted = text(f"select count(*) from ({self.statement} limit {int(most) + 1}) every")  # noqa: S608 – only our own words are put in, values are bound
        return int(self.session.scalar(counted, values_of(self.scope)) or 0)

    def __iter__(self) -> Iterator[Sequence[Cell]]:
        """Yield the rows; the session needs a transaction, because they come through a cursor of the server."""
        found = self.session.execute(
            text(self.statement), values_of(self.scope), execution_options={"yield_per": AT_ONCE}
        )
        for row in found:
            yield self._cells(row)

    def _cells(self, row: Any) -> list[Cell]:
        cells, currency = list(row), row[self.report.currency_at]
        for place, at in enumerate(self.report.money_at):
            self.added[currency][place] += cells[at]
            cells[at] = Money(cells[at], currency)
        return cells

    def sums(self) -> Iterable[Sequence[Cell]]:
        """Yield a row for each currency; bookings and passengers are counted once, whatever rows they are in."""
        for currency, amounts in sorted(self.added.items()):
            whole = total(self.session, replace(self.scope, currency=currency))
            known: dict[str, Cell] = {"bookings": whole.bookings, "passengers": whole.passengers, "currency": currency}
            cells: list[Cell] = [known.get(key) for key, _ in self.report.columns]
            cells[0] = "Total"
            for at, minor in zip(self.report.money_at, amounts, strict=True):
                cells[at] = Money(minor, currency)
            yield cells

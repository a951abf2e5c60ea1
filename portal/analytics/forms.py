"""What may be asked of figures, and what programs are answered: one list of filters for page, API and exports."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from portal.analytics.models import FORMATS, REPORTS
from portal.analytics.rules import GROUPS, TIMES, Scope
from portal.flights.models import CABINS
from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire

LONGEST = timedelta(days=2 * 366)
EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)
FIELDS = ("from", "to", "route", "cabin", "brand", "currency", "groupBy")


def _day(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip()):
        raise ValueError(_("Please give a date, such as 2027-03-01."))
    return value


def _near(value: date) -> date:
    if not EARLIEST <= value < LATEST:
        raise ValueError(_("Please give a date between 2000 and 2099."))
    return value


def _route(value: str) -> str:
    if value and not re.fullmatch(r"[A-Z]{3}-[A-Z]{3}", value.upper()):
        raise ValueError(_("Please give a route by its two airports, such as JFK-LAX."))
    return value.upper()


def _one_of(choices: tuple[str, ...], *, needed: bool = False) -> Any:
    def check(value: str) -> str:
        if (value or needed) and value not in choices:
            raise ValueError(_("Please choose one of these: %(choices)s.") % {"choices": ", ".join(choices)})
        return value

    return AfterValidator(check)


def _currency(value: str) -> str:
    if value and not re.fullmatch(r"[A-Z]{3}", value.upper()):
        raise ValueError(_("Please give a currency by its three letters, such as USD."))
    return value.upper()


Day = Annotated[date, BeforeValidator(_day), AfterValidator(_near)]


class Filters(Wire):
    """What narrows figures. What is left out is all; a span left out ends today."""

    from_: Day | None = Field(None, alias="from")
    to: Day | None = None
    route: Annotated[str, AfterValidator(_route)] = ""
    cabin: Annotated[str, _one_of(CABINS)] = ""
    brand: Annotated[str, StringConstraints(max_length=40)] = ""
    currency: Annotated[str, AfterValidator(_currency)] = ""

    @field_validator("to")
    @classmethod
    def _span(cls, to: date | None, info: ValidationInfo) -> date | None:
        first = info.data.get("from_")
        if first and to and to < first:
            raise ValueError(_("The last day is before the first. Please swap them."))
        if first and to and to - first > LONGEST:
            raise ValueError(_("Please choose at most two years."))
        return to

    def scope(self, today: date, default_days: int) -> Scope:
        """Return what is asked for; the span ends today, and has `default_days`, where it is left open."""
        if self.from_ is None:
            last = self.to or today
            first = last - timedelta(days=default_days - 1)
        else:
            first = self.from_
            last = self.to or min(max(today, first), first + LONGEST)
        origin, _dash, destination = self.route.partition("-")
        return Scope(first, last, origin, destination, self.cabin, self.brand, self.currency)


class Question(Filters):
    """Filters, and by what the figures are told apart."""

    group_by: Annotated[str, _one_of(GROUPS)] = ""


class TimeQuestion(Filters):
    """Filters, and the run of time by which the figures are told apart."""

    group_by: Annotated[str, _one_of(TIMES)] = ""


def _format(value: str) -> str:
    if value == "pdf":
        raise ValueError(_("Tables are not written as PDF. Please choose csv, xlsx or json."))
    if value not in FORMATS:
        raise ValueError(_("Please choose one of these: %(choices)s.") % {"choices": ", ".join(FORMATS)})
    return value


class ExportWish(Filters):
    """Which report to write, as what kind of file, of which figures."""

    report: Annotated[str, _one_of(REPORTS, needed=True)] = "sales"
    format: Annotated[str, AfterValidator(_format)] = "csv"


class MoneyOut(Wire):
    """An amount."""

    amount: str
    currency: str


class Span(Wire):
    """The days that figures are about, both included, and the currency they are in."""

    from_: date = Field(alias="from")
    to: date
    currency: str


class FiguresOut(Wire):
    """What one group adds up to. `loadFactor` is ΣRPK / ΣASK, null where no flight is known."""

    key: str
    bookings: int
    passengers: int
    revenue: MoneyOut
    load_factor: float | None


class GroupsOut(Span):
    """Figures by group, and of all together; a booking may be in several groups, but is counted once in the total."""

    group_by: str
    data: tuple[FiguresOut, ...]
    total: FiguresOut


class FactOut(Wire):
    """Bookings and travellers of which something is so, their share of what was sold, and the money of it."""

    kind: str
    bookings: int
    booking_share: float
    passengers: int
    passenger_share: float
    amount: MoneyOut


class NoShowsOut(Wire):
    """Travellers who did not come, of those with a ticket on flights of the span whose gate has closed its books."""

    passengers: int
    ticketed: int
    share: float | None


class SummaryOut(Span):
    """The span in a few numbers, and the same of as many days before.

    `cancelled` and `refunded` are what became since of what was sold in the span, `extras` what was bought with it:
    each with its share. Bookings in `total` are those that stand.
    """

    total: FiguresOut
    before: FiguresOut
    average_booking: MoneyOut | None
    other_currencies: tuple[MoneyOut, ...]
    cancelled: FactOut
    refunded: FactOut
    no_shows: NoShowsOut
    extras: tuple[FactOut, ...]


class CountOut(Wire):
    """How many travellers are of a kind."""

    key: str
    passengers: int


class DemographicsOut(Span):
    """Who travels: by type, and by age on the day of the first flight (`unknown` where it is not)."""

    types: tuple[CountOut, ...]
    ages: tuple[CountOut, ...]


class ExportOut(Wire):
    """How far an export is; `file` is its address once it is done."""

    id: UUID
    report: str
    format: str
    status: str
    progress: int
    rows: int | None
    error: str | None
    file: str | None
    created_at: datetime

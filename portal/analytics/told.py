"""Figures as the dashboard tells them: titles that are answers, bars that lead to their rows, tables under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from babel.numbers import format_decimal

from portal.analytics import rules
from portal.analytics.models import EXTRAS
from portal.analytics.rules import Aftermath, Figures, Scope
from portal.kit import i18n
from portal.kit.i18n import gettext as _

BARS = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar or column: what it is about, how high, in words, where it leads; `before` is the time before's value."""

    label: str
    value: int
    shown: str
    href: str
    before: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table."""

    label: str
    href: str
    bookings: str
    passengers: str
    revenue_minor: int
    load: str


@dataclass(frozen=True, slots=True)
class Stat:
    """One number of the morning, with what to compare it with."""

    label: str
    shown: str
    comparisons: tuple[tuple[str, str], ...]
    href: str


def address(scope: Scope, group: str = "", *, path: str = "/admin") -> str:
    """Return the dashboard's address that shows the scope."""
    words = scope.wire() | ({"groupBy": group} if group else {})
    return f"{path}?{urlencode(words)}"


def number(value: int) -> str:
    """Return a whole number with separators, as the reader writes it."""
    return str(format_decimal(value, locale=i18n.locale.get()))


def load(row: Figures) -> str:
    """Return the load factor in words; a dash where no seats are known."""
    return "–" if row.load_percent is None else f"{row.load_percent} %"


def morning(
    scope: Scope, group: str, days: Mapping[str, Figures], spans: tuple[Figures, Figures], yesterday: date
) -> list[Stat]:
    """Return the three numbers: sold and travelling as of yesterday, and how full the span's flights are."""
    named = ((_("the day before"), 1), (_("a week before"), 7))
    one = days.get(str(yesterday), Figures(""))
    others = [(words, days.get(str(yesterday - timedelta(days=ago)), Figures(""))) for words, ago in named]
    href = address(scope.on(yesterday), group)
    money = tuple((words, i18n.price(row.revenue_minor, scope.currency)) for words, row in others)
    people = tuple((words, number(row.passengers)) for words, row in others)
    before = (
        (
            _(
                "the %(days)s days before",
            )
            % {"days": scope.days},
            load(spans[1]),
        ),
    )
    return [
        Stat(_("Sold yesterday"), i18n.price(one.revenue_minor, scope.currency), money, href),
        Stat(_("Passengers booked yesterday"), number(one.passengers), people, href),
        Stat(_("Load factor of these days"), load(spans[0]), before, address(scope, "route")),
    ]


def columns(scope: Scope, group: str, now: Mapping[str, Figures], past: Mapping[str, Figures], by: str) -> list[Bar]:
    """Return a column for every period of the scope, each with the one that many periods before."""
    starts = rules.periods(scope, by)
    earlier = rules.periods(scope.before(), by)[-len(starts) :]
    earlier = [*earlier, *starts][: len(starts)]
    return [
        _column(scope, group, by, start, now, past.get(str(old))) for start, old in zip(starts, earlier, strict=True)
    ]


def _column(scope: Scope, group: str, by: str, start: date, now: Mapping[str, Figures], old: Figures | None) -> Bar:
    minor = now.get(str(start), Figures("")).revenue_minor
    before = old.revenue_minor if old else 0
    href = address(_period(scope, by, start), group)
    return Bar(period_label(start, by), minor, i18n.price(minor, scope.currency), href, before)


def _period(scope: Scope, by: str, start: date) -> Scope:
    last = rules.next_after(start, by) - timedelta(days=1)
    return replace(scope, first=max(scope.first, start), last=min(scope.last, last))


def period_label(start: date, by: str) -> str:
    """Return what a period is called."""
    if by == "week":
        return _("week of %(day)s") % {"day": i18n.day(start)}
    return f"{start:%Y-%m}" if by == "month" else i18n.short_day(start)


def group_label(group: str, key: str) -> str:
    """Return what a group is called."""
    if group == "route":
        return key.replace("-", " → ")
    words = {"economy": _("Economy"), "premium": _("Premium"), "business": _("Business"), "first": _("First")}
    return words.get(key, key)


def narrowed(scope: Scope, group: str, key: str) -> str:
    """Return the address that shows one group only."""
    if group in rules.TIMES:
        return address(_period(scope, group, date.fromisoformat(key)))
    if group == "route":
        origin, _dash, destination = key.partition("-")
        return address(replace(scope, origin=origin, destination=destination), "cabin")
    after = {"cabin": "brand", "brand": "route"}[group]
    cabin, brand = (key, scope.brand) if group == "cabin" else (scope.cabin, key)
    return address(replace(scope, cabin=cabin, brand=brand), after)


def bars(scope: Scope, group: str, rows: Sequence[Figures], past: Mapping[str, Figures]) -> list[Bar]:
    """Return the bars of the groups that sold most."""
    return [
        Bar(
            group_label(group, row.key),
            row.revenue_minor,
            i18n.price(row.revenue_minor, scope.currency),
            narrowed(scope, group, row.key),
            past[row.key].revenue_minor if row.key in past else None,
        )
        for row in rows[:BARS]
    ]


def line(scope: Scope, group: str, row: Figures) -> Line:
    """Return a row of the table."""
    label = period_label(date.fromisoformat(row.key), group) if group in rules.TIMES else group_label(group, row.key)
    return _line(label, narrowed(scope, group, row.key), row)


def total_line(row: Figures) -> Line:
    """Return the row of all together."""
    return _line("", "", row)


def _line(label: str, href: str, row: Figures) -> Line:
    return Line(label, href, number(row.bookings), number(row.passengers), row.revenue_minor, load(row))


def groups_title(group: str, rows: Sequence[Figures], total_minor: int) -> str:
    """Return the answer that the bars give."""
    best = rules.leading(rows)
    if best is None:
        return _("Nothing was sold in these days")
    percent = rules.share_percent(best.revenue_minor, total_minor)
    words = {"name": group_label(group, best.key), "percent": f"{percent}\u00a0%"}
    if len(rows) == 1:
        return (
            _("Everything was sold in %(name)s") % words if group != "route" else _("All was sold on %(name)s") % words
        )
    return _("%(name)s brings %(percent)s of what was sold") % words


def run_title(now: Figures, before: Figures, days: int) -> str:
    """Return the answer that the columns give: more or less than before."""
    if not now.revenue_minor:
        return _("Nothing was sold in these days")
    if not before.revenue_minor:
        return _("These are the first sales in %(days)s days") % {"days": 2 * days}
    change = rules.share_percent(now.revenue_minor - before.revenue_minor, before.revenue_minor)
    words = {"percent": f"{abs(change)}\u00a0%", "days": days}
    if abs(change) < 1:
        return _("Sales are as in the %(days)s days before") % words
    if change > 0:
        return _("Sales are %(percent)s above the %(days)s days before") % words
    return _("Sales are %(percent)s below the %(days)s days before") % words


def aftermath(scope: Scope, became: Aftermath) -> list[Stat]:
    """Return what became of what was sold, as numbers of their own: cancelled, given back, and who did not come."""
    gone, back = became.fact("cancelled"), became.fact("refunded")
    rate = became.no_show_percent
    return [
        Stat(
            _("Bookings cancelled since"),
            number(gone.bookings),
            (
                (_("of all that were sold"), percent(gone.bookings, became.ever)),
                (_("travellers who no longer fly"), number(gone.passengers)),
            ),
            "/admin/bookings?status=cancelled",
        ),
        Stat(
            _("Money given back"),
            i18n.price(back.amount_minor, scope.currency),
            ((_("bookings it went to"), number(back.bookings)),),
            "/admin/payments",
        ),
        Stat(
            _("Travellers who did not come"),
            number(became.no_shows),
            ((_("of those with a ticket"), "–" if rate is None else f"{rate} %"),),
            "/admin/boarding",
        ),
    ]


def percent(part: int, whole: int) -> str:
    """Return a share in whole per cent."""
    return f"{rules.share_percent(part, whole)}\u00a0%"


@dataclass(frozen=True, slots=True)
class Extra:
    """One kind of extra in a table: how many bookings and travellers have it, their shares, and what it brought."""

    label: str
    bookings: str
    of_bookings: str
    passengers: str
    of_passengers: str
    amount_minor: int


def extra_name(kind: str) -> str:
    """Return what a kind of extra is called."""
    return {
        "seat": _("Chosen seat"),
        "bag": _("Bag"),
        "meal": _("Meal"),
        "priority": _("Priority"),
        "insurance": _("Insurance"),
        "extra": _("Any extra"),
    }[kind]


def extras(became: Aftermath) -> list[Extra]:
    """Return each kind of extra with how many have it, any of them last."""
    return [_extra(became, kind) for kind in (*EXTRAS, "extra")]


def _extra(became: Aftermath, kind: str) -> Extra:
    one, sold = became.fact(kind), became.sold
    return Extra(
        extra_name(kind),
        number(one.bookings),
        percent(one.bookings, sold.bookings),
        number(one.passengers),
        percent(one.passengers, sold.passengers),
        one.amount_minor,
    )


def extra_bars(became: Aftermath, before: Aftermath) -> list[Bar]:
    """Return a bar for each kind of extra: the share of bookings that have it; the mark is the time before."""
    return [
        Bar(
            extra_name(kind),
            rules.share_percent(became.fact(kind).bookings, became.sold.bookings),
            percent(became.fact(kind).bookings, became.sold.bookings),
            "#extras",
            rules.share_percent(before.fact(kind).bookings, before.sold.bookings),
        )
        for kind in EXTRAS
    ]


def extras_title(became: Aftermath) -> str:
    """Return the answer that the bars give: how many buy an extra at all."""
    share = percent(became.fact("extra").bookings, became.sold.bookings)
    if not became.fact("extra").bookings:
        return _("No booking of these days has an extra")
    return _("%(percent)s of the bookings have an extra") % {"percent": share}


def scope_words(kept: Mapping[str, str]) -> str:
    """Return an export's filters in words."""
    span = _("%(first)s to %(last)s") % {
        "first": i18n.day(date.fromisoformat(kept["from"])),
        "last": i18n.day(date.fromisoformat(kept["to"])),
    }
    return " · ".join([span, *(kept[name] for name in ("route", "cabin", "brand", "currency") if name in kept)])


def group_name(group: str) -> str:
    """Return what figures are grouped by, in words."""
    return {
        "day": _("Day"),
        "week": _("Week"),
        "month": _("Month"),
        "route": _("Route"),
        "cabin": _("Cabin"),
        "brand": _("Fare"),
    }[group]


def size(count: int) -> str:
    """Return a file's size in words."""
    return _("%(size)s kB") % {"size": number(max(1, round(count / 1000)))}


def progress(state: str, rows: int | None) -> str:
    """Return how far an export is, in words."""
    if state == "waiting":
        return _("Waiting for its turn")
    if state == "done":
        return _("%(rows)s rows") % {"rows": number(rows or 0)}
    return _("%(rows)s rows written") % {"rows": number(rows or 0)} if rows else _("Reading the figures")

"""The tables of prices that staff edit, told once: which fields a row has, how each is typed, read and shown. Pure.

A version of a row is never edited: a change is a new row from a day on, and the row before it ends the day before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from portal.kit import money
from portal.kit.i18n import day, price
from portal.kit.i18n import gettext as _

Choices = Callable[[], list[tuple[str, str]]]
SHOWN = 5
CABINS = ("economy", "premium", "business", "first")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `kind` says how it is typed; `fixed` ones make the row what it is, and stay the same in each version.

    Kinds: text, words (may be empty), code, codes, whole, percent (to basis points), money, worth (a tax's: percent or
    money), rate (to millionths), choice, many, yes (a box), either (yes, no, or both), day.
    """

    name: str
    label: Callable[[], str]
    kind: str = "text"
    optional: bool = False
    fixed: bool = False
    hint: Callable[[], str] | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table of prices: its rows' fields in the order of the form, and how a row is told in one line."""

    name: str
    title: Callable[[], str]
    about: Callable[[], str]
    fields: tuple[Field, ...]
    words: Callable[[Mapping[str, Any]], tuple[str, str, str]]
    engine: bool = True

    def field(self, name: str) -> Field:
        """Return the field of this name."""
        return next(one for one in self.fields if one.name == name)


def percent(bp: int) -> str:
    """Return a factor as people say it: `+12.5 %`, `−10 %`, `as it is`."""
    change = (Decimal(bp) - 10_000) / 100
    if not change:
        return _("as it is")
    return f"{'+' if change > 0 else '−'}{abs(change).normalize():f} %"


def per_hundred(bp: int) -> str:
    """Return basis points as a per cent figure: 750 → `7.5`."""
    return f"{(Decimal(bp) / 100).normalize():f}"


def _bounds(row: Mapping[str, Any]) -> str:
    low, high, kind = row["low"], row["high"], row["kind"]
    if kind == "weekday":
        names = [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")]
        ends = dict.fromkeys((names[(low or 1) - 1], names[(high or 7) - 1]))
        return " – ".join(ends)
    if kind == "season":
        return f"{_month_day(low or 101)} – {_month_day(high or 1231)}"
    if kind == "holiday":
        return f"{_whole_day(low)} – {_whole_day(high)}"
    if kind == "load":
        return _("from %(percent)s %% sold") % {"percent": per_hundred(low or 0)}
    if kind == "advance":
        return _advance(low, high)
    return ""


def _advance(low: int, high: int | None) -> str:
    if high is None:
        return _("%(low)s days ahead and more") % {"low": low}
    return _("%(low)s–%(high)s days ahead") % {"low": low, "high": high}


def _month_day(number: int) -> str:
    shown = day(date(2028, number // 100, number % 100))
    return shown.rpartition(" ")[0]


def _whole_day(number: int) -> str:
    return day(date(number // 10_000, number // 100 % 100, number % 100))


def rule_kinds() -> dict[str, str]:
    """Return what each kind of price rule is called."""
    return {
        "season": _("Season"),
        "holiday": _("Holiday"),
        "weekday": _("Weekday"),
        "advance": _("Days to departure"),
        "load": _("Seats sold"),
        "route": _("Route"),
    }


def _rule_words(row: Mapping[str, Any]) -> tuple[str, str, str]:
    where = [" – ".join(row[end] or _("any") for end in ("origin", "destination"))] if _has_ends(row) else []
    where += [choice(row["cabin"])] if row["cabin"] else []
    told = ", ".join(part for part in (_bounds(row), *where) if part)
    return f"{rule_kinds()[row['kind']]}: {_(row['label'])}", told, percent(row["factor_bp"])


def _has_ends(row: Mapping[str, Any]) -> bool:
    return bool(row["origin"] or row["destination"])


def _tax_words(row: Mapping[str, Any]) -> tuple[str, str, str]:
    worth = f"{per_hundred(row['amount'])} %" if row["kind"] == "percent" else price(row["amount"], row["currency"])
    how = {"percent": _("of the fare"), "per_passenger": _("a passenger"), "per_segment": _("a segment")}[row["kind"]]
    to = _countries(row["destinations"])
    ends = f"{_countries(row['origins'])} → {_('not') + ' ' if row['elsewhere'] else ''}{to}"
    told = ", ".join([ends, *_tax_limits(row)])
    return f"{row['code']} {_(row['label'])}", told, f"{worth} {how}"


def _countries(codes: list[str] | None) -> str:
    if not codes:
        return _("any")
    more = _("and %(count)s more") % {"count": len(codes) - SHOWN} if len(codes) > SHOWN + 1 else ""
    return " ".join([*(codes[:SHOWN] if more else codes), more]).strip()


def _tax_limits(row: Mapping[str, Any]) -> list[str]:
    cabins = {True: [_("economy")], False: [_("other cabins")], None: []}[row["economy"]]
    where = {True: [_("inside one country")], False: [_("between countries")], None: []}[row["domestic"]]
    return [*cabins, *where, *([] if row["children_pay"] else [_("not for children")])]


def _rate_words(row: Mapping[str, Any]) -> tuple[str, str, str]:
    rate = f"{Decimal(row['millionths_per_usd']) / 1_000_000:f}".rstrip("0").rstrip(".")
    return row["currency"], _("for one US dollar"), rate


def _seat_words(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return (
        f"{choice(row['cabin'])}: {row['feature']}",
        _("a passenger and flight"),
        price(row["amount_minor"], row["currency"]),
    )


def _extra_words(row: Mapping[str, Any]) -> tuple[str, str, str]:
    told = f"{row['kind']}, {_('at most')} {row['most']} × {choice(row['per'])}"
    return f"{_(row['label'])}", told, price(row["amount_minor"], row["currency"])


def _brand_words(row: Mapping[str, Any]) -> tuple[str, str, str]:
    told = _("change: %(change)s, refund: %(refund)s, bags: %(bags)s")
    values = {"change": choice(row["change"]), "refund": choice(row["refund"]), "bags": row["checked_bags"]}
    return f"{choice(row['cabin'])} {row['brand']}", told % values, percent(row["factor_bp"])


def _class_words(row: Mapping[str, Any]) -> tuple[str, str, str]:
    told = _("%(demand)s %% of seats wanted, ± %(sigma)s %%, over %(days)s days")
    values = {"demand": per_hundred(row["demand_bp"]), "sigma": per_hundred(row["sigma_bp"])}
    return (
        f"{choice(row['cabin'])} {row['letter']}",
        told % {**values, "days": row["booking_days"]},
        percent(row["factor_bp"]),
    )


def _source() -> Field:
    return Field("source", lambda: _("Why, or by which law"), hint=lambda: _("Whoever reads this in a year is glad."))


FACTOR = Field(
    "factor_bp",
    lambda: _("Per cent of the price so far"),
    "percent",
    hint=lambda: _("100 leaves it as it is, 112.5 makes it an eighth dearer."),
)
CURRENCY = Field("currency", lambda: _("Currency"), "code", fixed=True)
AMOUNT = Field("amount_minor", lambda: _("Price"), "money")

TABLES: tuple[Table, ...] = (
    Table(
        "fares",
        lambda: _("Price rules"),
        lambda: _("What a day, a route or a full cabin does to a fare. The day of sale decides which version counts."),
        (
            Field("kind", lambda: _("Kind"), "choice", fixed=True, choices=tuple(rule_kinds())),
            Field("label", lambda: _("Name")),
            FACTOR,
            Field(
                "low",
                lambda: _("From"),
                "whole",
                optional=True,
                hint=lambda: _("Season 1215, holiday 20271222, weekday 1 is Monday, days ahead 14, sold 8500."),
            ),
            Field("high", lambda: _("To"), "whole", optional=True, hint=lambda: _("Included; empty is open.")),
            Field("origin", lambda: _("Only from"), "code", optional=True),
            Field("destination", lambda: _("Only to"), "code", optional=True),
            Field("cabin", lambda: _("Only in"), "choice", optional=True, choices=CABINS),
            Field("code", lambda: _("In the fare basis"), "words", optional=True),
            _source(),
        ),
        _rule_words,
    ),
    Table(
        "taxes",
        lambda: _("Taxes and fees"),
        lambda: _("Due by law or by airport. The day of departure decides which version counts."),
        (
            Field("code", lambda: _("Code")),
            Field("label", lambda: _("Name")),
            Field(
                "kind",
                lambda: _("Counted"),
                "choice",
                fixed=True,
                choices=("percent", "per_passenger", "per_segment"),
            ),
            Field("amount", lambda: _("Per cent, or amount"), "worth"),
            CURRENCY,
            Field("origins", lambda: _("From countries"), "codes", optional=True),
            Field("destinations", lambda: _("To countries"), "codes", optional=True),
            Field("elsewhere", lambda: _("To all countries but these"), "yes"),
            Field("domestic", lambda: _("Inside one country"), "either"),
            Field("economy", lambda: _("In economy"), "either"),
            Field("children_pay", lambda: _("Children pay it"), "yes"),
            Field("infants_pay", lambda: _("Infants pay it"), "yes"),
            Field("at_most", lambda: _("At most on so many segments"), "whole", optional=True),
            _source(),
        ),
        _tax_words,
    ),
    Table(
        "brands",
        lambda: _("Fare brands"),
        lambda: _("What each brand costs and allows. The day of sale decides; what is sold keeps its terms."),
        (
            Field("cabin", lambda: _("Cabin"), "choice", fixed=True, choices=CABINS),
            Field("brand", lambda: _("Brand"), fixed=True),
            FACTOR,
            Field("cabin_bag", lambda: _("A cabin bag is included"), "yes"),
            Field("checked_bags", lambda: _("Checked bags included"), "whole"),
            Field("seat", lambda: _("Choice of seat"), "choice", choices=("allowed", "penalty", "no")),
            Field("refund", lambda: _("Refund"), "choice", choices=("allowed", "penalty", "no")),
            Field("refund_penalty_minor", lambda: _("Fee for a refund, in US dollars"), "money"),
            Field("change", lambda: _("Change"), "choice", choices=("allowed", "penalty", "no")),
            Field("change_penalty_minor", lambda: _("Fee for a change, in US dollars"), "money"),
        ),
        _brand_words,
    ),
    Table(
        "classes",
        lambda: _("Booking classes"),
        lambda: _("What each class costs and how its demand comes in. The day of sale decides."),
        (
            Field("cabin", lambda: _("Cabin"), "choice", fixed=True, choices=CABINS),
            Field("letter", lambda: _("Letter"), fixed=True),
            FACTOR,
            Field("demand_bp", lambda: _("Per cent of the seats wanted"), "percent"),
            Field("sigma_bp", lambda: _("Give or take, per cent"), "percent"),
            Field("booking_days", lambda: _("Over so many days before departure"), "whole"),
        ),
        _class_words,
    ),
    Table(
        "rates",
        lambda: _("Exchange rates"),
        lambda: _("Turn a tax or an extra into the fare's currency, from a day on until the next."),
        (CURRENCY, Field("millionths_per_usd", lambda: _("Worth of one US dollar"), "rate"), _source()),
        _rate_words,
        engine=False,
    ),
    Table(
        "seats",
        lambda: _("Seat prices"),
        lambda: _("What choosing a seat costs, by its dearest feature. The day of sale decides."),
        (
            Field("cabin", lambda: _("Cabin"), "choice", fixed=True, choices=CABINS),
            Field(
                "feature",
                lambda: _("Feature"),
                "choice",
                fixed=True,
                choices=("any", "window", "middle", "aisle", "front", "legroom", "exit"),
            ),
            AMOUNT,
            CURRENCY,
            _source(),
        ),
        _seat_words,
        engine=False,
    ),
    Table(
        "extras",
        lambda: _("Extras"),
        lambda: _("Bags, meals and the like. The day of sale decides."),
        (
            Field("code", lambda: _("Code"), fixed=True),
            Field(
                "kind",
                lambda: _("Kind"),
                "choice",
                fixed=True,
                choices=("bag", "meal", "priority", "insurance", "assistance"),
            ),
            Field("per", lambda: _("For each"), "choice", fixed=True, choices=("slice", "flight", "trip")),
            Field("label", lambda: _("Name")),
            Field("detail", lambda: _("In one sentence")),
            AMOUNT,
            CURRENCY,
            Field("most", lambda: _("At most, for a traveller"), "whole"),
            Field("cabins", lambda: _("Only in"), "many", optional=True, choices=CABINS),
            Field("travellers", lambda: _("Only for"), "many", optional=True, choices=("adult", "child", "infant")),
            Field("included_cabins", lambda: _("Free in"), "many", choices=CABINS),
            Field("included_brands", lambda: _("Free with"), "many", choices=("Basic", "Standard", "Flex")),
            Field("hours_before", lambda: _("Until so many hours before departure"), "whole"),
            Field("position", lambda: _("Place on the page"), "whole"),
            _source(),
        ),
        _extra_words,
        engine=False,
    ),
)


def choice(value: str) -> str:
    """Return what a value to choose is called."""
    called = {
        **rule_kinds(),
        "economy": _("Economy"),
        "premium": _("Premium economy"),
        "business": _("Business"),
        "first": _("First"),
        "percent": _("per cent of the fare"),
        "per_passenger": _("an amount for each passenger"),
        "per_segment": _("an amount for each segment"),
        "allowed": _("included"),
        "penalty": _("for a fee"),
        "no": _("not allowed"),
        "slice": _("direction"),
        "flight": _("flight"),
        "trip": _("whole trip"),
        "adult": _("Adult"),
        "child": _("Child"),
        "infant": _("Infant on a lap"),
    }
    return called.get(value, value)


def without_gap(days: Iterable[tuple[date, date | None]], on: date) -> bool:
    """True where one of these spans, ends included and None open, holds on the day `on` and on every day after it."""
    for first, last in sorted(days, key=lambda one: one[0]):
        if first > on:
            return False
        if last is None:
            return True
        on = max(on, last + timedelta(days=1))
    return False


def typed(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's fields as they stand in a form."""
    return {field.name: _typed(field, row) for field in table.fields}


def _typed(field: Field, row: Mapping[str, Any]) -> Any:
    value = row[field.name]
    if field.kind == "worth":
        return per_hundred(value) if row["kind"] == "percent" else money.decimal_text(value, row["currency"])
    if field.kind == "either":
        return {None: "", True: "yes", False: "no"}[value]
    if field.kind in ("yes", "many"):
        return value or ([] if field.kind == "many" else False)
    if value is None:
        return ""
    makers: dict[str, Callable[[], str]] = {
        "percent": lambda: per_hundred(value),
        "money": lambda: money.decimal_text(value, row.get("currency", "USD")),
        "rate": lambda: f"{(Decimal(value) / 1_000_000).normalize():f}",
        "codes": lambda: " ".join(value),
    }
    return makers.get(field.kind, lambda: str(value))()

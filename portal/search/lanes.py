"""What pricing does to every flight of a search, as small arrays: SQL then prices thousands of ways in one statement.

Season, weekday and advance depend on the day of departure and on today, the route on the two ends; so all flights on a
lane – one pair of ends, one day – share four factors. How full the cabin is and which booking class is open depend on
the flight's counters: SQL finds the stair and the class, and looks their factors up. Taxes depend on the country of
connection and the currency. Nothing here comes from the client.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache
from typing import Any

from portal.pricing.rules import TYPES, Party, PriceBook
from portal.pricing.steps import DAY_STEPS, Tariff, factor_of

STEP_NAMES = ("route", "season", "weekday", "advance")
# A second flight leaves its hub up to four local days after the first left its origin, or a day before (date line).
DAYS_BEFORE, DAYS_SPANNED = 2, 7


def array(values: Iterable[str | float]) -> str:
    """Return an array as PostgreSQL reads it from text: made once, it is handed over much faster than a list."""
    return "{" + ",".join(f'"{one}"' if isinstance(one, str) else str(one) for one in values) + "}"


@dataclass(frozen=True, slots=True)
class Lanes:
    """Four factors for each lane: of every airport of `codes` after those of all others, and of every day in turn."""

    codes: tuple[str, ...]
    factors: tuple[tuple[int, ...], ...]

    def values(self, prefix: str) -> dict[str, Any]:
        """Return the arrays as SQL values."""
        named = zip(STEP_NAMES, self.factors, strict=True)
        return {f"{prefix}_codes": array(self.codes), **{f"{prefix}_{name}": array(bps) for name, bps in named}}


@dataclass(frozen=True)
class Factors:
    """Everything that turns a base fare into a fare, for one cabin, one party and one day of sale.

    `plain` are the factors of the flights straight from origin to destination; `out` and `back` are those of first and
    second flights, where the search allows connections.
    """

    plain: tuple[int, ...]
    starts: tuple[int, ...]
    stairs: tuple[int, ...]
    classes: tuple[int, ...]
    out: Lanes | None = None
    back: Lanes | None = None

    @cached_property
    def values(self) -> dict[str, Any]:
        """They as SQL values."""
        values: dict[str, Any] = {"starts": array(self.starts), "stairs": array(self.stairs)}
        values |= {"class_bps": array(self.classes), "classes": len(self.classes)}
        if self.out is None or self.back is None:
            return values | {f"plain_{name}": bp for name, bp in zip(STEP_NAMES, self.plain, strict=True)}
        return values | self.out.values("out") | self.back.values("back")


@lru_cache(maxsize=2048)
def factors(
    tariff: Tariff, origin: str, destination: str, *, cabin: str, on: date, today: date, stops: bool
) -> Factors:
    """Return what a search for flights of a day needs."""
    out = back = None
    if stops:
        days = [on + timedelta(days=number - DAYS_BEFORE) for number in range(DAYS_SPANNED)]
        ends = sorted({one.destination for one in tariff.rules if one.destination and one.origin in (None, origin)})
        starts = sorted({one.origin for one in tariff.rules if one.origin and one.destination in (None, destination)})
        out = _lanes(tariff, ends, [(origin, code) for code in ("", *ends)], [on], cabin=cabin, today=today)
        back = _lanes(tariff, starts, [(code, destination) for code in ("", *starts)], days, cabin=cabin, today=today)
    plain = days_of(tariff, origin, destination, [on], cabin=cabin, today=today)
    ladder = tariff.ladder(cabin=cabin, today=today)
    row = tuple(bps[0] for bps in plain.factors)
    return Factors(row, ladder.starts, ladder.factors, tariff.class_factors(cabin), out, back)


def days_of(tariff: Tariff, origin: str, destination: str, days: Sequence[date], *, cabin: str, today: date) -> Lanes:
    """Return the lanes of one pair of ends on these days."""
    return _lanes(tariff, (), [(origin, destination)], days, cabin=cabin, today=today)


def _lanes(
    tariff: Tariff,
    codes: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    days: Sequence[date],
    *,
    cabin: str,
    today: date,
) -> Lanes:
    lanes = [tariff.lane(*pair, cabin=cabin, on=day, today=today) for pair in pairs for day in days]
    return Lanes(tuple(codes), tuple(tuple(factor_of(lane[step]) for lane in lanes) for step in range(DAY_STEPS)))


@lru_cache(maxsize=2048)
def levies(
    book: PriceBook,
    ends: tuple[str, str],
    *,
    on: date,
    cabin: str,
    party: Party,
    vias: tuple[str, ...],
    currencies: tuple[str, ...],
    main: str,
) -> dict[str, Any]:
    """Return, as SQL values, what is added to a fare between two countries for each way to connect and currency.

    A row for every via ("" is non-stop) and currency, `main` and `currencies`: the rates for each type of traveller,
    the fixed lines for the whole party, and what one minor unit is worth in `main`. Raises NoRate when a tax that is
    due cannot be turned into a currency.
    """
    names = ("vias", "currencies", "adult_bps", "child_bps", "infant_bps", "fixed", "weights")
    rows: list[tuple[str | float, ...]] = []
    for currency in sorted({main, *currencies} & set(book.rates)):
        weight = book.converted(10**9, currency, main) / 10**9
        for via in ("", *vias):
            due = book.levies((ends[0], *([via] if via else []), ends[1]), on=on, cabin=cabin, currency=currency)
            fixed = sum(count * due[name].fixed_minor for name, count in party.counts.items())
            rows.append((via, currency, *(due[name].rate_bp for name in TYPES), fixed, weight))
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return {name: array(column) for name, column in zip(names, columns, strict=True)}

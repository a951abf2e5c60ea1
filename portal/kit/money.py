"""Money: whole minor units and an ISO 4217 currency. Never a float. Amounts as text are remembered: Babel is slow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, Overflow
from functools import cache, lru_cache

from babel.numbers import format_currency, get_currency_precision

# More than anything costs, and little enough for every column, key and page that it may come to.
TOO_MUCH = 10**15
PLAIN = re.compile("[0-9]+")
GROUPED = re.compile(r"[1-9][0-9]{0,2}(?P<mark>[.,' ])[0-9]{3}(?:(?P=mark)[0-9]{3})*")
DECIMALS = re.compile("(.*)([.,])([0-9]+)")
NO_AMOUNT = "?"


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in `minor` units (cents) of `currency`."""

    minor: int
    currency: str

    def wire(self) -> dict[str, str]:
        """Return the form that the API speaks: `{"amount": "123.45", "currency": "USD"}`."""
        return {"amount": decimal_text(self.minor, self.currency), "currency": self.currency}


@cache
def digits(currency: str) -> int:
    """Return how many decimals `currency` has: 2 for USD, 0 for JPY, 3 for KWD."""
    return int(get_currency_precision(currency))


@lru_cache(maxsize=16_384)
def decimal_text(minor: int, currency: str) -> str:
    """Return `minor` as a decimal string with the currency's own number of digits."""
    return str(Decimal(minor).scaleb(-digits(currency)).quantize(Decimal(1).scaleb(-digits(currency))))


def parse(text: str, currency: str) -> Money:
    """Return the money that `text` names.

    Raises ValueError if it has more digits than the currency, is none, or is `TOO_MUCH` minor units or more.
    """
    try:
        scaled = Decimal(text).scaleb(digits(currency))
    except (InvalidOperation, Overflow):
        raise ValueError(f"{text!r} is not an amount") from None
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError(f"{text!r} has more digits than {currency} knows")
    if abs(scaled) >= TOO_MUCH:  # Before it is an int: 1E5000 has more digits than one may be written with.
        raise ValueError(f"{text!r} is too much")
    return Money(int(scaled), currency)


def typed(text: str, currency: str) -> Money:
    """Return the money that a person typed: `1,000`, `1,000.50`, `1.000,50`, `1 000,5` and `1000.5` are all understood.

    A comma before exactly three digits marks thousands; a dot there, and whatever else may mean two amounts, raises
    ValueError, as all does that is no amount. Where a currency has three decimals, it is the dot that parts them, as we
    write it, and the comma that may mean two amounts.
    """
    whole, part = " ".join(text.split()).replace("\u2019", "'"), ""
    if found := DECIMALS.fullmatch(whole):
        head, mark, tail = found.groups()
        if mark == "," and len(tail) == 3 and PLAIN.fullmatch(head):
            whole = whole if digits(currency) < 3 else ""
        elif mark not in head:
            whole, part = head or "0", tail
    if not (PLAIN.fullmatch(whole) or GROUPED.fullmatch(whole)) or len(part) > digits(currency):
        raise ValueError(f"{text!r} is not an amount of {currency}, or may be two")
    return parse(f"{re.sub('[^0-9]', '', whole)}.{part or 0}", currency)


def typed_text(text: str, currency: str) -> str:
    """Return what a page's form calls an amount as the API writes it: nothing stays nothing, and no amount is `?`."""
    if not text.strip():
        return ""
    try:
        return decimal_text(typed(text, currency).minor, currency)
    except ValueError:
        return NO_AMOUNT


def share(minor: int, numerator: int, denominator: int) -> int:
    """Return `minor * numerator / denominator`, half rounded up, in whole minor units."""
    return int((Decimal(minor) * numerator / denominator).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def split(minor: int, weights: Sequence[int]) -> list[int]:
    """Split `minor` by `weights` so that the parts add up exactly (largest remainder; ties go to the first)."""
    total = sum(weights)
    floors = [minor * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(minor * weights[i] % total), i))
    for index in order[: minor - sum(floors)]:
        floors[index] += 1
    return floors


@lru_cache(maxsize=16_384)
def shown(minor: int, currency: str, locale: str = "en") -> str:
    """Return the amount as a person of `locale` writes it: `$1,234.50`."""
    return str(format_currency(Decimal(minor).scaleb(-digits(currency)), currency, locale=locale))

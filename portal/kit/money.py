"""Money: whole minor units and an ISO 4217 currency. Never a float. Amounts as text are remembered: Babel is slow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, Overflow
from functools import cache, lru_cache

from babel.numbers import format_currency, get_currency_precision

# More than anything costs, and little enough for every column, key and page that it may come to.
TOO_MUCH = 10**15


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

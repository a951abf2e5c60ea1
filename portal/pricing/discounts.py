"""What a promotion takes off a price: pure. It adds up exactly, takes no fare below zero, and leaves taxes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from portal.kit.i18n import gettext as _
from portal.kit.i18n import price
from portal.kit.money import share, split
from portal.pricing.errors import PromotionRefused
from portal.pricing.rules import PriceBook, PriceLine

LINE = "promotion"
WHOLE_BP = 10_000


@dataclass(frozen=True, slots=True)
class PromotionView:
    """A promotion as people see it; `sale` is early, open, over or ended, by the database's clock."""

    id: int
    code: str
    label: str
    kind: str
    amount: int
    currency: str
    minimum_minor: int
    cap_minor: int | None
    sale_from: datetime
    sale_to: datetime | None
    travel_from: date | None
    travel_to: date | None
    routes: tuple[str, ...] | None
    brands: tuple[str, ...] | None
    cabins: tuple[str, ...] | None
    total_uses: int | None
    per_customer: int | None
    used: int
    ended_at: datetime | None
    sale: str

    @property
    def worth(self) -> str:
        """What it takes off, as people write it: `10 %` or `$25.00`."""
        if self.kind == "amount":
            return price(self.amount, self.currency)
        return f"{self.amount / 100:g} %"


@dataclass(frozen=True, slots=True)
class PromotedSlice:
    """What a promotion needs to know of one direction; `departs_on` are its flights' local days."""

    position: int
    origin: str
    destination: str
    cabin: str
    brand: str
    departs_on: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class PaidFare:
    """What one passenger (counted from 0) pays as fare, before taxes, for one direction."""

    who: int
    slice_position: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Discount:
    """What comes off one passenger's fare in one direction, as a line of the price: its amount is negative."""

    who: int
    slice_position: int
    line: PriceLine


def discounts(
    promotion: PromotionView,
    slices: Sequence[PromotedSlice],
    fares: Sequence[PaidFare],
    currency: str,
    book: PriceBook,
) -> list[Discount]:
    """Return what comes off each fare: pure. It adds up exactly, takes no fare below zero, and leaves taxes alone.

    Only fares in directions that the promotion is for count, for the discount and for its minimum. Raises
    PromotionRefused where there is none, or where they are below the minimum.
    """
    meant = {one.position for one in slices if _misfit(promotion, one) is None}
    if not meant:
        raise PromotionRefused(_misfit(promotion, slices[0]) or "")
    mine = [fare for fare in fares if fare.slice_position in meant and fare.amount_minor > 0]
    whole = sum(fare.amount_minor for fare in mine)
    minimum = book.converted(promotion.minimum_minor, promotion.currency, currency)
    if whole < max(minimum, 1):
        raise PromotionRefused(_too_little(promotion))
    parts = split(_off(promotion, whole, currency, book), [fare.amount_minor for fare in mine])
    line = _("Promotion %(code)s") % {"code": promotion.code}
    return [
        Discount(fare.who, fare.slice_position, PriceLine(LINE, line, -part))
        for fare, part in zip(mine, parts, strict=True)
        if part
    ]


def _off(promotion: PromotionView, whole: int, currency: str, book: PriceBook) -> int:
    if promotion.kind == "percent":
        off = share(whole, promotion.amount, WHOLE_BP)
    else:
        off = book.converted(promotion.amount, promotion.currency, currency)
    if promotion.cap_minor is not None:
        off = min(off, book.converted(promotion.cap_minor, promotion.currency, currency))
    return min(off, whole)


def _too_little(promotion: PromotionView) -> str:
    least = price(promotion.minimum_minor, promotion.currency)
    return _("This code needs fares of at least %(least)s, before taxes.") % {"least": least}


def _misfit(promotion: PromotionView, piece: PromotedSlice) -> str | None:
    """Return why a promotion is not for this direction, or None."""
    if promotion.routes is not None and f"{piece.origin}-{piece.destination}" not in promotion.routes:
        return _("This code is only for %(routes)s.") % {"routes": ", ".join(promotion.routes)}
    if promotion.cabins is not None and piece.cabin not in promotion.cabins:
        return _("This code is not for this cabin.")
    if promotion.brands is not None and piece.brand not in promotion.brands:
        return _("This code is only for the fare %(brands)s.") % {"brands": ", ".join(promotion.brands)}
    if any(_outside(promotion, day) for day in piece.departs_on):
        return _("This code is not for flights on these days.")
    return None


def _outside(promotion: PromotionView, day: date) -> bool:
    early = promotion.travel_from is not None and day < promotion.travel_from
    return early or (promotion.travel_to is not None and day > promotion.travel_to)

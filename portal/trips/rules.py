"""How bookings are told to their traveller: what is open and why not, what lies ahead, what fares allow. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from portal.booking.actions import Freed
from portal.booking.views import SliceView
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.places.queries import Place
from portal.pricing.rules import Brand

CABINS = ("economy", "premium", "business", "first")


@dataclass(frozen=True, slots=True)
class OwnTrip:
    """One own booking in a line; `return_on` is the day of the last direction, if there is more than one."""

    reference: str
    status: str
    total_minor: int
    currency: str
    travellers: int
    origin: Place
    destination: Place
    depart_on: date
    return_on: date | None
    ends_at: datetime

    @property
    def href(self) -> str:
        """The trip's page."""
        return f"/bookings/{self.reference}"


def ahead_and_behind(trips: Sequence[OwnTrip], now: datetime) -> tuple[list[OwnTrip], list[OwnTrip]]:
    """Return the trips still to be flown, soonest first, and the others, latest first. Lapsed holds are left out."""
    ahead = [one for one in trips if one.status in ("held", "confirmed") and one.ends_at > now]
    behind = [one for one in trips if one.status != "expired" and one not in ahead]
    return sorted(ahead, key=lambda one: one.ends_at), sorted(behind, key=lambda one: one.ends_at, reverse=True)


@dataclass(frozen=True, slots=True)
class Fault:
    """What changes by the airline that are still open give a booking a right to; nothing, where there are none.

    `why` says what was changed, by direction; the money of `refund` goes back in full; `rebook` may be flown otherwise
    at no cost, in the same cabin, on the days from the first to the second.
    """

    why: Mapping[int, str] = field(default_factory=dict)
    refund: frozenset[int] = frozenset()
    rebook: Mapping[int, tuple[date, date]] = field(default_factory=dict)

    @property
    def freed(self) -> Freed:
        """What it opens and makes free, as booking's actions take it."""
        return Freed(self.refund, self.rebook)

    def frees(self, piece: SliceView, cabin: str, days: Sequence[date]) -> bool:
        """True when that direction may be flown in that cabin by flights that leave on those days at no cost."""
        first, last = self.rebook.get(piece.position, (date.max, date.min))
        return cabin == piece.cabin and bool(days) and all(first <= one <= last for one in days)


@dataclass(frozen=True, slots=True)
class BrandTerms:
    """What a brand allows, as the table of fares shows it; fees are in US cents."""

    brand: str
    cabin_bag: bool
    checked_bags: int
    seat_choice: str
    change_kind: str
    change_fee_minor: int
    refund_kind: str
    refund_fee_minor: int


KINDS = {"allowed": "yes", "penalty": "fee", "no": "no"}


def brands_by_cabin(brands: Iterable[Brand]) -> dict[str, list[BrandTerms]]:
    """Return what each brand allows, cabin by cabin, cheapest first."""
    ordered = sorted(brands, key=lambda one: (CABINS.index(one.cabin), one.position))
    found: dict[str, list[BrandTerms]] = {}
    for one in ordered:
        found.setdefault(one.cabin, []).append(_terms(one))
    return found


def _terms(one: Brand) -> BrandTerms:
    return BrandTerms(
        one.brand,
        one.cabin_bag,
        one.checked_bags,
        KINDS[one.seat],
        KINDS[one.change],
        one.change_penalty_minor,
        KINDS[one.refund],
        one.refund_penalty_minor,
    )


def day(typed: str) -> date:
    """Return the day that an ISO text names; raises Invalid."""
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise Invalid(errors=[FieldError("on", _("Please give a day, such as 2027-03-01."))]) from None

"""How a booking is told to its traveller: what each pays, what is open and why not, what lies ahead. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import urlencode
from uuid import UUID

from portal.booking.rules import BookingView, ChargeView, available_actions
from portal.kit.i18n import gettext as _
from portal.places.queries import Place
from portal.pricing.rules import Brand
from portal.tickets.rules import type_label

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


@dataclass(frozen=True, slots=True)
class Line:
    """A printed line of the price."""

    label: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Group:
    """What travellers of one kind pay together."""

    label: str
    lines: tuple[Line, ...]


def price_groups(view: BookingView) -> tuple[Group, ...]:
    """Return the price by kind of traveller; all lines together add up to the booking's total, to the cent."""
    kinds: dict[UUID | None, str] = {one.id: one.type for one in view.passengers}
    order = dict.fromkeys(kinds.values())
    groups = [_group(view, kind, [c for c in view.charges if kinds.get(c.passenger_id) == kind]) for kind in order]
    rest = [charge for charge in view.charges if charge.passenger_id not in kinds]
    return tuple([*groups, Group(_("For the whole booking"), _lines(view, rest))] if rest else groups)


def _group(view: BookingView, kind: str, charges: Sequence[ChargeView]) -> Group:
    count = sum(1 for one in view.passengers if one.type == kind)
    label = type_label(kind)
    return Group(f"{label} × {count}" if count > 1 else label, _lines(view, charges))


def _lines(view: BookingView, charges: Sequence[ChargeView]) -> tuple[Line, ...]:
    """Fares stand a direction each; a tax or fee is one line for the whole journey."""
    sums: dict[tuple[str, str], int] = {}
    for charge in charges:
        key = (charge.code, _line_label(view, charge))
        sums[key] = sums.get(key, 0) + charge.amount_minor
    return tuple(Line(label, amount) for (_code, label), amount in sums.items())


def _line_label(view: BookingView, charge: ChargeView) -> str:
    piece = next((one for one in view.slices if one.position == charge.slice_position), None)
    if charge.code != "fare" or piece is None:
        return _(charge.label)
    return f"{_(charge.label)} {piece.origin.code}–{piece.destination.code}"


@dataclass(frozen=True, slots=True)
class Closed:
    """What cannot be done now, and why."""

    labels: str
    reason: str


def closed_actions(view: BookingView, now: datetime) -> tuple[Closed, ...]:
    """Return what the traveller of a paid booking may look for in vain, with the reason; a reason stands once."""
    labels = {
        "selectSeats": _("Choose seats"),
        "change": _("Change a flight"),
        "cancel": _("Cancel"),
        "checkIn": _("Check in"),
    }
    by_reason: dict[str, list[str]] = {}
    for action, reason in available_actions(view, now).items():
        if action in labels and reason is not None:
            by_reason.setdefault(reason, []).append(labels[action])
    return tuple(Closed(" · ".join(names), reason) for reason, names in by_reason.items())


def search_again(view: BookingView) -> str:
    """Return the address that searches the same trip for the same party."""
    first, last = view.slices[0], view.slices[-1]
    wish: list[tuple[str, str]] = []
    if len(view.slices) == 1 or (len(view.slices) == 2 and last.destination.code == first.origin.code):
        wish += [("origin", first.origin.code), ("destination", first.destination.code)]
        wish += [("departureDate", first.flights[0].departs_on.isoformat())]
        wish += [("returnDate", last.flights[0].departs_on.isoformat())] if len(view.slices) == 2 else []
    else:
        ways = ((one.origin.code, one.destination.code, one.flights[0].departs_on) for one in view.slices)
        wish += [("slice", f"{origin}-{destination}-{day}") for origin, destination, day in ways]
    counts = {"adults": "adult", "children": "child", "infants": "infant"}
    wish += [(name, str(sum(1 for one in view.passengers if one.type == kind))) for name, kind in counts.items()]
    return f"/flights?{urlencode([*wish, ('cabin', first.cabin)])}"


def ahead_and_behind(trips: Sequence[OwnTrip], now: datetime) -> tuple[list[OwnTrip], list[OwnTrip]]:
    """Return the trips still to be flown, soonest first, and the others, latest first. Lapsed holds are left out."""
    ahead = [one for one in trips if one.status in ("held", "confirmed") and one.ends_at > now]
    behind = [one for one in trips if one.status != "expired" and one not in ahead]
    return sorted(ahead, key=lambda one: one.ends_at), sorted(behind, key=lambda one: one.ends_at, reverse=True)


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

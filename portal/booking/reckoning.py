"""What goes back and what is due when a booking is cancelled or changed, line by line. Pure.

Lines are never edited: what goes back is the line again, below zero, for the same traveller and direction. So what a
booking has cost is always the sum of its lines, and no more can go back than stands there.

- Free: within 24 hours of the purchase, when that was 7 days or more before the first departure (14 CFR 259.5(b)(4)),
  as it was bought and as it is now: nobody comes to it by a change. And whenever the carrier is at fault (14 CFR
  260.6): everything goes back, extras and earlier fees too.
- Otherwise the fare goes back if its brand says so, less the brand's penalty: for each traveller with a seat and each
  direction, and never more than that fare. Percentage taxes are due on the fare that is kept (26 USC 4261(a): on the
  amount paid), and the carrier's own surcharge is part of its price: both follow the fare. A promotion does too.
- Taxes and fees of airports and states are due for who travels (Finance Act 1994 s. 30, LuftVStG § 4, 49 CFR 1510.5):
  they go back with every brand. Extras and fees paid earlier stay.
- A change makes no money of what could not be had back: the stricter refund term of old and new holds from then on
  ("the most restrictive condition applies", as the rules of fares have it for a reissue), and what the carrier would
  have kept of the old price it keeps: in the new price, as the fee, or as a line. So who changes first and cancels then
  never gets more than who cancels at once, beside what the change cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from portal.booking.views import BookingView, ChargeView, PassengerView, SliceView
from portal.kit import money
from portal.pricing.rules import PriceLine

FREE_FOR = timedelta(hours=24)
FREE_BEFORE = timedelta(days=7)
EXTRAS = ("seat", "bag", "meal", "priority", "insurance", "assistance")
FEES = ("cancel_fee", "change_fee", "fare_kept")
CARRIERS_OWN = ("fare", "YQ", "YR", "promotion")
# Had on the flight that was flown: a seat, a meal.
USED_UP = ("seat", "meal")

Follows = Collection[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The lines to append, and how much of them is a penalty; below zero they go back, above they are due."""

    lines: tuple[dict[str, Any], ...]
    penalty_minor: int

    @property
    def sum_minor(self) -> int:
        """What is due, or below zero what goes back."""
        return sum(int(line["amount_minor"]) for line in self.lines)


def is_free(view: BookingView, now: datetime) -> bool:
    """True while the 24-hour rule gives everything back (14 CFR 259.5(b)(4))."""
    bought = view.confirmed_at
    if bought is None:
        return False
    first = min([*_left_behind(view), *(piece.flights[0].departure_at for piece in view.slices)])
    return now - bought <= FREE_FOR and first - bought >= FREE_BEFORE


def _left_behind(view: BookingView) -> list[datetime]:
    """Return when the directions that were changed since would have begun."""
    before = [one.payload.get("before", {}) for one in view.amendments if (one.kind, one.state) == ("change", "done")]
    return [datetime.fromisoformat(one["departureAt"]) for one in before if "departureAt" in one]


def rule_of(waived: int, chosen: int, *, free: bool) -> str:
    """Return which rule decides on `chosen` directions, of which the carrier is at fault for `waived`."""
    if waived and waived == chosen:
        return "carrier"
    return "within_24_hours" if free else "carrier_in_part" if waived else "conditions"


def penalty_minor(conditions: Mapping[str, Any], term: str) -> int | None:
    """Return what a brand takes for a refund or change, for each traveller: None where it allows none."""
    kept = conditions.get(term) or {}
    if not kept.get("allowed"):
        return None
    amount = kept.get("penalty")
    return money.parse(amount["amount"], amount["currency"]).minor if amount else 0


def line(
    code: str,
    label: str,
    amount_minor: int,
    *,
    passenger_id: UUID | None,
    slice_position: int,
    item_id: object = None,
) -> dict[str, Any]:
    """Return a line as an amendment keeps it."""
    return {
        "code": code,
        "label": label,
        "amount_minor": amount_minor,
        "passenger_id": str(passenger_id) if passenger_id else None,
        "slice_position": slice_position,
        "item_id": str(item_id) if item_id else None,
    }


Standing = dict[tuple[str, str], int]


def standing(charges: Iterable[ChargeView], who: UUID, at: int) -> Standing:
    """Return what stands for one traveller and direction, by code and label; what was reversed is gone."""
    sums: Standing = {}
    for one in charges:
        if (one.passenger_id, one.slice_position) == (who, at):
            sums[one.code, one.label] = sums.get((one.code, one.label), 0) + one.amount_minor
    return {name: amount for name, amount in sums.items() if amount}


def cancellation(
    view: BookingView,
    pairs: Iterable[tuple[PassengerView, SliceView]],
    *,
    follows_fare: Follows,
    free: bool,
    at_fault: Collection[int] = (),
) -> Reckoning:
    """Return what it gives back that these travellers no longer fly these directions, pair by pair.

    Everything with `free`, and on the directions where the carrier is `at_fault`. Each pair is reckoned by itself, so
    that what goes back in parts is what goes back at once.
    """
    lines: list[dict[str, Any]] = []
    penalty = 0
    for one, piece in pairs:
        sums = standing(view.charges, one.id, piece.position)
        back, fee = _given_back(sums, one, piece, follows_fare, free=free or piece.position in at_fault)
        lines += _reversed(back, one.id, piece.position)
        if fee:
            lines.append(_line("cancel_fee", "Cancellation fee", fee, one.id, piece.position))
        penalty += fee
    return Reckoning(tuple(lines), penalty)


def _line(code: str, label: str, amount_minor: int, who: UUID, at: int) -> dict[str, Any]:
    return line(code, label, amount_minor, passenger_id=who, slice_position=at)


def _reversed(sums: Standing, who: UUID, at: int) -> list[dict[str, Any]]:
    return [_line(code, label, -amount, who, at) for (code, label), amount in sums.items()]


def _given_back(
    sums: Standing, one: PassengerView, piece: SliceView, follows_fare: Follows, *, free: bool
) -> tuple[Standing, int]:
    if free:
        return sums, 0
    fare, taxes = parts(sums, follows_fare)
    if penalty_minor(piece.conditions, "refund") is None:
        # Below zero, more was taken off than the fare: then it came off the taxes, and goes with them.
        return (taxes if sum(fare.values()) >= 0 else {**taxes, **fare}), 0
    return {**taxes, **fare}, _kept(fare, one, piece.conditions)


def _kept(fare: Standing, one: PassengerView, conditions: Mapping[str, Any]) -> int:
    """Return how much of a fare stays with the carrier when its traveller cancels."""
    worth, taken = max(0, sum(fare.values())), penalty_minor(conditions, "refund")
    return worth if taken is None else min(taken if one.takes_seat else 0, worth)


def rest(view: BookingView, pairs: Iterable[tuple[PassengerView, SliceView]], kept: int) -> Reckoning:
    """Return what goes back, by right, of a direction of which only the first `kept` flights were flown.

    An extra of a flight that is not flown in full; of all else the share of the kilometres that are not flown, line by
    line, split by largest remainder (14 CFR 260.6(b): the unused portion of what was paid).
    """
    lines: list[dict[str, Any]] = []
    for one, piece in pairs:
        places = {flight.id: at for at, flight in enumerate(piece.flights)}
        on = {item.id: places[item.flight_id] for item in view.items if item.flight_id in places}
        sums: dict[tuple[str, str, Any, bool], int] = {}
        for charge in view.charges:
            if (charge.passenger_id, charge.slice_position) == (one.id, piece.position):
                whole = charge.item_id is not None and on.get(charge.item_id, 0) >= kept
                name = (charge.code, charge.label, charge.item_id, whole)
                sums[name] = sums.get(name, 0) + charge.amount_minor
        for (code, label, item_id, whole), amount in sums.items():
            back = amount if whole else _unflown(amount, piece, kept) if code not in USED_UP else 0
            if back:
                at = {"passenger_id": one.id, "slice_position": piece.position, "item_id": item_id}
                lines.append(line(code, label, -back, **at))
    return Reckoning(tuple(lines), 0)


def _unflown(amount_minor: int, piece: SliceView, kept: int) -> int:
    split = money.split(abs(amount_minor), [flight.distance_km for flight in piece.flights])
    return sum(split[kept:]) * (1 if amount_minor > 0 else -1)


def parts(sums: Standing, follows_fare: Follows) -> tuple[Standing, Standing]:
    """Return (what is the fare or follows it, what is due for who travels); extras and fees are in neither."""
    own = {name for name in sums if name[0] in CARRIERS_OWN or name in follows_fare}
    left = {name for name in sums if name not in own and name[0] not in (*EXTRAS, *FEES)}
    return {name: sums[name] for name in own}, {name: sums[name] for name in left}


def stricter_refund(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions that a direction is flown under after a change: the new ones, their refund by the stricter.

    It goes back only if both allow it, less the higher of both penalties.
    """
    had, gets = penalty_minor(old, "refund"), penalty_minor(new, "refund")
    stays = gets is not None and (had is None or had > gets)
    return {**new, "refund": old.get("refund") or {"allowed": False, "penalty": None}} if stays else dict(new)


def change(
    view: BookingView,
    piece: SliceView,
    per_type: Mapping[str, Sequence[PriceLine]],
    *,
    terms: Mapping[str, Any],
    follows_fare: Follows,
    free: bool,
) -> Reckoning:
    """Return what it costs to fly a direction by other flights: the new price and the penalty, less the old price.

    `terms` are the conditions from then on, of `stricter_refund`. What the carrier would have kept of the old fare, and
    neither keeps of the new one nor takes as the penalty, stays as a line, traveller by traveller.
    """
    lines: list[dict[str, Any]] = []
    fee = 0 if free else penalty_minor(piece.conditions, "change") or 0
    at, travellers = piece.position, view.flying(piece.position)
    for one in travellers:
        old, new = _price(view, one.id, at), per_type[one.type]
        taken = fee if one.takes_seat else 0
        lines += _reversed(old, one.id, at)
        lines += [_line(each.code, each.label, each.amount_minor, one.id, at) for each in new]
        if taken:
            lines.append(_line("change_fee", "Change fee", taken, one.id, at))
        had, has = (parts(sums, follows_fare)[0] for sums in (old, _added_up(new)))
        left = 0 if free else _kept(had, one, piece.conditions) - _kept(has, one, terms) - taken
        if left > 0:
            lines.append(_line("fare_kept", "Fare that is not refunded", left, one.id, at))
    return Reckoning(tuple(lines), fee * sum(one.takes_seat for one in travellers))


def _price(view: BookingView, who: UUID, at: int) -> Standing:
    """Return what stands for one traveller and direction, but for extras and fees."""
    sums = standing(view.charges, who, at)
    return {name: amount for name, amount in sums.items() if name[0] not in (*EXTRAS, *FEES)}


def _added_up(lines: Iterable[PriceLine]) -> Standing:
    sums: Standing = {}
    for one in lines:
        sums[one.code, one.label] = sums.get((one.code, one.label), 0) + one.amount_minor
    return sums


def price_of(view: BookingView, piece: SliceView) -> int:
    """Return what a direction costs who still flies: fare, taxes and fees, without extras and penalties."""
    return sum(sum(_price(view, one.id, piece.position).values()) for one in view.flying(piece.position))

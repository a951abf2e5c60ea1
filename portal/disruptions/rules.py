"""What a change by the carrier means for one booking, and by when it must be answered. Pure; figures come from rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from portal.booking import reckoning
from portal.booking.views import BookingView, SliceView
from portal.flights.operations import Times
from portal.flights.rules import Seat
from portal.kit.i18n import gettext as _
from portal.search.rules import Offer

CANNOT_FLY = ("cancelled", "misconnected", "no_seat")
CHOICES = ("accept", "rebook", "refund")
REMIND_AFTER = timedelta(days=2)
REMIND_BEFORE = timedelta(days=2)
LEAST_TIME = timedelta(days=1)
CHECK_IN_CLOSES = timedelta(minutes=60)
OTHER_DAYS = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A figure with its source, and when it holds."""

    kind: str
    scope: str
    minutes: int
    source: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The figures of one day: from how many minutes on is asked and refunded, how long an answer may take."""

    answer: int
    refund_domestic: int
    refund_international: int
    clock: timedelta

    def refund(self, *, domestic: bool) -> int:
        """Return from how many minutes on the whole money goes back by right."""
        return self.refund_domestic if domestic else self.refund_international


@dataclass(frozen=True, slots=True)
class Booked:
    """One booking that is on the flight, and its connections there: when it gets here, and when it must go on.

    `at_stake_minor` is what was paid from this direction on; `open_shift` what an unanswered change moved already.
    """

    booking_id: UUID
    reference: str
    status: str
    slice_position: int
    currency: str
    domestic: bool
    passengers: int
    seats: int
    at_stake_minor: int
    comes_at: datetime | None
    comes_least: int
    goes_at: datetime | None
    goes_least: int
    open_shift: int


@dataclass(frozen=True, slots=True)
class Affected:
    """One booking that a change hit, with the change itself as `before` and `after` tell it.

    `back_minor` is what went back, by itself or by what the traveller decided.
    """

    id: UUID
    disruption_id: UUID
    booking_id: UUID
    reference: str
    booking_status: str
    locale: str
    contact_email: str | None
    user_id: UUID | None
    slice_position: int
    flight_id: int
    kind: str
    reason: str
    before: dict[str, Any]
    after: dict[str, Any]
    why: str
    shift_minutes: int
    by_right: bool
    needs_answer: bool
    state: str
    told_at: datetime | None
    refund_at: datetime | None
    decided_at: datetime | None
    amendment_id: UUID | None
    made_at: datetime
    passengers: int
    lead: str | None
    currency: str
    back_minor: int

    @property
    def is_open(self) -> bool:
        """True while the traveller is asked and has not decided."""
        return self.needs_answer and self.state in ("noted", "told")


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change means for one booking: why it is affected, by how much, what it has a right to."""

    booked: Booked
    why: str
    shift_minutes: int
    by_right: bool
    needs_answer: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do, before it is done. Money is (currency, minor)."""

    bookings: int
    passengers: int
    asked: int
    misconnected: int
    by_right: int
    held: int
    refunds: tuple[tuple[str, int], ...]


def thresholds(rows: Iterable[RuleRow], on: date) -> Thresholds:
    """Return the figures that hold on a day; the latest row of a kind wins. Raises LookupError where none holds."""
    found: dict[tuple[str, str], int] = {}
    for row in sorted(rows, key=lambda one: one.valid_from):
        if row.valid_from <= on and (row.valid_to is None or on <= row.valid_to):
            found[row.kind, row.scope] = row.minutes
    return Thresholds(
        _figure(found, "answer", "any"),
        _figure(found, "refund", "domestic"),
        _figure(found, "refund", "international"),
        timedelta(minutes=_figure(found, "clock", "any")),
    )


def _figure(found: dict[tuple[str, str], int], kind: str, scope: str) -> int:
    for at in ((kind, scope), (kind, "any")):
        if at in found:
            return found[at]
    raise LookupError(f"no rule of kind {kind} for {scope}")


def state_of(row: RuleRow, today: date) -> str:
    """Return whether a version holds `now`, is `coming`, or is `over`."""
    if row.valid_from > today:
        return "coming"
    return "now" if row.valid_to is None or today <= row.valid_to else "over"


def shift_minutes(old: Times, new: Times) -> int:
    """Return by how many minutes the flight lands later or leaves earlier, whichever is more; never below zero."""
    later, earlier = new.arrival_at - old.arrival_at, old.departure_at - new.departure_at
    return max(0, round(max(later, earlier).total_seconds() / 60))


def is_missed(one: Booked, new: Times) -> bool:
    """True when a connection within the direction no longer keeps to the minimum connection time.

    Only the connections of this flight are looked at; one of two airports is not sold here.
    """
    comes = one.comes_at is not None and new.departure_at - one.comes_at < timedelta(minutes=one.comes_least)
    goes = one.goes_at is not None and one.goes_at - new.arrival_at < timedelta(minutes=one.goes_least)
    return comes or goes


def impact(
    kind: str,
    one: Booked,
    old: Times,
    new: Times,
    *,
    leaving: Collection[UUID],
    figures: Thresholds,
    in_the_air: bool = False,
) -> Impact:
    """Return what the change means for a booking.

    Who cannot fly as booked – cancelled, a connection missed, no seat left – has the whole money back by right, as has
    who lands later or leaves earlier by the threshold (14 CFR 260.2: 3 hours domestic, 6 international). Who is
    `in_the_air` when it is told flies on: only a connection that is missed is still asked about.
    """
    if kind == "cancel":
        return Impact(one, "cancelled", 0, True, True)
    if kind == "swap":
        out = one.booking_id in leaving
        return Impact(one, "no_seat" if out else "swapped", 0, out, out)
    shift = shift_minutes(old, new) + one.open_shift
    if is_missed(replace(one, comes_at=None) if in_the_air else one, new):
        return Impact(one, "misconnected", shift, True, True)
    why = "delayed" if kind == "delay" else "retimed"
    if in_the_air:
        return Impact(one, why, shift, False, False)
    return Impact(one, why, shift, shift >= figures.refund(domestic=one.domestic), shift >= figures.answer)


def preview(impacts: Sequence[Impact]) -> Preview:
    """Return the sums; bookings that are only held count by themselves."""
    sold = [one for one in impacts if one.booked.status == "confirmed"]
    refunds: dict[str, int] = {}
    for one in sold:
        if one.by_right:
            refunds[one.booked.currency] = refunds.get(one.booked.currency, 0) + one.booked.at_stake_minor
    return Preview(
        len(sold),
        sum(one.booked.passengers for one in sold),
        sum(one.needs_answer for one in sold),
        sum(one.why == "misconnected" for one in sold),
        sum(one.by_right for one in sold),
        len(impacts) - len(sold),
        tuple(sorted(refunds.items())),
    )


def next_reminder(told_at: datetime, leaves_at: datetime, now: datetime) -> datetime | None:
    """Return when to remind next: two days after telling and two days before departure, neither past nor after it."""
    times = sorted((told_at + REMIND_AFTER, leaves_at - REMIND_BEFORE))
    return next((at for at in times if now < at < leaves_at and at > told_at), None)


def refund_time(why: str, told_at: datetime, leaves_at: datetime, figures: Thresholds) -> datetime | None:
    """Return when the money goes back by itself; None for what can be flown as it is.

    After the time to answer, or at departure if that is sooner. A cancelled flight cannot leave, so there is at least a
    day to answer, as there is for who is on the way already; else it is done when check-in closes. `leaves_at` is the
    first departure of the direction.
    """
    if why not in CANNOT_FLY:
        return None
    if why == "cancelled" or leaves_at <= told_at:
        return max(told_at + LEAST_TIME, min(leaves_at, told_at + figures.clock))
    return max(told_at, min(leaves_at - CHECK_IN_CLOSES, told_at + figures.clock))


def choices(why: str, *, by_right: bool) -> tuple[str, ...]:
    """Return what the traveller may choose; what cannot be flown cannot be accepted."""
    open_ones = {"accept": why not in CANNOT_FLY, "rebook": True, "refund": by_right}
    return tuple(name for name in CHOICES if open_ones[name])


def is_worse(old: Seat, new: Seat | None, *, price: Callable[[Seat], int]) -> bool:
    """True when a seat that was paid for is lost, lacks something that it had, or is sold for less than the old one.

    Both prices are of one day, so that a new price list alone gives nothing back (14 CFR 260.4: a service that was paid
    for and is not given goes back).
    """
    if new is None:
        return True
    return not (set(old.features) - {"middle"}) <= set(new.features) or price(new) < price(old)


def flown(piece: SliceView, flight_id: int, now: datetime) -> int:
    """Return how many flights of a direction have left with its travellers when it breaks at this flight.

    Of a connection that is missed because this flight is late, those up to it; what comes after it was not caught,
    though it may have left by now.
    """
    ids = [flight.id for flight in piece.flights]
    upto = piece.flights[: ids.index(flight_id) + 1] if flight_id in ids else piece.flights[:0]
    left = [flight.status != "cancelled" and flight.leaves_at <= now for flight in upto]
    return left.index(False) if False in left else len(left)


def refunded_slices(view: BookingView, position: int, now: datetime) -> list[int]:
    """Return the directions that go back with this one: it, though its first flight may have left, and all after it."""
    return [one.position for one in view.active_slices if one.position == position or _is_after(one, position, now)]


def _is_after(one: SliceView, position: int, now: datetime) -> bool:
    return one.position > position and not one.has_left(now)


def at_stake_minor(view: BookingView, position: int, kept: int = 0) -> int:
    """Return what was paid for this direction and all after it, less what was given back already.

    Of a direction of which the first `kept` flights have left, what the rest of it is worth.
    """
    whole = sum(line.amount_minor for line in view.charges if line.slice_position >= position + bool(kept))
    pieces = [one for one in view.active_slices if one.position == position and kept]
    pairs = [(one, piece) for piece in pieces for one in view.flying(position)]
    return whole - reckoning.rest(view, pairs, kept).sum_minor


def free_days(piece: SliceView) -> tuple[date, date]:
    """Return the first and the last day on which a direction may be flown instead at no cost."""
    first = piece.flights[0].departs_on
    return first - OTHER_DAYS, first + OTHER_DAYS


def rebooking_problem(piece: SliceView, offer: Offer, days: Sequence[date], kept: int = 0) -> str | None:
    """Return why the offer is no free replacement of this direction, or None; `days` are when its flights leave.

    Of a direction of which the first `kept` flights have left, the offer is for the rest of the way.
    """
    ends = (piece.flights[kept].origin.code, piece.destination.code)
    if ends != (offer.slice_origin, offer.slice_destination) or piece.cabin != offer.cabin:
        return _("A free change keeps the route and the cabin.")
    first, last = free_days(piece)
    if not days or any(not first <= day <= last for day in days):
        return _("A free change is up to 14 days earlier or later.")
    return None


def why_words(why: str) -> str:
    """Return why a booking is affected, for staff and programs."""
    return {
        "cancelled": _("Flight cancelled"),
        "misconnected": _("Connection missed"),
        "no_seat": _("No seat left"),
        "retimed": _("New times"),
        "delayed": _("Delayed"),
        "swapped": _("Other aircraft"),
    }[why]

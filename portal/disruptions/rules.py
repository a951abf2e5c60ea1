"""What a change by the carrier means for one booking, and by when it must be answered. Pure; figures come from rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from portal.booking.views import BookingView, SliceView
from portal.flights.operations import Times
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
    """One booking that a change hit, with the change itself as `before` and `after` tell it."""

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


def impact(kind: str, one: Booked, old: Times, new: Times, *, leaving: Collection[UUID], figures: Thresholds) -> Impact:
    """Return what the change means for a booking.

    Who cannot fly as booked – cancelled, a connection missed, no seat left – has the whole money back by right, as has
    who lands later or leaves earlier by the threshold (14 CFR 260.2: 3 hours domestic, 6 international).
    """
    if kind == "cancel":
        return Impact(one, "cancelled", 0, True, True)
    if kind == "swap":
        out = one.booking_id in leaving
        return Impact(one, "no_seat" if out else "swapped", 0, out, out)
    shift = shift_minutes(old, new) + one.open_shift
    if is_missed(one, new):
        return Impact(one, "misconnected", shift, True, True)
    why = "delayed" if kind == "delay" else "retimed"
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
    day to answer; else it is done when check-in closes. `leaves_at` is the first departure of the direction.
    """
    if why not in CANNOT_FLY:
        return None
    if why == "cancelled":
        return max(told_at + LEAST_TIME, min(leaves_at, told_at + figures.clock))
    return max(told_at, min(leaves_at - CHECK_IN_CLOSES, told_at + figures.clock))


def choices(why: str, *, by_right: bool) -> tuple[str, ...]:
    """Return what the traveller may choose; what cannot be flown cannot be accepted."""
    open_ones = {"accept": why not in CANNOT_FLY, "rebook": True, "refund": by_right}
    return tuple(name for name in CHOICES if open_ones[name])


def refunded_slices(view: BookingView, position: int, now: datetime) -> list[int] | None:
    """Return the directions that go back with this one: it and all after it; None when that is all that is left."""
    left = [one.position for one in view.active_slices if not one.has_left(now)]
    chosen = [at for at in left if at >= position]
    return None if chosen == left else chosen


def at_stake_minor(view: BookingView, position: int) -> int:
    """Return what was paid for this direction and all after it, less what was given back already."""
    return sum(line.amount_minor for line in view.charges if line.slice_position >= position)


def free_days(piece: SliceView) -> tuple[date, date]:
    """Return the first and the last day on which a direction may be flown instead at no cost."""
    first = piece.flights[0].departs_on
    return first - OTHER_DAYS, first + OTHER_DAYS


def rebooking_problem(piece: SliceView, offer: Offer, days: Sequence[date]) -> str | None:
    """Return why the offer is no free replacement of this direction, or None; `days` are when its flights leave."""
    ends = (piece.origin.code, piece.destination.code)
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

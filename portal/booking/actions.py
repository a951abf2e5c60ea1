"""What may be done with a booking now, and why the rest may not: one function for buttons, API and refusals. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from portal.booking import reckoning, rules
from portal.booking.views import BookingView
from portal.kit.i18n import gettext as _

ACTIONS = ("pay", "extend", "cancel", "change", "selectSeats", "checkIn", "correct")


@dataclass(frozen=True, slots=True)
class Freed:
    """The directions that open changes by the carrier free: all money back, or other flights at no cost."""

    cancel: Collection[int] = ()
    change: Collection[int] = ()


NOTHING_FREED = Freed()


def available_actions(view: BookingView, now: datetime, freed: Freed = NOTHING_FREED) -> dict[str, str | None]:
    """Return every action with None when it is open at `now`, or the reason why it is not, as a sentence.

    Buttons, `availableActions` and the refusals all say the same, because they all read this.
    """
    return {action: _closed(view, action, now, freed) for action in ACTIONS}


def open_actions(view: BookingView, now: datetime, freed: Freed = NOTHING_FREED) -> list[str]:
    """Return the names of the actions that are open at `now`."""
    return [action for action, reason in available_actions(view, now, freed).items() if reason is None]


def free_actions(view: BookingView, now: datetime, freed: Freed = NOTHING_FREED) -> dict[str, str]:
    """Return by which rule, named as in a quote, `cancel` and `change` take nothing now; left out where they do.

    A cancellation of all that is not flown, and a change of any direction that may be changed.
    """
    ahead = {piece.position for piece in view.active_slices if not piece.has_left(now)}
    free, reasons = reckoning.is_free(view, now), available_actions(view, now, freed)
    found = {
        name: reckoning.rule_of(len(ahead & set(places)), len(ahead), free=free)
        for name, places in (("cancel", freed.cancel), ("change", freed.change))
        if reasons[name] is None
    }
    return {name: rule for name, rule in found.items() if rule != "conditions"}


def _closed(view: BookingView, action: str, now: datetime, freed: Freed) -> str | None:
    status = view.status_at(now)
    if action == "selectSeats" and status == "held":
        return None
    if action in ("pay", "extend"):
        return _pay_closed(view, action, status, now)
    if status != "confirmed":
        return {
            "held": _("This opens once the booking is paid."),
            "expired": _("The hold has run out; there is nothing to change."),
        }.get(status, _("This booking is cancelled."))
    return _check_in_closed(view, now) if action == "checkIn" else _change_closed(view, action, now, freed)


def _pay_closed(view: BookingView, action: str, status: str, now: datetime) -> str | None:
    if status == "expired":
        return _("The hold has run out and the seats are free again.")
    waiting = view.open_amendment
    if status == "confirmed" and action == "pay" and waiting and not waiting.has_lapsed(now):
        return None
    if status != "held":
        return _("This booking is already paid.") if status == "confirmed" else _("This booking is cancelled.")
    if action == "pay" and not view.is_named:
        return _("Tell us first who is flying.")
    if action == "extend" and view.extensions >= rules.MAX_EXTENSIONS:
        return _("The hold was extended ten times already.")
    return None


def _change_closed(view: BookingView, action: str, now: datetime, freed: Freed) -> str | None:
    ahead = [piece for piece in view.active_slices if not piece.has_left(now)]
    if not ahead:
        return _("Every flight of this booking has left.")
    if action == "change" and not any(changeable(view, piece.position, now, freed) for piece in ahead):
        return _("This fare cannot be changed. It can be cancelled.")
    if action == "correct" and any(flight.departure_at - rules.CHECK_IN_OPENS <= now for flight in view.flights):
        return _("Check-in has opened. Please correct the name at the airport, with your passport.")
    return None


def changeable(view: BookingView, position: int, now: datetime, freed: Freed = NOTHING_FREED) -> bool:
    """True when a direction can be flown by other flights: its fare, the 24-hour rule or the carrier allows it."""
    piece = next((one for one in view.active_slices if one.position == position), None)
    if piece is None or piece.has_left(now):
        return False
    return (
        position in freed.change
        or reckoning.is_free(view, now)
        or bool((piece.conditions.get("change") or {}).get("allowed"))
    )


def _check_in_closed(view: BookingView, now: datetime) -> str | None:
    windows = [rules.check_in_window(flight) for flight in view.flights if flight.status != "cancelled"]
    if any(opens <= now <= closes for opens, closes in windows):
        return None
    if all(closes < now for _opens, closes in windows):
        return _("Check-in is over: it closes 60 minutes before each flight.")
    return _("Check-in opens 24 hours before each flight and closes 60 minutes before.")

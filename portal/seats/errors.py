"""Every way that seats and extras can say no, beside those of flights (seat_taken, seat_unknown, busy)."""

from __future__ import annotations

from portal.kit.errors import Conflict, Invalid


class SeatNotAllowed(Invalid):
    """This seat is not for this traveller, or this fare gives no choice yet; the sentence says why."""

    code, title = "seat_not_allowed", "This seat is not for this traveller"


class ExtraRefused(Invalid):
    """This extra is not for this traveller, flight or number; the sentence says why."""

    code, title = "extra_refused", "This extra cannot be had here"


class SelectionClosed(Conflict):
    """Nothing can be chosen any more, or not while a change waits to be paid; the sentence says why."""

    code, title = "selection_closed", "This can no longer be chosen"

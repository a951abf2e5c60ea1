"""Every way that flights can say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, Invalid, NotFound


class SoldOut(Conflict):
    """A cabin of a flight has fewer free seats than were asked for."""

    status, code, title = 409, "sold_out", "These seats have just been sold"


class FlightClosed(Conflict):
    """The flight has left, or will not leave."""

    status, code, title = 409, "flight_closed", "This flight can no longer be booked"


class ClaimsLost(Conflict):
    """The hold ran out, and its seats went to somebody else."""

    status, code, title = 409, "hold_expired", "The hold on these seats has run out"


class UnknownFlight(NotFound):
    """No flight has this id."""

    status, code, title = 404, "not_found", "There is no such flight"


class TimetableRefused(Invalid):
    """A timetable has rows that cannot be kept, or is no timetable; nothing of it was."""

    status, code, title = 422, "timetable_refused", "This timetable cannot be imported"

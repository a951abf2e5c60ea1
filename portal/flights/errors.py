"""Every way that flights can say no."""

from __future__ import annotations

from typing import Any

from portal.kit.errors import Conflict, FieldError, Invalid, NotFound, Unavailable


class SoldOut(Conflict):
    """A cabin of a flight has fewer free seats than were asked for."""

    status, code, title = 409, "sold_out", "These seats have just been sold"


class FlightClosed(Conflict):
    """The flight has left, or will not leave."""

    status, code, title = 409, "flight_closed", "This flight can no longer be booked"


class ClaimsLost(Conflict):
    """The hold ran out, and its seats went to somebody else."""

    status, code, title = 409, "hold_expired", "The hold on these seats has run out"


class SaleClosed(ClaimsLost):
    """The sale of the flight was closed while its seats were held."""

    code, title = "flight_closed", "This flight can no longer be booked"


class FlightLeft(Conflict):
    """What has left can no longer be changed."""

    code, title = "flight_left", "This flight has left"


class FlightCancelled(Conflict):
    """What is cancelled stays so."""

    code, title = "flight_cancelled", "This flight is cancelled"


class AircraftTooSmall(Conflict):
    """More seats are sold or held than the other aircraft has."""

    code, title = "aircraft_too_small", "This aircraft is too small for what is sold"


class UnknownFlight(NotFound):
    """No flight has this id."""

    status, code, title = 404, "not_found", "There is no such flight"


class TimetableRefused(Invalid):
    """A timetable has rows that cannot be kept, or is no timetable; nothing of it was."""

    status, code, title = 422, "timetable_refused", "This timetable cannot be imported"


class SeatTaken(Conflict):
    """Somebody else has this seat; `seat` names it, `next_best` a free one like it, if one was looked for."""

    status, code, title = 409, "seat_taken", "This seat has just been taken"

    def __init__(self, seat: str, *, flight_id: int, next_best: str | None = None, detail: str = "") -> None:
        super().__init__(detail or f"Seat {seat} has just been taken.")
        self.seat, self.flight_id, self.next_best = seat, flight_id, next_best
        self.extra: dict[str, Any] = {"seat": seat, "nextBest": next_best}


class SeatUnknown(Invalid):
    """The aircraft has no such seat in the cabin that was bought, or nothing was bought on that flight."""

    code, title = "seat_unknown", "There is no such seat"

    def __init__(self, seat: str, *, pointer: str = "") -> None:
        sentence = f"There is no seat {seat} in this cabin of this flight."
        super().__init__(sentence, errors=[FieldError(pointer, sentence)] if pointer else [])
        self.seat = seat


class Busy(Unavailable):
    """Somebody else is choosing the same seats at this moment and did not finish within three seconds."""

    code, title = "busy", "Busy, please try again"

    def __init__(self) -> None:
        super().__init__("Somebody is choosing the same seats right now. Please try again.", retry_after=1)

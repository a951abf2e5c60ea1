"""Every way that check-in and the gate can say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, Invalid, NotFound


class CheckInClosed(Conflict):
    """Somebody who was named cannot be checked in for that flight now; the sentence says why, and what to do."""

    code, title = "check_in_closed", "Check-in is not open for this"


class DocumentsMissing(Invalid):
    """An international flight needs to know a travel document of each traveller; `errors` says whose and what."""

    code, title = "documents_missing", "We need the travel documents first"


class PartySplit(Invalid):
    """An infant flies with its adult, and a child with somebody grown up; they check in together."""

    code, title = "party_split", "These travellers check in together"


class NoSeatLeft(Conflict):
    """The cabin has no seat left that this traveller may have; the desk at the airport finds one."""

    code, title = "no_seat_left", "There is no fitting seat left"


class NotCheckedIn(NotFound):
    """Nobody of the booking is checked in, or not the one who was named."""

    code, title = "not_checked_in", "Nobody is checked in here yet"


class AlreadyBoarded(Conflict):
    """Who went through the gate cannot be taken off the flight online."""

    code, title = "already_boarded", "This traveller has boarded already"


class BoardingClosed(Conflict):
    """The flight's gate is closed, or the flight is cancelled: nobody boards."""

    code, title = "boarding_closed", "Boarding is closed"


class UnknownFlight(NotFound):
    """No flight has this id."""

    title = "There is no such flight"

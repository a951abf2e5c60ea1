"""Every way that carrier changes can say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, NotFound


class UnknownChange(NotFound):
    """No change by the carrier waits here, or none that you may know of."""

    code, title = "unknown_carrier_change", "There is no such change"


class AlreadyDecided(Conflict):
    """The traveller, or time, has decided already."""

    code, title = "already_decided", "This was decided already"


class ChoiceClosed(Conflict):
    """This change does not give that choice."""

    code, title = "choice_closed", "This choice is not open"

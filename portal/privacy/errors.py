"""Every way that privacy says no."""

from __future__ import annotations

from portal.kit.errors import Conflict, NotFound, PortalError


class UnknownCopy(NotFound):
    """There is no such copy of one's data, it is another account's, or its time is over."""

    code, title = "unknown_copy", "This copy of your data is not here (any more)"


class CopyUnderway(Conflict):
    """A copy is being made already."""

    code, title = "copy_underway", "A copy of your data is being made already"


class TooLateToStay(PortalError):
    """The account was erased already, or nobody asked for it."""

    status, code, title = 410, "too_late", "There is nothing to take back"


class StaffStays(Conflict):
    """Somebody who works here cannot delete their own account: what they did must stay explained."""

    code, title = "staff_stays", "An account of the staff is closed by an administrator"

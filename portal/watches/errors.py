"""Every way that waiting lists and fare alerts say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, NotFound


class UnknownWait(NotFound):
    """There is no such place in a line, or it is another's."""

    code, title = "unknown_wait", "There is no such place on a waiting list"


class UnknownAlert(NotFound):
    """There is no such alert, or it is another's."""

    code, title = "unknown_alert", "There is no such fare alert"


class NotFull(Conflict):
    """The flight has seats for the party now: there is nothing to wait for."""

    code, title = "not_full", "This flight has seats for you right now"


class LineClosed(Conflict):
    """The flight leaves too soon, or not at all: nobody waits for it any more."""

    code, title = "line_closed", "Nobody can wait for this flight any more"


class TooManyWatches(Conflict):
    """One address watches a great many things already."""

    code, title = "too_many_watches", "This address watches a lot already"

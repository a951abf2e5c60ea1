"""Every way that tickets can say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, NotFound


class NotConfirmed(Conflict):
    """There are no tickets for what is not paid, or no longer stands."""

    code, title = "not_confirmed", "There are no tickets for this booking"


class UnknownPaper(NotFound):
    """The booking has no receipt or credit note of this number."""

    code, title = "unknown_document", "There is no such document"

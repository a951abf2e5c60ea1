"""What the back office refuses."""

from __future__ import annotations

from portal.kit.errors import Conflict, NotFound


class UnknownLetter(NotFound):
    """No job has this number, or it was done so long ago that it was forgotten."""

    code, title = "unknown_job", "There is no such job"


class LetterMovedOn(Conflict):
    """The job is in a state in which this cannot be done with it."""

    code, title = "job_moved_on", "This job is no longer where you saw it"

"""Every way that figures and exports can say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, Invalid, NotFound


class UnknownExport(NotFound):
    """There is no such export, or it is somebody else's."""

    code, title = "unknown_export", "There is no such export"


class ExportNotReady(Conflict):
    """The file is not whole yet, or never will be."""

    code, title = "export_not_ready", "This export has no file yet"


class NothingToRetry(Conflict):
    """Only an export that failed is written again."""

    code, title = "export_not_failed", "This export did not fail"


class ExportTooLarge(Invalid):
    """There are more rows than one file may have."""

    code, title = "export_too_large", "This export would have too many rows"

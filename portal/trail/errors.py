"""How the audit trail says no."""

from __future__ import annotations

from portal.kit.errors import NotFound


class UnknownEntry(NotFound):
    """There is no such entry, or it was retired."""

    code = "unknown_entry"
    title = "There is no such entry in the audit trail"

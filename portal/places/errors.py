"""Every way that places can say no."""

from __future__ import annotations

from portal.kit.errors import NotFound


class UnknownAirport(NotFound):
    """No airport has this code."""

    status, code, title = 404, "not_found", "There is no airport with this code"

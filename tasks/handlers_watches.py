"""What happens afterwards in waiting lists and fare alerts, and the reminder to check in."""

from __future__ import annotations

from tasks.delivery import Handler

HANDLERS: dict[str, Handler] = {}

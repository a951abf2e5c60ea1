"""Pages of accounts."""

from __future__ import annotations

from starlette.routing import Route

from portal.kit.web import Request, Viewer

routes: list[Route] = []


def viewer_from_session(request: Request) -> Viewer | None:
    """Return who the session cookie stands for, or None."""
    return None

"""Api of accounts."""

from __future__ import annotations

from starlette.routing import Route

from portal.kit.web import Request, Viewer

routes: list[Route] = []


def viewer_from_token(request: Request) -> Viewer | None:
    """Return who the bearer token stands for, or None."""
    return None

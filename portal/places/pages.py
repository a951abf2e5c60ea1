"""Airports, for people: the options that complete what they type."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from portal.kit import db
from portal.kit.web import Request, page, render
from portal.places import queries


def options(request: Request) -> Response:
    """Answer the airports that `q` may mean, as list options."""
    with db.reading() as session:
        found = queries.find(session, request.query_params.get("q", ""))
    return render(request, "places/_options.html", places=found)


routes: list[Route] = [page("/places", options)]

"""Airports, for programs."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portal.kit import db
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.places import queries
from portal.places.errors import UnknownAirport
from portal.places.forms import AirportList, AirportOut, AirportQuery


@operation("Find airports", query=AirportQuery, answer=AirportList)
def airports(_: Request, query: AirportQuery) -> Response:
    """Answer the airports that `q` may mean; those with flights come first."""
    with db.reading() as session:
        found = queries.find(session, query.q, query.limit)
    return _public(AirportList(data=tuple(AirportOut.model_validate(place) for place in found)).wire())


@operation("One airport", answer=AirportOut, errors=(UnknownAirport,))
def airport(request: Request) -> Response:
    """Answer the airport with this IATA code; 404 for none."""
    code = request.path_params["code"].upper()
    with db.reading() as session:
        known = queries.places_by_code(session, [code])
    if code not in known:
        raise UnknownAirport()
    return _public(AirportOut.model_validate(known[code]).wire())


def _public(body: object) -> JSONResponse:
    return JSONResponse(body, headers={"Cache-Control": "public, max-age=300"})


routes: list[Route] = [
    endpoint("/api/airports", airports),
    endpoint("/api/airports/{code}", airport),
]

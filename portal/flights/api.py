"""Flights, for programs."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portal.flights import queries
from portal.flights.errors import UnknownFlight
from portal.flights.forms import FlightOut
from portal.kit import db
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint


@operation("One flight", answer=FlightOut, errors=(UnknownFlight,))
def flight(request: Request) -> Response:
    """Answer a flight by its id, cancelled or not."""
    with db.reading() as session:
        found = queries.flight_by_public_id(session, request.path_params["flightId"])
    if found is None:
        raise UnknownFlight()
    return JSONResponse(FlightOut.model_validate(found).wire())


routes: list[Route] = [
    endpoint("/api/flights/{flightId:uuid}", flight),
]

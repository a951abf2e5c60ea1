"""Flights and their seats, for programs."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portal.flights import queries, rules
from portal.flights.errors import UnknownFlight
from portal.flights.forms import CabinOut, FlightOut, RowOut, SeatMapOut, SeatOut
from portal.flights.queries import CabinMap
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


@operation("The seats of a flight", answer=SeatMapOut, errors=(UnknownFlight,))
def seats(request: Request) -> Response:
    """Answer a flight's seat map. Seats are not given out by name yet: all are available while their cabin has any."""
    with db.reading() as session:
        found = queries.flight_by_public_id(session, request.path_params["flightId"])
        if found is None:
            raise UnknownFlight()
        cabins = queries.cabin_maps(session, found.id)
    return JSONResponse(SeatMapOut(cabins=tuple(_cabin(cabin) for cabin in cabins)).wire())


def _cabin(cabin: CabinMap) -> CabinOut:
    rows = (_row(cabin, number) for number in range(cabin.first_row, cabin.last_row + 1))
    return CabinOut(cabin=cabin.cabin, rows=tuple(rows))


def _row(cabin: CabinMap, number: int) -> RowOut:
    seats = rules.seat_row(number, cabin.layout, cabin.exit_rows, first_row=cabin.first_row)
    shown = (SeatOut(seat=s.name, available=cabin.free > 0, features=s.features) if s else None for s in seats)
    return RowOut(number=number, seats=tuple(shown))


routes: list[Route] = [
    endpoint("/api/flights/{flightId:uuid}", flight),
    endpoint("/api/flights/{flightId:uuid}/seats", seats),
]

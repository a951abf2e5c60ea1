"""A flight and its seat map, as programs see them."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

from starlette.testclient import TestClient

from portal.flights import service
from portal.flights.rules import distance_km, seat_row
from portal.flights.service import SeatWish
from portal.kit import db
from tests import world


def make(**wish: object) -> tuple[int, str]:
    with db.writing() as session:
        flight = world.flight(session, **wish)  # type: ignore[arg-type]  # the maker's own words
        session.refresh(flight)
        return flight.id, str(flight.public_id)


def test_a_flight_shows_local_times_with_their_offsets(client: TestClient) -> None:
    _, key = make(on=date(2027, 3, 1))
    answer = client.get(f"/api/flights/{key}").json()
    assert answer["flightId"] == key
    assert answer["flightNumber"] == "ME101"
    assert answer["origin"]["code"] == "JFK"
    assert answer["destination"]["timeZone"] == "America/Los_Angeles"
    assert answer["departureAt"] == "2027-03-01T08:00:00-05:00"
    assert answer["arrivalAt"] == "2027-03-01T11:15:00-08:00"
    assert (answer["durationMinutes"], answer["aircraft"], answer["status"]) == (375, "A320", "scheduled")


def test_a_cancelled_flight_says_so_and_offers_no_seat(client: TestClient) -> None:
    _, key = make(status="cancelled")
    assert client.get(f"/api/flights/{key}").json()["status"] == "cancelled"
    cabins = client.get(f"/api/flights/{key}/seats").json()["cabins"]
    assert not any(seat["available"] for cabin in cabins for row in cabin["rows"] for seat in row["seats"] if seat)


def test_the_seat_map_has_rows_aisles_and_exits(client: TestClient) -> None:
    _, key = make()
    business, economy = client.get(f"/api/flights/{key}/seats").json()["cabins"]
    assert (business["cabin"], len(business["rows"])) == ("business", 3)
    assert [row["number"] for row in economy["rows"]] == list(range(4, 29))


def test_a_full_cabin_has_no_available_seat(client: TestClient) -> None:
    flight, key = make(business=2)
    with db.writing() as session:
        wishes = [SeatWish(flight, "business", 2)]
        service.take_seats(session, holder=uuid4(), wishes=wishes, minutes=15)
    business, economy = client.get(f"/api/flights/{key}/seats").json()["cabins"]
    assert not any(seat["available"] for row in business["rows"] for seat in row["seats"] if seat)
    assert all(seat["available"] for row in economy["rows"] for seat in row["seats"] if seat)


def test_an_unknown_flight_is_not_found(client: TestClient) -> None:
    for path in (f"/api/flights/{uuid4()}", f"/api/flights/{uuid4()}/seats", "/api/flights/nonsense"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_lone_seat_is_window_and_aisle() -> None:
    assert [seat and seat.features for seat in seat_row(1, "A CD", [])] == [
        ("window", "aisle"),
        None,
        ("aisle",),
        ("window",),
    ]


def test_distances_are_great_circles() -> None:
    assert abs(distance_km((40.64, -73.78), (51.47, -0.45)) - 5540) < 15
    assert distance_km((0, 0), (0, 180)) == 20015
    assert distance_km((10, 20), (10, 20)) == 0

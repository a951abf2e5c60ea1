"""A line for two flights that connect: seats on both are held together, in the order of joining, or not at all."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.views import BookingView
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.watches import errors, queries
from portal.watches.models import Wait
from tests.booking import makers as bookings
from tests.watches import makers
from tests.watches.test_api import token

ON = clock.now().date() + timedelta(days=20)


def first(seats: int, number: int = 201) -> Flight:
    """JFK to Chicago in the morning, with so many seats."""
    return bookings.flight(destination="ORD", number=number, on=ON, at=time(8, 0), minutes=150, seats=seats)


def second(seats: int) -> Flight:
    """Chicago to Los Angeles after noon."""
    return bookings.flight(origin="ORD", number=301, on=ON, at=time(12, 0), minutes=260, seats=seats)


def fill(settings: Settings, flight: Flight, seats: int = 1) -> BookingView:
    return bookings.held(settings, bookings.offer(settings, flight, party=Party(seats)))


def joined(one: Flight, two: Flight, email: str = "anna@example.com", **given: Any) -> UUID:
    return makers.joined(one, email, onward_flight_id=two.public_id, **given)


def held_for(wait_id: UUID) -> list[int]:
    """Return the flights that were held for a wait, in order."""
    with db.reading() as session:
        found = session.get_one(Wait, wait_id).booking_id
        rows = session.execute(
            text("select flight_id from booking_segments where booking_id = :id order by position"), {"id": found}
        )
        return [row[0] for row in rows]


def test_both_flights_are_held_once_both_have_seats(settings: Settings) -> None:
    one, two = first(1), second(1)
    kept = fill(settings, one), fill(settings, two)
    wait = joined(one, two)
    makers.serve(settings)
    assert makers.state(wait) == "waiting"
    bookings.lapse(kept[0])
    makers.serve(settings)
    assert makers.state(wait) == "waiting"
    bookings.lapse(kept[1])
    makers.serve(settings)
    assert makers.state(wait) == "offered"
    assert held_for(wait) == [one.id, two.id]
    with db.reading() as session:
        assert queries.broken_waits(session) == []
    assert bookings.broken() == []


def test_whoever_came_first_is_served_first_whichever_of_the_flights_they_want(settings: Settings) -> None:
    one, two = first(5), second(1)
    kept = fill(settings, two)
    through = joined(one, two)
    straight = makers.joined(two, "ben@example.com")
    bookings.lapse(kept)
    makers.serve(settings)
    assert (makers.state(through), makers.state(straight)) == ("offered", "waiting")


def test_who_cannot_fly_on_is_passed_over_and_keeps_the_place(settings: Settings) -> None:
    one, two = first(1), second(1)
    kept = fill(settings, one), fill(settings, two)
    through = joined(one, two)
    straight = makers.joined(two, "ben@example.com")
    bookings.lapse(kept[1])
    makers.serve(settings)
    assert (makers.state(through), makers.state(straight)) == ("waiting", "offered")


@pytest.mark.parametrize(
    "change",
    [
        "sale_closed_at = now()",
        "departure_at = departure_at - interval '2 hours', departure_local = departure_local - interval '2 hours'",
    ],
)
def test_a_second_flight_that_is_not_sold_or_no_longer_connects_holds_nobody_up(
    settings: Settings, change: str
) -> None:
    one, two = first(1), second(5)
    kept = fill(settings, one)
    through, straight = joined(one, two), makers.joined(one, "ben@example.com")
    with db.writing() as session:
        session.execute(text(f"update flights set {change} where id = :id"), {"id": two.id})
    bookings.lapse(kept)
    makers.serve(settings)
    assert (makers.state(through), makers.state(straight)) == ("waiting", "offered")


def test_a_line_for_both_ends_when_either_is_cancelled(settings: Settings) -> None:
    one, two = first(5), second(1)
    fill(settings, two)
    wait = joined(one, two)
    with db.writing() as session:
        session.execute(text("update flights set status = 'cancelled' where id = :id"), {"id": two.id})
    makers.serve(settings)
    assert makers.state(wait) == "lapsed"


def test_what_does_not_connect_or_has_seats_is_no_line(settings: Settings) -> None:
    one, two = first(5), second(5)
    with pytest.raises(errors.NotFull):
        joined(one, two)
    for wrong in ((two, one), (one, one), (one, bookings.flight(number=401, on=ON, at=time(9, 0)))):
        with pytest.raises(errors.UnknownWait):
            joined(*wrong)


def test_the_page_lists_full_connections_and_takes_the_consent(client: TestClient, settings: Settings) -> None:
    one, two = first(5), second(1)
    fill(settings, two)
    asked = {"origin": "JFK", "destination": "LAX", "departureDate": ON.isoformat()}
    page = client.get("/waiting-list", params=asked).text
    assert "ME201 + ME301" in page
    assert "change in Chicago" in page
    assert "By joining you agree that we write to this address about these flights" in page
    sent = {**asked, "flightId": f"{one.public_id},{two.public_id}", "email": "anna@example.com"}
    assert client.post("/waiting-list", data=sent).status_code == 303
    with db.reading() as session:
        (wait,) = session.query(Wait).all()
    assert (wait.flight_id, wait.onward_id) == (one.id, two.id)
    assert client.post("/waiting-list", data=sent).status_code == 303
    assert bookings.one("select count(*) from waits") == 1
    makers.work_off(settings, "wait.joined")
    (mail,) = makers.inbox(settings)
    assert "New York – Los Angeles" in makers.words(mail)
    assert "ME201 + ME301" in makers.words(mail)
    place = client.get(makers.link(settings, mail, "/waiting-list/")).text
    assert "ME301, 12:00" in place


def test_a_program_waits_for_a_connection(client: TestClient, settings: Settings) -> None:
    one, two = first(5), second(1)
    fill(settings, two)
    headers = token(client)
    body = {"flightId": str(one.public_id), "onwardFlightId": str(two.public_id)}
    made = client.post("/api/me/waits", json=body, headers=headers)
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["onwardFlightId"], told["destination"]) == (str(two.public_id), "LAX")

"""Seats and extras for programs: the seat map with prices, choosing before and after paying, every refusal."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.booking.queries import booking_view
from portal.booking.views import BookingView
from portal.flights.models import Flight
from portal.kit import db, grants
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.seats.queries import broken_seats
from tests.booking import makers

FAMILY = Party(adults=2, children=1, infants=1)


def seen(booking: Booking) -> BookingView:
    with db.reading() as session:
        view = booking_view(session, booking.reference)
    assert view is not None
    return view


class Asker:
    """A program that may manage one booking."""

    def __init__(self, client: TestClient, settings: Settings, booking: Booking, flight: Flight) -> None:
        self.client, self.booking, self.flight = client, booking, flight
        token = grants.booking_token(settings, booking.reference)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.people = [one.id for one in seen(booking).passengers]

    def put_seats(self, *seats: tuple[int, str | None]) -> Any:
        body = [
            {"passengerId": str(self.people[who]), "flightId": str(self.flight.public_id), "seat": seat}
            for who, seat in seats
        ]
        return self.client.put(f"/api/bookings/{self.booking.reference}/seats", json=body, headers=self.headers)

    def put_extras(self, *wishes: tuple[str, int, int], on_flight: bool = True) -> Any:
        flight = str(self.flight.public_id) if on_flight else None
        body = [
            {"code": code, "passengerId": str(self.people[who]), "flightId": flight, "quantity": count}
            for code, who, count in wishes
        ]
        return self.client.put(f"/api/bookings/{self.booking.reference}/extras", json=body, headers=self.headers)

    def extras(self) -> Any:
        return self.client.get(f"/api/bookings/{self.booking.reference}/extras", headers=self.headers).json()

    def map(self) -> dict[str, Any]:
        path = f"/api/flights/{self.flight.public_id}/seats?reference={self.booking.reference}"
        cabins = self.client.get(path, headers=self.headers).json()["cabins"]
        return {seat["seat"]: seat for cabin in cabins for row in cabin["rows"] for seat in row["seats"] if seat}


@pytest.fixture
def family(client: TestClient, settings: Settings) -> Asker:
    """Two adults, a child and a lap infant, held in Basic: choosing a seat costs."""
    flight = makers.flight()
    return Asker(client, settings, makers.named(settings, makers.offer(settings, flight, party=FAMILY)), flight)


def paid(client: TestClient, settings: Settings, **offer: Any) -> Asker:
    flight = makers.flight(**offer.pop("flight", {}))
    return Asker(client, settings, makers.confirmed(settings, makers.offer(settings, flight, **offer)), flight)


def codes(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


def no_fault() -> bool:
    with db.reading() as session:
        return not broken_seats(session) and not makers.broken()


def test_the_seat_map_tells_features_and_prices(client: TestClient, settings: Settings) -> None:
    flight = makers.flight()
    cabins = client.get(f"/api/flights/{flight.public_id}/seats").json()["cabins"]
    economy = next(cabin for cabin in cabins if cabin["cabin"] == "economy")
    row = next(row for row in economy["rows"] if row["number"] == 12)
    assert [seat and seat["seat"] for seat in row["seats"]] == ["12A", "12B", "12C", None, "12D", "12E", "12F"]
    assert row["seats"][0] == {
        "seat": "12A",
        "available": True,
        "features": ["window", "exit", "legroom"],
        "price": {"amount": "45.00", "currency": "USD"},
    }
    prices = {seat["seat"]: seat["price"]["amount"] for row in economy["rows"] for seat in row["seats"] if seat}
    assert (prices["20B"], prices["20A"], prices["6B"], prices["4B"]) == ("9.00", "12.00", "19.00", "39.00")


def test_a_hold_gets_its_seats_at_once_and_pays_them_with_the_rest(family: Asker) -> None:
    before = family.booking.total_minor
    answer = family.put_seats((0, "20a"), (1, "20B"), (2, "20C")).json()
    assert answer["balance"]["amount"] == f"{(before + 1200 + 900 + 1200) / 100:.2f}"
    assert {one["label"] for one in answer["priceBreakdown"] if one["code"] == "seat"} == {
        f"Seat {seat}, ME101" for seat in ("20A", "20B", "20C")
    }
    assert {one["seat"] for one in answer["seats"]} == {"20A", "20B", "20C"}
    again = family.put_seats((0, "21A"), (1, None)).json()
    assert again["balance"]["amount"] == f"{(before + 1200 + 1200) / 100:.2f}"
    assert all(seat["available"] for name, seat in family.map().items() if int(name[:-1]) > 3)
    assert no_fault()


def test_somebody_elses_seat_is_taken_and_the_next_best_is_offered(
    client: TestClient, settings: Settings, family: Asker
) -> None:
    family.put_seats((0, "20A"))
    other = Asker(client, settings, makers.named(settings, makers.offer(settings, family.flight)), family.flight)
    answer = other.put_seats((0, "20A"))
    assert codes(answer) == (409, "seat_taken")
    assert (answer.json()["seat"], answer.json()["nextBest"]) == ("20A", "19A")
    assert not other.map()["20A"]["available"]
    assert seen(other.booking).total_minor == other.booking.total_minor


@pytest.mark.parametrize(
    ("who", "seat", "why"),
    [
        (2, "12A", "12 and over"),
        (0, "12A", "infant on the lap"),
        (3, "20A", "takes no seat"),
        (1, "2A", "no seat 2A"),
        (1, "99F", "no seat 99F"),
    ],
)
def test_a_seat_that_is_not_for_this_traveller_is_refused(family: Asker, who: int, seat: str, why: str) -> None:
    answer = family.put_seats((1, "21A"), (who, seat)) if who != 1 else family.put_seats((who, seat))
    assert answer.status_code == 422
    assert answer.json()["code"] in ("seat_not_allowed", "seat_unknown")
    assert why in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"] == ("/0/seat" if who == 1 else "/1/seat")
    assert family.map()["21A"]["available"]
    assert no_fault()


@pytest.mark.parametrize("seats", [("20A", "20B"), ("20A", "20A")])
def test_a_traveller_who_is_named_twice_is_refused_at_each_place(family: Asker, seats: tuple[str, str]) -> None:
    answer = family.put_seats((0, seats[0]), (0, seats[1]))
    assert codes(answer) == (422, "seat_not_allowed")
    assert answer.json()["errors"][0]["pointer"] == "/0/passengerId"


def test_an_adult_alone_may_sit_by_an_exit_until_asking_for_assistance(family: Asker) -> None:
    assert family.put_seats((1, "12A")).status_code == 200
    refused = family.put_extras(("wheelchair-ramp", 1, 1), on_flight=False)
    assert codes(refused) == (422, "extra_refused")
    assert "12A" in refused.json()["detail"]
    family.put_seats((1, "20A"))
    asked = family.put_extras(("wheelchair-ramp", 1, 1), on_flight=False)
    assert asked.json()["items"][0]["amount"]["amount"] == "0.00"
    assert "assistance" in family.put_seats((1, "12A")).json()["detail"]


def test_a_paid_booking_waits_for_what_its_seat_costs_and_the_seat_is_set_aside(
    client: TestClient, settings: Settings
) -> None:
    asker = paid(client, settings)
    answer = asker.put_seats((0, "20A")).json()
    assert (answer["status"], answer["balance"]["amount"], answer["seats"]) == ("confirmed", "12.00", [])
    other = Asker(client, settings, makers.named(settings, makers.offer(settings, asker.flight)), asker.flight)
    assert codes(other.put_seats((0, "20A"))) == (409, "seat_taken")
    makers.settled(makers.begun(asker.booking))
    assert [one.seat for one in seen(asker.booking).items] == ["20A"]
    assert no_fault()
    cheaper = asker.put_seats((0, "20B")).json()
    assert (cheaper["balance"]["amount"], [one["seat"] for one in cheaper["seats"]]) == ("0.00", ["20B"])
    dearer = asker.put_seats((0, "12A")).json()
    assert dearer["balance"]["amount"] == "36.00"
    assert no_fault()


def test_a_second_thought_takes_the_place_of_what_waits_and_bags_join_it(
    client: TestClient, settings: Settings
) -> None:
    asker = paid(client, settings)
    asker.put_seats((0, "20A"))
    assert asker.put_seats((0, "20B")).json()["balance"]["amount"] == "9.00"
    assert asker.map()["20A"]["available"]
    assert asker.put_extras(("bag23", 0, 2)).json()["balance"]["amount"] == "99.00"
    makers.settled(makers.begun(asker.booking))
    assert {(one.code, one.seat, one.amount_minor) for one in seen(asker.booking).items} == {
        ("seat", "20B", 900),
        ("bag23", None, 9000),
    }
    assert no_fault()


def test_where_the_fare_includes_it_a_seat_is_free_and_done_at_once(client: TestClient, settings: Settings) -> None:
    asker = paid(client, settings, brand="Flex")
    assert asker.map()["12A"]["price"]["amount"] == "0.00"
    answer = asker.put_seats((0, "12A")).json()
    assert (answer["balance"]["amount"], answer["seats"][0]["seat"]) == ("0.00", "12A")
    assert asker.put_seats((0, None)).json()["seats"] == []
    assert asker.map()["12A"]["available"]
    assert no_fault()


def test_a_fare_without_choice_opens_at_check_in_and_then_for_free(client: TestClient, settings: Settings) -> None:
    asker = paid(client, settings)
    with db.writing() as session:
        words = (
            """update booking_slices set conditions = conditions || '{"seat": {"allowed": false, "included": false}}'"""
        )
        session.execute(text(words))
    assert codes(asker.put_seats((0, "20A"))) == (409, "selection_closed")
    move = "update flights set departs_on = d::date, departure_local = d, departure_at = now() + interval '20 hours'"
    with db.writing() as session:
        session.execute(text(f"{move} from (select localtimestamp + interval '15 hours' d) t"))
    assert asker.put_seats((0, "20A")).json()["balance"]["amount"] == "0.00"


def test_extras_are_priced_for_each_and_included_where_the_fare_has_them(
    client: TestClient, settings: Settings, family: Asker
) -> None:
    got = family.put_extras(("bag23", 0, 2), ("meal-vegan", 2, 1), ("priority", 1, 1)).json()
    assert {one["code"]: one["amount"]["amount"] for one in got["items"]} == {
        "bag23": "90.00",
        "meal-vegan": "14.00",
        "priority": "12.00",
    }
    assert seen(family.booking).total_minor == family.booking.total_minor + 11600
    assert family.put_extras().json()["items"] == []
    flex = paid(client, settings, brand="Flex", flight={"number": 102})
    assert next(one for one in flex.extras()["products"] if one["code"] == "priority")["includedIn"] == [0]


@pytest.mark.parametrize(
    "wish", [("bag23", 0, 4), ("meal-child", 0, 1), ("yacht", 0, 1), ("sports", 3, 1), ("flexible-plans", 0, 1)]
)
def test_an_extra_that_does_not_fit_is_refused_with_its_place(family: Asker, wish: tuple[str, int, int]) -> None:
    answer = family.put_extras(("priority", 1, 1), wish)
    assert codes(answer) == (422, "extra_refused")
    assert answer.json()["errors"][0]["pointer"] == "/1"
    assert seen(family.booking).total_minor == family.booking.total_minor


def test_two_meals_for_one_are_refused(family: Asker) -> None:
    assert codes(family.put_extras(("meal-vegan", 0, 1), ("meal-halal", 0, 1))) == (422, "extra_refused")


def test_nobody_else_may_choose(client: TestClient, settings: Settings, family: Asker) -> None:
    family.headers = {}
    assert family.put_seats((0, "20A")).status_code == 404
    assert family.put_extras(("bag23", 0, 1)).status_code == 404
    assert client.get(f"/api/bookings/{family.booking.reference}/extras").status_code == 404


def test_a_lapsed_hold_can_choose_nothing(family: Asker) -> None:
    makers.lapse(family.booking)
    assert codes(family.put_seats((0, "20A"))) == (409, "selection_closed")
    assert codes(family.put_extras(("bag23", 0, 1))) == (409, "selection_closed")

"""GET /api/flights/search and /api/flights/calendar: the contract's shape, real local times, and plain refusals."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, update
from starlette.testclient import TestClient

from portal.flights.models import Flight, FlightCabin
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.search.answers import CalendarOut, SearchOut
from portal.search.service import read_offer
from tests import world

DAY = world.soon().isoformat()
BASE = {"origin": "JFK", "destination": "LAX", "departureDate": DAY}


def offset(zone: str) -> str:
    """What the clocks of `zone` are off UTC on DAY, as ISO 8601 writes it."""
    return datetime.combine(world.soon(), time(12), ZoneInfo(zone)).isoformat()[-6:]


def ask(client: TestClient, **more: Any) -> dict[str, Any]:
    answer = client.get("/api/flights/search", params={**BASE, **more})
    assert answer.status_code == 200, answer.text
    SearchOut.model_validate_json(answer.text)
    found: dict[str, Any] = answer.json()
    return found


def numbers(answer: dict[str, Any], position: int = 0) -> list[list[str]]:
    return [
        [segment["flightNumber"] for segment in one["segments"]] for one in answer["slices"][position]["itineraries"]
    ]


@pytest.fixture
def day(settings: Settings) -> None:
    """A day of three non-stop flights and one connection, and one flight back two days later."""
    with db.writing() as session:
        world.flight(session, number=101, at=time(8), fare_minor=20_000)
        world.flight(session, number=102, at=time(14), fare_minor=15_000, minutes=400)
        world.flight(session, number=103, at=time(20, 30), fare_minor=30_000, carrier="PA", minutes=360)
        world.flight(session, "JFK", "ORD", number=201, at=time(7), minutes=150, fare_minor=5_000)
        world.flight(session, "ORD", "LAX", number=202, at=time(10), minutes=260, fare_minor=6_000, carrier="PA")
        world.flight(session, "LAX", "JFK", number=104, on=world.soon(32), minutes=320, fare_minor=18_000)


def test_the_answer_has_the_contract_s_shape(client: TestClient, day: None, settings: Settings) -> None:
    answer = ask(client, adults=2, children=1, infants=1, maxStops=0, sort="departure")
    assert answer["currency"] == "USD"
    assert answer["passengers"] == {"adults": 2, "children": 1, "infants": 1}
    (found,) = answer["slices"]
    assert (found["origin"], found["destination"], found["date"], found["nextCursor"]) == ("JFK", "LAX", DAY, None)
    first = found["itineraries"][0]
    assert (first["durationMinutes"], first["stops"]) == (375, 0)
    (segment,) = first["segments"]
    assert segment["departureAt"] == f"{DAY}T08:00:00{offset('America/New_York')}"
    assert segment["arrivalAt"] == f"{DAY}T11:15:00{offset('America/Los_Angeles')}"
    assert (segment["carrier"], segment["flightNumber"], segment["aircraft"]) == ("ME", "ME101", "A320")
    assert segment["origin"]["code"] == "JFK"
    assert segment["destination"]["timeZone"] == "America/Los_Angeles"
    fares = first["fares"]
    assert [fare["brand"] for fare in fares] == ["Basic", "Standard", "Flex"]
    assert fares[0]["conditions"]["refund"] == {"allowed": False, "penalty": None}
    assert fares[1]["conditions"]["change"] == {"allowed": True, "penalty": {"amount": "75.00", "currency": "USD"}}
    assert fares[2]["conditions"]["cabinBag"] is True
    assert {fare["seatsLeft"] for fare in fares} == {9}
    totals = [Decimal(fare["total"]["amount"]) for fare in fares]
    assert totals == sorted(totals)
    offer = read_offer(settings, fares[1]["offerId"])
    assert (offer.total_minor, offer.brand) == (int(totals[1] * 100), "Standard")
    assert offer.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") == fares[1]["expiresAt"]


def test_the_total_is_the_sum_that_the_rules_print(client: TestClient, day: None) -> None:
    fare = ask(client, maxStops=0, sort="departure")["slices"][0]["itineraries"][0]["fares"][0]
    assert fare["total"] == {"amount": "230.40", "currency": "USD"}  # 200 + 7.5 % + 5.30 + 5.60 + 4.50


def test_a_return_trip_is_two_slices_of_their_own(client: TestClient, day: None) -> None:
    answer = ask(client, returnDate=world.soon(32).isoformat(), maxStops=0, sort="price")
    assert numbers(answer) == [["ME102"], ["ME101"], ["PA103"]]
    assert numbers(answer, 1) == [["ME104"]]
    back = answer["slices"][1]
    assert (back["origin"], back["destination"], back["date"]) == ("LAX", "JFK", world.soon(32).isoformat())


def test_slices_may_be_listed(client: TestClient, day: None) -> None:
    wishes = [f"jfk-ord-{DAY}", f"ORD-LAX-{DAY}", f"LAX-JFK-{world.soon(32)}"]
    answer = client.get("/api/flights/search", params={"slice": wishes})
    assert answer.status_code == 200
    assert [numbers(answer.json(), i) for i in range(3)] == [[["ME201"]], [["PA202"]], [["ME104"]]]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"ME101", "ME102", "PA103", "ME201"}),
        ({"maxStops": 0}, {"ME101", "ME102", "PA103"}),
        ({"airlines": "ME"}, {"ME101", "ME102"}),
        ({"airlines": "PA"}, {"PA103"}),
        ({"airlines": "pa,ME"}, {"ME101", "ME102", "PA103", "ME201"}),
        ({"airlines": ["PA", "ME"]}, {"ME101", "ME102", "PA103", "ME201"}),
        ({"airlines": "ZZ"}, set()),
        ({"departAfter": "08:00"}, {"ME101", "ME102", "PA103"}),
        ({"departAfter": "08:01"}, {"ME102", "PA103"}),
        ({"departBefore": "08:00"}, {"ME101", "ME201"}),
        ({"arriveBefore": "11:15"}, {"ME101"}),
        ({"arriveAfter": "17:41"}, {"PA103"}),
        ({"maxDuration": 375}, {"ME101", "PA103"}),
        ({"maxPrice": "143.45"}, {"ME201"}),
        ({"maxPrice": "143.44"}, set()),
        ({"cabin": "business", "maxPrice": "1000"}, {"ME101", "ME102", "PA103", "ME201"}),
        ({"cabin": "first"}, set()),
    ],
)
def test_filters(client: TestClient, day: None, more: dict[str, Any], expected: set[str]) -> None:
    assert {one[0] for one in numbers(ask(client, **more))} == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("price", ["ME201", "ME102", "ME101", "PA103"]),
        ("duration", ["PA103", "ME101", "ME102", "ME201"]),
        ("departure", ["ME201", "ME101", "ME102", "PA103"]),
        ("arrival", ["ME101", "ME201", "ME102", "PA103"]),
        ("best", ["ME102", "ME201", "ME101", "PA103"]),
    ],
)
def test_sorts(client: TestClient, day: None, sort: str, expected: list[str]) -> None:
    answer = ask(client, sort=sort)
    assert [one[0] for one in numbers(answer)] == expected


def test_the_cursor_leads_through_everything_once(client: TestClient, day: None) -> None:
    seen, cursor = [], None
    for _ in range(4):
        answer = ask(client, limit=1, sort="price", **({"cursor": cursor} if cursor else {}))
        seen += numbers(answer)
        cursor = answer["slices"][0]["nextCursor"]
    assert cursor is None
    assert seen == [["ME201", "PA202"], ["ME102"], ["ME101"], ["PA103"]]


def test_a_cursor_of_another_order_is_refused(client: TestClient, day: None) -> None:
    cursor = ask(client, limit=1, sort="price")["slices"][0]["nextCursor"]
    answer = client.get("/api/flights/search", params={**BASE, "sort": "duration", "cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/cursor"


def test_few_seats_are_told(client: TestClient, day: None) -> None:
    with db.writing() as session:
        session.execute(update(FlightCabin).values(sold=FlightCabin.capacity - 3))
    fares = ask(client, adults=3)["slices"][0]["itineraries"][0]["fares"]
    assert {fare["seatsLeft"] for fare in fares} == {3}
    assert numbers(ask(client, adults=4)) == []


def test_over_the_date_line_one_lands_before_one_left(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, "NRT", "LAX", number=1, at=time(17), minutes=600)
    (segment,) = ask(client, origin="NRT")["slices"][0]["itineraries"][0]["segments"]
    assert segment["departureAt"] == f"{DAY}T17:00:00+09:00"
    assert segment["arrivalAt"] in (f"{DAY}T10:00:00-08:00", f"{DAY}T11:00:00-07:00")
    assert segment["durationMinutes"] == 600


def change(zone: str, hours: int) -> date:
    """The next day, 12 to 369 days ahead, in whose early morning the clocks of `zone` go that many hours forward."""
    for day in (world.soon(number) for number in range(12, 370)):
        before, after = (datetime.combine(day, time(hour), ZoneInfo(zone)).utcoffset() for hour in (0, 12))
        if before is not None and after is not None and after - before == timedelta(hours=hours):
            return day
    raise AssertionError(zone)


@pytest.mark.parametrize(
    ("origin", "destination", "zone", "hours", "lands"),
    [
        ("ORD", "JFK", "America/New_York", -1, "01:30:00-05:00"),
        ("ORD", "JFK", "America/New_York", 1, "03:30:00-04:00"),
        ("LHR", "MUC", "Europe/Berlin", 1, "03:30:00+02:00"),
        ("LHR", "MUC", "Europe/Berlin", -1, "02:30:00+02:00"),
    ],
)
def test_nights_in_which_the_clocks_change(
    client: TestClient, settings: Settings, origin: str, destination: str, zone: str, hours: int, lands: str
) -> None:
    morning = change(zone, hours)
    eve = morning - timedelta(days=1)
    with db.writing() as session:
        world.flight(session, origin, destination, number=2, on=eve, at=time(23), minutes=150)
    with clock.shifted(timedelta(days=10)):
        asked = {"origin": origin, "destination": destination, "departureDate": eve.isoformat()}
        night = ask(client, **asked)["slices"][0]["itineraries"][0]
    assert night["segments"][0]["arrivalAt"] == f"{morning}T{lands}"
    assert night["durationMinutes"] == 150


def test_the_day_is_the_origin_s_own(client: TestClient, settings: Settings) -> None:
    """A flight at 00:30 in Tokyo leaves the day before by UTC, and is found on its local day."""
    with db.writing() as session:
        world.flight(session, "NRT", "LAX", number=1, at=time(0, 30), minutes=600)
    assert numbers(ask(client, origin="NRT")) == [["ME1"]]
    assert numbers(ask(client, origin="NRT", departureDate=world.soon(29).isoformat())) == []


def test_today_is_over_where_it_is_over(client: TestClient, settings: Settings) -> None:
    """At 03:00 UTC it is still yesterday in New York, and already today in Tokyo."""
    night = datetime.combine(world.soon(1), time(3), UTC)
    with clock.shifted(night - clock.now()):
        assert client.get("/api/flights/search", params={**BASE, "departureDate": world.soon(0)}).status_code == 200
        tokyo = client.get("/api/flights/search", params={**BASE, "origin": "NRT", "departureDate": world.soon(0)})
    assert tokyo.status_code == 422
    assert "over" in tokyo.json()["errors"][0]["detail"]


FAR = world.soon(362).isoformat()


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"origin": ""}, "/origin"),
        ({"origin": "J"}, "/origin"),
        ({"origin": "JF1"}, "/origin"),
        ({"origin": "QQQ"}, "/origin"),
        ({"origin": "'; drop table flights; --"}, "/origin"),
        ({"origin": "<script>alert(1)</script>"}, "/origin"),
        ({"origin": "J" * 100_0}, "/origin"),
        ({"origin": "\u202e\u202e\u202e"}, "/origin"),
        ({"destination": "JFK"}, "/destination"),
        ({"destination": "XQX"}, "/destination"),
        ({"departureDate": "tomorrow"}, "/departureDate"),
        ({"departureDate": "2027-02-30"}, "/departureDate"),
        ({"departureDate": "2020-01-01"}, "/departureDate"),
        ({"departureDate": "9999-12-31"}, "/departureDate"),
        ({"departureDate": "0001-01-01"}, "/departureDate"),
        ({"departureDate": FAR}, "/departureDate"),
        ({"returnDate": "2026-01-01"}, "/returnDate"),
        ({"returnDate": FAR}, "/returnDate"),
        ({"adults": "0"}, "/adults"),
        ({"adults": "10"}, "/adults"),
        ({"adults": "-1"}, "/adults"),
        ({"adults": "1.5"}, "/adults"),
        ({"adults": "9" * 30}, "/adults"),
        ({"adults": "5", "children": "5"}, "/children"),
        ({"infants": "2"}, "/infants"),
        ({"cabin": "roof"}, "/cabin"),
        ({"maxStops": "-1"}, "/maxStops"),
        ({"sort": "random"}, "/sort"),
        ({"limit": "0"}, "/limit"),
        ({"limit": "201"}, "/limit"),
        ({"cursor": "abc"}, "/cursor"),
        ({"cursor": "x" * 501}, "/cursor"),
        ({"airlines": "TOOLONG"}, "/airlines"),
        ({"departAfter": "25:00"}, "/departAfter"),
        ({"departAfter": "8"}, "/departAfter"),
        ({"maxPrice": "NaN"}, "/maxPrice"),
        ({"maxPrice": "1e999999"}, "/maxPrice"),
        ({"maxPrice": "-5"}, "/maxPrice"),
        ({"maxDuration": "0"}, "/maxDuration"),
        ({"unknown": "1"}, "/unknown"),
        ({"slice": f"JFK-LAX-{DAY}"}, "/slice"),
    ],
)
def test_wrong_input_is_named(client: TestClient, settings: Settings, query: dict[str, str], pointer: str) -> None:
    answer = client.get("/api/flights/search", params={**BASE, **query})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert pointer in [error["pointer"] for error in found["errors"]]
    assert found["code"] == "invalid"
    assert all(error["detail"].endswith(".") for error in found["errors"]), found["errors"]


@pytest.mark.parametrize(
    ("slices", "pointer"),
    [
        (["JFK-LAX"], "/slice/0"),
        (["JFK-LAX-2027-13-01"], "/slice/0"),
        ([f"JFK-JFK-{DAY}"], "/slice/0"),
        ([f"JFK-LAX-{DAY}", f"LAX-QQQ-{DAY}"], "/slice/1"),
        ([f"JFK-LAX-{DAY}", f"LAX-JFK-{world.soon(29)}"], "/slice/1"),
        ([f"JFK-LAX-{DAY}"] * 7, "/slice"),
    ],
)
def test_wrong_slices_are_named(client: TestClient, settings: Settings, slices: list[str], pointer: str) -> None:
    answer = client.get("/api/flights/search", params={"slice": slices})
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_nothing_asked_names_what_is_missing(client: TestClient, settings: Settings) -> None:
    errors = client.get("/api/flights/search").json()["errors"]
    assert {error["pointer"] for error in errors} == {"/origin", "/destination", "/departureDate"}


def test_the_calendar_tells_the_lowest_price_of_each_day(client: TestClient, day: None) -> None:
    with db.writing() as session:
        sold_out = world.flight(session, number=9, on=world.soon(31), seats=1)
        session.execute(update(FlightCabin).where(FlightCabin.flight_id == sold_out.id).values(sold=1, capacity=1))
        session.execute(update(Flight).where(Flight.number == 201).values(fare_minor=1))
    month = DAY[:7]
    answer = client.get("/api/flights/calendar", params={"origin": "JFK", "destination": "LAX", "month": month})
    assert answer.status_code == 200
    CalendarOut.model_validate(json.loads(answer.text))
    prices = {row["date"]: row["from"] for row in answer.json()["data"]}
    lowest = ask(client, maxStops=0, sort="price")["slices"][0]["itineraries"][0]["fares"][0]["total"]
    assert prices.pop(DAY) == lowest
    assert set(prices.values()) == {None}
    assert len(prices) in (27, 28, 29, 30)
    assert answer.json()["asOf"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"month": "2027-13"}, "/month"),
        ({"month": "0000-01"}, "/month"),
        ({"month": "9999-12"}, ""),
        ({"origin": "QQQ"}, "/origin"),
        ({"destination": "JFK"}, "/destination"),
    ],
)
def test_the_calendar_names_what_is_wrong(
    client: TestClient, settings: Settings, query: dict[str, str], pointer: str
) -> None:
    asked = {"origin": "JFK", "destination": "LAX", "month": DAY[:7], **query}
    answer = client.get("/api/flights/calendar", params=asked)
    assert answer.status_code == (422 if pointer else 200)
    if pointer:
        assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_slice_is_one_statement(client: TestClient, day: None) -> None:
    ask(client)
    said: list[str] = []

    def note(*given: Any) -> None:
        said.append(given[2])

    event.listen(db.database().read, "before_cursor_execute", note)
    ask(client)
    assert len(said) == 1


def test_an_offer_says_until_when(client: TestClient, day: None) -> None:
    fare = ask(client)["slices"][0]["itineraries"][0]["fares"][0]
    expires = datetime.fromisoformat(fare["expiresAt"])
    assert timedelta(minutes=29, seconds=40) < expires - clock.now() <= timedelta(minutes=30)

"""Waiting lists and fare alerts for programs: one's own only, with every no by its code."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import text
from starlette.testclient import TestClient

from portal.kit import db
from portal.kit.settings import Settings
from tests import world
from tests.accounts.test_keepsakes import token
from tests.booking import makers as bookings
from tests.watches import makers

ALERT = {
    "origin": "JFK",
    "destination": "LAX",
    "month": (world.soon() + timedelta(days=40)).isoformat()[:7],
    "below": {"amount": "250.00", "currency": "USD"},
    "email": "robin@example.com",
}


def test_a_program_joins_sees_and_leaves_a_line(client: TestClient, settings: Settings) -> None:
    flight, _ = makers.full(settings)
    mine, other = token(client), token(client, "other@example.com")
    wish = {"flightId": str(flight.public_id), "email": "robin@example.com", "adults": 2}
    made = client.post("/api/me/waits", json=wish, headers=mine)
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["state"], told["ahead"], told["flightNumber"]) == ("waiting", 0, "ME101")
    assert client.get("/api/me/waits", headers=mine).json() == {"data": [told], "nextCursor": None}
    assert client.get("/api/me/waits", headers=other).json()["data"] == []
    path = f"/api/me/waits/{told['id']}"
    assert client.delete(path, headers=other).json()["code"] == "unknown_wait"
    assert client.delete(path, headers=mine).status_code == 204
    assert client.get("/api/me/waits", headers=mine).json()["data"][0]["state"] == "left"
    assert client.get("/api/me/waits").status_code == 401


def test_every_no_of_a_line_has_its_code(client: TestClient, settings: Settings) -> None:
    mine = token(client)

    def no(flight_id: object, **more: object) -> tuple[int, str]:
        wish = {"flightId": str(flight_id), "email": "robin@example.com", **more}
        answer = client.post("/api/me/waits", json=wish, headers=mine)
        return answer.status_code, answer.json()["code"]

    assert no(uuid4()) == (404, "unknown_wait")
    assert no(bookings.flight().public_id) == (409, "not_full")
    flight, _ = makers.full(settings, number=7)
    assert no(flight.public_id, cabin="first") == (404, "unknown_wait")
    assert no(flight.public_id, adults=5, children=5) == (422, "invalid")
    for number in range(10, 15):
        makers.joined(makers.full(settings, number=number)[0], "robin@example.com")
    assert no(flight.public_id) == (409, "too_many_watches")
    with db.writing() as session:
        session.execute(text("update flights set status = 'cancelled', sale_closed_at = now()"))
    assert no(flight.public_id) == (409, "line_closed")


def test_nobody_learns_who_waits_or_listens_by_typing_an_address(client: TestClient, settings: Settings) -> None:
    """An address in line, one that is not, and one with as many places as it may have are answered alike."""
    flight, _ = makers.full(settings)
    makers.joined(flight, "victim@example.com")
    for number in range(10, 15):
        makers.joined(makers.full(settings, number=number)[0], "crowded@example.com")
    client.post("/fare-alerts", data={**ALERT, "below": "250", "email": "victim@example.com"})
    mine = token(client)
    for path, wish in (("waits", {"flightId": str(flight.public_id)}), ("alerts", ALERT)):
        told = []
        for name in ("victim", "nobody", "crowded"):
            asked = {**wish, "email": f"{name}@example.com"}
            answer = client.post(f"/api/me/{path}", json=asked, headers={**mine, "X-Request-Id": "the-same-one"})
            told.append((answer.status_code, answer.json()))
        assert told[0] == told[1] == told[2]
        assert (told[0][0], told[0][1]["errors"][0]["pointer"]) == (422, "/email")
        assert client.get(f"/api/me/{path}", headers=mine).json()["data"] == []


def test_the_accounts_own_address_is_meant_where_none_is_given(client: TestClient, settings: Settings) -> None:
    flight, _ = makers.full(settings)
    mine = token(client)
    wait = client.post("/api/me/waits", json={"flightId": str(flight.public_id)}, headers=mine)
    assert (wait.status_code, wait.json()["email"]) == (201, "robin@example.com")
    alert = {name: value for name, value in ALERT.items() if name != "email"}
    for wish in (alert, {**alert, "email": "Robin@Example.com"}):
        made = client.post("/api/me/alerts", json=wish, headers=mine)
        assert (made.status_code, made.json()["email"]) == (201, "robin@example.com")
    assert len(client.get("/api/me/alerts", headers=mine).json()["data"]) == 1


def test_a_program_listens_and_stops(client: TestClient, settings: Settings) -> None:
    mine, other = token(client), token(client, "other@example.com")
    made = client.post("/api/me/alerts", json=ALERT, headers=mine)
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["state"], told["below"], told["lastTold"]) == ("pending", ALERT["below"], None)
    assert told["firstDate"].endswith("-01")
    assert client.get("/api/me/alerts", headers=mine).json()["data"] == [told]
    path = f"/api/me/alerts/{told['id']}"
    assert client.delete(path, headers=other).json()["code"] == "unknown_alert"
    assert client.delete(path, headers=mine).status_code == 204
    assert client.delete("/api/me/alerts/none", headers=mine).status_code == 404


def test_what_is_wrong_with_an_alert_is_pointed_at(client: TestClient) -> None:
    mine = token(client)
    for change, pointer in (
        ({"departureDate": world.soon().isoformat()}, "/departureDate"),
        ({"month": "2020-01"}, "/month"),
        ({"origin": "XXX"}, "/origin"),
        ({"below": {"amount": "0.00", "currency": "USD"}}, "/below/amount"),
        ({"below": {"amount": "1.001", "currency": "USD"}}, "/below"),
    ):
        answer = client.post("/api/me/alerts", json={**ALERT, **change}, headers=mine)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer

"""Programs check in, read passes, undo, and scan at the gate; each refusal has its status, code and pointer."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import pypdf
import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.checkin import gate as gates
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests.booking import makers as bookings
from tests.checkin import makers

Token = Callable[[Booking], dict[str, str]]
DOCUMENT = {
    "type": "passport",
    "number": "c01x 00t47",
    "nationality": "de",
    "issuingCountry": "DE",
    "expiresOn": "2036-01-31",
    "sex": "F",
}


def body(booking: Booking, **more: Any) -> list[dict[str, Any]]:
    desk = makers.desk(booking)
    return [
        {"passengerId": str(one.id), "flightId": str(flight.public_id), **more}
        for flight in desk.view.flights
        for one in desk.view.active_passengers
        if one.takes_seat
    ]


def address(booking: Booking, rest: str = "check-ins") -> str:
    return f"/api/bookings/{booking.reference}/{rest}"


def refused(client: TestClient, booking: Booking, headers: dict[str, str], sent: Any) -> tuple[int, str, list[str]]:
    answer = client.post(address(booking), json=sent, headers=headers)
    said = answer.json()
    return answer.status_code, said["code"], [error["pointer"] for error in said.get("errors", [])]


def test_checked_in_it_answers_seats_numbers_and_bar_codes(
    client: TestClient, settings: Settings, token: Token
) -> None:
    flight = makers.leaving(10, "MUC", "JFK", minutes=540)
    booking = makers.paid(settings, flight, party=Party(1, 0, 1))
    headers = token(booking)
    desk = makers.desk(booking)
    sent = [
        {"passengerId": str(one.id), "flightId": str(flight.public_id), "document": DOCUMENT}
        for one in desk.view.active_passengers
    ]
    answer = client.post(address(booking), json=sent, headers=headers)
    assert answer.status_code == 201
    adult, infant = answer.json()["data"]
    assert (adult["sequenceNumber"], infant["sequenceNumber"]) == (1, 2)
    assert (adult["seat"] is None, infant["seat"]) == (False, None)
    assert adult["barcode"].startswith("M1SMITH/ANNAA         E" + booking.reference)
    assert adult["boardingAt"].endswith(("+01:00", "+02:00"))
    assert "C01X00T47" not in answer.text
    assert client.get(address(booking), headers=headers).json() == answer.json()
    assert client.post(address(booking), json=sent, headers=headers).json() == answer.json()


def test_the_same_key_gets_the_first_answer_again(client: TestClient, settings: Settings, token: Token) -> None:
    booking = makers.paid(settings, makers.leaving())
    headers = {**token(booking), "Idempotency-Key": uuid4().hex}
    first = client.post(address(booking), json=body(booking), headers=headers)
    again = client.post(address(booking), json=body(booking), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert client.post(address(booking), json=[], headers=headers).status_code == 422


def test_each_refusal_says_what_and_where(client: TestClient, settings: Settings, token: Token) -> None:
    flight = makers.leaving(10, "MUC", "JFK", minutes=540)
    booking = makers.paid(settings, flight, party=Party(1, 1))
    headers, sent = token(booking), body(booking)
    assert refused(client, booking, headers, sent) == (422, "documents_missing", ["/0/number", "/1/number"])
    old = {**DOCUMENT, "expiresOn": "2020-01-31"}
    assert refused(client, booking, headers, body(booking, document=old))[2] == ["/0/expiresOn", "/1/expiresOn"]
    assert refused(client, booking, headers, body(booking, document={**DOCUMENT, "sex": "?"}))[:2] == (422, "invalid")
    assert refused(client, booking, headers, body(booking, document=DOCUMENT)[1:])[1] == "party_split"
    by_exit = [{**one, "seat": "12A"} for one in body(booking, document=DOCUMENT)[1:]] + body(booking)[:1]
    assert refused(client, booking, headers, by_exit)[1] == "documents_missing"
    documented = body(booking, document=DOCUMENT)
    assert refused(client, booking, headers, [documented[0], {**documented[1], "seat": "12A"}])[1] == "seat_not_allowed"
    assert refused(client, booking, headers, [{**documented[0], "seat": "99A"}, documented[1]])[1] == "seat_unknown"
    assert refused(client, booking, headers, [{**documented[0], "flightId": str(uuid4())}])[1] == "check_in_closed"
    assert refused(client, booking, headers, {})[1] == "invalid"
    assert bookings.one("select count(*) from check_ins") == 0
    assert bookings.one("select count(*) from travel_documents") == 0


def test_a_seat_that_is_gone_is_said_with_409(client: TestClient, settings: Settings, token: Token) -> None:
    flight = makers.leaving()
    first, second = makers.paid(settings, flight), makers.paid(settings, flight)
    makers.check_in(first, makers.everybody(first, p0="14B"))
    assert refused(client, second, token(second), body(second, seat="14b"))[:2] == (409, "seat_taken")


def test_too_early_and_not_paid_are_409(client: TestClient, settings: Settings, token: Token) -> None:
    early = makers.paid(settings, makers.leaving(40))
    assert refused(client, early, token(early), body(early))[:2] == (409, "check_in_closed")


def test_a_full_cabin_whose_last_seats_are_by_an_exit_sends_a_child_to_the_desk(
    client: TestClient, settings: Settings, token: Token
) -> None:
    flight = makers.leaving()
    others, family = makers.paid(settings, flight), makers.paid(settings, flight, party=Party(1, 1))
    with db.writing() as session:
        session.execute(
            text(
                """
                insert into named_seats (flight_id, seat, cabin, holder, occupant)
                select :flight, row || letter, 'economy', :holder, gen_random_uuid()
                from generate_series(4, 28) row, unnest(array['A', 'B', 'C', 'D', 'E', 'F']) letter
                where row <> 12
                """
            ),
            {"flight": flight.id, "holder": others.id},
        )
    assert refused(client, family, token(family), body(family))[:2] == (409, "no_seat_left")
    assert bookings.one("select count(*) from check_ins") == 0


def test_who_has_boarded_stays_and_a_closed_gate_says_so(
    client: TestClient, settings: Settings, token: Token, gate_token: dict[str, str], staff_id: UUID
) -> None:
    flight = makers.leaving()
    booking = makers.paid(settings, flight, party=Party(2))
    first, second = makers.check_in(booking)
    assert gate(client, gate_token, flightId=str(flight.public_id), sequence=1).json()["result"] == "boarded"
    undone = client.delete(address(booking, f"check-ins/{first.id}"), headers=token(booking))
    assert (undone.status_code, undone.json()["code"]) == (409, "already_boarded")
    with db.writing() as session:
        gates.close(session, flight.public_id, staff_id=staff_id, now=clock.now())
    closed = gate(client, gate_token, flightId=str(flight.public_id), sequence=second.sequence_number)
    assert (closed.status_code, closed.json()["code"]) == (409, "boarding_closed")
    assert gate(client, gate_token, flightId=str(flight.public_id), sequence=1).json()["result"] == "already_boarded"


def test_passes_are_for_who_may_manage_the_booking(client: TestClient, settings: Settings, token: Token) -> None:
    booking, other = makers.paid(settings, makers.leaving()), makers.paid(settings, makers.leaving(number=102))
    makers.check_in(booking)
    for headers in ({}, token(other)):
        for answer in (
            client.get(address(booking), headers=headers),
            client.get(address(booking, "boarding-passes.pdf"), headers=headers),
            client.post(address(booking), json=body(booking), headers=headers),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    pdf = client.get(address(booking, "boarding-passes.pdf"), headers=token(booking))
    assert pdf.headers["content-type"] == "application/pdf"
    assert len(pypdf.PdfReader(BytesIO(pdf.content)).pages) == 1
    empty = client.get(address(other, "boarding-passes.pdf"), headers=token(other))
    assert (empty.status_code, empty.json()["code"]) == (404, "not_checked_in")


def test_undone_through_the_api(client: TestClient, settings: Settings, token: Token) -> None:
    booking = makers.paid(settings, makers.leaving())
    made = makers.check_in(booking)[0]
    assert client.delete(address(booking, f"check-ins/{made.id}"), headers=token(booking)).status_code == 204
    again = client.delete(address(booking, f"check-ins/{made.id}"), headers=token(booking))
    assert (again.status_code, again.json()["code"]) == (404, "not_checked_in")
    assert client.delete(address(booking, "check-ins/x"), headers=token(booking)).status_code == 404


def gate(client: TestClient, headers: dict[str, str], **sent: Any) -> Any:
    return client.post("/api/boarding/scans", json=sent, headers=headers)


def test_the_gate_boards_once_and_lists_everybody(
    client: TestClient, settings: Settings, gate_token: dict[str, str]
) -> None:
    flight, other = makers.leaving(), makers.leaving(number=102)
    booking = makers.paid(settings, flight, party=Party(2))
    makers.check_in(booking)
    codes = [one.barcode for one in makers.passes(booking)]
    first = gate(client, gate_token, barcode=codes[0], flightId=str(flight.public_id)).json()
    assert (first["result"], first["passenger"], first["sequence"]) == ("boarded", "SMITH/ANNAA", 1)
    assert first["boardedAt"].endswith("Z")
    assert gate(client, gate_token, barcode=codes[0]).json()["result"] == "already_boarded"
    assert gate(client, gate_token, barcode=codes[1], flightId=str(other.public_id)).json()["result"] == "wrong_flight"
    assert gate(client, gate_token, barcode="?").json() == {
        "result": "unknown", "flightId": None, "passenger": None, "type": None, "sequence": None, "seat": None,
        "seatChanged": False, "boardedAt": None,
    }  # fmt: skip
    listed = client.get(f"/api/boarding/flights/{flight.public_id}", headers=gate_token).json()
    assert [one["state"] for one in listed["data"]] == ["boarded", "checked_in"]


def test_a_gate_without_a_flight_or_a_code_is_refused(client: TestClient, gate_token: dict[str, str]) -> None:
    assert gate(client, gate_token).status_code == 422
    assert gate(client, gate_token, sequence=1).status_code == 422
    unknown = gate(client, gate_token, sequence=1, flightId=str(uuid4()))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("who", ["guest", "traveller", "booking"])
def test_only_staff_work_at_the_gate(
    client: TestClient, settings: Settings, gate_token: dict[str, str], token: Token, who: str
) -> None:
    flight = makers.leaving()
    headers, status = _who(client, settings, token, flight, who)
    assert gate(client, headers, barcode="?").status_code == status
    assert client.get(f"/api/boarding/flights/{flight.public_id}", headers=headers).status_code == status


def _who(client: TestClient, settings: Settings, token: Token, flight: Flight, who: str) -> tuple[dict[str, str], int]:
    if who == "traveller":
        login = {"email": "traveller@example.com", "password": "Fly-the-demo-1"}
        found = client.post("/api/auth/login", json=login).json()["accessToken"]
        return {"Authorization": f"Bearer {found}"}, 403
    return (token(makers.paid(settings, flight)), 401) if who == "booking" else ({}, 401)

"""Finding a booking again needs both its reference and a name, and tells nobody which of the two is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit.settings import Settings


def manage(client: TestClient, reference: str, name: str) -> int:
    return client.post("/manage", data={"reference": reference, "familyName": name}).status_code


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("ANA234", "Müller"),
        ("ana234", "MULLER"),
        (" ana-234 ", "müller"),
        ("ANA 234", " Mueller "),
        ("ANA234", "Mu\u0308ller"),
    ],
)
def test_reference_and_family_name_open_the_trip(client: TestClient, ana: str, reference: str, name: str) -> None:
    answer = client.post("/manage", data={"reference": reference, "familyName": name})
    assert answer.headers["location"] == "/bookings/ANA234"
    page = client.get("/bookings/ANA234")
    assert page.status_code == 200
    for words in ("You are booked", "ANA234", "MULLER/ANA", "New York", "ME101", "$300.00", "itinerary.pdf"):
        assert words in page.text
    assert "ana@example.com" not in page.text


def test_a_wrong_name_and_a_wrong_reference_sound_the_same(client: TestClient, ana: str) -> None:
    texts = []
    for reference, name in (("ANA234", "Meier"), ("ANA235", "Müller")):
        answer = client.post("/manage", data={"reference": reference, "familyName": name})
        assert answer.status_code == 404
        assert "We find no booking with this reference and this name." in answer.text
        assert f'value="{reference}"' in answer.text
        assert f'value="{name}"' in answer.text
        assert "trips=" not in answer.headers.get("set-cookie", "")
        texts.append(answer.text.replace(reference, "").replace(name, ""))
    assert texts[0] == texts[1]
    assert client.get("/bookings/ANA234").status_code == 404


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("", ""),
        ("ANA234", ""),
        ("", "Müller"),
        ("ANA23", "Müller"),
        ("ANA230", "Müller"),
        ("ANA2345", "Müller"),
        ("x" * 5000, "Müller"),
        ("ANA234", "x" * 5000),
        ("ANA234", "Mül\x00ler"),
        ("ANA234", "%"),
        ("' or 1=1 --", "' or 1=1 --"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_hostile_input_is_answered_in_words(client: TestClient, ana: str, reference: str, name: str) -> None:
    answer = client.post("/manage", data={"reference": reference, "familyName": name})
    assert answer.status_code in (404, 422)
    assert 'class="why"' in answer.text
    assert "<script>alert" not in answer.text


def test_guessing_a_name_is_limited_by_reference_whoever_tries(limited: Settings, ana: str) -> None:
    with TestClient(create_app(limited), follow_redirects=False) as client:
        codes = [manage(client, "ANA234", f"Name{chr(97 + number)}") for number in range(11)]
        assert codes == [404] * 10 + [429]
        assert manage(client, "ANA234", "Müller") == 429
        api = client.get("/api/bookings/ANA234", params={"familyName": "Müller"})
        assert (api.status_code, api.json()["code"]) == (429, "too_many_requests")


def test_guessing_references_is_limited_by_caller(limited: Settings, ana: str) -> None:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    with TestClient(create_app(limited), follow_redirects=False) as client:
        codes = [manage(client, f"ZZZZZ{letter}", "Müller") for letter in letters]
    assert codes[:30] == [404] * 30
    assert codes[30:] == [429] * 2


def test_a_lost_redis_keeps_nobody_from_their_booking(limited: Settings, ana: str) -> None:
    with TestClient(create_app(replace(limited, redis_url="redis://127.0.0.1:1/0")), follow_redirects=False) as client:
        assert manage(client, "ANA234", "Müller") == 303

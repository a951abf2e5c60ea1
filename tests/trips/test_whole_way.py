"""What a traveller books is what they find again: a guest by token and name, the signed-in under My trips."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.accounts.service import DEMO_PASSWORD
from portal.kit import db
from portal.pricing.service import ensure_reference_rows, forget_books
from tests import world

ANA = {"type": "adult", "givenName": "Ana", "familyName": "Müller", "dateOfBirth": "1990-05-01"}


@pytest.fixture
def offer(client: TestClient) -> str:
    """The cheapest offer of the only flight."""
    with db.writing() as session:
        ensure_reference_rows(session)
        accounts.ensure_demo_users(session)
        world.flight(session)
    forget_books()
    wish = {"origin": "JFK", "destination": "LAX", "departureDate": world.soon().isoformat()}
    found = client.get("/api/flights/search", params=wish).json()
    return str(found["slices"][0]["itineraries"][0]["fares"][0]["offerId"])


def book(client: TestClient, offer: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    wish = {"offerIds": [offer], "contact": {"email": "ana@example.com"}, "passengers": [ANA]}
    answer = client.post("/api/bookings", json=wish, headers=headers or {})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_guest_finds_the_booking_by_its_token_and_by_name(client: TestClient, offer: str) -> None:
    made = book(client, offer)
    address = f"/api/bookings/{made['reference']}"
    by_token = client.get(address, headers={"Authorization": f"Bearer {made['bookingToken']}"})
    by_name = client.get(address, params={"familyName": "muller"})
    assert by_token.json() == by_name.json() == {k: v for k, v in made.items() if k != "bookingToken"}
    assert client.get(address).status_code == 404


def test_a_signed_in_programs_booking_is_under_my_trips(client: TestClient, offer: str) -> None:
    login = {"email": "traveller@example.com", "password": DEMO_PASSWORD}
    token = client.post("/api/auth/login", json=login).json()["accessToken"]
    made = book(client, offer, {"Authorization": f"Bearer {token}"})
    assert "bookingToken" not in made
    listed = client.get("/api/bookings", headers={"Authorization": f"Bearer {token}"}).json()
    assert [one["reference"] for one in listed["data"]] == [made["reference"]]
    client.post("/account/sign-in", data=login)
    assert made["reference"] in client.get("/account/trips").text
    page = client.get(f"/bookings/{made['reference']}").text
    assert "Held for you, not paid yet" in page
    assert "Pay $" in page

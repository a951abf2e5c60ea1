"""What an account likes is used: a suggested seat as it likes it, at its price; a meal only where it costs nothing."""

from __future__ import annotations

import html
import re
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.flights.rules import CabinPlan
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.seats import rules
from portal.seats.rules import NOTHING_LIKED, Liked
from portal.seats.service import ensure_catalogue
from tests.booking import makers
from tests.seats.test_pages import browser
from tests.seats.test_rules import PRICES, booked, cabins
from tests.trips.conftest import users

__all__ = ["users"]


@pytest.fixture(autouse=True)
def catalogue(settings: Settings) -> None:
    with db.writing() as session:
        ensure_catalogue(session)


def theirs(settings: Settings, users: dict[str, UUID], *, cabin: str = "economy", **likes: Any) -> Booking:
    """Return a held trip of the demo's traveller, alone and named, whose account likes so."""
    offer = makers.offer(settings, makers.flight(), cabin=cabin, party=Party(1))
    booking = makers.named(settings, offer)
    with db.writing() as session:
        owner = {"who": users["customer"], "id": booking.id, "seat": None, "meal": None, **likes}
        session.execute(text("update bookings set user_id = :who where id = :id"), owner)
        session.execute(text("insert into preferences (user_id, seat, meal) values (:who, :seat, :meal)"), owner)
    return booking


def suggestion(client: TestClient, settings: Settings, booking: Booking) -> str:
    page = browser(client, settings, booking).get(f"/book/{booking.reference}/seats").text
    form = re.search(r'<form class="together".*?</form>', page, re.S)
    assert form is not None
    return html.unescape(form[0])


@pytest.mark.parametrize(("seat", "letters"), [("window", "AF"), ("aisle", "CD")])
def test_the_suggested_seat_is_where_the_account_likes_it(
    client: TestClient, settings: Settings, users: dict[str, UUID], seat: str, letters: str
) -> None:
    form = suggestion(client, settings, theirs(settings, users, seat=seat))
    named = re.search(r'name="seat\.\d" value="\d+(\w)"', form)
    assert named is not None
    assert named[1] in letters
    assert "as your account says you like it" in form
    assert "$" in form


def test_who_said_nothing_is_offered_the_cheapest(
    client: TestClient, settings: Settings, users: dict[str, UUID]
) -> None:
    assert "as your account says" not in suggestion(client, settings, theirs(settings, users))


def signed_in(client: TestClient) -> str:
    login = {"email": "traveller@example.com", "password": "Fly-the-demo-1"}
    return str(client.post("/api/auth/login", json=login).json()["accessToken"])


def test_a_program_is_told_the_same(client: TestClient, settings: Settings, users: dict[str, UUID]) -> None:
    booking = theirs(settings, users, seat="window")
    on_page = re.findall(r'name="seat\.\d" value="(\w+)"', suggestion(client, settings, booking))
    token = signed_in(client)
    flight = makers.one("select public_id::text from flights")
    asked = f"/api/flights/{flight}/seats"
    told = client.get(
        asked, params={"reference": booking.reference}, headers={"Authorization": f"Bearer {token}"}
    ).json()
    assert [one["seat"] for one in told["suggestion"]] == on_page
    assert told["suggestion"][0]["price"]["currency"] == "USD"
    assert client.get(asked).json()["suggestion"] is None


def chosen(page: str) -> list[str]:
    return re.findall(r'<option value="(meal-[a-z]+)" selected', page)


def test_a_liked_meal_is_chosen_where_it_costs_nothing(
    client: TestClient, settings: Settings, users: dict[str, UUID]
) -> None:
    booking = theirs(settings, users, cabin="business", meal="VGML")
    go = browser(client, settings, booking)
    page = go.get(f"/book/{booking.reference}/extras").text
    assert chosen(page) == ["meal-vegan"]
    assert "You usually take: vegan" in page
    assert makers.one("select count(*) from booking_items") == 0
    before = makers.one("select total_minor from bookings")
    go.post(f"/book/{booking.reference}/extras", data={"meal.0.0": "meal-vegan", "key": "k"})
    assert makers.one("select code from booking_items") == "meal-vegan"
    assert makers.one("select total_minor from bookings") == before


def test_a_liked_meal_that_costs_is_told_and_never_chosen(
    client: TestClient, settings: Settings, users: dict[str, UUID]
) -> None:
    booking = theirs(settings, users, meal="VGML")
    page = browser(client, settings, booking).get(f"/book/{booking.reference}/extras").text
    assert chosen(page) == []
    assert "You usually take: vegan" in page


def test_a_program_is_told_which_meal_and_whose(client: TestClient, settings: Settings, users: dict[str, UUID]) -> None:
    vegan = theirs(settings, users, meal="VGML")
    headers = {"Authorization": f"Bearer {signed_in(client)}"}
    told = client.get(f"/api/bookings/{vegan.reference}/extras", headers=headers).json()
    one = makers.one("select id::text from passengers")
    assert told["liked"] == {"passengerId": one, "code": "meal-vegan"}
    assert told["items"] == []
    with db.writing() as session:
        session.execute(text("update preferences set meal = null"))
    assert client.get(f"/api/bookings/{vegan.reference}/extras", headers=headers).json()["liked"] is None


def test_what_was_chosen_otherwise_stays(client: TestClient, settings: Settings, users: dict[str, UUID]) -> None:
    booking = theirs(settings, users, cabin="business", meal="VGML")
    go, at = browser(client, settings, booking), f"/book/{booking.reference}/extras"
    go.post(at, data={"meal.0.0": "meal-kosher", "key": "k"})
    assert chosen(go.get(at).text) == ["meal-kosher"]


@given(cabins(), st.sampled_from(("window", "aisle", "front", None)), st.integers(1, 4))
def test_a_liking_never_parts_the_party_nor_seats_it_by_an_exit(plan: CabinPlan, seat: str | None, adults: int) -> None:
    party = booked(*["adult"] * adults).active_passengers
    plain = rules.together(plan, party, PRICES, "penalty")
    found = rules.together(plan, party, PRICES, "penalty", wish=Liked(seat, None, party[0].id))
    assert len(found) == len(plain)
    assert all("exit" not in one.features and not one.taken for one in found.values())
    if len(found) == 1 and any(
        seat in one.features and not one.taken and "exit" not in one.features for one in plan.seats
    ):
        assert seat in found[party[0].id].features
    assert rules.together(plan, party, PRICES, "penalty", wish=NOTHING_LIKED) == plain

"""What an account keeps: travellers, routes, preferences, its own only; and the bookings of its guest days."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.accounts import service
from portal.accounts.errors import TooManyTravellers
from portal.accounts.forms import Traveller
from portal.accounts.models import SavedTraveller, User
from portal.accounts.rules import type_on
from portal.booking.models import Booking
from portal.kit import db
from portal.kit.settings import Settings
from tests import people, world
from tests.booking import makers as bookings
from tests.watches.makers import sign_in, work_off

MIA = {"givenName": "Mia", "familyName": "Wood", "dateOfBirth": "2019-03-02"}
SECRET = "a quiet blue morning"


def token(client: TestClient, email: str = "robin@example.com") -> dict[str, str]:
    """Make an account; return the header of a program that stands for it."""
    person = {"email": email, "firstName": "Robin", "lastName": "Wood", "password": SECRET, "confirmPassword": SECRET}
    client.post("/api/auth/register", json=person)
    people.confirm(client)
    answer = client.post("/api/auth/login", json={"email": email, "password": SECRET})
    return {"Authorization": f"Bearer {answer.json()['accessToken']}"}


def kept() -> list[SavedTraveller]:
    with db.reading() as session:
        return list(session.scalars(select(SavedTraveller).order_by(SavedTraveller.created_at)))


def test_a_traveller_is_added_changed_and_removed_on_the_page(client: TestClient) -> None:
    sign_in(client)
    assert client.post("/account/travellers", data=MIA).status_code == 303
    (one,) = kept()
    page = client.get("/account/travellers").text
    assert "Mia Wood" in page
    assert "Child" in page
    assert 'value="2019-03-02"' in client.get(f"/account/travellers/{one.id}").text
    client.post(f"/account/travellers/{one.id}", data={**MIA, "givenName": "Maria"})
    assert kept()[0].given_name == "Maria"
    client.post(f"/account/travellers/{one.id}/delete")
    assert kept() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("familyName", ""), ("dateOfBirth", "2999-01-01"), ("dateOfBirth", "1850-01-01"), ("dateOfBirth", "20190-03-02")],
)
def test_a_wrong_field_is_named_and_what_was_typed_is_kept(client: TestClient, field: str, value: str) -> None:
    sign_in(client)
    answer = client.post("/account/travellers", data={**MIA, field: value})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert 'value="Mia"' in answer.text
    assert kept() == []


def test_nobody_sees_or_touches_anothers_travellers(client: TestClient, settings: Settings) -> None:
    mine, other = token(client), token(client, "other@example.com")
    made = client.post("/api/me/travellers", json=MIA, headers=other).json()["id"]
    assert client.get("/api/me/travellers", headers=mine).json()["data"] == []
    assert client.put(f"/api/me/travellers/{made}", json=MIA, headers=mine).status_code == 404
    assert client.delete(f"/api/me/travellers/{made}", headers=mine).status_code == 404
    assert client.delete(f"/api/me/travellers/{uuid4()}", headers=mine).status_code == 404
    assert client.delete("/api/me/travellers/none", headers=mine).json()["code"] == "unknown_traveller"
    sign_in(client)
    for method, path in (("GET", made), ("POST", made), ("POST", f"{made}/delete"), ("GET", "none")):
        assert client.request(method, f"/account/travellers/{path}", data=MIA).status_code == 404
    assert len(kept()) == 1


def test_a_program_keeps_its_travellers(client: TestClient) -> None:
    mine = token(client)
    made = client.post("/api/me/travellers", json=MIA, headers=mine)
    assert made.status_code == 201
    assert made.json()["type"] == "child"
    path = made.headers["location"]
    changed = client.put(path, json={**MIA, "dateOfBirth": "1990-01-01"}, headers=mine)
    assert changed.json()["type"] == "adult"
    assert client.get("/api/me/travellers", headers=mine).json()["data"] == [changed.json()]
    assert client.delete(path, headers=mine).status_code == 204
    assert client.get("/api/me/travellers").status_code == 401


def test_twenty_travellers_are_kept_and_no_more(client: TestClient) -> None:
    mine = token(client)
    with db.writing() as session:
        user_id = session.scalars(select(User.id)).one()
        for number in range(20):
            service.save_traveller(
                session, user_id, Traveller(family_name=f"Wood {number}", date_of_birth="1990-01-01")
            )
    with pytest.raises(TooManyTravellers), db.writing() as session:
        service.save_traveller(session, user_id, Traveller(family_name="Wood", date_of_birth="1990-01-01"))
    answer = client.post("/api/me/travellers", json=MIA, headers=mine)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_travellers")
    sign_in(client)
    assert "The list is full" in client.get("/account/travellers").text


def test_a_saved_traveller_fills_the_form_of_a_booking_without_scripts(client: TestClient, settings: Settings) -> None:
    sign_in(client)
    client.post("/account/travellers", data={**MIA, "dateOfBirth": "1990-05-06"})
    client.post("/account/travellers", data=MIA)
    adult, child = kept()
    with db.reading() as session:
        user_id = session.scalars(select(User.id)).one()
    flight = bookings.flight()
    held = bookings.held(settings, bookings.offer(settings, flight), user_id=user_id)
    path = f"/book/{held.reference}/passengers"
    page = client.get(path).text
    assert str(adult.id) in page
    assert str(child.id) not in page
    assert f'max="{flight.departs_on.isoformat()}"' in page
    form = {"_fill.0": str(adult.id), "_fill_in": "0", "contact.email": "kept@example.com"}
    answer = client.post(path, data=form)
    assert answer.status_code == 200
    for value in ("Mia", "Wood", "1990-05-06", "kept@example.com"):
        assert f'value="{value}"' in answer.text
    typed = {f"passengers.0.{name}": value for name, value in {**MIA, "dateOfBirth": "1990-05-06"}.items()}
    form = {"passengers.0.type": "adult", **typed, "contact.email": "anna@example.com", "_fill.0": str(adult.id)}
    assert client.post(path, data=form).headers["location"].startswith(f"/book/{held.reference}/")


@pytest.mark.parametrize(
    ("born", "kind"),
    [("2025-03-02", "infant"), ("2025-03-01", "child"), ("2015-03-02", "child"), ("2015-03-01", "adult")],
)
def test_the_type_goes_by_the_age_on_the_day(born: str, kind: str) -> None:
    from datetime import date

    assert type_on(date.fromisoformat(born), date(2027, 3, 1)) == kind


def test_preferences_are_kept_and_speak_for_themselves(client: TestClient) -> None:
    sign_in(client)
    form = {"homeAirport": "muc", "seat": "aisle", "meal": "VGML", "language": "en", "fareAlerts": "1"}
    answer = client.post("/account/preferences", data=form)
    assert answer.status_code == 303
    assert "locale=en" in answer.headers["set-cookie"]
    page = client.get("/account/preferences").text
    assert 'value="MUC"' in page
    for name in ("aisle", "VGML", "en"):
        assert re.search(rf'<option value="{name}" selected>', page)
    assert re.search(r'name="fareAlerts" value="1" checked', page)
    assert not re.search(r'name="checkIn" value="1" checked', page)
    assert "Vegan" in client.get("/account").text
    assert 'value="München (MUC)"' in client.get("/").text
    assert 'value="München (MUC)"' not in client.get("/?origin=JFK").text


@pytest.mark.parametrize(("field", "value"), [("homeAirport", "XXX"), ("homeAirport", "Munich"), ("seat", "wing")])
def test_an_impossible_preference_is_named(client: TestClient, field: str, value: str) -> None:
    sign_in(client)
    answer = client.post("/account/preferences", data={field: value})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text


def test_a_program_changes_only_what_it_gives(client: TestClient) -> None:
    mine = token(client)
    nothing = {"homeAirport": None, "seat": None, "meal": None, "language": None, "keepAddress": True}
    both = {"checkIn": True, "fareAlerts": True, "newSignIn": True}
    assert client.get("/api/me", headers=mine).json()["preferences"] == {**nothing, "notifications": both}
    change = {"preferences": {"seat": "window", "notifications": {"checkIn": False}}}
    told = client.patch("/api/me", json=change, headers=mine).json()
    assert told["firstName"] == "Robin"
    assert told["preferences"]["seat"] == "window"
    assert told["preferences"]["notifications"] == {**both, "checkIn": False}
    told = client.patch("/api/me", json={"preferences": {"meal": "KSML"}}, headers=mine).json()["preferences"]
    assert (told["seat"], told["meal"], told["notifications"]["checkIn"]) == ("window", "KSML", False)
    told = client.patch("/api/me", json={"preferences": {"seat": None}}, headers=mine).json()["preferences"]
    assert (told["seat"], told["meal"]) == (None, "KSML")
    wrong = client.patch("/api/me", json={"preferences": {"homeAirport": "XXX"}}, headers=mine)
    assert wrong.json()["errors"][0]["pointer"] == "/preferences/homeAirport"


def test_a_route_is_starred_on_its_results_and_found_at_home(client: TestClient) -> None:
    bookings.flight()
    path = f"/flights?origin=JFK&destination=LAX&departureDate={world.soon()}"
    assert 'action="/account/favourites"' not in client.get(path).text
    sign_in(client)
    assert 'aria-pressed="false"' in client.get(path).text
    form = {"origin": "JFK", "destination": "LAX", "keep": "1", "next": path}
    assert client.post("/account/favourites", data=form).headers["location"] == path
    client.post("/account/favourites", data=form)
    assert 'class="star" aria-pressed="true"' in client.get(path).text
    for page in ("/", "/account"):
        assert "/?origin=JFK&amp;destination=LAX" in client.get(page).text
    client.post("/account/favourites", data={**form, "keep": "0"})
    assert "/?origin=JFK&amp;destination=LAX" not in client.get("/account").text
    assert client.post("/account/favourites", data={**form, "destination": "JFK"}).status_code == 422


def test_who_signs_in_midway_finds_the_booking_among_the_trips(client: TestClient, settings: Settings) -> None:
    offer = bookings.offer(settings, bookings.flight())
    answer = client.post("/book", data={"offer": offer.token, "key": "a-guest-s-first-click"})
    reference = answer.headers["location"].split("/")[2]
    viewed = bookings.confirmed(settings, bookings.offer(settings, bookings.flight(number=2)))
    client.post("/manage", data={"reference": viewed.reference, "familyName": "Smith"})
    sign_in(client)
    work_off(settings, "bookings.adopt")
    with db.reading() as session:
        owners = {row[0]: row[1] for row in session.execute(select(Booking.reference, Booking.user_id))}
        me = session.scalars(select(User.id)).one()
    assert owners == {reference: me, viewed.reference: None}
    assert reference in client.get("/account/trips").text
    assert bookings.one("select count(*) from audit_entries where action = 'booking.adopted'") == 1


def test_what_has_an_owner_keeps_it(client: TestClient, settings: Settings) -> None:
    from portal.trips.service import adopt

    sign_in(client, "first@example.com")
    sign_in(client, "second@example.com")
    with db.writing() as session:
        users: list[UUID] = list(session.scalars(select(User.id).order_by(User.created_at)))
    held = bookings.held(settings, bookings.offer(settings, bookings.flight()), user_id=users[0])
    with db.writing() as session:
        assert adopt(session, users[1], [held.reference, "ZZZZZZ"]) == []
        session.execute(text("update bookings set user_id = null"))
        assert adopt(session, users[1], [held.reference]) == [held.reference]
        assert adopt(session, users[1], [held.reference]) == []

"""A line for a full flight: joined once, left by a link, served in order with real holds, ended in time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking import amending
from portal.booking.service import expire_lapsed
from portal.flights.models import Flight
from portal.kit import clock, db, grants
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.watches import errors, queries
from portal.watches.models import Wait
from tests import world
from tests.booking import makers as bookings
from tests.watches import makers

TWO = Party(adults=2)


def asked(flight: Flight, **more: object) -> dict[str, object]:
    return {"origin": "JFK", "destination": "LAX", "departureDate": flight.departs_on.isoformat(), **more}


def test_a_sold_out_flight_is_listed_and_one_with_seats_is_not(client: TestClient, settings: Settings) -> None:
    flight, _ = makers.full(settings, number=101)
    bookings.flight(number=102, seats=9)
    page = client.get("/waiting-list", params=asked(flight))
    assert page.status_code == 200
    assert "ME101" in page.text
    assert "ME102" not in page.text


def test_a_flight_with_too_few_seats_for_the_party_is_listed(client: TestClient, settings: Settings) -> None:
    flight = bookings.flight(seats=2, business=0)
    assert str(flight.public_id) not in client.get("/waiting-list", params=asked(flight, adults=2)).text
    assert str(flight.public_id) in client.get("/waiting-list", params=asked(flight, adults=2, children=1)).text


def test_joining_twice_is_one_place_and_one_mail_with_a_way_out(client: TestClient, settings: Settings) -> None:
    flight, _ = makers.full(settings)
    form = {**asked(flight), "flightId": str(flight.public_id), "email": "anna@example.com", "adults": "1"}
    for email in ("anna@example.com", "Anna@Example.com"):
        answer = client.post("/waiting-list", data={**form, "email": email})
        assert answer.status_code == 303
    assert bookings.one("select count(*) from waits") == 1
    makers.work_off(settings, "wait.joined")
    (mail,) = makers.inbox(settings)
    path = makers.link(settings, mail, "/waiting-list/")
    assert mail["List-Unsubscribe"] == f"<{settings.base_url}{path}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "You are next" in client.get(path).text
    assert bookings.one("select state from waits") == "waiting"
    assert client.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 303
    assert bookings.one("select state from waits") == "left"
    assert "no longer on this list" in client.get(path).text


def test_a_forged_link_leads_nowhere(client: TestClient) -> None:
    for path in ("/waiting-list/forged", "/fare-alerts/forged", "/links/forged"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(("field", "value"), [("email", "nobody"), ("flightId", "nothing"), ("email", "")])
def test_what_is_wrong_is_said_at_its_field(client: TestClient, settings: Settings, field: str, value: str) -> None:
    flight, _ = makers.full(settings)
    form = {**asked(flight), "flightId": str(flight.public_id), "email": "anna@example.com", field: value}
    answer = client.post("/waiting-list", data=form)
    assert answer.status_code == 422
    assert 'id="errors"' in answer.text


def test_nobody_waits_for_what_has_seats(client: TestClient, settings: Settings) -> None:
    flight = bookings.flight(seats=9)
    with pytest.raises(errors.NotFull):
        makers.joined(flight)
    form = {**asked(flight), "flightId": str(flight.public_id), "email": "anna@example.com"}
    assert client.post("/waiting-list", data=form).headers["location"].startswith("/flights?")


def test_one_address_waits_for_five_flights_at_most(settings: Settings) -> None:
    for number in range(1, 6):
        makers.joined(makers.full(settings, number=number)[0])
    with pytest.raises(errors.TooManyWatches):
        makers.joined(makers.full(settings, number=6)[0])


def test_freed_seats_are_held_for_the_first_in_line_and_the_mail_leads_to_them(
    client: TestClient, settings: Settings
) -> None:
    flight, holder = makers.full(settings)
    first, second = makers.joined(flight, "anna@example.com", TWO), makers.joined(flight, "bert@example.com")
    makers.serve(settings)
    assert (makers.state(first), makers.state(second)) == ("waiting", "waiting")
    bookings.lapse(holder)
    makers.serve(settings)
    assert (makers.state(first), makers.state(second)) == ("offered", "waiting")
    held = makers.booking_of(first)
    assert (held.status, held.contact_email) == ("held", "anna@example.com")
    assert held.expires_at is not None
    assert timedelta(minutes=178) < held.expires_at - datetime.now(UTC) <= timedelta(minutes=180)
    makers.work_off(settings, "wait.offered")
    (mail,) = makers.inbox(settings)
    assert held.reference in makers.words(mail)
    assert client.get(f"/book/{held.reference}/passengers").status_code == 404
    answer = client.get(makers.link(settings, mail, "/links/"))
    assert answer.headers["location"] == f"/book/{held.reference}/passengers"
    page = client.get(answer.headers["location"])
    assert page.status_code == 200
    assert 'value="anna@example.com"' in page.text
    assert bookings.broken() == []


def test_more_time_never_shortens_the_hold_of_three_hours(client: TestClient, settings: Settings) -> None:
    flight, holder = makers.full(settings)
    wait = makers.joined(flight)
    bookings.lapse(holder)
    makers.serve(settings)
    before = makers.booking_of(wait).expires_at
    makers.work_off(settings, "wait.offered")
    client.get(makers.link(settings, makers.inbox(settings)[0], "/links/"))
    client.post(f"/book/{makers.booking_of(wait).reference}/extend")
    after = makers.booking_of(wait).expires_at
    assert before is not None
    assert after is not None
    assert after >= before


def test_a_party_that_is_too_large_is_passed_over_until_it_fits(settings: Settings) -> None:
    flight, holder = makers.full(settings, seats=3)
    large, small = makers.joined(flight, "a@example.com", Party(4)), makers.joined(flight, "b@example.com", TWO)
    bookings.lapse(holder)
    makers.serve(settings)
    assert (makers.state(large), makers.state(small)) == ("waiting", "offered")


def test_a_hold_that_lapses_goes_to_the_next_in_line(settings: Settings) -> None:
    flight, holder = makers.full(settings)
    first, second = makers.joined(flight, "anna@example.com", TWO), makers.joined(flight, "bert@example.com", TWO)
    bookings.lapse(holder)
    makers.serve(settings)
    makers.later(hours=4)
    with db.writing() as session:
        while expire_lapsed(session):
            pass
    makers.serve(settings)
    assert (makers.state(first), makers.state(second)) == ("lapsed", "offered")
    assert bookings.broken() == []
    with db.reading() as session:
        assert queries.broken_waits(session) == []


def test_an_offer_without_a_hold_is_found_in_the_books(settings: Settings) -> None:
    wait = makers.joined(makers.full(settings)[0])
    with db.writing() as session:
        session.execute(text("update waits set state = 'offered', offered_at = now()"))
    with db.reading() as session:
        (finding,) = queries.broken_waits(session)
    assert str(wait) in str(finding)


def test_what_a_cancellation_gives_back_is_offered_at_once(settings: Settings) -> None:
    flight = bookings.flight(seats=1)
    sold = bookings.confirmed(settings, bookings.offer(settings, flight, brand="Flex"))
    wait = makers.joined(flight)
    makers.work_off(settings, "analytics.booking")
    assert makers.state(wait) == "waiting"
    with db.writing() as session:
        quote = amending.quote_cancellation(session, sold.reference, actor_id=None)
        amending.confirm(session, quote.id, key="cancel-it-all")
    makers.work_off(settings, "analytics.booking")
    assert makers.state(wait) == "offered"
    assert bookings.broken() == []


def test_a_bought_offer_is_taken(settings: Settings) -> None:
    flight, holder = makers.full(settings)
    wait = makers.joined(flight, party=TWO)
    bookings.lapse(holder)
    makers.serve(settings)
    held = makers.booking_of(wait)
    wish = bookings.NameWish(bookings.people(TWO), "anna@example.com")
    with db.writing() as session:
        bookings.service.name_passengers(session, held.reference, wish)
    bookings.settled(bookings.begun(held))
    makers.serve(settings)
    assert makers.state(wait) == "taken"
    assert bookings.broken() == []


def test_the_line_ends_six_hours_before_departure_and_says_so(settings: Settings) -> None:
    leaves = datetime.now(UTC) + timedelta(hours=5)
    flight, holder = makers.full(settings, origin="LHR", destination="JFK", on=world.soon(2), at=time(12))
    wait = makers.joined(flight)
    bookings.lapse(holder)
    with db.writing() as session:
        values = {"id": flight.id, "at": leaves, "end": leaves + timedelta(hours=7)}
        session.execute(text("update flights set departure_at = :at, arrival_at = :end where id = :id"), values)
    makers.serve(settings)
    assert makers.state(wait) == "lapsed"
    makers.work_off(settings, "wait.over")
    (mail,) = makers.inbox(settings)
    assert "No seat came free" in mail["subject"]
    with pytest.raises(errors.LineClosed):
        makers.joined(flight, "late@example.com")


def test_a_closed_sale_serves_nobody_but_keeps_the_line(settings: Settings) -> None:
    flight, holder = makers.full(settings)
    wait = makers.joined(flight)
    bookings.lapse(holder)
    with db.writing() as session:
        session.execute(text("update flights set sale_closed_at = now() where id = :id"), {"id": flight.id})
    makers.serve(settings)
    assert makers.state(wait) == "waiting"


def test_the_account_lists_its_own_places_only_and_leaves_them(client: TestClient, settings: Settings) -> None:
    flight, _ = makers.full(settings)
    makers.sign_in(client)
    form = {**asked(flight), "flightId": str(flight.public_id), "email": "robin@example.com"}
    assert client.post("/waiting-list", data=form).headers["location"] == "/account/watches"
    mine = bookings.one("select id from waits")
    other = makers.joined(flight, "other@example.com")
    page = client.get("/account/watches").text
    assert f"/account/watches/waits/{mine}" in page
    assert str(other) not in page
    assert client.post(f"/account/watches/waits/{other}").status_code == 404
    assert makers.state(other) == "waiting"
    assert client.post(f"/account/watches/waits/{mine}").status_code == 303
    with db.reading() as session:
        assert session.get_one(Wait, mine).state == "left"


def test_joining_is_limited_by_caller_and_address(limited: Settings) -> None:
    from portal.app import create_app

    flight, _ = makers.full(limited)
    form = {**asked(flight), "flightId": str(flight.public_id), "email": "anna@example.com"}
    with TestClient(create_app(limited), follow_redirects=False) as client:
        answers = [client.post("/waiting-list", data=form).status_code for _ in range(25)]
    assert answers[:20] == [303] * 20
    assert set(answers[20:]) == {429}


def test_a_mailed_link_opens_its_booking_while_its_mailbox_is_the_contact_s(
    client: TestClient, settings: Settings
) -> None:
    booking = held_by("anna@example.com", settings)
    path = f"/bookings/{booking}"
    link = grants.link(settings, booking, path, to="Anna@Example.com").removeprefix(settings.base_url)
    assert client.get(link).headers["location"] == path
    assert client.get(path).status_code == 200
    with db.writing() as session:
        session.execute(text("update bookings set contact_email = 'eve@example.com'"))
    client.cookies.clear()
    assert client.get(link).status_code == 404
    assert client.get(path).status_code == 404


def test_a_mailed_link_that_is_too_old_says_how_else(client: TestClient, settings: Settings) -> None:
    reference = held_by("anna@example.com", settings)
    with clock.shifted(timedelta(days=-181)):
        link = grants.link(settings, reference, f"/bookings/{reference}").removeprefix(settings.base_url)
    assert client.get(link).headers["location"] == "/manage"
    assert "too old" in client.get("/manage").text


def held_by(email: str, settings: Settings) -> str:
    """Hold a trip for somebody; return its reference."""
    made = bookings.named(settings, bookings.offer(settings, bookings.flight(number=707)))
    with db.writing() as session:
        session.execute(text("update bookings set contact_email = :email"), {"email": email})
    return made.reference

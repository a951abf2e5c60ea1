"""The pages of seats and extras, as a browser without scripts walks through them."""

from __future__ import annotations

import html
import re

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.flights.models import Flight
from portal.kit import db, grants, signing
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests.booking import makers
from tests.seats.test_api import seen

FAMILY = Party(adults=2, children=1, infants=1)


def browser(client: TestClient, settings: Settings, booking: Booking) -> TestClient:
    """Return the browser that made the booking."""
    client.cookies.set(grants.COOKIE, signing.seal(settings, grants.PURPOSE, [[booking.reference, "manage"]]))
    return client


def radios(page: str, number: int) -> dict[str, str]:
    """Return the labels of a traveller's radio buttons by seat."""
    found = re.findall(rf'<input type="radio" class="p{number}" [^>]*value="(\w+)"[^>]*aria-label="([^"]+)"', page)
    return {seat: html.unescape(label) for seat, label in found}


def checked(page: str) -> dict[str, str]:
    return dict(re.findall(r'name="(seat\.\d)" value="(\w+)" checked', page))


@pytest.fixture
def flights(settings: Settings) -> tuple[Flight, Flight]:
    """Out and back."""
    out = makers.flight()
    return out, makers.flight(origin="LAX", destination="JFK", number=102, on=makers.world.soon(40))


@pytest.fixture
def family(settings: Settings, flights: tuple[Flight, Flight]) -> Booking:
    """A family of four, one an infant, held for two flights and named."""
    return makers.named(settings, *(makers.offer(settings, one, party=FAMILY) for one in flights))


def test_from_extras_over_each_flights_seats_to_paying(
    client: TestClient, settings: Settings, family: Booking, flights: tuple[Flight, Flight]
) -> None:
    go, base = browser(client, settings, family), f"/book/{family.reference}"
    page = go.get(f"{base}/extras").text
    assert "no checked bag is in your fare" in page
    assert f'href="{base}/pay"' in page
    sent = go.post(f"{base}/extras", data={"n.bag23.0.0": "1", "meal.2.1": "meal-child", "key": "k"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{base}/seats")
    page = go.get(f"{base}/seats").text
    assert radios(page, 1)["20A"] == "20A, window, $12.00"
    assert radios(page, 3)["12A"] == "12A, window, exit row, not for Annac"
    assert 'class="p4"' not in page
    sent = go.post(f"{base}/seats?flight=1", data={"seat.1": "20A", "seat.2": "20B", "seat.3": "20C", "key": "k1"})
    assert sent.headers["location"] == f"{base}/seats?flight=2"
    sent = go.post(f"{base}/seats?flight=2", data={"seat.1": "20A", "key": "k2"})
    assert sent.headers["location"] == f"{base}/pay"
    items = {(one.code, one.seat, one.flight_id) for one in seen(family).items}
    out, back = flights
    assert items == {
        ("bag23", None, out.id),
        ("meal-child", None, back.id),
        ("seat", "20A", out.id),
        ("seat", "20B", out.id),
        ("seat", "20C", out.id),
        ("seat", "20A", back.id),
    }
    page = go.get(f"{base}/seats?flight=1").text
    assert checked(page) == {"seat.1": "20A", "seat.2": "20B", "seat.3": "20C"}
    assert "all seated" in page
    assert "1 of 3 seated" in page


def test_the_list_beside_the_map_offers_each_what_they_may_have(
    client: TestClient, settings: Settings, family: Booking
) -> None:
    page = browser(client, settings, family).get(f"/book/{family.reference}/seats").text
    lists = dict(re.findall(r'<select class="input" id="list-(\d)"(.*?)</select>', page, re.S))
    assert set(lists) == {"1", "2", "3"}
    assert 'value="12A"' in lists["2"]
    assert 'value="12A"' not in lists["1"]
    assert 'value="12A"' not in lists["3"]
    assert "20B · middle · $9.00" in lists["1"]


def test_the_suggestion_seats_the_party_side_by_side_in_one_click(
    client: TestClient, settings: Settings, family: Booking
) -> None:
    go, path = browser(client, settings, family), f"/book/{family.reference}/seats"
    form = re.search(r'<form class="together".*?</form>', go.get(path).text, re.S)
    assert form
    fields = dict(re.findall(r'name="([\w.]+)" value="([^"]*)"', form[0]))
    assert go.post(f"{path}?flight=1", data=fields).status_code == 303
    seats = {one.passenger_id: one.seat for one in seen(family).items}
    rows = {seat[:-1] for seat in seats.values() if seat}
    assert (len(seats), len(rows)) == (3, 1)
    assert '<form class="together"' not in go.get(f"{path}?flight=1").text


def test_a_seat_that_has_just_gone_is_named_and_the_next_best_ticked(
    client: TestClient, settings: Settings, family: Booking, flights: tuple[Flight, Flight]
) -> None:
    quick = makers.named(settings, makers.offer(settings, flights[0]))
    sent = browser(client, settings, quick).post(
        f"/book/{quick.reference}/seats?flight=1", data={"seat.1": "20B", "key": "a"}
    )
    assert sent.headers["location"] == f"/book/{quick.reference}/pay"
    go, path = browser(client, settings, family), f"/book/{family.reference}/seats?flight=1"
    answer = go.post(path, data={"seat.1": "20A", "seat.2": "20B", "seat.3": "20C", "key": "b"})
    assert answer.status_code == 409
    assert "Seat 20B has just been taken. Seat 20E is free and the nearest like it." in html.unescape(answer.text)
    assert checked(answer.text) == {"seat.1": "20A", "seat.2": "20E", "seat.3": "20C"}
    assert radios(answer.text, 1)["20B"] == "20B, taken"
    assert seen(family).items == ()


@pytest.mark.parametrize(
    ("seats", "words"),
    [
        ({"seat.3": "12A"}, "for travellers of 12 and over"),
        ({"seat.1": "77Z"}, "There is no seat 77Z"),
        ({"seat.1": "20A", "seat.2": "20A"}, "Two travellers cannot have the same seat, 20A."),
    ],
)
def test_a_refused_choice_comes_back_with_its_reason(
    client: TestClient, settings: Settings, family: Booking, seats: dict[str, str], words: str
) -> None:
    go = browser(client, settings, family)
    answer = go.post(f"/book/{family.reference}/seats?flight=1", data={**seats, "key": "k"})
    assert answer.status_code in (409, 422)
    assert words in html.unescape(answer.text)


def test_a_paid_booking_chooses_seats_and_is_sent_to_pay_for_them(client: TestClient, settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    go = browser(client, settings, booking)
    assert go.get(f"/book/{booking.reference}/seats").headers["location"] == f"/bookings/{booking.reference}/seats"
    sent = go.post(f"/bookings/{booking.reference}/seats?flight=1", data={"seat.1": "20A", "key": "k"})
    assert sent.headers["location"] == f"/book/{booking.reference}/pay"
    page = go.get(f"/bookings/{booking.reference}/seats").text
    assert checked(page) == {"seat.1": "20A"}
    makers.settled(makers.begun(booking))
    sent = go.post(f"/bookings/{booking.reference}/seats?flight=1", data={"seat.1": "", "key": "k2"})
    assert sent.headers["location"] == f"/bookings/{booking.reference}"
    assert seen(booking).items == ()


def test_extras_that_do_not_fit_are_said_at_their_field(
    client: TestClient, settings: Settings, family: Booking
) -> None:
    go, path = browser(client, settings, family), f"/book/{family.reference}/extras"
    answer = go.post(path, data={"n.bag23.1.0": "7", "n.priority.0.0": "1", "key": "k"})
    assert answer.status_code == 422
    assert "At most 3 for each traveller." in answer.text
    assert 'href="#n.bag23.1.0"' in answer.text
    assert re.search(r'name="n\.priority\.0\.0" value="1" checked', answer.text)


def test_what_was_bought_stays_on_the_extras_page(client: TestClient, settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    go, path = browser(client, settings, booking), f"/bookings/{booking.reference}/extras"
    assert go.post(path, data={"n.priority.0.0": "1", "key": "k"}).headers["location"].endswith("/pay")
    makers.settled(makers.begun(booking))
    page = go.get(path).text
    assert "bought" in page
    assert '<input type="hidden" name="n.priority.0.0" value="1">' in page
    free = go.post(path, data={"n.priority.0.0": "1", "n.blind.0.0": "1", "key": "k3"})
    assert free.headers["location"] == f"/bookings/{booking.reference}"
    assert {one.code for one in seen(booking).items} == {"priority", "blind"}


def test_a_flight_too_soon_for_meals_says_so(client: TestClient, settings: Settings, family: Booking) -> None:
    with db.writing() as session:
        move = "update flights set departure_at = now() + interval '20 hours', arrival_at = now() + interval '26 hours'"
        session.execute(text(f"{move} where number = 101"))
    page = browser(client, settings, family).get(f"/book/{family.reference}/extras").text
    assert "until 24 hours before departure" in page


def test_nobody_else_sees_the_seats_of_a_booking(client: TestClient, family: Booking) -> None:
    for path in ("seats", "extras"):
        assert client.get(f"/book/{family.reference}/{path}").status_code == 404


def test_a_lapsed_hold_is_sent_to_the_page_that_says_so(
    client: TestClient, settings: Settings, family: Booking
) -> None:
    makers.lapse(family)
    go = browser(client, settings, family)
    for path in ("seats", "extras"):
        for answer in (
            go.get(f"/book/{family.reference}/{path}"),
            go.post(f"/book/{family.reference}/{path}", data={}),
        ):
            assert answer.headers["location"] == f"/book/{family.reference}/pay"
    assert go.get(f"/book/{family.reference}/pay").status_code == 409


def test_hostile_words_are_answered_with_a_sentence(client: TestClient, settings: Settings, family: Booking) -> None:
    go, at = browser(client, settings, family), f"/book/{family.reference}"
    for text_ in ("\0", "\u0663A", "<b>", "9" * 5000, "'; drop table named_seats; --"):
        for path, field in (("seats?flight=1", "seat.1"), ("extras", "n.bag23.0.0"), ("extras", "meal.0.0")):
            answer = go.post(f"{at}/{path}", data={field: text_, "key": text_})
            assert answer.status_code in (303, 422), (path, field, text_)
            assert "There is no seat <B>" not in answer.text
        assert go.get(f"{at}/seats", params={"flight": text_}).status_code in (200, 400)
    assert seen(family).items == ()


def test_a_hold_without_names_is_sent_back_to_the_travellers(client: TestClient, settings: Settings) -> None:
    booking = makers.held(settings, makers.offer(settings, makers.flight()))
    sent = browser(client, settings, booking).get(f"/book/{booking.reference}/seats")
    assert sent.headers["location"] == f"/book/{booking.reference}/passengers"


def test_a_paid_booking_pays_for_its_seat_and_bag_in_one_go(client: TestClient, settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    go, at = browser(client, settings, booking), f"/bookings/{booking.reference}"
    go.post(f"{at}/seats?flight=1", data={"seat.1": "20A", "key": "k"})
    sent = go.post(f"{at}/extras", data={"n.bag23.0.0": "1", "key": "k2"})
    page = go.get(sent.headers["location"])
    assert page.status_code == 200
    assert "$57.00" in page.text
    key = re.search(r'name="key" value="([^"]+)"', page.text)
    assert key
    bank = go.post(sent.headers["location"], data={"key": key[1]})
    assert bank.headers["location"].startswith("/sandbox-pay/ch_")
    back = go.post(bank.headers["location"], data={"token": "tok_visa"})
    go.get(back.headers["location"])
    assert {one.code: one.amount_minor for one in seen(booking).items} == {"seat": 1200, "bag23": 4500}
    page_after = go.get(at).text
    assert "20A" in page_after
    assert f'href="{at}/seats"' in page_after

"""The pages from a chosen offer to the ticket, by form and by link alone: no script runs here."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests.booking import makers

PAIR = Party(adults=2)
NAMES = {
    "passengers.0.type": "adult",
    "passengers.0.givenName": "Zoë",
    "passengers.0.familyName": "Müller",
    "passengers.0.dateOfBirth": "1985-05-17",
    "contact.email": "zoe@example.com",
    "contact.phone": "+1 212 555 0100",
}
OTHER = {
    "passengers.1.type": "adult",
    "passengers.1.givenName": "",
    "passengers.1.familyName": "Сухарто",
    "passengers.1.dateOfBirth": "1990-01-01",
}


def chosen(settings: Settings, *, seats: int = 150, party: Party = PAIR) -> dict[str, Any]:
    flight = makers.flight(seats=seats)
    return {"offer": makers.offer(settings, flight, party=party).token, "key": "a-key-of-the-page"}


def held(client: TestClient, settings: Settings, **given: Any) -> str:
    answer = client.post("/book", data=chosen(settings, **given))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).split("/")[2]


def ready(client: TestClient, settings: Settings) -> str:
    reference = held(client, settings)
    answer = client.post(f"/book/{reference}/passengers", data={**NAMES, **OTHER, "_next": "pay"})
    assert answer.headers["location"] == f"/book/{reference}/pay"
    return reference


def key_of(html: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', html)
    assert found
    return found[1]


def at_the_bank(client: TestClient, reference: str) -> str:
    key = key_of(client.get(f"/book/{reference}/pay").text)
    answer = client.post(f"/book/{reference}/pay", data={"key": key})
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith("/sandbox-pay/ch_")
    return str(answer.headers["location"])


def follow(client: TestClient, answer: Any) -> Any:
    while answer.status_code == 303 and not answer.headers["location"].startswith("/bookings/"):
        answer = client.get(answer.headers["location"])
    return answer


def test_two_buy_a_trip_from_the_offer_to_the_ticket(client: TestClient, settings: Settings) -> None:
    form = chosen(settings)
    review = client.get("/book", params={"offer": form["offer"]})
    assert review.status_code == 200
    assert "New York – Los Angeles" in review.text
    reference = client.post("/book", data=form).headers["location"].split("/")[2]
    assert client.get(f"/book/{reference}/passengers").status_code == 200
    client.post(f"/book/{reference}/passengers", data={**NAMES, **OTHER})
    page = client.get(f"/book/{reference}/pay")
    assert "MUELLER/ZOE" in page.text
    assert "SUKHARTO" in page.text
    bank = at_the_bank(client, reference)
    assert "Sandbox" in client.get(bank).text
    back = client.post(bank, data={"token": "tok_visa"})
    assert client.get(back.headers["location"]).headers["location"] == f"/bookings/{reference}"
    assert makers.one("select status from bookings") == "confirmed"
    assert makers.broken() == []


def test_a_double_click_and_the_back_button_are_the_same_booking(client: TestClient, settings: Settings) -> None:
    form = chosen(settings)
    first, again = client.post("/book", data=form), client.post("/book", data=form)
    assert first.headers["location"] == again.headers["location"]
    assert makers.one("select held from flight_cabins where cabin = 'economy'") == 2


def test_a_reloaded_review_is_the_same_booking_but_not_for_another_browser(
    client: TestClient, settings: Settings
) -> None:
    token = chosen(settings)["offer"]
    keys = [key_of(client.get("/book", params={"offer": token}).text) for _ in range(2)]
    client.cookies.clear()
    other = key_of(client.get("/book", params={"offer": token}).text)
    assert keys[0] == keys[1] != other


def test_another_browser_knows_nothing_of_the_booking(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    client.cookies.clear()
    for path in ("passengers", "pay", "payments/00000000-0000-0000-0000-000000000000"):
        assert client.get(f"/book/{reference}/{path}").status_code == 404
    for path in ("passengers", "pay", "extend"):
        assert client.post(f"/book/{reference}/{path}", data={}).status_code == 404


def test_a_forged_cookie_opens_nothing(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    sealed = client.cookies["trips"]
    client.cookies.clear()
    client.cookies.set("trips", "x" + sealed)
    assert client.get(f"/book/{reference}/pay").status_code == 404


def test_a_made_up_offer_gets_a_sentence(client: TestClient, settings: Settings) -> None:
    answer = client.post("/book", data={"offer": "nonsense", "key": "a-key-of-the-page"})
    assert answer.status_code == 422
    assert "We do not know this offer" in answer.text
    assert client.get("/book").status_code == 422


def test_a_lapsed_offer_shows_the_new_price_before_anything_is_held(client: TestClient, settings: Settings) -> None:
    form = chosen(settings)
    with db.writing() as session:
        session.execute(text("update flights set fare_minor = fare_minor * 2"))
    with clock.shifted(timedelta(minutes=31)):
        answer = client.post("/book", data=form)
        assert answer.status_code == 409
        assert re.search(r"It was \$[\d.,]+ and is now \$[\d.,]+", answer.text)
        assert makers.one("select count(*) from bookings") == 0
        fresh = re.search(r'name="offer" value="([^"]+)"', answer.text)
        assert fresh
        assert fresh[1] != form["offer"]
        again = client.post("/book", data={"offer": fresh[1], "key": key_of(answer.text)})
    assert again.status_code == 303
    assert "/passengers" in again.headers["location"]


def test_a_lost_race_leads_back_to_the_same_search_with_a_sentence(client: TestClient, settings: Settings) -> None:
    form = chosen(settings, seats=2)
    assert client.post("/book", data=form).status_code == 303
    answer = client.post("/book", data={**form, "key": "a-second-buyer"})
    assert answer.status_code == 303
    where = answer.headers["location"]
    assert where.startswith("/flights?origin=JFK&destination=LAX&departureDate=")
    assert "adults=2&children=0&infants=0&cabin=economy" in where
    assert "notices" in answer.headers["set-cookie"]


def test_wrong_names_are_shown_at_their_fields_and_what_was_typed_stays(client: TestClient, settings: Settings) -> None:
    reference = held(client, settings)
    typed = {**NAMES, **OTHER, "passengers.0.givenName": "R2D2", "contact.email": "nobody", "contact.phone": "12"}
    answer = client.post(f"/book/{reference}/passengers", data=typed)
    assert answer.status_code == 422
    for kept in ("R2D2", "Müller", "Сухарто", "nobody", "1990-01-01"):
        assert f'value="{kept}"' in answer.text
    assert "Please give an e-mail address such as name@example.com." in answer.text
    assert "with its country code" in answer.text
    answer = client.post(
        f"/book/{reference}/passengers", data={**typed, "contact.email": "a@b.example", "contact.phone": ""}
    )
    assert "Adult 1, given names: A name has no digits" in answer.text
    assert 'id="passengers.0.givenName-why"' in answer.text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("passengers.0.familyName", "", "Please fill this in."),
        ("passengers.0.familyName", "x" * 61, "This is too long."),
        ("passengers.0.familyName", "李", "in the letters A–Z"),
        ("passengers.0.familyName", "<script>", "in the letters A–Z"),
        ("passengers.0.dateOfBirth", "", "Please fill this in."),
        ("passengers.0.dateOfBirth", "yesterday", "Please give a date"),
        ("passengers.0.dateOfBirth", "1850-01-01", "check the year of birth"),
        ("passengers.0.dateOfBirth", "2020-01-01", "Under 12 on every flight"),
        ("passengers.0.dateOfBirth", "2999-01-01", "after the first flight"),
        ("passengers.0.type", "pilot", "adult"),
    ],
)
def test_every_wrong_field_has_its_sentence(
    client: TestClient, settings: Settings, field: str, value: str, sentence: str
) -> None:
    reference = held(client, settings)
    answer = client.post(f"/book/{reference}/passengers", data={**NAMES, **OTHER, field: value})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "<script>" not in answer.text.split("<main")[1]


def test_an_empty_form_names_every_field_that_is_missing(client: TestClient, settings: Settings) -> None:
    reference = held(client, settings, party=makers.ONE)
    page = client.post(f"/book/{reference}/passengers", data={"passengers.0.type": "adult", "contact.email": ""}).text
    for field, words in (
        ("passengers.0.familyName", "Adult 1, family name"),
        ("passengers.0.dateOfBirth", "Adult 1, date of birth"),
        ("contact.email", "E-mail"),
    ):
        assert f'<a href="#{field}">{words}: Please fill this in.</a>' in page
        assert f'id="{field}-why"' in page


def test_more_time_is_given_ten_times_with_and_without_scripts(client: TestClient, settings: Settings) -> None:
    reference = held(client, settings)
    answer = client.post(f"/book/{reference}/extend?to=pay")
    assert answer.headers["location"] == f"/book/{reference}/pay"
    part = client.post(f"/book/{reference}/extend?to=passengers", headers={"HX-Request-Type": "partial"})
    assert part.text.lstrip().startswith('<section class="hold"')
    typed = client.post(f"/book/{reference}/extend?to=passengers", data={**NAMES, "passengers.0.dateOfBirth": ""})
    assert 'value="Müller"' in typed.text
    for _ in range(7):
        client.post(f"/book/{reference}/extend")
    assert "/extend" not in client.get(f"/book/{reference}/passengers").text
    assert client.post(f"/book/{reference}/extend").status_code == 409


def test_an_expired_hold_says_so_and_leads_to_the_same_search(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    with db.writing() as session:
        session.execute(text("update bookings set expires_at = now() - interval '1 second'"))
        session.execute(text("update seat_claims set expires_at = now() - interval '1 second'"))
    answers = [client.get(f"/book/{reference}/{step}") for step in ("passengers", "pay")]
    answers += [
        client.post(f"/book/{reference}/{step}", data={**NAMES, **OTHER}) for step in ("passengers", "pay", "extend")
    ]
    for answer in answers:
        assert answer.status_code == 409
        assert "The hold has run out" in answer.text
        assert "/flights?origin=JFK&amp;destination=LAX" in answer.text


def test_nobody_pays_before_the_names_are_known(client: TestClient, settings: Settings) -> None:
    reference = held(client, settings)
    for answer in (client.get(f"/book/{reference}/pay"), client.post(f"/book/{reference}/pay", data={"key": "k"})):
        assert answer.headers["location"] == f"/book/{reference}/passengers"


@pytest.mark.parametrize(
    ("token", "sentence"),
    [("tok_declined", "declined this card"), ("tok_insufficient", "not enough money on this card")],
)
def test_a_refused_card_leads_back_with_the_reason_and_another_may_be_tried(
    client: TestClient, settings: Settings, token: str, sentence: str
) -> None:
    reference = ready(client, settings)
    page = follow(client, client.post(at_the_bank(client, reference), data={"token": token}))
    assert page.status_code == 200
    assert sentence in page.text
    answer = follow(client, client.post(at_the_bank(client, reference), data={"token": "tok_visa"}))
    assert answer.headers["location"] == f"/bookings/{reference}"


@pytest.mark.parametrize(("word", "state"), [("yes", "confirmed"), ("no", "held")])
def test_the_bank_asks_whether_it_is_you(client: TestClient, settings: Settings, word: str, state: str) -> None:
    reference = ready(client, settings)
    asked = client.post(at_the_bank(client, reference), data={"token": "tok_3ds"}).headers["location"]
    assert asked.endswith("/challenge")
    assert "Is it you who pays?" in client.get(asked).text
    answer = follow(client, client.post(asked, data={"answer": word}))
    assert makers.one("select status from bookings") == state
    if word == "no":
        assert "The bank was not told that it is you" in answer.text


def test_a_silent_bank_is_waited_for_and_never_called_a_failure(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    back = client.post(at_the_bank(client, reference), data={"token": "tok_timeout"}).headers["location"]
    page = client.get(back)
    assert page.status_code == 200
    assert "We are checking your payment" in page.text
    assert '<meta http-equiv="refresh" content="5">' in page.text
    part = client.get(back, headers={"HX-Request-Type": "partial"})
    assert part.text.lstrip().startswith('<div id="checking"')
    assert client.post(f"/book/{reference}/pay", data={"key": "impatient"}).headers["location"] == back
    assert client.post(f"/book/{reference}/passengers", data={**NAMES, **OTHER}).headers["location"] == back
    with clock.shifted(timedelta(seconds=9)):
        answer = client.get(back, headers={"HX-Request-Type": "partial"})
    assert answer.headers["hx-redirect"] == f"/bookings/{reference}"
    assert makers.one("select count(*) from payments") == 1
    assert makers.broken() == []


def test_who_comes_back_without_paying_goes_on_at_the_same_page(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    bank = at_the_bank(client, reference)
    payment = makers.one("select id::text from payments")
    answer = client.get(f"/book/{reference}/payments/{payment}")
    assert answer.headers["location"] == f"/book/{reference}/pay"
    assert at_the_bank(client, reference) == bank


def test_a_reloaded_payment_page_takes_nothing_twice(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    bank = at_the_bank(client, reference)
    back = client.post(bank, data={"token": "tok_visa"}).headers["location"]
    assert client.post(bank, data={"token": "tok_visa"}).headers["location"] == back
    for _ in range(2):
        assert client.get(back).headers["location"] == f"/bookings/{reference}"
    assert client.get(f"/book/{reference}/pay").headers["location"] == f"/bookings/{reference}"
    assert client.post(f"/book/{reference}/pay", data={"key": "again"}).headers["location"] == f"/bookings/{reference}"
    assert makers.one("select count(*) from sandbox_charges") == 1
    assert makers.one("select count(*) from tickets") == 2


def test_money_that_came_too_late_is_said_to_go_back(client: TestClient, settings: Settings) -> None:
    form = chosen(settings, seats=2)
    reference = client.post("/book", data=form).headers["location"].split("/")[2]
    client.post(f"/book/{reference}/passengers", data={**NAMES, **OTHER})
    bank = at_the_bank(client, reference)
    with db.writing() as session:
        session.execute(text("update bookings set expires_at = now() - interval '1 second'"))
        session.execute(text("update seat_claims set expires_at = now() - interval '1 second'"))
    other = client.post("/book", data={**form, "key": "somebody-else"})
    assert "/passengers" in other.headers["location"]
    page = follow(client, client.post(bank, data={"token": "tok_visa"}))
    assert page.status_code == 409
    assert "We are sending all of it back" in page.text
    assert makers.one("select count(*) from refunds") == 1
    assert makers.broken() == []


def test_an_unknown_card_is_asked_for_again(client: TestClient, settings: Settings) -> None:
    bank = at_the_bank(client, ready(client, settings))
    answer = client.post(bank, data={"token": "4242 4242 4242 4242"})
    assert answer.status_code == 422
    assert "Please choose one of the test cards" in answer.text
    assert client.get("/sandbox-pay/ch_nothing").status_code == 404


def test_without_a_gateway_the_page_says_so_and_takes_nothing(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    closed = TestClient(create_app(replace(settings, sandbox_payments=False)), follow_redirects=False)
    closed.cookies = client.cookies
    page = closed.get(f"/book/{reference}/pay")
    assert "Paying is not possible right now" in page.text
    assert "We never see your card number" not in page.text
    assert closed.post(f"/book/{reference}/pay", data={"key": "k"}).status_code == 503
    assert closed.get("/sandbox-pay/ch_any").status_code == 404


HOSTILE = ["a\x00b", "\u202e", "'; drop table bookings; --", "<img src=x>", "x" * 5000, "{{7*7}}", "%00", "😀"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_get_an_answer_everywhere(client: TestClient, settings: Settings, text: str) -> None:
    reference = held(client, settings)
    typed = {**NAMES, **OTHER, "passengers.0.givenName": text, "contact.email": text, "contact.phone": text, text: text}
    answers = [
        client.post("/book", data={"offer": text, "key": text}),
        client.get("/book", params={"offer": text}),
        client.post(f"/book/{reference}/passengers", data=typed),
        client.post(
            f"/book/{reference}/passengers", data={"passengers.0": "x", "passengers.0.type": "y", "contact": "z"}
        ),
        client.get(f"/book/{quote(text[:50], safe='')}/pay"),
        client.get(f"/book/{reference}/payments/{quote(text[:50], safe='')}"),
        client.get(f"/sandbox-pay/{quote(text[:50], safe='')}"),
    ]
    assert [answer.status_code in (400, 404, 422) for answer in answers] == [True] * len(answers), answers
    assert "<img src=x>" not in "".join(answer.text for answer in answers)
    ready_now = client.post(f"/book/{reference}/passengers", data={**NAMES, **OTHER})
    assert ready_now.status_code == 303
    assert client.post(f"/book/{reference}/pay", data={"key": text}).headers["location"].startswith("/sandbox-pay/")
    assert makers.broken() == []

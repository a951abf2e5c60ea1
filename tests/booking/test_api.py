"""The API's doors: hold and name, pay by token, extend; idempotency keys; a sentence and a code for every no."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.search.rules import Offer
from tests.booking import makers

ANNA = {"type": "adult", "givenName": "Anna", "familyName": "Smith", "dateOfBirth": "1985-05-17"}


def body(*offers: Offer, **more: Any) -> dict[str, Any]:
    return {
        "offerIds": [offer.token for offer in offers],
        "contact": {"email": "anna@example.com", "phone": "+12125550100"},
        "passengers": [ANNA],
        **more,
    }


def booked(client: TestClient, settings: Settings, **flight: Any) -> dict[str, Any]:
    answer = client.post("/api/bookings", json=body(makers.offer(settings, makers.flight(**flight))))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(made: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['bookingToken']}"}


def paid(client: TestClient, made: dict[str, Any], token: str, *, key: str = "", **more: Any) -> Any:
    headers = {**bearer(made), **({"Idempotency-Key": key} if key else {})}
    given = {"method": "card", "token": token, "amount": made["balance"], **more}
    return client.post(f"/api/bookings/{made['reference']}/payments", json=given, headers=headers)


def test_a_program_books_and_pays(client: TestClient, settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    answer = client.post("/api/bookings", json=body(offer))
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/bookings/{made['reference']}"
    assert made["status"] == "held"
    assert made["expiresAt"].endswith("Z")
    assert made["total"] == made["balance"] == {"amount": f"{offer.total_minor / 100:.2f}", "currency": "USD"}
    assert made["availableActions"] == ["pay", "extend", "selectSeats"]
    assert made["priceBreakdown"][0]["code"] == "fare"
    assert made["slices"][0]["segments"][0]["flightNumber"] == "ME101"
    assert made["slices"][0]["segments"][0]["departureAt"][-6:] in ("-05:00", "-04:00")
    payment = paid(client, made, "tok_visa")
    assert (payment.status_code, payment.json()["status"]) == (201, "succeeded")
    assert makers.one("select status from bookings") == "confirmed"
    assert makers.broken() == []


def test_what_search_offers_there_and_back_is_bought_at_its_price(client: TestClient, settings: Settings) -> None:
    out = makers.flight()
    back = makers.flight(origin="LAX", destination="JFK", on=out.departs_on + timedelta(days=7), number=102)
    asked = {"origin": "JFK", "destination": "LAX", "departureDate": out.departs_on, "returnDate": back.departs_on}
    found = client.get("/api/flights/search", params={**asked, "adults": 1, "infants": 1}).json()
    fares = [piece["itineraries"][0]["fares"][-1] for piece in found["slices"]]
    total = {"amount": str(sum(Decimal(fare["total"]["amount"]) for fare in fares)), "currency": "USD"}
    ida = {**ANNA, "type": "infant", "givenName": "Ida", "dateOfBirth": "2026-06-01"}
    given = {"offerIds": [fare["offerId"] for fare in fares], "expectedTotal": total, "passengers": [ANNA, ida]}
    made = client.post("/api/bookings", json={"contact": {"email": "anna@example.com"}, **given}).json()
    assert made["total"] == total
    assert sum(Decimal(line["amount"]["amount"]) for line in made["priceBreakdown"]) == Decimal(total["amount"])
    assert [piece["conditions"] for piece in made["slices"]] == [fare["conditions"] for fare in fares]
    paid(client, made, "tok_visa")
    seen = client.get(f"/api/bookings/{made['reference']}", params={"familyName": "smith"}).json()
    assert seen["status"] == "confirmed"
    assert all(one["ticketNumber"] for one in seen["passengers"])
    assert makers.broken() == []


@pytest.mark.parametrize(
    ("token", "code"), [("tok_declined", "card_declined"), ("tok_insufficient", "insufficient_funds")]
)
def test_a_refused_card_is_402_with_its_code_and_another_may_follow(
    client: TestClient, settings: Settings, token: str, code: str
) -> None:
    made = booked(client, settings)
    no = paid(client, made, token)
    assert (no.status_code, no.json()["code"]) == (402, code)
    assert "Nothing was charged" in no.json()["detail"]
    assert paid(client, made, "tok_visa").status_code == 201


def test_a_silent_bank_is_202_and_known_later(client: TestClient, settings: Settings) -> None:
    made = booked(client, settings)
    answer = paid(client, made, "tok_timeout")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    again = paid(client, made, "tok_visa")
    assert (again.status_code, again.json()["code"]) == (409, "payment_under_way")
    assert again.json()["paymentId"] == answer.json()["id"]
    assert again.headers["retry-after"] == "5"
    where = answer.headers["location"]
    assert client.get(where, headers=bearer(made)).json()["status"] == "pending"
    with clock.shifted(timedelta(seconds=9)):
        assert client.get(where, headers=bearer(made)).json()["status"] == "succeeded"
    assert makers.one("select status from bookings") == "confirmed"


def test_a_bank_that_asks_first_gives_the_address_to_go_to(client: TestClient, settings: Settings) -> None:
    made = booked(client, settings)
    answer = paid(client, made, "tok_3ds")
    assert (answer.status_code, answer.json()["status"]) == (201, "action_required")
    path = answer.json()["actionUrl"].removeprefix("http://testserver")
    assert path.startswith("/sandbox-pay/ch_")
    client.post(path, data={"answer": "yes"})
    where = f"/api/bookings/{made['reference']}/payments/{answer.json()['id']}"
    assert client.get(where, headers=bearer(made)).json()["status"] == "succeeded"


def test_a_wrong_amount_is_refused_and_the_balance_named(client: TestClient, settings: Settings) -> None:
    made = booked(client, settings)
    no = paid(client, made, "tok_visa", amount={"amount": "1.00", "currency": "USD"})
    assert (no.status_code, no.json()["code"]) == (422, "price_mismatch")
    assert no.json()["balance"] == made["balance"]


def test_a_price_that_is_not_the_expected_one_is_409_with_the_real_one(client: TestClient, settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    no = client.post("/api/bookings", json=body(offer, expectedTotal={"amount": "1.00", "currency": "USD"}))
    assert (no.status_code, no.json()["code"]) == (409, "price_changed")
    assert no.json()["total"]["amount"] == f"{offer.total_minor / 100:.2f}"
    assert makers.one("select count(*) from bookings") == 0


def test_the_last_seat_and_a_lapsed_offer_have_their_codes(client: TestClient, settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight(seats=1))
    assert client.post("/api/bookings", json=body(offer)).status_code == 201
    assert client.post("/api/bookings", json=body(offer)).json()["code"] == "sold_out"
    with clock.shifted(timedelta(minutes=31)):
        no = client.post("/api/bookings", json=body(offer))
    assert (no.status_code, no.json()["code"]) == (409, "offer_expired")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"offerIds": []}, "/offerIds"),
        ({"offerIds": ["nonsense"]}, "/offerIds/0"),
        ({"passengers": []}, "/passengers"),
        ({"passengers": [ANNA, ANNA]}, "/passengers"),
        ({"passengers": [{**ANNA, "type": "dog"}]}, "/passengers/0/type"),
        ({"passengers": [{**ANNA, "dateOfBirth": "2020-02-30"}]}, "/passengers/0/dateOfBirth"),
        ({"passengers": [{**ANNA, "dateOfBirth": "2020-02-03"}]}, "/passengers/0/dateOfBirth"),
        ({"passengers": [{**ANNA, "familyName": ""}]}, "/passengers/0/familyName"),
        ({"passengers": [{**ANNA, "givenName": "4"}]}, "/passengers/0/givenName"),
        ({"contact": {"email": "nobody"}}, "/contact/email"),
        ({"contact": {"email": "a@example.com", "phone": "12"}}, "/contact/phone"),
        ({"contact": None}, "/contact"),
        ({"promoCode": "FREE"}, "/promoCode"),
        ({"surprise": 1}, "/surprise"),
        ({"expectedTotal": {"amount": "1.234", "currency": "USD"}}, "/expectedTotal"),
        ({"expectedTotal": {"amount": "NaN", "currency": "USD"}}, "/expectedTotal/amount"),
        ({"expectedTotal": {"amount": "1e9999999", "currency": "USD"}}, "/expectedTotal/amount"),
        ({"passengers": [{**ANNA, "givenName": "a\x00b"}]}, "/passengers/0/givenName"),
        ({"passengers": [{**ANNA, "givenName": "\ud800"}]}, "/passengers/0/givenName"),
        ({"contact": {"email": "a\x00b@example.com"}}, "/contact/email"),
        ({"offerIds": ["\ud800~1"]}, "/offerIds/0"),
    ],
)
def test_every_wrong_field_is_pointed_at(
    client: TestClient, settings: Settings, change: dict[str, Any], pointer: str
) -> None:
    given = json.dumps(body(makers.offer(settings, makers.flight()), **change))
    no = client.post("/api/bookings", content=given, headers={"Content-Type": "application/json"})
    assert no.status_code == 422, no.text
    assert [error["pointer"] for error in no.json()["errors"]] == [pointer]
    assert makers.one("select count(*) from bookings") == 0
    assert makers.one("select held from flight_cabins where cabin = 'economy'") == 0


def test_a_party_of_every_kind_is_named_in_any_order(client: TestClient, settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight(), party=Party(1, 1, 1))
    people = [
        {**ANNA, "type": "infant", "givenName": "Ida", "dateOfBirth": "2026-06-01"},
        {**ANNA, "type": "child", "givenName": "Ben", "dateOfBirth": "2019-06-01"},
        ANNA,
    ]
    made = client.post("/api/bookings", json=body(offer, passengers=people)).json()
    assert [(one["type"], one["givenName"]) for one in made["passengers"]] == [
        ("adult", "Anna"),
        ("child", "Ben"),
        ("infant", "Ida"),
    ]


def test_only_who_holds_the_token_may_pay_or_extend(client: TestClient, settings: Settings) -> None:
    made, other = booked(client, settings), booked(client, settings, number=102)
    path = f"/api/bookings/{made['reference']}"
    for headers in ({}, bearer(other), {"Authorization": "Bearer bk_nonsense"}):
        given = {"method": "card", "token": "tok_visa", "amount": made["balance"]}
        assert client.post(f"{path}/payments", json=given, headers=headers).status_code == 404
        assert client.post(f"{path}/extensions", headers=headers).status_code == 404
    longer = client.post(f"{path}/extensions", headers=bearer(made)).json()
    assert longer["expiresAt"] > made["expiresAt"]
    assert client.get(f"{path}/payments/{uuid4()}", headers=bearer(made)).status_code == 404
    assert client.get(f"{path}/payments/1", headers=bearer(made)).status_code == 404


def test_a_lapsed_hold_is_409_and_shown_as_expired(client: TestClient, settings: Settings) -> None:
    made = booked(client, settings)
    with db.writing() as session:
        session.execute(text("update bookings set expires_at = now() - interval '1 second'"))
    no = paid(client, made, "tok_visa")
    assert (no.status_code, no.json()["code"]) == (409, "hold_expired")
    extension = client.post(f"/api/bookings/{made['reference']}/extensions", headers=bearer(made))
    assert extension.json()["code"] == "hold_expired"


def test_the_same_key_gets_the_first_answer_again(client: TestClient, settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    first, again = (client.post("/api/bookings", json=body(offer), headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert first.json() == again.json()
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert makers.one("select count(*) from bookings") == 1
    made = first.json()
    one, two = (paid(client, made, "tok_visa", key="k1") for _ in range(2))
    assert one.json() == two.json()
    assert makers.one("select count(*) from payments") == 1


def test_the_same_key_with_another_body_is_refused(client: TestClient, settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    headers = {"Idempotency-Key": "k1"}
    client.post("/api/bookings", json=body(offer), headers=headers)
    no = client.post("/api/bookings", json=body(offer, contact={"email": "b@example.com"}), headers=headers)
    assert (no.status_code, no.json()["code"]) == (422, "idempotency_key_reused")


def test_a_key_whose_first_request_still_runs_is_409(client: TestClient, settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    client.post("/api/bookings", json=body(offer), headers={"Idempotency-Key": "k1"})
    with db.writing() as session:
        session.execute(text("update idempotency_keys set status = null, leased_until = now() + interval '9 seconds'"))
    no = client.post("/api/bookings", json=body(offer), headers={"Idempotency-Key": "k1"})
    assert (no.status_code, no.json()["code"], no.headers["retry-after"]) == (409, "still_running", "2")
    with db.writing() as session:
        session.execute(text("update idempotency_keys set leased_until = now()"))
    again = client.post("/api/bookings", json=body(offer), headers={"Idempotency-Key": "k1"})
    assert again.status_code == 201
    assert makers.one("select count(*) from bookings") == 1


def test_a_refusal_frees_the_key_but_a_refused_card_keeps_it(client: TestClient, settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    headers = {"Idempotency-Key": "k1"}
    assert client.post("/api/bookings", json=body(offer, promoCode="X"), headers=headers).status_code == 422
    made = client.post("/api/bookings", json=body(offer), headers=headers).json()
    assert paid(client, made, "tok_declined", key="p1").status_code == 402
    again = paid(client, made, "tok_declined", key="p1")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (402, "true")
    assert makers.one("select count(*) from payments") == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
def test_an_unusable_key_is_refused(client: TestClient, settings: Settings, key: str) -> None:
    no = client.post(
        "/api/bookings", json=body(makers.offer(settings, makers.flight())), headers={"Idempotency-Key": key}
    )
    assert no.status_code == 422
    assert "1 to 255 printable characters" in no.json()["detail"]


def test_the_doors_are_described(client: TestClient, settings: Settings) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    for path in ("", "/{reference}/payments", "/{reference}/extensions"):
        assert "post" in paths[f"/api/bookings{path}"]

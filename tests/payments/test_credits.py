"""Travel credits: issued for money that goes back, spent by code on pages and by programs, back when a hold lapses."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.app import create_app
from portal.booking import amending
from portal.booking import service as booking
from portal.booking.models import Booking
from portal.booking.tender import CreditCode
from portal.kit import db, ids
from portal.kit.limits import POLICIES
from portal.kit.settings import Settings
from portal.payments import queries
from portal.payments.errors import CreditEmpty, CreditExpired, CreditUnknown, OtherCurrency
from tests.booking import makers
from tests.booking.test_items import choose, wish
from tests.payments.paid import account, credit, left, off, paid, redeem, refund
from tests.payments.test_stripe import ready, start

ANNA = {"type": "adult", "givenName": "Anna", "familyName": "Smith", "dateOfBirth": "1985-05-17"}


def test_money_sent_back_as_a_credit_pays_for_the_next_trip_in_parts(settings: Settings) -> None:
    trip, next_trip = uuid4(), uuid4()
    paid(trip, 1000)
    paid(trip, 500)
    ids_ = refund(trip, 1200, to="credit")
    with db.reading() as session:
        told = [queries.refund(session, one) for one in ids_]
    codes = {one.credit_code for one in told if one}
    assert (len(ids_), len(codes), makers.one("select count(*) from credits")) == (2, 1, 1)
    code = str(codes.pop())
    assert re.fullmatch(f"[{ids.ALPHABET}]{{12}}", code)
    assert account("credits") == -1200
    assert makers.one("select count(*) from letters where kind = 'payment.refunded'") == 1
    redeem(f" {code[:4].lower()}-{code[4:8]}-{code[8:]} ", next_trip, 700)
    assert left(code) == 500
    with pytest.raises(CreditEmpty):
        redeem(code, next_trip, 501)
    refund(next_trip, 300)
    assert left(code) == 800
    assert makers.one("select string_agg(kind, ' ' order by id) from credit_moves") == "issued used given_back"
    assert off() == []


def test_the_same_key_takes_it_off_once(settings: Settings) -> None:
    trip, code = uuid4(), credit(1000).code
    first = redeem(code, trip, 400, key="k")
    assert redeem(code, trip, 400, key="k").id == first.id
    assert left(code) == 600


def test_a_credit_says_why_it_does_not_pay(settings: Settings) -> None:
    one, old = credit(1000), credit(1000)
    with db.writing() as session:
        session.execute(text("update credits set expires_at = now() where id = :id"), {"id": old.id})
    for code, currency, amount, no in (
        ("NOSUCHCODE22", "USD", 1, CreditUnknown),
        (old.code, "USD", 1, CreditExpired),
        (one.code, "EUR", 1, OtherCurrency),
        (one.code, "USD", 1001, CreditEmpty),
    ):
        with pytest.raises(no):
            redeem(code, uuid4(), amount, currency=currency)
    assert (left(one.code), off()) == (1000, [])


def test_what_comes_back_to_a_credit_that_ran_out_can_still_be_spent(settings: Settings) -> None:
    trip, one = uuid4(), credit(1000)
    redeem(one.code, trip, 1000)
    with db.writing() as session:
        session.execute(text("update credits set expires_at = now() - interval '1 day'"))
    refund(trip, 1000)
    assert redeem(one.code, uuid4(), 1000).state == "succeeded"


def total() -> int:
    return int(str(makers.one("select total_minor from bookings")))


def use(client: TestClient, reference: str, code: str, key: str = "one-key") -> Any:
    return client.post(f"/book/{reference}/pay", data={"credit": code, "key": key})


def test_a_credit_pays_a_part_on_the_page_and_a_card_the_rest(client: TestClient, settings: Settings) -> None:
    reference, one = ready(client, settings), credit(5000)
    for _ in range(2):
        answer = use(client, reference, one.code)
        page = client.get(answer.headers["location"])
        assert page.headers["location"] == f"/book/{reference}/pay"
    page = client.get(f"/book/{reference}/pay")
    assert "$50.00 are paid by your credit" in page.text
    assert f"Pay ${(total() - 5000) / 100:.2f}" in page.text
    bank = start(client, reference).headers["location"]
    asked = makers.one("select amount_minor from sandbox_charges")
    assert asked == total() - 5000
    back = client.post(bank, data={"token": "tok_visa"}).headers["location"]
    assert client.get(back).headers["location"] == f"/bookings/{reference}"
    assert makers.one("select paid_minor from bookings") == total()
    assert (left(one.code), makers.broken()) == (0, [])


def test_a_credit_that_is_enough_books_at_once(client: TestClient, settings: Settings) -> None:
    reference, one = ready(client, settings), credit(500_000)
    answer = client.get(use(client, reference, one.code).headers["location"])
    assert answer.headers["location"] == f"/bookings/{reference}"
    assert makers.one("select status from bookings") == "confirmed"
    assert (left(one.code), makers.broken()) == (500_000 - total(), [])


def test_a_wrong_code_is_told_beside_the_field(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    spent = credit(1)
    redeem(spent.code, uuid4(), 1)
    for code, words in (("NOSUCHCODE22", "do not know this credit"), (spent.code, "not so much left"), ("", "code")):
        answer = use(client, reference, code)
        assert answer.status_code == 422
        assert words in answer.text
    assert credit(5, "EUR").code
    answer = use(client, reference, credit(5, "EUR").code)
    assert "another currency" in answer.text


def test_a_hold_that_lapses_gives_the_credit_back(client: TestClient, settings: Settings) -> None:
    reference, one = ready(client, settings), credit(5000)
    use(client, reference, one.code)
    assert left(one.code) == 0
    with db.writing() as session:
        session.execute(text("update bookings set expires_at = now() - interval '1 second'"))
    with db.writing() as session:
        assert booking.expire_lapsed(session) == 1
    assert (left(one.code), makers.one("select paid_minor from bookings"), makers.broken()) == (5000, 0, [])


def held(client: TestClient, settings: Settings) -> tuple[str, dict[str, str], dict[str, str]]:
    offer = makers.offer(settings, makers.flight())
    body = {"offerIds": [offer.token], "contact": {"email": "a@example.com"}, "passengers": [ANNA]}
    made = client.post("/api/bookings", json=body).json()
    headers = {"Authorization": f"Bearer {made['bookingToken']}"}
    return f"/api/bookings/{made['reference']}/payments", headers, made["balance"]


def usd(minor: int) -> dict[str, str]:
    return {"amount": f"{minor / 100:.2f}", "currency": "USD"}


def test_a_program_pays_by_credit_first_and_by_card_for_the_rest(client: TestClient, settings: Settings) -> None:
    door, headers, balance = held(client, settings)
    one = credit(5000)

    def pay(**given: Any) -> Any:
        return client.post(door, json=given, headers={**headers, "Idempotency-Key": uuid4().hex})

    answer = pay(method="credit", token=one.code, amount=usd(3000))
    assert (answer.status_code, answer.json()["status"], answer.json()["amount"]) == (201, "succeeded", usd(3000))
    assert client.get(answer.headers["location"], headers=headers).status_code == 200
    assert pay(method="card", token="tok_visa", amount=balance).json()["code"] == "price_mismatch"
    assert pay(method="credit", token=one.code, amount=usd(total())).json()["code"] == "price_mismatch"
    assert pay(method="credit", token=one.code, amount=usd(2001)).json()["code"] == "credit_used_up"
    assert pay(method="credit", token="NOSUCHCODE22").json()["code"] == "credit_unknown"
    assert pay(method="credit").status_code == pay(method="card", token="tok_visa").status_code == 422
    assert pay(method="credit", token=one.code).json()["amount"] == usd(2000)
    rest = usd(total() - 5000)
    assert pay(method="card", token="tok_visa", amount=rest).json()["status"] == "succeeded"
    assert makers.one("select status from bookings") == "confirmed"
    assert makers.broken() == []


def test_a_program_sends_the_payer_to_the_page(client: TestClient, settings: Settings) -> None:
    door, headers, balance = held(client, settings)
    answer = client.post(door, json={"method": "page", "amount": balance}, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (201, "action_required")
    assert answer.json()["actionUrl"].startswith("http://testserver/sandbox-pay/")


def test_stripe_takes_no_tokens_from_programs(shop: TestClient, with_stripe: Settings) -> None:
    door, headers, balance = held(shop, with_stripe)
    answer = shop.post(door, json={"method": "card", "token": "tok_visa", "amount": balance}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "use_payment_page")
    answer = shop.post(door, json={"method": "page", "amount": balance}, headers=headers)
    assert answer.json()["actionUrl"].startswith(with_stripe.stripe_api_base)


def test_codes_cannot_be_guessed_at_will(limited: Settings) -> None:
    with TestClient(create_app(limited), follow_redirects=False) as client:
        reference = ready(client, limited)
        told = [use(client, reference, f"GUESS{n:07}", f"key-{n}") for n in range(POLICIES["credit"].limit + 1)]
    assert [one.status_code for one in told] == [422] * POLICIES["credit"].limit + [429]


def test_a_change_paid_in_part_by_credit_that_lapses_gives_it_back(settings: Settings) -> None:
    sold = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    change, one = choose(sold, wish(sold, amount=3000)), credit(1000)
    assert change is not None
    with db.writing() as session:
        code = CreditCode(credit=one.code, key="k")
        assert booking.redeem_credit(session, sold.reference, code).purpose == change.id
    assert (left(one.code), makers.broken()) == (0, [])
    with db.writing() as session:
        session.execute(text("update amendments set expires_at = now() - interval '1 second'"))
    with db.writing() as session:
        assert amending.lapse_amendments(session) == 1
    assert (left(one.code), makers.broken()) == (1000, [])


def test_a_change_is_paid_by_credit_and_card(settings: Settings) -> None:
    sold = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    choose(sold, wish(sold, amount=3000))
    one = credit(1000)
    with db.writing() as session:
        booking.redeem_credit(session, sold.reference, CreditCode(credit=one.code, key="k"))
    payment = makers.begun(sold)
    assert makers.one("select amount_minor from payments where id = :id", id=payment) == 2000
    makers.settled(payment)
    assert makers.one("select state from amendments") == "done"
    assert makers.broken() == []


def test_the_page_tells_what_of_a_change_a_credit_paid(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    use(client, reference, credit(500_000).code)
    with db.reading() as session:
        sold = session.scalars(select(Booking)).one()
    choose(sold, wish(sold, amount=3000))
    page = client.get(f"/book/{reference}/pay").text
    assert "left to pay until" not in page
    assert "Pay $30.00" in page
    back = use(client, reference, credit(1000).code, key="another-key").headers["location"]
    assert client.get(back).headers["location"] == f"/book/{reference}/pay"
    page = client.get(f"/book/{reference}/pay").text
    assert "$10.00 of $30.00 are paid, $20.00 are left to pay until" in page
    assert "Pay $20.00" in page

"""Stripe Checkout through the portal's own doors: paid by page or by webhook, and whatever else Stripe may do."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.kit import clock, db, outbox
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tasks.handlers import HANDLERS
from tests.booking import makers
from tests.payments.fake_stripe import FakeStripe, sign

TRAVELLER = {
    "contact.email": "anna@example.com",
    "passengers.0.type": "adult",
    "passengers.0.givenName": "Anna",
    "passengers.0.familyName": "Smith",
    "passengers.0.dateOfBirth": "1985-05-17",
}


def ready(shop: TestClient, settings: Settings) -> str:
    """Hold a trip and name its traveller; return the reference."""
    offer = makers.offer(settings, makers.flight(), party=Party(1))
    place = shop.post("/book", data={"offer": offer.token, "key": "a-key-of-the-page"}).headers["location"]
    shop.post(place, data=TRAVELLER)
    return str(place).split("/")[2]


def start(shop: TestClient, reference: str) -> Any:
    page = shop.get(f"/book/{reference}/pay").text
    found = re.search(r'name="key" value="([^"]+)"', page)
    assert found, page
    return shop.post(f"/book/{reference}/pay", data={"key": found[1]})


def at_stripe(shop: TestClient, settings: Settings) -> tuple[str, str, str]:
    """Go to Stripe's page; return the reference, the session's name and where the payer comes back."""
    reference = ready(shop, settings)
    answer = start(shop, reference)
    assert answer.status_code == 303
    name = urlsplit(answer.headers["location"]).path.rsplit("/", 1)[1]
    payment = makers.one("select id::text from payments where state = 'action_required'")
    return reference, name, f"/book/{reference}/payments/{payment}"


def state(table: str = "payments") -> object:
    return makers.one(f"select state from {table} order by created_at desc limit 1")


def letters(kind: str) -> list[Letter]:
    with db.reading() as session:
        return list(session.query(Letter).where(Letter.kind == kind).order_by(Letter.id))


def run(settings: Settings, kind: str) -> None:
    for letter in letters(kind):
        HANDLERS[kind](settings, letter)


def hear(shop: TestClient, sent: tuple[bytes, dict[str, str]], **more: str) -> int:
    body, headers = sent
    return shop.post("/webhooks/stripe", content=body, headers={**headers, **more}).status_code


def test_a_trip_is_paid_on_stripes_page(shop: TestClient, with_stripe: Settings, stripe: FakeStripe) -> None:
    reference, name, back = at_stripe(shop, with_stripe)
    page = shop.get(f"/book/{reference}/pay")
    assert f"form-action 'self' https://checkout.stripe.com {stripe.url};" in page.headers["content-security-policy"]
    operation, given, key = stripe.calls[0]
    total = makers.one("select total_minor from bookings")
    assert (operation, key) == ("create", given["client_reference_id"])
    assert key == makers.one("select id::text from payments")
    assert given["line_items[0][price_data][unit_amount]"] == str(total)
    assert given["success_url"] == f"http://testserver{back}"
    stripe.pay(name)
    answer = shop.get(back)
    assert answer.headers["location"] == f"/bookings/{reference}"
    assert shop.get(back).headers["location"] == f"/bookings/{reference}"
    assert state() == "succeeded"
    assert makers.one("select status from bookings") == "confirmed"
    assert makers.broken() == []


def test_stripes_page_takes_cards_only(shop: TestClient, with_stripe: Settings, stripe: FakeStripe) -> None:
    """Seats are not kept for days until a bank debit has come, or has not."""
    at_stripe(shop, with_stripe)
    given = stripe.calls[0][1]
    assert {name: what for name, what in given.items() if "method" in name} == {"payment_method_types[0]": "card"}


@pytest.mark.parametrize("end", ["requires_payment_method", "canceled"])
def test_a_debit_that_fails_days_later_is_declined_and_lets_the_payer_pay_again(
    end: str, shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    """Such a page may be open still from before, or made by somebody's own hand."""
    reference, name, back = at_stripe(shop, with_stripe)
    intent = stripe.pay_later(name)
    assert "We are checking" in shop.get(back).text
    assert hear(shop, stripe.event(name)) == 200
    with pytest.raises(outbox.Later):
        run(with_stripe, "payment.heard")
    stripe.intents[intent] = end
    run(with_stripe, "payment.heard")
    assert (state(), makers.one("select status from bookings")) == ("declined", "held")
    assert "declined this card" in shop.get(f"/book/{reference}/pay").text
    assert start(shop, reference).headers["location"].startswith(stripe.url)
    assert makers.broken() == []


def test_a_debit_that_comes_days_later_pays(shop: TestClient, with_stripe: Settings, stripe: FakeStripe) -> None:
    _reference, name, back = at_stripe(shop, with_stripe)
    intent = stripe.pay_later(name)
    stripe.moods["intent"] = ["broken"]
    assert "We are checking" in shop.get(back).text
    stripe.intents[intent] = "succeeded"
    assert "We are checking" in shop.get(back).text
    stripe.sessions[name]["payment_status"] = "paid"
    assert shop.get(back).status_code == 303
    assert (state(), makers.one("select status from bookings")) == ("succeeded", "confirmed")


def test_the_way_back_without_paying_leads_to_paying_again(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    reference, name, back = at_stripe(shop, with_stripe)
    assert shop.get(back).headers["location"] == f"/book/{reference}/pay"
    again = start(shop, reference)
    assert again.headers["location"] == stripe.sessions[name]["url"]
    assert makers.one("select count(*) from payments") == 1


def test_the_webhook_alone_books_the_trip_and_saying_it_twice_changes_nothing(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    _reference, name, back = at_stripe(shop, with_stripe)
    stripe.pay(name)
    word = stripe.event(name)
    cross_site = {"Origin": "https://stripe.example", "Sec-Fetch-Site": "cross-site"}
    assert [hear(shop, word, **cross_site), hear(shop, word), hear(shop, word)] == [200, 200, 200]
    assert len(letters("payment.heard")) == makers.one("select count(*) from gateway_events") == 1
    for _ in range(2):
        run(with_stripe, "payment.heard")
    assert makers.one("select status from bookings") == "confirmed"
    assert makers.one("select count(*) from tickets") == makers.one("select count(*) from ledger_entries") == 1
    assert shop.get(back).status_code == 303
    assert makers.broken() == []


def test_words_that_are_not_stripes_are_refused(shop: TestClient, stripe: FakeStripe) -> None:
    body, headers = sign(b'{"id": "evt_1", "object": "event", "type": "x", "data": {"object": {"id": "y"}}}')
    signature = headers["Stripe-Signature"]
    bad: list[dict[str, str]] = [
        {},
        {"Stripe-Signature": ""},
        {"Stripe-Signature": "nonsense"},
        {"Stripe-Signature": signature.replace("v1=", "v1=0")},
        sign(body, secret="whsec_another")[1],
        sign(body, age=301)[1],
        sign(b"{}")[1],
    ]
    for one in bad:
        assert hear(shop, (body, {**one, "Content-Type": "application/json"})) == 400
    latin = {b"stripe-signature": signature.split(",")[0].encode() + b",v1=\xfc", b"content-type": b"application/json"}
    assert shop.post("/webhooks/stripe", content=body, headers=latin).status_code == 400
    assert hear(shop, sign(b'{"id": "\xff"}')) == 400
    assert hear(shop, sign(b'{"id": "evt"')) == 400
    assert hear(shop, sign(b"[1]")) == 400
    assert makers.one("select count(*) from letters where kind = 'payment.heard'") == 0


def test_words_about_nothing_of_ours_are_taken_and_left(shop: TestClient, stripe: FakeStripe) -> None:
    assert hear(shop, stripe.event("price_1", kind="price.created")) == 200
    strange = b'{"id":"evt_2","object":"event","type":"y","data":{"object":{"client_reference_id":"not-ours"}}}'
    assert hear(shop, sign(strange)) == 200
    assert makers.one("select count(*) from gateway_events") == 2
    assert letters("payment.heard") == []
    assert hear(shop, sign(b'{"x": "' + b"y" * 300_000 + b'"}')) == 413


def test_without_a_secret_there_is_no_such_door(client: TestClient) -> None:
    assert hear(client, sign(b"{}")) == 404


def test_a_word_about_another_shops_payment_finds_none(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    body = b'{"id":"evt_3","object":"event","type":"y","data":{"object":{"client_reference_id":"%s"}}}'
    assert hear(shop, sign(body % b"00000000-0000-4000-8000-000000000000")) == 200
    run(with_stripe, "payment.heard")
    assert makers.one("select count(*) from payments") == 0


@pytest.mark.parametrize("mood", ["silent", "broken", "nonsense"])
def test_stripe_that_does_not_answer_at_first_is_asked_again(
    mood: str, shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    _reference, name, back = at_stripe(shop, with_stripe)
    stripe.pay(name)
    stripe.moods["retrieve"] = [mood, mood]
    answer = shop.get(back)
    assert (answer.status_code, "We are checking" in answer.text) == (200, True)
    with pytest.raises(outbox.Later):
        run(with_stripe, "payment.check")
    assert makers.one("select status from bookings") == "held"
    run(with_stripe, "payment.check")
    assert makers.one("select status from bookings") == "confirmed"


def test_a_page_that_never_opened_is_given_up_and_another_is_opened(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    reference = ready(shop, with_stripe)
    stripe.moods["create"] = ["silent"]
    back = start(shop, reference).headers["location"]
    assert "We are checking" in shop.get(back).text
    with clock.shifted(timedelta(minutes=3)):
        assert shop.get(back).headers["location"] == f"/book/{reference}/pay"
    assert state() == "abandoned"
    assert start(shop, reference).headers["location"].startswith(stripe.url)


def test_a_page_that_stripe_does_not_open_is_told(shop: TestClient, with_stripe: Settings, stripe: FakeStripe) -> None:
    reference = ready(shop, with_stripe)
    stripe.moods["create"] = ["refuses"]
    assert start(shop, reference).headers["location"].startswith(f"/book/{reference}/pay")
    assert "could not be opened" in shop.get(f"/book/{reference}/pay").text
    assert state() == "declined"


WRONG: list[dict[str, Any]] = [{"amount_total": 1}, {"amount_total": 999_999_99}, {"currency": "jpy"}]


@pytest.mark.parametrize("otherwise", WRONG)
def test_another_sum_never_books_and_goes_to_staff(
    otherwise: dict[str, Any], shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    reference, name, back = at_stripe(shop, with_stripe)
    stripe.pay(name, **otherwise)
    answer = shop.get(back)
    assert "another sum" in answer.text
    hear(shop, stripe.event(name))
    run(with_stripe, "payment.heard")
    assert (state(), makers.one("select status from bookings")) == ("under_review", "held")
    assert start(shop, reference).headers["location"] == back
    assert makers.one("select count(*) from payments") == 1
    assert makers.one("select count(*) from audit_entries where action = 'payment.under_review'") == 1
    assert makers.broken() == []


def test_who_lets_the_hold_lapse_finds_the_page_closed(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    _reference, name, _back = at_stripe(shop, with_stripe)
    with db.writing() as session:
        session.execute(text("update bookings set expires_at = now() - interval '1 second'"))
    run(with_stripe, "payment.check")
    assert stripe.sessions[name]["status"] == "expired"
    assert state() == "abandoned"


def lapsed(shop: TestClient, settings: Settings, stripe: FakeStripe) -> str:
    """Pay after the seats are gone, so that the money is to go back; return the session's name."""
    _reference, name, _back = at_stripe(shop, settings)
    stripe.pay(name)
    with db.writing() as session:
        session.execute(text("update bookings set expires_at = now() - interval '1 second'"))
        session.execute(text("delete from seat_claims"))
    run(settings, "payment.check")
    return name


def test_money_for_seats_that_are_gone_goes_back_once(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    name = lapsed(shop, with_stripe, stripe)
    stripe.moods["refund"] = ["silent", "broken"]
    for _ in range(2):
        with pytest.raises(outbox.Later):
            run(with_stripe, "payment.refund")
    assert "No answer" in str(makers.one("select problem from refunds"))
    for _ in range(2):
        run(with_stripe, "payment.refund")
    assert [one["amount"] for one in stripe.refunds.values()] == [stripe.sessions[name]["amount_total"]]
    assert (state("refunds"), makers.one("select tries from refunds")) == ("succeeded", 3)
    assert len(letters("payment.refunded")) == 1


def test_a_refund_under_way_is_followed_until_its_end(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    lapsed(shop, with_stripe, stripe)
    stripe.refund_state = "pending"
    with pytest.raises(outbox.Later):
        run(with_stripe, "payment.refund")
    stripe.refunds["re_test_1"]["status"] = "failed"
    assert hear(shop, stripe.event("re_test_1", kind="refund.failed")) == 200
    run(with_stripe, "refund.heard")
    assert state("refunds") == "failed"
    assert "Stripe says failed" in str(makers.one("select problem from refunds"))
    assert len(stripe.refunds) == 1


def test_no_call_to_stripe_is_made_inside_a_transaction(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    waiting = (
        "select count(*) from pg_stat_activity where state like 'idle in transaction%' and datname = current_database()"
    )
    really = stripe.answer

    def watched(*given: Any) -> Any:
        with db.reading() as session:
            seen.append(session.scalar(text(waiting)))
        return really(*given)

    monkeypatch.setattr(stripe, "answer", watched)
    name = lapsed(shop, with_stripe, stripe)
    run(with_stripe, "payment.refund")
    assert [call[0] for call in stripe.calls] == ["create", "expire", "retrieve", "retrieve", "refund"], name
    assert seen == [0] * 5

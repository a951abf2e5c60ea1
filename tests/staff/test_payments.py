"""The page of money that waits: staff see it, try refused refunds again, and send back what fits no order."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.kit import db
from portal.kit.money import Money
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.payments import service
from portal.payments.rules import Outcome
from tasks.handlers import HANDLERS
from tests.booking import makers
from tests.payments.paid import account

PAGE = "/admin/payments"
Who = Callable[[str], TestClient]


def send(settings: Settings) -> None:
    with db.reading() as session:
        letters = list(session.scalars(select(Letter).where(Letter.kind == "payment.refund")))
    for letter in letters:
        HANDLERS[letter.kind](settings, letter)


@pytest.fixture
def refused(settings: Settings) -> UUID:
    """A refund that the gateway refused: the charge is not one that it knows as paid."""
    offer = makers.offer(settings, makers.flight(seats=1))
    late = makers.named(settings, offer)
    payment = makers.begun(late)
    makers.lapse(late)
    makers.held(settings, offer)
    with db.writing() as session:
        session.execute(
            text(
                "insert into sandbox_charges (id, idempotency_key, amount_minor, currency, description, return_path, "
                "state) values (:id, :id, 1, 'USD', 'x', '/', 'declined')"
            ),
            {"id": f"ch_{payment}"},
        )
    makers.settled(payment)
    send(settings)
    assert makers.one("select state from refunds") == "failed"
    return UUID(str(makers.one("select id from refunds")))


def test_it_is_for_staff_only(client: TestClient, signed_in: Who) -> None:
    paths = (f"{PAGE}/refunds/{uuid4()}", f"{PAGE}/reviews/{uuid4()}", f"{PAGE}/credits")
    assert client.get(PAGE).status_code == 303
    assert {client.post(path).status_code for path in paths} == {401}
    customer = signed_in("customer")
    assert customer.get(PAGE).status_code == 403
    assert {customer.post(path).status_code for path in paths} == {403}


def test_a_quiet_day_says_that_nothing_waits(signed_in: Who) -> None:
    page = signed_in("staff").get(PAGE)
    assert "Every refund has gone through" in page.text
    assert "Every gateway took what it was asked for" in page.text


def test_a_refused_refund_is_seen_and_tried_again(signed_in: Who, settings: Settings, refused: UUID) -> None:
    staff = signed_in("staff")
    page = staff.get(PAGE).text
    assert "Refused" in page
    assert "cannot give back" in page
    assert str(makers.one("select reference from bookings where status = 'expired'")) in page
    with db.writing() as session:
        session.execute(text("update sandbox_charges set state = 'succeeded', amount_minor = 9999999"))
    answer = staff.post(f"{PAGE}/refunds/{refused}", data={"to": "original"})
    assert answer.headers["location"] == PAGE
    assert "tried again" in staff.get(PAGE).text
    send(settings)
    assert makers.one("select state from refunds") == "succeeded"
    assert "not failed" in staff.get(staff.post(f"{PAGE}/refunds/{refused}").headers["location"]).text


def test_a_refused_refund_becomes_the_travellers_credit(signed_in: Who, refused: UUID) -> None:
    staff = signed_in("admin")
    staff.post(f"{PAGE}/refunds/{refused}", data={"to": "credit"})
    assert makers.one("select owner_email from credits") == "anna@example.com"
    assert "Travel credits" in staff.get(PAGE).text
    assert makers.one("select actor_id is not null from audit_entries where action = 'refund.redone'")
    assert makers.broken() == []


def test_a_sum_that_fits_no_order_is_sent_back(signed_in: Who, settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    payment = makers.begun(booking)
    with db.writing() as session:
        service.record(session, payment, Outcome("succeeded", "ch_1", taken=Money(777, "EUR")))
    staff = signed_in("staff")
    page = staff.get(PAGE).text
    assert "€7.77" in page
    assert booking.reference in page
    assert staff.post(f"{PAGE}/reviews/{payment}").headers["location"] == PAGE
    assert "Sent back" in staff.get(PAGE).text
    assert (account("under_review"), account("refunds_due")) == (0, -777)
    assert staff.post(f"{PAGE}/reviews/{uuid4()}").status_code == 404


def test_staff_give_a_credit_and_see_its_code_once(signed_in: Who) -> None:
    staff = signed_in("staff")
    answer = staff.post(f"{PAGE}/credits", data={"email": "anna@example.com", "amount": "50.00"})
    code = str(makers.one("select code from credits"))
    assert (answer.status_code, code in answer.text, code in staff.get(PAGE).text) == (201, True, False)
    assert (account("goodwill"), account("credits")) == (5000, -5000)
    assert code not in str(makers.one("select after::text from audit_entries where action = 'credit.given'"))
    for wrong in ({"amount": "0"}, {"amount": "5000.01"}, {"amount": "much"}, {"amount": "1.005"}, {"email": "nobody"}):
        given = {"email": "anna@example.com", "amount": "50.00", **wrong}
        refused = staff.post(f"{PAGE}/credits", data=given)
        assert refused.status_code == 422
        assert next(iter(wrong.values())) in refused.text
        assert f'href="#{next(iter(wrong))}"' in refused.text
    assert makers.one("select count(*) from credits") == 1
    thousand = staff.post(f"{PAGE}/credits", data={"email": "anna@example.com", "amount": "1,000"})
    assert (thousand.status_code, account("credits")) == (201, -105_000)
    assert makers.broken() == []


def form_key(page: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', page)
    assert found
    return found[1]


def test_a_reload_or_a_second_click_gives_the_same_credit_again(signed_in: Who) -> None:
    staff = signed_in("staff")
    gift = {"email": "anna@example.com", "amount": "50.00", "key": form_key(staff.get(PAGE).text)}
    answers = [staff.post(f"{PAGE}/credits", data=gift) for _again in range(3)]
    code = str(makers.one("select code from credits"))
    assert [(one.status_code, code in one.text) for one in answers] == [(201, True)] * 3
    assert makers.one("select count(*) from audit_entries where action = 'credit.given'") == 1
    assert (account("goodwill"), account("credits")) == (5000, -5000)
    assert makers.broken() == []
    fresh = form_key(answers[0].text)
    assert fresh != gift["key"]
    for other in ({"key": fresh}, {"amount": "40.00"}, {"email": "ben@example.com"}):
        assert code not in staff.post(f"{PAGE}/credits", data={**gift, **other}).text
    assert signed_in("admin").post(f"{PAGE}/credits", data=gift).status_code == 201
    assert makers.one("select count(*) from credits") == 5


def test_two_clicks_at_once_give_one_credit(settings: Settings) -> None:
    """Whoever comes second waits, and finds what was made."""
    key, gift = str(uuid4()), Money(5000, "USD")

    def given(_hand: int) -> str:
        with db.writing() as session:
            return service.give_credit(session, gift, owner="anna@example.com", actor_id=None, key=key).code

    with ThreadPoolExecutor(4) as hands:
        codes = set(hands.map(given, range(8)))
    assert codes == {makers.one("select code from credits")}


API = "/api/admin/payments"
Tokens = dict[str, dict[str, str]]


def test_programs_of_staff_see_the_same_and_nobody_else_s_do(client: TestClient, tokens: Tokens, refused: UUID) -> None:
    told = client.get(API, headers=tokens["staff"]).json()
    (one,) = told["refunds"]
    assert (one["id"], one["status"]) == (str(refused), "failed")
    assert one["reference"] == makers.one("select reference from bookings where status = 'expired'")
    assert "cannot give back" in one["problem"]
    assert {balance["account"] for balance in told["balances"]} >= {"customers", "refunds_due"}
    assert client.get(API).status_code == 401
    assert client.get(API, headers=tokens["customer"]).status_code == 403


def test_a_program_tries_a_refund_again(client: TestClient, tokens: Tokens, settings: Settings, refused: UUID) -> None:
    with db.writing() as session:
        session.execute(text("update sandbox_charges set state = 'succeeded', amount_minor = 9999999"))
    door = f"{API}/refunds/{refused}"
    answer = client.post(door, json={}, headers=tokens["staff"])
    assert (answer.status_code, answer.json()["refunds"][0]["status"]) == (200, "pending")
    send(settings)
    assert makers.one("select state from refunds") == "succeeded"
    again = client.post(door, json={"to": "credit"}, headers=tokens["staff"])
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_redo")


def test_a_program_makes_a_refund_a_credit(client: TestClient, tokens: Tokens, refused: UUID) -> None:
    done = client.post(f"{API}/refunds/{refused}", json={"to": "credit"}, headers=tokens["admin"])
    assert (done.status_code, done.json()["refunds"]) == (200, [])
    assert makers.one("select owner_email from credits") == "anna@example.com"
    assert makers.broken() == []


def test_a_program_sends_back_what_fits_no_order(client: TestClient, tokens: Tokens, settings: Settings) -> None:
    payment = makers.begun(makers.named(settings, makers.offer(settings, makers.flight())))
    with db.writing() as session:
        service.record(session, payment, Outcome("succeeded", "ch_1", taken=Money(777, "EUR")))
    (seen,) = client.get(API, headers=tokens["staff"]).json()["reviews"]
    assert (seen["taken"], seen["returned"]) == ({"amount": "7.77", "currency": "EUR"}, False)
    done = client.post(f"{API}/reviews/{payment}", headers=tokens["staff"]).json()["reviews"]
    assert [one["returned"] for one in done] == [True]
    assert client.post(f"{API}/reviews/{uuid4()}", headers=tokens["staff"]).status_code == 404


def test_a_program_gives_a_credit(client: TestClient, tokens: Tokens) -> None:
    given = {"email": "anna@example.com", "amount": "50.00"}
    answer = client.post(f"{API}/credits", json=given, headers=tokens["staff"])
    assert answer.status_code == 201
    worth = {"amount": "50.00", "currency": "USD"}
    assert answer.json() == {"code": makers.one("select code from credits"), "amount": worth}
    no = client.post(f"{API}/credits", json={**given, "amount": "5000.01"}, headers=tokens["staff"])
    assert (no.status_code, no.json()["errors"][0]["pointer"]) == (422, "/amount")
    assert client.post(f"{API}/credits", json=given, headers=tokens["customer"]).status_code == 403


def test_every_page_of_staff_leads_to_the_money(signed_in: Who) -> None:
    assert f'href="{PAGE}"' in signed_in("staff").get("/admin/jobs").text

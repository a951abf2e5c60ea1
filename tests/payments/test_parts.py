"""One price over several cards: a part is asked for as one, a refusal loses nothing, time sends everything back."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.booking import service as booking
from portal.booking.errors import PriceMismatch
from portal.booking.rules import least_of, taken_of
from portal.booking.tender import PayWish
from portal.kit import db
from portal.kit.money import Money
from portal.kit.settings import Settings
from portal.payments.errors import NotEnough
from portal.payments.models import Payment
from portal.seats.service import ensure_catalogue
from tests.booking import makers
from tests.booking.test_items import choose, wish
from tests.payments.paid import credit, left, off, paid, refund
from tests.payments.test_credits import held, total, usd, use
from tests.payments.test_stripe import ready, start
from tests.pricing.promoting import make

amounts = st.integers(1, 100_000)
currencies = st.sampled_from(("USD", "JPY", "KWD"))


@given(amounts, amounts, currencies, st.booleans())
def test_a_payment_takes_all_or_a_fair_part_that_was_asked_for_as_one(
    due: int, asked: int, currency: str, partial: bool
) -> None:
    whole, wanted = Money(due, currency), Money(asked, currency)
    took = taken_of(whole, wanted, partial=partial)
    least = least_of(whole).minor
    if took is None:
        assert asked != due
        assert not partial or asked < least or due - asked < least
    else:
        assert took == wanted
        assert took == whole or (partial and least <= took.minor <= due - least)
    assert taken_of(whole, None, partial=partial) == whole
    assert taken_of(whole, Money(asked, "EUR"), partial=True) is None


@pytest.mark.parametrize(("currency", "least"), [("USD", 100), ("JPY", 100), ("KWD", 1000)])
def test_the_smallest_part_is_a_whole_unit(currency: str, least: int) -> None:
    assert least_of(Money(5, currency)) == Money(least, currency)


def part(client: TestClient, reference: str, amount: str) -> Any:
    page = client.get(f"/book/{reference}/pay").text
    found = re.search(r'name="key" value="([^"]+)"', page)
    assert found, page
    return client.post(f"/book/{reference}/pay", data={"key": found[1], "part": amount})


def by_card(client: TestClient, answer: Any, card: str = "tok_visa") -> Any:
    """Pay on the bank's page and come back; return the page that follows."""
    back = client.post(answer.headers["location"], data={"token": card}).headers["location"]
    return client.get(client.get(back).headers["location"])


def test_two_cards_pay_one_price_on_the_page(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    shown = by_card(client, part(client, reference, "50,00"))
    whole, rest = f"${total() / 100:.2f}", f"${(total() - 5000) / 100:.2f}"
    assert "$50.00 are paid. The rest is still to be paid." in shown.text
    assert f"$50.00 of {whole} are paid, {rest} are left to pay until" in shown.text
    assert "Card $50.00." in shown.text
    assert 'data-hold="' in shown.text
    assert makers.one("select status from bookings") == "held"
    shown = by_card(client, start(client, reference))
    assert "Paid and booked" in shown.text
    assert makers.one("select array_agg(amount_minor order by created_at) from payments") == [5000, total() - 5000]
    assert (makers.one("select paid_minor from bookings"), makers.broken()) == (total(), [])
    assert makers.one("select count(*) from letters where kind = 'booking.confirmed'") == 1


def test_a_refused_second_card_keeps_the_first_part_and_says_what_is_left(
    client: TestClient, settings: Settings
) -> None:
    reference = ready(client, settings)
    by_card(client, part(client, reference, "50.00"))
    shown = by_card(client, start(client, reference), "tok_declined")
    assert "The bank declined this card" in shown.text
    assert f"${(total() - 5000) / 100:.2f} are left to pay until" in shown.text
    assert (makers.one("select paid_minor from bookings"), makers.broken()) == (5000, [])
    assert makers.one("select count(*) from refunds") == 0


def test_what_is_no_fair_part_is_told_at_the_field(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    close = f"{(total() - 50) / 100:.2f}"
    for typed in ("", "0", "-5", "0.99", "12.345", "lots", "999999", "1E5000", "1E999999", close):
        answer = part(client, reference, typed)
        assert answer.status_code == 422
        assert 'id="errors"' in answer.text
        assert 'href="#part"' in answer.text
        assert re.search(r'id="part-why">[^<]*from \$1\.00 to \$', answer.text), typed
    assert makers.one("select count(*) from payments") == 0


def test_another_sum_closes_the_bank_s_page_that_stands_open(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    first = part(client, reference, "50.00").headers["location"]
    second = part(client, reference, "70.00").headers["location"]
    assert second != first
    assert makers.one("select array_agg(state order by created_at) from payments") == ["abandoned", "action_required"]
    assert client.get(first).status_code == 303
    assert use(client, reference, credit(2000).code, "later").status_code == 303
    assert makers.one("select paid_minor from bookings") == 2000
    by_card(client, start(client, reference))
    assert (makers.one("select status from bookings"), makers.broken()) == ("confirmed", [])


def test_a_page_that_was_paid_meanwhile_is_not_closed(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    bank = part(client, reference, "50.00").headers["location"]
    client.post(bank, data={"token": "tok_visa"})
    answer = part(client, reference, "70.00")
    assert answer.headers["location"].startswith(f"/book/{reference}/payments/")
    assert client.get(answer.headers["location"]).headers["location"] == f"/book/{reference}/pay"
    assert (makers.one("select paid_minor from bookings"), makers.broken()) == (5000, [])


def test_a_hold_that_lapses_sends_every_part_back_to_where_it_came_from(client: TestClient, settings: Settings) -> None:
    reference, one = ready(client, settings), credit(3000)
    by_card(client, part(client, reference, "50.00"))
    use(client, reference, one.code)
    by_card(client, part(client, reference, "20.00"))
    assert makers.one("select paid_minor from bookings") == 10_000
    with db.writing() as session:
        session.execute(text("update bookings set expires_at = now() - interval '1 second'"))
    with db.writing() as session:
        assert booking.expire_lapsed(session) == 1
    paid_with = "from refunds r join payments p on p.id = r.payment_id"
    back = f"select array_agg(r.amount_minor order by p.created_at desc) {paid_with}"
    assert makers.one(back) == [2000, 3000, 5000]
    assert (left(one.code), makers.one("select paid_minor from bookings"), makers.broken()) == (3000, 0, [])


def test_money_goes_back_newest_card_first_and_never_more_than_one_has_left(settings: Settings) -> None:
    trip = uuid4()
    for amount in (3000, 4000, 5000):
        paid(trip, amount)
    for reason, amount in (("one", 4900), ("two", 600), ("three", 3000)):
        refund(trip, amount, reason=reason)
    by_payment = (
        "select array_agg(back order by at) from (select p.created_at as at, sum(r.amount_minor)::int as back"
        " from payments p join refunds r on r.payment_id = p.id group by p.id) parts"
    )
    assert makers.one(by_payment) == [3500, 5000]
    with pytest.raises(NotEnough):
        refund(trip, 3501, reason="four")
    assert off() == []


def test_a_change_is_paid_by_two_cards(settings: Settings) -> None:
    sold = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    choose(sold, wish(sold, amount=3000))
    with db.writing() as session:
        first = booking.begin_payment(
            session, sold.reference, PayWish("a", "card", "sandbox", Money(1200, "USD"), partial=True)
        ).id
    makers.settled(first)
    assert makers.one("select state from amendments") == "paying"
    second = makers.begun(sold)
    assert makers.one("select amount_minor from payments where id = :id", id=second) == 1800
    makers.settled(second)
    assert (makers.one("select state from amendments"), makers.broken()) == ("done", [])


def test_a_part_that_comes_when_all_is_paid_goes_back_whole(settings: Settings) -> None:
    made = makers.named(settings, makers.offer(settings, makers.flight()))
    with db.writing() as session:
        how = PayWish("late", "card", "sandbox", Money(5000, "USD"), partial=True)
        late = booking.begin_payment(session, made.reference, how).id
    makers.settled(late, "abandoned")
    makers.settled(makers.begun(made))
    makers.settled(late)
    assert makers.one("select amount_minor from refunds") == 5000
    assert (makers.one("select paid_minor from bookings"), makers.broken()) == (total(), [])


def test_a_promotion_may_not_take_off_what_is_left_to_pay(client: TestClient, settings: Settings) -> None:
    reference = ready(client, settings)
    make(code="HALF", kind="amount", amount=5000)
    by_card(client, part(client, reference, f"{(total() - 2000) / 100:.2f}"))
    answer = client.post(f"/book/{reference}/promotion", data={"promoCode": "HALF"})
    assert answer.status_code == 409
    assert "nothing would be left to pay" in answer.text
    assert makers.broken() == []


def test_a_program_pays_in_parts_and_is_told_what_is_left(client: TestClient, settings: Settings) -> None:
    door, headers, balance = held(client, settings)

    def pay(**given: Any) -> Any:
        return client.post(door, json={"method": "card", **given}, headers={**headers, "Idempotency-Key": uuid4().hex})

    assert pay(token="tok_visa", amount=usd(5000)).json()["code"] == "price_mismatch"
    no = pay(token="tok_visa", amount=usd(50), partial=True)
    assert (no.status_code, no.json()["code"], no.json()["balance"]) == (422, "price_mismatch", balance)
    assert "1.00 USD" in no.json()["detail"]
    first = pay(token="tok_visa", amount=usd(5000), partial=True)
    assert (first.status_code, first.json()["status"], first.json()["amount"]) == (201, "succeeded", usd(5000))
    stands = client.get(door.removesuffix("/payments"), headers=headers).json()
    assert (stands["status"], stands["balance"]) == ("held", usd(total() - 5000))
    no = pay(token="tok_declined", amount=usd(total() - 5000))
    assert (no.status_code, no.json()["code"], no.json()["balance"]) == (402, "card_declined", usd(total() - 5000))
    assert no.json()["expiresAt"] == stands["expiresAt"]
    assert pay(token="tok_visa", amount=usd(total() - 5000)).json()["status"] == "succeeded"
    assert (makers.one("select status from bookings"), makers.broken()) == ("confirmed", [])


def test_what_costs_less_than_is_paid_is_refused_to_programs(client: TestClient, settings: Settings) -> None:
    """A seat was chosen and its price paid with the rest of a part; taking it off would leave nothing to pay."""
    with db.writing() as session:
        ensure_catalogue(session)
    door, headers, _balance = held(client, settings)
    at = door.removesuffix("/payments")
    made = client.get(at, headers=headers).json()
    flight_id = made["slices"][0]["segments"][0]["flightId"]
    seat = {"passengerId": made["passengers"][0]["id"], "flightId": flight_id}
    assert client.put(f"{at}/seats", json=[{**seat, "seat": "14A"}], headers=headers).status_code == 200
    extra = total() - int(makers.one("select sum(amount_minor) from charges where item_id is null"))  # type: ignore[call-overload]  # a number
    assert extra > 200
    body = {"method": "card", "token": "tok_visa", "amount": usd(total() - 150), "partial": True}
    assert client.post(door, json=body, headers=headers).status_code == 201
    no = client.put(f"{at}/seats", json=[{**seat, "seat": None}], headers=headers)
    assert (no.status_code, no.json()["code"]) == (409, "part_paid")
    assert makers.broken() == []


def test_an_amount_without_its_wish_for_a_part_takes_nothing(settings: Settings) -> None:
    made = makers.named(settings, makers.offer(settings, makers.flight()))
    with pytest.raises(PriceMismatch), db.writing() as session:
        booking.begin_payment(session, made.reference, PayWish("k", "card", "sandbox", Money(5000, "USD")))
    with db.reading() as session:
        assert session.scalars(select(Payment)).all() == []

"""Every code of the contract, and of a booking's life beside them: through the API, and told readably to people.

Each case makes the same mistake at both doors. A program gets status, code and a sentence; a person the words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.search.rules import Offer
from portal.seats.service import ensure_catalogue
from tests.booking import makers
from tests.booking.test_api import bearer, body, booked, paid
from tests.booking.test_cancelling import sold
from tests.trips.test_changes import mine

Refusal = tuple[Any, Any]
Case = Callable[[TestClient, Settings], Refusal]


def words(answer: Any) -> str:
    """Return what a person reads of a page."""
    bare = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", answer.text, flags=re.S)
    return " ".join(unescape(bare).split())


def followed(client: TestClient, answer: Any) -> Any:
    """Return the page that the browser ends on."""
    while answer.status_code == 303:
        answer = client.get(answer.headers["location"])
    return answer


def posted(client: TestClient, path: str, **fields: Any) -> Any:
    return followed(client, client.post(path, data=fields))


def offered(settings: Settings, **flight: Any) -> Offer:
    return makers.offer(settings, makers.flight(**flight))


def page_booking(client: TestClient, settings: Settings, **flight: Any) -> Booking:
    """Return a named hold that this browser may manage."""
    booking = makers.named(settings, offered(settings, **flight))
    mine(client, settings, booking)
    return booking


# The codes that the public contract names.
OF_THE_CONTRACT = {"sold_out", "seat_taken", "offer_expired", "hold_expired", "price_changed", "price_mismatch"}


def sold_out(client: TestClient, settings: Settings) -> Refusal:
    offer = offered(settings, seats=1)
    makers.held(settings, offer)
    return client.post("/api/bookings", json=body(offer)), posted(
        client, "/book", offer=offer.token, key="key-of-the-page"
    )


def offer_expired(client: TestClient, settings: Settings) -> Refusal:
    offer = offered(settings)
    with clock.shifted(timedelta(minutes=31)):
        return client.post("/api/bookings", json=body(offer)), posted(
            client, "/book", offer=offer.token, key="key-of-the-page"
        )


def price_changed(client: TestClient, settings: Settings) -> Refusal:
    flight = makers.flight()
    offer = makers.offer(settings, flight)
    no = client.post("/api/bookings", json=body(offer, expectedTotal={"amount": "1.00", "currency": "USD"}))
    with db.writing() as session:
        session.execute(text("update flights set fare_minor = fare_minor * 2 where id = :id"), {"id": flight.id})
    with clock.shifted(timedelta(minutes=31)):
        return no, posted(client, "/book", offer=offer.token, key="key-of-the-page")


def hold_expired(client: TestClient, settings: Settings) -> Refusal:
    made, booking = booked(client, settings), page_booking(client, settings, number=102)
    with db.writing() as session:
        session.execute(text("update bookings set expires_at = now() - interval '1 second'"))
    return paid(client, made, "tok_visa"), posted(client, f"/book/{booking.reference}/pay", key="key-of-the-page")


def price_mismatch(client: TestClient, settings: Settings) -> Refusal:
    made, booking = booked(client, settings), page_booking(client, settings, number=102)
    no = paid(client, made, "tok_visa", amount={"amount": "1.00", "currency": "USD"})
    return no, posted(client, f"/book/{booking.reference}/pay", key="key-of-the-page", part="0.10")


def seat_taken(client: TestClient, settings: Settings) -> Refusal:
    with db.writing() as session:
        ensure_catalogue(session)
    flight = makers.flight()
    offer = makers.offer(settings, flight)
    first, second = (client.post("/api/bookings", json=body(offer)).json() for _ in "ab")

    def choose(made: dict[str, Any]) -> Any:
        seat = {"passengerId": made["passengers"][0]["id"], "flightId": str(flight.public_id), "seat": "20A"}
        return client.put(f"/api/bookings/{made['reference']}/seats", json=[seat], headers=bearer(made))

    choose(first)
    booking = makers.named(settings, offer)
    mine(client, settings, booking)
    return choose(second), posted(
        client, f"/book/{booking.reference}/seats", **{"seat.1": "20A", "key": "key-of-the-page"}
    )


def card_declined(client: TestClient, settings: Settings) -> Refusal:
    made, booking = booked(client, settings), page_booking(client, settings, number=102)
    bank = client.post(f"/book/{booking.reference}/pay", data={"key": "key-of-the-page"}).headers["location"]
    return paid(client, made, "tok_declined"), posted(client, bank, token="tok_declined")


def extensions_used_up(client: TestClient, settings: Settings) -> Refusal:
    made, booking = booked(client, settings), page_booking(client, settings, number=102)
    with db.writing() as session:
        session.execute(text("update bookings set extensions = 10"))
    no = client.post(f"/api/bookings/{made['reference']}/extensions", headers=bearer(made))
    return no, posted(client, f"/book/{booking.reference}/extend")


def already_paid(client: TestClient, settings: Settings) -> Refusal:
    made, booking = booked(client, settings), page_booking(client, settings, number=102)
    paid(client, made, "tok_visa")
    makers.settled(makers.begun(booking))
    return paid(client, made, "tok_visa"), posted(client, f"/book/{booking.reference}/pay", key="key-of-the-page")


def too_many_payments(client: TestClient, settings: Settings) -> Refusal:
    made, booking = booked(client, settings), page_booking(client, settings, number=102)
    for number in range(10):
        paid(client, made, "tok_declined")
        makers.settled(makers.begun(booking), "declined", f"ch_{number}")
    return paid(client, made, "tok_visa"), posted(client, f"/book/{booking.reference}/pay", key="key-of-the-page")


def flight_closed(client: TestClient, settings: Settings) -> Refusal:
    made, booking = booked(client, settings), page_booking(client, settings, number=102)
    with db.writing() as session:
        session.execute(text("update flight_cabins set closed_at_sold = sold"))
        session.execute(text("update flights set sale_closed_at = now()"))
    return paid(client, made, "tok_visa"), posted(client, f"/book/{booking.reference}/pay", key="key-of-the-page")


def offers_do_not_fit(client: TestClient, settings: Settings) -> Refusal:
    one, pair = makers.flight(), makers.flight(number=102, origin="LAX", destination="JFK")
    offers = makers.offer(settings, one), makers.offer(settings, pair, party=Party(2))
    no = client.post("/api/bookings", json=body(*offers))
    return no, posted(client, "/book", offer=[one.token for one in offers], key="key-of-the-page")


def promotion_refused(client: TestClient, settings: Settings) -> Refusal:
    booking = page_booking(client, settings)
    no = client.post("/api/bookings", json=body(offered(settings, number=102), promoCode="NONE"))
    return no, posted(client, f"/book/{booking.reference}/promotion", promoCode="NONE")


def credit_unknown(client: TestClient, settings: Settings) -> Refusal:
    made, booking = booked(client, settings), page_booking(client, settings, number=102)
    no = paid(client, made, "NOSUCHCREDIT", method="credit")
    return no, posted(client, f"/book/{booking.reference}/pay", key="key-of-the-page", credit="NOSUCHCREDIT")


def passengers_missing(client: TestClient, settings: Settings) -> Refusal:
    made = booked(client, settings)
    booking = makers.held(settings, offered(settings, number=102))
    with db.writing() as session:
        session.execute(text("update passengers set ticket_name = null"))
    mine(client, settings, booking)  # type: ignore[arg-type]  # only its reference is read
    return paid(client, made, "tok_visa"), posted(client, f"/book/{booking.reference}/pay", key="key-of-the-page")


def not_held(client: TestClient, settings: Settings) -> Refusal:
    booking, made = sold(settings, makers.flight()), booked(client, settings, number=102)
    at = mine(client, settings, booking)
    with db.writing() as session:
        session.execute(text("update bookings set status = 'cancelled', ended_at = now(), expires_at = null"))
    no = client.post(f"/api/bookings/{made['reference']}/cancellations", json={}, headers=bearer(made))
    return no, posted(client, f"{at}/cancel", refund="original")


def action_closed(client: TestClient, settings: Settings) -> Refusal:
    made = booked(client, settings)
    paid(client, made, "tok_visa")
    booking = sold(settings, makers.flight(number=102), party=makers.ONE)
    at = mine(client, settings, booking)
    with clock.shifted(timedelta(days=60)):
        no = client.post(f"/api/bookings/{made['reference']}/cancellations", json={}, headers=bearer(made))
        return no, posted(client, f"{at}/cancel", refund="original")


CASES: list[tuple[int, str, Case, str]] = [
    (409, "sold_out", sold_out, "the last of these seats have just been sold"),
    (409, "offer_expired", offer_expired, "The price was kept for a while and lapsed. It is still the same: $230.40."),
    (409, "price_changed", price_changed, "It was $230.40 and is now $445.40. Nothing is booked yet."),
    (
        409,
        "hold_expired",
        hold_expired,
        "The hold has run out The seats went back on sale before the booking was paid. Nothing was charged.",
    ),
    (422, "price_mismatch", price_mismatch, "Please give an amount from"),
    (409, "seat_taken", seat_taken, "has just been taken"),
    (402, "card_declined", card_declined, "The bank declined this card"),
    (409, "extensions_used_up", extensions_used_up, "It was extended ten times. Please pay now, or search again."),
    (409, "already_paid", already_paid, "You are booked The tickets were sent to anna@example.com."),
    (409, "too_many_payments", too_many_payments, "Too many cards were refused for this booking. Nothing was charged."),
    (409, "flight_closed", flight_closed, "One of these flights is not sold any more. Nothing was charged."),
    (422, "offers_do_not_fit", offers_do_not_fit, "different travellers"),
    (422, "promotion_refused", promotion_refused, "We do not know the code NONE."),
    (422, "credit_unknown", credit_unknown, "We do not know this credit code"),
    (409, "passengers_missing", passengers_missing, "Who is flying? Write names as they stand in the passport"),
    (409, "not_held", not_held, "This booking is cancelled."),
    (409, "action_closed", action_closed, "Every flight of this booking has left"),
]


@pytest.mark.parametrize(("status", "code", "case", "said"), CASES, ids=[one[1] for one in CASES])
def test_a_program_gets_the_code_and_a_person_the_words(
    client: TestClient, settings: Settings, status: int, code: str, case: Case, said: str
) -> None:
    no, page = case(client, settings)
    told = no.json()
    assert (no.status_code, told["code"], told["status"]) == (status, code, status)
    assert no.headers["content-type"] == "application/problem+json"
    assert told["title"]
    assert told["type"].endswith(f"/help/errors#{code}")
    assert page.status_code in (200, status)
    assert said in words(page)
    assert code not in words(page)


def test_every_code_of_the_contract_is_a_case() -> None:
    assert {code for _status, code, _case, _said in CASES} >= OF_THE_CONTRACT

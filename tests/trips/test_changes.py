"""Cancel, change and correct a booking by its pages and by programs: quote, confirm, pay; guests by a mailed link."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.kit import clock, db, grants
from portal.kit.settings import Settings
from tests import world
from tests.booking import makers
from tests.booking.test_cancelling import TWO, seen, sold, there_and_back
from tests.booking.test_changing import later, offer
from tests.trips.test_booking_page import allow


def mine(client: TestClient, settings: Settings, booking: Booking) -> str:
    """Let this browser manage the booking; return the address of its page."""
    allow(client, settings, booking.reference, "manage")
    return f"/bookings/{booking.reference}"


def sent(client: TestClient, path: str, **data: Any) -> str:
    """Post a form and return where it leads."""
    answer = client.post(path, data=data)
    assert answer.status_code == 303, unescape(re.sub(r"<[^>]+>|\s+", " ", answer.text))[:2000]
    return str(answer.headers["location"])


def test_a_traveller_is_cancelled_by_a_quote_and_a_button(client: TestClient, settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    at, anna = mine(client, settings, booking), seen(booking).passengers[0]
    form = client.get(f"{at}/cancel").text
    assert anna.name in form
    page = sent(client, f"{at}/cancel", who="some", passenger=str(anna.id), refund="original")
    told = client.get(page).text
    for words in ("You get back", "Fee taken", "$240.00", "Good until", "Cancel it now", "no longer flying"):
        assert words in told
    assert seen(booking).active_passengers == seen(booking).passengers
    assert sent(client, page) == at
    after = client.get(at).text
    assert f"No longer flying: {anna.name}" in after
    assert "Cancellation of a part" in after
    assert makers.broken() == []


def test_a_direction_and_then_all_is_cancelled_and_the_quote_may_be_dropped(
    client: TestClient, settings: Settings
) -> None:
    booking = sold(settings, *there_and_back())
    at = mine(client, settings, booking)
    dropped = sent(client, f"{at}/cancel", ways="some", slice="1", refund="original")
    assert sent(client, f"{dropped}/withdraw") == at
    assert client.post(dropped).status_code == 409
    sent(client, sent(client, f"{at}/cancel", ways="some", slice="1", refund="original"))
    assert "Cancelled" in client.get(at).text
    sent(client, sent(client, f"{at}/cancel", refund="original"))
    assert "This booking is cancelled" in client.get(at).text
    assert makers.broken() == []


def test_what_cannot_be_cancelled_is_said_at_the_form(client: TestClient, settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    at = mine(client, settings, booking)
    nobody = client.post(f"{at}/cancel", data={"who": "some", "refund": "original"})
    assert nobody.status_code == 422
    nothing = client.post(f"{at}/cancel", data={"slice": "7", "refund": "original"})
    assert "no such direction" in nothing.text


def test_another_day_is_found_with_its_difference_paid_and_flown(client: TestClient, settings: Settings) -> None:
    booking, new = sold(settings, makers.flight()), later(fare_minor=30_000)
    at = mine(client, settings, booking)
    page = client.get(f"{at}/change?slice=0&on={world.soon(33)}").text
    assert "The change fee of $75.00" in page
    token = re.findall(r'name="offer" value="([^"]+)"', page)
    assert len(token) == 3
    told = sent(client, f"{at}/change", slice="0", offer=unescape(token[1]))
    assert "Confirm and pay" in client.get(told).text
    assert sent(client, told) == f"/book/{booking.reference}/pay"
    assert "A change waits to be paid" in client.get(at).text
    pay = client.get(f"/book/{booking.reference}/pay").text
    key = re.search(r'name="key" value="([^"]+)"', pay)
    assert key
    bank = sent(client, f"/book/{booking.reference}/pay", key=key[1])
    back = sent(client, bank, token="tok_visa")
    assert sent_on(client, back) == at
    assert [one.id for one in seen(booking).flights] == [new.id]
    assert makers.broken() == []


def sent_on(client: TestClient, path: str) -> str:
    answer = client.get(path)
    return str(answer.headers["location"]) if answer.status_code == 303 else path


def test_a_day_that_is_over_and_a_fare_that_stays_are_said(client: TestClient, settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    at = mine(client, settings, booking)
    for wrong in ("2020-01-01", "yesterday"):
        assert client.get(f"{at}/change?slice=0&on={wrong}").status_code == 422
    basic = sold(settings, makers.flight(number=103), brand="Basic")
    at = mine(client, settings, basic)
    assert "No direction of this booking can be changed" in client.get(f"{at}/change").text
    refused = client.post(f"{at}/change", data={"slice": "0", "offer": offer(settings, later(), brand="Basic").token})
    assert refused.status_code == 409


def test_a_name_is_corrected_by_some_letters_and_twice_only(client: TestClient, settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    at, one = mine(client, settings, booking), seen(booking).passengers[0]
    assert one.name in client.get(f"{at}/correct").text
    for name in ("Smyth", "Smithe"):
        told = sent(client, f"{at}/correct", passengerId=str(one.id), givenName=one.given_name, familyName=name)
        assert f"The ticket will read {name.upper()}/" in client.get(told).text
        sent(client, told)
    assert seen(booking).passengers[0].ticket_name == f"SMITHE/{one.given_name}".upper()
    third = {"passengerId": str(one.id), "givenName": one.given_name, "familyName": "Smith"}
    assert "corrected twice already" in client.post(f"{at}/correct", data=third).text
    other = seen(booking).passengers[1]
    whole = {"passengerId": str(other.id), "givenName": "Completely", "familyName": "Different"}
    answer = client.post(f"{at}/correct", data=whole)
    assert (answer.status_code, "that is another name" in answer.text) == (409, True)


def test_a_new_contact_is_kept_and_the_old_one_told(client: TestClient, settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    at = mine(client, settings, booking)
    assert client.post(f"{at}/contact", data={"email": "nobody"}).status_code == 422
    assert sent(client, f"{at}/contact", email="new@example.com", phone="") == at
    assert seen(booking).contact_email == "new@example.com"
    told = "select payload ->> 'email' from letters where kind = 'booking.contact_changed'"
    assert makers.one(told) == "anna@example.com"


def test_a_guest_who_looked_it_up_changes_it_by_a_mailed_link_only(client: TestClient, settings: Settings) -> None:
    from portal.trips.service import link_mail

    booking = sold(settings, makers.flight())
    at = f"/bookings/{booking.reference}"
    allow(client, settings, booking.reference, "view")
    assert "To change it, open the link" in client.get(at).text
    assert client.get(f"{at}/cancel").status_code == 404
    assert sent(client, f"{at}/link") == at
    assert makers.one("select count(*) from letters where kind = 'booking.link'") == 1
    mail = link_mail(seen(booking), settings, "1")
    body = mail.get_body(("plain",))
    assert body is not None
    assert mail["To"] == "anna@example.com"
    path = re.search(r"/manage/link\?token=\S+", body.get_content())
    assert path
    assert "Go on to my booking" in client.get(path[0]).text
    assert client.get(f"{at}/cancel").status_code == 404
    token = path[0].partition("=")[2]
    with clock.shifted(timedelta(minutes=31)):
        assert client.post("/manage/link", data={"token": token}).status_code in (303, 410)
    client.cookies.clear()
    assert sent(client, "/manage/link", token=token) == at
    assert client.get(f"{at}/cancel").status_code == 200
    assert client.get(f"/manage/link?token={quote(token[:-3])}xyz").status_code == 410


def test_nobody_else_sees_or_confirms_a_change(client: TestClient, settings: Settings) -> None:
    booking, other = sold(settings, makers.flight()), sold(settings, makers.flight(number=104))
    told = sent(client, f"{mine(client, settings, booking)}/cancel", refund="original")
    number = told.rsplit("/", 1)[1]
    client.cookies.clear()
    at = mine(client, settings, other)
    assert client.get(f"{at}/amendments/{number}").status_code == 404
    assert client.post(f"{at}/amendments/{number}").status_code == 404
    assert client.post(told).status_code == 404
    assert client.get(f"{at}/amendments/nothing").status_code == 404


@pytest.fixture
def bearer(client: TestClient, settings: Settings) -> Any:
    """Call the API as a program that holds the booking's token."""

    def call(verb: str, booking: Booking, path: str, /, **body: Any) -> Any:
        token = grants.booking_token(settings, booking.reference)
        headers = {"Authorization": f"Bearer {token}"}
        return client.request(verb, f"/api/bookings/{booking.reference}{path}", json=body or None, headers=headers)

    return call


def test_a_program_cancels_by_quote_and_confirmation(bearer: Any, settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    quoted = bearer("POST", booking, "/cancellations", sliceIndexes=[1])
    assert quoted.status_code == 201
    wire = quoted.json()
    assert (wire["status"], wire["kind"], wire["penalty"]["amount"]) == ("quoted", "cancellation", "240.00")
    assert wire["expiresAt"].endswith("Z")
    done = bearer("POST", booking, f"/cancellations/{wire['id']}/confirm")
    assert (done.status_code, done.json()["status"], done.json()["refund"]) == (200, "done", wire["refund"])
    assert bearer("POST", booking, f"/cancellations/{wire['id']}/confirm").json()["status"] == "done"
    again = bearer("POST", booking, "/cancellations", sliceIndexes=[1])
    assert (again.status_code, again.json()["code"]) == (422, "invalid")
    assert makers.broken() == []


def test_a_program_changes_pays_and_meets_each_refusal(bearer: Any, settings: Settings) -> None:
    booking, new = sold(settings, makers.flight()), later(fare_minor=30_000)
    target = offer(settings, new)
    quoted = bearer("POST", booking, "/changes", sliceIndex=0, offerId=target.token).json()
    assert quoted["penalty"]["amount"] == "150.00"
    assert float(quoted["due"]["amount"]) == float(quoted["difference"]["amount"]) + 150
    old = bearer("POST", booking, "/changes", sliceIndex=0, offerId=target.token).json()
    paying = bearer("POST", booking, f"/changes/{quoted['id']}/confirm").json()
    assert paying["status"] == "paying"
    seen_now = bearer("GET", booking, "").json()
    assert seen_now["balance"] == paying["due"]
    assert "pay" in seen_now["availableActions"]
    wrong = bearer(
        "POST", booking, "/payments", method="card", token="tok_visa", amount={"amount": "1.00", "currency": "USD"}
    )
    assert wrong.json()["code"] == "price_mismatch"
    paid = bearer("POST", booking, "/payments", method="card", token="tok_visa", amount=paying["due"])
    assert paid.status_code == 201
    assert bearer("GET", booking, f"/amendments/{quoted['id']}").json()["status"] == "done"
    assert [one.id for one in seen(booking).flights] == [new.id]
    outdated = bearer("POST", booking, f"/changes/{old['id']}/confirm")
    assert (outdated.status_code, outdated.json()["code"]) == (409, "quote_outdated")
    late = bearer("POST", booking, "/cancellations").json()
    with db.writing() as session:
        session.execute(text("update amendments set expires_at = now() - interval '1 second' where state = 'quoted'"))
    expired = bearer("POST", booking, f"/cancellations/{late['id']}/confirm")
    assert (expired.status_code, expired.json()["code"]) == (409, "quote_expired")
    closed = bearer("POST", booking, "/changes", sliceIndex=0, offerId=offer(settings, later(number=7), TWO).token)
    assert closed.status_code == 201
    assert bearer("POST", booking, f"/amendments/{closed.json()['id']}/withdraw").json()["status"] == "withdrawn"
    unknown = bearer("POST", booking, "/changes/00000000-0000-0000-0000-000000000000/confirm")
    assert unknown.status_code == 404
    assert makers.broken() == []


def test_a_program_corrects_a_name_and_changes_the_contact(bearer: Any, settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    one = seen(booking).passengers[0]
    name = {"passengerId": str(one.id), "givenName": one.given_name, "familyName": "Smyth"}
    quoted = bearer("POST", booking, "/corrections", **name).json()
    assert bearer("POST", booking, f"/corrections/{quoted['id']}/confirm").json()["status"] == "done"
    same = bearer("POST", booking, "/corrections", **name)
    assert (same.status_code, same.json()["code"]) == (409, "action_closed")
    told = bearer("PUT", booking, "/contact", email="new@example.com", phone=None)
    assert told.json()["contact"] == {"email": "new@example.com", "phone": None}


def test_a_hold_is_bought_with_a_promotion(client: TestClient, settings: Settings) -> None:
    from portal.pricing import promotions

    with db.writing() as session:
        promotions.ensure_demo(session)
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    whole = seen(booking).total_minor
    mine(client, settings, booking)
    at = f"/book/{booking.reference}"
    wrong = client.post(f"{at}/promotion", data={"promoCode": "NOTHING"})
    assert (wrong.status_code, "We do not know the code NOTHING" in wrong.text) == (422, True)
    assert 'id="errors"' in wrong.text
    assert 'href="#promoCode"' in wrong.text
    assert sent(client, f"{at}/promotion", promoCode="welcome10") == f"{at}/pay"
    assert "WELCOME10 takes $20.00 off." in client.get(f"{at}/pay").text
    assert "takes $20.00 off" not in client.get(f"{at}/pay").text
    assert seen(booking).total_minor == whole - 2_000
    sent(client, f"{at}/promotion", promoCode="")
    assert seen(booking).total_minor == whole
    sent(client, f"{at}/promotion", promoCode="WELCOME10")
    makers.settled(makers.begun(booking))
    assert makers.status(booking) == "confirmed"
    assert makers.broken() == []


def test_only_a_clerk_may_say_that_the_airline_is_at_fault(
    client: TestClient, settings: Settings, signed_in: Any
) -> None:
    booking = sold(settings, makers.flight(), brand="Basic")
    at, wish = mine(client, settings, booking), {"refund": "original", "waive": "1"}
    assert "at fault" not in client.get(f"{at}/cancel").text
    sent(client, f"{at}/cancel", **wish)
    assert makers.one("select payload ->> 'rule' from amendments") == "conditions"
    signed_in("staff")
    assert "at fault" in client.get(f"{at}/cancel").text
    sent(client, sent(client, f"{at}/cancel", **wish))
    assert makers.one("select sum(amount_minor) from refunds") == makers.one("select amount_minor from payments")
    assert makers.one("select count(*) from audit_entries where action = 'booking.cancellation'") == 1


def test_a_program_books_with_a_promotion_or_hears_why_not(client: TestClient, settings: Settings) -> None:
    from portal.pricing import promotions

    with db.writing() as session:
        promotions.ensure_demo(session)
    target = makers.offer(settings, makers.flight())
    person = {"type": "adult", "givenName": "Ana", "familyName": "Smith", "dateOfBirth": "1990-01-01"}
    wish = {"offerIds": [target.token], "contact": {"email": "ana@example.com"}, "passengers": [person]}
    refused = client.post("/api/bookings", json={**wish, "promoCode": "NOTHING"})
    assert (refused.status_code, refused.json()["code"]) == (422, "promotion_refused")
    assert makers.one("select count(*) from bookings") == 0
    made = client.post("/api/bookings", json={**wish, "promoCode": "welcome10"}).json()
    assert float(made["total"]["amount"]) == target.total_minor / 100 - 20
    assert made["priceBreakdown"][-1]["amount"]["amount"] == "-20.00"


def test_one_traveller_stays_off_one_direction_by_the_page(client: TestClient, settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    at, anna = mine(client, settings, booking), seen(booking).passengers[0]
    assert "Who no longer flies?" in client.get(f"{at}/cancel").text
    quoted = sent(client, f"{at}/cancel", passenger=str(anna.id), slice="1", refund="original")
    told = unescape(client.get(quoted).text)
    assert f"{anna.name}: no longer flying Los Angeles – New York; the seat is given back." in told
    assert "$120.00" in told
    assert sent(client, quoted) == at
    after = client.get(at).text
    assert f"No longer flying this direction: {anna.name}" in after
    assert "Table of travellers" in after
    again = client.post(f"{at}/cancel", data={"passenger": str(anna.id), "slice": "1", "refund": "original"})
    assert (again.status_code, "does not fly these directions any more" in again.text) == (422, True)
    assert makers.broken() == []


def test_a_quote_says_when_the_refund_terms_of_the_old_fare_stay(client: TestClient, settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    at = mine(client, settings, booking)
    later(fare_minor=30_000)
    page = client.get(f"{at}/change?slice=0&on={world.soon(33)}").text
    assert "The refund terms of your fare stay, also with a dearer one" in page
    own, flex = (unescape(one) for one in re.findall(r'name="offer" value="([^"]+)"', page)[1:])
    told = client.get(sent(client, f"{at}/change", slice="0", offer=own)).text
    assert "as in the fare that you bought" not in told
    quoted = sent(client, f"{at}/change", slice="0", offer=flex)
    told = client.get(quoted).text
    assert "Refund: for $120.00 each, as in the fare that you bought." in told
    sent(client, quoted)
    makers.settled(makers.begun(booking))
    assert re.search(r"<dt>Refund</dt>\s*<dd>for \$120.00 each</dd>", client.get(at).text)


def test_a_fare_that_is_not_refunded_says_so_at_its_change(client: TestClient, settings: Settings) -> None:
    flight = makers.flight(fare_minor=50_000)
    booking = makers.confirmed(settings, makers.offer(settings, flight, brand="Basic", cabin="business"))
    at = mine(client, settings, booking)
    target = makers.offer(settings, flight, brand="Flex", cabin="business")
    free = client.get(sent(client, f"{at}/change", slice="0", offer=target.token)).text
    assert "as in the fare that you bought" not in free
    with db.writing() as session:
        session.execute(text("update bookings set confirmed_at = confirmed_at - interval '2 days'"))
    told = client.get(sent(client, f"{at}/change", slice="0", offer=target.token)).text
    assert "Refund: not allowed, as in the fare that you bought." in told


def test_a_program_is_told_the_conditions_from_then_on(bearer: Any, settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    target = offer(settings, later(), brand="Flex")
    quoted = bearer("POST", booking, "/changes", sliceIndex=0, offerId=target.token).json()
    bought = bearer("GET", booking, "").json()["slices"][0]["conditions"]
    assert quoted["conditions"] == {**target.conditions, "refund": bought["refund"]}
    assert bearer("POST", booking, "/cancellations").json()["conditions"] is None
    bearer("POST", booking, f"/changes/{quoted['id']}/confirm")
    makers.settled(makers.begun(booking))
    assert bearer("GET", booking, "").json()["slices"][0]["conditions"] == quoted["conditions"]

"""Whoever pays on the gateway's page comes back to a page that says how it ended; nobody is led to a stranger's."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.kit import db, grants, origins, signing
from portal.kit.settings import Settings
from tests.booking import makers
from tests.payments.fake_stripe import FakeStripe
from tests.payments.test_credits import held, usd

SHOP = "https://shop.example"
ANY = Settings(
    **dict.fromkeys(Settings.__dataclass_fields__)  # type: ignore[arg-type]  # only two of them are read
)


def pay(client: TestClient, settings: Settings, **given: Any) -> tuple[Any, str]:
    """Ask for the gateway's page as a program; return the answer and the page's path."""
    door, headers, balance = held(client, settings)
    answer = client.post(door, json={"method": "page", "amount": balance, **given}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer, str(answer.json()["actionUrl"]).removeprefix("http://testserver")


def come_back(client: TestClient, page: str, token: str) -> Any:
    back = client.post(page, data={"token": token}).headers["location"]
    client.cookies.clear()
    assert back.startswith("/paid/")
    return client.get(back)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("tok_visa", "Thank you, it is paid."),
        ("tok_declined", "The bank declined this card"),
        ("tok_timeout", "checking"),
    ],
)
def test_who_pays_without_the_booking_is_told_how_it_ended(
    client: TestClient, settings: Settings, card: str, words: str
) -> None:
    _answer, page = pay(client, settings)
    shown = come_back(client, page, card)
    assert (shown.status_code, words in shown.text) == (200, True)
    assert "JFK–LAX" in shown.text or card != "tok_visa"
    for private in ("Smith", "Anna", "a@example.com", makers.one("select reference from bookings")):
        assert str(private) not in shown.text
    assert "trips" not in client.cookies


def test_a_payer_who_turns_back_may_go_on(client: TestClient, settings: Settings) -> None:
    _answer, page = pay(client, settings)
    back = re.search(r'href="(/paid/[^"]+)"', client.get(page).text)
    assert back is not None
    assert f'href="{page}"' in client.get(back[1]).text


def test_who_may_manage_the_booking_is_led_to_it(client: TestClient, settings: Settings) -> None:
    _answer, page = pay(client, settings)
    reference = makers.one("select reference from bookings")
    link = grants.link(settings, str(reference), f"/bookings/{reference}")
    client.get(link.removeprefix(settings.base_url))
    back = client.post(page, data={"token": "tok_visa"}).headers["location"]
    assert client.get(back).headers["location"].startswith(f"/book/{reference}/payments/")


def test_the_payer_is_led_on_to_an_address_of_ours(client: TestClient, settings: Settings) -> None:
    url = f"{settings.base_url}/bookings?from=app#top"
    _answer, page = pay(client, settings, returnUrl=url)
    shown = come_back(client, page, "tok_visa")
    payment = makers.one("select id::text from payments")
    assert shown.status_code == 303
    assert shown.headers["location"] == f"{settings.base_url}/bookings?from=app&payment={payment}&status=succeeded#top"
    assert makers.one("select status from bookings") == "confirmed"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "/bookings",
        "http://testserver@evil.example/",
        "http://testserver.evil.example/",
        "http://testserver\\@evil.example/",
        "http://testserver:80@evil.example",
        "javascript:alert(1)",
        "http://testserver/\nSet-Cookie: a=b",
        "",
    ],
)
def test_nobody_is_led_to_a_stranger_s_page(client: TestClient, settings: Settings, url: str) -> None:
    door, headers, balance = held(client, settings)
    no = client.post(door, json={"method": "page", "amount": balance, "returnUrl": url}, headers=headers)
    assert (no.status_code, no.json()["errors"][0]["pointer"]) == (422, "/returnUrl")
    assert makers.one("select count(*) from payments") == 0


def test_an_address_that_is_no_longer_allowed_leads_nowhere(client: TestClient, settings: Settings) -> None:
    _answer, page = pay(client, settings)
    with db.writing() as session:
        session.execute(text("update payments set return_url = 'https://evil.example/'"))
    assert come_back(client, page, "tok_visa").status_code == 200


@given(st.text(max_size=40), st.sampled_from((SHOP, "http://testserver", "https://evil.example")))
def test_only_our_own_hosts_pass(tail: str, start: str) -> None:
    own = replace(ANY, base_url="http://testserver", allowed_origins=(SHOP,))
    passed = origins.is_ours(own, start + tail)
    assert not (passed and start == "https://evil.example")
    assert not passed or tail == "" or tail[0] in "/?#"
    assert origins.is_ours(own, f"{SHOP}/a?b=c#d")


def test_a_foreign_or_bent_address_shows_nothing(client: TestClient, settings: Settings) -> None:
    pay(client, settings)
    payment = makers.one("select id::text from payments")
    for token in (
        payment,
        f"{payment}.x",
        f"{uuid4()}.{signing.mark(settings, 'paid-page', str(payment))}",
        "x.y",
        "ü",
    ):
        assert client.get(f"/paid/{token}").status_code == 404
    unknown = uuid4()
    assert client.get(f"/paid/{unknown}.{signing.mark(settings, 'paid-page', str(unknown))}").status_code == 404


def test_a_part_says_that_the_rest_is_still_to_be_paid(client: TestClient, settings: Settings) -> None:
    _answer, page = pay(client, settings, amount=usd(5000), partial=True)
    assert "still to be paid" in come_back(client, page, "tok_visa").text


def test_stripe_is_asked_for_the_same_page_when_a_program_asks_twice(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe
) -> None:
    door, headers, balance = held(shop, with_stripe)
    body = {"method": "page", "amount": balance, "returnUrl": f"{with_stripe.base_url}/bookings"}
    told = [
        shop.post(door, json=body, headers={**headers, "Idempotency-Key": key}).json()["actionUrl"]
        for key in ("one-key-1", "another-key")
    ]
    assert told[0] == told[1]
    assert makers.one("select count(*) from payments") == 1

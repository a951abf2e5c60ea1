"""Two people share one price: each pays with a card of their own, one card is refused, and a cancellation pays back."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import mails_to, picture
from tests.journeys.test_purchase import DAY, check_mail, fill_travellers, reference_of
from tests.running import RunningPortal
from tests.tasks.conftest import until

pytestmark = pytest.mark.journey
Open = Callable[..., Page]
FIRST = Decimal("50.00")
SENT_BACK = """
    select r.amount_minor from refunds r join payments p on p.id = r.payment_id join bookings b on b.id = p.payable
    where b.reference = %s and r.state = 'succeeded' and r.way = 'original' order by 1
"""


def at_the_last_step(page: Page, address: str) -> Decimal:
    """Choose the dearest fare of a flight, which gives all back, and name two travellers; return the price."""
    page.goto(f"/flights?origin=JFK&destination=LAX&departureDate={DAY}&adults=2&maxStops=0")
    page.locator("article.trip").first.locator("a.fare").nth(2).click()
    page.get_by_role("button", name="Continue with these flights").click()
    fill_travellers(page, address)
    page.get_by_role("button", name="Continue to payment").click()
    return still_due(page)


def still_due(page: Page) -> Decimal:
    """Return the sum on the button that pays all that is left."""
    words = page.get_by_role("button", name=re.compile(r"^Pay \$")).inner_text()
    return Decimal(re.sub(r"[^\d.]", "", words))


def pay_a_part(page: Page, amount: object) -> None:
    """Say that another card follows, and go to the bank with a part."""
    field = page.get_by_label("Amount on the next card")
    if not field.is_visible():
        page.get_by_text("I pay with more than one card").click()
    field.fill(str(amount))
    page.get_by_role("button", name="Pay this part").click()


def at_the_bank(page: Page, amount: Decimal, card: str = "") -> None:
    """See that the bank asks for so much, and pay it, by the card of that name if one is named."""
    if card:
        page.get_by_label(card).check()
    page.get_by_role("button", name=f"Pay ${amount:,.2f}", exact=True).click()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_two_cards_pay_one_price_and_both_get_their_part_back(
    open_page: Open, portal: RunningPortal, width: int, scheme: Literal["light", "dark"]
) -> None:
    page, address = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme), f"two{width}@example.com"
    whole = at_the_last_step(page, address)
    rest = whole - FIRST

    pay_a_part(page, "0.10")
    expect(page.get_by_label("Amount on the next card")).to_have_attribute("aria-invalid", "true")
    picture(page, f"two-cards-too-little-{width}")
    pay_a_part(page, FIRST)
    picture(page, f"two-cards-bank-{width}")
    at_the_bank(page, FIRST)
    main = page.get_by_role("main")
    expect(main).to_contain_text(f"${FIRST} of ${whole:,.2f} are paid, ${rest:,.2f} are left to pay until")
    picture(page, f"two-cards-first-{width}")
    reference = page.url.split("/book/")[1].split("/")[0]

    page.get_by_role("button", name=f"Pay ${rest:,.2f}").click()
    at_the_bank(page, rest, "Card that is declined")
    expect(page.get_by_role("alert")).to_contain_text("declined")
    assert still_due(page) == rest
    picture(page, f"two-cards-declined-{width}")
    assert mails_to(portal, address) == []

    page.get_by_role("button", name=f"Pay ${rest:,.2f}").click()
    at_the_bank(page, rest, "Card that asks whether it is you")
    page.get_by_role("button", name="Yes, it is me").click()
    assert reference_of(page) == reference
    picture(page, f"two-cards-booked-{width}")
    check_mail(portal, address, reference)

    cancel_all(page, reference, whole, width)
    until(lambda: sent_back(portal, reference) == sorted([FIRST, rest]), "both parts of the money, sent back")
    back = {f"${amount:,.2f} is on its way back to you" for amount in (FIRST, rest)}
    told = "the tickets, the cancellation and what goes back to each card"
    until(lambda: len(subjects(portal, address)) == 4 and back <= subjects(portal, address), told)
    assert len(mails_to(portal, address)) == 4, "nothing is told twice"


def subjects(portal: RunningPortal, address: str) -> set[str]:
    """Return what the mails to that address are about."""
    every = (
        email.message_from_bytes(one.read_bytes(), policy=email.policy.default) for one in mails_to(portal, address)
    )
    return {str(one["subject"]) for one in every}


def sent_back(portal: RunningPortal, reference: str) -> list[Decimal]:
    """Return what really went back to each card, the smallest first."""
    with psycopg.connect(portal.services.postgres.serving_dsn) as connection:
        found = connection.execute(SENT_BACK, [reference]).fetchall()
    return [Decimal(minor) / 100 for (minor,) in found]


def cancel_all(page: Page, reference: str, whole: Decimal, width: int) -> None:
    """Cancel all of it: the price is the sum of what goes back."""
    page.goto(f"/bookings/{reference}/cancel")
    page.get_by_role("main").get_by_role("button").last.click()
    page.wait_for_url("**/amendments/*")
    expect(page.get_by_role("main")).to_contain_text(f"${whole:,.2f}")
    picture(page, f"two-cards-quote-{width}")
    page.get_by_role("main").get_by_role("button", name=re.compile("^Cancel")).click()
    expect(page.get_by_role("main")).to_contain_text(re.compile("cancelled", re.I))
    picture(page, f"two-cards-cancelled-{width}")

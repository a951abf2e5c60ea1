"""A real browser pays on Stripe's page: the content policy lets the form lead there, and the way back books."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Route

from deploy.local.services import free_port
from portal.app import create_app
from portal.kit import middleware
from portal.kit.settings import Settings
from tests.booking import makers
from tests.journeys.conftest import PICTURES
from tests.payments.fake_stripe import FakeStripe
from tests.payments.paid import credit

pytestmark = pytest.mark.journey


@pytest.fixture
def address(with_stripe: Settings) -> Iterator[str]:
    """The address of a portal that listens on this machine and takes money through Stripe."""
    port = free_port()
    settings = replace(with_stripe, base_url=f"http://127.0.0.1:{port}")
    config = uvicorn.Config(create_app(settings), port=port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    running = threading.Thread(target=server.run, daemon=True)
    running.start()
    yield settings.base_url
    server.should_exit = True
    running.join()


def at_the_last_step(page: Page, address: str, settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    page.goto(f"{address}/book?offer={offer.token}")
    page.locator("form[action^='/book'] button").first.click()
    page.get_by_label("Given names").fill("Anna")
    page.get_by_label("Family name").fill("Smith")
    page.get_by_label("Date of birth").fill("1985-05-17")
    page.get_by_label("E-mail").fill("anna@example.com")
    page.locator("main form button.button").last.click()
    reference = page.url.split("/")[4]
    page.goto(f"{address}/book/{reference}/pay")


def test_a_credit_and_then_stripes_page(
    browser: Browser, address: str, with_stripe: Settings, stripe: FakeStripe
) -> None:
    page = browser.new_page()
    at_the_last_step(page, address, with_stripe)
    page.get_by_text("I have a travel credit").click()
    page.get_by_label("Code of the credit").fill("nosuch-code-22")
    page.get_by_role("button", name="Use this credit").click()
    assert "We do not know this credit code" in page.content()
    picture(page, "pay-credit-wrong")
    page.get_by_label("Code of the credit").fill(credit(5000).code)
    page.get_by_role("button", name="Use this credit").click()
    assert "$50.00 are paid by your credit" in page.content()
    picture(page, "pay-credit-used")
    page.get_by_role("button", name="Pay $").click()
    page.wait_for_url(f"{stripe.url}/pay/**")
    page.get_by_role("button", name="Pay").click()
    page.wait_for_url(f"{address}/bookings/*")
    assert makers.one("select status from bookings") == "confirmed"
    assert makers.broken() == []


def picture(page: Page, name: str) -> None:
    """Keep what it looks like, wide and on a phone."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=Path(PICTURES) / f"{name}-{width}.png", full_page=True)


def test_without_stripe_in_the_policy_the_browser_would_not_go_there(
    browser: Browser, address: str, with_stripe: Settings, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = {"Content-Security-Policy": middleware.POLICY}
    page = browser.new_page()

    def narrowed(route: Route) -> None:
        told = route.fetch(max_redirects=0)
        route.fulfill(response=told, headers={**told.headers, **narrow})

    page.route("**/pay", narrowed)
    at_the_last_step(page, address, with_stripe)
    with page.expect_console_message(lambda said: "form-action" in said.text):
        page.get_by_role("button", name="Pay $").click()
    assert page.url.startswith(address)

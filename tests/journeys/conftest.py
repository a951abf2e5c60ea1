"""A real browser on a real portal: the demo airline, web, worker, relay and mail server as processes."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from deploy.local.services import TestServices
from portal.kit.settings import ROOT
from tests.running import RunningPortal, operate, running_portal

PICTURES = ROOT / "var" / "pictures"


def prepare(services: TestServices) -> None:
    """Migrate and load the demo airline, as an operator would."""
    operate(services, ["migrate"], ["demo"])


@pytest.fixture(scope="session")
def portal() -> Iterator[RunningPortal]:
    """One portal for all journeys; each makes bookings of its own."""
    with running_portal(prepare) as running:
        yield running


@pytest.fixture
def open_page(browser: Browser, portal: RunningPortal) -> Iterator[Callable[..., Page]]:
    """Open a page of a browser of its own; at the end, errors on its console and in its scripts fail the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def make(**wishes: object) -> Page:
        given = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", "locale": "en-GB", **wishes}
        context = browser.new_context(base_url=portal.address, **given)  # type: ignore[arg-type]  # wishes are Playwright's
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        return page

    yield make
    for context in contexts:
        context.close()
    assert [words for words in complaints if "status of 4" not in words] == []


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page in var/pictures."""
    (PICTURES / name).parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def mails_to(portal: RunningPortal, address: str) -> list[Path]:
    """Return the mails that went to `address`."""
    return [path for path in portal.mail.messages() if address.encode() in path.read_bytes()]


def text_of(mail: Path) -> str:
    """Return what a mail says, without its form."""
    body = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default).get_body(("plain",))
    return str(body.get_content()) if body else ""


def sign_in(page: Page, address: str) -> None:
    """Sign in as one of the demo's people."""
    page.goto("/account/sign-in")
    page.get_by_label("E-mail").fill(address)
    page.get_by_label("Password", exact=True).fill("Fly-the-demo-1")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/account/sign-in" not in url)

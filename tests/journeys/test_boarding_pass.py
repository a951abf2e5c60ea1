"""From check-in to the gate on a phone: seats, passes that a scanner reads, a copy without network, on board."""

from __future__ import annotations

import email
import email.policy
import io
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import APIRequestContext, Locator, Page, expect

from tests.journeys.conftest import mails_to, picture, sign_in
from tests.journeys.test_every_page import faults
from tests.running import RunningPortal
from tests.tasks.conftest import until

pytestmark = pytest.mark.journey
Open = Callable[..., Page]
PEOPLE = (("adult", "Ada", "1988-02-29"), ("adult", "Grace", "1990-07-04"), ("infant", "Max", "2026-03-03"))


def soon(api: APIRequestContext) -> dict[str, Any]:
    """Return a non-stop itinerary that leaves in 2 to 23 hours."""
    now = datetime.now(UTC)
    for day in (now - timedelta(hours=5), now + timedelta(hours=19)):
        for itinerary in flights(api, day.date()):
            leaves = datetime.fromisoformat(itinerary["segments"][0]["departureAt"])
            if timedelta(hours=2) < leaves - now < timedelta(hours=23):
                return itinerary
    raise AssertionError("the demo airline has no flight to check in for")


def flights(api: APIRequestContext, day: date) -> Iterator[dict[str, Any]]:
    asked = f"origin=JFK&destination=LAX&departureDate={day}&adults=2&infants=1&maxStops=0"
    yield from api.get(f"/api/flights/search?{asked}").json()["slices"][0]["itineraries"]


def bought(page: Page) -> tuple[str, dict[str, str]]:
    """Buy the flight for the demo's traveller, as a program does; return the reference and the program's headers."""
    api = page.request
    login = {"email": "traveller@example.com", "password": "Fly-the-demo-1"}
    headers = {"Authorization": f"Bearer {api.post('/api/auth/login', data=login).json()['accessToken']}"}
    offer = soon(api)["fares"][0]["offerId"]
    people = [{"type": k, "givenName": g, "familyName": "Lovelace", "dateOfBirth": b} for k, g, b in PEOPLE]
    wish = {"offerIds": [offer], "contact": {"email": "pass@example.com"}, "passengers": people}
    made = api.post("/api/bookings", data=wish, headers=headers).json()
    paid = api.post(
        f"/api/bookings/{made['reference']}/payments",
        data={"method": "card", "token": "tok_visa", "amount": made["total"]},
        headers=headers,
    )
    assert paid.status == 201
    return made["reference"], headers


def scanned(shown: Locator) -> str:
    """Return what a scanner reads from the code as it is drawn on the screen."""
    return str(zxingcpp.read_barcodes(Image.open(io.BytesIO(shown.screenshot())))[0].text)


def test_check_in_on_a_phone_and_board(open_page: Open, portal: RunningPortal, tmp_path: Path) -> None:
    page = open_page(viewport={"width": 360, "height": 780}, color_scheme="dark", bypass_csp=True)
    reference, headers = bought(page)
    sign_in(page, "traveller@example.com")
    page.goto(f"/bookings/{reference}")
    page.get_by_role("link", name="Check in").click()
    found = faults(page, "check-in", 360, "dark")
    page.get_by_role("button", name="Continue").click()
    found += faults(page, "check-in-seats", 360, "dark")
    page.get_by_role("button", name="Check in").click()
    page.wait_for_url("**/boarding-passes")
    found += faults(page, "boarding-passes", 360, "dark")
    assert found == []
    made = page.request.get(f"/api/bookings/{reference}/check-ins", headers=headers).json()["data"]
    meant = [one["barcode"] for one in made]
    assert [scanned(one) for one in page.locator("svg.aztec").all()] == meant
    assert len(meant) == 3
    saved(page, tmp_path, meant)
    mailed(portal, meant)
    aboard(open_page, made[0]["flightId"], meant[0])


def saved(page: Page, folder: Path, meant: list[str]) -> None:
    """Keep the passes, lose the network, open them again."""
    with page.expect_download() as kept:
        page.get_by_role("link", name="Keep on this phone").click()
    path = folder / "passes.html"
    kept.value.save_as(path)
    page.context.set_offline(True)
    page.goto(path.as_uri())
    picture(page, "boarding-passes-offline")
    assert [scanned(one) for one in page.locator("svg.aztec").all()] == meant
    page.context.set_offline(False)


def mailed(portal: RunningPortal, meant: list[str]) -> None:
    """The paper comes by mail, a page a pass, and is read as well."""

    def arrived() -> list[bytes]:
        every = (one.read_bytes() for one in mails_to(portal, "pass@example.com"))
        return [one for one in every if b"boarding-passes-" in one]

    until(lambda: bool(arrived()), "the mail with the passes")
    message = email.message_from_bytes(arrived()[0], policy=email.policy.default)
    paper = next(part for part in message.iter_attachments() if str(part.get_filename()).endswith(".pdf"))
    document = pypdfium2.PdfDocument(paper.get_content())
    read = [zxingcpp.read_barcodes(sheet.render(scale=2).to_pil())[0].text for sheet in document]
    document.close()
    assert read == meant


def aboard(open_page: Open, flight: str, code: str) -> None:
    """A scanner at the gate types the text and Enter, once and again."""
    gate = open_page()
    sign_in(gate, "staff@example.com")
    gate.goto("/admin/boarding")
    gate.get_by_label("Airport or flight").fill("JFK")
    gate.get_by_role("button", name="Show").click()
    gate.wait_for_url("**/admin/boarding?q=JFK")
    gate.locator(f"a[href$='{flight}']").click()
    field = gate.get_by_label("Scanner")
    expect(field).to_be_focused()
    for words in ("LOVELACE/ADA", "Already on board"):
        field.fill(code)
        field.press("Enter")
        expect(gate.locator(".gate-answer")).to_contain_text(words)
        expect(field).to_have_value("")
        expect(field).to_be_focused()
    picture(gate, "gate")

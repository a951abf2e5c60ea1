"""Every page, light and dark, on a phone and on a desk: axe finds nothing, nothing overflows, the console is silent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.journeys.conftest import picture, sign_in

pytestmark = pytest.mark.journey
Open = Callable[..., Page]
DAY = (datetime.now(UTC).date() + timedelta(days=41)).isoformat()
MARKET = f"origin=JFK&destination=LAX&departureDate={DAY}&adults=2&children=1&infants=1"
OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}
PUBLIC = (
    "/",
    f"/flights?{MARKET}&maxStops=0",
    "/flights?origin=JFK&destination=XXXX&departureDate=2020-01-01",
    "/manage",
    "/bookings/AAAAAA",
    "/account/sign-in",
    "/account/register",
    f"/waiting-list?{MARKET}",
    f"/fare-alerts?{MARKET}",
    "/help",
    "/health-ui",
    "/api/docs",
    "/dev/mail",
    "/nowhere",
)
STAFF = (
    "/admin",
    "/admin/jobs",
    "/admin/bookings",
    "/admin/flights",
    "/account",
    "/account/trips",
    "/account/travellers",
    "/account/preferences",
    "/account/watches",
)
VIEWS = [(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")]


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_axe_finds_nothing_and_nothing_overflows(open_page: Open, width: int, scheme: str) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    found = [fault for path in PUBLIC for fault in look(page, path, width, scheme)]
    found += on_the_way_to_a_ticket(page, width, scheme)
    sign_in(page, "staff@example.com")
    found += [fault for path in STAFF for fault in look(page, path, width, scheme)]
    assert found == []


def look(page: Page, path: str, width: int, scheme: str) -> list[str]:
    page.goto(path)
    return faults(page, path, width, scheme)


def faults(page: Page, name: str, width: int, scheme: str) -> list[str]:
    picture(page, f"every/{name.strip('/').split('?')[0].replace('/', '-') or 'home'}-{width}-{scheme}")
    results = Axe().run(page, options=OPTIONS).response["violations"]
    found = [f"{name} {width} {scheme}: {one['id']} {one['nodes'][0]['target']}" for one in results]
    wide = page.evaluate("document.documentElement.scrollWidth")
    return found + ([f"{name} {width}: {wide} px wide"] if wide > width else [])


def on_the_way_to_a_ticket(page: Page, width: int, scheme: str) -> list[str]:
    page.goto(f"/flights?{MARKET}&maxStops=0")
    page.locator("a.fare").first.click()
    found = faults(page, "review", width, scheme)
    page.get_by_role("button", name="Continue with these flights").click()
    found += faults(page, "travellers", width, scheme)
    years = ("1988-02-29", "1990-07-04", "2019-05-05", "2026-03-03")
    for number, born in enumerate(years):
        page.fill(f"[name='passengers.{number}.givenName']", f"Robin {'ABCD'[number]}")
        page.fill(f"[name='passengers.{number}.familyName']", "Wolfeschlegelsteinhausenbergerdorff")
        page.fill(f"[name='passengers.{number}.dateOfBirth']", born)
    page.fill("[name='contact.email']", f"every{width}{scheme}@example.com")
    page.get_by_role("button", name="Continue to payment").click()
    found += faults(page, "pay", width, scheme)
    page.get_by_role("main").get_by_role("button", name="Pay").click()
    found += faults(page, "sandbox", width, scheme)
    page.get_by_role("button", name="Pay").click()
    page.wait_for_url("**/bookings/*")
    return found + faults(page, "booked", width, scheme)

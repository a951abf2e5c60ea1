"""Every page, light and dark, on a phone and on a desk: axe finds nothing, nothing overflows, the console is silent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.journeys.conftest import picture, sign_in
from tests.journeys.site import Site, follow, furnish, page_routes, route_of
from tests.running import RunningPortal

# Whoever comes first waits for the demo airline and the walk over all links: minutes on a busy machine.
pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
Open = Callable[..., Page]
DAY = (datetime.now(UTC).date() + timedelta(days=41)).isoformat()
MARKET = f"origin=JFK&destination=LAX&departureDate={DAY}&adults=2&children=1&infants=1"
OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}
# What no link leads to: searches, mistakes, what is not there.
MORE = (
    f"/flights?{MARKET}&maxStops=0",
    "/flights?origin=JFK&destination=XXXX&departureDate=2020-01-01",
    "/bookings/AAAAAA",
    f"/waiting-list?{MARKET}",
    f"/fare-alerts?{MARKET}",
    "/manage",
    "/account/sign-in",
    "/account/register",
    "/account/check-mail",
    "/account/confirm?next=/account",
    "/help",
    "/health-ui",
    "/dev/mail",
    "/nowhere",
)
# Answers to a GET that are no page of their own.
NOT_PAGES = {
    "/places": "suggestions, which a field asks for while somebody types",
    "/health": "the same as /health-ui, for programs (JSON)",
    "/health/live": "for probes",
    "/health/ready": "for probes",
    "/health/detailed": "for probes that hold the token",
    "/dev/mail/{id}/files/{index:int}": "a file of a mail",
    "/metrics": "for Prometheus, with the token",
    "/account/confirm/passkey": "what a passkey is asked to sign",
    "/account/security/passkeys/new": "the same",
    "/account/sign-in/passkey": "the same",
    "/account/sign-in/second/passkey": "the same",
    "/account/sign-in/provider": "leads to another place where one signs in",
    "/account/sign-in/provider/back": "leads back from there",
}
# Pages in the middle of something that nobody but its own test goes through.
ELSEWHERE = {
    "/account/sign-in/second": "tests/journeys/test_factors.py",
    "/account/change-address": "tests/accounts/test_mailed_links.py",
    "/account/unlock": "tests/accounts/test_guessing.py",
    "/account/privacy/copies/{id}": "tests/journeys/test_account.py",
    "/account/privacy/copies/{id}/file": "tests/journeys/test_account.py",
    "/account/privacy/keep": "tests/journeys/test_account.py",
    "/paid/{token}": "tests/payments/test_coming_back.py",
    "/manage/link": "tests/trips/test_changes.py",
    "/waiting-list/{token}": "tests/watches/test_waiting_list.py",
}
PEOPLE = ("guest", "traveller", "staff", "admin")
VIEWS = [(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def site(browser: Browser, portal: RunningPortal) -> Site:
    """The pages that links lead to, for each kind of person; made once."""
    start, site = furnish(portal), Site()
    for who in PEOPLE:
        context = browser.new_context(base_url=portal.address)
        if who != "guest":
            sign_in(context.new_page(), f"{who}@example.com")
        site.add(who, *follow(context.request, [*start[who], *MORE]))
        context.close()
    return site


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_axe_finds_nothing_and_nothing_overflows(
    open_page: Open, site: Site, who: str, width: int, scheme: str
) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    if who != "guest":
        sign_in(page, f"{who}@example.com")
    paths = [*(MORE if who == "guest" else ()), *site.pages[who].values()]
    assert [fault for path in paths for fault in look(page, path, width, scheme)] == []


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_nor_on_the_way_to_a_ticket(open_page: Open, width: int, scheme: str) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    assert on_the_way_to_a_ticket(page, width, scheme) == []


def test_a_link_leads_to_every_page(open_page: Open, site: Site) -> None:
    walked: set[str | None] = set()
    page = open_page()
    page.on("framenavigated", lambda frame: walked.add(route_of(frame.url)))
    on_the_way_to_a_ticket(page, 1280, "light")
    unreached = sorted(page_routes() - site.reached - walked - set(NOT_PAGES) - set(ELSEWHERE))
    assert not unreached, "\n".join(unreached)


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

"""Two choose their seats on the map: by keyboard alone, and without scripts on a phone in the dark."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.journeys.conftest import picture
from tests.journeys.test_purchase import DAY, fill_travellers, press, tab_to

pytestmark = pytest.mark.journey
Open = Callable[..., Page]


def at_the_extras(page: Page, address: str) -> None:
    """Go on to the extras with two travellers in the cheapest fare."""
    page.goto(f"/flights?origin=JFK&destination=LAX&departureDate={DAY}&adults=2")
    page.locator("a.fare").first.click()
    page.get_by_role("button", name="Continue with these flights").click()
    fill_travellers(page, address)
    page.get_by_role("button", name="Continue to bags and seats").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bags, meals and help")


def test_seats_are_chosen_by_keyboard_alone(open_page: Open) -> None:
    page = open_page()
    at_the_extras(page, "seats@example.com")
    picture(page, "extras")
    press(page, "role=button[name='Continue to the seats']")
    expect(page.get_by_role("heading", level=1)).to_have_text("Choose your seats")
    tab_to(page, "#who-1")
    tab_to(page, ".deck input.p1:enabled")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    first = page.locator(".deck input.p1:checked").get_attribute("value")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    tab_to(page, ".deck input.p2:enabled")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    second = page.locator(".deck input.p2:checked").get_attribute("value")
    assert first
    assert second
    assert first != second
    expect(page.locator("#list-1")).to_have_value(first)
    picture(page, "seats")
    press(page, "role=button[name='Take these seats']")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check and pay")
    expect(page.get_by_role("main")).to_contain_text(f"Seat {first}")
    expect(page.get_by_role("main")).to_contain_text(f"Seat {second}")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (360, "light"), (360, "dark")])
def test_the_list_does_the_same_without_scripts_and_nothing_is_too_wide(
    open_page: Open, width: int, scheme: str
) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": width, "height": 800}, color_scheme=scheme)
    at_the_extras(page, f"list{width}{scheme}@example.com")
    picture(page, f"extras-{width}-{scheme}")
    page.get_by_label(re.compile("Zoë")).first.fill("1")
    page.get_by_role("button", name="Continue to the seats").click()
    lists = page.locator("[data-seatlist] select")
    lists.nth(0).select_option(index=20)
    lists.nth(1).select_option(index=21)
    page.get_by_role("button", name="Take the seats of the list").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check and pay")
    expect(page.get_by_role("main")).to_contain_text("Checked bag, 23 kg")
    page.goto(page.url.replace("/pay", "/seats"))
    expect(page.locator(".deck input:checked")).to_have_count(2)
    picture(page, f"seats-{width}-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map_and_the_extras_pass_axe(open_page: Open, scheme: str) -> None:
    page = open_page(bypass_csp=True, color_scheme=scheme)
    at_the_extras(page, f"axe{scheme}@example.com")
    for path in ("/extras", "/seats"):
        page.goto(page.url.rsplit("/", 1)[0] + path)
        assert [one["id"] for one in Axe().run(page).response["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

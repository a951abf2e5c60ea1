"""A traveller buys JFK → LAX for two: with the mouse, by keyboard alone, without JavaScript, after a declined card."""

from __future__ import annotations

import email
import email.policy
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pypdf
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import mails_to, picture, sign_in
from tests.running import RunningPortal
from tests.tasks.conftest import until

pytestmark = pytest.mark.journey
Open = Callable[..., Page]
DAY = (datetime.now(UTC).date() + timedelta(days=40)).isoformat()
TRAVELLERS = (("Zoë", "Müller", "1988-02-29"), ("Ana María", "de la Cruz", "1990-07-04"))


def fill_travellers(page: Page, address: str) -> None:
    for number, (given, family, born) in enumerate(TRAVELLERS):
        page.fill(f"[name='passengers.{number}.givenName']", given)
        page.fill(f"[name='passengers.{number}.familyName']", family)
        page.fill(f"[name='passengers.{number}.dateOfBirth']", born)
    page.fill("[name='contact.email']", address)


def search(page: Page) -> None:
    page.goto("/")
    page.get_by_label("One way").check()
    page.get_by_label("From", exact=True).fill("JFK")
    page.get_by_label("To", exact=True).fill("LAX")
    page.get_by_label("Leave", exact=True).fill(DAY)


def reference_of(page: Page) -> str:
    expect(page.get_by_role("heading", level=1)).to_have_text("You are booked")
    return re.split(r"[/?]", page.url.split("/bookings/")[1])[0]


def check_mail(portal: RunningPortal, address: str, reference: str) -> None:
    until(lambda: len(mails_to(portal, address)) == 1, "the confirmation mail")
    message = email.message_from_bytes(mails_to(portal, address)[0].read_bytes(), policy=email.policy.default)
    assert reference in str(message["Subject"])
    files = {part.get_filename(): part for part in message.iter_attachments()}
    printed = next(part for name, part in files.items() if name and name.endswith(".pdf"))
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(printed.get_content())).pages)
    assert reference in text.replace(" ", "")
    assert "MUELLER/ZOE" in text
    assert any(name and name.endswith(".ics") for name in files)


def test_two_travellers_buy_a_flight_with_the_mouse(open_page: Open, portal: RunningPortal) -> None:
    page = open_page()
    search(page)
    picture(page, "home")
    page.goto(f"/flights?origin=JFK&destination=LAX&departureDate={DAY}&adults=2")
    picture(page, "results")
    page.locator("a.fare").nth(1).click()
    page.get_by_role("button", name="Continue with these flights").click()
    picture(page, "travellers")
    fill_travellers(page, "mouse@example.com")
    page.get_by_role("button", name="Continue to payment").click()
    picture(page, "pay")
    page.get_by_role("button", name=re.compile("^Pay")).click()
    picture(page, "sandbox")
    page.get_by_role("button", name=re.compile("^Pay")).click()
    reference = reference_of(page)
    picture(page, "booked")
    check_mail(portal, "mouse@example.com", reference)
    page.goto("/dev/mail")
    expect(page.get_by_role("main")).to_contain_text(reference)
    picture(page, "mailbox")


def test_the_same_purchase_by_keyboard_alone(open_page: Open, portal: RunningPortal) -> None:
    page = open_page()
    page.goto("/")
    tab_to(page, "[name=trip][value=return], [name=trip]:checked")
    page.keyboard.press("ArrowRight")
    for word, name in (("JFK", "From"), ("LAX", "To")):
        tab_to(page, f"role=combobox[name='{name}']")
        page.keyboard.type(word)
        expect(page.get_by_role("option").first).to_be_visible()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    tab_to(page, "summary:has-text('traveller')")
    page.keyboard.press("Enter")
    tab_to(page, "[name=adults]")
    page.keyboard.press("ArrowUp")
    tab_to(page, "role=button[name='Search flights']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/flights?*")
    press(page, "a.fare")
    press(page, "role=button[name='Continue with these flights']")
    for number, (given, family, born) in enumerate(TRAVELLERS):
        for value, name in (
            (given, "givenName"),
            (family, "familyName"),
            (f"{born[5:7]}{born[8:]}{born[:4]}", "dateOfBirth"),
        ):
            tab_to(page, f"[name='passengers.{number}.{name}']")
            page.keyboard.type(value)
    tab_to(page, "[name='contact.email']")
    page.keyboard.type("keys@example.com")
    picture(page, "keyboard-travellers")
    press(page, "role=button[name='Continue to payment']")
    press(page, "role=button[name=/^Pay/]")
    press(page, "role=button[name=/^Pay/]")
    picture(page, "keyboard-booked")
    check_mail(portal, "keys@example.com", reference_of(page))


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the first match of `selector` has the focus: it must be reachable, and visibly focused."""
    target = page.locator(selector).first
    for _ in range(120):
        if target.evaluate("element => element === document.activeElement"):
            outline = target.evaluate(
                "element => { const s = getComputedStyle(element); return s.outlineStyle + s.boxShadow }"
            )
            assert outline != "nonenone", f"{selector} has no visible focus"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


def press(page: Page, selector: str) -> None:
    """Tab to the element and press Enter; returns once the next page is there."""
    tab_to(page, selector)
    with page.expect_navigation():
        page.keyboard.press("Enter")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_same_purchase_without_javascript(open_page: Open, portal: RunningPortal, width: int) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": width, "height": 800})
    search(page)
    page.get_by_role("button", name="Search flights").click()
    page.goto(re.sub(r"adults=\d", "adults=2", page.url))
    picture(page, f"plain-results-{width}")
    page.locator("a.fare").first.click()
    page.get_by_role("button", name="Continue with these flights").click()
    page.get_by_role("button", name="More time").click()
    fill_travellers(page, f"plain{width}@example.com")
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    picture(page, f"plain-booked-{width}")
    check_mail(portal, f"plain{width}@example.com", reference_of(page))


def test_a_declined_card_says_so_and_the_next_one_pays(open_page: Open, portal: RunningPortal) -> None:
    page = open_page()
    to_the_bank(page, "declined@example.com")
    page.get_by_label("Card that is declined").check()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    expect(page.get_by_role("main")).to_contain_text(re.compile("declined|refused|said no", re.I))
    picture(page, "declined")
    page.get_by_role("button", name=re.compile("^Pay")).click()
    page.get_by_label("Card that asks whether it is you").check()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    picture(page, "sandbox-3ds")
    page.get_by_role("button").first.click()
    check_mail(portal, "declined@example.com", reference_of(page))


def test_a_bank_that_does_not_answer_is_waited_for_and_never_asked_to_pay_twice(
    open_page: Open, portal: RunningPortal
) -> None:
    page = open_page()
    to_the_bank(page, "slow@example.com")
    page.get_by_label("Card whose bank is slow").check()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    expect(page.get_by_role("main")).to_contain_text(re.compile("checking|waiting", re.I))
    picture(page, "checking")
    page.wait_for_url("**/bookings/*", timeout=60_000)
    check_mail(portal, "slow@example.com", reference_of(page))


def to_the_bank(page: Page, address: str) -> None:
    page.goto(f"/flights?origin=JFK&destination=LAX&departureDate={DAY}&adults=2")
    page.locator("a.fare").first.click()
    page.get_by_role("button", name="Continue with these flights").click()
    fill_travellers(page, address)
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name=re.compile("^Pay")).click()


def test_a_return_trip_is_booked_by_a_signed_in_traveller_and_found_under_my_trips(
    open_page: Open, portal: RunningPortal
) -> None:
    page = open_page()
    sign_in(page, "traveller@example.com")
    back = (datetime.now(UTC).date() + timedelta(days=50)).isoformat()
    page.goto(f"/flights?origin=JFK&destination=LAX&departureDate={DAY}&returnDate={back}&adults=1")
    page.locator("a.fare").first.click()
    picture(page, "results-return")
    page.locator("a.fare").first.click()
    page.get_by_role("button", name="Continue with these flights").click()
    page.fill("[name='passengers.0.givenName']", "Tess")
    page.fill("[name='passengers.0.familyName']", "Traveller")
    page.fill("[name='passengers.0.dateOfBirth']", "1985-06-01")
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    reference = reference_of(page)
    picture(page, "booked-return")
    page.goto("/account/trips")
    expect(page.get_by_role("main")).to_contain_text(reference)
    picture(page, "trips")

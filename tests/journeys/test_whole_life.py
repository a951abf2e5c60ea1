"""A family's booking from search to gate: seats, a bag, a promotion, another day back, one who stays home, check-in."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pypdf
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.journeys.conftest import mails_to, picture, text_of
from tests.journeys.test_purchase import reference_of
from tests.running import RunningPortal
from tests.tasks.conftest import until

pytestmark = pytest.mark.journey
Open = Callable[..., Page]
ADDRESS = "family@example.com"
HERE = datetime.now(ZoneInfo("America/New_York"))
# Check-in is open 24 hours before: a flight of today where there still is one, else of tomorrow morning.
OUT = HERE.date() if HERE.hour < 14 else HERE.date() + timedelta(days=1)
AFTER = f"{HERE.hour + 3:02}:00" if HERE.hour < 14 else "00:00"
BACK = OUT + timedelta(days=10)
FAMILY = (
    ("Zoë", "Müller", "1988-02-29"),
    ("Max", "Müller", "1987-05-01"),
    ("Ida", "Müller", "2018-02-28"),
    ("Tim", "Müller", f"{datetime.now(UTC).year - 1}-03-01"),
)


def choose(page: Page) -> None:
    """Search and take Flex both ways: it may be changed and given back."""
    party = "adults=2&children=1&infants=1"
    ways = f"origin=JFK&destination=LAX&departureDate={OUT}&returnDate={BACK}&departAfter={AFTER}"
    page.goto(f"/flights?{ways}&{party}&maxStops=0&sort=departure")
    for _direction in range(2):
        page.locator("a.fare").nth(2).click()
    page.get_by_role("button", name="Continue with these flights").click()


def name_all(page: Page) -> None:
    for number, (given, family, born) in enumerate(FAMILY):
        page.fill(f"[name='passengers.{number}.givenName']", given)
        page.fill(f"[name='passengers.{number}.familyName']", family)
        page.fill(f"[name='passengers.{number}.dateOfBirth']", born)
    page.fill("[name='contact.email']", ADDRESS)
    page.get_by_role("button", name="Continue to bags and seats").click()


def take_a_bag_and_seats(page: Page) -> None:
    picture(page, "life-extras")
    page.get_by_role("button", name="One more: Zoë Müller").first.click()
    page.get_by_role("button", name="Continue to the seats").click()
    picture(page, "life-seats")
    for _direction in range(2):
        page.get_by_role("button", name="Take these", exact=True).click()
        page.wait_for_load_state()


def pay(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Pay")).click()
    page.get_by_role("button", name=re.compile("^Pay")).click()


def money(words: str) -> int:
    """Return the first amount in the words, in cents."""
    found = re.search(r"\$([\d,]+)\.(\d\d)", words)
    assert found, words
    return int(found[1].replace(",", "") + found[2])


def seats_on(page: Page) -> Locator:
    return page.get_by_role("row").filter(has_text=re.compile("Seat "))


def test_a_family_books_changes_cancels_one_and_boards(open_page: Open, portal: RunningPortal) -> None:
    page = open_page()
    choose(page)
    name_all(page)
    take_a_bag_and_seats(page)
    page.locator("details:has([name=promoCode]) summary").click()
    before = money(page.get_by_role("button", name=re.compile("^Pay")).inner_text())
    page.fill("[name=promoCode]", "WELCOME10")
    page.get_by_role("button", name="Use it").click()
    after = page.get_by_role("button", name=re.compile("^Pay"))
    expect(after).not_to_have_text(re.compile(re.escape(f"{before / 100:,.2f}")))
    assert money(after.inner_text()) < before
    picture(page, "life-pay")
    pay(page)
    reference = reference_of(page)
    expect(seats_on(page)).to_have_count(6)
    picture(page, "life-booked")
    fly_back_later(page, reference)
    one_stays_home(page, reference, portal)
    check_in(page, reference)
    board(page, reference)


def fly_back_later(page: Page, reference: str) -> None:
    page.get_by_role("link", name="Change this flight").nth(1).click()
    page.locator("[name=on]").fill((BACK + timedelta(days=2)).isoformat())
    page.get_by_role("button", name="Show flights").click()
    picture(page, "life-change")
    page.locator("button.fare").nth(2).click()
    expect(page.get_by_role("main")).to_contain_text("Nothing is changed until you confirm")
    picture(page, "life-change-quote")
    confirm = page.get_by_role("button", name=re.compile("^(Confirm and pay|Change it now)"))
    to_pay = "pay" in confirm.inner_text()  # dearer or cheaper, as the day has it
    confirm.click()
    if to_pay:
        pay(page)
    page.goto(f"/bookings/{reference}")
    later = BACK + timedelta(days=2)
    expect(page.get_by_role("main")).to_contain_text(f"{later:%A}, {later.day} {later:%B}")
    expect(seats_on(page)).to_have_count(3)


def one_stays_home(page: Page, reference: str, portal: RunningPortal) -> None:
    page.goto(f"/bookings/{reference}/cancel")
    page.get_by_label("Only some travellers").check()
    page.get_by_label("Max Müller").check()
    page.get_by_role("button", name="Show what comes back").click()
    quoted = money(page.get_by_role("main").inner_text().split("You get back")[1])
    assert quoted > 0
    picture(page, "life-cancel-quote")
    page.get_by_role("button", name="Cancel it now").click()
    expect(seats_on(page)).to_have_count(2)
    picture(page, "life-cancelled")
    words = f"${quoted / 100:,.2f}"
    until(lambda: any(words in text_of(path) for path in mails_to(portal, ADDRESS)), "the mail about the refund")


def check_in(page: Page, reference: str) -> None:
    page.goto(f"/bookings/{reference}/check-in")
    picture(page, "life-check-in")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Check in", exact=True).click()
    page.wait_for_url("**/boarding-passes")
    picture(page, "life-boarding-passes")


def board(page: Page, reference: str) -> None:
    """Both codes say the same, and what IATA wants: name, reference, route, day of the year."""
    shown = zxingcpp.read_barcodes(Image.open(io.BytesIO(page.screenshot(full_page=True))))
    paper = page.request.get(f"/bookings/{reference}/boarding-passes.pdf").body()
    printed = "".join(one.extract_text() for one in pypdf.PdfReader(io.BytesIO(paper)).pages)
    assert len(shown) == 3
    names = {one.text[2:22].strip() for one in shown}
    assert names == {"MUELLER/ZOE", "MUELLER/IDA", "MUELLER/TIM"}
    for one in shown:
        assert one.text[:2] == "M1"
        assert one.text[23:30].strip() == reference
        assert one.text[30:38] == "JFKLAXME"
        assert int(one.text[44:47]) == OUT.timetuple().tm_yday
    assert reference in printed.replace(" ", "")

"""The real week of 112,987 flights is imported beside the demo, and one of them is bought, by page and by program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from portal.kit.settings import ROOT
from tests.journeys.conftest import picture
from tests.running import RunningPortal

pytestmark = pytest.mark.journey
WEEK = ROOT / "tests" / "data" / "us-week.csv.gz"
MARKET = "origin=DFW&destination=BOS&departureDate=2027-03-03&airlines=AA"


@pytest.fixture(scope="module")
def week(portal: RunningPortal) -> RunningPortal:
    """The portal with the real week in it."""
    command = [sys.executable, "-m", "portal.cli", "schedule", "import", str(WEEK)]
    done = subprocess.run(command, cwd=ROOT, env=portal.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "112,987" in done.stdout
    return portal


def test_a_flight_of_the_real_week_is_bought_on_the_page(week: RunningPortal, open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto(f"/flights?{MARKET}&adults=1")
    picture(page, "results-week")
    page.locator("a.fare").first.click()
    page.get_by_role("button", name="Continue with these flights").click()
    page.fill("[name='passengers.0.familyName']", "Sukarno")
    page.fill("[name='passengers.0.dateOfBirth']", "1990-07-04")
    page.fill("[name='contact.email']", "week@example.com")
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are booked")


def test_a_flight_of_the_real_week_is_bought_by_a_program(week: RunningPortal) -> None:
    found = call(week, "GET", f"/api/flights/search?{MARKET}&adults=2&maxStops=0")
    fare = found["slices"][0]["itineraries"][0]["fares"][0]
    people = [
        {"type": "adult", "givenName": "Ada", "familyName": f"Byron {n}", "dateOfBirth": "1990-01-01"} for n in "AB"
    ]
    wish = {"offerIds": [fare["offerId"]], "contact": {"email": "ada@example.com"}, "passengers": people}
    held = call(week, "POST", "/api/bookings", {**wish, "expectedTotal": fare["total"]})
    assert held["status"] == "held"
    assert held["total"] == fare["total"]
    path, token = f"/api/bookings/{held['reference']}", held["bookingToken"]
    call(week, "POST", f"{path}/payments", {"method": "card", "token": "tok_visa", "amount": held["balance"]}, token)
    booked = call(week, "GET", path, token=token)
    assert booked["status"] == "confirmed"
    assert all(re.fullmatch(r"\d{13}", one["ticketNumber"]) for one in booked["passengers"])


def call(portal: RunningPortal, method: str, path: str, body: object = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(portal.address + path, data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return json.load(answer)

"""A portal with something of everything in it, and every page of it that a link leads to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit
from zoneinfo import ZoneInfo

import httpx2
from playwright.sync_api import APIRequestContext
from starlette.routing import Match, Route

from portal.app import ROUTES
from portal.kit.settings import ROOT
from tests.journeys.conftest import mails_to, text_of
from tests.running import RunningPortal
from tests.tasks.conftest import until

KEPT = ROOT / "var" / "html"
PASSWORD = "Fly-the-demo-1"
PHRASE = "eleven herons over the Elbe"
NEW_YORK = datetime.now(ZoneInfo("America/New_York"))
# Check-in is open from 24 hours before: late in the day only tomorrow's first flights are left.
SOON = NEW_YORK.date() if NEW_YORK.hour < 14 else NEW_YORK.date() + timedelta(days=1)
SOON_AFTER = f"{NEW_YORK.hour + 3:02}:00" if NEW_YORK.hour < 14 else "00:00"
LATER = NEW_YORK.date() + timedelta(days=47)
ANNA = {"type": "adult", "givenName": "Anna", "familyName": "Nowak", "dateOfBirth": "1985-05-17"}
BEN = {"type": "adult", "givenName": "Ben", "familyName": "Nowak", "dateOfBirth": "1984-01-31"}


def route_of(address: str) -> str | None:
    """Return the pattern of the route that a GET of this path and query reaches, or None."""
    scope = {"type": "http", "method": "GET", "path": urlsplit(address).path, "headers": []}
    for route in ROUTES:
        if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL:
            return route.path
    return None


def page_routes() -> set[str]:
    """Return every pattern that answers a GET outside the API."""
    found = {route.path for route in ROUTES if isinstance(route, Route) and "GET" in (route.methods or ())}
    return {path for path in found if not path.startswith("/api/") or path == "/api/docs"}


@dataclass
class Site:
    """An address of every page, under the first kind of person that got in; and the routes that were reached at all."""

    pages: dict[str, dict[str, str]] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)

    def add(self, who: str, pages: dict[str, str], reached: set[str]) -> None:
        """Keep what was found, leaving out the pages that somebody else found already."""
        known = {route for found in self.pages.values() for route in found}
        self.pages[who] = {route: address for route, address in pages.items() if route not in known}
        self.reached |= reached


class Links(HTMLParser):
    """Collects where the links and frames of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if href := dict(attrs).get({"a": "href", "iframe": "src"}.get(tag, "")):
            self.found.append(href)


def follow(asking: APIRequestContext, start: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """Return an address of each page that links lead to from `start`, and which routes were reached at all.

    Keeps the HTML of each in var/html, for a checker. Raises AssertionError where a link ends in a crash.
    """
    pages: dict[str, str] = {}
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        address = waiting.pop(0)
        route = route_of(address)
        if route is None or route in reached or route not in page_routes():
            continue
        answer = asking.get(address, max_redirects=0)
        assert answer.status < 500 or route.startswith("/health"), f"{address}: {answer.status}"
        onward = answer.headers.get("location", "")
        if answer.status != 200 and (not onward or onward.startswith("/account/sign-in")):
            continue  # somebody else may get in, or another address of it lead there
        reached.add(route)
        kind = answer.headers.get("content-type", "")
        if kind.startswith("text/html") and "content-disposition" not in answer.headers:
            pages[route] = address
            waiting += _links(address, answer.text())
        waiting += [onward] if onward else []
    return pages, reached


def _links(address: str, text: str) -> list[str]:
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / (re.sub(r"\W+", "-", urlsplit(address).path).strip("-") + ".html")).write_text(text)
    parser = Links()
    parser.feed(text)
    whole = [urldefrag(urljoin(address, href)).url for href in parser.found]
    return [one for one in whole if not urlsplit(one).netloc]


class Somebody:
    """A program that acts for one of the demo's people."""

    def __init__(self, portal: RunningPortal, who: str) -> None:
        self.portal = portal
        self.client = httpx2.Client(base_url=portal.address, timeout=30)
        word = self.say("POST", "/api/auth/login", {"email": f"{who}@example.com", "password": PASSWORD})
        self.client.headers["Authorization"] = f"Bearer {word['accessToken']}"

    def say(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Return the answer to a call that must succeed."""
        answer = self.client.request(method, path, json=body, params=query)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def offers(self, day: Any, nth: int = 0, **query: Any) -> list[dict[str, Any]]:
        """Return the fares of the nth non-stop flight of a day."""
        asked = {"origin": "JFK", "destination": "LAX", "departureDate": day, "maxStops": 0, "adults": 2, **query}
        found = self.say("GET", "/api/flights/search", sort="departure", **asked)["slices"][0]["itineraries"][nth]
        return [{**fare, "flightId": found["segments"][0]["flightId"]} for fare in found["fares"]]

    def hold(self, fare: dict[str, Any]) -> dict[str, Any]:
        """Hold seats for two."""
        body = {"offerIds": [fare["offerId"]], "contact": {"email": "nowak@example.com"}, "passengers": [ANNA, BEN]}
        return dict(self.say("POST", "/api/bookings", body))

    def book(self, fare: dict[str, Any]) -> str:
        """Hold and pay; returns the reference."""
        held = self.hold(fare)
        paid = {"method": "card", "token": "tok_visa", "amount": held["balance"]}
        self.say("POST", f"/api/bookings/{held['reference']}/payments", paid)
        return str(held["reference"])


def furnish(portal: RunningPortal) -> dict[str, list[str]]:
    """Do a little of everything; returns, for each person, addresses that no link leads to."""
    traveller, staff = Somebody(portal, "traveller"), Somebody(portal, "staff")
    told = [*_a_trip(traveller), *_a_trip_today(traveller), *_wishes(traveller)]
    late = _a_flight_that_is_late(traveller, staff)
    _letters(traveller)
    export = staff.say("POST", "/api/exports", {"report": "sales", "format": "csv"})["id"]
    until(lambda: staff.say("GET", f"/api/exports/{export}")["status"] == "done", "the export", seconds=120)
    return {
        "guest": ["/", *_mailed(portal)],
        "traveller": [*told, *late],
        "staff": ["/admin", f"/admin/exports/{export}/file"],
        "admin": ["/admin", *late],
    }


def _letters(somebody: Somebody) -> None:
    """Have the mails sent whose links lead to pages of the account."""
    somebody.say("POST", "/api/auth/forgot-password", {"email": "traveller@example.com"})
    new = {
        "firstName": "Nora",
        "lastName": "Neu",
        "password": (word := "a-Long-winded-1-phrase"),
        "confirmPassword": word,
    }
    somebody.say("POST", "/api/auth/register", {"email": "wish@example.com", **new})
    until(
        lambda: len(mails_to(somebody.portal, "wish@example.com")) > 1,
        "the mails about a wish and an account",
        seconds=120,
    )
    until(
        lambda: "reset-password" in str(_mailed(somebody.portal)),
        "the mail with the way to a new password",
        seconds=120,
    )


def _a_trip(traveller: Somebody) -> list[str]:
    """One that is held, one that is paid and whose cancellation is quoted."""
    held = traveller.hold(traveller.offers(LATER)[2])["reference"]
    paid = traveller.book(traveller.offers(LATER)[2])
    quoted = traveller.say("POST", f"/api/bookings/{paid}/cancellations", {})["id"]
    steps = [f"/book/{held}/{step}" for step in ("passengers", "extras", "seats", "pay")]
    deeds = [
        f"/bookings/{paid}/{deed}"
        for deed in ("cancel", "change", "correct", "contact", "extras", "seats", "receipt.pdf")
    ]
    amount = traveller.say("GET", f"/api/bookings/{held}")["balance"]
    asked = {"method": "card", "token": "tok_3ds", "amount": amount}
    waits = traveller.say("POST", f"/api/bookings/{held}/payments", asked)
    steps += [urlsplit(waits["actionUrl"]).path, f"/book/{held}/payments/{waits['id']}"]
    return [*steps, *deeds, f"/bookings/{paid}/amendments/{quoted}", "/account/trips"]


def _a_trip_today(traveller: Somebody) -> list[str]:
    """One that is checked in for one of two, so that both the form and the passes are there."""
    made = traveller.book(traveller.offers(SOON, departAfter=SOON_AFTER)[2])
    seen = traveller.say("GET", f"/api/bookings/{made}")
    first, flight = seen["passengers"][0]["id"], seen["slices"][0]["segments"][0]["flightId"]
    traveller.say("POST", f"/api/bookings/{made}/check-ins", [{"passengerId": first, "flightId": flight}])
    at = f"/bookings/{made}"
    return [f"{at}/{page}" for page in ("check-in", "check-in/documents", "check-in/seats", "boarding-passes")]


def _wishes(traveller: Somebody) -> list[str]:
    """A wish for a lower fare, and a fellow traveller that is kept."""
    below = {"amount": "1.00", "currency": "USD"}
    wish = {"origin": "JFK", "destination": "LAX", "month": f"{LATER:%Y-%m}"}
    traveller.say("POST", "/api/me/alerts", {**wish, "below": below})
    guest = {**wish, "span": "month", "cabin": "economy", "below": "1", "currency": "USD", "email": "wish@example.com"}
    asked = httpx2.post(f"{traveller.portal.address}/fare-alerts", data={**guest, "adults": "1"})
    assert asked.status_code == 303, asked.text
    kept = {"givenName": "Ida", "familyName": "Nowak", "dateOfBirth": "2018-02-28"}
    traveller.say("POST", "/api/me/travellers", kept)
    return ["/account", "/account/travellers", "/account/watches"]


def _a_flight_that_is_late(traveller: Somebody, staff: Somebody) -> list[str]:
    fare = traveller.offers(LATER + timedelta(days=1), 1)[2]
    reference = traveller.book(fare)
    late = {"minutes": 300, "reason": "technical"}
    staff.say("POST", f"/api/admin/flights/{fare['flightId']}/delay", late)
    at = f"/bookings/{reference}/changes-by-airline"
    asked = f"/api/bookings/{reference}/carrier-changes"
    until(lambda: traveller.say("GET", asked)["data"], "the news of the delay", seconds=120)
    change = traveller.say("GET", asked)["data"][0]["id"]
    again = f"/admin/flights/{fare['flightId']}/change?kind=delay&minutes=60&reason=weather"
    return [f"/bookings/{reference}", at, f"{at}/{change}/flights", again]


def _mailed(portal: RunningPortal) -> list[str]:
    """Return the addresses that mails lead to."""
    words = " ".join(text_of(path) for path in portal.mail.messages())
    found = re.findall(re.escape(portal.address) + r"/\S+", words)
    return sorted({one.removeprefix(portal.address).rstrip(".,)") for one in found})

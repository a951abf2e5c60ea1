"""The whole purchase as a browser does it: every page and form from the search to the booking, no static files.

Each buyer is a browser of its own for each purchase: it takes the cookies that it is given, follows where it is sent,
and finds the next step in the page that it got. Jobs are held back: no worker and no relay runs.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import time
from datetime import timedelta
from urllib.parse import urlencode

from deploy.local.services import TestServices
from tests import world
from tests.benchmarks import cpu, load
from tests.benchmarks.booking import prepared
from tests.benchmarks.report import Figure, Result

CLIENTS, PROCESSES, SECONDS, WARM_SECONDS = 16, 2, 10, 4
DAYS, A_DAY = 300, 10
WANTED_A_MINUTE = 2500.0
OFFER = re.compile(r'href="(/book\?offer=[^"]+)"')
FORM_OFFER, FORM_KEY = (re.compile(rf'name="{name}" value="([^"]+)"') for name in ("offer", "key"))
WHO = {"type": "adult", "givenName": "Anna", "familyName": "Smith", "dateOfBirth": "1985-05-17"}
TRAVELLERS = {**{f"passengers.0.{name}": value for name, value in WHO.items()}, "contact.email": "anna@example.com"}


def run() -> Result:
    """Measure how many purchases a minute so many browsers make."""
    with TestServices() as services:
        prepared(services, count=DAYS * A_DAY, a_day=A_DAY)
        with load.serving(services, "portal.app:serve", workers=PROCESSES) as port:
            asyncio.run(rate(port, seconds=WARM_SECONDS))
            before = cpu.seconds()
            bought, asked = asyncio.run(rate(port, seconds=SECONDS))
            used = cpu.seconds() - before
    limits = {"what is wanted": WANTED_A_MINUTE}
    figure = Figure("every page and form of a purchase", 60 * bought, "purchases a minute", limits, 1.0)
    data = f"{DAYS} days of {A_DAY} flights; {CLIENTS} browsers, {PROCESSES} server processes, jobs held back"
    notes = [f"{asked / bought:.0f} requests a purchase, {asked:,.0f} a second"]
    notes.append(
        f"CPU for a purchase: {cpu.told(used, each=bought * SECONDS)}; {os.cpu_count()} cores are shared by all"
    )
    return Result("purchase", data, [figure], notes)


async def rate(port: int, *, seconds: float) -> tuple[float, float]:
    """Return how many purchases and how many requests a second there are."""
    began = time.monotonic()
    counts = await asyncio.gather(*(_buy_until(port, number, began + seconds) for number in range(CLIENTS)))
    took = time.monotonic() - began
    return sum(bought for bought, _ in counts) / took, sum(asked for _, asked in counts) / took


async def _buy_until(port: int, number: int, until: float) -> tuple[int, int]:
    bought = asked = 0
    while time.monotonic() < until:
        browser = Browser(*await asyncio.open_connection("127.0.0.1", port))
        await buy(browser, day=(number + CLIENTS * bought) % DAYS)
        browser.close()
        bought, asked = bought + 1, asked + browser.asked
    return bought, asked


async def buy(browser: Browser, *, day: int) -> None:
    """Search, choose, name who flies, look at extras and seats, pay at the bank, and look at the booking."""
    await browser.get("/")
    on = world.soon() + timedelta(days=day + 1)
    results = await browser.get(f"/flights?{urlencode({'origin': 'JFK', 'destination': 'LAX', 'departureDate': on})}")
    review = await browser.get(_found(OFFER, results))
    await browser.post("/book", {"offer": _found(FORM_OFFER, review), "key": _found(FORM_KEY, review)})
    base = browser.at.removesuffix("/passengers")
    extras = await browser.post(f"{base}/passengers", TRAVELLERS)
    await browser.post(f"{base}/extras", {"key": _found(FORM_KEY, extras)})
    pay = await browser.get(f"{base}/pay")
    await browser.post(f"{base}/pay", {"key": _found(FORM_KEY, pay)})
    booked = await browser.post(browser.at, {"token": "tok_visa"})
    if not browser.at.startswith("/bookings/") or "Paid and booked" not in booked:
        raise load.Failed(f"ended at {browser.at}")


def _found(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    if found is None:
        raise load.Failed(f"no {pattern.pattern} in {page[:500]}")
    return html.unescape(found[1])


class Browser:
    """One connection with its cookies; `at` is the address it has come to, `asked` how often it asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.cookies: dict[str, str] = {}
        self.at, self.asked = "/", 0

    def close(self) -> None:
        """Hang up."""
        self.writer.close()

    async def get(self, path: str) -> str:
        """Return the page at `path`, or where it sends to."""
        return await self._go("GET", path, b"")

    async def post(self, path: str, fields: dict[str, str]) -> str:
        """Send a form and return the page that it leads to."""
        return await self._go("POST", path, urlencode(fields).encode())

    async def _go(self, method: str, path: str, body: bytes) -> str:
        for _ in range(5):
            status, headers, content = await self._ask(method, path, body)
            if status != 303:
                break
            method, path, body = "GET", re.findall(r"(?im)^location: (\S+)", headers)[0], b""
        if status != 200:
            raise load.Failed(f"{status} at {path}: {content[:300]}")
        self.at = path.partition("?")[0]
        return content

    async def _ask(self, method: str, path: str, body: bytes) -> tuple[int, str, str]:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Sec-Fetch-Site: same-origin"]
        lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if method == "POST":
            lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
        self.writer.write("\r\n".join([*lines, "\r\n"]).encode() + body)
        headers = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        size = re.search(r"(?i)content-length: (\d+)", headers)
        content = await self.reader.readexactly(int(size[1])) if size else b""
        self.cookies.update(re.findall(r"(?im)^set-cookie: ([^=]+)=([^;\r]*)", headers))
        self.asked += 1
        return int(headers.split(" ", 2)[1]), headers, content.decode()

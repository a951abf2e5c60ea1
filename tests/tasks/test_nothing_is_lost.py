"""kill -9 of everything, again and again, while people buy: who was told "paid" has tickets, and one mail with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from itertools import count
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from deploy.local.services import TestServices
from portal.booking.queries import broken_books
from portal.kit import db
from tests import world
from tests.booking import makers
from tests.running import RunningPortal, migrated, running_portal
from tests.tasks.conftest import until

pytestmark = [pytest.mark.fault, pytest.mark.slow]
ANNA = {"type": "adult", "givenName": "Anna", "familyName": "Smith", "dateOfBirth": "1985-05-17"}
BUYERS = 3
ROUNDS = 2


def prepare(services: TestServices) -> None:
    """Put the small world and one very large aircraft in place."""
    db.connect(migrated(services))
    with db.writing() as session:
        world.build(session)
        world.flight(session, seats=5000)


@pytest.fixture
def portal() -> Iterator[RunningPortal]:
    """A whole portal whose leases are short, so that the test need not wait long."""
    with running_portal(prepare, {"PORTAL_JOB_LEASE_SECONDS": "2"}) as running:
        yield running
    db.disconnect()


class Buyer(threading.Thread):
    """Buys one seat after the other through the API until told to stop; tries again whatever happens, with one key."""

    def __init__(self, portal: RunningPortal, name: str, over: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._over = over
        self._client = httpx2.Client(base_url=portal.address, timeout=10)
        self.told_paid: list[str] = []
        self.trouble: Exception | None = None

    def run(self) -> None:
        try:
            for number in count():
                if self._over.is_set():
                    return
                self._buy(f"{self.name}-{number}")
        except Exception as trouble:
            self.trouble = trouble
        finally:
            self._client.close()

    def _buy(self, key: str) -> None:
        day = world.soon().isoformat()
        wish = {"origin": "JFK", "destination": "LAX", "departureDate": day}
        found = self._insist("GET", "/api/flights/search", params=wish)
        offer = found["slices"][0]["itineraries"][0]["fares"][0]["offerId"]
        body = {"offerIds": [offer], "contact": {"email": f"{key}@example.com"}, "passengers": [ANNA]}
        made = self._insist("POST", "/api/bookings", key=key, json=body)
        at, token = f"/api/bookings/{made['reference']}", {"Authorization": f"Bearer {made['bookingToken']}"}
        pay = {"method": "card", "token": "tok_visa", "amount": made["balance"]}
        payment = self._insist("POST", f"{at}/payments", key=f"{key}-pay", json=pay, headers=token)
        if payment["status"] == "succeeded":
            self.told_paid.append(made["reference"])

    def _insist(self, method: str, path: str, *, key: str = "", **given: Any) -> Any:
        headers = {**given.pop("headers", {}), **({"Idempotency-Key": key} if key else {})}
        seen = "no answer"
        for _ in range(600):
            try:
                answer = self._client.request(method, path, headers=headers, **given)
            except httpx2.TransportError:
                time.sleep(0.1)
                continue
            if answer.status_code < 300:
                return answer.json()
            seen = f"{answer.status_code} {answer.text}"
            assert answer.status_code in (409, 503), seen
            time.sleep(0.1)
        raise AssertionError(f"{method} {path} never went through: {seen}")


def faults(portal: RunningPortal) -> list[tuple[str, Callable[[], None]]]:
    """Return every kill -9, each followed by a start."""
    parts = {
        "worker": portal.worker,
        "relay": portal.relay,
        "redis": portal.services.redis,
        "web": portal.web,
        "postgres": portal.services.postgres,
        "mail": portal.mail,
    }
    return [(name, lambda part=part: (part.kill(), part.start())) for name, part in parts.items()]  # type: ignore[misc]  # a tuple is only a way to do both


def bought(buyers: list[Buyer]) -> int:
    assert [buyer.trouble for buyer in buyers if buyer.trouble] == []
    return sum(len(buyer.told_paid) for buyer in buyers)


def wait_for_purchases(buyers: list[Buyer]) -> None:
    before = bought(buyers)
    until(lambda: bought(buyers) > before + 2, "a purchase", seconds=60)


def open_letters() -> object:
    return makers.one("select count(*) from letters where kind like 'booking.%' and state not in ('done', 'dropped')")


def undecided() -> object:
    return makers.one("select count(*) from payments where state in ('pending', 'action_required')")


def test_nobody_who_paid_is_left_without_tickets(portal: RunningPortal) -> None:
    over = threading.Event()
    buyers = [Buyer(portal, f"buyer{number}", over) for number in range(BUYERS)]
    for buyer in buyers:
        buyer.start()
    for _ in range(ROUNDS):
        for _name, strike in faults(portal):
            wait_for_purchases(buyers)
            strike()
    over.set()
    for buyer in buyers:
        buyer.join(60)
        assert not buyer.is_alive()
    assert bought(buyers)
    told_paid = [reference for buyer in buyers for reference in buyer.told_paid]
    until(lambda: undecided() == 0, "the end of every payment", seconds=90)
    until(lambda: open_letters() == 0, "the end of every letter", seconds=90)
    check_tickets(told_paid)
    check_mails(portal)
    with db.reading() as session:
        assert broken_books(session) == []


def check_tickets(told_paid: list[str]) -> None:
    assert len(told_paid) == len(set(told_paid)) >= 2 * ROUNDS
    with db.reading() as session:
        rows = session.execute(text("select reference, status from bookings")).all()
    status = {row[0]: row[1] for row in rows}
    assert {status[reference] for reference in told_paid} == {"confirmed"}


def check_mails(portal: RunningPortal) -> None:
    """One mail with one itinerary for each confirmed booking; the catcher tells mails apart by their Message-ID."""
    messages = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in portal.mail.messages()]
    tickets = [one for one in messages if str(one["Subject"]).startswith("Your tickets")]
    confirmed = makers.one("select count(*) from bookings where status = 'confirmed'")
    assert len({one["To"] for one in tickets}) == len(tickets) == confirmed
    for one in tickets:
        names = [part.get_filename() for part in one.iter_attachments()]
        assert [name.split("-")[0] for name in names] == ["itinerary", "receipt", "flights"]
        assert next(one.iter_attachments()).get_content().startswith(b"%PDF")

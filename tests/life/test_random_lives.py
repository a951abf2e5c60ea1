"""Ten thousand random deeds by sixteen travellers, with kills in between: seats, money and tickets still add up.

The seed is printed; `LIVES_SEED=… ./dev test tests/life` draws the same deeds again (what meets what may differ).
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from deploy.local.services import TestServices
from portal import cli
from portal.kit import db
from tasks.schedule import ROUNDS
from tests import world
from tests.booking import makers
from tests.life.traveller import WAYS, Budget, Traveller
from tests.running import RunningPortal, migrated, running_portal
from tests.tasks.conftest import until
from tests.tasks.test_nothing_is_lost import faults

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(3600)]
ACTIONS = int(os.environ.get("LIVES_ACTIONS", "10000"))
TRAVELLERS = 16
BETWEEN_KILLS = 12.0
# A crowd that never gets this far proves nothing.
NEEDED = (
    "hold: 201",
    "pay: 201",
    "pay: 402",
    "cancellations: 200",
    "changes: 200",
    "corrections: 200",
    "seats: 200",
    "seats: 409 seat_taken",
    "extras: 200",
    "check-in: 201",
)
ZONES = {code: ZoneInfo(zone) for code, _, _, _, _, zone, _, _ in world.AIRPORTS}


def prepare(services: TestServices) -> None:
    """Put a few small aircraft in place, tomorrow and in a month, so that seats run out and check-in is open."""
    db.connect(migrated(services))
    with db.writing() as session:
        world.build(session)
        soon = datetime.now(UTC) + timedelta(hours=8)  # check-in is open
        numbers = count(201)
        for origin, destination in WAYS:
            leaves = soon.astimezone(ZONES[origin])
            add(
                session, origin, destination, on=leaves.date(), at=leaves.time().replace(microsecond=0), numbers=numbers
            )
            for days in (1, 8, 30, 37):
                for hour in (9, 17):
                    add(session, origin, destination, on=world.soon(days), at=clock_time(hour), numbers=numbers)


def add(session: Session, *ends: str, on: date, at: clock_time, numbers: Iterator[int]) -> None:
    """Add a flight of sixty seats."""
    world.flight(session, *ends, on=on, at=at, number=next(numbers), seats=60, business=0)


@pytest.fixture
def portal() -> Iterator[RunningPortal]:
    """A whole portal on small aircraft, whose leases are short."""
    extra = {"PORTAL_JOB_LEASE_SECONDS": "3", "PORTAL_HOLD_MINUTES": "2", "PORTAL_DEMO": "false"}
    with running_portal(prepare, extra) as running:
        yield running
    db.disconnect()


def test_the_books_balance_after_ten_thousand_random_deeds_and_kills(portal: RunningPortal) -> None:
    seed = os.environ.get("LIVES_SEED") or secrets.token_hex(4)
    print(f"LIVES_SEED={seed}")
    budget = Budget(ACTIONS)
    crowd = [Traveller(portal.address, f"t{number}", seed=seed, budget=budget) for number in range(TRAVELLERS)]
    for one in crowd:
        one.start()
    struck = strike_until_done(portal, crowd, random.Random(seed))
    trouble = [repr(one.trouble) for one in crowd if one.trouble]
    assert trouble == [], (portal.folder / "web.log").read_text()[-6000:]
    print(f"{struck}\n{tally(crowd)}")
    settle()
    assert everything_off() == []
    check_promises(crowd)


def strike_until_done(portal: RunningPortal, crowd: list[Traveller], dice: random.Random) -> Counter[str]:
    """Kill one part after the other, and lapse a few holds, until every traveller has finished."""
    struck: Counter[str] = Counter()
    last = time.monotonic()
    while any(one.is_alive() for one in crowd):
        next(one for one in crowd if one.is_alive()).join(0.2)
        if time.monotonic() - last < BETWEEN_KILLS:
            continue
        name, strike = dice.choice(faults(portal))
        strike()
        struck[name] += 1
        last = time.monotonic()
    return struck


def tally(crowd: list[Traveller]) -> str:
    """Return how often each deed ended how, so that a run that did nothing is seen."""
    sums: Counter[str] = Counter()
    for one in crowd:
        sums += one.did
    return "\n".join(f"{count:6} {act}" for act, count in sorted(sums.items()))


def settle() -> None:
    """Wait until every payment and refund is decided and every letter is done, for as long as it goes on."""
    until_none("every payment", "select count(*) from payments where state in ('pending', 'action_required')")
    until_none("every refund", "select count(*) from refunds where state = 'pending'")
    rounds = [one.kind for one in ROUNDS]
    waiting = "select count(*) from letters where state not in ('done', 'dropped', 'dead') and kind <> all(:rounds)"
    until_none("every letter", waiting, rounds=rounds)
    with db.reading() as session:
        dead = session.execute(text("select kind, error from letters where state = 'dead'")).all()
    assert dead == []


def until_none(what: str, statement: str, **given: object) -> None:
    """Wait until the count is 0. How fast is the machine's affair; two minutes without one fewer are not."""
    while left := makers.one(statement, **given):
        until(lambda left=left: makers.one(statement, **given) < left, f"the end of {what}", seconds=120)


def everything_off() -> list[str]:
    """Return what `portal invariants` finds."""
    with db.writing() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        return [str(finding) for finding in cli.all_findings(session)]


def check_promises(crowd: list[Traveller]) -> None:
    """Who was told "paid" has a booking that is confirmed, or that he cancelled himself."""
    with db.reading() as session:
        rows = session.execute(text("select reference, status from bookings")).all()
    status = {row[0]: row[1] for row in rows}
    paid = [trip for one in crowd for trip in one.trips if trip.told_paid]
    assert paid
    lost = [trip.reference for trip in paid if status[trip.reference] not in ("confirmed", "cancelled")]
    assert lost == []
    acts = sum((one.did for one in crowd), Counter())
    for needed in NEEDED:
        assert any(act.startswith(needed) for act in acts), needed

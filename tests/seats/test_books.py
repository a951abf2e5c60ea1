"""The books of seats: each rule sees its own fault, and nothing where all is in order."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.kit import db
from portal.kit.settings import Settings
from portal.seats.queries import BOOKS, broken_seats
from tests.booking import makers
from tests.seats.test_api import FAMILY, Asker

FAULTS = {
    "update named_seats set occupant = gen_random_uuid()": "a named seat is a traveller's of the booking that holds it",
    "update passengers set cancelled_at = now() where position = 0": "a named seat is a traveller's of the booking "
    "that holds it",
    "update named_seats set occupant = p.id from passengers p where p.type = 'infant' and seat = '20A'": "a named seat "
    "is a traveller's of the booking that holds it",
    "update named_seats set seat = '77A'": "a named seat is on board, in the cabin that was bought",
    "update named_seats set seat = '20K'": "a named seat is on board, in the cabin that was bought",
    "update seat_claims set seats = 1": "a claim has no more names than seats",
    "update named_seats set seat = '12A'": "nobody by an exit who may not sit there",
}


def findings() -> list[str]:
    with db.reading() as session:
        return [one.rule for one in broken_seats(session)]


@pytest.fixture
def family(client: TestClient, settings: Settings) -> Asker:
    """A family with named seats."""
    flight = makers.flight()
    booking = makers.confirmed(settings, makers.offer(settings, flight, party=FAMILY, brand="Flex"))
    asker = Asker(client, settings, booking, flight)
    assert asker.put_seats((0, "20A"), (2, "20B")).status_code == 200
    return asker


def test_all_is_in_order_after_choosing(family: Asker) -> None:
    assert findings() == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen(family: Asker, fault: str) -> None:
    with db.writing() as session:
        if "77A" in fault or "20K" in fault or "12A" in fault or "gen_random" in fault:
            session.execute(text("delete from named_seats where seat = '20A'"))
        session.execute(text(fault))
    assert FAULTS[fault] in findings()


def test_every_rule_has_a_fault_that_shows_it() -> None:
    assert set(FAULTS.values()) == set(BOOKS)

"""A line in the database is served as the pure rule says, whoever joins, leaves and gives seats back in between."""

from __future__ import annotations

import random

import pytest

from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.watches import queries, rules, service
from tests.booking import makers as bookings
from tests.watches import makers

SEATS = 6


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_the_line_is_served_in_order(settings: Settings, seed: int) -> None:
    chance = random.Random(seed)
    flight = bookings.flight(seats=SEATS, business=0)
    sold = [bookings.held(settings, bookings.offer(settings, flight)) for _ in range(SEATS)]
    line: list[tuple[object, int]] = []
    free = 0
    for turn in range(10):
        what = chance.choice(("join", "join", "leave", "free"))
        if what == "join":
            party = Party(chance.randint(free + 1, free + 3))
            line.append((makers.joined(flight, f"{turn}@example.com", party), party.seats))
        elif what == "leave" and line:
            who, _ = line.pop(chance.randrange(len(line)))
            with db.writing() as session:
                service.leave(session, who)  # type: ignore[arg-type]  # an id of the line
        elif what == "free" and sold:
            bookings.lapse(sold.pop())
            free += 1
        makers.serve(settings)
        while (who := rules.next_in_line(line, free)) is not None:
            free -= dict(line)[who]
            line = [(other, seats) for other, seats in line if other != who]
        with db.reading() as session:
            assert [one[:2] for one in queries.line(session, flight.id, "economy")] == line
            assert queries.broken_waits(session) == []
    assert bookings.broken() == []

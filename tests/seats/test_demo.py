"""The demo's sold seats get names: parties together, nobody by an exit, once, and the books are in order."""

from __future__ import annotations

from sqlalchemy import text

from portal.flights.seating import seat_plan, seats_of
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.seats.demo import name_sold_seats
from tests.booking import makers
from tests.seats.test_api import no_fault

PARTIES = (
    Party(2),
    Party(1),
    Party(2, 2),
    Party(1, 0, 1),
    Party(2),
    Party(3),
    Party(1),
    Party(2, 1),
    Party(1),
    Party(4),
)


def test_most_sold_parties_sit_together_and_a_second_time_changes_nothing(settings: Settings) -> None:
    flight = makers.flight()
    bookings = [makers.confirmed(settings, makers.offer(settings, flight, party=party)) for party in PARTIES]
    with db.writing() as session:
        session.execute(text("update bookings set idempotency_key = 'demo-sale:' || id"))
    real = makers.confirmed(settings, makers.offer(settings, flight))
    with db.writing() as session:
        named = name_sold_seats(session)
    with db.writing() as session:
        assert name_sold_seats(session) == 0
    with db.reading() as session:
        seats = [list(seats_of(session, booking.id).values()) for booking in bookings]
        assert seats_of(session, real.id) == {}
        plan = seat_plan(session, flight.id)
    assert named == sum(map(len, seats)) > 0
    for party, chosen in zip(PARTIES, seats, strict=True):
        assert len(chosen) in (0, party.seats)
        rows = {int(seat[:-1]) for seat in chosen}
        assert not rows or max(rows) - min(rows) <= 3
    assert not [s for cabin in plan.cabins for s in cabin.seats if s.taken and "exit" in s.features]
    assert no_fault()

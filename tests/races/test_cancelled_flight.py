"""A flight is cancelled while twenty buyers pay: whoever gets a ticket is asked, whoever does not gets the money back.

A careless twin, which looks who is booked and then cancels, misses somebody: so this test can see it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import text

from portal.booking.models import Booking
from portal.disruptions import queries, service
from portal.disruptions.errors import AlreadyDecided
from portal.flights.models import Flight
from portal.kit import db
from portal.kit.settings import Settings
from tests import world
from tests.booking import makers
from tests.disruptions.conftest import broken, carry_out, tell

BUYERS, AT_ONCE, ROUNDS = 20, 8, 5
REVIVE = (
    "update flight_cabins set closed_at_sold = null where flight_id = :id",
    "update flights set status = 'scheduled', sale_closed_at = null where id = :id",
)
UNASKED = """
    select count(*) from bookings b join booking_segments g on g.booking_id = b.id
    where b.status = 'confirmed' and g.flight_id = :id and not exists (
        select from affected_bookings a join disruptions d on d.id = a.disruption_id
        where a.booking_id = b.id and d.flight_id = g.flight_id)
"""


def rush(settings: Settings, number: int, cancel: Callable[[Flight], object]) -> tuple[Flight, list[Booking]]:
    """Let twenty buyers pay, and staff cancel in the midst of them."""
    flight = makers.flight(number=number, business=0)
    offer = makers.offer(settings, flight)
    bookings = [makers.named(settings, offer) for _ in range(BUYERS)]
    payments = [makers.begun(booking) for booking in bookings]
    start, in_the_midst = Barrier(AT_ONCE), 3 * number

    def work(at: int) -> None:
        if at < AT_ONCE:
            start.wait(20)
        if at == in_the_midst:
            cancel(flight)
        else:
            makers.settled(payments[at - (at > in_the_midst)])

    with ThreadPoolExecutor(AT_ONCE) as crowd:
        list(crowd.map(work, range(BUYERS + 1)))
    return flight, bookings


@pytest.mark.slow
def test_nobody_is_left_with_a_ticket_for_a_cancelled_flight_and_not_asked(settings: Settings) -> None:
    sold = []
    for number in range(1, ROUNDS + 1):
        made = []
        flight, bookings = rush(settings, number, lambda flight, made=made: made.append(carry_out(flight, "cancel")))
        assert makers.one(UNASKED, id=flight.id) == 0
        confirmed = sum(makers.status(booking) == "confirmed" for booking in bookings)
        assert tell(made[0]) == confirmed
        sold.append(confirmed)
        back = "select count(*) from refunds r join payments p on p.id = r.payment_id where p.payable = any(:ids)"
        assert makers.one(back, ids=[one.id for one in bookings]) == BUYERS - confirmed
    assert broken() == []
    assert 0 < sum(sold) < ROUNDS * BUYERS


@pytest.mark.slow
def test_a_careless_twin_misses_somebody(settings: Settings) -> None:
    missed = []
    for number in range(1, ROUNDS + 1):
        flight, _bookings = rush(settings, number, _careless)
        missed.append(makers.one(UNASKED, id=flight.id))
    assert max(int(str(one)) for one in missed) > 0


@pytest.mark.slow
def test_the_money_goes_back_once_however_often_and_for_however_many_changes_it_is_asked_for(
    settings: Settings,
) -> None:
    """A trip of which both flights are cancelled: two open questions, and every answer comes three times at once."""
    out, back = makers.flight(), makers.flight(origin="LAX", destination="JFK", number=102, on=world.soon(40))
    for _round in range(ROUNDS):
        booking = makers.confirmed(settings, makers.offer(settings, out), makers.offer(settings, back))
        whole = makers.one("select paid_minor from bookings where id = :id", id=booking.id)
        for flight in (out, back):
            tell(carry_out(flight, "cancel"))
        with db.reading() as session:
            rows = [one.id for one in queries.changes_of_booking(session, booking.id)] * 3
        start = Barrier(len(rows))

        def ask(row: UUID, start: Barrier = start) -> None:
            start.wait(20)
            with contextlib.suppress(AlreadyDecided), db.writing() as session:
                service.refund(session, row, actor_id=None)

        with ThreadPoolExecutor(len(rows)) as crowd:
            list(crowd.map(ask, rows))
        returned = "select sum(r.amount_minor) from refunds r join payments p on p.id = r.payment_id"
        assert makers.one(f"{returned} where p.payable = :id", id=booking.id) == whole
        assert makers.status(booking) == "cancelled"
        with db.writing() as session:
            for flight in (out, back):
                for statement in REVIVE:
                    session.execute(text(statement), {"id": flight.id})
    assert broken() == []


def _careless(flight: Flight) -> None:
    """Look who has a ticket, note them, and cancel: whoever pays meanwhile is missed."""
    with db.writing() as session:
        known = [one.booking_id for one in queries.booked(session, flight.id) if one.status == "confirmed"]
        made = session.scalar(
            text(
                "insert into disruptions (flight_id, kind, before, after, reason) "
                "values (:id, 'cancel', '{}', '{}', 'Fog') returning id"
            ),
            {"id": flight.id},
        )
        for booking in known:
            session.execute(
                text(
                    "insert into affected_bookings (disruption_id, booking_id, slice_position, why, shift_minutes, "
                    "by_right, needs_answer) values (:made, :booking, 0, 'cancelled', 0, true, true)"
                ),
                {"made": made, "booking": booking},
            )
        session.execute(text("update flights set status = 'cancelled' where id = :id"), {"id": flight.id})

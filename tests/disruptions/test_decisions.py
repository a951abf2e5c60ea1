"""What a traveller decides about a change, or the clock for who is silent: carried out once, and right in the books."""

from __future__ import annotations

from datetime import time, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from portal.booking.models import Booking
from portal.disruptions import service
from portal.disruptions.errors import AlreadyDecided, ChoiceClosed
from portal.flights.models import Flight
from portal.kit import db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tasks.handlers_disruptions import HANDLERS
from tests import world
from tests.booking import makers
from tests.booking.test_items import choose, wish
from tests.disruptions.conftest import broken, carry_out, states, tell


def row_of(booking: Booking) -> UUID:
    found = makers.one("select id from affected_bookings where booking_id = :id and state = 'told'", id=booking.id)
    assert isinstance(found, UUID)
    return found


def paid(booking: Booking) -> object:
    return makers.one("select total_minor from bookings where id = :id", id=booking.id)


def refund(row: UUID) -> None:
    with db.writing() as session:
        service.refund(session, row, actor_id=None)


def clock_round(settings: Settings) -> None:
    HANDLERS["disruptions.clock"](settings, Letter(kind="disruptions.clock", payload={}))


def test_a_refund_by_right_gives_back_everything_though_the_fare_gives_nothing(
    settings: Settings, flight: Flight
) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight, party=Party(adults=2, children=1)))
    whole = paid(booking)
    tell(carry_out(flight, "cancel"))
    row = row_of(booking)
    refund(row)
    refund(row)
    assert makers.status(booking) == "cancelled"
    assert makers.one("select sum(amount_minor) from refunds") == whole
    assert paid(booking) == 0
    assert broken() == []


def test_a_return_trip_loses_the_way_back_with_the_way_out_but_not_the_other_way_round(settings: Settings) -> None:
    out, back = makers.flight(), makers.flight(origin="LAX", destination="JFK", number=102, on=world.soon(40))
    both = [makers.confirmed(settings, makers.offer(settings, out), makers.offer(settings, back)) for _ in range(2)]
    tell(carry_out(back, "cancel"))
    refund(row_of(both[0]))
    assert makers.status(both[0]) == "confirmed"
    tell(carry_out(out, "cancel"))
    refund(row_of(both[0]))
    assert makers.status(both[0]) == "cancelled"
    open_rows = "select array_agg(id) from affected_bookings where booking_id = :id and state = 'told'"
    rows = makers.one(open_rows, id=both[1].id)
    assert isinstance(rows, list)
    assert len(rows) == 2
    outbound = makers.one(
        """select a.id from affected_bookings a join disruptions d on d.id = a.disruption_id
        where a.booking_id = :id and d.flight_id = :flight""",
        id=both[1].id,
        flight=out.id,
    )
    assert isinstance(outbound, UUID)
    refund(outbound)
    assert makers.status(both[1]) == "cancelled"
    assert makers.one("select count(*) from affected_bookings where state in ('noted', 'told')") == 0
    assert broken() == []


def test_another_flight_costs_nothing_and_the_fare_keeps_its_promise(settings: Settings, flight: Flight) -> None:
    later = makers.flight(number=105, at=time(17, 0), fare_minor=90_000)
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    before = paid(booking)
    tell(carry_out(flight, "cancel"))
    row = row_of(booking)
    with db.writing() as session:
        service.rebook(session, row, makers.offer(settings, later), actor_id=None)
    assert paid(booking) == before
    assert makers.one("select flight_id from booking_segments where booking_id = :id", id=booking.id) == later.id
    assert makers.one("select state from affected_bookings where id = :id", id=row) == "rebooked"
    assert broken() == []


def test_a_free_change_keeps_to_route_cabin_and_a_fortnight(settings: Settings, flight: Flight) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    tell(carry_out(flight, "cancel"))
    row = row_of(booking)
    far = makers.flight(number=106, on=world.soon(45))
    elsewhere = makers.flight(number=107, destination="ORD")
    near = makers.flight(number=108, on=world.soon(31))
    wrong = (
        makers.offer(settings, far),
        makers.offer(settings, elsewhere),
        makers.offer(settings, near, cabin="business", brand="Flex"),
    )
    for offer in wrong:
        with pytest.raises(ChoiceClosed), db.writing() as session:
            service.rebook(session, row, offer, actor_id=None)
    assert makers.one("select count(*) from amendments") == 0


def test_what_cannot_be_flown_cannot_be_accepted_and_a_short_delay_gives_no_refund(
    settings: Settings, flight: Flight
) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    tell(carry_out(flight, "delay", minutes=75))
    row = row_of(booking)
    with pytest.raises(ChoiceClosed):
        refund(row)
    with db.writing() as session:
        service.accept(session, row, actor_id=None)
        service.accept(session, row, actor_id=None)
    with pytest.raises(AlreadyDecided):
        refund(row)
    tell(carry_out(flight, "cancel"))
    with pytest.raises(ChoiceClosed), db.writing() as session:
        service.accept(session, row_of(booking), actor_id=None)


def test_who_is_silent_is_reminded_and_then_paid_back(settings: Settings, flight: Flight) -> None:
    silent = makers.confirmed(settings, makers.offer(settings, flight))
    made = carry_out(flight, "cancel")
    tell(made)
    _pass(timedelta(days=2, minutes=1))
    clock_round(settings)
    clock_round(settings)
    assert makers.one("select count(*) from letters where kind = 'disruption.tell' and payload ? 'reminder'") == 1
    assert states(made) == {"told": 1}
    _pass(timedelta(days=5))
    clock_round(settings)
    assert states(made) == {"refunded": 1}
    assert makers.status(silent) == "cancelled"
    assert broken() == []


def test_the_clock_waits_for_who_is_paying_for_something_and_then_goes_on(settings: Settings, flight: Flight) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    assert choose(booking, wish(booking)) is not None
    payment = makers.begun(booking)
    made = carry_out(flight, "cancel")
    tell(made)
    _pass(timedelta(days=8))
    clock_round(settings)
    assert states(made) == {"told": 1}
    assert makers.one("select count(*) from audit_entries where action = 'carrier_change.left_to_staff'") == 0
    makers.settled(payment, "declined")
    clock_round(settings)
    assert states(made) == {"refunded": 1}
    assert broken() == []


def _pass(by: timedelta) -> None:
    """Let the time of what waits go by."""
    moved = ", ".join(f"{name} = {name} - cast(:by as interval)" for name in ("told_at", "remind_at", "refund_at"))
    with db.writing() as session:
        session.execute(text(f"update affected_bookings set {moved}"), {"by": by})


def test_a_delay_that_nobody_answered_is_over_when_the_flight_leaves(settings: Settings, flight: Flight) -> None:
    makers.confirmed(settings, makers.offer(settings, flight))
    made = carry_out(flight, "delay", minutes=90)
    tell(made)
    clock_round(settings)
    assert states(made) == {"told": 1}
    gone = "departure_at = now() - interval '3 hours', arrival_at = now() - interval '1 hour'"
    with db.writing() as session:
        session.execute(
            text(
                f"update flights set {gone}, estimated_departure_at = now() - interval '1 minute', "
                "estimated_arrival_at = now() + interval '2 hours' where id = :id"
            ),
            {"id": flight.id},
        )
    clock_round(settings)
    assert states(made) == {"lapsed": 1}


def test_who_cancels_by_another_way_is_asked_no_more(settings: Settings, flight: Flight) -> None:
    from portal.booking import amending

    booking = makers.confirmed(settings, makers.offer(settings, flight))
    made = carry_out(flight, "cancel")
    tell(made)
    with db.writing() as session:
        quote = amending.quote_cancellation(session, booking.reference, actor_id=None)
        amending.confirm(session, quote.id, key="by myself")
    clock_round(settings)
    assert states(made) == {"refunded": 1}
    assert broken() == []

"""What staff do with a flight, and whom it hits: one row a booking, told by letter, with the rights they have."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from portal.disruptions import queries, service
from portal.disruptions.rules import Affected
from portal.flights.errors import AircraftTooSmall, FlightCancelled, FlightClosed
from portal.flights.models import AircraftCabin, AircraftType, Flight
from portal.kit import db
from portal.kit.errors import Invalid
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests.booking import makers
from tests.disruptions.conftest import broken, carry_out, tell


def rows(flight: Flight) -> list[Affected]:
    with db.reading() as session:
        return queries.affected_by_flight(session, flight.id)


def test_a_cancelled_flight_asks_everybody_booked_once_and_gives_them_the_right(
    settings: Settings, flight: Flight
) -> None:
    booked = [makers.confirmed(settings, makers.offer(settings, flight)) for _ in range(3)]
    made = carry_out(flight, "cancel")
    assert broken() == []
    assert tell(made) == 3
    assert tell(made) == 0
    assert {one.reference for one in rows(flight)} == {one.reference for one in booked}
    assert {(one.why, one.by_right, one.needs_answer, one.state) for one in rows(flight)} == {
        ("cancelled", True, True, "told")
    }
    assert makers.one("select count(*) from letters where kind = 'disruption.tell'") == 3
    assert makers.one("select state from disruptions where id = :id", id=made) == "announced"
    assert makers.one("select count(*) from audit_entries where action = 'flight.cancel'") == 1


def test_nobody_is_sold_a_seat_once_the_sale_is_closed(settings: Settings, flight: Flight) -> None:
    waiting = makers.named(settings, makers.offer(settings, flight))
    payment = makers.begun(waiting)
    other = makers.named(settings, makers.offer(settings, flight))
    fresh = makers.offer(settings, flight)
    with db.writing() as session:
        assert service.close(session, flight.id, actor_id=None)
        assert not service.close(session, flight.id, actor_id=None)
    with pytest.raises(FlightClosed):
        makers.held(settings, fresh)
    with pytest.raises(FlightClosed):
        makers.begun(other)
    makers.settled(payment)
    assert makers.status(waiting) == "expired"
    assert makers.one("select count(*) from refunds") == 1
    with db.writing() as session:
        service.reopen(session, flight.id, actor_id=None)
    makers.confirmed(settings, fresh)
    assert broken() == []


def test_a_delay_is_told_and_asks_from_an_hour_on(settings: Settings, flight: Flight) -> None:
    makers.confirmed(settings, makers.offer(settings, flight))
    asked = []
    for minutes in (30, 60, 180):
        carry_out(flight, "delay", minutes=minutes)
        newest = rows(flight)[0]
        asked.append((newest.shift_minutes, newest.needs_answer, newest.by_right))
    assert asked == [(30, False, False), (60, True, False), (180, True, True)]
    assert [one.state for one in rows(flight)] == ["noted", "lapsed", "lapsed"]


def test_a_delay_leaves_the_schedule_and_can_be_taken_back(settings: Settings, flight: Flight) -> None:
    before = flight.departure_at
    carry_out(flight, "delay", minutes=45, reopen=True)
    known = "select estimated_departure_at - departure_at from flights where id = :id"
    assert makers.one(known, id=flight.id) == timedelta(minutes=45)
    assert makers.one("select departure_at from flights where id = :id", id=flight.id) == before
    carry_out(flight, "delay", minutes=0, reopen=True)
    assert makers.one(known, id=flight.id) is None


def test_a_missed_connection_is_found_though_the_delay_is_short(
    settings: Settings, connection: tuple[Flight, Flight]
) -> None:
    makers.confirmed(settings, makers.offer(settings, *connection))
    makers.confirmed(settings, makers.offer(settings, connection[0]))
    carry_out(connection[0], "delay", minutes=30)
    assert [one.why for one in rows(connection[0])] == ["delayed", "delayed"]
    carry_out(connection[0], "delay", minutes=31)
    newest = rows(connection[0])[:2]
    assert sorted((one.why, one.by_right) for one in newest) == [("delayed", False), ("misconnected", True)]


def test_new_times_keep_the_day_and_add_up_while_nobody_answers(settings: Settings, flight: Flight) -> None:
    makers.confirmed(settings, makers.offer(settings, flight))
    later = timedelta(hours=2)
    times = {"departure_local": flight.departure_local + later, "arrival_local": flight.arrival_local + later}
    carry_out(flight, "retime", **times)
    assert (rows(flight)[0].shift_minutes, rows(flight)[0].by_right) == (120, False)
    carry_out(flight, "retime", **{name: at + later for name, at in times.items()})
    assert (rows(flight)[0].shift_minutes, rows(flight)[0].by_right) == (240, True)
    day = timedelta(days=1)
    with pytest.raises(Invalid) as no:
        carry_out(flight, "retime", **{name: at + day for name, at in times.items()})
    assert no.value.errors[0].pointer == "departureLocal"


def test_a_booking_that_is_only_held_is_told_once_it_is_paid(settings: Settings, flight: Flight) -> None:
    waiting = makers.named(settings, makers.offer(settings, flight))
    made = carry_out(flight, "delay", minutes=90, reopen=True)
    assert tell(made) == 0
    makers.settled(makers.begun(waiting))
    assert tell(made) == 1


def test_a_cancelled_flight_stays_cancelled(settings: Settings, flight: Flight) -> None:
    carry_out(flight, "cancel")
    for again in ("cancel", "delay"):
        with pytest.raises(FlightCancelled):
            carry_out(flight, again)
    with pytest.raises(FlightCancelled), db.writing() as session:
        service.reopen(session, flight.id, actor_id=None)


def _small(seats_per_row: str = "AC", rows: int = 1) -> None:
    with db.writing() as session:
        session.add(AircraftType(code="TINY", name="Tiny One"))
        session.flush()
        session.add(
            AircraftCabin(
                aircraft="TINY",
                cabin="economy",
                first_row=1,
                last_row=rows,
                layout=seats_per_row,
                capacity=rows * len(seats_per_row),
            )
        )


def test_a_smaller_aircraft_is_refused_until_staff_say_who_leaves(settings: Settings, flight: Flight) -> None:
    _small()
    parties = [makers.confirmed(settings, makers.offer(settings, flight, party=Party(adults=1))) for _ in range(3)]
    with pytest.raises(AircraftTooSmall):
        carry_out(flight, "swap", aircraft="TINY")
    carry_out(flight, "swap", aircraft="TINY", leaving=frozenset({parties[0].id}))
    assert [(one.reference, one.why, one.by_right) for one in rows(flight)] == [(parties[0].reference, "no_seat", True)]
    seats = {"id": flight.id}
    assert makers.one("select capacity from flight_cabins where flight_id = :id", **seats) == 3
    assert broken() == []
    with pytest.raises(AircraftTooSmall), db.writing() as session:
        service.reopen(session, flight.id, actor_id=None)


def test_a_larger_aircraft_gives_its_seats_to_the_sale(settings: Settings) -> None:
    flight = makers.flight(seats=1, business=0)
    _small("ABC DEF", 10)
    with db.writing() as session:
        session.execute(text("update aircraft_cabins set capacity = 60 where aircraft = 'TINY'"))
    makers.confirmed(settings, makers.offer(settings, flight))
    carry_out(flight, "swap", aircraft="TINY", reopen=True)
    makers.confirmed(settings, makers.offer(settings, flight))
    assert rows(flight) == []
    assert broken() == []


def test_another_aircraft_takes_no_right_away_that_a_delay_gave(settings: Settings, flight: Flight) -> None:
    _small("AC", 1)
    first, second = (makers.confirmed(settings, makers.offer(settings, flight)) for _ in "ab")
    tell(carry_out(flight, "delay", minutes=200))
    carry_out(flight, "swap", aircraft="TINY", leaving=frozenset({first.id}))
    still = {(one.reference, one.why) for one in rows(flight) if one.is_open}
    delayed = {(one.reference, "delayed") for one in (first, second)}
    assert still == {*delayed, (first.reference, "no_seat")}
    carry_out(flight, "delay", minutes=0)
    assert {(one.reference, one.why) for one in rows(flight) if one.is_open} == {(first.reference, "no_seat")}
    carry_out(flight, "cancel")
    assert {one.why for one in rows(flight) if one.is_open} == {"cancelled"}

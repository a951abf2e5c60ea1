"""Another aircraft: seats by name are dealt out again, whoever moves is told, and timetable files do not fight back."""

from __future__ import annotations

import io
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from portal.booking.models import Booking
from portal.disruptions import queries
from portal.flights import seating
from portal.flights import service as flights
from portal.flights.forms import COLUMNS, timetable_rows
from portal.flights.models import AircraftCabin, AircraftType, Flight
from portal.flights.seating import SeatChoice
from portal.flights.timetable import Counts
from portal.kit import db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tasks.handlers_disruptions import HANDLERS
from tests.booking import makers
from tests.disruptions.conftest import broken, carry_out, tell


def small(rows: int = 10) -> None:
    """An aircraft with two seats on each side, in rows 1 to `rows`."""
    with db.writing() as session:
        session.add(AircraftType(code="TINY", name="Tiny One"))
        session.flush()
        cabin = {"cabin": "economy", "first_row": 1, "last_row": rows, "layout": "AC DF", "capacity": rows * 4}
        session.add(AircraftCabin(aircraft="TINY", **cabin))


def seated(booking: Booking, flight: Flight, *seats: str) -> list[UUID]:
    """Choose these seats by name for the booking's travellers."""
    with db.writing() as session:
        found = session.scalars(
            text("select id from passengers where booking_id = :id order by position"), {"id": booking.id}
        )
        who = list(found)
        choices = [SeatChoice(flight.id, seat, one) for seat, one in zip(seats, who, strict=True)]
        seating.choose(session, holder=booking.id, choices=choices)
    return who


def seats(flight: Flight) -> dict[UUID, str]:
    with db.reading() as session:
        rows = session.execute(text("select occupant, seat from named_seats where flight_id = :id"), {"id": flight.id})
        return {row[0]: row[1] for row in rows}


def test_who_still_has_the_seat_keeps_it_and_the_others_move_together(settings: Settings, flight: Flight) -> None:
    small()
    stays, moves = (makers.confirmed(settings, makers.offer(settings, flight, party=Party(adults=2))) for _ in "ab")
    same = seated(stays, flight, "6A", "6C")
    other = seated(moves, flight, "20B", "20E")
    made = carry_out(flight, "swap", aircraft="TINY")
    now = seats(flight)
    assert [now[one] for one in same] == ["6A", "6C"]
    assert {now[one] for one in other}.isdisjoint({"20B", "20E", "6A", "6C"})
    assert len({now[one][:-1] for one in other}) == 1
    with db.reading() as session:
        hit = queries.affected_by_flight(session, flight.id)
    assert [(one.reference, one.why, one.needs_answer) for one in hit] == [(moves.reference, "swapped", False)]
    assert tell(made) == 1
    assert broken() == []


def test_who_must_leave_gives_the_name_up_at_once_and_is_asked(settings: Settings, flight: Flight) -> None:
    small(1)
    leaves, stays = (makers.confirmed(settings, makers.offer(settings, flight, party=Party(adults=2))) for _ in "ab")
    more = makers.confirmed(settings, makers.offer(settings, flight, party=Party(adults=2)))
    seated(leaves, flight, "4A", "4B")
    kept = seated(stays, flight, "5A", "5B")
    carry_out(flight, "swap", aircraft="TINY", leaving=frozenset({leaves.id}))
    assert set(seats(flight)) == set(kept)
    assert makers.status(more) == "confirmed"
    assert broken() == []


def keep(*rows: str) -> Counts:
    with db.writing() as session:
        lines = timetable_rows(io.StringIO("\n".join([",".join(COLUMNS), *rows]), newline=""))
        return flights.import_timetable(
            session, lines, bad_row=lambda *bad: said.append(str(bad[1])), progress=lambda *_: None
        )


said: list[str] = []
ROW = "ME,101,JFK,LAX,2027-03-01T08:00,2027-03-01T11:15,A320,175.00,USD"


def kept() -> Flight:
    with db.reading() as session:
        return session.query(Flight).one()


def test_a_timetable_file_neither_revives_nor_undoes_nor_refuses_what_staff_have_done(settings: Settings) -> None:
    said.clear()
    assert keep(ROW) == Counts(1, 0, 0)
    flight = kept()
    makers.confirmed(settings, makers.offer(settings, flight))
    later = timedelta(hours=1)
    carry_out(
        flight,
        "retime",
        departure_local=flight.departure_local + later,
        arrival_local=flight.arrival_local + later,
        reopen=True,
    )
    assert keep(ROW) == Counts(0, 0, 1)
    assert kept().departure_at == flight.departure_at + later
    carry_out(flight, "cancel")
    assert keep(ROW, ROW.replace("101", "102")) == Counts(1, 0, 1)
    assert makers.one("select status from flights where number = 101") == "cancelled"
    assert said == []
    assert broken() == []


def test_a_closed_sale_survives_a_file_with_another_aircraft(settings: Settings) -> None:
    small()
    keep(ROW)
    with db.writing() as session:
        from portal.flights import operations

        operations.close_sale(session, kept().id, actor_id=None)
    assert keep(ROW.replace("A320", "TINY")) == Counts(0, 0, 1)
    assert makers.one("select bool_and(closed_at_sold = 0) from flight_cabins") is True
    assert broken() == []


def test_the_dashboard_counts_the_day_of_a_changed_flight_again(settings: Settings, flight: Flight) -> None:
    carry_out(flight, "cancel")
    with db.reading() as session:
        letter = session.query(Letter).filter_by(kind="analytics.flight").one()
    HANDLERS["analytics.flight"](settings, letter)
    stale = "select count(*) from stale_days where kind = 'flights' and day = :day"
    assert makers.one(stale, day=flight.departs_on) == 1

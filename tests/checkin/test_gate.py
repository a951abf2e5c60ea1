"""The gate lets each good pass through once, tells the others apart, and writes down who flew."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from portal.booking.models import Booking
from portal.checkin import gate, queries, service
from portal.checkin.errors import AlreadyBoarded, BoardingClosed, UnknownFlight
from portal.checkin.forms import ScanIn
from portal.checkin.rules import Scan
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests.booking import makers as bookings
from tests.checkin import makers


def scan(staff_id: UUID, **given: object) -> Scan:
    with db.writing() as session:
        return gate.board(session, ScanIn.model_validate(given), staff_id=staff_id, now=clock.now())


def code(booking: Booking) -> str:
    return makers.passes(booking)[0].barcode


def test_a_pass_boards_once_and_is_told_so_again(settings: Settings, staff_id: UUID) -> None:
    flight = makers.leaving()
    booking = makers.paid(settings, flight)
    makers.check_in(booking)
    first = scan(staff_id, barcode=code(booking), flightId=flight.public_id)
    again = scan(staff_id, barcode=code(booking), flightId=flight.public_id)
    by_number = scan(staff_id, flightId=flight.public_id, sequence=1)
    assert [first.result, again.result, by_number.result] == ["boarded", "already_boarded", "already_boarded"]
    assert first.name == "SMITH/ANNAA"
    assert first.check_in is not None
    assert again.check_in is not None
    assert first.check_in.boarded_at == again.check_in.boarded_at
    assert bookings.one("select count(*) from check_ins where boarded_by is not null") == 1
    assert makers.broken() == []


def test_without_a_gate_the_pass_says_its_own_flight(settings: Settings, staff_id: UUID) -> None:
    booking = makers.paid(settings, makers.leaving())
    makers.check_in(booking)
    assert scan(staff_id, barcode=code(booking)).result == "boarded"


def test_another_flights_pass_is_sent_away_and_does_not_board(settings: Settings, staff_id: UUID) -> None:
    booking, other = makers.paid(settings, makers.leaving()), makers.leaving(number=102)
    makers.check_in(booking)
    assert scan(staff_id, barcode=code(booking), flightId=other.public_id).result == "wrong_flight"
    assert bookings.one("select count(*) from check_ins where boarded_at is not null") == 0


def test_an_undone_pass_is_no_longer_good_nor_is_its_number(settings: Settings, staff_id: UUID) -> None:
    flight = makers.leaving()
    booking = makers.paid(settings, flight)
    made = makers.check_in(booking)[0]
    kept = code(booking)
    with db.writing() as session:
        service.undo(session, booking.reference, made.id, now=clock.now())
    assert scan(staff_id, barcode=kept).result == "not_checked_in"
    assert scan(staff_id, flightId=flight.public_id, sequence=1).result == "not_checked_in"
    assert scan(staff_id, flightId=flight.public_id, sequence=2).result == "unknown"
    makers.check_in(booking)
    assert scan(staff_id, barcode=kept).result == "not_checked_in"
    assert scan(staff_id, barcode=code(booking)).result == "boarded"


@pytest.mark.parametrize(
    "forge",
    [
        lambda _text: "hello",
        lambda text: text.replace("SMITH/ANNAA", "SMITH/OTHER"),
        lambda text: text.replace(text[23:29], "ZZZZZ9"),
        lambda text: text[:36] + "XX " + text[39:],
        lambda text: text[:44] + "001" + text[47:],
    ],
)
def test_a_forged_pass_never_boards(settings: Settings, staff_id: UUID, forge: object) -> None:
    booking = makers.paid(settings, makers.leaving())
    makers.check_in(booking)
    forged = forge(code(booking))  # type: ignore[operator]  # a list of functions
    assert scan(staff_id, barcode=forged).result in ("unknown", "not_checked_in")
    assert bookings.one("select count(*) from check_ins where boarded_at is not null") == 0


def test_a_seat_that_changed_after_printing_is_said(settings: Settings, staff_id: UUID) -> None:
    booking = makers.paid(settings, makers.leaving())
    makers.check_in(booking, makers.everybody(booking, p0="14A"))
    printed = code(booking)
    makers.check_in(booking, makers.everybody(booking, p0="20F"))
    found = scan(staff_id, barcode=printed)
    assert (found.result, found.seat, found.seat_changed) == ("boarded", "20F", True)


def test_nobody_boards_a_closed_gate_or_a_cancelled_flight(settings: Settings, staff_id: UUID) -> None:
    flight = makers.leaving()
    booking = makers.paid(settings, flight)
    makers.check_in(booking)
    _close(flight, staff_id)
    with pytest.raises(BoardingClosed):
        scan(staff_id, barcode=code(booking))
    with db.writing() as session:
        gate.reopen(session, flight.public_id, staff_id=staff_id)
        session.execute(text("update flights set status = 'cancelled', sale_closed_at = now()"))
    with pytest.raises(BoardingClosed):
        scan(staff_id, barcode=code(booking))
    with db.writing() as session:
        session.execute(text("update flights set status = 'scheduled'"))
    assert scan(staff_id, barcode=code(booking)).result == "boarded"
    with pytest.raises(UnknownFlight):
        scan(staff_id, flightId=UUID(int=1), sequence=1)


def _close(flight: Flight, staff_id: UUID) -> None:
    with db.writing() as session:
        gate.close(session, flight.public_id, staff_id=staff_id, now=clock.now())


def test_who_has_boarded_is_not_taken_off_online(settings: Settings, staff_id: UUID) -> None:
    booking = makers.paid(settings, makers.leaving())
    made = makers.check_in(booking)[0]
    scan(staff_id, barcode=code(booking))
    with db.writing() as session, pytest.raises(AlreadyBoarded):
        service.undo(session, booking.reference, made.id, now=clock.now())


def test_after_landing_who_boarded_has_flown_and_the_others_did_not_come(settings: Settings, staff_id: UUID) -> None:
    flight = makers.leaving()
    boarded, missing, never = (makers.paid(settings, flight, party=Party(n)) for n in (2, 1, 1))
    makers.check_in(boarded)
    makers.check_in(missing)
    for number in (1, 2):
        scan(staff_id, flightId=flight.public_id, sequence=number)
    assert _settle(flight, before=True) == 0
    assert _settle(flight) == 1
    assert _settle(flight) == 0
    assert bookings.one("select count(*) from coupons where status = 'flown'") == 2
    assert bookings.one("select count(*) from no_shows") == 2
    with db.reading() as session:
        states = [row.state for row in queries.gate_list(session, flight.id)]
    assert sorted(states) == ["boarded", "boarded", "no_show", "no_show"]
    assert never.id != missing.id
    assert makers.broken() == []
    with db.writing() as session, pytest.raises(BoardingClosed):
        gate.reopen(session, flight.public_id, staff_id=staff_id)


def test_a_gate_that_never_scanned_says_nothing_about_who_flew(settings: Settings, staff_id: UUID) -> None:
    flight = makers.leaving()
    makers.check_in(makers.paid(settings, flight))
    assert _settle(flight) == 0
    _close(flight, staff_id)
    assert _settle(flight) == 1
    assert bookings.one("select count(*) from no_shows") == 1


def _settle(flight: Flight, *, before: bool = False) -> int:
    shift = timedelta(minutes=-1 if before else 1)
    with db.writing() as session:
        return gate.settle(session, now=flight.arrival_at + shift)


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        ("update coupons set status = 'open'", "a check-in is for a coupon"),
        ("delete from check_ins", "a checked-in coupon has its check-in"),
        ("update boardings set last_sequence = 0", "numbered from 1"),
        ("update coupons set status = 'flown'", "had boarded"),
        ("update passengers set cancelled_at = now()", "on a flight that they go on"),
    ],
)
def test_books_that_are_off_are_found(settings: Settings, spoil: str, rule: str) -> None:
    makers.check_in(makers.paid(settings, makers.leaving()))
    assert makers.broken() == []
    with db.writing() as session:
        session.execute(text(spoil))
    assert any(rule in finding for finding in makers.broken())

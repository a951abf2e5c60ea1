"""One direction is changed while somebody is checked in, or has boarded, for another: the pass stays good."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from portal.booking.models import Booking
from portal.checkin import gate, service
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.settings import Settings
from tests.booking import makers as bookings
from tests.booking.test_changing import change, offer
from tests.checkin import makers
from tests.checkin.test_gate import code, scan


def checked_in(settings: Settings) -> tuple[Booking, Flight]:
    """Return a return trip whose traveller is checked in for the way out, and the flight of the way out."""
    out, back = makers.leaving(10), makers.leaving(100, "LAX", "JFK", number=102)
    booking = makers.paid(settings, out, back)
    makers.check_in(booking, makers.everybody(booking)[:1])
    return booking, out


def another_way_back(settings: Settings, booking: Booking) -> None:
    change(booking, offer(settings, makers.leaving(124, "LAX", "JFK", number=104), bookings.ONE), at=1, waive=True)


def coupons(booking: Booking) -> list[str]:
    """Return how the ticket's coupons stand, flight by flight."""
    kept = makers.desk(booking).coupons.values()
    return [one.status for one in sorted(kept, key=lambda one: one.position)]


def test_the_pass_for_the_way_out_stays_good_when_the_way_back_is_changed(settings: Settings, staff_id: UUID) -> None:
    booking, out = checked_in(settings)
    (before,) = makers.passes(booking)
    another_way_back(settings, booking)
    (after,) = makers.passes(booking)
    assert (after.check_in.id, after.barcode[:60]) == (before.check_in.id, before.barcode[:60])
    assert after.check_in.ticket_number != before.check_in.ticket_number
    assert coupons(booking) == ["checked_in", "open"]
    assert scan(staff_id, barcode=before.barcode, flightId=out.public_id).result == "boarded"
    assert makers.broken() == []


def test_who_is_in_the_air_has_flown_though_the_way_back_was_changed(settings: Settings, staff_id: UUID) -> None:
    booking, _out = checked_in(settings)
    scan(staff_id, barcode=code(booking))
    with clock.shifted(timedelta(hours=12)):
        another_way_back(settings, booking)
    landed = timedelta(hours=24)
    with clock.shifted(landed), db.writing() as session:
        assert gate.settle(session, now=clock.now()) == 1
    assert bookings.one("select count(*) from coupons where status = 'flown'") == 1
    assert bookings.one("select count(*) from no_shows") == 0
    assert makers.broken() == []


def test_who_did_not_come_may_still_change_the_way_back(settings: Settings) -> None:
    booking, out = checked_in(settings)
    with db.writing() as session:
        session.execute(gate.SET_GATE, {"flight_id": out.id, "closed_at": clock.now()})
    with clock.shifted(timedelta(hours=24)), db.writing() as session:
        assert gate.settle(session, now=clock.now()) == 1
    with clock.shifted(timedelta(hours=24)):
        another_way_back(settings, booking)
    assert (
        bookings.one(
            "select count(*) from no_shows n join tickets t on t.number = n.ticket_number where t.status = 'open'"
        )
        == 1
    )
    assert makers.broken() == []


def test_a_check_in_that_moved_to_a_new_ticket_can_be_undone(settings: Settings) -> None:
    booking, out = checked_in(settings)
    another_way_back(settings, booking)
    (made,) = makers.desk(booking).checked_in.values()
    with db.writing() as session:
        service.undo(session, booking.reference, made.id, now=clock.now())
    assert coupons(booking) == ["open", "open"]
    makers.check_in(booking, makers.everybody(booking)[:1])
    assert {flight for _who, flight in makers.desk(booking).checked_in} == {out.id}
    assert makers.broken() == []

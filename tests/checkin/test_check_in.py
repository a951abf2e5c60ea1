"""Who may check in, for what and when; that numbers, seats, coupons and documents come out right; and undoing it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from portal.booking.rules import check_in_window
from portal.checkin import errors, queries, service
from portal.checkin.forms import Wish
from portal.flights.errors import SeatTaken, SeatUnknown
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.seats.errors import SeatNotAllowed
from tests.booking import makers as bookings
from tests.checkin import makers

FAMILY = Party(2, 1, 1)


def test_a_family_is_numbered_seated_together_and_keeps_its_infant_on_a_lap(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(), party=FAMILY)
    made = makers.check_in(booking)
    passes = makers.passes(booking)
    assert [one.sequence_number for one in made] == [1, 2, 3, 4]
    assert [one.passenger.type for one in passes] == ["adult", "adult", "child", "infant"]
    rows = {one.seat[:-1] for one in passes if one.seat}
    assert len(rows) == 1
    assert passes[3].seat is None
    assert "INF " in passes[3].barcode
    assert passes[3].company == "on the lap of Annaa Smith"
    assert bookings.one("select count(*) from coupons where status = 'checked_in'") == 4
    assert makers.broken() == []


def test_again_changes_nothing(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(), party=Party(2))
    first = makers.check_in(booking)
    assert makers.check_in(booking) == first
    assert bookings.one("select count(*) from letters where kind = 'checkin.done'") == 1
    assert bookings.one("select last_sequence from boardings") == 2


@pytest.mark.parametrize(("hours", "words"), [(25, "opens"), (0.9, "desk at the airport"), (-1, "has left")])
def test_outside_of_the_window_it_says_why_and_what_to_do(settings: Settings, hours: float, words: str) -> None:
    booking = makers.paid(settings, makers.leaving(30))
    ahead = timedelta(hours=30 - hours)
    with clock.shifted(ahead), pytest.raises(errors.CheckInClosed, match=words):
        makers.check_in(booking)
    assert bookings.one("select count(*) from check_ins") == 0


def test_the_window_is_open_on_both_of_its_edges_but_the_last(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(30))
    opens, closes = check_in_window(makers.desk(booking).view.flights[0])
    wishes = makers.everybody(booking)
    for moment, good in ((opens - timedelta(seconds=1), False), (closes, False), (opens, True)):
        with db.writing() as session:
            try:
                service.check_in(session, booking.reference, wishes, now=moment)
                assert good
            except errors.CheckInClosed:
                assert not good
                session.rollback()


def test_an_unpaid_a_foreign_and_a_cancelled_flight_are_refused(settings: Settings) -> None:
    flight = makers.leaving()
    held = bookings.named(settings, bookings.offer(settings, flight))
    with pytest.raises(errors.CheckInClosed, match="paid"):
        makers.check_in(held)
    booking = makers.paid(settings, flight)
    other = makers.leaving(number=102)
    who = makers.desk(booking).view.passengers[0].id
    with pytest.raises(errors.CheckInClosed, match="not part"):
        makers.check_in(booking, [Wish(who, other.public_id)])
    stranger = makers.desk(held).view.passengers[0].id
    with pytest.raises(errors.CheckInClosed, match="no ticket"):
        makers.check_in(booking, [Wish(stranger, flight.public_id)])


def test_an_infant_needs_its_adult_and_a_child_somebody_grown_up(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(), party=FAMILY)
    people = makers.desk(booking).view.passengers
    flight = makers.desk(booking).view.flights[0].public_id
    for who in (people[2], people[3]):
        with pytest.raises(errors.PartySplit, match="check in"):
            makers.check_in(booking, [Wish(who.id, flight)])
    made = makers.check_in(booking, [Wish(people[0].id, flight)])
    assert {one.passenger_id for one in made} == {people[0].id, people[3].id}


def test_a_seat_is_chosen_freely_but_not_another_ones_nor_one_that_is_not_there(settings: Settings) -> None:
    flight = makers.leaving()
    mine, theirs = makers.paid(settings, flight), makers.paid(settings, flight)
    makers.check_in(theirs, makers.everybody(theirs, p0="14B"))
    with pytest.raises(SeatTaken):
        makers.check_in(mine, makers.everybody(mine, p0="14B"))
    with pytest.raises(SeatUnknown):
        makers.check_in(mine, makers.everybody(mine, p0="99Z"))
    assert bookings.one("select count(*) from check_ins") == 1
    makers.check_in(mine, makers.everybody(mine, p0="14A"))
    assert makers.passes(mine)[0].seat == "14A"
    assert "014A" in makers.passes(mine)[0].barcode
    makers.check_in(mine, makers.everybody(mine, p0="15C"))
    assert makers.passes(mine)[0].seat == "15C"
    assert makers.broken() == []


def test_no_child_nor_lap_sits_by_an_exit(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(), party=FAMILY)
    with pytest.raises(SeatNotAllowed, match="exit"):
        makers.check_in(booking, makers.everybody(booking, p0="12A"))
    with pytest.raises(SeatNotAllowed, match="exit"):
        makers.check_in(booking, makers.everybody(booking, p2="13A"))
    makers.check_in(booking, makers.everybody(booking, p1="12A"))
    assert {one.seat for one in makers.passes(booking)} >= {"12A"}


def test_over_a_border_each_traveller_shows_a_document_that_outlasts_the_trip(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(10, "MUC", "JFK", minutes=540), party=Party(2))
    with pytest.raises(errors.DocumentsMissing) as missing:
        makers.check_in(booking)
    assert [error.pointer for error in missing.value.errors] == ["0.number", "1.number"]
    short = replace(makers.PASSPORT, expires_on=clock.now().date(), nationality="ZZ", number="?")
    with pytest.raises(errors.DocumentsMissing) as wrong:
        makers.check_in(booking, document=short)
    assert {error.pointer.split(".")[1] for error in wrong.value.errors} == {"number", "expiresOn", "nationality"}
    assert bookings.one("select count(*) from travel_documents") == 0
    makers.check_in(booking, document=makers.PASSPORT)
    assert bookings.one("select count(*) from travel_documents where number = 'C01X00T47'") == 2


def test_nothing_is_kept_of_who_crosses_no_border(settings: Settings) -> None:
    makers.check_in(makers.paid(settings, makers.leaving()), document=makers.PASSPORT)
    assert bookings.one("select count(*) from travel_documents") == 0


def test_documents_are_erased_some_days_after_the_last_flight(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(10, "MUC", "JFK", minutes=540))
    makers.check_in(booking, document=makers.PASSPORT)
    landed = makers.desk(booking).view.flights[0].arrival_at
    with db.writing() as session:
        assert service.forget_documents(session, before=landed - timedelta(seconds=1)) == 0
        assert service.forget_documents(session, before=landed) == 1
    assert bookings.one("select count(*) from travel_documents") == 0


def test_undone_it_is_open_again_the_seat_stays_and_the_number_is_never_given_twice(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(), party=FAMILY)
    made = makers.check_in(booking)
    people = {one.id: one.type for one in makers.desk(booking).view.passengers}
    seats = makers.desk(booking).seats
    adults = [one for one in made if people[one.passenger_id] == "adult"]
    with db.writing() as session:
        service.undo(session, booking.reference, adults[0].id, now=clock.now())
    assert [people[one.passenger_id] for one in makers.desk(booking).checked_in.values()] == ["adult", "child"]
    with db.writing() as session, pytest.raises(errors.PartySplit):
        service.undo(session, booking.reference, adults[1].id, now=clock.now())
    again = makers.check_in(booking)
    assert sorted(one.sequence_number for one in again) == [2, 3, 5, 6]
    assert makers.desk(booking).seats == seats
    assert makers.broken() == []


def test_a_full_cabin_still_finds_the_seat_that_was_sold(settings: Settings) -> None:
    flight = makers.leaving()
    booking = makers.paid(settings, flight, party=Party(9))
    makers.check_in(booking)
    assert len({one.seat for one in makers.passes(booking)}) == 9


def test_a_late_flight_is_checked_in_and_boarded_late(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(30))
    with db.writing() as session:
        late = "estimated_departure_at = departure_at + interval '3 hours'"
        session.execute(text(f"update flights set {late}, estimated_arrival_at = arrival_at + interval '3 hours'"))
    with clock.shifted(timedelta(hours=31)):
        makers.check_in(booking)
    one = makers.passes(booking)[0]
    assert one.is_late
    assert one.boarding_local - one.flight.departure == timedelta(hours=3, minutes=-40)


@pytest.mark.parametrize("state", ["void", "refunded"])
def test_who_loses_the_ticket_is_no_longer_checked_in(settings: Settings, state: str) -> None:
    booking = makers.paid(settings, makers.leaving(), party=Party(2))
    gone = makers.check_in(booking)[0]
    with db.writing() as session:
        session.execute(
            text("update coupons set status = :s where ticket_number = :t"), {"s": state, "t": gone.ticket_number}
        )
    assert [one.sequence_number for one in makers.desk(booking).checked_in.values()] == [2]
    with db.reading() as session:
        assert queries.broken_check_ins(session) == []


def test_on_a_direction_that_one_adult_left_the_infant_goes_with_the_other(settings: Settings) -> None:
    from portal.booking import amending

    out, back = makers.leaving(5), makers.leaving(20, "LAX", "JFK", number=102)
    booking = makers.paid(settings, out, back, party=Party(adults=2, infants=1))
    first, second, infant = makers.desk(booking).view.passengers
    with db.writing() as session:
        quote = amending.quote_cancellation(
            session, booking.reference, passenger_ids=[first.id], slice_positions=[1], actor_id=None
        )
        amending.confirm(session, quote.id, key="leaves")
    wishes = [
        Wish(one.id, flight.public_id, None, None) for flight, one in ((out, first), (out, second), (back, second))
    ]
    made = makers.check_in(booking, wishes)
    assert {(one.passenger_id, one.flight_id) for one in made} == {
        *((who.id, out.id) for who in (first, second, infant)),
        *((who.id, back.id) for who in (second, infant)),
    }
    with db.writing() as session, pytest.raises(errors.CheckInClosed):
        service.check_in(session, booking.reference, [Wish(first.id, back.public_id, None, None)], now=clock.now())
    assert makers.broken() == []

"""Who sits where once checked in: as the account likes it, never by an exit with a lap, and told everywhere."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from portal.booking import amending
from portal.booking.forms import booking_wire
from portal.booking.models import Booking
from portal.checkin import rules
from portal.checkin.errors import NoSeatLeft
from portal.flights import seating
from portal.flights.models import Flight
from portal.flights.seating import SeatChoice
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.seats.rules import Liked
from portal.tickets.rules import trips
from tests.booking.test_items import choose, pay, wish
from tests.checkin import makers
from tests.checkin.test_pages import Own, at, chosen, picks
from tests.trips.conftest import users

__all__ = ["users"]


def left_with_the_infant(settings: Settings, flight: Flight, seat: str) -> Booking:
    """Return a trip of an adult with an infant, from which the other adult, who had the infant, was cancelled."""
    booking = makers.paid(settings, flight, party=Party(adults=2, infants=1))
    first, second, _infant = makers.desk(booking).view.passengers
    with db.writing() as session:
        seating.choose(session, holder=booking.id, choices=[SeatChoice(flight.id, seat, second.id)])
    with db.writing() as session:
        quote = amending.quote_cancellation(session, booking.reference, passenger_ids=[first.id], actor_id=None)
        amending.confirm(session, quote.id, key="leaves")
    return booking


def test_who_comes_to_have_the_infant_leaves_the_exit_row_at_check_in(settings: Settings, own: Own) -> None:
    booking = left_with_the_infant(settings, makers.leaving(), "12A")
    client = own(booking)
    step = client.post(at(booking), data={"pick": picks(client.get(at(booking)).text)}).headers["location"]
    assert '<option value="12A"' not in client.get(step).text
    makers.check_in(booking)
    seats = {one.seat for one in makers.passes(booking)}
    assert None in seats
    assert "12A" not in seats
    assert len(seats) == 2
    assert makers.broken() == []


def test_where_no_other_seat_is_free_the_desk_finds_one(settings: Settings) -> None:
    flight = makers.leaving()
    booking = left_with_the_infant(settings, flight, "12A")
    others = [f"{row}{letter}" for row in range(1, 40) for letter in "ABCDEF" if row not in (12, 13)]
    with db.reading() as session:
        plan = seating.seat_plan(session, flight.id).cabin("economy")
    assert plan is not None
    free = [seat.name for seat in plan.seats if seat.name in others]
    rest = makers.paid(settings, flight, party=Party(adults=9))
    crowd = [rest, *(makers.paid(settings, flight, party=Party(adults=9)) for _ in range(len(free) // 9))]
    people = [(one, who.id) for one in crowd for who in makers.desk(one).view.passengers]
    with db.writing() as session:
        for one in crowd:
            mine = [(seat, who) for seat, (owner, who) in zip(free, people, strict=False) if owner is one]
            choices = [SeatChoice(flight.id, seat, who) for seat, who in mine]
            seating.choose(session, holder=one.id, choices=choices)
    with pytest.raises(NoSeatLeft):
        makers.check_in(booking)


def seats_told(booking: Booking) -> tuple[list[str], list[str]]:
    """Return the seats that the API tells, and those of the itinerary."""
    view = makers.desk(booking).view
    told = booking_wire(view, clock.now())["seats"]
    return [one["seat"] for one in told], [seat for trip in trips(view) for leg in trip.legs for seat in leg.seats]


def test_a_seat_that_was_given_at_check_in_is_told_with_the_booking(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving())
    assert seats_told(booking) == ([], [])
    makers.check_in(booking)
    seat = makers.passes(booking)[0].seat
    assert seats_told(booking) == ([seat], [seat])


def test_another_seat_at_check_in_takes_the_place_of_the_one_that_was_bought(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving())
    bought = wish(booking, kind="seat", label="Seat 14A, ME101", seat="14A")
    assert choose(booking, bought, kinds=frozenset(("seat",))) is not None
    pay(booking)
    makers.check_in(booking, makers.everybody(booking, p0="20C"))
    assert seats_told(booking) == (["20C"], ["20C"])
    (extra,) = makers.desk(booking).view.items
    assert (extra.seat, extra.label, extra.amount_minor) == ("20C", "Seat 20C, ME101", 3000)
    assert makers.broken() == []


@pytest.fixture(params=["window", "aisle"])
def liking(request: pytest.FixtureRequest, settings: Settings, users: dict[str, UUID]) -> tuple[Booking, str]:
    """A booking of an account that likes to sit there, and the letters of such seats."""
    booking = makers.paid(settings, makers.leaving())
    with db.writing() as session:
        mine = {"who": users["customer"], "id": booking.id, "seat": request.param}
        session.execute(text("update bookings set user_id = :who where id = :id"), mine)
        session.execute(text("insert into preferences (user_id, seat) values (:who, :seat)"), mine)
    return booking, {"window": "AF", "aisle": "CD"}[request.param]


def test_check_in_gives_the_seat_that_the_account_likes(settings: Settings, liking: tuple[Booking, str]) -> None:
    booking, letters = liking
    makers.check_in(booking)
    assert (makers.passes(booking)[0].seat or "?")[-1] in letters


def test_the_page_suggests_it_too(settings: Settings, own: Own, liking: tuple[Booking, str]) -> None:
    booking, letters = liking
    client = own(booking)
    step = client.post(at(booking), data={"pick": picks(client.get(at(booking)).text)}).headers["location"]
    (seat,) = chosen(client.get(step).text).values()
    assert seat[-1] in letters


def test_a_party_stays_together_whatever_one_of_it_likes(settings: Settings) -> None:
    flight = makers.leaving(number=202)
    with db.reading() as session:
        cabin = seating.seat_plan(session, flight.id).cabin("economy")
    assert cabin is not None
    for likes in ("window", "aisle"):
        found = rules.seats_together(cabin, 3, wish=Liked(likes))
        assert found is not None
        assert len({seat.row for seat in found}) == 1
        assert any(likes in seat.features for seat in found)

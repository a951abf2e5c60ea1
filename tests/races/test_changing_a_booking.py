"""Two at once at one booking that is paid: change against cancel, two clerks, expiry against payment; swaps."""

from __future__ import annotations

from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from portal.booking import amending, applying, errors
from portal.booking.models import Amendment, Booking
from portal.flights.errors import SoldOut
from portal.kit import db
from portal.kit.settings import Settings
from tests import world
from tests.booking import makers
from tests.booking.test_cancelling import quote, seen, sold
from tests.booking.test_changing import later, offer
from tests.booking.test_changing import quote as quote_change
from tests.booking.test_items import choose, wish
from tests.races.test_same_booking import at_once


def confirm(quoted: UUID) -> str:
    with db.writing() as session:
        return amending.confirm(session, quoted, key=uuid4().hex).state


def careless(quoted: UUID, look: Barrier) -> str:
    """Look whether the quote still stands and then do it, as if nobody else could come between."""
    with db.writing() as session:
        amendment = session.get_one(Amendment, quoted)
        booking = session.get_one(Booking, amendment.booking_id)
        fresh = amendment.state == "quoted" and booking.status == "confirmed"
        look.wait()
        if fresh:
            applying.apply(session, booking, amendment)
        return amendment.state


def lapse(booking: Booking) -> None:
    """Let the time to pay for a change be over, in the amendment and in what it holds."""
    with db.writing() as session:
        gone = text("update amendments set expires_at = now() - interval '1 second' where booking_id = :id")
        session.execute(gone, {"id": booking.id})
        session.execute(text("update seat_claims set expires_at = now() - interval '1 s' where expires_at is not null"))


def test_a_change_and_a_cancellation_end_in_one_of_them(settings: Settings) -> None:
    for number in range(1, 6):  # Flights of their own: a fuller one is dearer, and a change to it waits to be paid.
        old, new = makers.flight(number=number), later(number=100 + number)
        booking = sold(settings, old, brand="Flex")
        changed = quote_change(booking, offer(settings, new, brand="Flex")).id
        cancelled = quote(booking).id
        told = at_once(lambda id=changed: confirm(id), lambda id=cancelled: confirm(id))  # type: ignore[misc]  # the default binds the round's id
        assert sorted(str(one) == "done" for one in told) == [False, True], told
        assert any(isinstance(one, errors.NotHeld | errors.QuoteOutdated) for one in told), told
    assert makers.broken() == []


def test_a_careless_look_runs_into_the_wall_or_does_both(settings: Settings) -> None:
    """Both pass the look; then the table's own walls stop the second, with no word that a traveller could use."""
    booking, look = sold(settings, makers.flight()), Barrier(2)
    quoted = [quote(booking, passenger_ids=[one.id]).id for one in seen(booking).passengers]
    told = at_once(*[lambda id=one: careless(id, look) for one in quoted])  # type: ignore[misc]  # as above
    refused = [one for one in told if isinstance(one, errors.NotHeld | errors.QuoteOutdated)]
    assert (refused, len([one for one in told if isinstance(one, IntegrityError) or one == "done"])) == ([], 2)
    assert any(isinstance(one, IntegrityError) for one in told) or makers.broken() != []


def test_two_clerks_cancel_one_traveller_each_and_one_must_look_again(settings: Settings) -> None:
    flight = makers.flight()
    for _round in range(5):
        booking = sold(settings, flight)
        quoted = [quote(booking, passenger_ids=[one.id]).id for one in seen(booking).passengers]
        told = at_once(*[lambda id=one: confirm(id) for one in quoted])  # type: ignore[misc]  # as above
        assert sum(one == "done" for one in told) == 1
        assert sum(isinstance(one, errors.QuoteOutdated) for one in told) == 1
        assert len(seen(booking).active_passengers) == 1
    assert makers.broken() == []


def test_the_same_cancellation_from_many_sides_is_one_refund(settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    quoted = quote(booking).id
    assert at_once(*[lambda: confirm(quoted)] * 6) == ["done"] * 6
    assert makers.one("select count(*) from refunds") == 1
    assert makers.broken() == []


def test_a_late_payment_and_the_sweep_end_in_a_change_or_a_refund_never_in_both(settings: Settings) -> None:
    old, new = makers.flight(), later(fare_minor=30_000)
    for _round in range(6):
        booking = sold(settings, old)
        confirm(quote_change(booking, offer(settings, new)).id)
        payment = makers.begun(booking)
        makers.settled(payment, "abandoned")
        lapse(booking)

        def sweep() -> int:
            with db.writing() as session:
                return amending.lapse_amendments(session)

        at_once(sweep, lambda id=payment: makers.settled(id), sweep)  # type: ignore[misc]  # as above
        refunds = makers.one("select count(*) from refunds where payment_id = :id", id=payment)
        flown = [one.id for one in seen(booking).flights]
        assert (flown, refunds) in (([new.id], 0), ([old.id], 1))
    assert makers.broken() == []


def test_two_keys_at_once_never_have_two_changes_waiting(settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    told = at_once(
        *[lambda amount=amount: choose(booking, wish(booking, amount=amount)) for amount in (1000, 2000, 3000)]
    )  # type: ignore[misc]  # as above
    assert not [one for one in told if isinstance(one, Exception)]
    assert makers.one("select count(*) from amendments where state = 'paying'") == 1
    assert makers.broken() == []


def test_travellers_who_swap_flights_never_wait_for_each_other(settings: Settings) -> None:
    one, other = makers.flight(number=501), later(number=502)
    here = [sold(settings, one, brand="Flex") for _ in range(3)]
    there = [sold(settings, other, brand="Flex") for _ in range(3)]
    quoted = [quote_change(booking, offer(settings, other, brand="Flex")).id for booking in here]
    quoted += [quote_change(booking, offer(settings, one, brand="Flex")).id for booking in there]
    assert at_once(*[lambda id=it: confirm(id) for it in quoted]) == ["done"] * 6  # type: ignore[misc]  # as above
    assert makers.broken() == []


def test_the_last_seats_of_another_flight_go_to_one_of_those_who_change(settings: Settings) -> None:
    old = makers.flight()
    bookings = [sold(settings, old, brand="Flex") for _ in range(4)]
    new = makers.flight(number=600, on=world.soon(35), seats=2)
    quoted = [quote_change(booking, offer(settings, new, brand="Flex")).id for booking in bookings]
    told: list[Any] = at_once(*[lambda id=it: confirm(id) for it in quoted])  # type: ignore[misc]  # as above
    assert sum(it == "done" for it in told) == 1
    assert sum(isinstance(it, SoldOut) for it in told) == 3
    assert makers.broken() == []

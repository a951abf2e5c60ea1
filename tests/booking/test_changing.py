"""Another day or another flight: what it costs, what becomes of seats, tickets and extras, what is refused."""

from __future__ import annotations

from datetime import time
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from portal.booking import amending, errors
from portal.booking.models import Amendment, Booking
from portal.flights.errors import SoldOut
from portal.flights.models import Flight
from portal.kit import db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.search.rules import Offer
from tasks.handlers import HANDLERS
from tests import world
from tests.booking import makers
from tests.booking.test_cancelling import FAMILY, TWO, cancel, seen, sold, there_and_back
from tests.booking.test_items import choose, wish


def later(*, fare_minor: int = 20_000, days: int = 33, **given: Any) -> Flight:
    """Return the flight of another day."""
    return makers.flight(on=world.soon(days), fare_minor=fare_minor, **given)


def change(booking: Booking, offer: Offer, *, at: int = 0, **given: Any) -> Amendment:
    """Quote, confirm and commit."""
    quoted = quote(booking, offer, at=at, **given)
    with db.writing() as session:
        return amending.confirm(session, quoted.id, key=uuid4().hex)


def quote(booking: Booking, offer: Offer, *, at: int = 0, **given: Any) -> Amendment:
    """Quote and commit."""
    with db.writing() as session:
        return amending.quote_change(session, booking.reference, slice_position=at, offer=offer, actor_id=None, **given)


def offer(settings: Settings, flight: Flight, party: Party = TWO, brand: str = "Standard") -> Offer:
    return makers.offer(settings, flight, party=party, brand=brand)


def holders(flight: Flight) -> object:
    return makers.one(
        "select held * 1000 + sold from flight_cabins where flight_id = :id and cabin = 'economy'", id=flight.id
    )


def test_a_dearer_flight_is_held_while_it_is_paid_and_then_flown(settings: Settings) -> None:
    old, new = makers.flight(), later(fare_minor=30_000)
    booking = sold(settings, old)
    total, target = seen(booking).total_minor, offer(settings, new)
    waiting = change(booking, target)
    assert (waiting.state, waiting.penalty_minor) == ("paying", 2 * 7_500)
    assert waiting.due_minor == target.total_minor - total + 15_000
    assert (holders(old), holders(new)) == (2, 2_000)
    assert [one.id for one in seen(booking).flights] == [old.id]
    assert makers.broken() == []
    makers.settled(makers.begun(booking))
    view = seen(booking)
    assert [one.id for one in view.flights] == [new.id]
    assert view.total_minor == view.paid_minor == target.total_minor + 15_000
    assert (holders(old), holders(new)) == (0, 2)
    assert makers.one("select count(*) from tickets where status = 'exchanged'") == 2
    assert makers.one("select count(*) from tickets where in_exchange_for is not null and status = 'open'") == 2
    assert makers.one("select count(*) from coupons where status = 'void'") == 2
    assert makers.broken() == []


def test_a_flexible_fare_moves_for_nothing_and_what_is_cheaper_goes_back(settings: Settings) -> None:
    booking = sold(settings, makers.flight(fare_minor=30_000), brand="Flex")
    done = change(booking, offer(settings, later(fare_minor=20_000), brand="Flex"))
    assert (done.state, done.penalty_minor, done.due_minor) == ("done", 0, 0)
    assert done.refund_minor > 0
    assert makers.one("select sum(amount_minor) from refunds") == done.refund_minor
    assert makers.broken() == []


def test_what_is_not_refunded_is_kept_when_the_new_flight_is_cheaper(settings: Settings) -> None:
    flight, brand = makers.flight(fare_minor=50_000), "Basic"
    booking = makers.confirmed(settings, makers.offer(settings, flight, brand=brand, cabin="business"))
    with db.writing() as session:
        session.execute(text("update bookings set confirmed_at = confirmed_at - interval '2 days'"))
    conditions = seen(booking).slices[0].conditions
    assert (conditions["refund"]["allowed"], conditions["change"]["allowed"]) == (False, True)
    done = change(booking, makers.offer(settings, later(fare_minor=20_000), brand=brand, cabin="business"))
    assert (done.refund_minor, done.due_minor) == (0, 0)
    assert {line["code"] for line in done.lines} >= {"fare_kept", "change_fee"}
    assert makers.broken() == []


def test_a_basic_fare_is_not_changed_but_by_a_carrier_at_fault(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), brand="Basic")
    total, new = seen(booking).total_minor, later(fare_minor=90_000)
    with pytest.raises(errors.ActionClosed):
        quote(booking, offer(settings, new, brand="Basic"))
    done = change(booking, offer(settings, new, brand="Basic"), waive=True)
    assert (done.state, seen(booking).total_minor) == ("done", total)
    assert [one.id for one in seen(booking).flights] == [new.id]
    assert makers.broken() == []


def test_directions_stay_in_order_and_ages_are_looked_at_anew(settings: Settings) -> None:
    out, back = there_and_back()
    booking = sold(settings, out, back, party=FAMILY)
    with pytest.raises(errors.ActionClosed, match="before the one before it has landed"):
        quote(booking, offer(settings, later(days=50), FAMILY))
    born = "update passengers set date_of_birth = :born where type = 'infant'"
    with db.writing() as session:
        session.execute(text(born), {"born": world.soon(41).replace(year=world.soon(41).year - 2)})
    too_late = makers.flight(number=402, origin="LAX", destination="JFK", on=world.soon(42))
    with pytest.raises(errors.ActionClosed, match="Turns 2"):
        quote(booking, offer(settings, too_late, FAMILY), at=1)


def test_an_offer_must_be_for_this_way_and_these_travellers(settings: Settings) -> None:
    out, back = there_and_back()
    booking = sold(settings, out, back)
    for wrong in (offer(settings, back), offer(settings, later(), FAMILY), offer(settings, out)):
        with pytest.raises(errors.ActionClosed):
            quote(booking, wrong)


def test_a_full_flight_is_refused_and_nothing_is_lost(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), brand="Flex")
    with pytest.raises(SoldOut):
        change(booking, offer(settings, later(seats=1), brand="Flex"))
    assert makers.broken() == []


def test_what_is_not_paid_in_time_gives_the_new_seats_back(settings: Settings) -> None:
    old, new = makers.flight(), later(fare_minor=30_000)
    booking = sold(settings, old)
    change(booking, offer(settings, new))
    with db.writing() as session:
        session.execute(text("update amendments set expires_at = now() - interval '1 second'"))
        session.execute(text("update seat_claims set expires_at = now() - interval '1 s' where expires_at is not null"))
    assert makers.broken() == []
    with pytest.raises(errors.QuoteExpired):
        makers.begun(booking)
    with db.writing() as session:
        assert amending.lapse_amendments(session) == 1
    assert (holders(old), holders(new)) == (2, 0)
    assert makers.broken() == []


def test_money_for_seats_that_are_gone_goes_back_and_the_old_flight_stays(settings: Settings) -> None:
    old, new = makers.flight(), later(fare_minor=30_000, seats=2)
    booking = sold(settings, old)
    change(booking, offer(settings, new))
    payment = makers.begun(booking)
    with db.writing() as session:
        session.execute(text("update seat_claims set expires_at = now() - interval '1 s' where expires_at is not null"))
    makers.held(settings, makers.offer(settings, new, party=TWO))
    makers.settled(payment)
    assert makers.one("select count(*) from refunds where payment_id = :id", id=payment) == 1
    assert [one.id for one in seen(booking).flights] == [old.id]
    assert makers.one("select state from amendments") == "lapsed"
    assert makers.broken() == []


def test_bags_come_along_and_seats_stay_behind(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), brand="Flex")
    choose(booking, wish(booking, amount=0))
    choose(booking, wish(booking, "seat", 0, seat="14B"), kinds=frozenset({"seat"}))
    new = later()
    change(booking, offer(settings, new, brand="Flex"))
    assert [(one.kind, one.flight_id) for one in seen(booking).items] == [("bag", new.id)]
    assert makers.broken() == []


def test_one_flight_becomes_two_and_back(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), brand="Flex")
    choose(booking, wish(booking, amount=0))
    first = later(destination="ORD", minutes=150, number=201, fare_minor=5_000)
    second = later(origin="ORD", destination="LAX", at=time(13, 0), minutes=250, number=202, fare_minor=5_000)
    change(booking, makers.offer(settings, first, second, party=TWO, brand="Flex"))
    assert [one.flight_id for one in seen(booking).items] == [first.id, second.id]
    change(booking, offer(settings, later(days=36, fare_minor=5_000), brand="Flex"))
    assert len(seen(booking).items) == 1
    assert makers.broken() == []


def test_who_left_a_direction_keeps_the_ticket_when_the_others_change_it(settings: Settings) -> None:
    out, back = there_and_back()
    booking = sold(settings, out, back)
    anna, ben = seen(booking).passengers
    cancel(booking, passenger_ids=[anna.id], slice_positions=[1])
    new = makers.flight(number=404, origin="LAX", destination="JFK", on=world.soon(43))
    one = Party(adults=1)
    with pytest.raises(errors.ActionClosed):
        quote(booking, makers.offer(settings, new, party=TWO, brand="Standard"), at=1, waive=True)
    done = change(booking, makers.offer(settings, new, party=one, brand="Standard"), at=1, waive=True)
    assert (done.payload["take"], done.payload["give"]) == (
        [[new.id, "economy", 1]],
        [[back.id, "economy", 1]],
    )
    view = seen(booking)
    assert view.passengers[0].ticket_number == anna.ticket_number
    assert view.passengers[1].ticket_number != ben.ticket_number
    assert makers.broken() == []
    other = later()
    change(booking, makers.offer(settings, other, party=TWO, brand="Standard"), waive=True)
    counts = "select count(*) from coupons c join tickets t on t.number = c.ticket_number where t.status = 'open'"
    assert [makers.one(f"{counts} and t.passenger_id = :id", id=one.id) for one in view.passengers] == [1, 2]
    assert makers.broken() == []


def test_the_price_of_a_change_is_of_who_flies_that_direction(settings: Settings) -> None:
    out, back = there_and_back()
    booking = sold(settings, out, back)
    cancel(booking, passenger_ids=[seen(booking).passengers[0].id], slice_positions=[0])
    target = makers.offer(settings, later(fare_minor=30_000), party=Party(adults=1), brand="Standard")
    due = quote(booking, target)
    assert due.penalty_minor == 7_500
    assert {line["passenger_id"] for line in due.lines} == {str(seen(booking).passengers[1].id)}


def test_what_was_never_made_is_forgotten_after_half_a_year_and_what_was_paid_for_stays(settings: Settings) -> None:
    old, new = makers.flight(), later(fare_minor=30_000)
    tried, paid_for = sold(settings, old), sold(settings, old)
    for booking in (tried, paid_for):
        change(booking, offer(settings, new))
    makers.settled(makers.begun(paid_for), "declined")
    with db.writing() as session:
        session.execute(text("update amendments set expires_at = now() - interval '1 second'"))
    for _again in range(2):
        with db.writing() as session:
            amending.lapse_amendments(session)
    kept = "select count(*) from amendments where state = 'lapsed'"
    HANDLERS["amendments.forget"](settings, Letter(kind="amendments.forget", payload={}))
    assert makers.one(kept) == 2
    with db.writing() as session:
        session.execute(text("update amendments set expires_at = now() - interval '181 days'"))
    HANDLERS["amendments.forget"](settings, Letter(kind="amendments.forget", payload={}))
    assert makers.one(kept) == 1
    assert makers.one("select booking_id from amendments") == paid_for.id
    assert makers.broken() == []


def test_a_change_to_a_later_day_does_not_open_the_24_hour_rule(settings: Settings) -> None:
    booking = sold(settings, makers.flight(on=world.soon(5)), days=0)
    change(booking, offer(settings, later()))
    makers.settled(makers.begun(booking))
    quoted = cancel(booking)
    assert (quoted.payload["rule"], quoted.penalty_minor) == ("conditions", 2 * 12_000)
    assert makers.broken() == []


def test_nor_does_a_free_change_keep_it_open_for_a_flight_within_the_week(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), days=0)
    assert change(booking, offer(settings, later(days=4))).payload["rule"] == "within_24_hours"
    assert cancel(booking).payload["rule"] == "conditions"


def test_within_the_24_hours_a_change_may_still_be_taken_back_whole(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), days=0)
    change(booking, offer(settings, later()))
    total = seen(booking).total_minor
    done = cancel(booking)
    assert (done.payload["rule"], done.refund_minor, seen(booking).total_minor) == ("within_24_hours", total, 0)


@pytest.mark.parametrize(("brand", "kept_minor"), [("Standard", 25_000), ("Basic", None)])
def test_a_dearer_fare_on_the_same_flight_opens_no_refund(
    settings: Settings, brand: str, kept_minor: int | None
) -> None:
    """The first takes 250 dollars for a refund and the second gives none; the fare that follows would give all."""
    flight = makers.flight(fare_minor=50_000)
    booking = makers.confirmed(settings, makers.offer(settings, flight, brand=brand, cabin="business"))
    with db.writing() as session:
        session.execute(text("update bookings set confirmed_at = confirmed_at - interval '2 days'"))
    had = seen(booking).slices[0].conditions
    waiting = change(booking, makers.offer(settings, flight, brand="Flex", cabin="business"))
    assert waiting.payload["refundStays"]
    makers.settled(makers.begun(booking))
    view = seen(booking)
    flex = view.slices[0]
    assert (flex.brand, flex.conditions["refund"]) == ("Flex", had["refund"])
    assert flex.conditions["change"] == {"allowed": True, "penalty": {"amount": "0.00", "currency": "USD"}}
    own = sum(one.amount_minor for one in view.charges if one.code == "fare" or one.label.startswith("US transport"))
    done = cancel(booking)
    assert view.total_minor - done.refund_minor == (own if kept_minor is None else kept_minor) + waiting.penalty_minor
    assert makers.broken() == []


def test_a_cheaper_flight_does_not_shrink_what_a_refund_costs(settings: Settings) -> None:
    booking = sold(settings, makers.flight(fare_minor=60_000), party=Party(adults=1))
    kept = quote_of_cancelling(booking)
    change(booking, offer(settings, later(fare_minor=1_000), Party(adults=1)))
    cancel(booking)
    assert seen(booking).total_minor == kept
    assert makers.broken() == []


def quote_of_cancelling(booking: Booking) -> int:
    """Return what stays with the airline if it is cancelled now."""
    with db.writing() as session:
        quoted = amending.quote_cancellation(session, booking.reference, actor_id=None)
    return seen(booking).total_minor - quoted.refund_minor


def test_the_terms_of_the_new_fare_hold_after_a_free_change_and_the_old_after_one_by_the_carrier(
    settings: Settings,
) -> None:
    within = sold(settings, makers.flight(), days=0)
    assert change(within, offer(settings, later(), brand="Flex")).payload["refundStays"] is False
    makers.settled(makers.begun(within))
    waived = sold(settings, makers.flight(number=103), brand="Basic")
    had = seen(waived).slices[0].conditions
    change(waived, offer(settings, later(number=104), brand="Flex"), waive=True)
    assert seen(within).slices[0].conditions["refund"]["penalty"] == {"amount": "0.00", "currency": "USD"}
    assert seen(waived).slices[0].conditions == had
    assert makers.broken() == []

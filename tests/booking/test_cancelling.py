"""Cancelling: everything, one traveller, one direction; what goes back, what stays, what is refused, what is left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from portal.booking import amending, errors
from portal.booking.models import Amendment, Booking
from portal.booking.queries import BookingView, booking_by_id
from portal.booking.records import ItemWish
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.errors import Invalid
from portal.kit.idempotency import KeyReused
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests import world
from tests.booking import makers

ONE, TWO = Party(adults=1), Party(adults=2)
FAMILY = Party(adults=1, children=1, infants=1)


def seen(booking: Booking) -> BookingView:
    """Return the booking as people see it."""
    with db.reading() as session:
        view = booking_by_id(session, booking.id)
    assert view is not None
    return view


def sold(settings: Settings, *flights: Flight, party: Party = TWO, brand: str = "Standard", days: int = 2) -> Booking:
    """Return a paid booking, one direction a flight, bought so many days ago."""
    booking = makers.confirmed(settings, *(makers.offer(settings, one, party=party, brand=brand) for one in flights))
    with db.writing() as session:
        session.execute(
            text("update bookings set confirmed_at = confirmed_at - make_interval(days => :days) where id = :id"),
            {"days": days, "id": booking.id},
        )
    return booking


def quote(booking: Booking, **given: Any) -> Amendment:
    """Quote and commit."""
    with db.writing() as session:
        return amending.quote_cancellation(session, booking.reference, actor_id=None, **given)


def confirm(quoted: Amendment) -> Amendment:
    """Confirm and commit."""
    with db.writing() as session:
        return amending.confirm(session, quoted.id, key=uuid4().hex)


def cancel(booking: Booking, **given: Any) -> Amendment:
    """Quote, confirm and commit."""
    return confirm(quote(booking, **given))


def there_and_back() -> tuple[Flight, Flight]:
    """Return a flight and one back, a month ahead."""
    out = makers.flight()
    back = makers.flight(number=402, origin="LAX", destination="JFK", on=world.soon(40))
    return out, back


def fares(view: BookingView, *codes: str) -> int:
    return sum(one.amount_minor for one in view.charges if one.code in codes)


def test_a_quote_changes_nothing(settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    before = seen(booking)
    quoted = quote(booking)
    assert (quoted.state, quoted.kind) == ("quoted", "cancellation")
    assert seen(booking) == before
    assert makers.broken() == []


def test_a_standard_fare_goes_back_less_the_penalty_for_each(settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    total = seen(booking).total_minor
    done = cancel(booking)
    assert done.penalty_minor == 2 * 12_000
    assert done.refund_minor == total - 2 * 12_000
    view = seen(booking)
    assert (view.status, view.total_minor, view.paid_minor) == ("cancelled", 24_000, 24_000)
    assert makers.one("select sum(amount_minor) from refunds") == done.refund_minor
    assert makers.one("select sum(seats) from seat_claims where holder = :id", id=booking.id) is None
    assert makers.one("select count(*) from tickets where status <> 'refunded'") == 0
    assert makers.broken() == []


def test_a_basic_fare_keeps_the_fare_and_what_follows_it_and_returns_the_rest(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), brand="Basic")
    view = seen(booking)
    kept = sum(one.amount_minor for one in view.charges if one.code == "fare" or "7.5" in one.label)
    done = cancel(booking)
    assert done.refund_minor == view.total_minor - kept
    assert 0 < done.refund_minor < view.total_minor
    assert seen(booking).total_minor == kept
    assert makers.broken() == []


def test_within_24_hours_everything_goes_back(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), brand="Basic", days=0)
    total = seen(booking).total_minor
    done = cancel(booking)
    assert done.payload["rule"] == "within_24_hours"
    assert (done.refund_minor, done.penalty_minor, seen(booking).total_minor) == (total, 0, 0)
    assert makers.broken() == []


def test_a_purchase_less_than_a_week_before_the_flight_is_not_free(settings: Settings) -> None:
    booking = sold(settings, makers.flight(on=world.soon(6)), brand="Basic", days=0)
    assert quote(booking).payload["rule"] == "conditions"


def test_a_carrier_at_fault_gives_everything_back(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), brand="Basic")
    total = seen(booking).total_minor
    assert cancel(booking, waive=True).refund_minor == total
    assert makers.broken() == []


def test_one_of_two_travellers_is_cancelled_and_the_other_flies(settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    anna, _ben = seen(booking).passengers
    done = cancel(booking, passenger_ids=[anna.id])
    view = seen(booking)
    assert view.status == "confirmed"
    assert [one.cancelled_at is None for one in view.passengers] == [False, True]
    assert done.penalty_minor == 2 * 12_000
    assert makers.one("select max(seats) from seat_claims where holder = :id", id=booking.id) == 1
    assert makers.broken() == []


def test_one_direction_is_cancelled_and_the_other_is_flown(settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    cancel(booking, slice_positions=[1])
    view = seen(booking)
    assert (view.status, len(view.active_slices), len(view.flights)) == ("confirmed", 1, 1)
    assert makers.one("select count(*) from seat_claims where holder = :id", id=booking.id) == 1
    assert makers.one("select count(*) from tickets where status = 'open'") == 2
    assert makers.broken() == []
    cancel(booking)
    assert seen(booking).status == "cancelled"
    assert makers.broken() == []


def test_nobody_is_left_alone_who_may_not_fly_alone(settings: Settings) -> None:
    booking = sold(settings, makers.flight(), party=FAMILY)
    adult, child, infant = seen(booking).passengers
    for left in ([adult.id], [adult.id, child.id]):
        with pytest.raises(errors.ActionClosed):
            quote(booking, passenger_ids=left)
    cancel(booking, passenger_ids=[infant.id])
    cancel(booking, passenger_ids=[child.id])
    assert makers.broken() == []


def test_where_every_flight_has_left_there_is_no_quote_of_nothing(settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    quoted = quote(booking)
    with clock.shifted(timedelta(days=60)):
        with pytest.raises(errors.ActionClosed, match="Every flight of this booking has left"):
            quote(booking)
        with pytest.raises((errors.QuoteExpired, errors.ActionClosed)):
            confirm(quoted)


def test_what_is_not_there_cannot_be_cancelled(settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    for wrong in ({"passenger_ids": [uuid4()]}, {"slice_positions": [4]}, {"passenger_ids": [], "slice_positions": []}):
        with pytest.raises(Invalid):
            quote(booking, **wrong)


def test_a_flown_direction_stays_and_of_the_rest_some_travellers_are_cancelled_and_then_all(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, back = there_and_back()
    booking = sold(settings, out, back)
    anna, ben = (one.id for one in seen(booking).passengers)
    between = out.arrival_at + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: between)
    with pytest.raises(errors.ActionClosed):
        quote(booking, slice_positions=[0])
    done = cancel(booking, passenger_ids=[anna])
    assert (done.penalty_minor, done.payload["off"]) == (12_000, [[str(anna), 1]])
    view = seen(booking)
    assert (view.status, len(view.active_slices), len(view.active_passengers)) == ("confirmed", 2, 2)
    assert [one.id for one in view.flying(1)] == [ben]
    assert makers.broken() == []
    last = cancel(booking)
    assert (last.payload["dropped"], last.payload["whole"]) == ([1], False)
    assert [one.position for one in seen(booking).active_slices] == [0]
    assert makers.broken() == []


def test_one_traveller_leaves_one_direction_and_all_else_stands(settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    anna, ben = seen(booking).passengers
    before = seen(booking)
    done = cancel(booking, passenger_ids=[anna.id], slice_positions=[1])
    view = seen(booking)
    assert [[one.id for one in view.flying(at)] for at in (0, 1)] == [[anna.id, ben.id], [ben.id]]
    assert (done.penalty_minor, view.total_minor) == (12_000, before.total_minor - done.refund_minor)
    assert {(line["passenger_id"], line["slice_position"]) for line in done.lines} == {(str(anna.id), 1)}
    counts = "select count(*) from coupons c join tickets t on t.number = c.ticket_number where t.passenger_id = :id"
    assert makers.one(f"{counts} and c.status = 'open'", id=anna.id) == 1
    assert makers.one(f"{counts} and c.status = 'refunded'", id=anna.id) == 1
    assert makers.one("select seats from seat_claims where flight_id = :id", id=view.slices[1].flights[0].id) == 1
    assert makers.broken() == []
    with pytest.raises(Invalid):
        quote(booking, passenger_ids=[anna.id], slice_positions=[1])


def test_who_leaves_the_last_direction_is_cancelled_and_the_last_of_a_direction_drops_it(settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    anna, ben = (one.id for one in seen(booking).passengers)
    cancel(booking, passenger_ids=[anna], slice_positions=[1])
    gone = cancel(booking, passenger_ids=[anna], slice_positions=[0])
    assert gone.payload["leaving"] == [str(anna)]
    assert [one.id for one in seen(booking).active_passengers] == [ben]
    assert makers.broken() == []
    last = cancel(booking, passenger_ids=[ben], slice_positions=[0])
    assert (last.payload["dropped"], last.payload["leaving"]) == ([0], [])
    assert [one.position for one in seen(booking).active_slices] == [1]
    assert makers.broken() == []
    assert cancel(booking).payload["whole"]
    assert seen(booking).status == "cancelled"
    assert makers.broken() == []


def test_two_who_cross_leave_each_a_direction_and_both_stand(settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    anna, ben = (one.id for one in seen(booking).passengers)
    cancel(booking, passenger_ids=[anna], slice_positions=[1])
    cancel(booking, passenger_ids=[ben], slice_positions=[0])
    view = seen(booking)
    assert [[one.id for one in view.flying(at)] for at in (0, 1)] == [[anna], [ben]]
    assert len(view.active_slices) == 2
    assert makers.broken() == []
    drop = cancel(booking, slice_positions=[1])
    assert (drop.payload["dropped"], drop.payload["leaving"]) == ([1], [str(ben)])
    assert makers.broken() == []


def test_in_each_direction_nobody_is_left_alone_who_may_not_fly_alone(settings: Settings) -> None:
    booking = sold(settings, *there_and_back(), party=FAMILY)
    adult, child, infant = (one.id for one in seen(booking).passengers)
    for left in ([adult], [adult, child], [adult, infant]):
        with pytest.raises(errors.ActionClosed):
            quote(booking, passenger_ids=left, slice_positions=[1])
    cancel(booking, passenger_ids=[infant], slice_positions=[1])
    cancel(booking, passenger_ids=[adult, child], slice_positions=[1])
    assert [one.position for one in seen(booking).active_slices] == [0]
    assert makers.broken() == []


def test_parts_in_any_order_give_back_what_all_at_once_does(settings: Settings) -> None:
    flights = there_and_back()
    whole = cancel(sold(settings, *flights))
    booking = sold(settings, *flights)
    anna, ben = (one.id for one in seen(booking).passengers)
    steps = [(ben, 0), (anna, 1), (anna, 0), (ben, 1)]
    parts = [cancel(booking, passenger_ids=[who], slice_positions=[at]) for who, at in steps]
    assert sum(one.refund_minor for one in parts) == whole.refund_minor
    assert sum(one.penalty_minor for one in parts) == whole.penalty_minor
    assert seen(booking).status == "cancelled"
    assert makers.broken() == []


def test_named_seats_and_extras_of_that_direction_go_and_the_others_stay(settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    (anna, ben), flights = seen(booking).passengers, seen(booking).flights
    for flight in flights:
        for at, who in enumerate((anna, ben)):
            ticked = ItemWish("seat", "seat", f"Seat 1{at}A", who.id, flight.id, 1, 0, f"1{at}A")
            _add(booking, ticked)
            _add(booking, ItemWish("bag", "bag", "A bag", who.id, flight.id, 1, 0))
    cancel(booking, passenger_ids=[anna.id], slice_positions=[1])
    kept = [(one.kind, one.passenger_id, one.flight_id) for one in seen(booking).items]
    assert len(kept) == 6
    assert not [one for one in kept if one[1:] == (anna.id, flights[1].id)]
    assert makers.one("select count(*) from named_seats where occupant = :id", id=anna.id) == 1
    assert makers.broken() == []


def _add(booking: Booking, wish: ItemWish) -> None:
    view = seen(booking)
    names = list(ItemWish.__dataclass_fields__)
    have = [ItemWish(**{name: getattr(one, name) for name in names}) for one in view.items if one.kind == wish.kind]
    with db.writing() as session:
        amending.choose_items(
            session,
            booking.reference,
            kinds=frozenset({wish.kind}),
            wishes=[*have, wish],
            key=uuid4().hex,
            actor_id=None,
        )


def test_where_the_carrier_is_at_fault_for_one_direction_the_other_goes_by_its_fare(settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    view = seen(booking)
    done = cancel(booking, at_fault=[1])
    assert (done.payload["rule"], done.payload["waived"]) == ("carrier_in_part", [1])
    assert done.penalty_minor == 2 * 12_000
    assert done.refund_minor == view.total_minor - 2 * 12_000
    assert makers.broken() == []


def test_a_quote_lapses_and_is_out_of_date_after_another_change(settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    old, other = quote(booking), quote(booking, passenger_ids=[seen(booking).passengers[0].id])
    confirm(other)
    with pytest.raises(errors.QuoteOutdated):
        confirm(old)
    late = quote(booking)
    with db.writing() as session:
        session.execute(text("update amendments set expires_at = now() - interval '1 second' where state = 'quoted'"))
    with pytest.raises(errors.QuoteExpired):
        confirm(late)
    assert seen(booking).status == "confirmed"


def test_confirming_twice_refunds_once(settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    quoted = quote(booking)
    assert confirm(quoted).refund_minor == confirm(quoted).refund_minor
    assert makers.one("select count(*) from refunds") == 1


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_currencies_without_and_with_three_decimals(settings: Settings, currency: str) -> None:
    flight = makers.flight(currency=currency, fare_minor=31_415)
    booking = sold(settings, flight, party=FAMILY)
    done = cancel(booking)
    assert done.refund_minor + seen(booking).total_minor > 0
    assert done.refund_minor == makers.one("select sum(amount_minor) from refunds")
    assert makers.broken() == []


def test_a_refund_may_become_a_travel_credit(settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    done = cancel(booking, refund_to="credit")
    assert makers.one("select sum(remaining_minor) from credits") == done.refund_minor
    assert makers.broken() == []


def test_a_key_confirms_one_change_only(settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    first, second = (quote(booking, passenger_ids=[one.id]) for one in seen(booking).passengers)
    for _time in range(2):
        with db.writing() as session:
            assert amending.confirm(session, first.id, key="the same").state == "done"
    with pytest.raises(KeyReused), db.writing() as session:
        amending.confirm(session, second.id, key="the same")

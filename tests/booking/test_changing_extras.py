"""What becomes of paid extras when flights are changed: given back where the change is free, else kept, and told."""

from __future__ import annotations

from typing import Any

import pytest

from portal.booking import amending
from portal.booking.models import Booking
from portal.booking.told import journey, price_of_booking
from portal.kit import db
from portal.kit.settings import Settings
from tests.booking import makers
from tests.booking.test_cancelling import cancel, seen, sold
from tests.booking.test_changing import change, later, offer, quote
from tests.booking.test_items import SEATS, choose, pay, wish

SEAT = {"seat": "14B", "label": "Seat 14B, ZZ101"}


def with_seat(settings: Settings, **given: Any) -> Booking:
    """Return a paid booking of two with a seat for $15 and a bag for $30."""
    booking = sold(settings, makers.flight(), **given)
    choose(booking, wish(booking, "seat", 1_500, **SEAT), kinds=SEATS)
    pay(booking)
    choose(booking, wish(booking))
    pay(booking)
    return booking


def labels(booking: Booking) -> dict[str, int]:
    """Return the lines of what was paid, as the booking's page shows them."""
    view = seen(booking)
    price = price_of_booking(view, [journey(piece.flights) for piece in view.slices])
    return {line.label: line.amount_minor for group in price.groups for line in group.lines}


def test_within_24_hours_a_seat_that_is_left_behind_is_paid_back(settings: Settings) -> None:
    booking = with_seat(settings, days=0)
    before = seen(booking)
    target = offer(settings, later(), brand="Basic")
    fare = before.total_minor - 4_500
    done = change(booking, target)
    assert done.payload["rule"] == "within_24_hours"
    assert done.refund_minor == fare - target.total_minor + 1_500
    view = seen(booking)
    assert view.total_minor == view.paid_minor == target.total_minor + 3_000
    assert [one.kind for one in view.items] == ["bag"]
    assert not [words for words in labels(booking) if words.startswith("Seat")]
    assert labels(booking)["A bag"] == 3_000
    assert makers.broken() == []
    whole = cancel(booking)
    assert whole.refund_minor == view.paid_minor
    assert makers.broken() == []


def test_a_seat_that_comes_back_is_set_off_against_a_dearer_flight(settings: Settings) -> None:
    booking = with_seat(settings, days=0)
    fare = seen(booking).total_minor - 4_500
    target = offer(settings, later(fare_minor=30_000))
    waiting = change(booking, target)
    assert (waiting.state, waiting.due_minor) == ("paying", target.total_minor - fare - 1_500)
    pay(booking)
    assert seen(booking).total_minor == target.total_minor + 3_000
    assert makers.broken() == []


@pytest.mark.parametrize("waive", [True, False])
def test_later_a_seat_comes_back_from_an_airline_at_fault_only(settings: Settings, waive: bool) -> None:
    booking = with_seat(settings, brand="Flex")
    target = offer(settings, later(), brand="Flex")
    done = change(booking, target, waive=waive)
    assert (done.refund_minor, done.due_minor) == (1_500 if waive else 0, 0)
    assert ("Seat 14B, ZZ101 (given up)" in labels(booking)) is not waive
    assert makers.broken() == []


def test_what_was_paid_still_stands_as_given_up_also_after_a_cancellation(settings: Settings) -> None:
    booking = with_seat(settings)
    assert {"Seat 14B, ZZ101", "A bag"} <= labels(booking).keys()
    cancel(booking)
    assert {"Seat 14B, ZZ101 (given up)": 1_500, "A bag (given up)": 3_000}.items() <= labels(booking).items()
    assert makers.broken() == []


def test_nothing_is_given_up_by_a_quote(settings: Settings) -> None:
    booking = with_seat(settings, days=0)
    quoted = quote(booking, offer(settings, later()))
    assert "Seat 14B, ZZ101" in labels(booking)
    with db.writing() as session:
        amending.withdraw(session, quoted.id)
    assert sorted(one.kind for one in seen(booking).items) == ["bag", "seat"]

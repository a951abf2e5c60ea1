"""The page of a quoted change says what is lost: seats, rights of the fare, the promotion; and what is given back."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing import promotions
from portal.search.rules import Offer
from tests.booking import makers
from tests.booking.test_cancelling import cancel, seen, sold
from tests.booking.test_changing import change, later, offer, quote
from tests.booking.test_changing_extras import with_seat
from tests.booking.test_items import SEATS, choose, pay, wish
from tests.trips.test_changes import mine, sent


def read(client: TestClient, path: str) -> str:
    """Return a page's words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", client.get(path).text)).split())


def told(client: TestClient, settings: Settings, booking: Booking, target: Offer, **given: bool) -> str:
    """Return the words of the page that quotes this change."""
    return read(client, f"{mine(client, settings, booking)}/amendments/{quote(booking, target, **given).id}")


def test_the_fare_its_rights_and_the_seats_are_said_before_the_button(client: TestClient, settings: Settings) -> None:
    booking = sold(settings, makers.flight(), days=0)
    ben = seen(booking).passengers[1]
    seats = [wish(booking, "seat", 1_100, seat=seat, label=f"Seat {seat}, ZZ101") for seat in ("14B", "9A")]
    choose(booking, seats[0], replace(seats[1], passenger_id=ben.id), kinds=SEATS)
    pay(booking)
    words = told(client, settings, booking, offer(settings, later(), brand="Basic"))
    for sentence in (
        "Fare: Standard → Basic.",
        "Checked bags: 1 each, included → not included.",
        "Change: for $75.00 each → not allowed.",
        "Refund: for $120.00 each → not allowed.",
        "Seats 9A, 14B are given up.",
        "$22.00 paid for what is given up comes back.",
        "Extras given back -$22.00",
    ):
        assert sentence in words, words


def test_what_does_not_come_back_is_said_too(client: TestClient, settings: Settings) -> None:
    words = told(client, settings, with_seat(settings), offer(settings, later()))
    assert "Seat 14B is given up. $15.00 paid for what is given up does not come back." in words
    assert "Extras given back" not in words
    assert "Fare:" not in words


def test_the_airline_at_fault_takes_no_right_and_gives_the_seat_back(client: TestClient, settings: Settings) -> None:
    words = told(client, settings, with_seat(settings), offer(settings, later(), brand="Basic"), waive=True)
    assert "Seat 14B is given up. $15.00 paid for what is given up comes back." in words
    assert "Basic" not in words
    assert "not allowed" not in words


def test_a_better_fare_keeps_the_stricter_refund_and_says_so(client: TestClient, settings: Settings) -> None:
    booking = sold(settings, makers.flight())
    words = told(client, settings, booking, offer(settings, later(), brand="Flex"))
    assert "Fare: Standard → Flex." in words
    assert "Change: for $75.00 each → free of charge." in words
    assert "Refund: for $120.00 each, as in the fare that you bought." in words
    assert "Refund: for $120.00 each →" not in words


def test_a_promotion_that_ends_is_named_with_what_it_took_off(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        promotions.ensure_demo(session)
    booking = makers.named(settings, makers.offer(settings, makers.flight(), brand="Standard"))
    at = mine(client, settings, booking)
    sent(client, f"/book/{booking.reference}/promotion", promoCode="WELCOME10")
    makers.settled(makers.begun(booking))
    target = makers.offer(settings, later(), brand="Standard")
    off = -sum(line.amount_minor for line in seen(booking).charges if line.code == "promotion")
    assert off > 0
    words = read(client, f"{at}/amendments/{quote(booking, target).id}")
    assert f"The promotion WELCOME10 ends for this direction: it took ${off / 100:.2f} off." in words


def test_a_change_that_is_made_still_says_its_fare_and_nothing_that_is_no_longer_known(
    client: TestClient, settings: Settings
) -> None:
    booking = with_seat(settings, days=0)
    done = change(booking, offer(settings, later(), brand="Basic"))
    words = read(client, f"{mine(client, settings, booking)}/amendments/{done.id}")
    assert "Fare: Standard → Basic." in words
    assert "is given up" not in words
    assert "Extras given back -$15.00" in words


def test_the_booking_marks_what_was_given_up_and_promises_no_seat_once_cancelled(
    client: TestClient, settings: Settings
) -> None:
    booking = with_seat(settings)
    at = mine(client, settings, booking)
    change(booking, offer(settings, later(), brand="Standard"))
    pay(booking)
    words = read(client, at)
    assert "Seat 14B, ZZ101 (given up) $15.00" in words
    assert "given at check-in" in words
    cancel(booking)
    words = read(client, at)
    assert "A bag (given up) $30.00" in words
    assert "given at check-in" not in words.split("What the fare allows")[0]

"""A connection that is missed after the first flight has left: the rest of the way otherwise, or its money."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking import reckoning
from portal.booking.models import Booking
from portal.booking.views import BookingView
from portal.disruptions import rules, service
from portal.disruptions.errors import ChoiceClosed
from portal.flights.errors import FlightLeft
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests import world
from tests.booking import makers
from tests.booking.test_cancelling import seen
from tests.booking.test_reckoning import bookings
from tests.disruptions.conftest import broken, carry_out, tell
from tests.disruptions.test_decisions import refund, row_of
from tests.trips.test_changes import mine

TWO = Party(adults=2)
MOVE = """
    update flights f set departure_at = f.departure_at + :by, arrival_at = f.arrival_at + :by,
        departure_local = (f.departure_at + :by) at time zone o.time_zone,
        arrival_local = (f.arrival_at + :by) at time zone d.time_zone,
        departs_on = ((f.departure_at + :by) at time zone o.time_zone)::date
    from airports o, airports d where o.code = f.origin and d.code = f.destination and f.id = any(:ids)
"""


def in_the_air(first: Flight, second: Flight) -> timedelta:
    """Move both flights so that the first left an hour ago; return by how much."""
    by = clock.now() - timedelta(hours=1) - first.departure_at
    with db.writing() as session:
        session.execute(text(MOVE), {"by": by, "ids": [first.id, second.id]})
    return by


@pytest.fixture
def on_the_way(settings: Settings, connection: tuple[Flight, Flight]) -> Booking:
    """A booking of two with a connection, and the first flight in the air."""
    return makers.confirmed(settings, makers.offer(settings, *connection, party=TWO))


@contextmanager
def late(booking: Booking, connection: tuple[Flight, Flight], minutes: int = 60) -> Iterator[None]:
    """Let the first flight be in the air, and so much late that the second is missed."""
    in_the_air(*connection)
    tell(carry_out(connection[0], "delay", minutes=minutes))
    yield


def flown(booking: Booking, flight: Flight) -> None:
    """Close the books of a flight that has left: the coupons are flown."""
    with db.writing() as session:
        session.execute(text("update coupons set status = 'flown' where flight_id = :id"), {"id": flight.id})


def onward(number: int = 302, hours: float = 9) -> Flight:
    """Return another flight from the connecting airport, so many hours from now."""
    made = makers.flight(origin="ORD", destination="LAX", number=number, at=time(18, 0), minutes=250)
    leaves = clock.now().replace(second=0, microsecond=0) + timedelta(hours=hours)
    with db.writing() as session:
        session.execute(
            text(
                "update flights set departure_at = :at, arrival_at = :at + interval '250 minutes',"
                " departure_local = cast(:at as timestamptz) at time zone 'America/Chicago',"
                " departs_on = (cast(:at as timestamptz) at time zone 'America/Chicago')::date where id = :id"
            ),
            {"at": leaves, "id": made.id},
        )
    return made


def segments(booking: Booking) -> list[int]:
    return [flight.id for flight in seen(booking).slices[0].flights]


def test_a_delay_in_the_air_asks_only_who_misses_a_connection(
    settings: Settings, connection: tuple[Flight, Flight], on_the_way: Booking
) -> None:
    direct = makers.confirmed(settings, makers.offer(settings, connection[0]))
    with late(on_the_way, connection, minutes=200):
        rows = "select why || needs_answer || by_right from affected_bookings where booking_id = :id"
        assert makers.one(rows, id=on_the_way.id) == "misconnectedtruetrue"
        assert makers.one(rows, id=direct.id) == "delayedfalsefalse"
        gap = "select refund_at - told_at from affected_bookings where booking_id = :id"
        assert makers.one(gap, id=on_the_way.id) == timedelta(days=1)
        left = makers.one(
            "select estimated_departure_at = departure_at from flights where id = :id", id=connection[0].id
        )
        assert left is True


def test_what_has_landed_can_no_longer_be_delayed(settings: Settings, connection: tuple[Flight, Flight]) -> None:
    in_the_air(*connection)
    with db.writing() as session:
        session.execute(text("update flights set arrival_at = now() - interval '1 minute' where number = 201"))
    with pytest.raises(FlightLeft):
        carry_out(connection[0], "delay", minutes=60)


@pytest.mark.parametrize("boarded", [True, False])
def test_the_rest_of_the_way_is_flown_otherwise_at_no_cost(
    settings: Settings, connection: tuple[Flight, Flight], on_the_way: Booking, boarded: bool
) -> None:
    whole = seen(on_the_way).total_minor
    other = onward()
    with late(on_the_way, connection):
        if boarded:
            flown(on_the_way, connection[0])
        with pytest.raises(ChoiceClosed), db.writing() as session:
            again = makers.offer(settings, makers.flight(number=399, on=world.soon(2)), party=TWO)
            service.rebook(session, row_of(on_the_way), again, actor_id=None)
        with db.writing() as session:
            service.rebook(session, row_of(on_the_way), makers.offer(settings, other, party=TWO), actor_id=None)
    view = seen(on_the_way)
    assert segments(on_the_way) == [connection[0].id, other.id]
    assert (view.total_minor, view.slices[0].origin.code, view.slices[0].destination.code) == (whole, "JFK", "LAX")
    used = "select count(*) from coupons where flight_id = :id and status = :status"
    assert makers.one(used, id=connection[0].id, status="flown" if boarded else "open") == 2
    assert makers.one(used, id=connection[1].id, status="void") == 2
    assert makers.one(used, id=other.id, status="open") == 2
    assert makers.one("select count(*) from seat_claims where flight_id = :id", id=connection[1].id) == 0
    assert broken() == []


def test_the_money_of_the_rest_goes_back_and_what_was_flown_stays(
    settings: Settings, connection: tuple[Flight, Flight], on_the_way: Booking
) -> None:
    before = seen(on_the_way)
    km = [flight.distance_km for flight in before.slices[0].flights]
    with late(on_the_way, connection):
        flown(on_the_way, connection[0])
        stake = rules.at_stake_minor(seen(on_the_way), 0, 1)
        refund(row_of(on_the_way))
    view = seen(on_the_way)
    back = before.total_minor - view.total_minor
    assert back == stake == makers.one("select sum(amount_minor) from refunds")
    assert abs(back - before.total_minor * km[1] / sum(km)) <= len(before.charges)
    assert (view.status, segments(on_the_way)) == ("confirmed", [connection[0].id])
    assert makers.one("select count(*) from coupons where status = 'refunded'") == 2
    assert makers.one("select state from affected_bookings where booking_id = :id", id=on_the_way.id) == "refunded"
    assert broken() == []


def test_with_the_rest_the_way_back_goes_back_too(settings: Settings, connection: tuple[Flight, Flight]) -> None:
    home = makers.flight(number=402, origin="LAX", destination="JFK", on=world.soon(40))
    booking = makers.confirmed(settings, makers.offer(settings, *connection), makers.offer(settings, home))
    before = seen(booking)
    with late(booking, connection):
        refund(row_of(booking))
    view = seen(booking)
    returned = sum(one.amount_minor for one in before.charges if one.slice_position == 1)
    assert before.total_minor - view.total_minor > returned
    assert [one.position for one in view.active_slices] == [0]
    assert broken() == []


def test_a_second_flight_that_is_cancelled_while_the_first_is_in_the_air(
    settings: Settings, connection: tuple[Flight, Flight], on_the_way: Booking
) -> None:
    in_the_air(*connection)
    other = onward()
    tell(carry_out(connection[1], "cancel"))
    with db.writing() as session:
        service.rebook(session, row_of(on_the_way), makers.offer(settings, other, party=TWO), actor_id=None)
    assert segments(on_the_way) == [connection[0].id, other.id]
    assert broken() == []


def test_the_page_shows_ways_from_where_one_lands_and_books_one(
    client: TestClient, settings: Settings, connection: tuple[Flight, Flight], on_the_way: Booking
) -> None:
    early, good = onward(301, hours=2), onward(302, hours=9)
    at = f"{mine(client, settings, on_the_way)}/changes-by-airline"
    with late(on_the_way, connection, minutes=90):
        page = client.get(at).text
        change = re.search(r'name="change" value="([^"]+)"', page)
        assert change
        day = makers.one("select departs_on from flights where id = :id", id=good.id)
        listed = client.get(f"{at}/{change[1]}/flights?on={day}").text
        assert "Chicago – Los Angeles" in listed
        offers = re.findall(r'name="offer" value="([^"]+)"', listed)
        assert len(offers) == 1
        client.post(at, data={"change": change[1], "choice": "rebook", "offer": unescape(offers[0])})
    assert segments(on_the_way) == [connection[0].id, good.id]
    assert early.id not in segments(on_the_way)
    assert broken() == []


def partly(view: BookingView, lengths: list[int]) -> BookingView:
    """Return the booking with its first direction made of flights of these lengths."""
    from dataclasses import replace

    now = datetime(2028, 1, 1, tzinfo=clock.now().tzinfo)
    flights: Any = tuple(
        SimpleNamespace(id=100 + at, distance_km=km, leaves_at=now, status="scheduled") for at, km in enumerate(lengths)
    )
    return replace(view, slices=(replace(view.slices[0], flights=flights), *view.slices[1:]))


@given(bookings(), st.lists(st.integers(1, 9_000), min_size=2, max_size=4), st.data())
@tried(max_examples=100, deadline=None)
def test_the_parts_of_a_way_add_up_to_the_whole(view: BookingView, lengths: list[int], data: st.DataObject) -> None:
    """What goes back of the rest and what stays for what was flown is what was paid, line by line; nothing twice."""
    view, kept = partly(view, lengths), data.draw(st.integers(1, len(lengths)))
    pairs = [(one, view.slices[0]) for one in view.passengers]
    paid = sum(one.amount_minor for one in view.charges if one.slice_position == 0)
    back = -reckoning.rest(view, pairs, kept).sum_minor
    assert (back == 0) if kept == len(lengths) else True
    backs = [-reckoning.rest(view, pairs, at).sum_minor for at in range(len(lengths) + 1)]
    assert backs[0] == paid
    assert backs[-1] == 0
    for line in reckoning.rest(view, pairs, kept).lines:
        mine = [
            one.amount_minor
            for one in view.charges
            if (one.code, str(one.passenger_id), one.slice_position) == (line["code"], line["passenger_id"], 0)
        ]
        assert abs(line["amount_minor"]) <= abs(sum(mine))
        assert line["amount_minor"] * sum(mine) < 0

"""What became of what was sold: cancelled, given back, not come; who buys extras. Kept by the job and by rebuild."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from starlette.testclient import TestClient

from portal import cli
from portal.analytics import queries, service, told
from portal.analytics.models import EXTRAS
from portal.analytics.rules import Aftermath, Fact, Scope
from portal.booking import amending
from portal.booking.models import Booking
from portal.booking.queries import booking_by_id
from portal.booking.records import ItemWish
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests import world
from tests.analytics.conftest import roll_up
from tests.analytics.test_roll_ups import handle, refresh, rows
from tests.booking import makers

TWO = Party(adults=2)
FACTS = """
    select fact, bookings, passengers, amount_minor from sales_facts
    where origin = :at and cabin = '*' and brand = '*'
"""


def facts(at: str = "***") -> dict[str, tuple[int, int, int]]:
    return {row[0]: row[1:] for row in rows(f"{FACTS} order by 1", at=at)}  # type: ignore[misc]  # three figures follow


def everybody(booking: Booking) -> list[UUID]:
    return [row[0] for row in rows("select id from passengers where booking_id = :id order by position", id=booking.id)]


def extra(booking: Booking, flight: Flight, *people: UUID, kind: str = "bag", amount: int = 0) -> None:
    """Let these travellers have an extra, beside those that they have; free of charge, or on a hold."""
    seat = "14B" if kind == "seat" else None
    with db.writing() as session:
        view = booking_by_id(session, booking.id)
        assert view is not None
        names = list(ItemWish.__dataclass_fields__)
        have = [ItemWish(**{name: getattr(one, name) for name in names}) for one in view.items if one.kind == kind]
        fresh = [ItemWish(kind, kind, kind.title(), who, flight.id, 1, amount, seat) for who in people]
        amending.choose_items(
            session,
            booking.reference,
            kinds=frozenset({kind}),
            wishes=[*have, *fresh],
            key=uuid4().hex,
            actor_id=None,
        )


def cancel(booking: Booking, **given: Any) -> int:
    """Cancel, within the 24 hours in which everything goes back; returns what goes back."""
    with db.writing() as session:
        quoted = amending.quote_cancellation(session, booking.reference, actor_id=None, **given)
        return amending.confirm(session, quoted.id, key=uuid4().hex).refund_minor


def became(settings: Settings, scope: Scope | None = None) -> Aftermath:
    today = clock.now().date()
    asked = scope or Scope(today, today, currency="USD")
    with db.reading() as session:
        return queries.aftermath(session, asked, queries.total(session, asked))


@pytest.fixture
def there_and_back(settings: Settings) -> tuple[Flight, Flight]:
    """A flight and one back, a month ahead."""
    return makers.flight(), makers.flight(number=402, origin="LAX", destination="JFK", on=world.soon(40))


def booked(settings: Settings, *flights: Flight, party: Party = TWO) -> Booking:
    return makers.confirmed(settings, *(makers.offer(settings, one, party=party) for one in flights))


def test_a_cancelled_booking_is_a_figure_of_its_own(settings: Settings, there_and_back: tuple[Flight, Flight]) -> None:
    booked(settings, *there_and_back)
    back = cancel(booked(settings, *there_and_back))
    roll_up()
    assert facts() == {"cancelled": (1, 2, 0), "refunded": (1, 2, back)}
    assert facts("LAX") == facts()
    found = became(settings)
    assert (found.sold.bookings, found.ever, found.fact("cancelled")) == (1, 2, Fact(1, 2, 0))
    assert rows("select sum(bookings) from sales_counts where origin = '***' and cabin = '*' and brand = '*'") == [(1,)]


def test_who_leaves_a_booking_that_stands_counts_as_a_traveller_and_not_as_a_booking(
    settings: Settings, there_and_back: tuple[Flight, Flight]
) -> None:
    booking = booked(settings, *there_and_back)
    back = cancel(booking, passenger_ids=everybody(booking)[:1])
    roll_up()
    assert facts() == {"cancelled": (0, 1, 0), "refunded": (1, 2, back)}


def test_extras_count_each_booking_and_each_traveller_once(
    settings: Settings, there_and_back: tuple[Flight, Flight]
) -> None:
    out, home = there_and_back
    both, one, none = (booked(settings, out, home) for _ in range(3))
    anna, ben = everybody(both)
    extra(both, out, anna, ben)
    extra(both, home, anna)
    extra(both, out, anna, kind="meal")
    extra(one, out, everybody(one)[0], kind="seat")
    extra(none, out, everybody(none)[0], kind="assistance")
    roll_up()
    assert facts() == {"bag": (1, 2, 0), "meal": (1, 1, 0), "seat": (1, 1, 0), "extra": (2, 3, 0)}
    assert facts("JFK") == facts()


def test_what_extras_brought_and_what_goes_with_a_cancelled_booking(settings: Settings) -> None:
    flight = makers.flight()
    booking = makers.named(settings, makers.offer(settings, flight))
    extra(booking, flight, everybody(booking)[0], amount=4_500)
    makers.settled(makers.begun(booking))
    roll_up()
    assert facts() == {"bag": (1, 1, 4_500), "extra": (1, 1, 4_500)}
    back = cancel(booking)
    roll_up()
    assert facts() == {"cancelled": (1, 1, 0), "refunded": (1, 1, back)}


def test_the_letters_of_a_cancellation_have_the_days_redone(
    settings: Settings, there_and_back: tuple[Flight, Flight]
) -> None:
    booking = booked(settings, *there_and_back)
    handle(settings, "analytics.booking")
    refresh()
    assert facts() == {}
    cancel(booking)
    handle(settings, "analytics.booking")
    handle(settings, "analytics.refresh")
    assert facts()["cancelled"] == (1, 2, 0)


def test_a_change_redoes_the_day_that_is_no_longer_flown(settings: Settings) -> None:
    old, new = makers.flight(), makers.flight(number=303, on=world.soon(33))
    booking = booked(settings, old)
    handle(settings, "analytics.booking")
    refresh()
    sold = "select sum(sold) from flight_days where departs_on = :day"
    assert rows(sold, day=old.departs_on) == [(2,)]
    with db.writing() as session:
        offer = makers.offer(settings, new, party=TWO)
        quoted = amending.quote_change(
            session, booking.reference, slice_position=0, offer=offer, actor_id=None, waive=True
        )
        amending.confirm(session, quoted.id, key=uuid4().hex)
    handle(settings, "analytics.booking")
    refresh()
    assert rows(sold, day=old.departs_on) == [(0,)]
    assert rows(sold, day=new.departs_on) == [(2,)]


def gate_closed(flight: Flight, *stayed: UUID) -> None:
    """Write down who flew and who did not come, as the gate does after landing."""
    with db.writing() as session:
        session.execute(
            text("insert into boardings (flight_id, closed_at, settled_at) values (:id, now(), now())"),
            {"id": flight.id},
        )
        session.execute(
            text(
                "insert into no_shows (ticket_number, coupon_position, flight_id)"
                " select c.ticket_number, c.position, c.flight_id from coupons c"
                " join tickets t on t.number = c.ticket_number"
                " where c.flight_id = :id and t.passenger_id = any(:stayed)"
            ),
            {"id": flight.id, "stayed": list(stayed)},
        )


def test_no_shows_are_out_of_who_had_a_ticket_on_flights_whose_gate_is_done(
    settings: Settings, there_and_back: tuple[Flight, Flight]
) -> None:
    out, home = there_and_back
    one, other = booked(settings, out, home), booked(settings, out)
    gone = booked(settings, out)
    cancel(gone)
    gate_closed(out, everybody(one)[0])
    roll_up()
    each = "select origin, ticketed, no_shows from flight_days where cabin = 'economy' order by 1"
    assert rows(each) == [("JFK", 4, 1), ("LAX", 0, 0)]
    scope = Scope(out.departs_on, home.departs_on, currency="USD")
    found = became(settings, scope)
    assert (found.ticketed, found.no_shows, found.no_show_percent) == (4, 1, 25.0)
    assert became(settings).no_show_percent is None
    assert len(everybody(other)) == 2


def test_the_gate_has_its_day_redone(settings: Settings) -> None:
    from portal.checkin import gate

    flight = makers.flight()
    booked(settings, flight)
    with db.writing() as session:
        session.execute(text("insert into boardings (flight_id, closed_at) values (:id, now())"), {"id": flight.id})
    with db.writing() as session:
        assert gate.settle(session, now=flight.arrival_at + timedelta(hours=4)) == 1
    handle(settings, "analytics.flight")
    refresh()
    counted = "select ticketed, no_shows from flight_days where cabin = 'economy' and departs_on = :day"
    assert rows(counted, day=flight.departs_on) == [(2, 2)]


def test_rebuild_puts_right_what_somebody_broke(
    settings: Settings, there_and_back: tuple[Flight, Flight], monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = booked(settings, *there_and_back)
    extra(booking, there_and_back[0], everybody(booking)[0])
    cancel(booked(settings, *there_and_back))
    gate_closed(there_and_back[0], everybody(booking)[1])
    roll_up()
    good, flown = facts(), rows("select * from flight_days order by 1, 2, 3, 4")
    with db.writing() as session:
        session.execute(text("update sales_facts set bookings = 99"))
        session.execute(
            text(
                "insert into sales_facts select current_date - 400, origin, destination, cabin, brand,"
                " currency, fact, 1, 1, 1 from sales_facts"
            )
        )
        session.execute(text("update flight_days set no_shows = 99"))
    monkeypatch.setenv("PORTAL_DATABASE_URL", settings.database_url)
    assert cli.main(["analytics", "rebuild"]) == 0
    assert (facts(), rows("select * from flight_days order by 1, 2, 3, 4")) == (good, flown)


def test_facts_equal_what_is_counted_by_hand_however_they_are_narrowed(
    settings: Settings, there_and_back: tuple[Flight, Flight]
) -> None:
    out, home = there_and_back
    for at, ways in enumerate(((out, home), (out,), (home,), (out, home))):
        booking = booked(settings, *ways)
        extra(booking, ways[0], everybody(booking)[at % 2])
        if at % 3 == 0:
            cancel(booking, passenger_ids=everybody(booking)[:1] if at else None)
    roll_up()
    for origin, destination, fact, bookings, passengers in rows(
        "select origin, destination, fact, bookings, passengers from sales_facts where cabin = '*' and brand = '*'"
    ):
        there = f"exists (select from booking_slices s where s.booking_id = b.id and '{origin}' in (s.origin, '***')"
        there += f" and '{destination}' in (s.destination, '***'))"
        if fact == "cancelled":
            due = rows(f"""select count(distinct b.id) filter (where b.status = 'cancelled'), count(*) filter (
                where b.status = 'cancelled' or p.cancelled_at is not null) from bookings b
                join passengers p on p.booking_id = b.id where {there}""")
        elif fact == "bag":
            due = rows(f"""select count(distinct b.id), count(distinct i.passenger_id) from bookings b
                join booking_items i on i.booking_id = b.id where b.status = 'confirmed' and i.state = 'active'
                and {there}""")
        else:
            continue
        assert due == [(bookings, passengers)], (origin, destination, fact)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_shares_are_between_nothing_and_all(sold: int, gone: int, bags: int, stayed: int) -> None:
    bags, ticketed = min(bags, sold), sold + stayed
    found = Aftermath(Fact(sold, sold, 0), {"cancelled": Fact(gone, gone), "bag": Fact(bags, bags)}, ticketed, stayed)
    assert found.ever == sold + gone
    assert 0 <= (found.no_show_percent or 0) <= 100
    assert all(0 <= bar.value <= 100 for bar in told.extra_bars(found, found))
    assert len(told.extra_bars(found, found)) == len(EXTRAS)


def test_the_dashboard_and_the_summary_say_the_same(
    settings: Settings,
    there_and_back: tuple[Flight, Flight],
    staff: TestClient,
    token: Callable[[str], dict[str, str]],
) -> None:
    booking = booked(settings, *there_and_back)
    extra(booking, there_and_back[0], everybody(booking)[0])
    back = cancel(booked(settings, *there_and_back))
    roll_up()
    page = staff.get("/admin").text
    for words in ("Bookings cancelled since", "Money given back", "Travellers who did not come", "50\u00a0%"):
        assert words in page
    assert "100\u00a0% of the bookings have an extra" in page
    assert "/admin/bookings?status=cancelled" in page
    told_by_api = staff.get("/api/analytics/summary", headers=token("staff")).json()
    assert told_by_api["cancelled"]["bookings"] == 1
    assert told_by_api["cancelled"]["bookingShare"] == 0.5
    assert round(float(told_by_api["refunded"]["amount"]["amount"]) * 100) == back
    assert told_by_api["noShows"] == {"passengers": 0, "ticketed": 0, "share": None}
    bag = next(one for one in told_by_api["extras"] if one["kind"] == "bag")
    assert (bag["bookings"], bag["bookingShare"], bag["passengers"], bag["passengerShare"]) == (1, 1.0, 1, 0.5)


def test_a_day_without_anything_says_so(settings: Settings, staff: TestClient) -> None:
    page = staff.get(f"/admin?from={date(2020, 1, 1)}&to={date(2020, 1, 2)}")
    assert (page.status_code, "What became of it" in page.text) == (200, True)
    with db.writing() as session:
        assert service.refresh_all(session) == 0

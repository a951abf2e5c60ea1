"""Roll-ups equal the sums over bookings and flights, however often and however many at once they are redone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from portal import cli
from portal.analytics import service
from portal.kit import db, outbox
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tasks.handlers import HANDLERS
from tests import world
from tests.booking import makers


def rows(statement: str, **values: Any) -> list[tuple[Any, ...]]:
    with db.reading() as session:
        return [tuple(row) for row in session.execute(text(statement), values)]


def refresh() -> None:
    with db.writing() as session:
        while service.refresh(session):
            pass


def handle(settings: Settings, kind: str) -> None:
    with db.reading() as session:
        letters = session.query(outbox.Letter).where(outbox.Letter.kind == kind).all()
    assert letters
    for letter in letters:
        HANDLERS[kind](settings, letter)


@pytest.fixture
def sold(settings: Settings) -> Settings:
    """A return trip of two and a child, a single trip, one in business, and a hold that is none of these."""
    out = makers.flight(on=world.soon(10))
    back = makers.flight(origin="LAX", destination="JFK", on=world.soon(14), number=102)
    family = Party(adults=2, children=1)
    makers.confirmed(
        settings, makers.offer(settings, out, party=family), makers.offer(settings, back, party=family, brand="Flex")
    )
    makers.confirmed(settings, makers.offer(settings, out))
    makers.confirmed(settings, makers.offer(settings, out, cabin="business", brand="Flex"))
    makers.held(settings, makers.offer(settings, out))
    return settings


SALES = "select origin, destination, cabin, brand, bookings, passengers from sales_days order by 1, 2, 3, 4"


def test_what_is_sold_appears_once_the_letters_are_handled(sold: Settings) -> None:
    assert rows(SALES) == []
    handle(sold, "analytics.booking")
    handle(sold, "analytics.refresh")
    assert rows(SALES) == [
        ("JFK", "LAX", "business", "Flex", 1, 1),
        ("JFK", "LAX", "economy", "Basic", 2, 4),
        ("LAX", "JFK", "economy", "Flex", 1, 3),
    ]
    assert rows("select count(*) from stale_days") == [(0,)]


def test_revenue_equals_the_sum_over_bookings(sold: Settings) -> None:
    handle(sold, "analytics.booking")
    refresh()
    due = rows("select currency, sum(total_minor) from bookings where status = 'confirmed' group by 1")
    assert rows("select currency, sum(revenue_minor) from sales_days group by 1") == due
    assert due[0][1] > 0


def test_each_booking_is_counted_once_however_it_is_narrowed(sold: Settings) -> None:
    handle(sold, "analytics.booking")
    refresh()
    counted = rows("select origin, destination, cabin, brand, bookings, passengers from sales_counts")
    for origin, destination, cabin, brand, bookings, passengers in counted:
        due = rows(
            f"""
            select count(*), sum((select count(*) from passengers p where p.booking_id = b.id)) from bookings b
            where b.status = 'confirmed' and exists (select from booking_slices s where s.booking_id = b.id
                and '{origin}' in (s.origin, '***') and '{destination}' in (s.destination, '***')
                and '{cabin}' in (s.cabin, '*') and '{brand}' in (s.brand, '*'))
            """
        )
        assert due == [(bookings, passengers)], (origin, destination, cabin, brand)
    assert ("***", "***", "*", "*", 3, 5) in counted


def test_seats_and_kilometres_equal_the_flights(sold: Settings) -> None:
    handle(sold, "analytics.booking")
    refresh()
    each = "select origin, cabin, seats, sold, ask_km, rpk_km from flight_days order by 1, 2"
    assert rows(each) == [
        ("JFK", "business", 12, 1, 12 * 3974, 3974),
        ("JFK", "economy", 150, 4, 150 * 3974, 4 * 3974),
        ("LAX", "business", 12, 0, 12 * 3974, 0),
        ("LAX", "economy", 150, 3, 150 * 3974, 3 * 3974),
    ]


def test_redoing_a_day_changes_nothing_and_letters_may_come_twice(sold: Settings) -> None:
    for _ in range(2):
        handle(sold, "analytics.booking")
        handle(sold, "analytics.refresh")
    first = rows(SALES)
    with db.writing() as session:
        service.mark_all(session)
    refresh()
    assert rows(SALES) == first


def test_two_refreshes_at_once_count_nothing_double(sold: Settings) -> None:
    handle(sold, "analytics.booking")
    refresh()
    first = rows(SALES)
    start = Barrier(4)

    def one(_: int) -> None:
        start.wait()
        with db.writing() as session:
            service.mark_all(session)
        refresh()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    refresh()
    assert rows(SALES) == first
    assert rows("select sum(flights) from flight_days where cabin = 'economy'") == [(2,)]


def test_a_sale_during_a_refresh_is_not_lost(sold: Settings) -> None:
    handle(sold, "analytics.booking")
    marked = Barrier(2, timeout=10)

    def mark_again() -> None:
        marked.wait()
        handle(sold, "analytics.booking")  # waits for the refresh, and then marks the day anew

    with ThreadPoolExecutor(1) as pool:
        with db.writing() as session:
            service.refresh(session)
            waiting = pool.submit(mark_again)
            marked.wait()
            assert not waiting.done()
        waiting.result()
    assert rows("select count(*) from stale_days where kind = 'sales'") == [(1,)]


def test_a_rush_of_sales_asks_for_few_refreshes(sold: Settings) -> None:
    for _ in range(5):
        handle(sold, "analytics.booking")
    asked = rows("select count(*) from letters where kind = 'analytics.refresh'")[0][0]
    assert 1 <= asked <= 3


def test_a_day_without_a_sale_still_counts_its_seats(settings: Settings) -> None:
    makers.flight(on=world.soon(1))
    HANDLERS["analytics.days"](settings, outbox.Letter(kind="analytics.days", payload={}))
    assert rows("select seats, sold from flight_days where cabin = 'economy'") == [(150, 0)]


def test_rebuild_puts_right_what_somebody_broke(sold: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    handle(sold, "analytics.booking")
    refresh()
    good = rows(SALES)
    with db.writing() as session:
        session.execute(text("update sales_days set passengers = 99"))
    monkeypatch.setenv("PORTAL_DATABASE_URL", sold.database_url)
    assert cli.main(["analytics", "rebuild"]) == 0
    assert rows(SALES) == good

"""The demo's past sales keep the books as real ones do, come once, and come the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from deploy.local.services import TestServices
from portal.analytics import demo, service
from portal.flights import demo as flights_demo
from portal.flights import service as flights
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.places import service as places
from portal.pricing.service import ensure_reference_rows
from portal.seats.service import ensure_catalogue
from tests.booking.makers import broken, one
from tests.conftest import furnished


@pytest.fixture(scope="module")
def few_weeks() -> Iterator[None]:
    """The demo airline flies a few weeks and remembers three days."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flights_demo, "BEFORE", timedelta(days=4))
        patch.setattr(flights_demo, "AHEAD", timedelta(days=20))
        patch.setattr(service, "HISTORY_DAYS", 3)
        yield


@pytest.fixture(scope="module")
def template(services: TestServices, template: str, few_weeks: None) -> str:
    """The name of a database with these flights."""

    def flights_of_the_demo() -> None:
        with db.writing() as session:
            places.load(session)
            flights.extend_demo(session, clock.now().date())
            ensure_catalogue(session)

    return furnished(services, template, flights_of_the_demo)


@pytest.fixture
def loaded(settings: Settings) -> Settings:
    """A portal with the demo airline's flights."""
    return settings


def fill(days: int = 0) -> int:
    with clock.shifted(timedelta(days=days)), db.writing() as session:
        return service.ensure_demo_history(session)


def test_the_books_balance_and_a_second_call_adds_nothing(loaded: Settings) -> None:
    added = fill()
    assert added > 50
    assert broken() == []
    assert fill() == 0
    assert one("select count(*) from bookings where contact_email not like '%@example.com'") == 0
    assert one("select count(*) from letters") == 0
    with db.writing() as session:
        service.refresh_all(session)
    assert one("select sum(revenue_minor) from sales_days") == one("select sum(total_minor) from bookings")
    assert one("select sum(sold) from flight_days") == one("select sum(seats) from seat_claims")


def test_what_was_sold_can_be_explained(loaded: Settings) -> None:
    """The steps of every slice end in an adult's fare; the class is theirs, and the fare basis begins with it."""
    with db.writing() as session:
        ensure_reference_rows(session)
    fill()
    off = """
        select count(*) from booking_slices p
        where fare_basis not like booking_class || '%' or pricing = '[]' or exists (
            select 1 from charges c join passengers g on g.id = c.passenger_id and g.type = 'adult'
            where c.booking_id = p.booking_id and c.slice_position = p.position and c.code = 'fare'
              and c.amount_minor <> (p.pricing -> -1 ->> 'amount')::int)
    """
    assert one(off) == 0
    assert one("select count(distinct step ->> 'kind') from booking_slices, jsonb_array_elements(pricing) step") >= 5
    assert one("select count(*) from bookings where idempotency_key like 'demo-team:%'") > 0


def test_some_buy_what_the_fare_has_not_in_it(loaded: Settings) -> None:
    fill()
    assert one("select count(*) from bookings b where exists (select from booking_items where booking_id = b.id)") > 20
    assert one("select count(distinct kind) from booking_items") == 4
    twice = "select count(*) from booking_items group by passenger_id, flight_id, kind having count(*) > 1"
    assert one(f"select count(*) from ({twice}) twice") == 0
    charged = "select sum(amount_minor) from charges where item_id is not null"
    assert one(charged) == one("select sum(amount_minor) from booking_items") > 0
    off = """
        select count(*) from booking_items i join passengers p on p.id = i.passenger_id
        join booking_slices s on s.booking_id = i.booking_id join extra_products e on e.code = i.code
        where p.type = 'infant' or s.cabin = any(e.included_cabins) or s.brand = any(e.included_brands)
           or (i.flight_id is null) <> (e.per = 'trip')
    """
    assert one(off) == 0


def test_a_day_later_only_that_day_is_added(loaded: Settings) -> None:
    first = fill()
    added = fill(days=1)
    assert 0 < added < first
    assert broken() == []
    assert one("select count(distinct confirmed_at::date) from bookings") == 4


def test_the_same_day_is_sold_alike_every_time(loaded: Settings) -> None:
    read = text("select reference, total_minor, contact_email from bookings order by idempotency_key")
    seen = []
    for _ in range(2):
        with db.writing() as session:
            service.ensure_demo_history(session)
            seen.append(session.execute(read).all())
            session.rollback()
    assert seen[0] == seen[1]


def test_without_flights_there_is_no_history(settings: Settings) -> None:
    with db.writing() as session:
        session.execute(text("truncate flights cascade"))
    assert fill() == 0
    assert demo.pairs_of([]) == {}

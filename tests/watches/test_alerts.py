"""Fare alerts: begun by their address only, told once a drop, stopped by a link, never another's."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.flights.models import Flight
from portal.kit import clock, db, outbox
from portal.kit.settings import Settings
from portal.watches.models import Alert
from tasks.handlers import HANDLERS
from tests import world
from tests.booking import makers as bookings
from tests.watches import makers

DAY = world.soon()
FORM = {
    "origin": "JFK",
    "destination": "LAX",
    "span": "day",
    "departureDate": DAY.isoformat(),
    "month": DAY.isoformat()[:7],
    "cabin": "economy",
    "below": "250",
    "currency": "USD",
    "adults": "1",
    "children": "0",
    "infants": "0",
    "email": "anna@example.com",
}


def check(settings: Settings) -> None:
    """Look after every alert, as if an hour had gone by."""
    with db.writing() as session:
        session.execute(text("update alerts set checked_at = null"))
    HANDLERS["alerts.check"](settings, outbox.Letter(kind="alerts.check", payload={}))
    makers.work_off(settings, "alert.drop")


def fare(flight: Flight, minor: int) -> None:
    with db.writing() as session:
        session.execute(text("update flights set fare_minor = :fare where id = :id"), {"fare": minor, "id": flight.id})


def begun(client: TestClient, settings: Settings, **given: str) -> str:
    """Ask for an alert and confirm it by its mail; return the alert's page."""
    assert client.post("/fare-alerts", data={**FORM, **given}).status_code == 303
    makers.work_off(settings, "alert.confirm")
    path = makers.link(settings, makers.inbox(settings)[-1], "/fare-alerts/")
    assert client.post(f"{path}/begin").status_code == 303
    return path


def drops(settings: Settings) -> list[str]:
    return [mail["subject"] for mail in makers.inbox(settings) if mail["subject"].startswith("$")]


def test_nothing_is_sent_before_the_address_says_yes(client: TestClient, settings: Settings) -> None:
    bookings.flight(fare_minor=1_000)
    client.post("/fare-alerts", data=FORM)
    check(settings)
    assert makers.inbox(settings) == []
    makers.work_off(settings, "alert.confirm")
    (mail,) = makers.inbox(settings)
    path = makers.link(settings, mail, "/fare-alerts/")
    assert client.get(path).status_code == 200
    assert bookings.one("select state from alerts") == "pending"
    client.post(f"{path}/begin")
    check(settings)
    assert len(drops(settings)) == 1


def test_a_drop_is_told_once_and_a_lower_one_at_once(client: TestClient, settings: Settings) -> None:
    flight = bookings.flight(fare_minor=40_000)
    begun(client, settings)
    check(settings)
    assert drops(settings) == []
    fare(flight, 5_000)
    check(settings)
    check(settings)
    assert len(drops(settings)) == 1
    mail = makers.inbox(settings)[-1]
    assert makers.link(settings, mail, "/flights?").count(DAY.isoformat()) == 1
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    fare(flight, 4_000)
    check(settings)
    assert len(drops(settings)) == 2
    fare(flight, 40_000)
    check(settings)
    fare(flight, 4_500)
    check(settings)
    assert len(drops(settings)) == 2
    with clock.shifted(timedelta(days=3, minutes=1)):
        check(settings)
    assert len(drops(settings)) == 3


def test_a_month_is_told_by_its_cheapest_day(client: TestClient, settings: Settings) -> None:
    first = (DAY.replace(day=1) + timedelta(days=62)).replace(day=1)
    bookings.flight(number=1, on=first + timedelta(days=3), fare_minor=9_000)
    bookings.flight(number=2, on=first + timedelta(days=5), fare_minor=3_000)
    begun(client, settings, span="month", month=first.isoformat()[:7])
    check(settings)
    assert len(drops(settings)) == 1
    path = makers.link(settings, makers.inbox(settings)[-1], "/flights?")
    assert f"departureDate={first + timedelta(days=5)}" in path


def test_an_alert_is_stopped_by_its_link_and_says_no_more(client: TestClient, settings: Settings) -> None:
    bookings.flight(fare_minor=1_000)
    path = begun(client, settings)
    assert client.get(path).status_code == 200
    assert bookings.one("select state from alerts") == "active"
    client.post(path, data={"List-Unsubscribe": "One-Click"})
    assert bookings.one("select state from alerts") == "left"
    check(settings)
    assert drops(settings) == []
    client.post(f"{path}/begin")
    assert bookings.one("select state from alerts") == "left"


def test_the_same_wish_again_is_one_alert_and_one_mail_a_day(client: TestClient, settings: Settings) -> None:
    for email in ("anna@example.com", "ANNA@example.com"):
        assert client.post("/fare-alerts", data={**FORM, "email": email}).status_code == 303
    assert bookings.one("select count(*) from alerts") == 1
    assert bookings.one("select count(*) from letters where kind = 'alert.confirm'") == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("origin", "XXX"),
        ("destination", "JFK"),
        ("departureDate", "2020-01-01"),
        ("departureDate", ""),
        ("below", "cheap"),
        ("below", "-5"),
        ("below", "0"),
        ("below", "1.234"),
        ("below", "1.000"),
        ("email", "nobody"),
        ("adults", "10"),
        ("infants", "2"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(client: TestClient, field: str, value: str) -> None:
    answer = client.post("/fare-alerts", data={**FORM, field: value})
    assert answer.status_code == 422
    assert 'id="errors"' in answer.text
    if field != "email":
        assert 'value="anna@example.com"' in answer.text
    assert bookings.one("select count(*) from alerts") == 0


@pytest.mark.parametrize("typed", ["1,000", "1,000.00", "1.000,00", "1 000", "1000"])
def test_a_thousand_is_a_thousand_however_it_is_typed(client: TestClient, typed: str) -> None:
    assert client.post("/fare-alerts", data={**FORM, "below": typed}).status_code == 303
    assert bookings.one("select below_minor from alerts") == 100_000


def test_past_alerts_end_and_unconfirmed_ones_are_forgotten(client: TestClient, settings: Settings) -> None:
    begun(client, settings)
    client.post("/fare-alerts", data={**FORM, "email": "never@example.com"})
    with clock.shifted(timedelta(days=31)):
        check(settings)
    assert bookings.one("select string_agg(state, ' ') from alerts") == "over"


def test_the_account_lists_and_stops_its_own_alerts_only(client: TestClient, settings: Settings) -> None:
    client.post("/fare-alerts", data={**FORM, "email": "other@example.com"})
    other = bookings.one("select id from alerts")
    makers.sign_in(client)
    client.post("/fare-alerts", data=FORM)
    mine = bookings.one("select id from alerts where user_id is not null")
    page = client.get("/account/watches").text
    assert f"/account/watches/alerts/{mine}" in page
    assert str(other) not in page
    assert client.post(f"/account/watches/alerts/{other}").status_code == 404
    assert client.post("/account/watches/alerts/none").status_code == 404
    assert client.post(f"/account/watches/alerts/{mine}").status_code == 303
    with db.reading() as session:
        assert session.get_one(Alert, UUID(str(mine))).state == "left"
        assert session.get_one(Alert, UUID(str(other))).state == "pending"


def test_who_muted_fare_alerts_gets_none(client: TestClient, settings: Settings) -> None:
    bookings.flight(fare_minor=1_000)
    makers.sign_in(client)
    begun(client, settings)
    with db.writing() as session:
        session.execute(text("insert into preferences (user_id, muted) select id, '{fareAlerts}' from users"))
    check(settings)
    assert drops(settings) == []

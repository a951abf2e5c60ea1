"""Figures for programs: for the back office only, and the same as bookings add up to."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.kit import cache, db
from portal.kit.money import decimal_text
from portal.kit.settings import Settings
from tests import world
from tests.analytics.conftest import roll_up
from tests.booking.makers import one

Token = Callable[[str], dict[str, str]]
DOORS = ("summary", "revenue", "bookings", "routes", "demographics", "trends")
SPAN = {"from": str(world.soon(-6)), "to": str(world.soon(3))}


def whole() -> str:
    return decimal_text(int(str(one("select sum(total_minor) from bookings where status = 'confirmed'"))), "USD")


@pytest.mark.parametrize("door", DOORS)
def test_they_are_for_the_back_office(client: TestClient, token: Token, door: str) -> None:
    address = f"/api/analytics/{door}"
    assert client.get(address).status_code == 401
    assert client.get(address, headers=token("customer")).status_code == 403
    assert client.get(address, headers=token("staff")).status_code == 200
    wrong = client.get(address, headers=token("staff"), params={"from": "x"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/from")


def test_summary(sold: Settings, client: TestClient, token: Token) -> None:
    found = client.get("/api/analytics/summary", params=SPAN, headers=token("staff")).json()
    total = found["total"]
    assert total["revenue"] == {"amount": whole(), "currency": "USD"}
    assert (total["bookings"], total["passengers"]) == (3, 5)
    assert total["loadFactor"] == round(8 / 324, 4)
    assert found["before"]["bookings"] == 0
    assert found["before"]["loadFactor"] is None
    assert found["averageBooking"]["amount"] == str((Decimal(whole()) / 3).quantize(Decimal("0.01")))


@pytest.mark.parametrize("group", ["day", "week", "month", "route", "cabin", "brand"])
def test_groups_add_up_to_the_whole_whatever_they_are(
    sold: Settings, client: TestClient, token: Token, group: str
) -> None:
    found = client.get("/api/analytics/revenue", params={**SPAN, "groupBy": group}, headers=token("admin")).json()
    assert found["groupBy"] == group
    assert sum(Decimal(row["revenue"]["amount"]) for row in found["data"]) == Decimal(whole())
    assert found["total"]["bookings"] == 3


def test_routes_have_their_load(sold: Settings, client: TestClient, token: Token) -> None:
    found = client.get("/api/analytics/routes", params=SPAN, headers=token("staff")).json()
    assert {row["key"]: (row["bookings"], row["passengers"], row["loadFactor"]) for row in found["data"]} == {
        "JFK-LAX": (3, 5, round(5 / 162, 4)),
        "LAX-JFK": (1, 3, round(3 / 162, 4)),
    }


def test_who_travels(sold: Settings, client: TestClient, token: Token) -> None:
    found = client.get("/api/analytics/demographics", params=SPAN, headers=token("staff")).json()
    assert found["types"] == [{"key": "adult", "passengers": 4}, {"key": "child", "passengers": 1}]
    assert sum(row["passengers"] for row in found["ages"]) == 5
    assert {"key": "30-44", "passengers": 4} in found["ages"]


def test_filters_narrow_alike(sold: Settings, client: TestClient, token: Token) -> None:
    narrow = {**SPAN, "route": "LAX-JFK", "brand": "Flex", "cabin": "economy"}
    found = client.get("/api/analytics/trends", params=narrow, headers=token("staff")).json()
    assert found["total"]["passengers"] == 3
    assert found["total"]["loadFactor"] == round(3 / 150, 4)
    assert client.get("/api/analytics/trends", params={"groupBy": "route"}, headers=token("staff")).status_code == 422


def test_an_answer_about_days_that_are_over_is_kept_and_today_is_asked_anew(
    sold: Settings, client: TestClient, token: Token
) -> None:
    over = {"from": str(world.soon(-6)), "to": str(world.soon(-1))}
    staff = token("staff")
    before = {
        name: client.get("/api/analytics/summary", params=span, headers=staff).json()["total"]["bookings"]
        for name, span in (("over", over), ("now", SPAN))
    }
    with db.writing() as session:
        session.execute(
            text("update bookings set confirmed_at = confirmed_at - interval '2 days' where status = 'confirmed'")
        )
    roll_up()
    after = {
        name: client.get("/api/analytics/summary", params=span, headers=staff).json()["total"]["bookings"]
        for name, span in (("over", over), ("now", SPAN))
    }
    cache.client(sold.redis_url).flushdb()
    fresh = client.get("/api/analytics/summary", params=over, headers=staff).json()["total"]["bookings"]
    assert (before["over"], after["over"], fresh) == (0, 0, 3)
    assert before["now"] == after["now"] == 3
    assert client.get("/api/analytics/summary", params=over, headers=token("customer")).status_code == 403

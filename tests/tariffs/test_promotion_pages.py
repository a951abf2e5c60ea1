"""Promotions are made, limited and ended by admins, on pages and by programs; staff see how far each is used up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal import cli
from portal.kit import db
from portal.tariffs import queries
from tests.booking import makers
from tests.pricing import promoting

SignIn = Callable[[str], TestClient]
Tokens = dict[str, dict[str, str]]
NEW = {"code": "spring", "label": "Spring", "kind": "percent", "amount": "12.5", "currency": "USD"}
FORM = {**NEW, "saleFrom": "2026-11-01", "totalUses": "100", "perCustomer": "2", "routes": "JFK-LAX lax-jfk"}
WIRE: dict[str, Any] = {**NEW, "saleFrom": "2026-11-01", "saleTo": "2027-05-31", "totalUses": 100, "cap": "80.00"}


def test_an_admin_puts_one_on_sale_limits_it_and_ends_it(signed_in: SignIn) -> None:
    admin = signed_in("admin")
    made = admin.post("/admin/promotions/new", data={**FORM, "brands": ["Flex", "Standard"]})
    assert (made.status_code, made.headers["location"]) == (303, "/admin/promotions")
    row = makers.one("select array[code, amount::text, routes::text, brands::text] from promotions")
    assert row == ["SPRING", "1250", "{JFK-LAX,LAX-JFK}", "{Flex,Standard}"]
    shown = admin.get("/admin/promotions").text
    assert "SPRING" in shown
    assert 'max="100" value="0"' in shown
    form = {"label": "Spring", "saleFrom": "2026-11-01", "totalUses": "50"}
    assert admin.post("/admin/promotions/spring", data=form).status_code == 303
    assert makers.one("select total_uses from promotions") == 50
    assert makers.one("select routes from promotions") is None
    assert admin.post("/admin/promotions/SPRING", data={"do": "end"}).status_code == 303
    assert makers.one("select ended_at is not null from promotions") is True
    with db.reading() as session:
        deeds = session.scalars(text("select action from audit_entries where thing = 'promotion' order by id")).all()
    assert deeds == ["promotion.created", "promotion.changed", "promotion.ended"]


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"code": "no spaces"}, "code", "letters, digits or dashes"),
        ({"amount": "101"}, "amount", "at most 100 per cent"),
        ({"amount": "ten"}, "amount", ""),
        ({"kind": "amount", "amount": "1.234"}, "amount", ""),
        ({"routes": "JFK to LAX"}, "routes", "as JFK-LAX"),
        ({"totalUses": "0"}, "totalUses", ""),
        ({"saleFrom": ""}, "saleFrom", "fill this in"),
        ({"label": ""}, "label", "fill this in"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(
    signed_in: SignIn, given: dict[str, str], field: str, words: str
) -> None:
    answer = signed_in("admin").post("/admin/promotions/new", data={**FORM, **given})
    assert answer.status_code == 422
    assert f'id="{field}-why"' in answer.text
    assert words in answer.text
    assert given.get("label", "Spring") in answer.text
    assert makers.one("select count(*) from promotions") == 0


def test_amounts_of_thousands_are_understood(signed_in: SignIn) -> None:
    admin = signed_in("admin")
    big = {**FORM, "kind": "amount", "amount": "1,000", "minimum": "2.500,50", "cap": "10 000"}
    assert admin.post("/admin/promotions/new", data=big).status_code == 303
    assert makers.one("select array[amount, minimum_minor, cap_minor] from promotions") == [100_000, 250_050, 1_000_000]
    form = {"label": "Spring", "saleFrom": "2026-11-01", "minimum": "3,000"}
    assert admin.post("/admin/promotions/spring", data=form).status_code == 303
    assert makers.one("select minimum_minor from promotions") == 300_000
    assert admin.post("/admin/promotions/spring", data={**form, "minimum": "3.000"}).status_code == 422


def test_a_code_is_used_once(signed_in: SignIn) -> None:
    admin = signed_in("admin")
    admin.post("/admin/promotions/new", data=FORM)
    again = admin.post("/admin/promotions/new", data=FORM)
    assert again.status_code == 409
    assert "Please choose another code" in again.text


def test_fewer_uses_than_were_had_are_refused(signed_in: SignIn) -> None:
    promoting.make(total_uses=10, used=7)
    answer = signed_in("admin").post(
        "/admin/promotions/TEN", data={"label": "Ten", "saleFrom": "2026-11-01", "totalUses": "5"}
    )
    assert answer.status_code == 422
    assert "used 7 times already" in answer.text
    assert makers.one("select total_uses from promotions") == 10


def test_programs_do_the_same(client: TestClient, tokens: Tokens) -> None:
    made = client.post("/api/admin/promotions", json=WIRE, headers=tokens["admin"])
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["code"], body["amount"], body["cap"], body["state"], body["used"]) == (
        "SPRING",
        "12.5",
        "80.00",
        "open",
        0,
    )
    assert (body["saleFrom"], body["saleTo"]) == ("2026-11-01", "2027-05-31")
    at = made.headers["location"]
    changed = client.patch(at, json={"totalUses": 3, "saleTo": None}, headers=tokens["admin"]).json()
    assert (changed["totalUses"], changed["saleTo"], changed["cap"]) == (3, None, "80.00")
    assert client.patch(at, json={"ended": True}, headers=tokens["admin"]).json()["state"] == "ended"
    listed = client.get("/api/admin/promotions", headers=tokens["staff"]).json()["data"]
    assert [one["code"] for one in listed] == ["SPRING"]
    assert client.post("/api/admin/promotions", json=WIRE, headers=tokens["admin"]).json()["code"] == "code_taken"
    assert client.patch("/api/admin/promotions/NONE", json={}, headers=tokens["admin"]).status_code == 404


def test_only_admins_change_and_only_staff_see(client: TestClient, tokens: Tokens) -> None:
    assert client.get("/api/admin/promotions").status_code == 401
    assert client.get("/api/admin/promotions", headers=tokens["customer"]).status_code == 403
    assert client.post("/api/admin/promotions", json=WIRE, headers=tokens["staff"]).status_code == 403
    assert client.patch("/api/admin/promotions/X", json={}, headers=tokens["staff"]).status_code == 403


def test_staff_see_the_pages_without_the_buttons(signed_in: SignIn) -> None:
    promoting.make(code="SEEN")
    staff = signed_in("staff")
    shown = staff.get("/admin/promotions").text
    assert "SEEN" in shown
    assert "/admin/promotions/new" not in shown
    assert staff.get("/admin/promotions/SEEN").status_code == 403
    assert staff.post("/admin/promotions/SEEN", data={"do": "end"}).status_code == 403


def test_a_count_that_is_off_is_found_in_the_books(signed_in: SignIn) -> None:
    promoting.make(total_uses=10, used=0)
    with db.reading() as session:
        assert queries.broken_promotions(session) == []
    with db.writing() as session:
        session.execute(text("update promotions set used = 2"))
    with db.reading() as session:
        (found,) = cli.all_findings(session)
    assert (found.rule, found.thing) == ("each use of a promotion is counted", "TEN")

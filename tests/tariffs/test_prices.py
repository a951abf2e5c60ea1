"""Staff change prices by new versions: what priced something stays, each change is audited, a preview says it first."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.kit import clock, db
from portal.pricing import service as pricing
from portal.pricing.models import ExchangeRate, FareRuleRow, Tax
from portal.seats import service as seats
from portal.seats.models import SeatPrice
from portal.tariffs import queries, rules
from tests.booking import makers

SignIn = Callable[[str], TestClient]
SOON = clock.now().date() + timedelta(days=1)


def rule(**given: Any) -> FareRuleRow:
    """Commit a price rule that holds for every flight, since the beginning of the year."""
    values = {"kind": "route", "label": "From New York", "factor_bp": 11_000, "origin": "JFK", **given}
    with db.writing() as session:
        row = FareRuleRow(key="mine", code="", valid_from=date(2026, 1, 1), source="because", **values)
        session.add(row)
        session.flush()
        return row


def form(kind: str, row: Any, **given: str) -> dict[str, Any]:
    """Return a row's form as the page shows it, with something else typed."""
    with db.reading() as session:
        found = queries.find(session, queries.table(kind), queries.row_id(row))
        typed = rules.typed(queries.table(kind), queries.values_of(found))
    shown = {name: "yes" if value is True else "" if value is False else value for name, value in typed.items()}
    filled = {name: value for name, value in shown.items() if value not in ("", [])}
    return {**filled, "valid_from": SOON.isoformat(), "valid_to": "", "do": "save", **given}


def versions(key: str = "mine") -> list[tuple[int, date, date | None]]:
    with db.reading() as session:
        found = select(FareRuleRow.factor_bp, FareRuleRow.valid_from, FareRuleRow.valid_to)
        rows = session.execute(found.where(FareRuleRow.key.like(f"{key}%")).order_by(FareRuleRow.valid_from))
        return [(row[0], row[1], row[2]) for row in rows]


def audited() -> list[tuple[str, Any, Any]]:
    with db.reading() as session:
        rows = session.execute(text("select action, before, after from audit_entries where action like 'price.%'"))
        return [(row[0], row[1], row[2]) for row in rows]


@pytest.fixture
def admin(signed_in: SignIn) -> TestClient:
    return signed_in("admin")


@pytest.mark.parametrize("name", [one.name for one in rules.TABLES])
def test_every_table_is_shown_and_each_of_its_forms_opens(admin: TestClient, name: str) -> None:
    with db.writing() as session:
        pricing.ensure_reference_rows(session)
        seats.ensure_catalogue(session)
    shown = admin.get(f"/admin/prices?table={name}&show=all")
    assert shown.status_code == 200
    hrefs = re.findall(rf'href="(/admin/prices/{name}/[^"]+)"', shown.text)
    assert len(hrefs) > 2
    for href in (hrefs[0], hrefs[1], hrefs[-1]):
        assert admin.get(href).status_code == 200


def test_a_change_is_a_new_version_and_the_old_one_ends_the_day_before(admin: TestClient) -> None:
    row = rule()
    answer = admin.post(f"/admin/prices/fares/{row.id}", data=form("fares", row, factor_bp="120"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/prices?table=fares")
    assert versions() == [(11_000, date(2026, 1, 1), SOON - timedelta(days=1)), (12_000, SOON, None)]
    ((action, before, after),) = audited()
    assert action == "price.changed"
    assert (before["factor_bp"], after["factor_bp"], after["valid_from"]) == (11_000, 12_000, SOON.isoformat())


def test_a_preview_says_what_a_trip_will_cost_and_keeps_nothing(admin: TestClient) -> None:
    makers.flight(on=clock.now().date() + timedelta(days=30))
    row = rule()
    shown = admin.post(f"/admin/prices/fares/{row.id}", data=form("fares", row, factor_bp="220", do="preview"))
    assert shown.status_code == 200
    told = re.search(
        r"JFK–LAX in \d+ days[^<]*Economy Standard</th><td[^>]*>\$([\d.,]+)</td><td[^>]*><b>\$([\d.,]+)", shown.text
    )
    assert told is not None
    before, after = (float(one.replace(",", "")) for one in told.groups())
    assert 1.8 * before < after < 2.05 * before
    assert versions() == [(11_000, date(2026, 1, 1), None)]
    assert audited() == []
    assert 'value="220"' in shown.text


def test_the_preview_is_the_price_that_is_asked_once_it_holds(admin: TestClient) -> None:
    makers.flight(on=clock.now().date() + timedelta(days=31))
    row = rule()
    sent = form("fares", row, factor_bp="130")
    shown = admin.post(f"/admin/prices/fares/{row.id}", data={**sent, "do": "preview"}).text
    admin.post(f"/admin/prices/fares/{row.id}", data=sent)
    with db.reading() as session:
        values = queries.values_of(queries.find(session, queries.table("fares"), str(row.id + 0)))
        told = queries.prices(session, queries.table("fares"), {**values, "valid_from": SOON}, today=clock.now().date())
    assert f"<b>${told[0][1] / 100:,.2f}</b>" in shown


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"factor_bp": "a lot"}, "factor_bp", "Please give a number."),
        ({"factor_bp": "5000"}, "factor_bp", "Between 10 and 1000 per cent"),
        ({"factor_bp": ""}, "factor_bp", "Please fill this in."),
        ({"valid_from": "soon"}, "valid_from", "Please give a date"),
        ({"valid_from": "2026-01-01"}, "valid_from", "Please give a day from"),
        ({"origin": "New York"}, "origin", "three letters"),
        ({"origin": ""}, "origin", "at one end"),
        ({"code": "TOOLONG"}, "code", "At most 2"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_nothing_typed_is_lost(
    admin: TestClient, given: dict[str, str], field: str, words: str
) -> None:
    row = rule()
    answer = admin.post(f"/admin/prices/fares/{row.id}", data=form("fares", row, label="Typed", **given))
    assert answer.status_code == 422
    assert re.search(rf'id="{field}-why">[^<]*{re.escape(words)}', answer.text)
    assert 'value="Typed"' in answer.text
    assert versions() == [(11_000, date(2026, 1, 1), None)]


def test_a_season_that_is_none_is_refused(admin: TestClient) -> None:
    sent = {"kind": "season", "label": "Odd", "factor_bp": "100", "low": "1399", "high": "1231", "source": "why"}
    answer = admin.post("/admin/prices/fares/new", data={**sent, "valid_from": SOON.isoformat(), "do": "save"})
    assert answer.status_code == 422
    assert "Month and day, please" in answer.text


def test_a_new_rule_is_added_and_may_end(admin: TestClient) -> None:
    sent = {"kind": "route", "label": "Sale", "factor_bp": "90", "origin": "jfk", "source": "spring", "do": "save"}
    answer = admin.post("/admin/prices/fares/new", data={**sent, "valid_from": SOON.isoformat()})
    assert answer.status_code == 303
    with db.reading() as session:
        row = session.scalars(select(FareRuleRow).where(FareRuleRow.label == "Sale")).one()
    assert (row.origin, row.factor_bp, row.valid_to) == ("JFK", 9_000, None)
    last = SOON + timedelta(days=9)
    assert admin.post(f"/admin/prices/fares/{row.id}/end", data={"last": last.isoformat()}).status_code == 303
    with db.reading() as session:
        assert session.get_one(FareRuleRow, row.id).valid_to == last
    assert [one[0] for one in audited()] == ["price.added", "price.ended"]


def test_a_tax_s_amount_follows_its_kind_and_its_currency(admin: TestClient) -> None:
    with db.reading() as session:
        excise, segment = (
            session.scalars(select(Tax).where(Tax.key == key)).one() for key in ("us-excise", "us-segment")
        )
    assert admin.post(f"/admin/prices/taxes/{excise.id}", data=form("taxes", excise, amount="8.25")).status_code == 303
    assert (
        admin.post(f"/admin/prices/taxes/{segment.id}", data=form("taxes", segment, amount="5.65")).status_code == 303
    )
    with db.reading() as session:
        kept = dict(
            session.execute(select(Tax.code, Tax.amount).where(Tax.valid_from == SOON)).all()  # type: ignore[arg-type]  # rows are pairs
        )
    assert kept == {"US": 825, "ZP": 565}


def test_a_rate_from_tomorrow_does_not_hold_today(admin: TestClient) -> None:
    with db.reading() as session:
        rate = session.get_one(ExchangeRate, ("EUR", date(2026, 1, 1)))
    sent = form("rates", rate, millionths_per_usd="0.91")
    assert "$86.00" not in admin.post("/admin/prices/rates/EUR~2026-01-01", data={**sent, "do": "preview"}).text
    assert admin.post("/admin/prices/rates/EUR~2026-01-01", data=sent).status_code == 303
    assert makers.one("select millionths_per_usd from exchange_rates where valid_from = :on", on=SOON) == 910_000
    with db.reading() as session:
        assert pricing.read_book(session, clock.now().date()).rates["EUR"] == 860_000
        assert pricing.read_book(session, SOON).rates["EUR"] == 910_000


def test_a_seat_s_price_has_versions_too(admin: TestClient) -> None:
    with db.writing() as session:
        seats.ensure_catalogue(session)
        row = session.scalars(select(SeatPrice).where(SeatPrice.key == "economy-window")).one()
    sent = form("seats", row, amount_minor="15.00")
    shown = admin.post(f"/admin/prices/seats/{row.id}", data={**sent, "do": "preview"}).text
    assert "$15.00" in shown
    assert admin.post(f"/admin/prices/seats/{row.id}", data=sent).status_code == 303
    assert makers.one("select amount_minor from seat_prices where valid_from = :on", on=SOON) == 1_500
    assert makers.one("select amount_minor from seat_prices where key = 'economy-window'") == row.amount_minor


def test_a_version_cannot_begin_before_the_one_it_follows(admin: TestClient) -> None:
    row = rule()
    admin.post(f"/admin/prices/fares/{row.id}", data=form("fares", row, factor_bp="120"))
    with db.reading() as session:
        second = session.scalars(select(FareRuleRow).where(FareRuleRow.valid_from == SOON)).one()
    answer = admin.post(f"/admin/prices/fares/{second.id}", data=form("fares", second, factor_bp="130"))
    assert answer.status_code == 422
    assert "the next one begins later" in answer.text
    assert len(versions()) == 2


def test_staff_read_and_only_admins_change(signed_in: SignIn) -> None:
    row = rule()
    staff = signed_in("staff")
    shown = staff.get("/admin/prices")
    assert shown.status_code == 200
    assert "From New York" in shown.text
    assert "/admin/prices/fares/new" not in shown.text
    for path in (f"/admin/prices/fares/{row.id}", "/admin/prices/fares/new"):
        assert staff.get(path).status_code == 403
        assert staff.post(path, data={"do": "save"}).status_code == 403
    assert staff.post(f"/admin/prices/fares/{row.id}/end", data={"last": SOON.isoformat()}).status_code == 403
    assert signed_in("customer").get("/admin/prices").status_code == 403


@pytest.mark.parametrize(
    "path", ["fares/999999", "fares/x", "fares/1~2", "rates/EUR~never", "nothing/1", "nothing/new"]
)
def test_what_is_not_there_is_not_found(admin: TestClient, path: str) -> None:
    assert admin.get(f"/admin/prices/{path}").status_code == 404


@pytest.mark.parametrize(
    ("bp", "words"), [(10_000, "as it is"), (11_250, "+12.5 %"), (9_000, "−10 %"), (20_000, "+100 %")]
)
def test_a_factor_is_told_as_people_say_it(bp: int, words: str) -> None:
    assert rules.percent(bp) == words

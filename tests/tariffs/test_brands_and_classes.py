"""Brands and booking classes have days of sale: one row a day, never a cabin without a brand; offers keep theirs."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from starlette.testclient import TestClient

from portal.kit import clock, db
from portal.kit.errors import Invalid
from portal.kit.settings import Settings
from portal.pricing.models import FareBrand, FareClassRow
from portal.pricing.service import forget_books, load_book, read_book
from portal.search import service as search
from portal.tariffs import queries, rules, service
from tests.booking import makers
from tests.tariffs.test_prices import SOON, audited, form

SignIn = Callable[[str], TestClient]
BEGAN, TODAY = date(2026, 1, 1), clock.now().date()
ROW = f"/admin/prices/brands/economy~Standard~{BEGAN}"


@pytest.fixture
def admin(signed_in: SignIn) -> TestClient:
    return signed_in("admin")


def standard(starts: date = BEGAN) -> FareBrand:
    with db.reading() as session:
        return session.get_one(FareBrand, ("economy", "Standard", starts))


def factors(model: type[FareBrand | FareClassRow], name: str) -> list[tuple[int, date, date | None]]:
    column = FareBrand.brand if model is FareBrand else FareClassRow.letter
    with db.reading() as session:
        found = select(model.factor_bp, model.valid_from, model.valid_to).where(model.cabin == "economy")
        rows = session.execute(found.where(column == name).order_by(model.valid_from))
        return [(row[0], row[1], row[2]) for row in rows]


def test_a_brand_s_change_is_a_new_version_from_a_day_of_sale_on(admin: TestClient) -> None:
    sent = form("brands", standard(), factor_bp="125", refund="allowed", refund_penalty_minor="0")
    assert admin.post(ROW, data=sent).status_code == 303
    assert factors(FareBrand, "Standard") == [(12_200, BEGAN, TODAY), (12_500, SOON, None)]
    with db.reading() as session:
        now, then = read_book(session, TODAY), read_book(session, SOON)
        assert load_book(session).brand("economy", "Standard") == now.brand("economy", "Standard")
    was, becomes = (book.brand("economy", "Standard") for book in (now, then))
    assert (was.factor_bp, was.refund, becomes.factor_bp, becomes.refund) == (12_200, "penalty", 12_500, "allowed")
    assert (was.position, was.booking_class) == (becomes.position, becomes.booking_class)
    ((action, before, after),) = audited()
    assert (action, before["factor_bp"], after["factor_bp"]) == ("price.changed", 12_200, 12_500)
    assert after["valid_from"] == SOON.isoformat()


def test_a_class_s_change_keeps_its_place_in_the_nest(admin: TestClient) -> None:
    with db.reading() as session:
        row = session.get_one(FareClassRow, ("economy", "K", BEGAN))
    assert (
        admin.post(f"/admin/prices/classes/economy~K~{BEGAN}", data=form("classes", row, factor_bp="115")).status_code
        == 303
    )
    assert factors(FareClassRow, "K") == [(11_100, BEGAN, TODAY), (11_500, SOON, None)]
    with db.reading() as session:
        books = read_book(session, TODAY), read_book(session, SOON)
    letters = [[one.letter for one in book.tariff.classes["economy"]] for book in books]
    assert letters[0] == letters[1] == ["Y", "B", "M", "H", "K", "Q"]
    assert [book.tariff.class_factors("economy")[4] for book in books] == [11_100, 11_500]


def test_a_preview_tells_what_the_brand_comes_to_and_keeps_nothing(admin: TestClient) -> None:
    makers.flight(on=TODAY + timedelta(days=30))
    shown = admin.post(ROW, data=form("brands", standard(), factor_bp="244", do="preview"))
    told = re.search(r"Economy Standard</th><td[^>]*>\$([\d.,]+)</td><td[^>]*><b>\$([\d.,]+)", shown.text)
    assert told is not None
    before, after = (float(one.replace(",", "")) for one in told.groups())
    assert 1.8 * before < after < 2.05 * before
    assert factors(FareBrand, "Standard") == [(12_200, BEGAN, None)]
    assert audited() == []


def test_a_new_brand_says_that_it_is_not_sold_before(admin: TestClient) -> None:
    makers.flight(on=TODAY + timedelta(days=30))
    sent: dict[str, Any] = {**form("brands", standard()), "cabin": "economy", "brand": "Lite", "factor_bp": "90"}
    shown = admin.post("/admin/prices/brands/new", data={**sent, "do": "preview"})
    assert shown.status_code == 200
    assert re.search(r"Economy Lite</th><td[^>]*>not sold</td><td[^>]*><b>\$[\d.,]+", shown.text)
    assert admin.post("/admin/prices/brands/new", data=sent).status_code == 303
    assert factors(FareBrand, "Lite") == [(9_000, SOON, None)]


def test_a_version_that_meets_another_on_a_day_is_refused_at_its_first_day(admin: TestClient) -> None:
    assert admin.post(ROW, data=form("brands", standard(), factor_bp="125")).status_code == 303
    late = SOON + timedelta(days=20)
    sent = {**form("brands", standard()), "cabin": "economy", "brand": "Standard", "valid_from": late.isoformat()}
    answer = admin.post("/admin/prices/brands/new", data=sent)
    assert answer.status_code == 422
    assert re.search(r'id="valid_from-why">[^<]*holds on some of these days', answer.text)
    assert len(factors(FareBrand, "Standard")) == 2


def test_the_database_itself_keeps_one_row_a_day(settings: Settings) -> None:
    with db.reading() as session:
        row = queries.values_of(session.get_one(FareBrand, ("economy", "Flex", BEGAN)))
        place = queries.values_of(session.get_one(FareClassRow, ("economy", "K", BEGAN)))
    for model, values in ((FareBrand, {**row, "valid_from": SOON}), (FareClassRow, {**place, "letter": "X"})):
        with pytest.raises(IntegrityError, match="a_day"), db.writing() as session:
            session.execute(insert(model).values(**values))


def test_two_admins_who_change_one_brand_at_once_make_one_version(users: dict[str, UUID]) -> None:
    def change(days: int) -> bool:
        values = {**queries.values_of(standard()), "factor_bp": 13_000 + days, "valid_to": None}
        given = {**values, "valid_from": SOON + timedelta(days=days)}
        try:
            with db.writing() as session:
                number = f"economy~Standard~{BEGAN}"
                service.save(session, queries.table("brands"), number, given, actor_id=users["admin"])
        except Invalid:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(change, range(4)))
    rows = factors(FareBrand, "Standard")
    assert len(rows) == 1 + sum(made)
    assert all(one[2] == two[1] - timedelta(days=1) for one, two in pairwise(rows))
    assert rows[-1][2] is None


def test_a_cabin_on_sale_is_never_left_without_a_brand(admin: TestClient) -> None:
    last = {"last": (SOON + timedelta(days=3)).isoformat()}
    for brand in ("Basic", "Standard"):
        assert admin.post(f"/admin/prices/brands/economy~{brand}~{BEGAN}/end", data=last).status_code == 303
    admin.post(f"/admin/prices/brands/economy~Flex~{BEGAN}/end", data=last)
    assert factors(FareBrand, "Basic")[0][2] is not None
    assert factors(FareBrand, "Flex")[0][2] is None
    assert "needs a brand every day" in admin.get("/admin/prices?table=brands").text
    with db.reading() as session:
        later = read_book(session, SOON + timedelta(days=9))
    assert [one.brand for one in later.in_cabin("economy")] == ["Flex"]


def test_an_offer_keeps_its_price_and_terms_when_the_brand_changes_the_same_day(settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight(), brand="Standard")
    with db.writing() as session:
        ours = FareBrand.cabin == "economy", FareBrand.brand == "Standard"
        session.execute(update(FareBrand).where(*ours).values(valid_to=TODAY - timedelta(days=1)))
        old = queries.values_of(session.scalars(select(FareBrand).where(*ours)).one())
        new = {**old, "valid_from": TODAY, "valid_to": None, "factor_bp": 20_000, "refund": "no"}
        session.execute(insert(FareBrand).values(**new))
    forget_books()
    kept = search.read_offer(settings, offer.token)
    assert (kept.total_minor, kept.conditions) == (offer.total_minor, offer.conditions)
    assert makers.held(settings, offer).total_minor == offer.total_minor
    with db.reading() as session:
        fresh = search.reprice(session, offer, settings=settings)
    assert fresh.total_minor > offer.total_minor
    assert fresh.conditions != offer.conditions


@given(st.lists(st.tuples(st.integers(0, 20), st.none() | st.integers(0, 9)), max_size=5), st.integers(0, 20))
def test_a_gap_is_a_day_on_which_nothing_holds(spans: list[tuple[int, int | None]], on: int) -> None:
    def at(number: int) -> date:
        return BEGAN + timedelta(days=number)

    days = [(at(first), None if more is None else at(first + more)) for first, more in spans]
    every = [any(one <= at(n) and (two is None or at(n) <= two) for one, two in days) for n in range(on, 40)]
    assert rules.without_gap(days, at(on)) == all(every)

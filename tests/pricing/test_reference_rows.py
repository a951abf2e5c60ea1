"""The reference rows load, load again, and leave alone what staff changed."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing import service
from portal.pricing.models import RULE_KINDS, ExchangeRate, FareBrand, FareClassRow, FareRuleRow, Tax


def test_loading_twice_adds_nothing_and_keeps_staff_s_changes(settings: Settings) -> None:
    with db.writing() as session:
        service.ensure_reference_rows(session)
        counts = [session.scalar(select(func.count()).select_from(model)) for model in (FareBrand, Tax, ExchangeRate)]
        session.execute(update(Tax).where(Tax.key == "us-excise").values(valid_to=date(2027, 1, 1)))
    with db.writing() as session:
        service.ensure_reference_rows(session)
        again = [session.scalar(select(func.count()).select_from(model)) for model in (FareBrand, Tax, ExchangeRate)]
        kept = session.scalar(select(Tax.valid_to).where(Tax.key == "us-excise"))
    assert counts == again
    assert all(counts)
    assert kept == date(2027, 1, 1)


def test_every_tax_names_its_source(settings: Settings) -> None:
    with db.writing() as session:
        service.ensure_reference_rows(session)
        sources = session.scalars(select(Tax.source)).all()
    assert all(len(source) > 10 for source in sources)


def test_the_book_is_read_whole_and_remembered(settings: Settings) -> None:
    with db.writing() as session:
        service.ensure_reference_rows(session)
    with db.reading() as session:
        book = service.load_book(session)
        assert service.load_book(session) is book
        service.forget_books()
        again = service.load_book(session)
    assert again is not book
    assert (again.brands, again.taxes, again.rates) == (book.brands, book.taxes, book.rates)
    assert [one.brand for one in book.in_cabin("business")] == ["Basic", "Standard", "Flex"]
    assert book.rates["USD"] == 1_000_000


def test_a_book_stays_the_same_until_its_rows_change(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BOOK_SECONDS", -1)
    with db.reading() as session:
        book = service.load_book(session)
        assert service.load_book(session) is book
    with db.writing() as session:
        session.execute(update(FareClassRow).where(FareClassRow.letter == "K").values(factor_bp=11_200))
    with db.reading() as session:
        changed = service.load_book(session)
        assert changed is not book
        assert changed.tariff.class_factors("economy")[4] == 11_200
        monkeypatch.setattr(service, "SAME_BOOK_SECONDS", -1)
        assert service.load_book(session) is not changed


def test_rules_and_classes_are_loaded_with_their_sources(settings: Settings) -> None:
    with db.writing() as session:
        service.ensure_reference_rows(session)
        rules = session.scalars(select(FareRuleRow)).all()
        assert {one.kind for one in rules} == set(RULE_KINDS)
        assert all(len(one.source) > 10 for one in rules)
        session.execute(update(FareRuleRow).where(FareRuleRow.key == "load-90").values(factor_bp=20_000))
    with db.writing() as session:
        service.ensure_reference_rows(session)
        assert session.scalar(select(FareRuleRow.factor_bp).where(FareRuleRow.key == "load-90")) == 20_000
        tariff = service.read_tariff(session, clock.now().date())
    assert [one.letter for one in tariff.classes["economy"]] == ["Y", "B", "M", "H", "K", "Q"]
    assert tariff.class_factors("economy")[-1] == 10_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "load", "low": 5_000, "origin": "JFK"},
        {"kind": "load", "low": 12_000},
        {"kind": "load"},
        {"kind": "season", "low": 601},
        {"kind": "weekday", "low": 0, "high": 3},
        {"kind": "holiday", "low": 20261224},
        {"kind": "advance", "low": 6, "high": 3},
        {"kind": "route"},
        {"kind": "moon", "low": 1},
        {"kind": "advance", "low": 1, "factor_bp": 0},
        {"kind": "advance", "low": 1, "valid_to": date(2019, 1, 1)},
    ],
)
def test_the_database_refuses_what_is_no_rule(settings: Settings, wrong: dict[str, object]) -> None:
    row = {"key": "odd", "label": "Odd", "factor_bp": 11_000, "valid_from": date(2020, 1, 1), "source": "a test"}
    with db.writing() as session, pytest.raises(IntegrityError):
        session.execute(insert(FareRuleRow).values(**{**row, **wrong}))

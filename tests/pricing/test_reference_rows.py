"""The reference rows load, load again, and leave alone what staff changed."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select, update

from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing import service
from portal.pricing.models import ExchangeRate, FareBrand, Tax


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

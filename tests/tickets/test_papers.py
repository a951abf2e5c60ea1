"""Receipts and credit notes: numbered without a gap, adding up, refering to one another, and never edited."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from pypdf import PdfReader
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.models import Amendment, Booking, Charge
from portal.booking.queries import booking_by_id
from portal.booking.views import AmendmentView, BookingView, ChargeView
from portal.kit import db, paper
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.tickets import queries, records, service, told
from tests.booking import makers
from tests.tickets import sample

AT = datetime(2026, 11, 23, 10, 7, tzinfo=UTC)


def words(content: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages).split())


def seen(booking: Booking) -> BookingView:
    with db.reading() as session:
        view = booking_by_id(session, booking.id)
    assert view is not None
    return view


@pytest.fixture
def booking(settings: Settings) -> Booking:
    return makers.confirmed(settings, makers.offer(settings, makers.flight(), party=Party(2, 1)))


def amended(booking: Booking, lines: Sequence[tuple[str, int]], kind: str = "cancellation") -> UUID:
    """Append an amendment's lines to the booking, done, with its money moved, as the books want it."""
    whole = sum(amount for _, amount in lines)
    with db.writing() as session:
        row = session.get_one(Booking, booking.id)
        made = Amendment(
            booking_id=row.id, number=1, kind=kind, state="done", payload={}, lines=[], currency="USD", expires_at=AT
        )
        made.due_minor, made.refund_minor, made.done_at = max(whole, 0), max(-whole, 0), AT
        made.paid_minor = made.due_minor
        session.add(made)
        session.flush()
        for at, (code, amount) in enumerate(lines, 1000):
            charge = {"position": at, "slice_position": 0, "code": code, "label": code.title(), "amount_minor": amount}
            session.add(Charge(booking_id=row.id, amendment_id=made.id, **charge))
        row.total_minor, row.paid_minor = row.total_minor + whole, row.paid_minor + whole
        session.flush()
        return made.id


def numbers() -> list[str]:
    with db.reading() as session:
        return list(session.scalars(text("select number from sale_papers order by kind desc, serial")))


def test_a_receipt_tells_what_was_paid_line_by_line(settings: Settings, booking: Booking) -> None:
    told_settings = replace(settings, seller_address="1 Runway | New York", seller_tax_id="12-345")
    with db.writing() as session:
        made = service.receipt(session, seen(booking), told_settings)
    shown = words(made.content)
    year = datetime.now(UTC).year
    assert made.name == f"receipt-R{year}-000001.pdf"
    for expected in (f"R{year}-000001", booking.reference, "1 Runway", "12-345", "US transportation tax", "Card"):
        assert expected in shown
    assert f"${booking.total_minor / 100:,.2f}" in shown
    assert "Nothing is due" in shown


def test_asked_twice_a_receipt_is_the_same_to_the_byte(settings: Settings, booking: Booking) -> None:
    files = []
    for _ in range(2):
        with db.writing() as session:
            files.append(service.receipt(session, seen(booking), settings).content)
    assert files[0] == files[1]
    assert len(numbers()) == 1


def test_numbers_have_no_gap_though_many_ask_and_some_fail(settings: Settings) -> None:
    flight = makers.flight()
    views = [seen(makers.confirmed(settings, makers.offer(settings, flight))) for _ in range(8)]
    start = Barrier(12)

    def ask(at: int) -> None:
        start.wait()
        with db.writing() as session:
            service.issue_receipt(session, views[at % 8], settings)
            if at >= 8:
                session.rollback()

    with ThreadPoolExecutor(12) as crowd:
        list(crowd.map(ask, range(12)))
    year = datetime.now(UTC).year
    assert numbers() == [f"R{year}-{at:06}" for at in range(1, 9)]
    with db.reading() as session:
        assert queries.broken_papers(session) == []


def test_a_careless_count_gives_a_number_twice(settings: Settings) -> None:
    with db.writing() as session:
        session.execute(text("create table careless (number int)"))
    start = Barrier(8)

    def ask(_: int) -> int:
        with db.writing() as session:
            number = (session.scalar(text("select coalesce(max(number), 0) from careless")) or 0) + 1
            start.wait()
            session.execute(text("insert into careless values (:n)"), {"n": number})
            return number

    with ThreadPoolExecutor(8) as crowd:
        given = list(crowd.map(ask, range(8)))
    assert len(set(given)) < 8


def test_money_back_makes_a_credit_note_that_names_the_receipt(settings: Settings, booking: Booking) -> None:
    amendment_id = amended(booking, [("fare", -15_000), ("US", -1_125), ("penalty", 5_000)])
    view = seen(booking)
    with db.writing() as session:
        made = service.issue_amendment_paper(session, view, view.amendments[-1], settings)
        assert made is not None
        shown = words(service.draw(session, view, made, settings).content)
    assert (made.kind, made.total_minor, made.amendment_id) == ("credit_note", -11_125, amendment_id)
    assert made.refers_to == numbers()[0]
    for expected in ("Credit note", made.number, numbers()[0], "Cancellation", "$150.00", "$50.00", "$111.25"):
        assert expected in shown
    with db.reading() as session:
        assert queries.broken_papers(session) == []


def test_more_paid_makes_a_second_receipt_and_nothing_moved_makes_none(settings: Settings, booking: Booking) -> None:
    amended(booking, [("fare", -10_000), ("fare", 14_000)], kind="change")
    view = seen(booking)
    with db.writing() as session:
        made = service.issue_amendment_paper(session, view, view.amendments[-1], settings)
        again = service.issue_amendment_paper(session, view, view.amendments[-1], settings)
    assert made is not None
    assert (made.kind, made.total_minor, made.number[0]) == ("receipt", 4_000, "R")
    assert again == made
    assert told.paper_kind(replace(view.amendments[-1], due_minor=0, lines=())) is None


def test_a_kept_paper_never_changes_with_the_booking(settings: Settings, booking: Booking) -> None:
    with db.writing() as session:
        before = service.issue_receipt(session, seen(booking), settings).content
    amended(booking, [("penalty", 500)], kind="change")
    with db.writing() as session:
        session.execute(text("update passengers set given_name = 'Someone', ticket_name = 'SMITH/SOMEONE'"))
        again = service.issue_receipt(session, seen(booking), settings)
        shown = words(service.draw(session, seen(booking), again, settings).content)
    assert again.content == before
    assert "Someone" not in shown


def test_an_amendment_makes_a_new_version_of_the_itinerary(settings: Settings, booking: Booking) -> None:
    with db.writing() as session:
        first = service.itinerary(session, seen(booking), settings).content
    amended(booking, [("bag", 3_000)], kind="items")
    for _ in range(2):
        with db.writing() as session:
            second = service.itinerary(session, seen(booking), settings).content
    assert first != second
    assert "Bag" in words(second)
    with db.reading() as session:
        assert [version for version, _ in records.versions(session, booking.id, "itinerary")] == [1, 2]


def amendment(**given: Any) -> AmendmentView:
    plain: dict[str, Any] = dict.fromkeys(AmendmentView.__dataclass_fields__, 0)
    return AmendmentView(**{**plain, "id": uuid4(), "kind": "change", "lines": (), "refund_to": "original", **given})


def test_every_charge_stands_on_the_paper_and_the_sections_add_up() -> None:
    view = sample.booking((sample.ADA, sample.CHILD, sample.INFANT))
    extra = ChargeView("bag", "Checked bag", 3_500, view.passengers[0].id, 0, None, uuid4())
    off = ChargeView("promotion", "Promotion TEN", -2_440, view.passengers[0].id, 0)
    view = replace(view, charges=(*view.charges, extra, off))
    kept = told.content(view, Settings(), [], amendment=None, is_printable=paper.is_printable)
    sheet = told.sheet(kept)
    assert sum(section.sum_minor for section in sheet.sections) == sheet.total_minor
    assert sheet.total_minor == sum(one.amount_minor for one in view.charges)
    assert [section.label for section in sheet.sections] == ["Fares", "Extras", "Taxes and fees", "Promotions"]
    taxes = {line.code: line for line in sheet.sections[2].lines}
    assert set(taxes) == {"US", "ZP"}
    assert taxes["ZP"].count == 2
    assert not any(line.code for line in sheet.sections[0].lines)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"due_minor": 100}, "receipt"),
        ({"refund_minor": 100}, "credit_note"),
        ({"lines": ({"amount_minor": -100}, {"amount_minor": 100})}, "credit_note"),
        ({}, None),
    ],
)
def test_which_paper_an_amendment_needs(given: dict[str, Any], kind: str | None) -> None:
    assert told.paper_kind(amendment(**given)) == kind


@pytest.mark.parametrize("name", ["receipt", "credit_note"])
def test_a_paper_is_accessible_and_embeds_its_fonts(settings: Settings, booking: Booking, name: str) -> None:
    amended(booking, [("fare", -15_000)])
    view = seen(booking)
    with db.writing() as session:
        made = service.issue_amendment_paper(session, view, view.amendments[-1], settings)
        files = [service.receipt(session, view, settings)]
        assert made is not None
        files.append(service.draw(session, view, made, settings))
    reader = PdfReader(BytesIO(files[name == "credit_note"].content))
    catalog: Any = reader.trailer["/Root"]
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/Lang"] == "en"
    assert b"pdfuaid" in catalog["/Metadata"].get_data()
    assert name.replace("_", " ") in str(reader.metadata and reader.metadata.title).lower()


def test_the_api_lists_documents_and_hands_them_over(client: TestClient, settings: Settings, booking: Booking) -> None:
    amended(booking, [("fare", -15_000)])
    view = seen(booking)
    with db.writing() as session:
        service.issue_amendment_paper(session, view, view.amendments[-1], settings)
    at = f"/api/bookings/{booking.reference}"
    found = client.get(f"{at}/documents?familyName=Smith").json()["data"]
    assert [one["kind"] for one in found] == ["itinerary", "receipt", "credit_note"]
    assert found[2]["total"] == {"amount": "-150.00", "currency": "USD"}
    for one in found:
        answer = client.get(f"{one['href']}?familyName=Smith")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert client.get(f"{at}/receipt.pdf?familyName=Smith").status_code == 200
    assert client.get(f"{at}/papers/R2020-000001.pdf?familyName=Smith").json()["code"] == "unknown_document"


def test_a_stranger_sees_no_papers(client: TestClient, settings: Settings, booking: Booking) -> None:
    at = f"/api/bookings/{booking.reference}"
    for path in (f"{at}/documents", f"{at}/receipt.pdf", f"{at}/papers/R2026-000001.pdf"):
        assert client.get(f"{path}?familyName=Nobody").status_code == 404
    assert client.get(f"/bookings/{booking.reference}/receipt.pdf").status_code == 404


def test_what_is_not_paid_has_no_receipt(client: TestClient, settings: Settings) -> None:
    held = makers.named(settings, makers.offer(settings, makers.flight()))
    answer = client.get(f"/api/bookings/{held.reference}/receipt.pdf?familyName=Smith")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_confirmed")

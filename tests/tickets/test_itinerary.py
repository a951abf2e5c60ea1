"""The itinerary is what one would hand over: complete, adding up, accessible, and made of nothing but what we ship."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from typing import Any

import pypdf
import pytest

from portal.booking.views import ChargeView
from portal.kit import money, paper
from portal.kit.settings import Settings
from portal.tickets import rules, service
from tests.tickets import sample

NINE = (
    sample.ADA,
    sample.BEN,
    sample.CHILD,
    sample.INFANT,
    (
        "adult",
        "Wolfeschlegelsteinhausen",
        "Featherstonehaugh-Cholmondeley",
        "FEATHERSTONEHAUGHCHOLMONDELEY/WOLFESCHLEGEL",
    ),
    ("adult", "Юлия", "Щербакова", "SHCHERBAKOVA/IULIIA"),
    ("adult", "Łukasz", "Żółć", "ZOLC/LUKASZ"),
    ("adult", "", "Sukarno", "SUKARNO"),
    ("adult", "Thị Hằng", "Nguyễn", "NGUYEN/THI HANG"),
)


def read(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(BytesIO(pdf))


def words(pdf: bytes) -> str:
    """Return all text with single blanks; soft line breaks inside words are a matter of the paper's width."""
    return " ".join(" ".join(page.extract_text() for page in read(pdf).pages).split())


def test_it_says_all_that_a_traveller_needs() -> None:
    said = words(service.itinerary_pdf(sample.booking(), Settings()))
    for part in (
        "K7QX4M", "New York – Los Angeles", "Monday, 1 March 2027", "ME 101", "JFK", "08:00", "EST, UTC−5", "LAX",
        "11:15", "PST, UTC−8", "6 h 15 min", "Airbus A320", "Outbound", "Return", "+1", "lands Wed 10 Mar",
        "Ada Lovelace", "LOVELACE/ADA", "999 1000000001", "999 1000000002", "Standard", "for $75.00 each",
        "US transportation tax (7.5 %)", "$1,070.40", "Paid on 23 Nov 2026", "ada@example.com",
    ):  # fmt: skip
        assert part in said


def test_two_travellers_and_two_flights_fit_on_one_page() -> None:
    assert len(read(service.itinerary_pdf(sample.booking(), Settings(demo=True))).pages) == 1


@pytest.mark.parametrize("slices", [sample.THERE, sample.AND_BACK, sample.AROUND])
def test_nine_travellers_are_all_there(slices: Any) -> None:
    said = words(service.itinerary_pdf(sample.booking(NINE, slices), Settings()))
    for position in range(9):
        assert f"999 {1000000001 + position}" in said
    assert "Łukasz Żółć" in said
    assert "Infant on a lap" in said


def test_a_name_that_our_type_cannot_print_stands_as_on_the_ticket() -> None:
    names = [one.name for one in rules.travellers(sample.booking(NINE), is_printable=paper.is_printable)]
    assert names[5:7] == ["SHCHERBAKOVA/IULIIA", "Łukasz Żółć"]
    assert "Щ" not in words(service.itinerary_pdf(sample.booking(NINE), Settings()))


@pytest.mark.parametrize("people", [[sample.ADA], [sample.ADA, sample.BEN], NINE])
@pytest.mark.parametrize("slices", [sample.THERE, sample.AND_BACK, sample.AROUND])
def test_the_receipt_adds_up_by_row_and_by_column(people: Any, slices: Any) -> None:
    view = sample.booking(people, slices)
    made = rules.receipt(view)
    counts = [int(re.sub(r".* × ", "", column)) if "×" in column else 1 for column in made.columns]
    assert sum(counts) == len(people)
    assert made.sum_minor == view.total_minor == sum(row.sum_minor for row in made.rows)
    assert made.sum_minor == sum(total * count for total, count in zip(made.totals, counts, strict=True))
    for row in made.rows:
        assert row.sum_minor == sum((one or 0) * count for one, count in zip(row.amounts, counts, strict=True))
    for index, total in enumerate(made.totals):
        assert total == sum(row.amounts[index] or 0 for row in made.rows)


def test_travellers_who_paid_differently_stand_in_columns_of_their_own() -> None:
    view = sample.booking()
    cheaper = replace(view.charges[0], amount_minor=view.charges[0].amount_minor - 1000)
    made = rules.receipt(replace(view, charges=(cheaper, *view.charges[1:]), total_minor=view.total_minor - 1000))
    assert made.columns == ("Adult", "Adult")
    assert made.totals[1] - made.totals[0] == 1000
    assert made.sum_minor == sum(made.totals)


def test_money_without_decimals_is_told_without() -> None:
    view = replace(sample.booking(), currency="JPY")
    assert money.shown(view.total_minor, "JPY") in words(service.itinerary_pdf(view, Settings()))


def test_terms_are_told_in_words_for_each_fare() -> None:
    view = sample.booking(conditions=(("Standard", sample.STANDARD), ("Basic", sample.BASIC)))
    standard, basic = rules.terms(view)
    assert (standard.label, basic.label) == ("Standard: JFK–LAX", "Basic: LAX–JFK")
    assert dict(standard.lines)["Change"] == "for $75.00 each"
    assert dict(basic.lines)["Refund"] == "not allowed"
    assert dict(basic.lines)["Checked bags"] == "not included"


def test_it_is_a_tagged_document_with_language_and_title() -> None:
    reader = read(service.itinerary_pdf(sample.booking(), Settings()))
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"].value is True
    assert root["/Lang"] == "en"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert reader.metadata is not None
    assert reader.metadata.title == "Itinerary K7QX4M"
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    tags = list(_tags(root["/StructTreeRoot"]["/K"]))
    assert "/Figure" not in tags
    assert tags.count("/Table") == 3
    assert {"/H1", "/H2", "/TH", "/TD", "/P"} <= set(tags)


def _tags(kids: Any) -> Iterator[str]:
    for kid in kids if isinstance(kids, list) else [kids]:
        one = kid.get_object()
        if isinstance(one, dict) and "/S" in one:
            yield one["/S"]
            yield from _tags(one.get("/K", []))


def test_only_shipped_fonts_are_in_it() -> None:
    fonts = {
        str(font)
        for page in read(service.itinerary_pdf(sample.booking(NINE), Settings())).pages
        for font in _fonts(page)
    }
    assert fonts
    assert all("B612" in font or "Atkinson" in font for font in fonts), fonts


def _fonts(page: Any) -> Iterator[str]:
    for font in page["/Resources"]["/Font"].values():
        yield font.get_object()["/BaseFont"]


def test_the_same_booking_gives_the_same_bytes() -> None:
    assert service.itinerary_pdf(sample.booking(), Settings()) == service.itinerary_pdf(sample.booking(), Settings())


def test_a_demonstration_says_so() -> None:
    assert "not valid for travel" in words(service.itinerary_pdf(sample.booking(), Settings(demo=True)))
    assert "not valid for travel" not in words(service.itinerary_pdf(sample.booking(), Settings()))


def test_a_hostile_name_is_text_and_fetches_nothing() -> None:
    with _listener() as (address, asked):
        evil = f'<img src="{address}/a.png"><link rel="stylesheet" href="{address}/b.css"><iframe src="file:///etc/passwd">'
        view = sample.booking([("adult", evil, f"</td><style>@import url({address}/c.css)</style>", "EVIL/EVE")])
        said = words(service.itinerary_pdf(view, Settings()))
    assert asked == []
    assert "<img" in said
    assert "root:" not in said


def test_even_a_document_that_asks_for_files_gets_none() -> None:
    with _listener() as (address, asked):
        wish = (
            f'<img src="{address}/a.png"><img src="file:///etc/hostname"><style>@import url({address}/x.css);</style>'
        )
        kept = paper.stationery()
        paper.HTML(string=wish, url_fetcher=kept.fetcher).write_pdf(stylesheets=[kept.sheet], font_config=kept.fonts)
    assert asked == []


@contextmanager
def _listener() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_nothing_is_printed_twice_where_a_page_ends() -> None:
    people = (sample.ADA, sample.BEN, sample.CHILD, sample.INFANT)
    extra = tuple(ChargeView(f"T{at}", f"Tax {at}", 100, None, 0) for at in range(9))
    for count in range(9):
        view = sample.booking(people)
        charges = (*view.charges, *(replace(one, passenger_id=view.passengers[0].id) for one in extra[:count]))
        content = service.itinerary_pdf(replace(view, charges=charges), Settings())
        shown = " ".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(content)).pages)
        assert shown.count("Checked bags") == 1
        assert shown.count("Good to know") == 1

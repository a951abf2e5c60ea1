"""What is handed over says what it means: a foreign reader finds the same text on paper, on the page and offline."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid5

import pypdf
import pypdfium2
import pytest
import zxingcpp
from PIL import Image, ImageDraw
from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.booking.views import ItemView
from portal.checkin import gate, service
from portal.checkin.rules import CheckedIn, Coupon, Desk, guardians
from portal.checkin.told import BoardingPass, boarding_passes
from portal.kit import clock, db, paper
from portal.kit.outbox import Hopeless, Letter
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tasks.handlers import HANDLERS
from tests.booking import makers as bookings
from tests.checkin import makers
from tests.tickets import sample

LONG = (
    "adult",
    "Wolfeschlegelsteinhausen",
    "Featherstonehaugh-Cholmondeley",
    "FEATHERSTONEHAUGHCHOLMONDELEY/WOLFESCHLEGEL",
)
JULIA = ("adult", "Юлия", "Щербакова", "SHCHERBAKOVA/IULIIA")


def desk(people: Any = (sample.ADA, sample.INFANT, LONG, JULIA), slices: Any = sample.THERE, **changes: Any) -> Desk:
    """Return a desk where everybody is checked in."""
    view = sample.booking(people, slices, **changes)
    coupons, made, seats = {}, {}, {}
    for position, flight in enumerate(view.flights):
        for at, one in enumerate(view.passengers):
            ticket, key = one.ticket_number or "", (one.id, flight.id)
            coupons[key] = Coupon(ticket, position, one.id, flight.id, "checked_in")
            name, when = uuid5(sample.SPACE, f"check-in {at} {position}"), datetime(2027, 2, 28, 14, tzinfo=UTC)
            made[key] = CheckedIn(name, one.id, flight.id, ticket, position, 7 + at, None, "W", when, None)
            if one.takes_seat:
                seats[flight.id, one.id] = f"14{'ABCDEF'[at]}"
    return Desk(view, coupons, made, {}, seats, guardians(view.passengers))


def pages(content: bytes, scale: float = 2) -> list[Image.Image]:
    document = pypdfium2.PdfDocument(content)
    try:
        return [page.render(scale=scale).to_pil() for page in document]
    finally:
        document.close()


def read(picture: Image.Image) -> list[tuple[str, str]]:
    return [(str(one.symbology), one.text) for one in zxingcpp.read_barcodes(picture)]


def printed(shown: Desk) -> tuple[list[BoardingPass], bytes]:
    passes = boarding_passes(shown, is_printable=paper.is_printable)
    return passes, service.passes_pdf(passes, shown.view, Settings()).content


@pytest.mark.parametrize("slices", [sample.THERE, sample.AND_BACK, sample.AROUND])
def test_a_page_a_pass_and_the_scanner_reads_the_very_text(slices: Any) -> None:
    terms = (("Standard", sample.STANDARD), ("Basic", sample.BASIC))
    passes, content = printed(desk(slices=slices, conditions=terms))
    drawn = pages(content)
    assert len(drawn) == len(passes)
    for picture, one in zip(drawn, passes, strict=True):
        assert read(picture) == [("PDF417", one.barcode)]


def test_it_is_read_from_a_poor_black_and_white_print() -> None:
    passes, content = printed(desk())
    for picture, one in zip(pages(content, scale=1.3), passes, strict=True):
        poor = picture.convert("L").rotate(3, fillcolor=255, expand=True).point(lambda grey: 255 if grey > 140 else 40)
        assert [text_ for _kind, text_ in read(poor)] == [one.barcode]


def test_it_is_ink_only() -> None:
    red, green, blue = pages(printed(desk())[1], scale=1)[0].convert("RGB").split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


def test_it_says_all_that_one_needs_at_the_airport() -> None:
    passes, content = printed(desk())
    said = [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(BytesIO(content)).pages]
    for part in ("Ada Lovelace", "with Max Lovelace on the lap", "JFK", "LAX", "07:20", "14A", "007", "K7QX4M",
                 "see the screens", "07:00", "07:45", "08:00", "LOVELACE/ADA", "1 Mar 2027", "Economy M"):  # fmt: skip
        assert part in said[0]
    assert "on the lap of Ada Lovelace" in said[1]
    assert "Featherstonehaugh-Cholmondeley" in said[2].replace("- ", "-")
    assert "SHCHERBAKOVA/IULIIA" in said[3]
    assert "Щ" not in said[3]
    assert len(passes) == 4


def test_it_is_tagged_and_the_code_has_its_words() -> None:
    reader = pypdf.PdfReader(BytesIO(printed(desk())[1]))
    assert "pdfuaid" in (reader.xmp_metadata.stream.get_data().decode() if reader.xmp_metadata else "")
    raw = b"".join(str(one.get_object()).encode() for one in reader.root_object["/StructTreeRoot"]["/K"])  # type: ignore[index,attr-defined]  # pypdf's trees are untyped
    assert raw
    assert reader.root_object["/Lang"] == "en"
    assert "Boarding passes K7QX4M" in str(reader.metadata)


def test_the_same_passes_are_the_same_bytes() -> None:
    assert printed(desk())[1] == printed(desk())[1]


def test_bags_and_priority_stand_on_the_pass_and_in_the_code() -> None:
    shown = desk(people=(sample.ADA,))
    ada = shown.view.passengers[0].id
    bought = [
        ItemView(uuid5(sample.SPACE, kind), kind, kind, kind, ada, flight, 1, 0, None, None)
        for kind, flight in (("bag", None), ("priority", shown.view.flights[0].id))
    ]
    plain, rich = (
        boarding_passes(one)[0] for one in (shown, replace(shown, view=replace(shown.view, items=tuple(bought))))
    )
    assert (plain.bags, plain.has_priority) == ("1 checked bag", False)
    assert (rich.bags, rich.has_priority) == ("2 checked bags", True)
    assert plain.barcode.endswith("1PCN")
    assert rich.barcode.endswith("2PCY")


def aztecs(html: str) -> list[str]:
    """Read every code of a page: the modules are painted as the page draws them, then scanned."""
    found = []
    for size, path in re.findall(r'class="aztec" viewBox="-3 -3 (\d+) .*?<path d="([^"]+)"', html, re.S):
        picture = Image.new("L", (int(size) * 4, int(size) * 4), 255)
        brush = ImageDraw.Draw(picture)
        for x, y, width, height in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-\d+Z", path):
            left, top = (int(x) + 3) * 4, (int(y) + 3) * 4
            brush.rectangle((left, top, left + int(width) * 4 - 1, top + int(height) * 4 - 1), fill=0)
        found += [text_ for kind, text_ in read(picture) if kind == "Aztec"]
    return found


def test_the_page_and_the_saved_page_show_the_very_text(settings: Settings, client: TestClient) -> None:
    booking = makers.paid(settings, makers.leaving(), party=Party(1, 0, 1))
    makers.check_in(booking)
    with db.writing() as session:
        accounts.ensure_demo_users(session)
    client.post("/account/sign-in", data={"email": "staff@example.com", "password": accounts.DEMO_PASSWORD})
    meant = [one.barcode for one in makers.passes(booking)]
    for address in ("boarding-passes", "boarding-passes.html"):
        assert aztecs(client.get(f"/bookings/{booking.reference}/{address}").text) == meant


def handle(settings: Settings, kind: str) -> None:
    with db.reading() as session:
        letter = session.scalar(select(Letter).where(Letter.kind == kind).order_by(Letter.id.desc()).limit(1))
    HANDLERS[kind](settings, letter or Letter(kind=kind, payload={}))


def mails(settings: Settings) -> list[EmailMessage]:
    folder = Path(settings.mail_dir)
    return [message_from_bytes(one.read_bytes(), policy=policy.default) for one in sorted(folder.glob("*.eml"))]  # type: ignore[misc]  # with this policy it is one


def test_the_passes_come_by_mail_once_with_the_paper(settings: Settings, client: TestClient) -> None:
    settings = replace(settings, email_provider="file")
    booking = makers.paid(settings, makers.leaving(), party=Party(2))
    makers.check_in(booking)
    for _again in range(2):
        handle(settings, "checkin.done")
    (mail,) = mails(settings)
    assert mail["To"] == "anna@example.com"
    assert str(mail["Subject"]).startswith("Your boarding passes: Los Angeles")
    body = mail.get_body(("plain",))
    assert body
    assert "Annab Smith" in body.get_content()
    link = re.findall(r"http://testserver(/links/\S+)", body.get_content())[0]
    page = client.get(client.get(link).headers["location"])
    assert aztecs(page.text) == [one.barcode for one in makers.passes(booking)]
    (file,) = mail.iter_attachments()
    assert file.get_content_type() == "application/pdf"
    assert [read(page)[0][1] for page in pages(file.get_payload(decode=True))] == [  # type: ignore[arg-type]  # bytes
        one.barcode for one in makers.passes(booking)
    ]


def test_another_seat_after_check_in_brings_a_new_pass_by_mail_once(settings: Settings) -> None:
    settings = replace(settings, email_provider="file")
    booking = makers.paid(settings, makers.leaving(), party=Party(2))
    makers.check_in(booking)
    handle(settings, "checkin.reprint")
    assert mails(settings) == []
    makers.check_in(booking, makers.everybody(booking, p1="22F"))
    for _again in range(2):
        handle(settings, "checkin.reprint")
    assert waiting("checkin.reseated") == 1
    handle(settings, "checkin.reseated")
    (mail,) = mails(settings)
    assert str(mail["Subject"]).startswith("Your new seat: Los Angeles")
    text_ = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]  # every mail has one
    assert "the one before is no longer right" in text_
    assert "Annab Smith" in text_
    assert "Annaa Smith" not in text_
    (file,) = mail.iter_attachments()
    (page,) = pages(file.get_payload(decode=True))  # type: ignore[arg-type]  # bytes
    assert "022F" in read(page)[0][1]


def test_a_seat_that_the_airline_moved_is_mailed_too_and_one_on_board_is_not(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving(), party=Party(2))
    makers.check_in(booking)
    with db.writing() as session:
        session.execute(text("update named_seats set seat = '2' || seat"))
        session.execute(text("update check_ins set boarded_at = now() + interval '1 hour' where sequence_number = 1"))
    handle(settings, "checkin.reprint")
    with db.reading() as session:
        letters = session.scalars(select(Letter).where(Letter.kind == "checkin.reseated")).all()
    assert [[one.rpartition(":")[2] for one in letter.payload["passes"]] for letter in letters] == [["2"]]


def waiting(kind: str) -> int:
    with db.reading() as session:
        return session.scalar(text("select count(*) from letters where kind = :kind"), {"kind": kind}) or 0


def test_an_undone_check_in_is_not_mailed(settings: Settings) -> None:
    settings = replace(settings, email_provider="file")
    booking = makers.paid(settings, makers.leaving())
    made = makers.check_in(booking)[0]
    with db.writing() as session:
        service.undo(session, booking.reference, made.id, now=clock.now())
    handle(settings, "checkin.done")
    assert mails(settings) == []


def test_the_rounds_settle_flights_and_forget_documents(settings: Settings) -> None:
    flight = makers.leaving(10, "MUC", "JFK", minutes=540)
    booking = makers.paid(settings, flight)
    makers.check_in(booking, document=makers.PASSPORT)
    with db.writing() as session:
        accounts.ensure_demo_users(session)
        staff = session.scalar(text("select id from users where email = 'staff@example.com'"))
        gate.close(session, flight.public_id, staff_id=staff, now=clock.now())
    for days, no_shows, documents in ((0, 0, 1), (1, 1, 1), (5, 1, 0)):
        with clock.shifted(timedelta(days=days)):
            handle(settings, "flights.settle")
            handle(settings, "checkin.forget")
        assert bookings.one("select count(*) from no_shows") == no_shows
        assert bookings.one("select count(*) from travel_documents") == documents


def test_the_nightly_look_at_the_books_sees_check_ins_too(settings: Settings) -> None:
    makers.check_in(makers.paid(settings, makers.leaving()))
    handle(settings, "books.check")
    with db.writing() as session:
        session.execute(text("update coupons set status = 'open'"))
    with pytest.raises(Hopeless, match="a check-in is for a coupon"):
        handle(settings, "books.check")

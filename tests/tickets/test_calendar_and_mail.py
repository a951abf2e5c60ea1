"""The calendar file keeps real zones; the mail brings everything and says it twice, as text and as HTML."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.message import EmailMessage

from icalendar import Calendar

from portal.kit import grants
from portal.kit.settings import Settings
from portal.tickets import letters, service
from tests.tickets import sample

SETTINGS = Settings(base_url="https://fly.example")


def events(view: object = None) -> list[object]:
    book = Calendar.from_ical(service.calendar(view or sample.booking(), SETTINGS).content)  # type: ignore[arg-type]
    return list(book.walk("VEVENT"))


def test_each_flight_is_one_event_in_the_zones_of_its_airports() -> None:
    there, back = events()
    assert there["summary"] == "ME101 New York – Los Angeles"
    assert there["dtstart"].params["TZID"] == "America/New_York"
    assert there["dtend"].params["TZID"] == "America/Los_Angeles"
    assert there.decoded("dtstart").astimezone(UTC) == datetime(2027, 3, 1, 13, 0, tzinfo=UTC)
    assert there.decoded("dtend").astimezone(UTC) == datetime(2027, 3, 1, 19, 15, tzinfo=UTC)
    assert back.decoded("dtend").astimezone(UTC) == datetime(2027, 3, 10, 11, 45, tzinfo=UTC)
    assert "K7QX4M" in there["description"]


def test_the_file_brings_its_zones_along() -> None:
    book = Calendar.from_ical(service.calendar(sample.booking(slices=sample.AROUND), SETTINGS).content)
    zones = {str(zone["tzid"]) for zone in book.walk("VTIMEZONE")}
    assert zones == {"America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Europe/Berlin"}


def test_uids_are_stable_and_differ() -> None:
    first, second = [str(event["uid"]) for event in events()]
    assert first != second
    assert [first, second] == [str(event["uid"]) for event in events()]
    assert first.endswith("@fly.example")


def test_the_same_booking_gives_the_same_calendar() -> None:
    assert service.calendar(sample.booking(), SETTINGS) == service.calendar(sample.booking(), SETTINGS)


def confirmation() -> EmailMessage:
    view = sample.booking([sample.ADA, ("adult", "<b>Eve</b>", "O'Neil & Söhne", "ONEIL/EVE")], sample.AROUND)
    pdf = service.mail.File("itinerary-K7QX4M.pdf", "application/pdf", b"%PDF-")
    return letters.confirmation_mail(view, SETTINGS, [pdf])


def test_the_confirmation_says_all_as_text() -> None:
    text = confirmation().get_body(("plain",)).get_content()  # type: ignore[union-attr]
    for part in (
        "K7QX4M",
        "Monday, 1 March 2027, Meridian Air ME101",
        "08:00 EST, UTC−5  New York, John F Kennedy International (JFK)",
        "18:30 JST, UTC+9  Tokyo, Narita International (NRT), Tue 2 Mar",
        "Change planes in Los Angeles: 2 h 15 min",
        "<b>Eve</b> O'Neil & Söhne (Adult), ticket 999 1000000002",
        "$1,070.40, all taxes in",
        "https://fly.example/links/",
    ):
        assert part in text
    link = re.search(r"https://fly\.example/links/(\S+)", text)
    assert link is not None
    found = grants.read_link(SETTINGS, link[1])
    assert (found.reference, found.page) == ("K7QX4M", "/bookings/K7QX4M")
    assert grants.still_for(SETTINGS, found, "ADA@example.com")
    assert not grants.still_for(SETTINGS, found, "eve@example.com")
    assert not grants.still_for(SETTINGS, found, None)


def test_the_confirmation_says_the_same_as_html_and_attaches_both_files() -> None:
    made = confirmation()
    html = made.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "&lt;b&gt;Eve&lt;/b&gt;" in html
    assert "<b>Eve" not in html
    for part in ("K7QX4M", "08:00", "$1,070.40", "ME102"):
        assert part in html
    assert [part.get_filename() for part in made.iter_attachments()] == ["itinerary-K7QX4M.pdf", "flights-K7QX4M.ics"]
    assert made["Subject"] == "Your tickets: New York – Tokyo, 1 Mar 2027, K7QX4M"


def test_money_that_came_too_late_is_said_to_go_back() -> None:
    view = sample.booking(status="expired", confirmed_at=None)
    late = letters.expired_mail(view, SETTINGS, "some-refund")
    plain = letters.expired_mail(view, SETTINGS, None)
    assert "took your payment back" in late["Subject"]
    assert "$1,070.40 is on its way back" in late.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Nothing was charged" in plain.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert late["Message-ID"] != plain["Message-ID"]

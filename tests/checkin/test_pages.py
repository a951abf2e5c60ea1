"""The pages of check-in, read as a person reads them: without scripts, step by step, with every no told readably."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.checkin import rules
from portal.kit import clock
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests.booking import makers as bookings
from tests.checkin import makers

Own = Callable[[Booking], TestClient]
SignedIn = Callable[[str], TestClient]
DOCUMENT = {
    "type": "passport", "number": "C01X00T47", "nationality": "DE", "issuingCountry": "DE",
    "expiresOn": "2036-01-31", "sex": "F",
}  # fmt: skip


def at(booking: Booking, rest: str = "check-in") -> str:
    return f"/bookings/{booking.reference}/{rest}"


def picks(html: str) -> list[str]:
    return re.findall(r'name="pick" value="([^"]+)"', html)


def chosen(html: str) -> dict[str, str]:
    """Return what the seats' form would send as it stands."""
    return {
        name: next(iter(re.findall(r'<option value="([^"]*)" selected', options)), "")
        for name, options in re.findall(r'<select class="input" id="(seat[^"]+)".*?>(.*?)</select>', html, re.S)
    }


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_the_whole_way_at_home(settings: Settings, own: Own) -> None:
    booking = makers.paid(settings, makers.leaving(), party=Party(2, 1, 1))
    client = own(booking)
    who = client.get(at(booking))
    assert len(picks(who.text)) == 3
    seats = client.post(at(booking), data={"pick": picks(who.text)})
    assert seats.status_code == 303
    assert "/check-in/seats?" in seats.headers["location"]
    form = client.get(seats.headers["location"])
    suggested = chosen(form.text)
    assert len({seat[:-1] for seat in suggested.values()}) == 1
    done = client.post(seats.headers["location"], data=suggested)
    assert (done.status_code, done.headers["location"]) == (303, at(booking, "boarding-passes"))
    page = client.get(done.headers["location"])
    assert page.text.count('class="aztec"') == 4
    assert "see the screens" in page.text
    assert sorted(one.seat or "" for one in makers.passes(booking)) == sorted(["", *suggested.values()])


def test_the_way_to_the_passes_stays_on_the_booking_when_check_in_is_over(settings: Settings, own: Own) -> None:
    booking = makers.paid(settings, makers.leaving())
    client = own(booking)
    way = f'href="{at(booking, "boarding-passes")}"'
    assert way not in client.get(f"/bookings/{booking.reference}").text
    makers.check_in(booking)
    with clock.shifted(timedelta(hours=9, minutes=30)):
        page = client.get(f"/bookings/{booking.reference}").text
        assert way in page
        assert "Check-in is over" in page
        assert client.get(at(booking, "boarding-passes")).status_code == 200


def test_over_a_border_documents_come_first_and_nothing_typed_is_lost(settings: Settings, own: Own) -> None:
    booking = makers.paid(settings, makers.leaving(10, "MUC", "JFK", minutes=540))
    client = own(booking)
    step = client.post(at(booking), data={"pick": picks(client.get(at(booking)).text)}).headers["location"]
    assert "/check-in/documents?" in step
    seats_first = client.post(step.replace("documents", "seats"), data={})
    assert seats_first.headers["location"] == step
    typed = {f"documents.0.{key}": value for key, value in DOCUMENT.items()}
    wrong = client.post(step, data={**typed, "documents.0.expiresOn": "2020-01-01"})
    assert wrong.status_code == 422
    assert "must be good beyond the day of arrival" in wrong.text
    assert 'value="C01X00T47"' in wrong.text
    assert '<option value="DE" selected>' in wrong.text
    assert client.post(step, data={"documents.0.type": "passport"}).text.count("Please fill this in.") >= 5
    assert "needs a passport or identity card" in client.post(step, data={}).text
    good = client.post(step, data=typed)
    assert "/check-in/seats?" in good.headers["location"]
    known = client.get(step)
    assert "••••••T47" in known.text
    assert "C01X00T47" not in known.text
    assert client.post(step, data={"documents.0.type": "passport"}).status_code == 303
    assert client.post(good.headers["location"], data={}).headers["location"] == at(booking, "boarding-passes")


def test_what_cannot_be_is_told_readably(settings: Settings, own: Own) -> None:
    booking = makers.paid(settings, makers.leaving(), makers.leaving(40, "LAX", "JFK", number=303), party=Party(1, 1))
    client = own(booking)
    page = client.get(at(booking))
    assert "Check-in opens" in page.text
    assert "24 hours before departure" in page.text
    nobody = client.post(at(booking), data={})
    assert (nobody.status_code, "tick at least one" in nobody.text) == (422, True)
    child = picks(page.text)[1]
    alone = client.post(at(booking), data={"pick": child})
    assert (alone.status_code, "is under 12" in alone.text) == (422, True)
    assert client.post(at(booking), data={"pick": "nonsense"}).status_code == 422


def test_a_seat_that_went_meanwhile_is_said_and_another_offered(settings: Settings, own: Own) -> None:
    flight = makers.leaving()
    booking, rival = makers.paid(settings, flight), makers.paid(settings, flight)
    client = own(booking)
    step = client.post(at(booking), data={"pick": picks(client.get(at(booking)).text)}).headers["location"]
    field = next(iter(chosen(client.get(step).text)))
    makers.check_in(rival, makers.everybody(rival, p0="14B"))
    lost = client.post(step, data={field: "14B"})
    assert lost.status_code == 409
    assert "14B" in words(lost.text)
    assert chosen(lost.text)[field] not in ("14B", "")
    assert client.post(step, data={field: chosen(lost.text)[field]}).status_code == 303


def test_a_seat_is_changed_and_a_check_in_undone(settings: Settings, own: Own) -> None:
    booking = makers.paid(settings, makers.leaving())
    client = own(booking)
    made = makers.check_in(booking)[0]
    page = client.get(at(booking)).text
    assert "Checked in" in page
    change = unescape(re.findall(r'href="([^"]+/seats[?]pick=[^"]+)"', page)[0])
    field = next(iter(chosen(client.get(change).text)))
    client.post(change, data={field: "20A"})
    assert makers.passes(booking)[0].seat == "20A"
    undone = client.post(at(booking, f"check-ins/{made.id}/undo"))
    assert (undone.status_code, undone.headers["location"]) == (303, at(booking))
    assert client.get(at(booking, "boarding-passes")).headers["location"] == at(booking)
    assert client.get(at(booking, "boarding-passes.pdf")).status_code == 404


@pytest.mark.parametrize("rest", ["check-in", "check-in/seats", "boarding-passes", "boarding-passes.pdf"])
def test_strangers_find_nothing_and_who_may_only_look_is_told(
    client: TestClient, settings: Settings, signed_in: SignedIn, rest: str
) -> None:
    booking = makers.paid(settings, makers.leaving())
    makers.check_in(booking)
    assert client.get(at(booking, rest)).status_code == 404
    assert signed_in("traveller").get(at(booking, rest)).status_code == 404
    client.cookies.clear()
    client.post("/manage", data={"reference": booking.reference, "familyName": "Smith"})
    looked = client.get(at(booking, rest))
    assert (looked.status_code, "personal" in looked.text) == (403, True)


def test_a_saved_page_needs_nothing_else(settings: Settings, own: Own) -> None:
    booking = makers.paid(settings, makers.leaving(), party=Party(1, 0, 1))
    client = own(booking)
    makers.check_in(booking)
    saved = client.get(at(booking, "boarding-passes.html"))
    assert saved.headers["content-disposition"].startswith("attachment")
    assert "no-store" in saved.headers["cache-control"]
    assert re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#)([^"')\s>]+)""", saved.text) == []
    assert saved.text.count('class="aztec"') == 2


def test_a_list_of_gates_that_ends_early_says_so(signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = makers.leaving(), makers.leaving(12, number=103)
    client = signed_in("staff")
    whole = client.get("/admin/boarding").text
    assert (str(second.public_id) in whole, "These are the first" in whole) == (True, False)
    monkeypatch.setattr(rules, "MOST_GATES", 1)
    cut = client.get("/admin/boarding").text
    assert (str(first.public_id) in cut, str(second.public_id) in cut) == (True, False)
    assert "These are the first 1 that leave." in cut


def test_staff_see_the_gates_and_board_by_scanner_and_by_number(settings: Settings, signed_in: SignedIn) -> None:
    flight = makers.leaving()
    booking = makers.paid(settings, flight, party=Party(2))
    makers.check_in(booking)
    client = signed_in("staff")
    for asked, there in (("", True), ("?q=jfk", True), ("?q=me 101", True), ("?q=LAX", False), ("?q=%00%27", False)):
        assert (f"/admin/boarding/{flight.public_id}" in client.get(f"/admin/boarding{asked}").text) is there
    gate = f"/admin/boarding/{flight.public_id}"
    assert client.get(gate).text.count("Missing") == 2
    first = client.post(f"{gate}/scans", data={"code": makers.passes(booking)[0].barcode})
    assert re.search(r"gate-answer good.*?<b>4A</b>", first.text, re.S)
    again = client.post(f"{gate}/scans", data={"code": "1"})
    assert "Already on board" in again.text
    assert "Unknown" in client.post(f"{gate}/scans", data={"code": "???"}).text
    part = client.get(gate, headers={"HX-Request-Type": "partial"}).text
    assert part.strip().startswith('<div id="list"')
    assert 'id="code"' not in part
    assert client.post(gate, data={"gate": "close"}).status_code == 303
    closed = client.post(f"{gate}/scans", data={"code": makers.passes(booking)[1].barcode})
    assert (closed.status_code, "Boarding is closed" in closed.text) == (409, True)
    client.post(gate, data={"gate": "open"})
    assert client.post(f"{gate}/scans", data={"code": "2"}).status_code == 200
    assert bookings.one("select count(*) from check_ins where boarded_at is not null") == 2


def test_travellers_have_no_business_at_the_gate(settings: Settings, signed_in: SignedIn, client: TestClient) -> None:
    gate = f"/admin/boarding/{makers.leaving().public_id}"
    assert urlsplit(client.get(gate).headers["location"]).path == "/account/sign-in"
    traveller = signed_in("traveller")
    assert {traveller.get(path).status_code for path in ("/admin/boarding", gate)} == {403}
    assert traveller.post(f"{gate}/scans", data={"code": "1"}).status_code == 403
    assert traveller.post(gate, data={"gate": "close"}).status_code == 403

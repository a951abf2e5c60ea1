"""Pages and API of carrier changes: who may enter, what is seen before it is done, what travellers answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking import amending
from portal.booking.models import Booking
from portal.disruptions import queries
from portal.disruptions.told import address, change_mail, told
from portal.flights.models import Flight
from portal.flights.queries import flights_by_id
from portal.kit import db
from portal.kit.settings import Settings
from tests import world
from tests.booking import makers
from tests.disruptions.conftest import broken, carry_out, tell

SignIn = Callable[[str], TestClient]
Tokens = dict[str, dict[str, str]]


def page_of(flight: Flight) -> str:
    return f"/admin/flights/{makers.one('select public_id from flights where id = :id', id=flight.id)}"


def api_of(flight: Flight) -> str:
    return f"/api{page_of(flight)}"


def test_the_back_office_is_for_staff(client: TestClient, signed_in: SignIn, tokens: Tokens, flight: Flight) -> None:
    paths = ("/admin/flights", page_of(flight), f"{page_of(flight)}/change?kind=cancel")
    assert [client.get(path).headers["location"].partition("?")[0] for path in paths] == ["/account/sign-in"] * 3
    customer = signed_in("customer")
    assert [customer.get(path).status_code for path in paths] == [403] * 3
    assert client.get("/api/admin/flights").status_code == 401
    assert client.get("/api/admin/flights", headers=tokens["customer"]).status_code == 403
    refused = client.post(f"{api_of(flight)}/cancel", headers=tokens["customer"], json={"reason": "Fog"})
    assert refused.status_code == 403
    assert makers.one("select count(*) from disruptions") == 0


def test_flights_are_found_by_day_number_route_and_state(settings: Settings, signed_in: SignIn, flight: Flight) -> None:
    makers.flight(number=777, on=world.soon(31))
    other = makers.flight(number=888, destination="ORD", on=world.soon(31))
    carry_out(other, "cancel")
    staff = signed_in("staff")

    def listed(query: str) -> set[str]:
        page = staff.get(f"/admin/flights?{query}")
        assert page.status_code == 200
        return set(re.findall(r">(ME\d+)</a>", page.text))

    assert listed("") == {"ME101", "ME777", "ME888"}
    assert listed(f"on={world.soon(31)}") == {"ME777", "ME888"}
    assert listed("number=me777") == listed("number=777") == {"ME777"}
    assert listed("route=JFK-ORD") == listed("state=cancelled") == {"ME888"}
    assert listed("state=delayed") == listed("state=departed") == listed("state=closed") == set()
    wrong = staff.get("/admin/flights?on=tomorrow&route=X")
    assert wrong.status_code == 422
    assert "such as 2027-03-01" in wrong.text


def test_the_list_of_programs_goes_on_where_it_ended(
    settings: Settings, client: TestClient, tokens: Tokens, flight: Flight
) -> None:
    for number in range(1, 5):
        makers.flight(number=number, on=world.soon(31))
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        query = f"limit=2&cursor={cursor}" if cursor else "limit=2"
        answer = client.get(f"/api/admin/flights?{query}", headers=tokens["staff"]).json()
        seen += [one["flight"]["flightNumber"] for one in answer["data"]]
        cursor = answer["nextCursor"]
    assert seen == ["ME101", "ME1", "ME2", "ME3", "ME4"]
    assert client.get("/api/admin/flights?cursor=x", headers=tokens["staff"]).status_code == 422


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    settings: Settings, client: TestClient, tokens: Tokens, connection: tuple[Flight, Flight]
) -> None:
    makers.confirmed(settings, makers.offer(settings, *connection))
    makers.confirmed(settings, makers.offer(settings, connection[0]))
    ask = {"minutes": 45, "reason": "Late crew", "dryRun": True}
    told = client.post(f"{api_of(connection[0])}/delay", headers=tokens["staff"], json=ask).json()
    assert (told["id"], told["bookings"], told["passengers"], told["misconnections"]) == (None, 2, 2, 1)
    assert makers.one("select count(*) from disruptions") == 0
    assert makers.one("select sale_closed_at from flights where id = :id", id=connection[0].id) is None
    done = client.post(f"{api_of(connection[0])}/delay", headers=tokens["staff"], json={**ask, "dryRun": False})
    assert done.json()["misconnections"] == 1
    assert done.json()["id"] is not None


@pytest.mark.parametrize(
    ("verb", "body", "pointer"),
    [
        ("delay", {"minutes": 5000, "reason": "Fog"}, "/minutes"),
        ("delay", {"minutes": 10, "reason": "x"}, "/reason"),
        ("retime", {"departureLocal": "2027-01-01T08:00Z", "arrivalLocal": "x", "reason": "Fog"}, "/departureLocal"),
        ("swap", {"aircraft": "B999", "reason": "Fog"}, "/aircraft"),
        ("swap", {"aircraft": "B999", "reason": "Fog", "leaving": ["ABC234"]}, "/leaving"),
        ("cancel", {"reason": "Fog", "reopen": True}, "/reopen"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field_and_nothing_is_closed(
    client: TestClient, tokens: Tokens, flight: Flight, verb: str, body: dict[str, object], pointer: str
) -> None:
    answer = client.post(f"{api_of(flight)}/{verb}", headers=tokens["staff"], json={**body, "dryRun": True})
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert makers.one("select sale_closed_at from flights where id = :id", id=flight.id) is None


def test_staff_see_what_a_cancellation_does_and_then_do_it(
    settings: Settings, signed_in: SignIn, flight: Flight
) -> None:
    makers.confirmed(settings, makers.offer(settings, flight))
    staff = signed_in("staff")
    ahead = staff.get(f"{page_of(flight)}/change?kind=cancel&reason=Fog+at+JFK")
    assert "Cancel ME101?" in ahead.text
    assert "Fog at JFK" in ahead.text
    assert makers.one("select status from flights where id = :id", id=flight.id) == "scheduled"
    done = staff.post(f"{page_of(flight)}/change", data={"kind": "cancel", "reason": "Fog at JFK"})
    assert done.status_code == 303
    page = staff.get(page_of(flight))
    assert "0 of 1 bookings told" in page.text
    assert "Flight cancelled" in page.text
    again = staff.post(f"{page_of(flight)}/change", data={"kind": "cancel", "reason": "Fog at JFK"})
    assert "This flight is cancelled" in staff.get(again.headers["location"].split("#")[0]).text
    assert makers.one("select count(*) from disruptions") == 1


def test_a_wrong_form_shows_the_flight_again_with_what_was_typed(signed_in: SignIn, flight: Flight) -> None:
    page = signed_in("staff").get(f"{page_of(flight)}/change?kind=delay&minutes=-5&reason=Too+late")
    assert page.status_code == 422
    assert 'value="Too late"' in page.text
    assert "up to 48 hours" in page.text


def test_the_sale_is_closed_and_opened_by_hand(settings: Settings, signed_in: SignIn, flight: Flight) -> None:
    staff = signed_in("staff")
    known = "select sale_closed_at is not null from flights where id = :id"
    staff.post(f"{page_of(flight)}/sale", data={"close": "1"})
    assert makers.one(known, id=flight.id) is True
    assert "Sell it again" in staff.get(page_of(flight)).text
    staff.post(f"{page_of(flight)}/sale", data={"open": "1"})
    assert makers.one(known, id=flight.id) is False


def test_the_mailed_link_shows_the_change_and_lets_its_reader_decide(
    settings: Settings, client: TestClient, flight: Flight
) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    tell(carry_out(flight, "cancel"))
    plain = f"/bookings/{booking.reference}/changes-by-airline"
    assert client.get(plain).status_code == 404
    assert client.get(f"{plain}?key=forged").status_code == 404
    page = client.get(address(settings, booking.reference).removeprefix(settings.base_url))
    assert "Your flight ME101" in page.text
    assert "is cancelled" in page.text
    assert makers.status(booking) == "confirmed"
    change = re.search(r'name="change" value="([^"]+)"', page.text)
    assert change
    answer = client.post(plain, data={"change": change[1], "choice": "refund"})
    assert answer.headers["location"] == f"/bookings/{booking.reference}"
    assert makers.status(booking) == "cancelled"
    assert broken() == []


def test_the_link_of_a_change_ends_with_the_contact_that_it_was_mailed_to(
    settings: Settings, client: TestClient, flight: Flight
) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    tell(carry_out(flight, "cancel"))
    plain = f"/bookings/{booking.reference}/changes-by-airline"
    mailed, older = mailed_to(settings, booking), address(settings, booking.reference)
    for link in (mailed, older.removeprefix(settings.base_url)):
        assert "is cancelled" in client.get(link).text
        client.cookies.clear()
    with db.writing() as session:
        amending.change_contact(session, booking.reference, email="eve@example.com", phone=None, actor_id=None)
    for link in (mailed, older.removeprefix(settings.base_url)):
        assert client.get(link).headers["location"] == "/manage"
        assert "we mail a new link there" in client.get("/manage").text
        assert client.get(plain).status_code == 404
    assert "is cancelled" in client.get(mailed_to(settings, booking)).text


def mailed_to(settings: Settings, booking: Booking) -> str:
    """Return the path of the link that a mail about the booking's change has, if it goes out now."""
    with db.reading() as session:
        (one,) = queries.changes_of_booking(session, booking.id)
        (flight,) = flights_by_id(session, [one.flight_id]).values()
    body = change_mail(told(one, flight), settings).get_body(("plain",))
    assert body is not None
    return re.findall(rf"{settings.base_url}(/bookings/\S+\?key=\S+)", body.get_content())[0]


def test_a_traveller_takes_another_flight_from_the_list(settings: Settings, client: TestClient, flight: Flight) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    other = makers.flight(number=109, on=world.soon(31))
    tell(carry_out(flight, "cancel"))
    page = client.get(address(settings, booking.reference).removeprefix(settings.base_url))
    change = re.search(r'name="change" value="([^"]+)"', page.text)
    assert change
    assert "Look at the change" in client.get(f"/bookings/{booking.reference}").text
    plain = f"/bookings/{booking.reference}/changes-by-airline"
    on = client.post(plain, data={"change": change[1], "choice": "rebook"}).headers["location"]
    assert "No other flight" in client.get(on).text
    listed = client.get(f"{on}?on={world.soon(31)}").text
    offer = re.search(r'name="offer" value="([^"]+)"', listed)
    assert offer
    client.post(plain, data={"change": change[1], "choice": "rebook", "offer": offer[1]})
    assert makers.one("select flight_id from booking_segments where booking_id = :id", id=booking.id) == other.id
    assert "Look at the change" not in client.get(f"/bookings/{booking.reference}").text
    assert "Another flight was chosen" in client.get(plain).text


def test_nobody_decides_for_another_booking(settings: Settings, client: TestClient, flight: Flight) -> None:
    mine, theirs = (makers.confirmed(settings, makers.offer(settings, flight)) for _ in range(2))
    tell(carry_out(flight, "cancel"))
    client.get(address(settings, mine.reference).removeprefix(settings.base_url))
    other = makers.one("select id from affected_bookings where booking_id = :id", id=theirs.id)
    for reference in (mine.reference, theirs.reference):
        refused = client.post(
            f"/bookings/{reference}/changes-by-airline", data={"change": str(other), "choice": "refund"}
        )
        assert refused.status_code == 404
    assert makers.status(theirs) == "confirmed"


def test_who_only_knows_the_name_may_look_but_not_decide(
    settings: Settings, client: TestClient, flight: Flight
) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    tell(carry_out(flight, "cancel"))
    client.post("/manage", data={"reference": booking.reference, "familyName": "Smith"})
    page = client.get(f"/bookings/{booking.reference}/changes-by-airline")
    assert "Who made this booking can answer" in page.text
    change = makers.one("select id from affected_bookings")
    refused = client.post(
        f"/bookings/{booking.reference}/changes-by-airline", data={"change": str(change), "choice": "refund"}
    )
    assert refused.status_code == 404


MANY = """
    with made as (
        insert into bookings (reference, status, idempotency_key, currency, total_minor, contact_email, fingerprint)
        select translate(lpad(to_hex(n), 6, 'Z'), '01abcdef', 'GHABCDEF'), 'confirmed', 'many-' || n, currency, 0,
               contact_email, fingerprint
        from bookings, generate_series(1, 299) n where id = :id returning id
    ), ways as (
        insert into booking_slices (booking_id, position, origin, destination, cabin, brand, booking_class, conditions)
        select made.id, 0, origin, destination, cabin, brand, booking_class, conditions
        from booking_slices, made where booking_id = :id returning booking_id
    )
    insert into booking_segments (booking_id, slice_position, position, flight_id)
    select made.id, 0, 0, flight_id from booking_segments, made where booking_id = :id
"""


def test_three_hundred_bookings_are_told_in_slices(settings: Settings, flight: Flight) -> None:
    """The telling is in transactions of fifty, and how far it is can be read in between."""
    from portal.disruptions import queries, service

    booking = makers.confirmed(settings, makers.offer(settings, flight))
    with db.writing() as session:
        session.execute(text(MANY), {"id": booking.id})
    made = carry_out(flight, "cancel")
    steps, told = [], 1
    while told:
        with db.writing() as session:
            told = service.tell_some(session, made)
        with db.reading() as session:
            steps.append(queries.changes_of_flight(session, flight.id)[0].percent)
    assert steps == [16, 33, 50, 66, 83, 100, 100]
    assert makers.one("select count(*) from letters where kind = 'disruption.tell'") == 300


def test_the_mail_says_what_was_what_is_and_what_can_be_done(settings: Settings, flight: Flight) -> None:
    from pathlib import Path

    from portal.kit.outbox import Letter
    from tasks.handlers_disruptions import HANDLERS

    booking = makers.confirmed(settings, makers.offer(settings, flight))
    tell(carry_out(flight, "delay", minutes=int(timedelta(hours=3).total_seconds() / 60)))
    row = makers.one("select id from affected_bookings")
    letter = Letter(kind="disruption.tell", payload={"affectedId": str(row)})
    HANDLERS["disruption.tell"](settings, letter)
    HANDLERS["disruption.tell"](settings, letter)
    mails = [path.read_text() for path in Path(settings.mail_dir).iterdir() if path.suffix == ".eml"]
    assert len(mails) == 1
    for words in ("3 h late", "08:00 JFK", "11:00 JFK", "Choose another flight", booking.reference, "Fog"):
        assert words in mails[0].replace("=\n", "")


def test_programs_answer_with_the_token_of_the_booking(settings: Settings, client: TestClient, flight: Flight) -> None:
    from portal.kit.grants import booking_token

    booking = makers.confirmed(settings, makers.offer(settings, flight))
    tell(carry_out(flight, "delay", minutes=200))
    at = f"/api/bookings/{booking.reference}/carrier-changes"
    assert client.get(at).status_code == 404
    headers = {"Authorization": f"Bearer {booking_token(settings, booking.reference)}"}
    one = client.get(at, headers=headers).json()["data"][0]
    assert (one["kind"], one["why"], one["refundByRight"], one["refundAt"]) == ("delay", "delayed", True, None)
    assert one["choices"] == ["accept", "rebook", "refund"]
    assert one["departureWas"][:16] < one["departureIs"][:16]
    wrong = client.post(f"{at}/{one['id']}", headers=headers, json={"choice": "rebook"})
    assert wrong.status_code == 422
    after = client.post(f"{at}/{one['id']}", headers=headers, json={"choice": "accept"}).json()["data"][0]
    assert (after["state"], after["choices"]) == ("accepted", [])
    assert client.post(f"{at}/{one['id']}", headers=headers, json={"choice": "refund"}).json()["code"] == (
        "already_decided"
    )
    assert makers.one("select count(*) from amendments where kind = 'carrier' and state = 'done'") == 1
    assert broken() == []

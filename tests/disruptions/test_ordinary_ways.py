"""Where the carrier is at fault, the ordinary ways to cancel and to change take nothing for it, and say why."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from starlette.testclient import TestClient

from portal.disruptions.queries import fault_of
from portal.flights.models import Flight
from portal.kit import db
from portal.kit.settings import Settings
from portal.trips.rules import Fault
from tests import world
from tests.booking import makers
from tests.booking.test_cancelling import ONE, seen, sold, there_and_back
from tests.disruptions.conftest import broken, carry_out, tell
from tests.trips.test_changes import mine, sent

Tokens = dict[str, dict[str, str]]


def fault(booking: Any) -> Fault:
    with db.reading() as session:
        return fault_of(session, booking.id)


def test_a_booking_that_flies_as_planned_has_no_right(settings: Settings, flight: Flight) -> None:
    booking = sold(settings, flight, brand="Basic")
    assert fault(booking) == Fault()
    tell(carry_out(flight, "delay", minutes=30))
    assert fault(booking) == Fault()


def test_a_cancelled_flight_frees_its_direction_and_those_after_it_even_before_anybody_is_told(
    settings: Settings,
) -> None:
    out, back = there_and_back()
    booking = sold(settings, out, back, brand="Basic")
    carry_out(back, "cancel")
    found = fault(booking)
    assert (found.refund, set(found.rebook), "is cancelled" in found.why[1]) == ({1}, {1}, True)
    tell(carry_out(out, "cancel"))
    assert (fault(booking).refund, set(fault(booking).rebook)) == ({0, 1}, {0, 1})


def test_a_program_is_told_which_actions_cost_nothing_now(
    client: TestClient, settings: Settings, tokens: Tokens
) -> None:
    out, back = there_and_back()
    booking = sold(settings, out, back, brand="Basic")

    def told() -> tuple[bool, dict[str, str]]:
        answer = client.get(f"/api/bookings/{booking.reference}", headers=tokens["staff"]).json()
        return "change" in answer["availableActions"], answer["freeActions"]

    assert told() == (False, {})
    carry_out(back, "cancel")
    assert told() == (True, {"cancel": "carrier_in_part", "change": "carrier_in_part"})
    carry_out(out, "cancel")
    assert told() == (True, {"cancel": "carrier", "change": "carrier"})


def test_within_24_hours_of_the_purchase_a_program_is_told_so(
    client: TestClient, settings: Settings, tokens: Tokens
) -> None:
    booking = sold(settings, makers.flight(), brand="Basic", days=0)
    answer = client.get(f"/api/bookings/{booking.reference}", headers=tokens["staff"]).json()
    assert answer["freeActions"] == {"cancel": "within_24_hours", "change": "within_24_hours"}


def test_the_buttons_of_the_booking_say_that_they_cost_nothing(client: TestClient, settings: Settings) -> None:
    flight = makers.flight()
    booking = sold(settings, flight, brand="Basic")
    at = mine(client, settings, booking)
    before = client.get(at).text
    assert "This fare cannot be changed" in before
    assert "At no cost" not in before
    tell(carry_out(flight, "cancel"))
    page = client.get(at).text
    assert "This fare cannot be changed" not in page
    assert f'href="{at}/change" aria-describedby="free-change"' in page
    assert page.count("At no cost: the airline has changed your trip.") == 2


def test_a_delay_that_is_asked_about_frees_the_change_but_not_the_refund(settings: Settings, flight: Flight) -> None:
    booking = sold(settings, flight, brand="Basic")
    tell(carry_out(flight, "delay", minutes=95))
    assert (fault(booking).refund, set(fault(booking).rebook)) == (frozenset(), {0})


def test_the_page_that_cancels_gives_everything_back_and_says_why(client: TestClient, settings: Settings) -> None:
    out, back = there_and_back()
    booking = sold(settings, out, back, brand="Basic")
    at = mine(client, settings, booking)
    whole = seen(booking).total_minor
    tell(carry_out(out, "cancel"))
    form = client.get(f"{at}/cancel").text
    assert "comes back in full, whatever the fare says" in form
    assert "is cancelled" in form
    quoted = sent(client, f"{at}/cancel", refund="original")
    assert "The airline is at fault: nothing is taken for it." in client.get(quoted).text
    sent(client, quoted)
    assert "Look at the change" not in client.get(at).text
    assert makers.one("select sum(amount_minor) from refunds") == whole
    assert makers.status(booking) == "cancelled"
    assert broken() == []


def test_a_part_by_the_carrier_and_a_part_by_the_fare(client: TestClient, settings: Settings, tokens: Tokens) -> None:
    out, back = there_and_back()
    booking = sold(settings, out, back, party=ONE, brand="Basic")
    tell(carry_out(back, "cancel"))
    staff = tokens["staff"]
    answer = client.post(f"/api/bookings/{booking.reference}/cancellations", headers=staff, json={}).json()
    assert answer["rule"] == "carrier_in_part"
    only = client.post(
        f"/api/bookings/{booking.reference}/cancellations", headers=staff, json={"sliceIndexes": [1]}
    ).json()
    assert only["rule"] == "carrier"
    stakes = sum(one.amount_minor for one in seen(booking).charges if one.slice_position == 1)
    assert float(only["refund"]["amount"]) * 100 == stakes
    assert float(answer["refund"]["amount"]) > float(only["refund"]["amount"])


def test_the_page_that_changes_flies_otherwise_at_no_cost_though_the_fare_cannot_be_changed(
    client: TestClient, settings: Settings
) -> None:
    flight, dearer = makers.flight(), makers.flight(number=105, on=world.soon(31), fare_minor=90_000)
    far = makers.flight(number=107, on=world.soon(50))
    booking = sold(settings, flight, brand="Basic")
    at = mine(client, settings, booking)
    whole = seen(booking).total_minor
    assert "No direction of this booking can be changed" in client.get(f"{at}/change").text
    tell(carry_out(flight, "delay", minutes=200))
    assert f"{at}/change?slice=0" in client.get(at).text
    page = client.get(f"{at}/change?slice=0&on={world.soon(31)}").text
    assert "costs nothing" in page
    assert "At no cost. Your fare keeps what it promised." in page
    offers = re.findall(r'name="offer" value="([^"]+)"', page)
    assert len(offers) == 1
    quoted = sent(client, f"{at}/change", slice="0", offer=unescape(offers[0]))
    assert "The airline is at fault" in client.get(quoted).text
    later = client.get(f"{at}/change?slice=0&on={world.soon(50)}").text
    assert "At no cost" not in later
    sent(client, quoted)
    assert "Look at the change" not in client.get(at).text
    view = seen(booking)
    assert [one.id for one in view.flights] == [dearer.id]
    assert (view.total_minor, view.slices[0].brand) == (whole, "Basic")
    assert far.id not in [one.id for one in view.flights]
    assert broken() == []


def test_a_program_changes_at_no_cost_within_the_days_and_the_cabin_only(
    client: TestClient, settings: Settings, tokens: Tokens
) -> None:
    flight = makers.flight()
    near, far = (
        makers.flight(number=105, on=world.soon(31), fare_minor=90_000),
        makers.flight(number=107, on=world.soon(50), fare_minor=90_000),
    )
    booking = sold(settings, flight, party=ONE, brand="Standard")
    tell(carry_out(flight, "cancel"))
    staff = tokens["staff"]
    at = f"/api/bookings/{booking.reference}/changes"

    def quoted(target: Flight, **given: Any) -> dict[str, Any]:
        offer = makers.offer(settings, target, party=ONE, brand="Standard", **given)
        return dict(client.post(at, headers=staff, json={"sliceIndex": 0, "offerId": offer.token}).json())

    free = quoted(near)
    assert (free["rule"], free["due"]["amount"], free["penalty"]["amount"]) == ("carrier", "0.00", "0.00")
    for dear in (quoted(far), quoted(near, cabin="business")):
        assert dear["rule"] == "conditions"
        assert float(dear["due"]["amount"]) > 0


def test_a_program_takes_one_traveller_off_one_direction(
    client: TestClient, settings: Settings, tokens: Tokens
) -> None:
    booking = sold(settings, *there_and_back())
    anna = seen(booking).passengers[0]
    staff = tokens["staff"]
    at = f"/api/bookings/{booking.reference}"
    wish = {"passengerIds": [str(anna.id)], "sliceIndexes": [1]}
    quoted = client.post(f"{at}/cancellations", headers=staff, json=wish)
    assert (quoted.status_code, quoted.json()["penalty"]["amount"]) == (201, "120.00")
    assert client.post(f"{at}/cancellations/{quoted.json()['id']}/confirm", headers=staff).status_code == 200
    people = client.get(at, headers=staff).json()["passengers"]
    assert [(one["cancelled"], one["notFlying"]) for one in people] == [(False, [1]), (False, [])]
    assert client.post(f"{at}/cancellations", headers=staff, json=wish).status_code == 422
    assert makers.broken() == []

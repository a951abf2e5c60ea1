"""Much is remembered between searches, and nothing of it is told once it is no longer so: each look sees the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.flights.models import Flight
from portal.kit import clock, db, i18n
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from portal.pricing.service import forget_books
from portal.search import pages, queries
from portal.search.forms import Criteria, SliceWish
from portal.search.service import OFFER_STEP_SECONDS, read_offer, search
from tests import world

ASKED = {"origin": "JFK", "destination": "LAX", "departureDate": world.soon().isoformat(), "maxStops": 0}


@pytest.fixture
def flight(settings: Settings) -> Flight:
    with db.writing() as session:
        return world.flight(session, number=101, fare_minor=20_000, seats=20)


@pytest.fixture
def forgetful() -> Iterator[Callable[[], None]]:
    """Let the next search read names and prices afresh, as it does each minute."""

    def forget() -> None:
        forget_books()
        for network in queries._networks.values():
            network.read_at = -1e9

    yield forget
    forget()


def told(client: TestClient) -> dict[str, Any]:
    """The only itinerary, as the API tells it."""
    answer = client.get("/api/flights/search", params=ASKED)
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["slices"][0]["itineraries"]
    return dict(found)


def shown(client: TestClient) -> str:
    """The only row of the page, without its offers."""
    page = client.get("/flights", params=ASKED).text
    return page.partition('<article class="trip wide"')[2].partition("</article>")[0]


def change(statement: str, **values: Any) -> None:
    with db.writing() as session:
        assert session.execute(text(statement), values).rowcount


CHANGES = {
    "fare": ("update flights set fare_minor = fare_minor * 2", lambda one: one["fares"][0]["total"]["amount"]),
    "departure": (
        "update flights set departure_at = departure_at + interval '5 min',"
        " departure_local = departure_local + interval '5 min'",
        lambda one: one["segments"][0]["departureAt"],
    ),
    "number": ("update flights set number = 909", lambda one: one["segments"][0]["flightNumber"]),
    "seats": ("update flight_cabins set sold = 17 where cabin = 'economy'", lambda one: one["fares"][0]["seatsLeft"]),
    "load": ("update flight_cabins set protections = '{30,40,50}'", lambda one: one["fares"][0]["bookingClass"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_a_flight_is_told_by_the_very_next_search(client: TestClient, flight: Flight, name: str) -> None:
    statement, look = CHANGES[name]
    before, row = told(client), shown(client)
    assert (told(client)["id"], shown(client)) == (before["id"], row)
    change(statement)
    assert look(told(client)) != look(before)
    assert shown(client) != row or name == "load"  # a row does not name the class
    offer = read_offer(client.app.state.settings, told(client)["fares"][0]["offerId"])  # type: ignore[attr-defined]  # Starlette's
    assert str(offer.total_minor) == told(client)["fares"][0]["total"]["amount"].replace(".", "")


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("update carriers set name = 'Renamed Air' where code = 'ME'", "Renamed Air"),
        ("update airports set city = 'Yorktown' where code = 'JFK'", "Yorktown"),
    ],
)
def test_a_new_name_is_told_within_a_minute(
    client: TestClient, flight: Flight, forgetful: Callable[[], None], statement: str, word: str
) -> None:
    assert word not in str(told(client)) + shown(client)
    change(statement)
    forgetful()
    assert word in str(told(client))
    assert word in shown(client)


def test_names_that_stay_are_the_same_object(
    client: TestClient, flight: Flight, forgetful: Callable[[], None], settings: Settings
) -> None:
    names = []
    for _ in range(2):
        told(client)
        with db.reading() as session:
            names.append(queries.network(session).names)
        forgetful()
    assert names[0] is names[1]
    assert names[0].places


def test_a_new_price_of_a_brand_is_told_within_a_minute(
    client: TestClient, flight: Flight, forgetful: Callable[[], None]
) -> None:
    before, row = told(client), shown(client)
    change("update fare_brands set factor_bp = factor_bp + 500 where cabin = 'economy'")
    forgetful()
    assert [fare["total"] for fare in told(client)["fares"]] != [fare["total"] for fare in before["fares"]]
    assert shown(client) != row


def test_an_offer_is_sealed_anew_every_few_seconds_and_runs_from_then(client: TestClient, flight: Flight) -> None:
    first = told(client)["fares"][0]
    with clock.shifted(timedelta(seconds=2 * OFFER_STEP_SECONDS)):
        later = told(client)["fares"][0]
    assert later["offerId"] != first["offerId"]
    assert later["expiresAt"] > first["expiresAt"]
    settings = client.app.state.settings  # type: ignore[attr-defined]  # Starlette's
    ends = [read_offer(settings, fare["offerId"]).expires_at.strftime("%FT%TZ") for fare in (first, later)]
    assert ends == [first["expiresAt"], later["expiresAt"]]


def test_each_reader_has_their_own_language(flight: Flight, settings: Settings) -> None:
    criteria = Criteria((SliceWish("JFK", "LAX", world.soon()),), Party())
    with db.reading() as session:
        result = search(session, criteria, settings=settings)
    rows = []
    for language in ("en", "de", "en"):
        with i18n.speaking(language):
            rows.append(pages._rows(result.slices[0], result, "/book?offer="))
    assert rows[0] == rows[2]
    for row, price in zip(rows, ("$230.40", "230,40\xa0$", "$230.40"), strict=True):
        assert price in row

"""The search pages: asked again where something is wrong, the URL as the whole state, one slice after the other."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from portal.flights.models import Flight, FlightCabin
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.places.models import Airport
from portal.places.service import mark_served
from portal.pricing.rules import Party
from portal.search.service import read_offer
from tests import world

DAY, BACK = world.soon().isoformat(), world.soon(37).isoformat()
BASE = {"origin": "JFK", "destination": "LAX", "departureDate": DAY}
PART = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def day(settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, number=101, at=time(8), fare_minor=20_000)
        world.flight(session, number=102, at=time(14), fare_minor=15_000, carrier="PA")
        world.flight(session, "JFK", "ORD", number=201, at=time(7), minutes=150, fare_minor=5_000)
        world.flight(session, "ORD", "LAX", number=202, at=time(10), minutes=260, fare_minor=6_000)
        world.flight(session, "LAX", "JFK", number=104, on=world.soon(37), minutes=320)
        world.flight(session, number=105, on=world.soon(31), fare_minor=9_000)


def get(client: TestClient, params: Mapping[str, Any], status: int = 200, **more: Any) -> str:
    answer = client.get("/flights", params=params, **more)
    assert answer.status_code == status, answer.text
    return answer.text


def hrefs(page: str, start: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(r'href="([^"]*)"', page) if found.startswith(start)]


def offers(page: str) -> list[str]:
    return [parse_qs(urlsplit(href).query)["offer"][-1] for href in hrefs(page, "/book?")]


def test_home_asks_where_and_when(client: TestClient, settings: Settings) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    for name in ("origin", "destination", "departureDate", "returnDate", "adults", "children", "infants", "cabin"):
        assert f'name="{name}"' in answer.text
    assert 'action="/flights"' in answer.text


def test_home_suggests_what_really_leaves(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, on=world.soon(6), fare_minor=20_000)
        world.flight(session, "ORD", "LHR", on=world.soon(6), number=2, seats=1)
        session.execute(
            update(FlightCabin).where(FlightCabin.capacity == 1, FlightCabin.cabin == "economy").values(sold=1)
        )
    page = client.get("/").text
    (href,) = hrefs(page, "/flights?")
    assert "$230.40" in page
    assert "$230.40" in client.get(href).text


def test_results_show_every_itinerary_with_three_whole_prices(
    client: TestClient, day: None, settings: Settings
) -> None:
    page = get(client, {**BASE, "adults": "2", "children": "1", "infants": "1"})
    assert page.count("<article") == 3
    found = [read_offer(settings, token) for token in offers(page)]
    assert len(found) == 9
    assert {offer.party for offer in found} == {Party(2, 1, 1)}
    for offer in found:
        assert f"${offer.total_minor / 100:,.2f}" in page
    assert "1 infant on a lap" in page
    assert "US flight segment tax" in page


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"ME101", "PA102", "ME201"}),
        ({"maxStops": "0"}, {"ME101", "PA102"}),
        ({"maxStops": ""}, {"ME101", "PA102", "ME201"}),
        ({"airlines": "PA"}, {"PA102"}),
        ({"airlines": ["PA", "ME"]}, {"ME101", "PA102", "ME201"}),
        ({"departs": "12-18"}, {"PA102"}),
        ({"departs": "", "arrives": "06-12"}, {"ME101"}),
        ({"maxPrice": "200"}, {"PA102", "ME201"}),
        ({"departs": "nonsense", "utm_source": "x"}, {"ME101", "PA102", "ME201"}),
    ],
)
def test_the_list_narrows(client: TestClient, day: None, more: dict[str, Any], expected: set[str]) -> None:
    page = get(client, {**BASE, **more})
    assert {number for number in ("ME101", "PA102", "ME201") if f"<span>{number}" in page} == expected


def test_a_part_is_the_results_alone_and_the_whole_page_says_so(client: TestClient, day: None) -> None:
    part, whole = get(client, BASE, headers=PART), client.get("/flights", params=BASE)
    assert part.lstrip().startswith('<div id="results"')
    assert "<html" not in part
    assert "<html" in whole.text
    assert "HX-Request-Type" in whole.headers["Vary"]


def test_every_link_of_the_page_keeps_the_search(client: TestClient, day: None) -> None:
    page = get(client, {**BASE, "adults": "2", "airlines": ["ME", "PA"], "sort": "price", "departs": "06-12"})
    for href in hrefs(page, "/flights?"):
        kept = parse_qs(urlsplit(href).query)
        assert (kept["origin"], kept["adults"]) == (["JFK"], ["2"])
        assert client.get(href).status_code == 200
    sorts = [href for href in hrefs(page, "/flights?") if "sort=duration" in href]
    assert parse_qs(urlsplit(sorts[0]).query)["airlines"] == ["ME", "PA"]


def test_a_return_trip_is_chosen_one_way_after_the_other(client: TestClient, day: None, settings: Settings) -> None:
    page = get(client, {**BASE, "returnDate": BACK, "trip": "return", "adults": "2"})
    assert "Flight 1 of 2" in page
    assert not offers(page)
    (href, *_) = [href for href in hrefs(page, "/flights?") if "out=" in href]
    second = client.get(href)
    assert second.status_code == 200
    assert "Flight 2 of 2" in second.text
    assert "Choose another" in second.text
    last = hrefs(second.text, "/book?")[0]
    both = [read_offer(settings, token) for token in parse_qs(urlsplit(last).query)["offer"]]
    assert [(offer.slice_origin, offer.slice_destination) for offer in both] == [("JFK", "LAX"), ("LAX", "JFK")]


def test_the_way_back_leaves_after_the_way_there_has_landed(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, number=1, at=time(8), minutes=375)
        world.flight(session, "LAX", "JFK", number=2, at=time(11, 30), minutes=320)
        world.flight(session, "LAX", "JFK", number=3, at=time(15), minutes=320)
    page = get(client, {**BASE, "returnDate": DAY})
    second = client.get(next(href for href in hrefs(page, "/flights?") if "out=" in href)).text
    assert "<span>ME3<" in second
    assert "<span>ME2<" not in second


@pytest.mark.parametrize("token", ["rubbish", "~0", "a" * 3000, "<script>alert(1)</script>~1"])
def test_a_forged_choice_starts_the_choice_again(client: TestClient, day: None, token: str) -> None:
    answer = client.get("/flights", params={**BASE, "returnDate": BACK, "out": token})
    assert answer.status_code == 303
    again = client.get(answer.headers["location"])
    assert again.status_code == 200
    assert "Flight 1 of 2" in again.text
    assert "choose a fare" in again.text


def test_a_choice_made_for_another_party_starts_again(client: TestClient, day: None) -> None:
    page = get(client, {**BASE, "returnDate": BACK})
    href = next(href for href in hrefs(page, "/flights?") if "out=" in href)
    answer = client.get(f"{href}&adults=2".replace("adults=1&", ""))
    assert answer.status_code == 303


def test_a_lapsed_choice_starts_again_and_says_why(client: TestClient, day: None, settings: Settings) -> None:
    page = get(client, {**BASE, "returnDate": BACK})
    href = next(href for href in hrefs(page, "/flights?") if "out=" in href)
    with clock.shifted(timedelta(minutes=31)):
        answer = client.get(href)
        assert answer.status_code == 303
        assert "30 minutes" in client.get(answer.headers["location"]).text


def test_an_empty_day_leads_to_the_days_that_have_flights(client: TestClient, day: None) -> None:
    page = get(client, {**BASE, "departureDate": world.soon(32).isoformat()})
    assert "No seats that day" in page
    beside = [href for href in hrefs(page, "/flights?") if f"departureDate={world.soon(31)}" in href]
    assert beside
    assert "ME105" in client.get(beside[0]).text


def test_nothing_near_says_so(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, number=101, on=world.soon(60))
    page = get(client, BASE)
    assert "No seats that day" in page
    assert "further off" in page


def test_filters_that_leave_nothing_offer_to_clear_them(client: TestClient, day: None) -> None:
    page = get(client, {**BASE, "maxPrice": "1"})
    assert "No flight matches" in page
    clear = [href for href in hrefs(page, "/flights?") if "maxPrice" not in href]
    assert "ME101" in client.get(clear[-1]).text


def test_sold_out_departed_and_cancelled_flights_are_not_shown(client: TestClient, day: None) -> None:
    with db.writing() as session:
        session.execute(update(FlightCabin).values(sold=FlightCabin.capacity))
        session.execute(update(Flight).where(Flight.number == 102).values(status="cancelled"))
    assert "No seats that day" in get(client, BASE)


def test_an_airport_nobody_flies_from_is_said_to_be_one_with_those_nearby(client: TestClient, day: None) -> None:
    with db.writing() as session:
        there = {"country": "US", "country_name": "United States", "time_zone": "America/New_York"}
        names = {"code": "EWR", "name": "Newark Liberty", "city": "Newark", "search_text": "ewr newark liberty"}
        session.add(Airport(**names, **there, latitude=40.69, longitude=-74.17))
        mark_served(session)
    page = get(client, {**BASE, "origin": "EWR"})
    assert re.search(r"No airline here flies from [^<]*\(EWR\)", page)
    assert "No seats that day" not in page
    (way,) = [href for href in hrefs(page, "/flights?") if "origin=JFK" in href and "destination=LAX" in href]
    assert client.get(way).text.count("<article") == 3
    back = get(client, {**BASE, "origin": "LAX", "destination": "EWR"})
    assert re.search(r"No airline here flies to [^<]*\(EWR\)", back)


@pytest.mark.parametrize("typed", ["JFK", "jfk", "New York", "new york (jfk)", "New York (JFK)", "Kennedy", " JFK "])
def test_a_place_may_be_typed_as_people_type_it(client: TestClient, day: None, typed: str) -> None:
    page = get(client, {**BASE, "origin": typed})
    assert "New York (JFK)" in page
    assert page.count("<article") == 3


def test_an_unclear_place_is_asked_about_keeping_the_rest(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        for code, name in (("LGA", "La Guardia"), ("EWR", "Newark Liberty")):
            session.add(_airport(code, name))
        world.flight(session)
    page = get(client, {**BASE, "origin": "new york", "adults": "3", "sort": "price"})
    assert "Which airport did you mean?" in page
    assert {"JFK", "LGA", "EWR"} <= set(re.findall(r'name="origin" value="(\w+)"', page))
    asking = page[page.index('action="/flights"') :].split("</form>")[0]
    kept = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asking))
    assert kept == {"destination": "LAX", "departureDate": DAY, "adults": "3", "sort": "price"}
    assert "ME101" in get(client, {**kept, "origin": "JFK"})


def _airport(code: str, name: str) -> Airport:
    words = f"{code} new york {name} united states".lower()
    return Airport(
        code=code,
        name=name,
        city="New York",
        country="US",
        country_name="United States",
        time_zone="America/New_York",
        latitude=40.7,
        longitude=-74.0,
        served=True,
        rank=90,
        search_text=words,
    )


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"origin": ""}, "origin"),
        ({"origin": "zzzzqqqq"}, "origin"),
        ({"origin": "<script>alert(1)</script>"}, "origin"),
        ({"origin": "x" * 5000}, "origin"),
        ({"origin": "'; drop table flights; --"}, "origin"),
        ({"destination": "JFK"}, "destination"),
        ({"destination": ""}, "destination"),
        ({"departureDate": ""}, "departureDate"),
        ({"departureDate": "next week"}, "departureDate"),
        ({"departureDate": "2020-01-01"}, "departureDate"),
        ({"departureDate": world.soon(365).isoformat()}, "departureDate"),
        ({"departureDate": "99999-01-01"}, "departureDate"),
        ({"returnDate": world.soon(1).isoformat()}, "returnDate"),
        ({"trip": "return"}, "returnDate"),
        ({"adults": "0"}, "travellers"),
        ({"adults": "99"}, "travellers"),
        ({"adults": "many"}, "travellers"),
        ({"infants": "3"}, "travellers"),
        ({"adults": "5", "children": "8"}, "travellers"),
        ({"cabin": "roof"}, "cabin"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_is_kept(
    client: TestClient, settings: Settings, more: dict[str, str], field: str
) -> None:
    page = get(client, {**BASE, **more}, status=422)
    assert f'href="#{field}"' in page
    assert "<script>alert" not in page
    kept = {**BASE, **more}
    if len(kept["destination"]) < 80 and field != "destination":
        assert f'value="{kept["destination"]}"' in page
    if re.fullmatch(r"\d{4}-\d\d-\d\d", kept["departureDate"]):
        assert f'value="{kept["departureDate"]}"' in page


def test_several_wrong_fields_are_told_together(client: TestClient, settings: Settings) -> None:
    page = get(client, {"origin": "zzzzqqqq", "destination": "", "departureDate": "soon", "adults": "0"}, status=422)
    for field in ("origin", "destination", "departureDate", "travellers"):
        assert f'href="#{field}"' in page


def test_a_wrong_highest_price_is_said_at_the_field_above_the_full_list(client: TestClient, day: None) -> None:
    page = get(client, {**BASE, "maxPrice": "lots"}, status=422)
    assert 'value="lots"' in page
    assert "Please give an amount" in page
    assert page.count("<article") == 3


@pytest.mark.parametrize(("typed", "shown"), [("1,000", 3), ("1.000,00", 3), ("200,00", 2), ("200.00", 2)])
def test_a_highest_price_is_read_as_it_is_typed(client: TestClient, day: None, typed: str, shown: int) -> None:
    page = get(client, {**BASE, "maxPrice": typed})
    assert page.count("<article") == shown
    assert f'value="{typed}"' in page


def test_one_way_leaves_the_return_date_out(client: TestClient, day: None) -> None:
    page = get(client, {**BASE, "trip": "oneway", "returnDate": BACK})
    assert "of 2" not in page
    assert offers(page)


def test_pages_go_on_to_the_end(client: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        for number in range(1, 61):
            world.flight(session, number=number, at=time(6 + number // 60, number % 60))
    page = get(client, {**BASE, "sort": "departure"})
    assert "60 flights" in page
    assert page.count("<article") == 50
    (more,) = [href for href in hrefs(page, "/flights?") if "cursor=" in href]
    assert client.get(more).text.count("<article") == 10


def test_the_summary_of_errors_names_each_field(client: TestClient) -> None:
    page = client.get("/flights?origin=&destination=&departureDate=").text
    for href, words in (("origin", "From"), ("destination", "To"), ("departureDate", "Leave")):
        assert f'<a href="#{href}">{words}: Please fill this in.</a>' in page

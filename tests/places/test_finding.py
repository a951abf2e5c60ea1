"""Finding airports: by code, city, name, from other languages, and with typing errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from portal.kit import db
from portal.kit.settings import Settings
from portal.places import service
from portal.places.queries import Place, find, places_by_code, resolve
from portal.places.rules import plain

SERVED = ["JFK", "LGA", "EWR", "LAX", "ORD", "LHR", "LGW", "NRT", "MUC", "GRU", "CDG", "ZRH", "SIN", "FRA"]


@pytest.fixture
def world(settings: Settings) -> Iterator[Session]:
    """All airports of the world, a few of them served."""
    with db.writing() as session:
        service.load(session)
        session.execute(text("update airports set served = code = any(:codes)"), {"codes": SERVED})
    with db.reading() as session:
        yield session


def codes(places: list[Place]) -> list[str]:
    return [place.code for place in places]


MEANT = {
    "JFK": "JFK",
    "jfk": "JFK",
    "lax": "LAX",
    "Los Angeles": "LAX",
    "los angelos": "LAX",
    "nwe york": "JFK",
    "lodnon": "LHR",
    "munchen": "MUC",
    "München": "MUC",
    "MUENCHEN": "MUC",
    "Sao Paulo": "GRU",
    "são paulo": "GRU",
    "zürich": "ZRH",
    "o'hare": "ORD",
    "heathrow": "LHR",
    "kennedy new york": "JFK",
    "new y": "JFK",
    "singapur": "SIN",
    "frankfrut": "FRA",
    "charles de gaule": "CDG",
}


def test_what_people_type_finds_what_they_mean(world: Session) -> None:
    assert {typed: codes(find(world, typed))[0] for typed in MEANT} == MEANT


def test_a_metropolis_answers_with_all_its_airports_the_largest_first(world: Session) -> None:
    assert codes(find(world, "new york"))[:3] == ["JFK", "LGA", "EWR"]
    assert codes(find(world, "NYC"))[:3] == ["JFK", "EWR", "LGA"]
    assert codes(find(world, "lon"))[:2] == ["LHR", "LGW"]


def test_served_airports_come_before_others(world: Session) -> None:
    found = codes(find(world, "paris"))
    assert found[0] == "CDG"
    assert "ORY" in found


def test_an_exact_code_comes_before_any_city(world: Session) -> None:
    assert codes(find(world, "SIN"))[0] == "SIN"
    assert codes(find(world, "MAN"))[0] == "MAN"


def test_nonsense_finds_nothing_and_breaks_nothing(world: Session) -> None:
    for typed in ("", "  ", "%", "_", "';--", "\\", "(((", "\x01", "xqzxqzv", "日本"):
        assert find(world, typed) == []
        assert resolve(world, typed) == []


def test_no_more_than_the_limit(world: Session) -> None:
    assert len(find(world, "international", limit=3)) == 3


def test_plain_text_resolves_to_the_one_airport(world: Session) -> None:
    for typed in ("lax", "Los Angeles (LAX)", "los angeles", "LAX ", "Los  Angeles"):
        place = resolve(world, typed)
        assert isinstance(place, Place)
        assert place.code == "LAX"


def test_other_names_resolve_and_typing_errors_ask(world: Session) -> None:
    munich, mistyped = resolve(world, "München"), resolve(world, "muncehn")
    assert isinstance(munich, Place)
    assert munich.code == "MUC"
    assert isinstance(mistyped, list)
    assert codes(mistyped)[0] == "MUC"


def test_what_is_ambiguous_or_mistyped_resolves_to_candidates(world: Session) -> None:
    london, mistyped = resolve(world, "London"), resolve(world, "los angelos")
    assert isinstance(london, list)
    assert codes(london)[:2] == ["LHR", "LGW"]
    assert isinstance(mistyped, list)
    assert mistyped[0].code == "LAX"


def test_loading_twice_changes_nothing_and_leaves_out_heliports(world: Session) -> None:
    with db.writing() as session:
        first = service.count(session)
        assert service.load(session) == first
        assert service.count(session) == first
    assert 7000 < first < 7900
    assert not places_by_code(world, ["HLR", "NYS"])


def test_cities_are_the_ones_that_travellers_say(world: Session) -> None:
    known = places_by_code(world, ["YYZ", "EZE", "ICN", "XXX"])
    assert {code: place.city for code, place in known.items()} == {
        "YYZ": "Toronto",
        "EZE": "Buenos Aires",
        "ICN": "Seoul",
    }


def test_the_api_answers_the_contract(client: TestClient) -> None:
    (first, *_) = client.get("/api/airports?q=los+angeles&limit=2").json()["data"]
    assert first["code"] == "LAX"
    assert first["timeZone"] == "America/Los_Angeles"
    assert set(first) >= {"code", "name", "city", "country", "timeZone", "latitude", "longitude"}
    assert client.get("/api/airports/lax").json()["city"] == "Los Angeles"
    missing = client.get("/api/airports/QQQ")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert client.get("/api/airports?limit=0").status_code == 422


def test_the_options_are_list_items(client: TestClient) -> None:
    shown = client.get("/places?q=munchen").text
    assert 'data-code="MUC"' in shown
    assert "<html" not in shown


def test_folding_of_names() -> None:
    assert plain("  São   Paulo – Guarulhos ") == "sao paulo guarulhos"
    assert plain("Łódź, Køln, Straße, O'Hare") == "lodz koln strasse ohare"
    assert len(plain("x" * 1000)) == 80

"""Why a price is what it is: every step of an offer, by rule, adding up to the total; and the steps that are kept."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from starlette.testclient import TestClient

from portal.booking.models import Slice
from portal.flights.models import FlightCabin
from portal.kit import clock, db
from portal.kit.money import share
from portal.kit.settings import Settings
from portal.pricing import service as pricing
from portal.pricing.models import FareRuleRow
from portal.pricing.told import why
from portal.search import service
from portal.search.answers import ExplainOut
from portal.search.forms import Criteria, SliceWish
from portal.search.rules import Itinerary, Party
from tests import world

DAY = world.soon(20)


def rule(kind: str, factor_bp: int, **more: Any) -> dict[str, Any]:
    row = {
        "key": f"the-{kind}",
        "kind": kind,
        "label": f"The {kind}",
        "source": "a test",
        "valid_from": date(2020, 1, 1),
    }
    return {**row, "factor_bp": factor_bp, **more}


RULES = (
    rule("route", 10_500, origin="JFK"),
    rule("season", 11_100, low=101, high=1231, code="H"),
    rule("weekday", 9_300, low=1, high=7, code="X"),
    rule("advance", 10_600, low=14, high=20, code="14"),
    rule("load", 11_200, low=5_000),
)


@pytest.fixture
def priced(settings: Settings) -> Settings:
    """One flight of 200 dollars, 60 % full, its protections such that K is the cheapest open class."""
    with db.writing() as session:
        made = world.flight(session, on=DAY, fare_minor=19_999, seats=100)
        counters = {"capacity": 150, "sold": 0, "held": 90, "protections": [0, 0, 0, 0, 60]}
        session.execute(
            update(FlightCabin)
            .where(FlightCabin.cabin == "economy", FlightCabin.flight_id == made.id)
            .values(**counters)
        )
        for row in RULES:
            session.execute(insert(FareRuleRow).values(**row))
    pricing.forget_books()
    return settings


def found(settings: Settings, party: Party = Party(2, 1, 1)) -> Itinerary:  # noqa: B008 – a frozen value
    with db.reading() as session:
        criteria = Criteria((SliceWish("JFK", "LAX", DAY),), party)
        return service.search(session, criteria, settings=settings).slices[0].itineraries[0]


def test_every_step_is_printed_and_can_be_checked_by_hand(priced: Settings, client: TestClient) -> None:
    offer = found(priced).token(1)
    answer = client.get("/api/pricing/explain", params={"offerId": offer})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert ExplainOut.model_validate(told).wire() == told
    (segment,) = told["segments"]
    steps = [(one["kind"], one["key"], one["factor"], one["amount"]["amount"]) for one in segment["steps"]]
    assert steps == [
        ("base", "", None, "199.99"),
        ("route", "the-route", "1.05", "209.99"),
        ("season", "the-season", "1.11", "233.09"),
        ("weekday", "the-weekday", "0.93", "216.77"),
        ("advance", "the-advance", "1.06", "229.78"),
        ("load", "the-load", "1.12", "257.35"),
        ("class", "class-K", "1.11", "285.66"),
    ]
    assert segment["flightNumber"] == "ME101"
    assert (told["bookingClass"], told["fareBasis"]) == ("K", "KHX14STN")
    assert told["brandStep"]["amount"] == {"amount": "348.51", "currency": "USD"}
    assert [step["label"] for step in segment["steps"]][-1] == "Booking class K"


def test_the_steps_add_up_to_the_total(priced: Settings, client: TestClient) -> None:
    for number in range(3):
        told = client.get("/api/pricing/explain", params={"offerId": found(priced).token(number)}).json()
        adult = minor(told["brandStep"])
        assert (
            share(sum(minor({"amount": one["fare"]}) for one in told["segments"]), bp(told["brandStep"]), 10_000)
            == adult
        )
        total = 0
        for one in told["travellers"]:
            lines = [minor(line) for line in one["lines"]]
            assert lines[0] == share(adult, one["farePercent"], 100)
            assert minor({"amount": one["each"]}) == sum(lines)
            assert minor({"amount": one["all"]}) == one["count"] * sum(lines)
            total += one["count"] * sum(lines)
        assert total == minor({"amount": told["total"]})
        assert [one["type"] for one in told["travellers"]] == ["adult", "child", "infant"]


def minor(step: dict[str, Any]) -> int:
    return int(Decimal(step["amount"]["amount"]) * 100)


def bp(step: dict[str, Any]) -> int:
    return int(Decimal(step["factor"]) * 10_000)


def test_what_is_no_offer_is_not_explained(client: TestClient) -> None:
    answer = client.get("/api/pricing/explain", params={"offerId": "made-up~0"})
    assert (answer.status_code, answer.json()["code"]) == (422, "offer_unknown")
    assert client.get("/api/pricing/explain").status_code == 422


def test_a_lapsed_offer_says_so(priced: Settings, client: TestClient) -> None:
    offer = found(priced).token(0)
    with clock.shifted(timedelta(minutes=priced.offer_minutes + 1)):
        answer = client.get("/api/pricing/explain", params={"offerId": offer})
    assert (answer.status_code, answer.json()["code"]) == (409, "offer_expired")


def test_the_party_s_size_decides_the_class(priced: Settings) -> None:
    """60 seats are free and none is kept from K, 60 from Q: only a party of none would fly in Q."""
    with db.writing() as session:
        session.execute(update(FlightCabin).values(protections=[2, 10, 30, 50, 58]))
    classes = [found(priced, Party(size)).fares[0].booking_class for size in (1, 2, 3, 9)]
    assert classes == ["Q", "Q", "K", "K"]


def test_an_offer_keeps_its_steps_when_the_rules_change(priced: Settings) -> None:
    offer = service.read_offer(priced, found(priced).token(0))
    with db.writing() as session:
        session.execute(update(FareRuleRow).values(factor_bp=30_000, label="Otherwise"))
    pricing.forget_books()
    again = service.read_offer(priced, offer.token)
    assert again == offer
    assert [step["key"] for step in again.pricing] == [
        "", "the-route", "the-season", "the-weekday", "the-advance", "the-load", "class-K", "Basic",
    ]  # fmt: skip
    with db.reading() as session:
        fresh = service.reprice(session, offer, settings=priced)
    assert fresh.pricing[1]["label"] == "Otherwise"
    assert fresh.total_minor > offer.total_minor


def test_the_calendar_and_the_search_name_one_price(priced: Settings) -> None:
    party = Party(2, 1, 1)
    with db.reading() as session:
        days = [DAY + timedelta(days=number) for number in range(-2, 3)]
        prices = service.day_prices(session, "JFK", "LAX", days, settings=priced, party=party)
    assert [one.total_minor for one in prices] == [None, None, found(priced).fares[0].quote.total_minor, None, None]


def test_repricing_comes_to_the_same(priced: Settings) -> None:
    offer = service.read_offer(priced, found(priced).token(2))
    with db.reading() as session:
        fresh = service.reprice(session, offer, settings=priced)
    assert (fresh.total_minor, fresh.pricing, fresh.booking_class, fresh.fare_basis) == (
        offer.total_minor,
        offer.pricing,
        offer.booking_class,
        offer.fare_basis,
    )


def test_what_leaves_soon_costs_what_a_search_says(settings: Settings) -> None:
    with db.writing() as session:
        world.flight(session, on=world.soon(6), fare_minor=10_000)
        session.execute(insert(FareRuleRow).values(**rule("weekday", 12_500, low=1, high=7)))
    pricing.forget_books()
    service._suggestions.clear()
    with db.reading() as session:
        (one,) = service.leaving_soon(session)
        criteria = Criteria((SliceWish("JFK", "LAX", one.on),), Party(), sort="price")
        first = service.search(session, criteria, settings=settings).slices[0].itineraries[0]
    assert one.total_minor == first.fares[0].quote.total_minor
    assert first.fares[0].quote.per_type["adult"][0].amount_minor == 12_500


def test_steps_are_told_in_words(priced: Settings) -> None:
    offer = service.read_offer(priced, found(priced).token(1))
    flight, whole = why(offer.pricing, {offer.flight_ids[0]: "ME101"})
    assert (flight.title, whole.title) == ("ME101", "")
    assert [(line.label, line.factor, line.amount_minor) for line in flight.lines[:2]] == [
        ("Base fare of this flight", "", 19_999),
        ("The route", "× 1.05", 20_999),
    ]
    assert [(line.label, line.factor, line.amount_minor) for line in whole.lines] == [
        ("Standard fare", "× 1.22", 34_851)
    ]
    assert whole.lines[-1].amount_minor == offer.per_type["adult"][0].amount_minor


def test_a_booking_keeps_steps_class_and_fare_basis(priced: Settings, client: TestClient) -> None:
    token = found(priced, Party(1)).token(1)
    offer = service.read_offer(priced, token)
    born = {"type": "adult", "givenName": "Ada", "familyName": "Byron", "dateOfBirth": "1990-12-10"}
    wish = {"offerIds": [token], "contact": {"email": "ada@example.com"}, "passengers": [born]}
    made = client.post("/api/bookings", json=wish, headers={"Idempotency-Key": "ada-1-long-enough"})
    assert made.status_code == 201, made.text
    (piece,) = made.json()["slices"]
    assert (piece["bookingClass"], piece["fareBasis"]) == (offer.booking_class, offer.fare_basis) == ("K", "KHX14STN")
    with db.reading() as session:
        kept = session.scalars(select(Slice)).one()
    assert kept.pricing == offer.pricing
    lines = {line["code"]: line["amount"]["amount"] for line in made.json()["priceBreakdown"]}
    assert Decimal(lines["fare"]) * 100 == kept.pricing[-1]["amount"]


def test_the_review_page_tells_the_steps(priced: Settings, client: TestClient) -> None:
    page = client.get("/book", params={"offer": found(priced, Party(1)).token(1)}).text
    for words in ("Why this price", "The weekday", "× 0.93", "$216.77", "Booking class K", "KHX14STN", "$348.51"):
        assert words in page

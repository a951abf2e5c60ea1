"""An offer is honoured as it was made, and nothing else passes for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from portal.flights.models import Flight
from portal.kit import clock, db, signing
from portal.kit.errors import NotFound
from portal.kit.settings import Settings
from portal.pricing.models import Tax
from portal.pricing.rules import Party
from portal.pricing.service import forget_books
from portal.search import service
from portal.search.errors import OfferExpired, OfferUnknown
from portal.search.forms import Criteria, SliceWish
from portal.search.rules import VERSION, Itinerary
from tests import world

PARTY = Party(2, 1, 1)


def found(settings: Settings, party: Party = PARTY, cabin: str = "economy") -> Itinerary:
    """The one itinerary of a world with one flight."""
    with db.reading() as session:
        criteria = Criteria((SliceWish("JFK", "LAX", world.soon()),), party, cabin)
        return service.search(session, criteria, settings=settings).slices[0].itineraries[0]


@pytest.fixture
def itinerary(settings: Settings) -> Itinerary:
    with db.writing() as session:
        world.flight(session)
    return found(settings)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_offer_says_what_the_search_said(settings: Settings, itinerary: Itinerary, number: int) -> None:
    offer, fare = service.read_offer(settings, itinerary.token(number)), itinerary.fares[number]
    assert (offer.brand, offer.booking_class, offer.currency) == (fare.brand, fare.booking_class, "USD")
    assert (offer.total_minor, offer.per_type) == (fare.quote.total_minor, fare.quote.per_type)
    assert offer.conditions == fare.conditions.wire()
    assert (offer.slice_origin, offer.slice_destination, offer.cabin) == ("JFK", "LAX", "economy")
    assert offer.flight_ids == (itinerary.segments[0].flight_id,)
    assert offer.party == PARTY
    assert offer.expires_at - offer.issued_at == timedelta(minutes=settings.offer_minutes)


def test_an_offer_keeps_its_price_when_the_rows_change(settings: Settings, itinerary: Itinerary) -> None:
    with db.writing() as session:
        session.execute(update(Flight).values(fare_minor=99_000))
        session.execute(update(Tax).where(Tax.key == "us-excise").values(amount=2_000))
    forget_books()
    offer = service.read_offer(settings, itinerary.token(1))
    assert offer.total_minor == itinerary.fares[1].quote.total_minor
    with db.reading() as session:
        fresh = service.reprice(session, offer, settings=settings)
    assert (fresh.brand, fresh.flight_ids, fresh.party) == (offer.brand, offer.flight_ids, offer.party)
    assert fresh.total_minor > 4 * offer.total_minor
    assert service.read_offer(settings, fresh.token) == fresh


def test_repricing_unchanged_rows_changes_nothing(settings: Settings, itinerary: Itinerary) -> None:
    offer = service.read_offer(settings, itinerary.token(2))
    with db.reading() as session:
        fresh = service.reprice(session, offer, settings=settings)
    assert (fresh.total_minor, fresh.per_type, fresh.conditions) == (
        offer.total_minor,
        offer.per_type,
        offer.conditions,
    )


def test_a_flight_that_is_gone_cannot_be_repriced(settings: Settings, itinerary: Itinerary) -> None:
    offer = replace(service.read_offer(settings, itinerary.token(0)), flight_ids=(999_999,))
    with db.reading() as session, pytest.raises(NotFound):
        service.reprice(session, offer, settings=settings)


def test_an_offer_lapses(settings: Settings, itinerary: Itinerary) -> None:
    minutes = timedelta(minutes=settings.offer_minutes)
    with clock.shifted(minutes - timedelta(seconds=20)):
        service.read_offer(settings, itinerary.token(0))
    with clock.shifted(minutes + timedelta(seconds=1)), pytest.raises(OfferExpired, match="30 minutes"):
        service.read_offer(settings, itinerary.token(0))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda _: "~",
        lambda _: "x" * 100_000,
        lambda token: token[:-2],
        lambda token: token[:-1] + "3",
        lambda token: token[:-1] + "-1",
        lambda token: token[:-1] + "٣",
        lambda token: token[:-1] + "9" * 5000,
        lambda token: token[1:],
        lambda token: token.replace(".", "", 1),
        lambda token: token[:20] + ("A" if token[20] != "A" else "B") + token[21:],
        lambda token: "\x00" + token,
    ],
)
def test_what_we_did_not_make_is_no_offer(
    settings: Settings, itinerary: Itinerary, spoil: Callable[[str], str]
) -> None:
    with pytest.raises(OfferUnknown):
        service.read_offer(settings, spoil(itinerary.token(0)))


def test_a_word_sealed_for_something_else_is_no_offer(settings: Settings, itinerary: Itinerary) -> None:
    payload = signing.unseal(settings, service.OFFER, itinerary.sealed)
    with pytest.raises(OfferUnknown):
        service.read_offer(settings, signing.seal(settings, "notices", payload) + "~0")
    with pytest.raises(OfferUnknown):
        service.read_offer(replace(settings, secret_key="another" * 8), itinerary.token(0))
    with pytest.raises(OfferUnknown):
        service.read_offer(settings, signing.seal(settings, service.OFFER, [VERSION + 1, *payload[1:]]) + "~0")


def test_an_itinerary_s_three_offers_fit_a_link(settings: Settings, itinerary: Itinerary) -> None:
    assert len(itinerary.token(0)) < 900

"""Seats that wait to be paid: kept when the money comes, free when it does not, money back when they are gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking import amending
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests.booking import makers
from tests.seats.test_api import Asker, no_fault, paid, seen

TWO = Party(adults=2)


@pytest.fixture
def asker(client: TestClient, settings: Settings) -> Asker:
    """A paid booking of two whose first traveller chose 20A, which waits to be paid."""
    asker = paid(client, settings, party=TWO)
    assert asker.put_seats((0, "20A")).json()["balance"]["amount"] == "12.00"
    return asker


def other(client: TestClient, settings: Settings, asker: Asker) -> Asker:
    return Asker(client, settings, makers.named(settings, makers.offer(settings, asker.flight)), asker.flight)


def let_lapse() -> int:
    with db.writing() as session:
        session.execute(text("update amendments set expires_at = now() - interval '1 second' where state = 'paying'"))
    with db.writing() as session:
        return amending.lapse_amendments(session)


def test_what_is_not_paid_in_time_is_free_again(client: TestClient, settings: Settings, asker: Asker) -> None:
    assert let_lapse() == 1
    assert other(client, settings, asker).put_seats((0, "20A")).status_code == 200
    assert seen(asker.booking).items == ()
    assert no_fault()


def test_money_that_comes_after_the_seat_has_gone_goes_back(
    client: TestClient, settings: Settings, asker: Asker
) -> None:
    payment = makers.begun(asker.booking)
    with db.writing() as session:
        session.execute(text("update named_seats set tentative_until = now() - interval '1 second'"))
    assert other(client, settings, asker).put_seats((0, "20A")).status_code == 200
    makers.settled(payment)
    assert seen(asker.booking).items == ()
    assert makers.one("select sum(amount_minor) from refunds where payment_id = :id", id=payment) == 1200
    assert no_fault()


def test_names_set_aside_too_long_ago_are_taken_back_where_they_are_free(asker: Asker) -> None:
    payment = makers.begun(asker.booking)
    with db.writing() as session:
        session.execute(text("delete from named_seats"))
    makers.settled(payment)
    assert [one.seat for one in seen(asker.booking).items] == ["20A"]
    assert no_fault()


def test_while_money_is_on_its_way_the_choice_stands(asker: Asker) -> None:
    makers.begun(asker.booking)
    answer = asker.put_seats((0, "21A"))
    assert answer.status_code == 409
    assert answer.json()["code"] in ("amendment_under_way", "payment_under_way")
    assert not asker.map()["20A"]["available"]


def test_a_party_swaps_paid_seats_among_itself_for_nothing(asker: Asker) -> None:
    asker.put_seats((1, "20C"))
    makers.settled(makers.begun(asker.booking))
    swapped = asker.put_seats((0, "20C"), (1, "20A")).json()
    assert swapped["balance"]["amount"] == "0.00"
    people = {one["passengerId"]: one["seat"] for one in swapped["seats"]}
    assert people == {str(asker.people[0]): "20C", str(asker.people[1]): "20A"}
    assert no_fault()


def test_a_seat_handed_on_for_a_dearer_one_changes_hands_when_it_is_paid(asker: Asker) -> None:
    makers.settled(makers.begun(asker.booking))
    waiting = asker.put_seats((0, "12A"), (1, "20A")).json()
    assert waiting["balance"]["amount"] == "45.00"
    assert [one["seat"] for one in waiting["seats"]] == ["20A"]
    makers.settled(makers.begun(asker.booking))
    held = {str(one.passenger_id): one.seat for one in seen(asker.booking).items}
    assert held == {str(asker.people[0]): "12A", str(asker.people[1]): "20A"}
    assert no_fault()


def test_two_agents_on_one_booking_leave_one_choice_and_no_seat_behind(
    client: TestClient, settings: Settings, asker: Asker
) -> None:
    start = Barrier(4)

    def agent(seat: str) -> Any:
        start.wait(10)
        return asker.put_seats((0, seat)).status_code

    with ThreadPoolExecutor(4) as crowd:
        answers = list(crowd.map(agent, ("21A", "22A", "23A", "24A")))
    assert set(answers) <= {200, 409, 503}
    assert 200 in answers
    assert makers.one("select count(*) from amendments where state = 'paying'") == 1
    assert makers.one("select count(*) from named_seats") == 1
    assert no_fault()

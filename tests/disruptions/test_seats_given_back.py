"""A seat that was paid for and is lost or worse on another aircraft: its price goes back, told in one mail."""

from __future__ import annotations

import email
import email.policy
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.disruptions import queries, rules, service
from portal.flights.models import AircraftCabin, AircraftType, Flight
from portal.flights.rules import Seat
from portal.kit import db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.seats.service import ensure_catalogue
from tasks.handlers_disruptions import HANDLERS
from tests import world
from tests.booking import makers
from tests.booking.test_items import SEATS, choose, seen, wish
from tests.disruptions.conftest import broken, carry_out, tell
from tests.disruptions.test_decisions import row_of
from tests.disruptions.test_swap import seated, small
from tests.trips.test_changes import mine

PAID = 2_500


def bought(settings: Settings, flight: Flight, seat: str) -> Booking:
    """Return a paid booking of one traveller who has chosen this seat and paid for it."""
    booking = makers.named(settings, makers.offer(settings, flight))
    choose(booking, wish(booking, "seat", PAID, label=f"Seat {seat}, {flight.number}", seat=seat), kinds=SEATS)
    seated(booking, flight, seat)
    makers.settled(makers.begun(booking))
    return booking


def exits_only() -> None:
    """An aircraft whose only row is by an exit, so that nobody is moved there."""
    with db.writing() as session:
        session.add(AircraftType(code="EXIT", name="Exit One"))
        session.flush()
        cabin = {"cabin": "economy", "first_row": 1, "last_row": 1, "layout": "AC DF", "capacity": 4}
        session.add(AircraftCabin(aircraft="EXIT", exit_rows=[1], **cabin))


def told(settings: Settings) -> None:
    """Hand every letter that tells of a change to its handler, twice, as may happen."""
    with db.reading() as session:
        letters = session.query(Letter).filter_by(kind="disruption.tell").all()
    for letter in (*letters, *letters):
        HANDLERS["disruption.tell"](settings, letter)


def mails(settings: Settings) -> list[email.message.EmailMessage]:
    paths = sorted(Path(settings.mail_dir).glob("*.eml"))
    return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]


FEATURES = st.sets(st.sampled_from(["window", "middle", "aisle", "exit", "legroom", "front"]))


@given(FEATURES, FEATURES, st.integers(0, 9_999), st.integers(0, 9_999))
def test_a_seat_is_worse_exactly_when_something_is_missing_or_it_is_sold_for_less(
    old: set[str], new: set[str], was: int, now: int
) -> None:
    before, after = Seat("9A", tuple(old), 9, 0), Seat("9B", tuple(new), 9, 1)  # type: ignore[arg-type]  # drawn words
    prices = {"9A": was, "9B": now}
    missing = old - new - {"middle"}
    assert rules.is_worse(before, after, price=lambda seat: prices[seat.name]) is (bool(missing) or now < was)
    assert rules.is_worse(before, None, price=lambda seat: prices[seat.name])
    assert not rules.is_worse(before, before, price=lambda seat: prices[seat.name])


def test_the_same_row_that_is_no_longer_in_front_gives_its_price_back_in_one_mail(
    settings: Settings, flight: Flight, client: TestClient
) -> None:
    small()
    booking = bought(settings, flight, "6A")
    whole = seen(booking).total_minor
    assert "front" in _seat(flight, "6A").features
    made = carry_out(flight, "swap", aircraft="TINY")
    assert tell(made) == 1
    told(settings)
    view = seen(booking)
    done = view.amendments[-1]
    assert (done.kind, done.refund_minor, view.total_minor) == ("carrier", PAID, whole - PAID)
    assert [(one.seat, one.amount_minor) for one in view.items] == [("6A", 0)]
    assert makers.one("select count(*) from letters where kind = 'booking.amended'") == 0
    (only,) = mails(settings)
    body = only.get_body(("plain",))
    assert body is not None
    assert "What you paid for your seat, $25.00, goes back" in body.get_content()
    names = [part.get_filename() or "" for part in only.iter_attachments()]
    assert len([one for one in names if one.endswith(".pdf")]) == 2
    assert any(one.endswith(".ics") for one in names)
    assert makers.one("select kind from sale_papers where amendment_id = :id", id=done.id) == "credit_note"
    page = client.get(f"{mine(client, settings, booking)}/changes-by-airline").text
    assert "$25.00" in page
    assert broken() == []


def _seat(flight: Flight, name: str) -> Seat:
    from portal.flights.seating import seat_plan

    with db.reading() as session:
        found = seat_plan(session, flight.id).seat(name)
    assert found is not None
    return found


def test_a_seat_as_good_as_before_gives_nothing_back(settings: Settings, flight: Flight) -> None:
    small()
    booking = bought(settings, flight, "20A")
    tell(carry_out(flight, "swap", aircraft="TINY"))
    told(settings)
    assert (seen(booking).amendments[-1].refund_minor, seen(booking).items[0].amount_minor) == (0, PAID)
    assert broken() == []


def test_a_seat_that_is_lost_gives_its_price_back_and_is_no_longer_an_extra(settings: Settings, flight: Flight) -> None:
    exits_only()
    booking = bought(settings, flight, "20A")
    tell(carry_out(flight, "swap", aircraft="EXIT"))
    told(settings)
    assert (seen(booking).amendments[-1].refund_minor, seen(booking).items) == (PAID, ())
    assert broken() == []


def better(booking: Booking, seat: str) -> None:
    """Choose another seat, dearer than the one that was paid for, and pay for it after all that follows."""
    assert choose(booking, wish(booking, "seat", 4_000, label=f"Seat {seat}", seat=seat), kinds=SEATS) is not None


def test_a_dearer_seat_that_is_not_on_the_other_aircraft_is_not_sold_and_its_money_goes_back(
    settings: Settings, flight: Flight
) -> None:
    small()
    booking = bought(settings, flight, "6A")
    better(booking, "28C")
    carry_out(flight, "swap", aircraft="TINY")
    assert makers.settled(makers.begun(booking)) == "succeeded"
    assert makers.one("select sum(amount_minor) from refunds") == 4_000 - PAID
    assert [one.seat for one in seen(booking).items] == ["6A"]
    assert broken() == []


def test_what_was_given_back_meanwhile_is_not_set_off_once_more(settings: Settings, flight: Flight) -> None:
    exits_only()
    booking = bought(settings, flight, "20A")
    fare = seen(booking).total_minor - PAID
    better(booking, "1A")
    tell(carry_out(flight, "swap", aircraft="EXIT"))
    told(settings)
    makers.settled(makers.begun(booking))
    assert (seen(booking).total_minor, seen(booking).paid_minor, seen(booking).items) == (fare, fare, ())
    assert broken() == []


def test_a_swap_that_was_not_told_yet_is_not_forgotten_by_the_next(settings: Settings, flight: Flight) -> None:
    small()
    booking = bought(settings, flight, "6A")
    carry_out(flight, "swap", aircraft="TINY")
    second = carry_out(flight, "swap", aircraft="A320")
    assert tell(second) == 1
    told(settings)
    assert sum(one.refund_minor for one in seen(booking).amendments) == PAID
    assert broken() == []


def test_a_hold_that_is_paid_after_the_swap_is_told_and_given_back_then(settings: Settings, flight: Flight) -> None:
    small()
    booking = makers.named(settings, makers.offer(settings, flight))
    choose(booking, wish(booking, "seat", PAID, label="Seat 6A", seat="6A"), kinds=SEATS)
    seated(booking, flight, "6A")
    made = carry_out(flight, "swap", aircraft="TINY", reopen=True)
    assert tell(made) == 0
    makers.settled(makers.begun(booking))
    assert tell(made) == 1
    told(settings)
    assert seen(booking).amendments[-1].refund_minor == PAID
    assert broken() == []


def test_who_must_fly_otherwise_gets_back_what_the_seat_cost(settings: Settings, flight: Flight) -> None:
    small(1)
    booking = bought(settings, flight, "20A")
    other = makers.flight(number=105, on=world.soon(31))
    tell(carry_out(flight, "swap", aircraft="TINY", leaving=frozenset({booking.id})))
    before = seen(booking).total_minor
    with db.writing() as session:
        service.rebook(session, row_of(booking), makers.offer(settings, other), actor_id=None)
    view = seen(booking)
    assert ([one.id for one in view.flights], view.total_minor) == ([other.id], before - PAID)
    assert makers.one("select sum(amount_minor) from refunds") == PAID
    assert broken() == []


def test_a_change_that_needs_no_answer_is_told_in_one_mail_with_the_papers(settings: Settings, flight: Flight) -> None:
    makers.confirmed(settings, makers.offer(settings, flight))
    later = timedelta(minutes=20)
    tell(
        carry_out(
            flight,
            "retime",
            departure_local=flight.departure_local + later,
            arrival_local=flight.arrival_local + later,
        )
    )
    told(settings)
    (only,) = mails(settings)
    assert len(list(only.iter_attachments())) == 2
    assert makers.one("select count(*) from letters where kind = 'booking.amended'") == 0
    assert makers.one("select count(*) from amendments where kind = 'carrier'") == 1
    assert broken() == []


def test_the_notice_names_the_flight_and_its_old_and_new_times(
    settings: Settings, flight: Flight, client: TestClient
) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    at = mine(client, settings, booking)
    assert "Look at the change" not in client.get(at).text
    tell(carry_out(flight, "delay", minutes=95))
    page = client.get(at).text
    assert "ME101" in page
    assert all(words in page for words in ("JFK 08:00 → 09:35", "LAX 11:15 → 12:50"))
    for form in ("cancel", "change"):
        assert "JFK 08:00 → 09:35" in client.get(f"{at}/{form}").text
    with db.reading() as session:
        assert len(queries.open_changes(session, booking.id)) == 1


@pytest.fixture(autouse=True)
def _prices(settings: Settings) -> None:
    with db.writing() as session:
        ensure_catalogue(session)

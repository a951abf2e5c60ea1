"""Seats by name, on the real tables: chosen, swapped, set aside, kept, given up, lapsed, seated anew."""

from __future__ import annotations

from threading import Event, Thread
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from portal.flights import seating, service
from portal.flights.errors import Busy, ClaimsLost, SeatTaken, SeatUnknown
from portal.flights.queries import broken_counters
from portal.flights.seating import SeatChoice
from portal.flights.service import SeatWish
from portal.kit import db
from portal.kit.settings import Settings
from tests import world

ANNA, BEN, CARL, DORA = uuid4(), uuid4(), uuid4(), uuid4()


@pytest.fixture
def flight(settings: Settings) -> int:
    """A flight of the small world."""
    with db.writing() as session:
        return world.flight(session).id


def holder_of(flight: int, seats: int = 2, *, sold: bool = False, cabin: str = "economy") -> UUID:
    """Return who holds that many seats."""
    holder = uuid4()
    with db.writing() as session:
        service.take_seats(session, holder=holder, wishes=[SeatWish(flight, cabin, seats)], minutes=15)
    if sold:
        with db.writing() as session:
            service.sell_claims(session, holder=holder, expected=1)
    return holder


def choose(flight: int, holder: UUID, *, minutes: int | None = None, **seats: str) -> None:
    """Choose in a transaction: anna="14A"."""
    who = {"anna": ANNA, "ben": BEN, "carl": CARL}
    choices = [SeatChoice(flight, seat, who[name]) for name, seat in seats.items()]
    with db.writing() as session:
        seating.choose(session, holder=holder, choices=choices, tentative_minutes=minutes)


def keep(holder: UUID, *occupants: UUID) -> dict[tuple[int, UUID], str]:
    with db.writing() as session:
        return seating.keep(session, holder=holder, occupants=occupants)


def seats(holder: UUID) -> dict[UUID, str]:
    with db.reading() as session:
        return {who: seat for (_flight, who), seat in seating.seats_of(session, holder).items()}


def taken(flight: int) -> list[str]:
    with db.reading() as session:
        return [s.name for cabin in seating.seat_plan(session, flight).cabins for s in cabin.seats if s.taken]


def lapse(what: str, holder: UUID) -> None:
    column = {"seat_claims": "expires_at", "named_seats": "tentative_until"}[what]
    with db.writing() as session:
        session.execute(
            text(
                f"update {what} set {column} = now() - interval '1 second' where holder = :h and {column} is not null"
            ),
            {"h": holder},
        )


def test_a_chosen_seat_shows_in_the_plan_and_replaces_the_one_before(flight: int) -> None:
    holder = holder_of(flight)
    choose(flight, holder, anna="14A", ben="14B")
    choose(flight, holder, anna="15C")
    assert seats(holder) == {ANNA: "15C", BEN: "14B"}
    assert taken(flight) == ["14B", "15C"]


def test_a_party_may_swap_and_choose_the_same_again(flight: int) -> None:
    holder = holder_of(flight)
    choose(flight, holder, anna="14A", ben="14B")
    choose(flight, holder, anna="14B", ben="14A")
    choose(flight, holder, anna="14B", ben="14A")
    assert seats(holder) == {ANNA: "14B", BEN: "14A"}


def test_nobody_sits_on_another_in_or_out_of_the_party(flight: int) -> None:
    one, other = holder_of(flight), holder_of(flight)
    choose(flight, one, anna="14A")
    with pytest.raises(SeatTaken) as no:
        choose(flight, other, ben="14A")
    assert (no.value.seat, no.value.status, no.value.code) == ("14A", 409, "seat_taken")
    for given in ({"anna": "15A", "ben": "15A"}, {"ben": "14A"}):
        with pytest.raises(SeatTaken):
            choose(flight, one, **given)
    assert taken(flight) == ["14A"]


def test_all_or_none(flight: int) -> None:
    one, other = holder_of(flight), holder_of(flight)
    choose(flight, one, anna="14A")
    choose(flight, other, ben="20C", carl="20D")
    with pytest.raises(SeatTaken):
        choose(flight, other, ben="13A", carl="14A")
    assert seats(other) == {BEN: "20C", CARL: "20D"}


@pytest.mark.parametrize("seat", ["2A", "99A", "14G", "14", ""])
def test_a_seat_must_be_in_the_cabin_that_was_bought(flight: int, seat: str) -> None:
    holder = holder_of(flight)
    with pytest.raises(SeatUnknown):
        choose(flight, holder, anna=seat)
    with pytest.raises(SeatUnknown):
        choose(flight, uuid4(), anna="14A")


def test_a_lapsed_holds_seat_is_free_and_its_late_payment_finds_the_claim_lost(flight: int) -> None:
    late, quick = holder_of(flight), holder_of(flight)
    choose(flight, late, anna="14A", ben="14B")
    lapse("seat_claims", late)
    assert taken(flight) == []
    choose(flight, quick, carl="14B")
    assert seats(late) == {}
    with pytest.raises(ClaimsLost), db.writing() as session:
        service.sell_claims(session, holder=late, expected=1)
    with db.reading() as session:
        assert broken_counters(session) == []


def test_names_go_with_their_claims(flight: int) -> None:
    holder = holder_of(flight, sold=True)
    choose(flight, holder, anna="14A")
    with db.writing() as session:
        service.release_claims(session, holder=holder)
    assert taken(flight) == []


def test_set_aside_seats_are_taken_for_others_and_become_firm_when_kept(flight: int) -> None:
    holder, other = holder_of(flight, sold=True), holder_of(flight)
    choose(flight, holder, anna="14A")
    choose(flight, holder, minutes=15, anna="12A", ben="12B")
    assert seats(holder) == {ANNA: "14A"}
    assert taken(flight) == ["12A", "12B", "14A"]
    with pytest.raises(SeatTaken):
        choose(flight, other, carl="12A")
    assert keep(holder, ANNA, BEN) == {(flight, ANNA): "12A", (flight, BEN): "12B"}
    assert keep(holder, ANNA, BEN) == {}
    assert seats(holder) == {ANNA: "12A", BEN: "12B"}
    assert taken(flight) == ["12A", "12B"]


def test_a_seat_handed_on_within_the_party_stays_its_owners_until_kept(flight: int) -> None:
    holder = holder_of(flight, sold=True)
    choose(flight, holder, anna="14A", ben="14B")
    choose(flight, holder, minutes=15, anna="12A", ben="14A")
    assert seats(holder) == {ANNA: "14A", BEN: "14B"}
    keep(holder, ANNA, BEN)
    assert seats(holder) == {ANNA: "12A", BEN: "14A"}
    assert taken(flight) == ["12A", "14A"]


def test_set_aside_seats_lapse_by_the_databases_clock(flight: int) -> None:
    holder, other = holder_of(flight, sold=True), holder_of(flight)
    choose(flight, holder, anna="14A")
    choose(flight, holder, minutes=15, anna="12A")
    lapse("named_seats", holder)
    assert taken(flight) == ["14A"]
    choose(flight, other, carl="12A")
    assert keep(holder, ANNA) == {}
    assert seats(holder) == {ANNA: "14A"}


def test_giving_up_takes_all_or_one_or_only_what_was_set_aside(flight: int) -> None:
    holder = holder_of(flight, sold=True)
    choose(flight, holder, anna="14A", ben="14B")
    choose(flight, holder, minutes=15, anna="15A", ben="14A")
    with db.writing() as session:
        seating.give_up(session, holder=holder, tentative_only=True)
    assert keep(holder, ANNA, BEN) == {}
    assert seats(holder) == {ANNA: "14A", BEN: "14B"}
    with db.writing() as session:
        seating.give_up(session, holder=holder, occupant=BEN)
    assert seats(holder) == {ANNA: "14A"}
    with db.writing() as session:
        seating.give_up(session, holder=holder, flight_id=flight)
    assert taken(flight) == []


def test_who_waits_three_seconds_for_a_seat_hears_busy(flight: int) -> None:
    slow, other = holder_of(flight), holder_of(flight)
    chosen, done = Event(), Event()

    def dawdle() -> None:
        with db.writing() as session:
            seating.choose(session, holder=slow, choices=[SeatChoice(flight, "14A", ANNA)])
            chosen.set()
            done.wait(20)

    thread = Thread(target=dawdle)
    thread.start()
    try:
        assert chosen.wait(10)
        choose(flight, other, ben="15A")
        with pytest.raises(Busy) as no:
            choose(flight, other, ben="14A")
    finally:
        done.set()
        thread.join()
    assert (no.value.status, no.value.retry_after) == (503, 1)


def test_a_swap_of_the_aircraft_seats_everybody_anew(flight: int) -> None:
    """The A320's rows 12 and 13 are at exits; the smaller one ends at row 20."""
    party, lone = holder_of(flight, seats=3, sold=True), holder_of(flight, sold=True)
    choose(flight, party, anna="27A", ben="27B", carl="14C")
    with db.writing() as session:
        seating.choose(session, holder=lone, choices=[SeatChoice(flight, "28F", DORA)])
        before = seating.seat_plan(session, flight)
        session.execute(text("update aircraft_cabins set last_row = 20, exit_rows = '{14}' where cabin = 'economy'"))
        moves = {one.old: one.new for one in seating.reassign(session, flight, before=before)}
    assert set(moves) == {"27A", "27B", "14C", "28F"}
    assert not {"14A", "14B", "14C"} & set(moves.values())
    after = seats(party)
    rows = {int(seat[:-1]) for seat in after.values()}
    assert (len(set(after.values())), max(rows) - min(rows) <= 1) == (3, True)
    assert seats(lone) == {DORA: "20F"}

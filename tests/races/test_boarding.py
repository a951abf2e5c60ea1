"""Thirty check in at once: no number twice. Two gates scan one pass at once: it boards once. Careless twins do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

from sqlalchemy import text

from portal.booking import amending
from portal.booking.models import Booking
from portal.checkin import gate
from portal.checkin.forms import ScanIn
from portal.kit import clock, db
from portal.kit.errors import PortalError
from portal.kit.settings import Settings
from tests.booking import makers as bookings
from tests.checkin import makers

CROWD, PASSES = 30, 12


def at_once(deeds: list[Callable[[], object]], *, together: int) -> list[object]:
    """Do everything, `together` of them at the same moment."""
    start = Barrier(together)

    def run(at: int) -> object:
        if at < together:
            start.wait(10)
        return deeds[at]()

    with ThreadPoolExecutor(together) as crowd:
        return list(crowd.map(run, range(len(deeds))))


def test_thirty_who_check_in_at_once_get_thirty_numbers_and_seats(settings: Settings) -> None:
    flight = makers.leaving()
    party = [makers.paid(settings, flight) for _ in range(CROWD)]
    at_once([lambda booking=booking: makers.check_in(booking) for booking in party], together=10)  # type: ignore[misc]  # one each
    with db.reading() as session:
        numbers = list(session.scalars(text("select sequence_number from check_ins order by 1")))
        seats = session.scalar(text("select count(distinct seat) from named_seats"))
    assert numbers == list(range(1, CROWD + 1))
    assert seats == CROWD
    assert makers.broken() == []


def test_one_booking_that_checks_in_twice_at_once_is_checked_in_once(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving())
    at_once([lambda: makers.check_in(booking)] * 6, together=6)
    assert bookings.one("select count(*) from check_ins") == 1
    assert bookings.one("select last_sequence from boardings") == 1


def test_who_checks_in_while_somebody_cancels_has_the_one_or_the_other(settings: Settings) -> None:
    flight = makers.leaving()
    ends = Counter(_check_in_or_cancel(makers.paid(settings, flight)) for _ in range(6))
    assert sum(ends.values()) == 6
    assert set(ends) <= {("confirmed", 1), ("cancelled", 0)}
    assert makers.broken() == []


def _check_in_or_cancel(booking: Booking) -> tuple[str, int]:
    with db.writing() as session:
        quote = amending.quote_cancellation(session, booking.reference, actor_id=None).id

    def cancel() -> None:
        with db.writing() as session:
            amending.confirm(session, quote, key=uuid4().hex)

    answers = at_once([lambda: _or_no(cancel), lambda: _or_no(lambda: makers.check_in(booking))], together=2)
    assert sorted(answers) == [200, 409]  # type: ignore[type-var]  # numbers
    values = {"id": booking.id}
    with db.reading() as session:
        status = session.scalar(text("select status from bookings where id = :id"), values)
        made = text(
            "select count(*) from check_ins i join passengers p on p.id = i.passenger_id where p.booking_id = :id"
        )
        return str(status), session.scalar(made, values) or 0


def _or_no(deed: Callable[[], object]) -> int:
    try:
        deed()
    except PortalError as no:
        return no.status
    return 200


def test_who_is_cancelled_by_the_carrier_is_no_longer_checked_in(settings: Settings) -> None:
    booking = makers.paid(settings, makers.leaving())
    makers.check_in(booking)
    with db.writing() as session:
        quote = amending.quote_cancellation(session, booking.reference, actor_id=None, waive=True)
        amending.confirm(session, quote.id, key=uuid4().hex)
    assert bookings.one("select count(*) from check_ins") == 0
    assert makers.broken() == []


def test_two_gates_that_scan_one_pass_at_once_board_it_once(settings: Settings) -> None:
    flight = makers.leaving()
    party = [makers.paid(settings, flight) for _ in range(PASSES)]
    for booking in party:
        makers.check_in(booking)
    codes = [makers.passes(booking)[0].barcode for booking in party]

    def scan(code: str) -> str:
        with db.writing() as session:
            wish = ScanIn(barcode=code, flight_id=flight.public_id)
            return gate.board(session, wish, staff_id=uuid4(), now=clock.now()).result

    for code in codes:
        answers = Counter(at_once([lambda code=code: scan(code)] * 4, together=4))  # type: ignore[misc]  # one each
        assert answers == {"boarded": 1, "already_boarded": 3}
    assert makers.broken() == []


def test_a_careless_gate_boards_twice_and_is_seen(settings: Settings) -> None:
    flight = makers.leaving()
    party = [makers.paid(settings, flight) for _ in range(PASSES)]
    for booking in party:
        makers.check_in(booking)
    with db.reading() as session:
        ids = list(session.scalars(text("select id from check_ins")))
    twice = [Counter(at_once([lambda one=one: _careless(one)] * 4, together=4))["boarded"] for one in ids]  # type: ignore[misc]  # one each
    assert max(twice) > 1


def _careless(check_in: UUID) -> str:
    """Look first, then write: between the two, the other gate looks as well."""
    with db.writing() as session:
        boarded = session.scalar(text("select boarded_at from check_ins where id = :id"), {"id": check_in})
        session.execute(text("update check_ins set boarded_at = now() where id = :id"), {"id": check_in})
        return "boarded" if boarded is None else "already_boarded"


def test_careless_numbers_are_given_twice_and_seen(settings: Settings) -> None:
    with db.writing() as session:
        session.execute(text("create table careless (number int)"))

    def number() -> int:
        with db.writing() as session:
            last = session.scalar(text("select coalesce(max(number), 0) from careless")) or 0
            session.execute(text("insert into careless values (:n)"), {"n": last + 1})
            return last + 1

    given = at_once([number] * CROWD, together=10)
    assert len(set(given)) < CROWD

"""`portal invariants` finds each thing that can be off, and is silent where all adds up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from portal import cli
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests.booking import makers

OFF = {
    "counters equal claims": "update flight_cabins set sold = sold - 1 where sold > 0",
    "a booking has exactly its seats": "update seat_claims set seats = seats + 1 where expires_at is null",
    "the lines of a price add up to its total": "update charges set amount_minor = amount_minor + 1 where position = 0",
    "what a booking has paid is what came in less what went back": """
        update bookings set paid_minor = paid_minor + 1, total_minor = total_minor + 1 where status = 'confirmed'""",
    "money that came in was put to use or sent back": "update payments set applied_at = null",
    "money for what is not confirmed goes back": """
        insert into payments (payable, amount_minor, currency, gateway, method, state, idempotency_key, applied_at)
        select id, 5, 'USD', 'sandbox', 'card', 'succeeded', 'x', now() from bookings where status = 'expired'""",
    "what was quoted is what was done": """
        insert into amendments (booking_id, number, kind, state, payload, lines, currency, expires_at, done_at)
        select id, 1, 'change', 'done', '{}', '[{"amount_minor": 5}]', 'USD', now(), now() from bookings
        where status = 'confirmed'""",
    "what came in for a change waits for it": """
        insert into amendments (booking_id, number, kind, state, payload, due_minor, paid_minor, lines, currency,
            expires_at)
        select id, 1, 'items', 'paying', '{}', 5, 5, '[{"amount_minor": 5}]', 'USD', now() from bookings
        where status = 'confirmed'""",
    "what is confirmed or cancelled is paid": """
        update bookings set status = 'cancelled', paid_minor = paid_minor - 1 where status = 'confirmed'""",
    "an extra is of somebody who flies, on a flight of the trip": """
        insert into booking_items (booking_id, passenger_id, kind, code, label, quantity, amount_minor)
        select booking_id, p.id, 'bag', 'BAG', 'A bag', 1, 0 from passengers p join bookings b on b.id = p.booking_id
        where b.status = 'confirmed' and p.position = 0;
        update passengers set cancelled_at = now() where position = 0""",
    "each payment is for a booking": """
        insert into payments (payable, amount_minor, currency, gateway, method, idempotency_key)
        values (gen_random_uuid(), 5, 'USD', 'sandbox', 'card', 'x')""",
    "one ticket for each passenger of a confirmed booking": """
        delete from tickets where number = (select min(number) from tickets)""",
    "one coupon for each flight of a ticket": """
        delete from coupons where ticket_number = (select min(number) from tickets)""",
    "every passenger of a confirmed booking has a name": """
        update passengers set ticket_name = null where position = 0""",
}


@pytest.fixture
def world(settings: Settings) -> Iterator[Settings]:
    """A paid return trip for a family, a running hold, a lapsed one, and a refunded payment."""
    flight = makers.flight(seats=6)
    makers.confirmed(settings, makers.offer(settings, flight, party=Party(2, 1, 1)))
    makers.held(settings, makers.offer(settings, flight))
    late = makers.named(settings, makers.offer(settings, flight, party=Party(2)))
    payment = makers.begun(late)
    makers.lapse(late)
    makers.held(settings, makers.offer(settings, flight, party=Party(2)))
    makers.settled(payment)
    return settings


def test_the_books_of_an_ordinary_day_balance(world: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert makers.broken() == []
    assert cli.invariants(world, None) == 0  # type: ignore[arg-type]  # the verb takes no words
    assert "The books balance" in capsys.readouterr().out


@pytest.mark.parametrize("rule", OFF)
def test_each_thing_that_is_off_is_found_and_named(
    world: Settings, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with db.writing() as session:
        session.execute(text(OFF[rule]))
    assert cli.invariants(world, None) == 1  # type: ignore[arg-type]  # the verb takes no words
    assert any(line.startswith(f"{rule}: ") for line in capsys.readouterr().out.splitlines())


def test_a_claim_of_nobody_and_a_ticket_of_a_hold_are_found(world: Settings) -> None:
    with db.writing() as session:
        session.execute(
            text(
                """insert into seat_claims (holder, flight_id, cabin, seats)
                select gen_random_uuid(), flight_id, cabin, 1 from flight_cabins where cabin = 'business'"""
            )
        )
        session.execute(text("update flight_cabins set sold = 1 where cabin = 'business'"))
        session.execute(
            text(
                """insert into tickets (number, passenger_id) select '9990000000001', p.id
                from passengers p join bookings b on b.id = p.booking_id where b.status = 'held' limit 1"""
            )
        )
    found = makers.broken()
    assert any("due nothing, has 1 sold" in line for line in found)
    assert any("of a booking never confirmed has ticket 9990000000001" in line for line in found)

"""What goes back, over several payments; and the ledger that proves every movement."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from portal.kit import db
from portal.kit.money import Money
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.payments import ledger, queries, service
from portal.payments.errors import NotEnough, NothingToRedo, UnknownPayment
from portal.payments.rules import Outcome, RefundOutcome
from tasks.handlers import HANDLERS
from tests.booking import makers
from tests.payments.paid import account, credit, left, off, paid, redeem, refund


def send(settings: Settings) -> None:
    """Do what the letters of refunds say."""
    with db.reading() as session:
        letters = list(session.scalars(select(Letter).where(Letter.kind == "payment.refund").order_by(Letter.id)))
    for letter in letters:
        HANDLERS[letter.kind](settings, letter)


def parts() -> list[tuple[UUID, int]]:
    with db.reading() as session:
        rows = session.execute(text("select payment_id, amount_minor from refunds order by created_at, amount_minor"))
        return [(row[0], row[1]) for row in rows]


def test_money_goes_back_newest_payment_first_and_never_more_than_it_has(settings: Settings) -> None:
    trip = uuid4()
    old, new = paid(trip, 1000), paid(trip, 300)
    refund(trip, 200, reason="first")
    refund(trip, 250, reason="second")
    assert parts() == [(new, 200), (new, 100), (old, 150)]
    with pytest.raises(NotEnough):
        refund(trip, 851)
    send(settings)
    refund(trip, 850, reason="third")
    send(settings)
    assert makers.one("select sum(amount_minor) from refunds where state = 'succeeded'") == 1300
    taken = "select sum(v::int) from sandbox_charges, jsonb_each_text(refunds) as r(k, v)"
    assert makers.one(taken) == 1300
    assert account("gateway:sandbox") == account("customers") == account("refunds_due") == 0
    assert off() == []


@given(
    payments=st.lists(st.integers(1, 9_999), min_size=1, max_size=5),
    wishes=st.lists(st.tuples(st.integers(1, 12_000), st.booleans()), max_size=6),
)
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_paid_and_sent_back_the_books_balance(
    settings: Settings, payments: list[int], wishes: list[tuple[int, bool]]
) -> None:
    trip, back = uuid4(), 0
    for amount in payments:
        paid(trip, amount)
    for number, (amount, as_credit) in enumerate(wishes):
        try:
            refund(trip, amount, reason=f"wish {number}", to="credit" if as_credit else "original")
        except NotEnough:
            assert amount > sum(payments) - back
        else:
            back += amount
    send(settings)
    mine = "select -sum(l.amount_minor) from ledger_lines l join ledger_entries e on e.id = l.entry_id where account = "
    assert makers.one(f"{mine} 'customers' and e.payable = :trip", trip=trip) == sum(payments) - back
    assert off() == []


def test_the_books_tell_money_that_comes_in_and_goes_back(settings: Settings) -> None:
    trip = uuid4()
    paid(trip, 1000)
    assert (account("gateway:sandbox"), account("customers")) == (1000, -1000)
    refund(trip, 400)
    assert (account("gateway:sandbox"), account("customers"), account("refunds_due")) == (1000, -600, -400)
    send(settings)
    assert (account("gateway:sandbox"), account("customers"), account("refunds_due")) == (600, -600, 0)
    with db.reading() as session:
        told = {(one.account, one.currency): one.minor for one in queries.balances(session)}
    assert told == {("gateway:sandbox", "USD"): 600, ("customers", "USD"): 600, ("refunds_due", "USD"): 0}


def test_hearing_it_twice_is_one_entry(settings: Settings) -> None:
    payment = paid(uuid4(), 1000)
    refund_id = refund(UUID(str(makers.one("select payable from payments"))), 1000)[0]
    for _ in range(2):
        with db.writing() as session:
            service.record(session, payment, Outcome("succeeded"))
            service.refunded(session, refund_id, RefundOutcome("succeeded", "re_1"))
    assert makers.one("select count(*) from ledger_entries") == 3
    assert makers.one("select count(*) from letters where kind = 'payment.refunded'") == 1
    assert off() == []


def refused(settings: Settings) -> tuple[UUID, UUID]:
    """Return a payable and its refund that the gateway refuses: it knows no such charge money enough."""
    trip = uuid4()
    paid(trip, 1000)
    with db.writing() as session:
        session.execute(text("update sandbox_charges set state = 'declined'"))
    refund_id = refund(trip, 700)[0]
    send(settings)
    return trip, refund_id


def test_a_refused_refund_stays_owed_and_visible_and_can_be_done_again(settings: Settings) -> None:
    _trip, refund_id = refused(settings)
    with db.reading() as session:
        seen = queries.open_refunds(session)
    assert [(one.id, one.state, one.tries) for one in seen] == [(refund_id, "failed", 1)]
    assert "cannot give back" in str(seen[0].problem)
    assert account("refunds_due") == -700
    assert off() == []
    with db.writing() as session:
        session.execute(text("update sandbox_charges set state = 'succeeded'"))
        service.redo_refund(session, refund_id, to="original", actor_id=None)
    send(settings)
    assert makers.one("select state from refunds") == "succeeded"
    keys = "select string_agg(k, ' ') from sandbox_charges, jsonb_object_keys(refunds) k"
    assert makers.one(keys) == f"{refund_id}:1"
    with pytest.raises(NothingToRedo), db.writing() as session:
        service.redo_refund(session, refund_id, to="original", actor_id=None)
    assert makers.one("select count(*) from audit_entries where action in ('refund.failed', 'refund.redone')") == 2
    assert off() == []


def test_a_refused_refund_can_become_a_credit(settings: Settings) -> None:
    _trip, refund_id = refused(settings)
    with db.writing() as session:
        service.redo_refund(session, refund_id, to="credit", actor_id=None, owner="anna@example.com")
    send(settings)
    with db.reading() as session:
        told = queries.refund(session, refund_id)
    assert told is not None
    assert (told.state, told.way, told.credit_minor) == ("succeeded", "credit", 700)
    assert left(str(told.credit_code)) == 700
    assert (account("gateway:sandbox"), account("credits"), account("refunds_due")) == (1000, -700, 0)
    assert off() == []


def test_a_silent_gateway_is_asked_again_and_nothing_is_said_to_have_failed(settings: Settings) -> None:
    trip = uuid4()
    paid(trip, 1000, gateway="stripe")
    refund(trip, 1000)
    keyless = replace(settings, stripe_secret_key="")
    with pytest.raises(Exception, match="again in"):
        send(keyless)
    assert makers.one("select state || ' ' || tries || ' ' || problem from refunds") == (
        "pending 1 No answer: there is no key for Stripe"
    )


def test_another_sum_is_nobodys_until_it_is_sent_back(settings: Settings) -> None:
    trip = uuid4()
    wish = {"currency": "USD", "method": "page", "key": "k", "gateway": "sandbox"}
    with db.writing() as session:
        made = service.begin(session, payable=trip, amount_minor=1000, **wish)
        service.record(session, made.id, Outcome("succeeded", "ch_1", taken=Money(999, "EUR")))
    assert (account("gateway:sandbox"), account("under_review"), account("customers")) == (999, -999, 0)
    for told in ("succeeded", "declined", "abandoned"):
        with db.writing() as session:
            assert service.record(session, made.id, Outcome(told)).state == "under_review"
    with pytest.raises(NotEnough):
        refund(trip, 1)
    assert off() == []
    with db.writing() as session:
        service.send_reviewed_back(session, made.id, actor_id=None)
    assert (account("under_review"), account("refunds_due")) == (0, -999)
    with db.reading() as session:
        order = service.refund_order(session, UUID(str(makers.one("select id from refunds"))))
    assert order is not None
    assert (order.amount_minor, order.currency, order.reference) == (999, "EUR", "ch_1")
    assert off() == []
    with pytest.raises(UnknownPayment), db.writing() as session:
        service.send_reviewed_back(session, paid(trip, 5), actor_id=None)


CROOKED = {
    "one side only": "insert into ledger_lines values ({0}, 0, 'customers', 5, 'USD')",
    "sides that differ": "insert into ledger_lines values ({0}, 0, 'a', 5, 'USD'), ({0}, 1, 'b', -4, 'USD')",
    "two currencies": "insert into ledger_lines values ({0}, 0, 'a', 5, 'USD'), ({0}, 1, 'b', -5, 'EUR')",
    "no side": "select 1",
}


@pytest.mark.parametrize("kind", CROOKED)
def test_an_entry_that_does_not_add_up_cannot_be_committed(settings: Settings, kind: str) -> None:
    with pytest.raises(DBAPIError, match="does not add up"), db.writing() as session:
        entry = session.scalar(text("insert into ledger_entries (key, kind) values ('x', 'x') returning id"))
        session.execute(text(CROOKED[kind].format(entry)))
    assert makers.one("select count(*) from ledger_entries") == 0


@pytest.mark.parametrize(
    "change",
    [
        "update ledger_lines set amount_minor = amount_minor + 1",
        "delete from ledger_lines",
        "delete from ledger_entries",
        "update ledger_entries set kind = 'other'",
        "truncate ledger_lines",
        "truncate ledger_entries cascade",
    ],
)
def test_what_is_written_stays(settings: Settings, change: str) -> None:
    paid(uuid4(), 1000)
    with pytest.raises(DBAPIError, match="only added to"), db.writing() as session:
        session.execute(text(change))


def test_a_line_put_to_an_old_entry_is_refused(settings: Settings) -> None:
    paid(uuid4(), 1000)
    late = "insert into ledger_lines select id, 2, 'customers', 5, 'USD' from ledger_entries"
    with pytest.raises(DBAPIError, match="does not add up"), db.writing() as session:
        session.execute(text(late))


OFF = {
    "the ledger knows what came in for each payable and what was ordered back": (
        "update payments set amount_minor = amount_minor + 1 where method = 'card'"
    ),
    "the ledger knows what each gateway holds": "update payments set gateway = 'another' where method = 'card'",
    "the ledger knows what is still to be sent back": "update refunds set amount_minor = amount_minor - 1",
    "the ledger knows what all credits are worth": "update credits set remaining_minor = remaining_minor - 1",
    "what is left of a credit is what its movements say": "update credit_moves set amount_minor = amount_minor + 1",
    "no payment gives back more than it took": "update refunds set amount_minor = amount_minor + 9999",
}


@pytest.mark.parametrize("rule", OFF)
def test_each_thing_that_is_off_is_found_and_named(settings: Settings, rule: str) -> None:
    trip = uuid4()
    paid(trip, 1000)
    redeem(credit(500).code, trip, 200)
    refund(trip, 300)
    assert off() == []
    with db.writing() as session:
        session.execute(text(OFF[rule]))
    assert any(one.startswith(f"{rule}: ") for one in off())


def test_rows_loaded_in_bulk_are_caught_up_with_once(settings: Settings) -> None:
    trip = uuid4()
    paid(trip, 1000)
    refund(trip, 300)
    loaded = """
        insert into payments (payable, amount_minor, currency, gateway, method, state, idempotency_key, applied_at)
        values (gen_random_uuid(), 77, 'EUR', 'sandbox', 'card', 'succeeded', 'bulk', now())"""
    with db.writing() as session:
        session.execute(text(loaded))
        session.execute(text("insert into refunds (payment_id, amount_minor, reason, state) select id, 7, 'x', "
                             "'succeeded' from payments where currency = 'EUR'"))  # fmt: skip
    assert off() != []
    for _ in range(2):
        with db.writing() as session:
            ledger.catch_up(session)
    assert off() == []
    assert makers.one("select count(*) from ledger_entries") == 5

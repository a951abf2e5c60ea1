"""Money at once: one credit spent by many, and a webhook that meets the payer's return. Careless twins must fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.payments import gateway, ledger, queries
from portal.payments.errors import CreditEmpty
from portal.payments.models import Credit, Payment
from tasks.handlers import HANDLERS
from tests.booking import makers
from tests.payments.conftest import stripe, with_stripe  # noqa: F401 – fixtures
from tests.payments.fake_stripe import FakeStripe
from tests.payments.paid import credit, left, off, redeem, refund
from tests.payments.test_stripe import at_stripe
from tests.races.test_same_booking import at_once

SPENDERS = 10


def test_ten_spend_a_credit_that_is_enough_for_three(settings: Settings) -> None:
    for _round in range(5):
        code = credit(1000).code
        told = at_once(*[lambda code=code: redeem(code, uuid4(), 300)] * SPENDERS)  # type: ignore[misc]  # binds the round's code
        assert sum(isinstance(one, Payment) for one in told) == 3
        assert sum(isinstance(one, CreditEmpty) for one in told) == SPENDERS - 3
        assert left(code) == 100
    assert off() == []


def careless(code: str, look: Barrier) -> bool:
    """Read what is left and write what is left then, as if nobody else could come between."""
    with db.writing() as session:
        one = session.scalars(select(Credit).where(Credit.code == code)).one()
        rest = one.remaining_minor - 300
        look.wait()
        if rest >= 0:
            session.execute(
                text("update credits set remaining_minor = :rest where code = :code"), {"rest": rest, "code": code}
            )
        return rest >= 0


def test_a_careless_spender_is_caught(settings: Settings) -> None:
    code, look = credit(1000).code, Barrier(SPENDERS)
    told = at_once(*[lambda: careless(code, look)] * SPENDERS)
    assert told == [True] * SPENDERS
    assert any("credits" in one or "credit " in one for one in off())


def test_spending_and_giving_back_at_once_lose_nothing(settings: Settings) -> None:
    one, trip = credit(10_000), uuid4()
    for _ in range(6):
        redeem(one.code, trip, 1000)
    spend: list[Callable[[], Any]] = [lambda: redeem(one.code, uuid4(), 1000)] * 4
    back: list[Callable[[], Any]] = [lambda n=n: refund(trip, 1000, reason=f"r{n}") for n in range(4)]  # type: ignore[misc]  # binds n
    at_once(*spend, *back)
    spent = int(str(makers.one("select -sum(amount_minor) from credit_moves where kind <> 'issued'")))
    assert left(one.code) == 10_000 - spent
    assert makers.one("select sum(amount_minor) from refunds") <= 6000  # type: ignore[operator]  # a number
    assert off() == []


@pytest.fixture
def shop(with_stripe: Settings) -> Iterator[TestClient]:  # noqa: F811 – the fixture above
    """A browser at a portal that takes money through Stripe."""
    with TestClient(create_app(with_stripe), follow_redirects=False, raise_server_exceptions=False) as running:
        yield running


def ready(shop: TestClient, settings: Settings, fake: FakeStripe) -> tuple[str, Letter]:
    """Pay on Stripe's page and have the webhook received; return the way back and the letter."""
    _reference, name, back = at_stripe(shop, settings)
    fake.pay(name)
    body, headers = fake.event(name)
    assert shop.post("/webhooks/stripe", content=body, headers=headers).status_code == 200
    with db.reading() as session:
        return back, session.scalars(select(Letter).where(Letter.kind == "payment.heard")).one()


def test_webhook_and_return_are_one_sale(
    shop: TestClient,
    with_stripe: Settings,  # noqa: F811 – the fixture above
    stripe: FakeStripe,  # noqa: F811 – the fixture above
) -> None:
    back, letter = ready(shop, with_stripe, stripe)

    def hear() -> None:
        HANDLERS[letter.kind](with_stripe, letter)

    def come_back() -> int:
        return shop.get(back).status_code

    told = at_once(hear, come_back, hear, come_back, hear)
    assert [one for one in told if isinstance(one, Exception)] == []
    assert makers.one("select status from bookings") == "confirmed"
    assert makers.one("select count(*) from tickets") == 1
    assert makers.one("select count(*) from letters where kind = 'booking.confirmed'") == 1
    assert makers.one("select count(*) from ledger_entries") == 1
    assert makers.broken() == []


def settle_carelessly(settings: Settings, payment_id: UUID, look: Barrier) -> None:
    """Look whether it is settled, ask the gateway, and write – without locking anything in between."""
    with db.reading() as session:
        attempt = queries.payment(session, payment_id)
    assert attempt is not None
    outcome = gateway.lookup(settings, attempt)
    look.wait()
    if attempt.state != "succeeded" and outcome.state == "succeeded":
        with db.writing() as session, suppress(LookupError):
            told = {"id": payment_id, "more": attempt.amount_minor}
            session.execute(text("update payments set state = 'succeeded', applied_at = now() where id = :id"), told)
            session.execute(text("update bookings set paid_minor = paid_minor + :more"), told)
            payment = session.get_one(Payment, payment_id)
            ledger.received(session, payment)


def test_careless_settling_counts_the_money_twice(
    shop: TestClient,
    with_stripe: Settings,  # noqa: F811 – the fixture above
    stripe: FakeStripe,  # noqa: F811 – the fixture above
) -> None:
    back, _letter = ready(shop, with_stripe, stripe)
    payment_id, look = UUID(back.rsplit("/", 1)[1]), Barrier(2)
    at_once(*[lambda: settle_carelessly(with_stripe, payment_id, look)] * 2)
    assert makers.one("select paid_minor = 2 * total_minor from bookings")
    assert makers.broken() != []

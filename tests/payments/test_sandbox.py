"""The sandbox bank keeps its promises, and keeps no card."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.kit import clock, db
from portal.kit.errors import ConfigurationError
from portal.kit.settings import Settings, read
from portal.payments import gateway, sandbox, service
from portal.payments.errors import ChargeOver, GatewayAway, KeyTaken, NoGateway, UnknownPayment
from portal.payments.rules import Order, Outcome


@dataclass(frozen=True)
class Asked:
    """A payment as far as a gateway has to know it."""

    id: UUID
    gateway: str = "sandbox"
    gateway_reference: str | None = None
    amount_minor: int = 1000
    currency: str = "USD"


def asked(one: Order) -> Asked:
    return Asked(UUID(one.key))


def order(amount: int = 1000, key: str = "") -> Order:
    return Order(key or str(uuid4()), amount, "USD", "ABCDEF · JFK–LAX", "/back")


def test_the_same_key_is_one_charge_and_its_first_answer(settings: Settings) -> None:
    one = order()
    first = sandbox.charge(one, "tok_declined")
    assert sandbox.charge(one, "tok_visa") == first
    with pytest.raises(ValueError, match="another order"):
        sandbox.charge(order(2000, one.key), "tok_visa")


def test_an_unknown_token_is_declined(settings: Settings) -> None:
    assert sandbox.charge(order(), "tok_made_up").decline_code == "card_declined"


def test_a_slow_bank_is_silent_and_then_has_taken_the_money(settings: Settings) -> None:
    one = order()
    with pytest.raises(GatewayAway):
        sandbox.charge(one, "tok_timeout")
    with pytest.raises(GatewayAway):
        sandbox.lookup(one.key)
    assert gateway.lookup(settings, asked(one)) == Outcome("pending")
    with clock.shifted(timedelta(seconds=9)):
        assert gateway.lookup(settings, asked(one)).state == "succeeded"


def test_what_never_came_is_unknown(settings: Settings) -> None:
    assert gateway.lookup(settings, Asked(uuid4())).state == "unknown"
    assert gateway.cancel(settings, Asked(uuid4())).state == "unknown"


def test_a_paid_charge_is_not_cancelled_and_a_cancelled_one_not_paid(settings: Settings) -> None:
    paid, left = order(), order()
    sandbox.charge(paid, "tok_visa")
    assert gateway.cancel(settings, asked(paid)).state == "succeeded"
    page = gateway.start(settings, left)
    assert gateway.cancel(settings, asked(left)).state == "abandoned"
    with pytest.raises(ChargeOver):
        sandbox.choose(str(page.reference), "tok_visa")


def test_production_has_no_sandbox_unless_it_is_opened_by_name() -> None:
    secrets = {f"PORTAL_{name}": "0123456789abcdef" * 3 for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    rest = {"PORTAL_DATABASE_URL": "x", "PORTAL_REDIS_URL": "x", "PORTAL_BASE_URL": "x", "PORTAL_ALLOWED_HOSTS": "x"}
    production = {"PORTAL_ENV": "production", **secrets, **rest}
    assert not read(production).sandbox_payments
    assert read({**production, "PORTAL_SANDBOX_PAYMENTS": "true"}).sandbox_payments
    with pytest.raises(ConfigurationError):
        read({**production, "PORTAL_SANDBOX_PAYMENTS": "perhaps"})


def test_production_takes_stripe_whole_or_not_at_all() -> None:
    secrets = {f"PORTAL_{name}": "0123456789abcdef" * 3 for name in ("SECRET_KEY", "JWT_SECRET_KEY")}
    rest = {"PORTAL_DATABASE_URL": "x", "PORTAL_REDIS_URL": "x", "PORTAL_BASE_URL": "x", "PORTAL_ALLOWED_HOSTS": "x"}
    half = {"PORTAL_ENV": "production", **secrets, **rest, "PORTAL_STRIPE_SECRET_KEY": "sk_live_x"}
    whole = {**half, "PORTAL_STRIPE_WEBHOOK_SECRET": "whsec_x"}
    assert gateway.name(read(whole)) == "stripe"
    with pytest.raises(ConfigurationError, match="STRIPE_WEBHOOK_SECRET"):
        read(half)
    with pytest.raises(ConfigurationError, match="STRIPE_API_BASE"):
        read({**whole, "PORTAL_STRIPE_API_BASE": "http://127.0.0.1:1"})


def test_without_a_gateway_nothing_is_asked(settings: Settings) -> None:
    with pytest.raises(NoGateway):
        gateway.charge(replace(settings, sandbox_payments=False), order(), "tok_visa")


def test_no_card_is_kept_or_logged(client: TestClient, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    page = gateway.start(settings, order())
    with caplog.at_level(logging.DEBUG):
        client.post(str(page.action_url), data={"token": "tok_visa", "number": "4242424242424242"})
        client.post(f"{page.action_url}", data={"number": "4242424242424242"})
    with db.reading() as session:
        kept = session.execute(text("select sandbox_charges::text from sandbox_charges")).scalar_one()
    assert "4242" not in kept
    assert "tok_" not in kept
    assert "424242" not in caplog.text


def test_a_payment_is_one_for_its_key_and_has_one_letter(settings: Settings) -> None:
    payable, given = uuid4(), {"currency": "USD", "method": "card", "key": "k", "gateway": "sandbox"}
    with db.writing() as session:
        first = service.begin(session, payable=payable, amount_minor=100, **given).id
    with db.writing() as session:
        assert service.begin(session, payable=payable, amount_minor=100, **given).id == first
        assert session.scalar(text("select count(*) from letters where kind = 'payment.check'")) == 1
    with pytest.raises(KeyTaken), db.writing() as session:
        service.begin(session, payable=payable, amount_minor=101, **given)
    with pytest.raises(UnknownPayment), db.writing() as session:
        service.record(session, uuid4(), Outcome("succeeded"))

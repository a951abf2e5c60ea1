"""Makers of payments, for tests of what becomes of their money."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from portal.kit import db
from portal.kit.money import Money
from portal.payments import sandbox, service
from portal.payments.models import Credit, Payment
from portal.payments.rules import Outcome
from tests.booking import makers


def paid(payable: UUID, amount: int, *, currency: str = "USD", gateway: str = "sandbox") -> UUID:
    """Take money for a payable, put to use; return the payment's id."""
    wish: dict[str, Any] = {"currency": currency, "method": "card", "key": uuid4().hex, "gateway": gateway}
    with db.writing() as session:
        made = service.begin(session, payable=payable, amount_minor=amount, **wish)
        order = service.order(made, description="words", return_path="/back")
    if gateway == "sandbox":
        outcome = sandbox.charge(order, "tok_visa")
    else:
        outcome = Outcome("succeeded", f"cs_{made.id.hex}", taken=Money(amount, currency))
    with db.writing() as session:
        service.apply(service.record(session, made.id, outcome))
    return made.id


def refund(payable: UUID, amount: int, *, reason: str = "because", to: str = "original") -> list[UUID]:
    """Send money back, and commit."""
    with db.writing() as session:
        return service.refund_payable(
            session, payable=payable, amount_minor=amount, reason=reason, to=to, owner="anna@example.com"
        )


def credit(amount: int, currency: str = "USD") -> Credit:
    """Give a credit away, and commit."""
    from portal.payments import credits

    with db.writing() as session:
        return credits.issue(session, amount_minor=amount, currency=currency, owner=None, source="goodwill")


def redeem(code: str, payable: UUID, amount: int, *, key: str = "", currency: str = "USD") -> Payment:
    """Pay by a credit, put to use, and commit."""
    with db.writing() as session:
        made = service.redeem(
            session, code=code, payable=payable, amount_minor=amount, currency=currency, key=key or uuid4().hex
        )
        service.apply(made)
        return made


def left(code: str) -> object:
    """Return what is left of a credit."""
    return makers.one("select remaining_minor from credits where code = :code", code=code)


def account(name: str) -> int:
    """Return an account's balance, debits positive."""
    found = makers.one("select coalesce(sum(amount_minor), 0) from ledger_lines where account = :name", name=name)
    return int(str(found))


def off() -> list[str]:
    """Return what does not add up in the ledger."""
    return [one for one in makers.broken() if not one.startswith("each payment is for a booking")]

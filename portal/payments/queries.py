"""Reads of money: attempts to pay, what goes back, what waits for staff, the ledger's balances and their proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, case, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from portal.payments.models import Credit, LedgerLine, Payment, Refund
from portal.payments.rules import UNDECIDED


@dataclass(frozen=True, slots=True)
class PaymentView:
    """One attempt to pay."""

    id: UUID
    payable: UUID
    amount_minor: int
    currency: str
    gateway: str
    gateway_reference: str | None
    method: str
    state: str
    decline_code: str | None
    action_url: str | None
    created_at: datetime
    settled_at: datetime | None
    purpose: UUID | None
    applied_at: datetime | None
    credit_id: UUID | None
    return_url: str | None


VIEW = select(*(getattr(Payment, name) for name in PaymentView.__dataclass_fields__))
BY_ID = VIEW.where(Payment.id == bindparam("id"))
OF_PAYABLE = VIEW.where(Payment.payable == bindparam("payable")).order_by(Payment.created_at, Payment.id)
# What staff have sent back after their look is decided, too.
SENT_BACK = (Payment.state == "under_review") & exists().where(Refund.payment_id == Payment.id)
NOT_DECIDED = Payment.state.in_(UNDECIDED) & ~SENT_BACK
OPEN_ONE = VIEW.where(Payment.payable == bindparam("payable"), NOT_DECIDED).order_by(Payment.created_at.desc()).limit(1)


def open_payment_id(payable: ColumnElement[UUID] | InstrumentedAttribute[UUID]) -> ScalarSelect[UUID]:
    """Return which payment `open_payment` finds, as part of a wider question."""
    found = select(Payment.id).where(Payment.payable == payable, NOT_DECIDED)
    return found.order_by(Payment.created_at.desc()).limit(1).scalar_subquery()


def payment(session: Session, payment_id: UUID) -> PaymentView | None:
    """Return the payment, or None."""
    row = session.execute(BY_ID, {"id": payment_id}).one_or_none()
    return PaymentView(*row) if row else None


def payments_of(session: Session, payable: UUID) -> list[PaymentView]:
    """Return every attempt to pay for `payable`, oldest first."""
    return [PaymentView(*row) for row in session.execute(OF_PAYABLE, {"payable": payable})]


def open_payment(session: Session, payable: UUID) -> PaymentView | None:
    """Return the attempt whose end is not known yet, the newest if several, or None."""
    row = session.execute(OPEN_ONE, {"payable": payable}).one_or_none()
    return PaymentView(*row) if row else None


# Each returns (thing, detail) for what is off: the ledger against the tables, and each entry by itself.
LEDGER_BOOKS: dict[str, str] = {
    "each ledger entry adds up to nothing": """
        select 'entry ' || e.id, e.key || ' ' || l.currency || ' ' || sum(l.amount_minor)
        from ledger_entries e join ledger_lines l on l.entry_id = e.id
        group by e.id, l.currency having sum(l.amount_minor) <> 0
        union all select 'entry ' || id, key || ' has no lines' from ledger_entries e
        where not exists (select from ledger_lines where entry_id = e.id)""",
    "the ledger knows what came in for each payable and what was ordered back": """
        with told as (
            select e.payable, l.currency, -sum(l.amount_minor) minor
            from ledger_lines l join ledger_entries e on e.id = l.entry_id where l.account = 'customers' group by 1, 2
        ), kept as (
            select payable, currency, sum(minor) minor from (
                select payable, currency, amount_minor minor from payments where state = 'succeeded'
                union all select p.payable, p.currency, -r.amount_minor
                from refunds r join payments p on p.id = r.payment_id where p.state = 'succeeded'
            ) moves group by 1, 2
        )
        select 'payable ' || payable, currency || ': ledger ' || coalesce(t.minor, 0) || ', payments ' ||
            coalesce(k.minor, 0)
        from told t full join kept k using (payable, currency) where coalesce(t.minor, 0) <> coalesce(k.minor, 0)""",
    "the ledger knows what each gateway holds": """
        with told as (
            select account, currency, sum(amount_minor) minor from ledger_lines where account like 'gateway:%'
            group by 1, 2
        ), kept as (
            select 'gateway:' || gateway account, currency, sum(minor) minor from (
                select gateway, coalesce(told_currency, currency) currency, coalesce(told_minor, amount_minor) minor
                from payments where state in ('succeeded', 'under_review') and method <> 'credit'
                union all select p.gateway, coalesce(p.told_currency, p.currency), -r.amount_minor
                from refunds r join payments p on p.id = r.payment_id
                where r.state = 'succeeded' and r.way = 'original' and p.method <> 'credit'
            ) moves group by 1, 2
        )
        select account, currency || ': ledger ' || coalesce(t.minor, 0) || ', payments ' || coalesce(k.minor, 0)
        from told t full join kept k using (account, currency) where coalesce(t.minor, 0) <> coalesce(k.minor, 0)""",
    "the ledger knows what is still to be sent back": """
        with told as (
            select currency, -sum(amount_minor) minor from ledger_lines where account = 'refunds_due' group by 1
        ), kept as (
            select coalesce(p.told_currency, p.currency) currency, sum(r.amount_minor) minor
            from refunds r join payments p on p.id = r.payment_id where r.state <> 'succeeded' group by 1
        )
        select 'refunds', currency || ': ledger ' || coalesce(t.minor, 0) || ', due ' || coalesce(k.minor, 0)
        from told t full join kept k using (currency) where coalesce(t.minor, 0) <> coalesce(k.minor, 0)""",
    "the ledger knows what all credits are worth": """
        with told as (select currency, -sum(amount_minor) minor from ledger_lines where account = 'credits' group by 1),
        kept as (select currency, sum(remaining_minor) minor from credits group by 1)
        select 'credits', currency || ': ledger ' || coalesce(t.minor, 0) || ', left ' || coalesce(k.minor, 0)
        from told t full join kept k using (currency) where coalesce(t.minor, 0) <> coalesce(k.minor, 0)""",
    "what is left of a credit is what its movements say": """
        select 'credit ' || c.id, 'left ' || c.remaining_minor || ', movements ' || coalesce(sum(m.amount_minor), 0)
        from credits c left join credit_moves m on m.credit_id = c.id
        group by c.id having c.remaining_minor <> coalesce(sum(m.amount_minor), 0)""",
    "no payment gives back more than it took": """
        select 'payment ' || p.id, 'took ' || coalesce(p.told_minor, p.amount_minor) || ', gives back ' ||
            sum(r.amount_minor)
        from payments p join refunds r on r.payment_id = p.id
        group by p.id having sum(r.amount_minor) > coalesce(p.told_minor, p.amount_minor)""",
}


@dataclass(frozen=True, slots=True)
class RefundView:
    """Money that goes back, as people are told of it. `credit_code` is set where it became a travel credit."""

    id: UUID
    payment_id: UUID
    payable: UUID
    amount_minor: int
    currency: str
    reason: str
    way: str
    state: str
    problem: str | None
    tries: int
    gateway: str
    method: str
    payment_state: str
    gateway_reference: str | None
    created_at: datetime
    settled_at: datetime | None
    credit_code: str | None
    credit_expires_at: datetime | None
    credit_minor: int | None


REFUND = (
    select(
        Refund.id,
        Refund.payment_id,
        Payment.payable,
        Refund.amount_minor,
        func.coalesce(Payment.told_currency, Payment.currency),
        Refund.reason,
        Refund.way,
        Refund.state,
        Refund.problem,
        Refund.tries,
        Payment.gateway,
        Payment.method,
        Payment.state,
        Refund.gateway_reference,
        Refund.created_at,
        Refund.settled_at,
        Credit.code,
        Credit.expires_at,
        Credit.amount_minor,
    )
    .join(Payment, Payment.id == Refund.payment_id)
    .outerjoin(Credit, Credit.id == Refund.credit_id)
)


def refund(session: Session, refund_id: UUID) -> RefundView | None:
    """Return the refund, or None."""
    row = session.execute(REFUND.where(Refund.id == refund_id)).one_or_none()
    return _refund(row) if row else None


def _refund(row: Any) -> RefundView:
    return RefundView(*row)


def refunds_of(session: Session, payable: UUID) -> list[RefundView]:
    """Return what went back, or is to go back, of what came in for `payable`; oldest first."""
    mine = REFUND.where(Payment.payable == payable).order_by(Refund.created_at, Refund.id)
    return [_refund(row) for row in session.execute(mine)]


def open_refunds(session: Session, *, limit: int = 200) -> list[RefundView]:
    """Return refunds that have not gone through: refused ones first, then those that wait longest."""
    waiting = REFUND.where(Refund.state != "succeeded").order_by(Refund.state, Refund.created_at)
    return [_refund(row) for row in session.execute(waiting.limit(limit))]


@dataclass(frozen=True, slots=True)
class ReviewView:
    """A payment whose gateway took another sum than it was asked for."""

    id: UUID
    payable: UUID
    amount_minor: int
    currency: str
    told_minor: int
    told_currency: str
    gateway: str
    gateway_reference: str | None
    created_at: datetime
    returned: bool


def under_review(session: Session) -> list[ReviewView]:
    """Return payments that wait for staff, and those that staff sent back; newest first, at most 200."""
    back = exists().where(Refund.payment_id == Payment.id)
    found = select(
        Payment.id,
        Payment.payable,
        Payment.amount_minor,
        Payment.currency,
        Payment.told_minor,
        Payment.told_currency,
        Payment.gateway,
        Payment.gateway_reference,
        Payment.created_at,
        back,
    ).where(Payment.state == "under_review")
    rows: Sequence[Any] = session.execute(found.order_by(Payment.created_at.desc()).limit(200)).all()
    return [ReviewView(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account of the ledger stands at, told as it is meant: above zero is normal."""

    account: str
    currency: str
    minor: int
    entries: int


def balances(session: Session) -> list[Balance]:
    """Return each account's balance in each currency: what is held as it is, what is owed with its sign turned."""
    asset = or_(LedgerLine.account.like("gateway:%"), LedgerLine.account == "goodwill")
    total = func.sum(case((asset, LedgerLine.amount_minor), else_=-LedgerLine.amount_minor))
    found = select(LedgerLine.account, LedgerLine.currency, total, func.count())
    rows = session.execute(found.group_by(LedgerLine.account, LedgerLine.currency).order_by(LedgerLine.account))
    return [Balance(account, currency, int(minor), count) for account, currency, minor, count in rows]

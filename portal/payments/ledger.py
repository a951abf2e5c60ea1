"""The ledger: every movement of money as a double entry, written in the transaction that moves it, and never changed.

Debits are positive, credits negative; each entry adds up to nothing in each currency (a trigger refuses others at
commit). Accounts: `gateway:NAME` is what a gateway took and has not sent back; `customers` what came in for payables
and was not ordered back; `refunds_due` what is ordered back and not yet sent; `credits` what travel credits are worth;
`under_review` money that fits no order; `goodwill` what was given away.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.payments.models import Credit, Payment, Refund

CUSTOMERS, REFUNDS_DUE, CREDITS = "customers", "refunds_due", "credits"
UNDER_REVIEW, GOODWILL = "under_review", "goodwill"

WRITE = text(
    """
    with entry as (
        insert into ledger_entries (key, kind, payable, payment_id, refund_id, credit_id)
        values (:key, :kind, cast(:payable as uuid), cast(:payment_id as uuid), cast(:refund_id as uuid),
            cast(:credit_id as uuid))
        on conflict (key) do nothing returning id
    )
    insert into ledger_lines (entry_id, position, account, amount_minor, currency)
    select id, position, account, amount_minor, currency
    from entry, jsonb_to_recordset(cast(:lines as jsonb))
        as line (position int, account text, amount_minor bigint, currency text)
    """
)
# What is in the tables and not yet in the ledger: rows that were there before it, and those loaded in bulk.
CATCH_UP = (
    """
    with fresh as (
        insert into ledger_entries (key, kind, payable, payment_id, happened_at)
        select 'payment ' || id, 'received', payable, id, coalesce(settled_at, created_at)
        from payments where state = 'succeeded' on conflict (key) do nothing returning id, payment_id
    )
    insert into ledger_lines (entry_id, position, account, amount_minor, currency)
    select fresh.id, side.position, side.account, side.sign * p.amount_minor, p.currency
    from fresh join payments p on p.id = fresh.payment_id cross join lateral (values
        (0, case p.method when 'credit' then 'credits' else 'gateway:' || p.gateway end, 1), (1, 'customers', -1)
    ) side (position, account, sign)
    """,
    """
    with fresh as (
        insert into ledger_entries (key, kind, payable, payment_id, refund_id, happened_at)
        select 'refund ' || r.id, 'refund ordered', p.payable, p.id, r.id, r.created_at
        from refunds r join payments p on p.id = r.payment_id on conflict (key) do nothing returning id, refund_id
    )
    insert into ledger_lines (entry_id, position, account, amount_minor, currency)
    select fresh.id, side.position, side.account, side.sign * r.amount_minor, coalesce(p.told_currency, p.currency)
    from fresh join refunds r on r.id = fresh.refund_id join payments p on p.id = r.payment_id
    cross join lateral (values
        (0, case p.state when 'under_review' then 'under_review' else 'customers' end, 1), (1, 'refunds_due', -1)
    ) side (position, account, sign)
    """,
    """
    with fresh as (
        insert into ledger_entries (key, kind, payable, payment_id, refund_id, happened_at)
        select 'refunded ' || r.id, 'refunded', p.payable, p.id, r.id, coalesce(r.settled_at, r.created_at)
        from refunds r join payments p on p.id = r.payment_id where r.state = 'succeeded'
            and not exists (select from ledger_entries e where e.refund_id = r.id and e.kind = 'refunded')
        on conflict (key) do nothing returning id, refund_id
    )
    insert into ledger_lines (entry_id, position, account, amount_minor, currency)
    select fresh.id, side.position, side.account, side.sign * r.amount_minor, coalesce(p.told_currency, p.currency)
    from fresh join refunds r on r.id = fresh.refund_id join payments p on p.id = r.payment_id
    cross join lateral (values
        (0, 'refunds_due', 1),
        (1, case when r.way = 'credit' or p.method = 'credit' then 'credits' else 'gateway:' || p.gateway end, -1)
    ) side (position, account, sign)
    """,
)


@dataclass(frozen=True, slots=True)
class About:
    """What an entry is about, so that a balance leads to its rows."""

    payable: UUID | None = None
    payment_id: UUID | None = None
    refund_id: UUID | None = None
    credit_id: UUID | None = None


def write(session: Session, key: str, kind: str, about: About, *, debit: str, credit: str, minor: int, of: str) -> None:
    """Write that `minor` of the currency `of` moved from the account `credit` to `debit`; the same key writes once."""
    sides = ((debit, minor), (credit, -minor))
    lines = [
        {"position": at, "account": account, "amount_minor": amount, "currency": of}
        for at, (account, amount) in enumerate(sides)
    ]
    told = {name: getattr(about, name) for name in ("payable", "payment_id", "refund_id", "credit_id")}
    with session.no_autoflush:  # What the entry tells of is there; how it stands now may be written with what follows.
        session.execute(WRITE, {"key": key, "kind": kind, "lines": json.dumps(lines), **told})


def received(session: Session, payment: Payment) -> None:
    """Write that a payment's money came in."""
    about = About(payment.payable, payment.id, credit_id=payment.credit_id)
    write(
        session,
        f"payment {payment.id}",
        "received",
        about,
        debit=source(payment),
        credit=CUSTOMERS,
        minor=payment.amount_minor,
        of=payment.currency,
    )


def unexplained(session: Session, payment: Payment, minor: int, currency: str) -> None:
    """Write that a gateway took another sum than it was asked for: it is nobody's until staff say whose."""
    about = About(payment.payable, payment.id)
    key, debit = f"review {payment.id}", source(payment)
    write(session, key, "under review", about, debit=debit, credit=UNDER_REVIEW, minor=minor, of=currency)


def ordered(session: Session, payment: Payment, refund: Refund) -> None:
    """Write that money is to go back."""
    debit = UNDER_REVIEW if payment.state == "under_review" else CUSTOMERS
    _back(session, f"refund {refund.id}", "refund ordered", payment, refund, debit=debit, credit=REFUNDS_DUE)


def returned(session: Session, payment: Payment, refund: Refund) -> None:
    """Write that money has gone back: by the gateway, or on to a credit."""
    credit = CREDITS if refund.way == "credit" else source(payment)
    _back(session, f"refunded {refund.key}", "refunded", payment, refund, debit=REFUNDS_DUE, credit=credit)


def came_back(session: Session, payment: Payment, refund: Refund) -> None:
    """Write that money which had gone back is at the gateway again, and is owed as before."""
    kind = "refund came back"
    _back(session, f"came back {refund.key}", kind, payment, refund, debit=source(payment), credit=REFUNDS_DUE)


def _back(session: Session, key: str, kind: str, payment: Payment, refund: Refund, *, debit: str, credit: str) -> None:
    about = About(payment.payable, payment.id, refund.id, refund.credit_id)
    of = payment.told_currency or payment.currency
    write(session, key, kind, about, debit=debit, credit=credit, minor=refund.amount_minor, of=of)


def given(session: Session, credit: Credit) -> None:
    """Write that a credit was given away, not in exchange for money that came in."""
    about, key = About(credit.payable, credit_id=credit.id), f"goodwill {credit.id}"
    minor, of = credit.amount_minor, credit.currency
    write(session, key, "given away", about, debit=GOODWILL, credit=CREDITS, minor=minor, of=of)


def source(payment: Payment) -> str:
    """Return the account that a payment's money comes from and goes back to."""
    return CREDITS if payment.method == "credit" else f"gateway:{payment.gateway}"


def catch_up(session: Session) -> None:
    """Write entries for payments and refunds that have none: those loaded in bulk. Entries that are there stay."""
    for statement in CATCH_UP:
        session.execute(text(statement))

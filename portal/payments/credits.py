"""Travel credits: issue, spend by code, give back. Each movement is a row, and stands in the ledger.

A code is 12 characters without 0 O 1 I, 60 random bits: who has it may spend it, so doors limit how often one guesses.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from portal.kit import ids
from portal.payments import ledger
from portal.payments.errors import CreditEmpty, CreditExpired, CreditUnknown, OtherCurrency
from portal.payments.models import Credit, CreditMove, Payment, Refund

CODE_LENGTH = 12
VALID = timedelta(days=365)
# What comes back to a credit that has run out, or soon will, can still be spent for a while.
LEAST_LEFT = timedelta(days=60)


def normal_code(typed: str) -> str:
    """Return what a person typed as a code in its one spelling: upper case, no blanks or dashes."""
    return ids.normal_reference(typed)[:64]


def known(session: Session, credit_id: UUID) -> Credit | None:
    """Return the credit that was made under this id, if it was; whoever would make it at the same time waits."""
    name = func.hashtextextended(f"credit {credit_id}", 0)
    session.execute(select(func.pg_advisory_xact_lock(name)))
    return session.get(Credit, credit_id)


def issue(
    session: Session,
    *,
    amount_minor: int,
    currency: str,
    owner: str | None,
    source: str,
    payable: UUID | None = None,
    credit_id: UUID | None = None,
) -> Credit:
    """Make a credit good for a year. Of `source` goodwill it is given away; refunds tell the ledger themselves."""
    made = Credit(
        id=credit_id or uuid4(),
        code=ids.readable(CODE_LENGTH),
        owner_email=owner,
        amount_minor=amount_minor,
        remaining_minor=amount_minor,
        currency=currency,
        source=source,
        payable=payable,
        expires_at=func.now() + VALID,
    )
    session.add(made)
    session.flush()
    _move(session, made.id, "issued", amount_minor)
    if source == "goodwill":
        ledger.given(session, made)
    return made


def look(session: Session, code: str) -> Credit:
    """Return a credit that can be spent now; raises CreditUnknown, CreditExpired or CreditEmpty."""
    found = session.execute(
        select(Credit, Credit.expires_at <= func.clock_timestamp()).where(Credit.code == normal_code(code))
    ).one_or_none()
    if found is None:
        raise CreditUnknown()
    credit, lapsed = found
    if lapsed:
        raise CreditExpired()
    if credit.remaining_minor == 0:
        raise CreditEmpty()
    return credit


def spend(session: Session, *, code: str, amount_minor: int, currency: str) -> UUID:
    """Take `amount_minor` off the credit, in one conditional update: it is never spent twice. Returns the credit's id.

    Raises OtherCurrency, CreditUnknown, CreditExpired, or CreditEmpty when less is left.
    """
    taken: UUID | None = session.scalar(
        update(Credit)
        .where(
            Credit.code == normal_code(code),
            Credit.currency == currency,
            Credit.remaining_minor >= amount_minor,
            Credit.expires_at > func.clock_timestamp(),
        )
        .values(remaining_minor=Credit.remaining_minor - amount_minor)
        .returning(Credit.id)
        .execution_options(synchronize_session=False)
    )
    if taken is None:
        raise _why_not(session, code, currency)
    return taken


def _why_not(session: Session, code: str, currency: str) -> Exception:
    if look(session, code).currency != currency:
        return OtherCurrency()
    return CreditEmpty()


def lock(session: Session, *, payable: UUID) -> None:
    """Lock the credits that paid for `payable`, in order: several may be given back to, by several, at once."""
    theirs = select(Payment.credit_id).where(Payment.payable == payable, Payment.method == "credit")
    rows = select(Credit.id).where(Credit.id.in_(theirs)).order_by(Credit.id)
    session.execute(rows.with_for_update(key_share=True))


def used(session: Session, payment: Payment) -> None:
    """Write down what a payment took off its credit."""
    _move(session, payment.credit_id, "used", -payment.amount_minor, payment_id=payment.id)


def give_back(session: Session, payment: Payment, refund: Refund) -> None:
    """Put a refund of what was paid by credit back on that credit, which stays good for at least some weeks more."""
    back = update(Credit).where(Credit.id == payment.credit_id)
    session.execute(
        back.values(
            remaining_minor=Credit.remaining_minor + refund.amount_minor,
            expires_at=func.greatest(Credit.expires_at, func.now() + LEAST_LEFT),
        ).execution_options(synchronize_session=False)
    )
    _move(session, payment.credit_id, "given_back", refund.amount_minor, refund_id=refund.id)


def _move(session: Session, credit_id: UUID | None, kind: str, amount_minor: int, **about: Any) -> None:
    session.add(CreditMove(credit_id=credit_id, kind=kind, amount_minor=amount_minor, **about))
    session.flush()

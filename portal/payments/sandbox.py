"""The sandbox gateway: plays another company, with a memory and a page of its own. No money moves.

The portal speaks to it only through `start`, `charge`, `lookup`, `cancel` and `refund`, as it would to a real one: over
a line that may fail (GatewayAway), with keys of its own choosing. Test cards say how a charge ends; there is no card
number to keep. Because it plays another company, it opens its own transactions – never inside one of ours.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.kit import clock, db, ids
from portal.kit.errors import NotFound
from portal.payments.errors import ChargeOver, GatewayAway
from portal.payments.models import SandboxCharge
from portal.payments.rules import Order, Outcome

SILENCE = timedelta(seconds=8)
TOKENS = ("tok_visa", "tok_declined", "tok_insufficient", "tok_3ds", "tok_timeout")
STATES = {
    "open": "action_required",
    "challenge": "action_required",
    "processing": "pending",
    "succeeded": "succeeded",
    "declined": "declined",
    "cancelled": "abandoned",
}
ENDS = {
    "tok_visa": ("succeeded", None),
    "tok_declined": ("declined", "card_declined"),
    "tok_insufficient": ("declined", "insufficient_funds"),
    "tok_3ds": ("challenge", None),
    "tok_timeout": ("processing", None),
}


def start(order: Order) -> Outcome:
    """Open a page on which a person pays `order`; the same order again is the same page."""
    with db.writing() as session:
        return _told(_remember(session, order, {"state": "open"}))


def charge(order: Order, token: str) -> Outcome:
    """Take `order` from the test card `token`; the same order again gives the first answer.

    Raises GatewayAway for tok_timeout, whose charge succeeds later all the same.
    """
    with db.writing() as session:
        row = _remember(session, order, _ending(token))
        if row.state == "open":
            _play(row, token)
    return _answer(row)


def lookup(key: str) -> Outcome | None:
    """Return how the charge with our `key` stands; None if it never arrived. Raises GatewayAway while it is silent."""
    with db.writing() as session:
        row = session.scalar(select(SandboxCharge).where(SandboxCharge.idempotency_key == key).with_for_update())
        if row is not None:
            _ripen(row, clock.now())
    return _answer(row) if row is not None else None


def cancel(key: str) -> Outcome | None:
    """Close a charge that nobody has paid yet; returns how it stands then, None if it never arrived."""
    unpaid = update(SandboxCharge).where(
        SandboxCharge.idempotency_key == key, SandboxCharge.state.in_(("open", "challenge"))
    )
    with db.writing() as session:
        session.execute(unpaid.values(state="cancelled"))
    return lookup(key)


def refund(reference: str, key: str, amount_minor: int) -> str:
    """Give `amount_minor` of a succeeded charge back and return the refund's name; the same key gives it back once.

    Raises ValueError for more than was taken.
    """
    with db.writing() as session:
        row = _row(session, reference)
        if key not in row.refunds:
            if row.state != "succeeded" or sum(row.refunds.values()) + amount_minor > row.amount_minor:
                raise ValueError(f"{reference} cannot give back {amount_minor}")
            row.refunds = {**row.refunds, key: amount_minor}
    return f"re_{key}"


def look(reference: str) -> SandboxCharge:
    """Return a charge for the sandbox's own page; raises NotFound."""
    with db.reading() as session:
        row = session.get(SandboxCharge, reference)
    if row is None:
        raise NotFound()
    return row


def choose(reference: str, token: str) -> SandboxCharge:
    """Play the test card that a person chose on the page; raises ChargeOver when the charge has ended."""
    with db.writing() as session:
        row = _row(session, reference)
        if row.state not in ("open", "challenge"):
            raise ChargeOver()
        _play(row, token)
    return row


def confirm(reference: str, *, yes: bool) -> SandboxCharge:
    """Answer the bank's question whether it is really you; raises ChargeOver when it is not asked (any more)."""
    with db.writing() as session:
        row = _row(session, reference)
        if row.state != "challenge":
            raise ChargeOver()
        row.state, row.decline_code = ("succeeded", None) if yes else ("declined", "not_authenticated")
    return row


def _remember(session: Session, order: Order, ending: dict[str, Any]) -> SandboxCharge:
    """Return the order's charge, locked: a new one with this ending, or the one that is there as it is."""
    values = {
        "id": f"ch_{ids.secret(18)}",
        "idempotency_key": order.key,
        "amount_minor": order.amount_minor,
        "currency": order.currency,
        "description": order.description,
        "return_path": order.return_path,
        **ending,
    }
    made: SandboxCharge | None = session.scalar(
        insert(SandboxCharge).values(values).on_conflict_do_nothing().returning(SandboxCharge)
    )
    if made is not None:
        return made
    known = select(SandboxCharge).where(SandboxCharge.idempotency_key == order.key).with_for_update()
    row = session.scalars(known).one()
    if (row.amount_minor, row.currency) != (order.amount_minor, order.currency):
        raise ValueError(f"{order.key} was another order")
    return row


def _ending(token: str) -> dict[str, Any]:
    state, decline_code = ENDS.get(token, ("declined", "card_declined"))
    answers_at = clock.now() + SILENCE if state == "processing" else None
    return {"state": state, "decline_code": decline_code, "answers_at": answers_at}


def _play(row: SandboxCharge, token: str) -> None:
    for field, value in _ending(token).items():
        setattr(row, field, value)


def _ripen(row: SandboxCharge, now: datetime) -> None:
    if row.state == "processing" and row.answers_at is not None and row.answers_at <= now:
        row.state = "succeeded"


def _answer(row: SandboxCharge) -> Outcome:
    if row.state == "processing":
        raise GatewayAway("the sandbox does not answer")
    return _told(row)


def _told(row: SandboxCharge) -> Outcome:
    tail = "/challenge" if row.state == "challenge" else ""
    action = f"/sandbox-pay/{row.id}{tail}" if STATES[row.state] == "action_required" else None
    return Outcome(STATES[row.state], row.id, row.decline_code, action)


def _row(session: Session, reference: str) -> SandboxCharge:
    row = session.get(SandboxCharge, reference, with_for_update=True)
    if row is None:
        raise NotFound()
    return row

"""Take money and give it back, in steps that may be repeated: begin → (gateway, outside) → record; refund → refunded.

It knows a payable only by its id. A payment row is written before the gateway hears of it, and a `payment.check`
letter with it, so that a process that dies in between leaves a trace that somebody follows. Each movement stands in
the ledger.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.kit import audit, clock, ids, outbox
from portal.kit.money import Money
from portal.payments import credits, ledger
from portal.payments.errors import KeyTaken, NotEnough, NothingToRedo, UnknownPayment
from portal.payments.models import Credit, GatewayEvent, Payment, Refund
from portal.payments.rules import FIRST_CHECK, Order, Outcome, RefundOrder, RefundOutcome, Word, next_state

NEVER_ARRIVED = timedelta(minutes=2)
# What its gateway gave back: a bank that cannot book it sends it back there, days later.
SENT = (Refund.state == "succeeded") & (Refund.way == "original") & Refund.gateway_reference.is_not(None)
BEGIN = select(Payment).from_statement(
    text(
        """
        insert into payments (payable, purpose, amount_minor, currency, gateway, method, idempotency_key, return_url)
        values (:payable, cast(:purpose as uuid), :amount_minor, :currency, :gateway, :method, :idempotency_key,
            :return_url)
        on conflict do nothing returning *
        """
    )
)


def begin(
    session: Session,
    *,
    payable: UUID,
    amount_minor: int,
    currency: str,
    method: str,
    key: str,
    gateway: str,
    purpose: UUID | None = None,
    return_url: str | None = None,
) -> Payment:
    """Write down that money is about to be asked for; the same payable and key give the same payment.

    `return_url` is where the payer goes after the gateway's page; the caller vouches for it.

    Raises KeyTaken when the key came with another amount. The gateway is asked only after this is committed.
    """
    values: dict[str, Any] = {
        "payable": payable,
        "amount_minor": amount_minor,
        "currency": currency,
        "method": method,
    }
    values |= {"idempotency_key": key, "gateway": gateway, "purpose": purpose, "return_url": return_url}
    made: Payment | None = session.scalar(BEGIN, values)
    if made is not None:
        due = clock.now() + FIRST_CHECK
        outbox.post(session, "payment.check", key=str(made.id), queue="money", not_before=due, paymentId=str(made.id))
        return made
    known: Payment = session.scalars(_of_key(payable, key).with_for_update()).one()
    if (known.amount_minor, known.currency, known.method) != (amount_minor, currency, method):
        raise KeyTaken()
    return known


def _of_key(payable: UUID, key: str) -> Any:
    return select(Payment).where(Payment.payable == payable, Payment.idempotency_key == key)


def redeem(
    session: Session,
    *,
    code: str,
    payable: UUID,
    amount_minor: int,
    currency: str,
    key: str,
    purpose: UUID | None = None,
) -> Payment:
    """Pay `amount_minor` by a travel credit, at once; the same payable and key take it off the credit once.

    The caller puts the money to use. Raises CreditUnknown, CreditExpired, OtherCurrency, CreditEmpty (less is left).
    """
    known: Payment | None = session.scalar(_of_key(payable, key))
    if known is not None:
        return known
    payment = Payment(
        payable=payable,
        purpose=purpose,
        amount_minor=amount_minor,
        currency=currency,
        gateway="credit",
        method="credit",
        state="succeeded",
        settled_at=clock.now(),
        idempotency_key=key,
        credit_id=credits.spend(session, code=code, amount_minor=amount_minor, currency=currency),
    )
    session.add(payment)
    session.flush()
    credits.used(session, payment)
    ledger.received(session, payment)
    return payment


def order(payment: Payment, *, description: str, return_path: str) -> Order:
    """Return what the gateway is to be asked for `payment`."""
    sum_of = payment.amount_minor, payment.currency
    return Order(str(payment.id), *sum_of, description, return_path, payment.gateway)


def record(session: Session, payment_id: UUID, outcome: Outcome) -> Payment:
    """Lock the payment, write down what the gateway said of it, and return it; raises UnknownPayment."""
    payment = session.get(Payment, payment_id, with_for_update=True, populate_existing=True)
    if payment is None:
        raise UnknownPayment()
    heard(session, payment, outcome)
    return payment


def heard(session: Session, payment: Payment, outcome: Outcome) -> None:
    """Write down what the gateway said of a payment that the caller has locked. Hearing it again changes nothing.

    A charge that the gateway never heard of is abandoned once it can no longer be on its way. Another sum than was
    asked for pays nothing: it is put under review, for staff.
    """
    before, payment.state = payment.state, next_state(payment.state, _told(payment, outcome))
    payment.gateway_reference = payment.gateway_reference or outcome.reference
    if payment.state != before or payment.state == "action_required":
        payment.decline_code, payment.action_url = outcome.decline_code, outcome.action_url
    if payment.state not in ("pending", "action_required") and payment.settled_at is None:
        payment.settled_at = clock.now()
    if payment.state != before:
        _came_in(session, payment, outcome)


def _told(payment: Payment, outcome: Outcome) -> str:
    if outcome.state == "succeeded":
        asked = Money(payment.amount_minor, payment.currency)
        return "succeeded" if outcome.taken in (None, asked) else "under_review"
    if outcome.state != "unknown":
        return outcome.state
    return "abandoned" if clock.now() - payment.created_at > NEVER_ARRIVED else "pending"


def _came_in(session: Session, payment: Payment, outcome: Outcome) -> None:
    if payment.state == "succeeded":
        ledger.received(session, payment)
    elif payment.state == "under_review" and outcome.taken is not None:
        payment.told_minor, payment.told_currency = outcome.taken.minor, outcome.taken.currency
        session.flush()
        ledger.unexplained(session, payment, outcome.taken.minor, outcome.taken.currency)
        audit.record(session, "payment.under_review", "payment", payment.id, after={"told": outcome.taken.wire()})


def apply(payment: Payment) -> None:
    """Say that the payment's money has been put to use."""
    payment.applied_at = clock.now()


def refund(session: Session, payment: Payment, *, reason: str, amount_minor: int | None = None) -> UUID:
    """Send a payment's money (all of it by default) on its way back; one refund for one payment and reason.

    What was paid by a credit is back on it at once.
    """
    return _refund(session, payment, reason, amount_minor or payment.told_minor or payment.amount_minor, None)


def _refund(session: Session, payment: Payment, reason: str, amount_minor: int, credit: Credit | None) -> UUID:
    values: dict[str, Any] = {"payment_id": payment.id, "reason": reason, "amount_minor": amount_minor}
    if credit is not None:
        values |= {"way": "credit", "credit_id": credit.id}
    made: Refund | None = session.scalar(insert(Refund).values(values).on_conflict_do_nothing().returning(Refund))
    if made is None:
        same = select(Refund.id).where(Refund.payment_id == payment.id, Refund.reason == reason)
        return session.scalars(same).one()
    ledger.ordered(session, payment, made)
    if credit is not None:
        _done(session, payment, made, None)
    elif payment.method == "credit":
        credits.give_back(session, payment, made)
        _done(session, payment, made, None)
    else:
        _send(session, made)
    return made.id


def _send(session: Session, refund: Refund) -> None:
    outbox.post(session, "payment.refund", key=refund.key, queue="money", refundId=str(refund.id))


def _done(session: Session, payment: Payment, refund: Refund, reference: str | None) -> None:
    refund.state, refund.problem, refund.settled_at = "succeeded", None, clock.now()
    refund.gateway_reference = reference or refund.gateway_reference
    session.flush()
    ledger.returned(session, payment, refund)
    # Parts that became one credit are told of in one mail.
    key = str(refund.credit_id or refund.key)
    outbox.post(session, "payment.refunded", key=key, queue="mail", refundId=str(refund.id))


def lock_credits(session: Session, *, payable: UUID) -> None:
    """Lock what a refund for `payable` may be put back on; who gives money back after locking seats calls it before."""
    credits.lock(session, payable=payable)


def refund_payable(
    session: Session, *, payable: UUID, amount_minor: int, reason: str, to: str = "original", owner: str | None = None
) -> list[UUID]:
    """Send `amount_minor` of what came in for `payable` back, newest payments first; returns the refunds' ids.

    `to` credit: all of it becomes one travel credit of `owner`, at once. Never more than a payment has left. Raises
    NotEnough when all of them together have less; the caller's transaction must be rolled back then.
    """
    parts = list(_parts(session, payable, amount_minor))
    if sum(part for _, part in parts) < amount_minor:
        raise NotEnough()
    credit = None
    if to == "credit" and parts:
        of = parts[0][0].currency
        credit = credits.issue(
            session, amount_minor=amount_minor, currency=of, owner=owner, source="refund", payable=payable
        )
    return [_refund(session, payment, reason, part, credit) for payment, part in parts]


def _parts(session: Session, payable: UUID, amount_minor: int) -> Any:
    for payment, kept in _refundable(session, payable):
        part = min(amount_minor, kept)
        if part > 0:
            amount_minor -= part
            yield payment, part


def _refundable(session: Session, payable: UUID) -> list[tuple[Payment, int]]:
    credits.lock(session, payable=payable)
    # Locked first and read then: who waited here for another refund has to see it.
    session.execute(select(Payment.id).where(Payment.payable == payable).order_by(Payment.id).with_for_update())
    back = select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(Refund.payment_id == Payment.id)
    mine = select(Payment, Payment.amount_minor - back.scalar_subquery()).where(
        Payment.payable == payable, Payment.state == "succeeded", Payment.applied_at.is_not(None)
    )
    return [(row[0], row[1]) for row in session.execute(mine.order_by(Payment.created_at.desc(), Payment.id))]


def refund_order(session: Session, refund_id: UUID, *, heard: bool = False) -> RefundOrder | None:
    """Return what the gateway is to be asked to give back; None when it is done, refused or unknown.

    `heard`: the gateway spoke of it by itself; then it is asked once more about what it has given back, too.
    """
    asked = (Refund.state == "pending") | SENT if heard else Refund.state == "pending"
    row = session.execute(
        select(Refund, Payment)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Refund.id == refund_id, asked, Payment.gateway_reference.is_not(None))
    ).one_or_none()
    if row is None:
        return None
    refund, payment = row
    earlier = select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(
        Refund.payment_id == payment.id,
        Refund.way == "original",
        func.row(Refund.created_at, Refund.id) < func.row(refund.created_at, refund.id),
    )
    return RefundOrder(
        refund.key,
        payment.gateway,
        str(payment.gateway_reference),
        refund.amount_minor,
        session.scalars(earlier).one(),
        payment.told_currency or payment.currency,
        refund.gateway_reference,
    )


def refunded(session: Session, refund_id: UUID, outcome: RefundOutcome, *, key: str | None = None) -> Refund:
    """Write down what the gateway said of a refund; a second time changes nothing. Returns it, locked.

    Refused money stays owed: the refund is failed, with the gateway's reason, until staff do it again. So is money that
    had gone back and came back. `key` is what the gateway was asked with: a word about an earlier round is passed over.
    """
    refund = session.get_one(Refund, refund_id, with_for_update=True, populate_existing=True)
    if key is not None and key != refund.key:
        return refund
    if refund.state == "succeeded":
        _came_back(session, refund, outcome)
    if refund.state != "pending":
        return refund
    refund.tries += 1
    refund.problem = outcome.problem
    refund.gateway_reference = outcome.reference or refund.gateway_reference
    if outcome.state == "succeeded":
        _done(session, session.get_one(Payment, refund.payment_id), refund, outcome.reference)
    elif outcome.state == "failed":
        refund.state = "failed"
        audit.record(session, "refund.failed", "refund", refund.id, after={"problem": outcome.problem})
    session.flush()
    return refund


def _came_back(session: Session, refund: Refund, outcome: RefundOutcome) -> None:
    # Only the gateway's word about this very refund: a question that it refuses to answer has no reference.
    if refund.way != "original" or outcome.state != "failed" or outcome.reference is None:
        return
    if outcome.reference != refund.gateway_reference:
        return
    ledger.came_back(session, session.get_one(Payment, refund.payment_id), refund)
    refund.state, refund.problem, refund.settled_at = "failed", outcome.problem, None
    told: dict[str, audit.Value] = {"state": "failed", "problem": outcome.problem}
    audit.record(session, "refund.failed", "refund", refund.id, before={"state": "succeeded"}, after=told)
    session.flush()


def redo_refund(session: Session, refund_id: UUID, *, to: str, actor_id: UUID | None, owner: str | None = None) -> None:
    """Try a refused refund again: through the gateway, or as a travel credit for `owner`. Raises NothingToRedo."""
    refund = session.get(Refund, refund_id, with_for_update=True, populate_existing=True)
    if refund is None or refund.state != "failed":
        raise NothingToRedo()
    payment = session.get_one(Payment, refund.payment_id)
    refund.round, refund.state, refund.gateway_reference = refund.round + 1, "pending", None
    session.flush()
    if to == "credit":
        _as_credit(session, payment, refund, owner)
    else:
        _send(session, refund)
    audit.record(session, "refund.redone", "refund", refund.id, actor_id=actor_id, after={"round": refund.round})


def _as_credit(session: Session, payment: Payment, refund: Refund, owner: str | None) -> None:
    of = payment.told_currency or payment.currency
    credit = credits.issue(
        session,
        amount_minor=refund.amount_minor,
        currency=of,
        owner=owner,
        source="refund",
        payable=payment.payable,
    )
    refund.way, refund.credit_id = "credit", credit.id
    _done(session, payment, refund, None)


def give_credit(session: Session, money: Money, *, owner: str, actor_id: UUID | None, key: str) -> Credit:
    """Give somebody a travel credit, as a gesture; the ledger tells it as given away.

    The same gift by the same hand under the same `key` is given once: again, it is the credit that was made.
    """
    own = UUID(hex=ids.fingerprint(f"{key} {actor_id} {owner} {money.minor} {money.currency}")[:32])
    there = credits.known(session, own)
    if there is not None:
        return there
    gift: dict[str, Any] = {"amount_minor": money.minor, "currency": money.currency, "owner": owner}
    made = credits.issue(session, **gift, source="goodwill", credit_id=own)
    told: dict[str, audit.Value] = {"owner": owner, "amount": money.wire(), "ending": made.code[-4:]}
    audit.record(session, "credit.given", "credit", made.id, actor_id=actor_id, after=told)
    return made


def send_reviewed_back(session: Session, payment_id: UUID, *, actor_id: UUID | None) -> UUID:
    """Send a sum under review back, whole, to whom the gateway took it from. Raises UnknownPayment."""
    payment = session.get(Payment, payment_id, with_for_update=True, populate_existing=True)
    if payment is None or payment.state != "under_review":
        raise UnknownPayment()
    audit.record(session, "payment.sent_back", "payment", payment.id, actor_id=actor_id)
    return refund(session, payment, reason="another_sum")


def hear(session: Session, word: Word, *, gateway: str) -> bool:
    """Keep a word of a gateway and have what it is about looked up soon; the same word again does nothing (False).

    What is about no payment or refund of ours is kept and left alone.
    """
    about = word.refund_id or word.payment_id
    values = {"id": word.event_id, "gateway": gateway, "kind": word.kind, "about": str(about) if about else None}
    fresh = insert(GatewayEvent).values(values).on_conflict_do_nothing().returning(GatewayEvent.id)
    if session.scalar(fresh) is None:
        return False
    if word.refund_id is not None:
        outbox.post(session, "refund.heard", key=word.event_id, queue="money", refundId=str(word.refund_id))
    elif word.payment_id is not None:
        outbox.post(session, "payment.heard", key=word.event_id, queue="money", paymentId=str(word.payment_id))
    return True

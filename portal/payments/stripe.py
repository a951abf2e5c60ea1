"""Stripe Checkout, through Stripe's own library: the payer pays on Stripe's page, and no card ever comes here.

Every call has a short time limit and is not repeated here: silence is GatewayAway, and whoever asked asks again later,
with the same idempotency key. A clear no is GatewayRefused. An answer that cannot be understood counts as silence.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

import stripe

from portal.kit.money import Money, digits
from portal.kit.settings import Settings
from portal.payments.errors import GatewayAway, GatewayRefused, WordNotTrusted
from portal.payments.rules import Attempt, Order, Outcome, RefundOrder, RefundOutcome, Word

T = TypeVar("T")
# Stripe's own view of currencies (docs.stripe.com/currencies), which is not ISO's: what is in neither has two decimals.
NO_DECIMALS = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
THREE_DECIMALS = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
# The clear no of a request that was understood: asking it again changes nothing.
REFUSALS = (stripe.InvalidRequestError, stripe.CardError)
REFUND_STATES = {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}
# What a payment that was given, and whose money then did not come, ends as.
NEVER_CAME = ("requires_payment_method", "canceled")
TOLERANCE_SECONDS = 300


def start(settings: Settings, order: Order) -> Outcome:
    """Open a Checkout page for `order`; the same order again is the same page. Raises GatewayRefused, GatewayAway."""
    back = f"{settings.base_url.rstrip('/')}{order.return_path}"
    amount = edge_amount(order.amount_minor, order.currency)
    product = {"name": order.description}
    price = {"currency": order.currency.lower(), "unit_amount": amount, "product_data": product}
    params: Any = {
        "mode": "payment",
        "payment_method_types": ["card"],  # Settled at once: seats are not kept for days until a debit comes, or not.
        "line_items": [{"quantity": 1, "price_data": price}],
        "client_reference_id": order.key,
        "payment_intent_data": {"metadata": {"payment_id": order.key}},
        "success_url": back,
        "cancel_url": back,
    }
    options: Any = {"idempotency_key": order.key}
    made = _ask(lambda: _client(settings).v1.checkout.sessions.create(params, options))
    if (_field(made, "amount_total"), _field(made, "currency")) != (amount, order.currency.lower()):
        raise GatewayRefused(f"the page {made.id} asks for another sum")
    return Outcome("action_required", _field(made, "id"), action_url=_field(made, "url"))


def lookup(settings: Settings, attempt: Attempt) -> Outcome | None:
    """Return how the attempt's page stands; None when its answer was lost: then nobody was ever sent there."""
    if attempt.gateway_reference is None:
        return None
    session = _session(settings, attempt.gateway_reference)
    if (_field(session, "status"), _field(session, "payment_status")) == ("complete", "unpaid"):
        return Outcome(_debit(settings, _field(session, "payment_intent")), session.id)
    return _told(session, attempt)


def cancel(settings: Settings, attempt: Attempt) -> Outcome | None:
    """Close a page that nobody has paid yet; returns how it stands then."""
    reference = attempt.gateway_reference
    if reference is not None:
        with suppress(GatewayRefused):  # It has ended already: the look-up says how.
            _ask(lambda: _client(settings).v1.checkout.sessions.expire(reference))
    return lookup(settings, attempt)


def refund(settings: Settings, order: RefundOrder) -> RefundOutcome:
    """Give money back, or say how a refund that is under way stands; the same key gives it back once."""
    if order.known_as is not None:
        known = order.known_as
        return _refund_told(_ask(lambda: _client(settings).v1.refunds.retrieve(known)))
    up_to, before = order.before_minor + order.amount_minor, order.before_minor
    amount = edge_amount(up_to, order.currency) - edge_amount(before, order.currency)
    if amount == 0:
        return RefundOutcome("succeeded")
    intent = _field(_session(settings, order.reference), "payment_intent")
    params: Any = {"payment_intent": intent, "amount": amount, "metadata": {"refund_id": order.key.split(":")[0]}}
    options: Any = {"idempotency_key": f"refund-{order.key}"}
    return _refund_told(_ask(lambda: _client(settings).v1.refunds.create(params, options)))


def edge_amount(minor: int, currency: str) -> int:
    """Return `minor` units as Stripe counts them; of three decimals it takes tens only, so those are rounded."""
    if currency in THREE_DECIMALS:
        return (minor + 5) // 10 * 10
    unit: int = 10 ** digits(currency)
    return (minor * _unit(currency) + unit // 2) // unit


def _unit(currency: str) -> int:
    return 1 if currency in NO_DECIMALS else 1000 if currency in THREE_DECIMALS else 100


def _from_edge(amount: int, currency: str) -> int:
    unit: int = 10 ** digits(currency)
    return amount * unit // _unit(currency)


def read_word(settings: Settings, body: bytes, signature: str | None) -> Word:
    """Return what a webhook says; raises WordNotTrusted for one that is not signed with our secret, or long ago.

    Only ids are taken from it: what they stand for is then asked of Stripe.
    """
    try:
        event = _client(settings).construct_event(
            body, signature, settings.stripe_webhook_secret, tolerance=TOLERANCE_SECONDS
        )
        thing = event.data.object.to_dict()
        name, kind = str(event.id), str(event.type)
    except (stripe.SignatureVerificationError, ValueError, TypeError, AttributeError, KeyError):
        raise WordNotTrusted() from None
    noted = thing.get("metadata") or {}
    payment = thing.get("client_reference_id") or noted.get("payment_id")
    return Word(name[:255], kind[:100], _uuid(payment), _uuid(noted.get("refund_id")))


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def _session(settings: Settings, reference: str) -> Any:
    return _ask(lambda: _client(settings).v1.checkout.sessions.retrieve(reference))


def _debit(settings: Settings, intent: str) -> str:
    """Return how a payment stands whose money comes later than its page was left: pending until it has, or has not."""
    status = _field(_ask(lambda: _client(settings).v1.payment_intents.retrieve(intent)), "status")
    return "declined" if status in NEVER_CAME else "pending"


def _told(session: Any, attempt: Attempt) -> Outcome:
    status, paid = _field(session, "status"), _field(session, "payment_status")
    if status == "complete" and paid == "paid":
        return Outcome("succeeded", session.id, taken=_taken(session, attempt))
    states = {"open": "action_required", "expired": "abandoned"}
    state = states.get(status, "pending")
    return Outcome(state, session.id, action_url=_field(session, "url") if state == "action_required" else None)


def _taken(session: Any, attempt: Attempt) -> Money:
    amount, currency = int(_field(session, "amount_total")), str(_field(session, "currency")).upper()
    if (amount, currency) == (edge_amount(attempt.amount_minor, attempt.currency), attempt.currency):
        return Money(attempt.amount_minor, attempt.currency)
    return Money(_from_edge(amount, currency), currency)


def _refund_told(made: Any) -> RefundOutcome:
    state = REFUND_STATES.get(_field(made, "status"), "pending")
    problem = f"Stripe says {made.status}: {getattr(made, 'failure_reason', None) or 'no reason given'}"
    return RefundOutcome(state, _field(made, "id"), problem if state == "failed" else None)


def _field(thing: Any, name: str) -> Any:
    try:
        return getattr(thing, name)
    except AttributeError:
        raise GatewayAway(f"Stripe's answer has no {name}") from None


def _ask(call: Callable[[], T]) -> T:
    try:
        return call()
    except stripe.IdempotencyError as clash:
        raise GatewayAway(clash.user_message or "the key is in use") from clash
    except REFUSALS as no:
        raise GatewayRefused(no.user_message or str(no)) from no
    except stripe.StripeError as silence:
        raise GatewayAway(f"{type(silence).__name__}: {silence.user_message or ''}") from silence


def _client(settings: Settings) -> stripe.StripeClient:
    if not settings.stripe_secret_key:
        raise GatewayAway("there is no key for Stripe")
    return _made(settings.stripe_secret_key, settings.stripe_api_base, settings.stripe_timeout_seconds)


@lru_cache(maxsize=4)
def _made(key: str, base: str, seconds: int) -> stripe.StripeClient:
    # The library waits 80 seconds by default, asks three times, and reports how long calls took: none of it is wanted.
    stripe.enable_telemetry = False
    http = stripe.RequestsClient(timeout=(min(3, seconds), seconds))
    addresses: Any = {"api": base} if base else {}
    return stripe.StripeClient(key, base_addresses=addresses, http_client=http, max_network_retries=0)

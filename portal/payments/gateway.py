"""The way to whoever takes the money. Called outside every transaction; what is not known comes back as pending.

A payment is asked for, looked up and given back at the gateway that its row names, whichever is configured now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from portal.kit.errors import NotFound
from portal.kit.settings import Settings
from portal.payments import sandbox, stripe
from portal.payments.errors import GatewayAway, GatewayRefused, NoGateway
from portal.payments.rules import Attempt, Order, Outcome, RefundOrder, RefundOutcome

log = logging.getLogger(__name__)


def name(settings: Settings) -> str:
    """Return the gateway that new payments go to: Stripe where it has a key, else the sandbox, where it is open.

    Raises NoGateway when there is none.
    """
    if settings.stripe_secret_key:
        return "stripe"
    if not settings.sandbox_payments:
        raise NoGateway("Paying is not possible right now. Your seats stay held until the time shown.")
    return "sandbox"


def takes_tokens(settings: Settings) -> bool:
    """True where programs may charge a card by a token; else they send the payer to the gateway's page."""
    return name(settings) == "sandbox"


def start(settings: Settings, order: Order) -> Outcome:
    """Open the page on which a person pays `order`; asking again gives the same page."""
    name(settings)
    if order.gateway == "sandbox":
        return _known_or_pending(lambda: sandbox.start(order))
    try:
        return _known_or_pending(lambda: stripe.start(settings, order))
    except GatewayRefused as no:
        log.error("the gateway opens no page: %s", no)
        return Outcome("declined", decline_code="gateway_refused")


def charge(settings: Settings, order: Order, token: str) -> Outcome:
    """Take `order` from the card behind `token` (sandbox only); asking again charges nothing more."""
    name(settings)
    return _known_or_pending(lambda: sandbox.charge(order, token))


def lookup(settings: Settings, attempt: Attempt) -> Outcome:
    """Return how the attempt's charge stands: pending while the gateway is silent, unknown when it never came."""
    if attempt.gateway == "sandbox":
        return _known_or_pending(lambda: sandbox.lookup(str(attempt.id)))
    return _asked(lambda: stripe.lookup(settings, attempt))


def cancel(settings: Settings, attempt: Attempt) -> Outcome:
    """Close a charge that nobody has paid yet, and return how it stands then."""
    if attempt.gateway == "sandbox":
        return _known_or_pending(lambda: sandbox.cancel(str(attempt.id)))
    return _asked(lambda: stripe.cancel(settings, attempt))


def refund(settings: Settings, order: RefundOrder) -> RefundOutcome:
    """Give money back and say how that stands; asking again with the same key gives nothing more back.

    A gateway that says no is told as failed, with its reason; one that is silent as pending.
    """
    try:
        if order.gateway == "stripe":
            return stripe.refund(settings, order)
        return RefundOutcome("succeeded", sandbox.refund(order.reference, order.key, order.amount_minor))
    except GatewayAway as silence:
        log.warning("the gateway does not answer: %s", silence)
        return RefundOutcome("pending", problem=f"No answer: {silence}"[:500])
    except (GatewayRefused, NotFound, ValueError) as no:
        return RefundOutcome("failed", problem=str(no)[:500])


def _asked(ask: Callable[[], Outcome | None]) -> Outcome:
    """A question that is refused decides nothing: what became of the money is then still not known."""
    try:
        return _known_or_pending(ask)
    except GatewayRefused as no:
        log.error("the gateway does not say: %s", no)
        return Outcome("pending")


def _known_or_pending(ask: Callable[[], Outcome | None]) -> Outcome:
    try:
        return ask() or Outcome("unknown")
    except GatewayAway as silence:
        log.warning("the gateway does not answer: %s", silence)
        return Outcome("pending")

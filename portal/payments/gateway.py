"""The way to whoever takes the money. Called outside every transaction; what is not known comes back as pending."""

from __future__ import annotations

import logging
from collections.abc import Callable

from portal.kit.settings import Settings
from portal.payments import sandbox
from portal.payments.errors import GatewayAway, NoGateway
from portal.payments.rules import Order, Outcome

log = logging.getLogger(__name__)


def name(settings: Settings) -> str:
    """Return the name of the configured gateway; raises NoGateway when there is none."""
    if not settings.sandbox_payments:
        raise NoGateway("Paying is not possible right now. Your seats stay held until the time shown.")
    return "sandbox"


def start(settings: Settings, order: Order) -> Outcome:
    """Open the page on which a person pays `order`; asking again gives the same page."""
    name(settings)
    return _known_or_pending(lambda: sandbox.start(order))


def charge(settings: Settings, order: Order, token: str) -> Outcome:
    """Take `order` from the card behind `token`; asking again charges nothing more."""
    name(settings)
    return _known_or_pending(lambda: sandbox.charge(order, token))


def lookup(settings: Settings, key: str) -> Outcome:
    """Return how the charge with our `key` stands: pending while the gateway is silent, unknown when it never came."""
    name(settings)
    return _known_or_pending(lambda: sandbox.lookup(key))


def cancel(settings: Settings, key: str) -> Outcome:
    """Close a charge that nobody has paid yet, and return how it stands then."""
    name(settings)
    return _known_or_pending(lambda: sandbox.cancel(key))


def refund(settings: Settings, reference: str, key: str, amount_minor: int) -> str:
    """Give money back and return the gateway's name for it; asking again with `key` gives nothing more back."""
    name(settings)
    return sandbox.refund(reference, key, amount_minor)


def _known_or_pending(ask: Callable[[], Outcome | None]) -> Outcome:
    try:
        return ask() or Outcome("unknown")
    except GatewayAway as silence:
        log.warning("the gateway does not answer: %s", silence)
        return Outcome("pending")

"""Every way that paying can say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, Invalid, NotFound, PortalError, Unavailable


class GatewayAway(Exception):
    """The gateway did not answer in time: what became of the charge is not known."""


class NoGateway(Unavailable):
    """No gateway is configured; the sandbox is closed in production unless it is opened on purpose."""

    code, title = "payments_unavailable", "Payments are not configured here"


class UnknownPayment(NotFound):
    """No payment has this id, or it is not for this booking."""

    title = "There is no such payment"


class KeyTaken(Invalid):
    """The key came before, with another amount."""

    code, title = "idempotency_key_reused", "This key was used for another payment"


class PaymentRefused(PortalError):
    """The bank said no. Nothing was charged."""

    status, code, title = 402, "card_declined", "The card was declined"


class ChargeOver(Conflict):
    """The sandbox page of a charge that has ended already."""

    code, title = "charge_over", "This payment has already ended"


class NotEnough(Conflict):
    """More is to go back than came in and is left."""

    code, title = "nothing_left_to_refund", "There is not so much left to give back"

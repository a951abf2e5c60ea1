"""Every way that paying can say no."""

from __future__ import annotations

from typing import Any

from portal.kit.errors import BadRequest, Conflict, Invalid, NotFound, PortalError, Unavailable


class GatewayAway(Exception):
    """The gateway did not answer in time: what became of the charge is not known."""


class GatewayRefused(Exception):
    """The gateway understood and said no; the text is its reason, for staff. Asking the same again helps nothing."""


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
    """The bank said no. Nothing was charged. `stands`: what is still to be paid, and until when."""

    status, code, title = 402, "card_declined", "The card was declined"

    def __init__(self, detail: str = "", stands: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.extra = stands or {}


class ChargeOver(Conflict):
    """The sandbox page of a charge that has ended already."""

    code, title = "charge_over", "This payment has already ended"


class NotEnough(Conflict):
    """More is to go back than came in and is left."""

    code, title = "nothing_left_to_refund", "There is not so much left to give back"


class CreditUnknown(Invalid):
    """No credit has this code."""

    code, title = "credit_unknown", "We do not know this credit code"


class CreditExpired(Invalid):
    """The credit's time is over."""

    code, title = "credit_expired", "This credit has run out"


class CreditEmpty(Invalid):
    """Less is left on the credit than was asked for."""

    code, title = "credit_used_up", "There is not so much left on this credit"


class OtherCurrency(Invalid):
    """The credit is of another currency than what is to be paid."""

    code, title = "credit_other_currency", "This credit is in another currency"


class PayOnPage(Invalid):
    """The gateway takes cards on its own page only."""

    code, title = "use_payment_page", "Cards are taken on the payment page only"


class WordNotTrusted(BadRequest):
    """A webhook whose signature is missing, wrong or too old."""

    code, title = "bad_signature", "This was not signed by the gateway"


class NothingToRedo(Conflict):
    """The refund is not one that failed."""

    code, title = "nothing_to_redo", "This refund has not failed"

"""Every way that booking can say no."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from portal.kit.errors import Conflict, Invalid, NotFound
from portal.kit.money import Money


class UnknownBooking(NotFound):
    """No such booking, or none that you may know of: both sound the same."""

    title = "We find no booking with these details"


class OffersDoNotFit(Invalid):
    """The chosen offers cannot be one trip."""

    code, title = "offers_do_not_fit", "These flights cannot be booked together"


class PriceChanged(Conflict):
    """The price is not the one that the caller saw; `total` is what it is now."""

    code, title = "price_changed", "The price has changed"

    def __init__(self, detail: str, *, total: Money) -> None:
        super().__init__(detail)
        self.extra: dict[str, Any] = {"total": total.wire()}


class PriceMismatch(Invalid):
    """The amount is neither what is due nor, where a part was asked for, one that may be paid by itself."""

    code, title = "price_mismatch", "The amount is not what is due"

    def __init__(self, *, balance: Money, least: Money | None = None) -> None:
        part = f"A part is at least {_told(least)}, and leaves as much to pay." if least else ""
        super().__init__(part or "The amount must equal the balance; a part of it has to be asked for as one.")
        self.extra: dict[str, Any] = {"balance": balance.wire()}


def _told(money: Money) -> str:
    return " ".join(money.wire().values())


class PartPaid(Conflict):
    """A part of the price is paid already, and what is asked for would leave nothing to pay, or less."""

    code, title = "part_paid", "A part of this is paid already"


class HoldExpired(Conflict):
    """The time to pay is over; nothing was charged."""

    code, title = "hold_expired", "The hold on these seats has run out"


class NotHeld(Conflict):
    """The booking is past the step that was asked for."""

    code, title = "not_held", "This booking can no longer be changed this way"


class AlreadyPaid(NotHeld):
    """There is nothing left to pay."""

    code, title = "already_paid", "This booking is already paid"


class NamesMissing(Conflict):
    """Travellers are named before anything is paid."""

    code, title = "passengers_missing", "Tell us first who is flying"


class NoMoreTime(Conflict):
    """The hold was extended as often as it may be."""

    code, title = "extensions_used_up", "This hold cannot be extended again"


class PaymentUnderWay(Conflict):
    """Another attempt to pay has not ended; paying twice is what this prevents."""

    code, title = "payment_under_way", "A payment for this booking is under way"

    def __init__(self, payment_id: UUID) -> None:
        super().__init__("We are finding out how it ended. Nothing is charged twice.", retry_after=5)
        self.payment_id = payment_id
        self.extra: dict[str, Any] = {"paymentId": str(payment_id)}


class TooManyPayments(Conflict):
    """So many cards were refused that the booking takes no more."""

    code, title = "too_many_payments", "Too many payments were refused for this booking"


class UnknownAmendment(NotFound):
    """No such change was quoted for this booking."""

    title = "There is no such change"


class QuoteExpired(Conflict):
    """The quote, or the time to pay for what was confirmed, is over; nothing was done."""

    code, title = "quote_expired", "This offer to change the booking has run out"


class QuoteOutdated(Conflict):
    """The booking was changed after the quote was made."""

    code, title = "quote_outdated", "The booking was changed in the meantime"


class AmendmentUnderWay(Conflict):
    """Another change of the booking waits to be paid."""

    code, title = "amendment_under_way", "Another change of this booking waits to be paid"

    def __init__(self, amendment_id: UUID) -> None:
        super().__init__("Pay for it, or drop it, and then go on.")
        self.amendment_id = amendment_id
        self.extra: dict[str, Any] = {"amendmentId": str(amendment_id)}


class ActionClosed(Conflict):
    """This cannot be done with the booking now; the detail says why."""

    code, title = "action_closed", "This cannot be done with this booking now"

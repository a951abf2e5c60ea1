"""Every way pricing can say no."""

from __future__ import annotations

from portal.kit.errors import FieldError, Invalid, Unavailable


class MixedCurrencies(Invalid):
    """Segments whose fares are in different currencies cannot be sold together."""

    code, title = "mixed_currencies", "These flights are sold in different currencies"


class UnknownBrand(Invalid):
    """There is no such brand in that cabin."""

    code, title = "unknown_brand", "This fare is not sold in that cabin"


class NoRate(Unavailable):
    """A tax cannot be turned into the fare's currency: no exchange rate is known."""

    code, title = "no_exchange_rate", "We cannot price this flight right now"


class PromotionRefused(Invalid):
    """The code is unknown, not for this trip, not on sale, or used up; the sentence says which."""

    code, title = "promotion_refused", "This code cannot be used here"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, errors=[FieldError("promoCode", detail)] if detail else ())

"""Every way pricing can say no."""

from __future__ import annotations

from portal.kit.errors import Invalid, Unavailable


class MixedCurrencies(Invalid):
    """Segments whose fares are in different currencies cannot be sold together."""

    code, title = "mixed_currencies", "These flights are sold in different currencies"


class UnknownBrand(Invalid):
    """There is no such brand in that cabin."""

    code, title = "unknown_brand", "This fare is not sold in that cabin"


class NoRate(Unavailable):
    """A tax cannot be turned into the fare's currency: no exchange rate is known."""

    code, title = "no_exchange_rate", "We cannot price this flight right now"

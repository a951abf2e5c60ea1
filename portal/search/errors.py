"""Every way searching and offering can say no."""

from __future__ import annotations

from typing import Any

from portal.kit.errors import Conflict, Invalid


class OfferExpired(Conflict):
    """The offer was ours, but its time is over. `offer` is what it was, so that it can be priced again."""

    code, title = "offer_expired", "This price was held for a while and has lapsed"

    def __init__(self, detail: str, *, offer: Any) -> None:
        super().__init__(detail)
        self.offer = offer


class OfferUnknown(Invalid):
    """This is no offer of ours: cut, changed, or made up."""

    code, title = "offer_unknown", "We do not know this offer"

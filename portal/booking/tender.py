"""How a booking is paid, as typed and as programs ask for it: by card, by the gateway's page, by a travel credit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator, model_validator

from portal.booking.forms import MoneyWire
from portal.kit.i18n import gettext as _
from portal.kit.money import Money
from portal.kit.validation import Wire


class CreditCode(Wire):
    """A travel credit to pay by, as typed on the page."""

    credit: Annotated[str, StringConstraints(max_length=64)]
    key: str
    amount: Money | None = None

    @field_validator("credit")
    @classmethod
    def _is_given(cls, typed: str) -> str:
        if not typed:
            raise ValueError(_("Please type the code of your credit."))
        return typed


class NewPayment(Wire):
    """How to pay: a card by the gateway's token for it, a travel credit by its code, or the gateway's own page.

    Card numbers never come here. `amount` must be the balance, or with `partial` a part of it, the rest to be paid by
    another; of a credit it may be less anyway, and left out it is all that the credit is good for.
    """

    method: Literal["card", "credit", "page"]
    token: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(None, examples=["tok_visa"])
    amount: MoneyWire | None = Field(None, examples=[{"amount": "328.60", "currency": "USD"}])
    partial: bool = False
    return_url: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="method page: where the payer is led after it; an address of this portal or an allowed origin"
    )

    @model_validator(mode="after")
    def _is_whole(self) -> NewPayment:
        if self.method != "page" and self.token is None:
            raise ValueError(_("Please name the card or the credit by its token."))
        if self.method != "credit" and self.amount is None:
            raise ValueError(_("Please say the amount that you mean to pay."))
        return self


@dataclass(frozen=True, slots=True)
class PayWish:
    """How to pay: `method` page (the gateway's own) or card (by token); `amount` is what the payer saw, or a part.

    `return_url` is where the payer is led at last; None where a browser of the booking pays.
    """

    key: str
    method: str
    gateway: str
    amount: Money | None = None
    partial: bool = False
    return_url: str | None = None


class PaymentOut(Wire):
    """One attempt to pay. Pending: the bank has not answered yet; ask again. Action required: send the payer there.

    Under review: the gateway took another sum than it was asked for; our staff look at it.
    """

    id: UUID
    status: Literal["pending", "action_required", "succeeded", "declined", "abandoned", "under_review"]
    amount: MoneyWire
    action_url: str | None
    decline_code: str | None
    created_at: datetime

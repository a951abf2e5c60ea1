"""What staff ask for, typed, and what programs of theirs are answered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from portal.booking.forms import MoneyWire
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.money import Money, digits
from portal.kit.money import parse as parse_money
from portal.kit.validation import Wire
from portal.payments.queries import Balance, RefundView, ReviewView

State = Literal["waiting", "handed", "running", "done", "failed", "dead", "dropped"]
View = Literal["trouble", "waiting", "running", "done", "dropped"]
Status = Literal["held", "confirmed", "cancelled", "expired"]
Kind = Annotated[str, StringConstraints(max_length=80)]
MOST_GIVEN = 5_000
Cursor = Annotated[str, StringConstraints(max_length=500)]


class CreditWish(Wire):
    """A travel credit that staff give as a gesture."""

    email: Annotated[str, StringConstraints(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
    amount: Annotated[str, StringConstraints(pattern=r"^\d{1,7}(\.\d{1,3})?$")]

    def money(self, currency: str) -> Money:
        """Return the sum in the house's currency; raises Invalid for none, or for more than a gesture."""
        try:
            found = parse_money(self.amount, currency)
        except ValueError:
            found = Money(0, currency)
        if not 0 < found.minor <= MOST_GIVEN * 10 ** digits(currency):
            raise Invalid(errors=[FieldError("amount", _("Please give an amount up to 5,000, such as 50.00."))])
        return found


class JobsWish(Wire):
    """Which letters the page shows."""

    state: View = "trouble"
    kind: Kind | None = None
    cursor: Cursor | None = None


class JobsQuery(Wire):
    """A page of the list of jobs."""

    limit: int = Field(50, ge=1, le=200)
    cursor: Cursor | None = Field(None, description="`nextCursor` of the page before")
    state: State | None = Field(None, description="only jobs in this state")
    kind: Kind | None = Field(None, description="only jobs of this kind, such as `booking.confirmed`")


class JobOut(Wire):
    """One job, without what it carries: that may be an address or a secret."""

    id: int
    kind: str
    key: str | None
    queue: str
    state: State
    attempts: int
    error: str | None
    request_id: str | None
    created_at: datetime
    next_try_at: datetime | None
    started_at: datetime | None
    done_at: datetime | None


class JobsOut(Wire):
    """Jobs, newest first."""

    data: tuple[JobOut, ...]
    next_cursor: str | None


def _route(typed: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}[ –-]{1,3}[A-Za-z]{3}", typed):
        raise ValueError(_("Please give two airport codes, such as JFK-LAX."))
    return typed


class BookingsWish(Wire):
    """Which bookings the page shows: `q` begins a reference, a family name or an e-mail address."""

    q: Annotated[str, StringConstraints(max_length=100)] | None = None
    status: Status | None = None
    route: Annotated[str, AfterValidator(_route)] | None = None
    from_on: date | None = Field(None, alias="from")
    to_on: date | None = Field(None, alias="to")
    cursor: Cursor | None = None

    @model_validator(mode="after")
    def _in_order(self) -> BookingsWish:
        if self.from_on and self.to_on and self.from_on > self.to_on:
            raise ValueError(_("The first day is after the last one."))
        return self

    @property
    def ends(self) -> tuple[str, str] | None:
        """The airports of the route, if one is asked for."""
        return (self.route[:3].upper(), self.route[-3:].upper()) if self.route else None


class Redo(Wire):
    """How a refused refund is tried again: by its gateway, or as a travel credit."""

    to: Literal["original", "credit"] = "original"


class OpenRefundOut(Wire):
    """Money that is to go back and has not yet; `problem` is why the gateway refused."""

    id: UUID
    reference: str | None
    amount: MoneyWire
    reason: str
    status: Literal["pending", "failed", "succeeded"]
    problem: str | None
    tries: int
    gateway: str
    created_at: datetime


class ReviewOut(Wire):
    """A payment whose gateway took another sum than it was asked for."""

    id: UUID
    reference: str | None
    asked: MoneyWire
    taken: MoneyWire
    gateway: str
    gateway_reference: str | None
    returned: bool
    created_at: datetime


class BalanceOut(Wire):
    """What an account of the ledger stands at."""

    account: str
    balance: MoneyWire
    entries: int


class MoneyOut(Wire):
    """The money that waits for somebody, and the books."""

    refunds: tuple[OpenRefundOut, ...]
    reviews: tuple[ReviewOut, ...]
    balances: tuple[BalanceOut, ...]


class GivenOut(Wire):
    """A travel credit that was given; the code is told this once."""

    code: str
    amount: MoneyWire


class Waiting(NamedTuple):
    """What waits for somebody; `references` are the bookings that it is for."""

    reviews: Sequence[ReviewView]
    refunds: Sequence[RefundView]
    balances: Sequence[Balance]
    references: Mapping[UUID, str]


def money_out(found: Waiting) -> MoneyOut:
    """Return it as programs read it."""
    return MoneyOut(
        refunds=tuple(_refund(one, found.references.get(one.payable)) for one in found.refunds),
        reviews=tuple(_review(one, found.references.get(one.payable)) for one in found.reviews),
        balances=tuple(
            BalanceOut(account=one.account, balance=MoneyWire.of(one.minor, one.currency), entries=one.entries)
            for one in found.balances
        ),
    )


def _refund(one: RefundView, reference: str | None) -> OpenRefundOut:
    return OpenRefundOut(
        id=one.id,
        reference=reference,
        amount=MoneyWire.of(one.amount_minor, one.currency),
        reason=one.reason,
        status=one.state,
        problem=one.problem,
        tries=one.tries,
        gateway=one.gateway,
        created_at=one.created_at,
    )


def _review(one: ReviewView, reference: str | None) -> ReviewOut:
    return ReviewOut(
        id=one.id,
        reference=reference,
        asked=MoneyWire.of(one.amount_minor, one.currency),
        taken=MoneyWire.of(one.told_minor, one.told_currency),
        gateway=one.gateway,
        gateway_reference=one.gateway_reference,
        returned=one.returned,
        created_at=one.created_at,
    )

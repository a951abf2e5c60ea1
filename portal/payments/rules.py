"""What a gateway is asked and answers, and what a payment becomes by it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from portal.kit.i18n import gettext as _
from portal.kit.money import Money

OPEN = ("pending", "action_required")
# Money may be in somebody's hands: whoever has such an attempt does not start another.
UNDECIDED = (*OPEN, "under_review")
FIRST_CHECK = timedelta(seconds=20)
LONGEST_WAIT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Order:
    """What a gateway is asked to take. `key` is ours: asking twice with it takes the money once."""

    key: str
    amount_minor: int
    currency: str
    description: str
    return_path: str
    gateway: str = "sandbox"


class Attempt(Protocol):
    """A payment as far as its gateway has to know it; `id` is the key of its order."""

    @property
    def id(self) -> UUID: ...
    @property
    def gateway(self) -> str: ...
    @property
    def gateway_reference(self) -> str | None: ...
    @property
    def amount_minor(self) -> int: ...
    @property
    def currency(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """What a gateway is asked to give back of the charge `reference`. `before_minor` went back of it earlier.

    `known_as` is the gateway's name for the refund, once it has answered.
    """

    key: str
    gateway: str
    reference: str
    amount_minor: int
    before_minor: int
    currency: str
    known_as: str | None = None


@dataclass(frozen=True, slots=True)
class RefundOutcome:
    """What a gateway says of a refund; `state` is a refund's, `problem` its reason for staff when it failed."""

    state: str
    reference: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a gateway says of a charge; `state` is a payment's. Pending: it is not known yet.

    `taken` is the sum that it says it took; None where it does not say.
    """

    state: str
    reference: str | None = None
    decline_code: str | None = None
    action_url: str | None = None
    taken: Money | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """What a gateway said by itself, and what of ours it is about; None where it is about nothing of ours."""

    event_id: str
    kind: str
    payment_id: UUID | None
    refund_id: UUID | None


def next_state(state: str, told: str) -> str:
    """Return what a payment in `state` becomes when the gateway says `told`.

    Money taken is a fact in whatever state it is heard; short of it, what has ended stays ended. Once it is for people
    to look at, only people end it.
    """
    if state in ("succeeded", "under_review"):
        return state
    return told if state in OPEN or told in ("succeeded", "under_review") else state


def next_check(age: timedelta) -> timedelta:
    """Return how long to wait before asking the gateway again about a payment of this age: longer each time."""
    return min(max(FIRST_CHECK, age / 2), LONGEST_WAIT)


def refusal(decline_code: str | None) -> str:
    """Return why nothing was charged, and what to do, as a sentence for the traveller."""
    sentences = {
        "gateway_refused": _("The payment page could not be opened. Nothing was charged; please try again later."),
        "insufficient_funds": _("There is not enough money on this card. Nothing was charged; please use another one."),
        "not_authenticated": _("The bank was not told that it is you. Nothing was charged; please try again."),
    }
    return sentences.get(
        decline_code or "", _("The bank declined this card. Nothing was charged; please use another one.")
    )

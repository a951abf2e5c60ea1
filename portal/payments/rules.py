"""What a gateway is asked and answers, and what a payment becomes by it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from portal.kit.i18n import gettext as _

OPEN = ("pending", "action_required")
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a gateway says of a charge; `state` is a payment's. Pending: it is not known yet."""

    state: str
    reference: str | None = None
    decline_code: str | None = None
    action_url: str | None = None


def next_state(state: str, told: str) -> str:
    """Return what a payment in `state` becomes when the gateway says `told`.

    Money taken is a fact in whatever state it is heard; short of it, what has ended stays ended.
    """
    if state == "succeeded" or told == "succeeded":
        return "succeeded"
    return told if state in OPEN else state


def next_check(age: timedelta) -> timedelta:
    """Return how long to wait before asking the gateway again about a payment of this age: longer each time."""
    return min(max(FIRST_CHECK, age / 2), LONGEST_WAIT)


def refusal(decline_code: str | None) -> str:
    """Return why nothing was charged, and what to do, as a sentence for the traveller."""
    sentences = {
        "insufficient_funds": _("There is not enough money on this card. Nothing was charged; please use another one."),
        "not_authenticated": _("The bank was not told that it is you. Nothing was charged; please try again."),
    }
    return sentences.get(
        decline_code or "", _("The bank declined this card. Nothing was charged; please use another one.")
    )

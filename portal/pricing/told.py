"""Why a price is what it is, in words: the printed steps of an offer or a booking, for pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from portal.kit.i18n import gettext as _
from portal.pricing.steps import WHOLE_BP


@dataclass(frozen=True, slots=True)
class WhyLine:
    """One step: what it is, by how much (empty for the base fare), and an adult's fare after it."""

    label: str
    factor: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class WhyGroup:
    """The steps of one flight, or those of all flights together, whose `title` is empty."""

    title: str
    lines: tuple[WhyLine, ...]


def why(pricing: Sequence[Mapping[str, Any]], flights: Mapping[int, str]) -> list[WhyGroup]:
    """Return the steps of `Offer.pricing` or of a booked slice by flight; `flights` names them by id.

    The last line is an adult's fare for the slice before taxes. Empty for a slice that was sold before steps were kept.
    """
    return [
        WhyGroup(flights.get(flight_id, ""), tuple(_line(step) for step in steps))
        for flight_id, steps in groupby(pricing, key=lambda step: step["flightId"])
    ]


def _line(step: Mapping[str, Any]) -> WhyLine:
    factor = "" if step["kind"] == "base" else f"× {factor_text(step['factorBp'])}"
    return WhyLine(step_label(step["kind"], step["label"]), factor, step["amount"])


def step_label(kind: str, label: str) -> str:
    """Return what a step is called: a rule by its own label."""
    if kind == "base":
        return _("Base fare of this flight")
    if kind == "class":
        return _("Booking class %(letter)s") % {"letter": label}
    return _("%(brand)s fare") % {"brand": label} if kind == "brand" else _(label)


def factor_text(factor_bp: int) -> str:
    """Return a factor as people read it: 1.12, and never fewer than two decimals."""
    whole, part = divmod(factor_bp, WHOLE_BP)
    digits = f"{part:04d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{digits}"

"""How many seats to keep for those who pay more: nested protections by EMSR-b (Belobaba 1989, 1992).

For classes in order of fare, dearest first, with demand that is independent and normal:

    y_j = μ_{1..j} + σ_{1..j} · Φ⁻¹(1 − f_{j+1} / f̄_{1..j})

y_j seats are kept for the j dearest classes against the next one; f̄ is their fare weighted by demand, the variances add
up. As formulated in Talluri and van Ryzin, The Theory and Practice of Revenue Management (2004), section 2.2.4.2.
Pure: no session and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import hypot
from statistics import NormalDist

from portal.pricing.steps import WHOLE_BP, FareClass

NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Demand:
    """What a class sells for, and how many seats are wanted in it: the mean and the standard deviation."""

    fare: float
    mean: float
    sigma: float


def protections(demand: Sequence[Demand], capacity: int) -> list[int]:
    """Return how many seats to keep for the 1, 2, … dearest classes, dearest first: ascending, at most `capacity`.

    One shorter than `demand`: nothing is kept from the cheapest class for itself.
    """
    whole = (max(0, min(capacity, round(level))) for level in levels(demand))
    return list(accumulate(whole, max))


def levels(demand: Sequence[Demand]) -> list[float]:
    """Return y_j as the formula gives it, before it is rounded and nested."""
    found, mean, revenue, sigma = [], 0.0, 0.0, 0.0
    for here, cheaper in pairwise(demand):
        mean, revenue, sigma = mean + here.mean, revenue + here.fare * here.mean, hypot(sigma, here.sigma)
        ratio = cheaper.fare * mean / revenue if revenue else 1.0
        found.append(_level(mean, sigma, ratio))
    return found


def _level(mean: float, sigma: float, ratio: float) -> float:
    """A class as dear as those before it is kept nothing from; where demand is certain, exactly that is kept."""
    if ratio >= 1:
        return 0.0
    return mean + sigma * NORMAL.inv_cdf(1 - ratio) if sigma and ratio > 0 else mean


def to_come(
    classes: Sequence[FareClass], capacity: int, days: int, history: Sequence[tuple[float, float]] | None = None
) -> list[Demand]:
    """Return the demand still to come, `days` before departure, in the order of `classes`.

    A class's demand comes in evenly over its last `booking_days`; what is left of the mean shrinks with them, of the
    deviation with their square root. `history` (mean and deviation of seats sold on a flight, by class) counts before
    the share of the cabin that the rows tell.
    """
    usual = history or [(capacity * one.demand_bp / WHOLE_BP, capacity * one.sigma_bp / WHOLE_BP) for one in classes]
    found = []
    for one, (mean, sigma) in zip(classes, usual, strict=True):
        left = max(0.0, min(1.0, days / one.booking_days))
        found.append(Demand(float(one.factor_bp), mean * left, sigma * left**0.5))
    return found

"""From a flight's base fare to what it costs on a day, in a cabin, at this moment: a printed step for every rule.

fare = base × route × season or holiday × weekday × days to departure × how full the cabin is × booking class

Each step is rounded half up to whole minor units, so the steps can be checked by hand one after the other. A step that
no rule asks for is left out and changes nothing. Where several rules of a kind fit, the most narrowly named one counts
(route before origin or destination before cabin before all), of those the newest; a holiday stands in the season's
place. How full a cabin is never makes a seat cheaper: of the load rules that are reached, the dearest counts.

portal.search.queries repeats the arithmetic in SQL, so that a search can sort by price; a property test holds them
together. Pure: the day of sale is an argument, and the load comes from the counters, never from outside.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

WHOLE_BP = 10_000
DAY_STEPS = 4


@dataclass(frozen=True, slots=True)
class FareRule:
    """A price rule as its row says; see pricing.models.FareRuleRow for what `low` and `high` bound."""

    key: str
    kind: str
    label: str
    code: str
    factor_bp: int
    low: int | None
    high: int | None
    origin: str | None
    destination: str | None
    cabin: str | None
    valid_from: date
    valid_to: date | None

    def in_force(self, today: date) -> bool:
        """True when sales of `today` follow it."""
        return self.valid_from <= today and (self.valid_to is None or today <= self.valid_to)

    def concerns(self, origin: str, destination: str, cabin: str) -> bool:
        """True for flights of this pair and cabin."""
        return self.origin in (None, origin) and self.destination in (None, destination) and self.cabin in (None, cabin)

    def holds(self, on: date, today: date) -> bool:
        """True for a departure on `on` that is sold `today`, as far as the calendar says."""
        if self.kind == "route":
            return True
        if self.kind == "season":
            return self._around(on.month * 100 + on.day, 1231)
        if self.kind == "holiday":
            return self._between(on.year * 10_000 + on.month * 100 + on.day)
        return self._between(on.isoweekday() if self.kind == "weekday" else max((on - today).days, 0))

    def _between(self, value: int) -> bool:
        return (self.low or 0) <= value and (self.high is None or value <= self.high)

    def _around(self, value: int, last: int) -> bool:
        low, high = self.low or 0, last if self.high is None else self.high
        return low <= value <= high if low <= high else value >= low or value <= high

    @property
    def rank(self) -> tuple[int, int, int, date, str]:
        """The rule with the highest rank counts."""
        ends = (self.origin is not None) + (self.destination is not None)
        return ends, self.origin is not None, self.cabin is not None, self.valid_from, self.key


@dataclass(frozen=True, slots=True)
class FareClass:
    """A booking class of a cabin; see pricing.models.FareClassRow."""

    letter: str
    factor_bp: int
    position: int
    demand_bp: int
    sigma_bp: int
    booking_days: int


@dataclass(frozen=True, slots=True)
class Step:
    """One printed step: which rule, by how much, and what the fare is after it."""

    kind: str
    key: str
    label: str
    factor_bp: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class SegmentPrice:
    """One flight's fare for an adult in the leanest brand: from its base fare, step by step."""

    base_minor: int
    steps: tuple[Step, ...]

    @property
    def fare_minor(self) -> int:
        """The fare after the last step."""
        return self.steps[-1].amount_minor if self.steps else self.base_minor


@dataclass(frozen=True, slots=True)
class Ladder:
    """The load rules of a cabin as a staircase: from `starts[i]` basis points sold on, `rules[i + 1]` counts."""

    starts: tuple[int, ...]
    rules: tuple[FareRule | None, ...]

    def at(self, capacity: int, free: int) -> int:
        """Return which stair a cabin with that many free seats stands on."""
        return bisect_right(self.starts, sold_bp(capacity, free))

    @property
    def factors(self) -> tuple[int, ...]:
        """The factor of every stair, never falling."""
        return tuple(factor_of(rule) for rule in self.rules)


Lane = tuple[FareRule | None, FareRule | None, FareRule | None, FareRule | None]
NO_RULES: Lane = (None, None, None, None)
FLOOR = Ladder((), (None,))


def times(minor: int, factor_bp: int) -> int:
    """Return the amount times the factor, half up; `minor` is never negative."""
    return (minor * factor_bp + WHOLE_BP // 2) // WHOLE_BP


def sold_bp(capacity: int, free: int) -> int:
    """Return how much of a cabin is sold or held, in basis points rounded down."""
    return (capacity - free) * WHOLE_BP // capacity if capacity else 0


def factor_of(rule: FareRule | None) -> int:
    """Return the rule's factor; no rule changes nothing."""
    return WHOLE_BP if rule is None else rule.factor_bp


@dataclass(frozen=True, slots=True, eq=False)
class Tariff:
    """All price rules, which say their days themselves, and the booking classes of one day of sale.

    Remembers what it worked out.
    """

    rules: tuple[FareRule, ...] = ()
    classes: Mapping[str, tuple[FareClass, ...]] = field(default_factory=dict)
    lanes: dict[tuple[str, str, str, date, date], Lane] = field(default_factory=dict, repr=False)
    ladders: dict[tuple[str, date], Ladder] = field(default_factory=dict, repr=False)

    @property
    def named(self) -> frozenset[str]:
        """Every airport that a rule names."""
        return frozenset(code for rule in self.rules for code in (rule.origin, rule.destination) if code)

    def lane(self, origin: str, destination: str, *, cabin: str, on: date, today: date) -> Lane:
        """Return the rules for route, season or holiday, weekday and advance of a departure sold `today`."""
        key = (origin, destination, cabin, on, today)
        found = self.lanes.get(key)
        if found is None:
            fit = [rule for rule in self.rules if rule.in_force(today) and rule.concerns(origin, destination, cabin)]
            of = {kind: _chief(fit, kind, on, today) for kind in ("route", "season", "holiday", "weekday", "advance")}
            found = self.lanes[key] = (of["route"], of["holiday"] or of["season"], of["weekday"], of["advance"])
        return found

    def ladder(self, *, cabin: str, today: date) -> Ladder:
        """Return the staircase of load rules for a cabin sold `today`."""
        found = self.ladders.get((cabin, today))
        if found is None:
            fit = [
                rule
                for rule in self.rules
                if rule.kind == "load" and rule.in_force(today) and rule.cabin in (None, cabin)
            ]
            own = [rule for rule in fit if rule.cabin] or fit
            found = self.ladders[cabin, today] = _ladder(own)
        return found

    def class_factors(self, cabin: str) -> tuple[int, ...]:
        """Return the factor of each class of a cabin, dearest first; one that changes nothing where it has none."""
        return tuple(one.factor_bp for one in self.classes.get(cabin, ())) or (WHOLE_BP,)

    def class_at(self, cabin: str, protections: Sequence[int], spare: int) -> int:
        """Return the cheapest open class, counted from the dearest, when `spare` seats stay free after the sale.

        `protections[i]` seats are kept for the classes up to the i-th; missing ones (at the dear end) keep none.
        """
        cheapest = len(self.class_factors(cabin)) - 1
        return max(0, min(cheapest, cheapest - len(protections) + bisect_right(protections, spare)))

    def price(self, base_minor: int, lane: Lane, load: FareRule | None, fare_class: FareClass | None) -> SegmentPrice:
        """Return the fare of one flight step by step."""
        steps: list[Step] = []
        amount = base_minor
        for rule in (*lane, load):
            if rule is not None:
                amount = times(amount, rule.factor_bp)
                steps.append(Step(rule.kind, rule.key, rule.label, rule.factor_bp, amount))
        if fare_class is not None:
            amount = times(amount, fare_class.factor_bp)
            letter = fare_class.letter
            steps.append(Step("class", f"class-{letter}", letter, fare_class.factor_bp, amount))
        return SegmentPrice(base_minor, tuple(steps))


def dearest_first(classes: Iterable[FareClass]) -> tuple[FareClass, ...]:
    """Return classes in the order they are nested in: a dearer one may always sell what a cheaper one may."""
    return tuple(sorted(classes, key=lambda one: (-one.factor_bp, one.position)))


def _chief(rules: Sequence[FareRule], kind: str, on: date, today: date) -> FareRule | None:
    fit = (rule for rule in rules if rule.kind == kind and rule.holds(on, today))
    return max(fit, key=lambda rule: rule.rank, default=None)


def _ladder(rules: Sequence[FareRule]) -> Ladder:
    starts: list[int] = []
    stairs: list[FareRule | None] = [None]
    for rule in sorted(rules, key=lambda one: (one.low or 0, one.factor_bp, one.key)):
        low = rule.low or 0
        if low == 0 and stairs == [None]:
            starts.append(0)
            stairs.append(rule)
        elif rule.factor_bp > factor_of(stairs[-1]):
            if starts and starts[-1] == low:
                stairs[-1] = rule
            else:
                starts.append(low)
                stairs.append(rule)
    return Ladder(tuple(starts), tuple(stairs))


def fare_basis(letter: str, lane: Lane, brand: str) -> str:
    """Return the fare basis of at most eight characters: class, the codes of season, weekday and advance, the brand."""
    codes = "".join(rule.code for rule in lane[1:] if rule is not None)
    short = "".join(letter for letter in brand.upper() if letter not in "AEIOU ")[:3]
    return f"{letter}{codes}"[:5] + short

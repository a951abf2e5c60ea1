"""What figures mean: the span they are about, the keys they are grouped by, load factor, and cells that are safe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID

TIMES = ("day", "week", "month")
GROUPS = (*TIMES, "route", "cabin", "brand")
COLUMNS_AT_MOST = 62
# What a spreadsheet may take for the beginning of a formula (OWASP, CSV injection).
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which figures: days from `first` to `last`, both included, narrowed by what is not empty, in one currency.

    Sales are counted by the UTC day of sale and by the slice's route; seats by the local day of departure.
    """

    first: date
    last: date
    origin: str = ""
    destination: str = ""
    cabin: str = ""
    brand: str = ""
    currency: str = ""

    @property
    def days(self) -> int:
        """How many days the span has."""
        return (self.last - self.first).days + 1

    @property
    def route(self) -> str:
        """The route as people and addresses write it, or nothing."""
        return f"{self.origin}-{self.destination}" if self.origin else ""

    def before(self) -> Scope:
        """Return the same figures of as many days, just before."""
        return replace(self, first=self.first - timedelta(days=self.days), last=self.first - timedelta(days=1))

    def on(self, day: date) -> Scope:
        """Return the same figures of one day."""
        return replace(self, first=day, last=day)

    def wire(self) -> dict[str, str]:
        """Return the form that an export keeps."""
        words = {
            name: str(getattr(self, name)) for name in ("cabin", "brand", "currency", "route") if getattr(self, name)
        }
        return {"from": str(self.first), "to": str(self.last), **words}


def scope_of(kept: dict[str, str]) -> Scope:
    """Return the scope that `Scope.wire` made these words of."""
    origin, _, destination = kept.get("route", "").partition("-")
    first, last = date.fromisoformat(kept["from"]), date.fromisoformat(kept["to"])
    words = (kept.get(name, "") for name in ("cabin", "brand", "currency"))
    return Scope(first, last, origin, destination, *words)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one group adds up to; of seats only where flights of that group are known."""

    key: str
    bookings: int = 0
    passengers: int = 0
    revenue_minor: int = 0
    ask_km: int = 0
    rpk_km: int = 0

    @property
    def load_percent(self) -> float | None:
        """The load factor: passenger-kilometres over seat-kilometres, never a mean of flights (ICAO Doc 9060)."""
        return round(100 * self.rpk_km / self.ask_km, 1) if self.ask_km else None


@dataclass(frozen=True, slots=True)
class Fact:
    """Bookings and travellers of which something is so, and the money of it; see models.SalesFact."""

    bookings: int = 0
    passengers: int = 0
    amount_minor: int = 0


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What became of what was sold: facts by name, out of how many, and who did not come to their flight.

    `sold` counts what is confirmed still; `ever` what was once, cancelled bookings too. `ticketed` are the travellers
    of flights of these days whose gate has closed its books.
    """

    sold: Fact
    facts: Mapping[str, Fact]
    ticketed: int
    no_shows: int

    def fact(self, name: str) -> Fact:
        """Return a fact; all of nothing where nothing is so."""
        return self.facts.get(name, Fact())

    @property
    def ever(self) -> int:
        """Bookings that were confirmed once."""
        return self.sold.bookings + self.fact("cancelled").bookings

    @property
    def no_show_percent(self) -> float | None:
        """The share of travellers with a ticket who did not come, None while no gate has closed its books."""
        return round(100 * self.no_shows / self.ticketed, 1) if self.ticketed else None


def time_group(scope: Scope, wished: str) -> str:
    """Return by what the run of time is told: as wished, else by day as long as the columns can be told apart."""
    if wished in TIMES:
        return wished
    return "day" if scope.days <= COLUMNS_AT_MOST else "week" if scope.days <= 7 * COLUMNS_AT_MOST else "month"


def periods(scope: Scope, group: str) -> list[date]:
    """Return the first day of every day, week (from Monday) or month that the scope touches, in order."""
    found, day = [], start_of(scope.first, group)
    while day <= scope.last:
        found.append(day)
        day = next_after(day, group)
    return found


def start_of(day: date, group: str) -> date:
    """Return the first day of the period that `day` is in."""
    if group == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if group == "month" else day


def next_after(start: date, group: str) -> date:
    """Return the first day of the period after the one that begins with `start`."""
    if group == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=7 if group == "week" else 1)


def share_percent(part: int, whole: int) -> int:
    """Return the share in whole per cent, 0 of nothing."""
    return round(100 * part / whole) if whole else 0


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


def leading(rows: Sequence[Figures]) -> Figures | None:
    """Return the group that sold most, or None where nothing was sold."""
    best = max(rows, key=lambda row: row.revenue_minor, default=None)
    return best if best and best.revenue_minor else None


def may_see_export(owner: UUID, viewer_id: UUID, role: str) -> bool:
    """True for who asked for it, and for admins."""
    return role == "admin" or (role == "staff" and owner == viewer_id)

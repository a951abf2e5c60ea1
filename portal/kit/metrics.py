"""Figures about the portal's own work: the pulse of its jobs, counts, and the text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.kit import cache

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Each part reads one end of an index, so the pulse costs the same however many letters there are.
PULSE = text(
    """
    select
        coalesce((select extract(epoch from now() - min(next_try_at)) from letters
                  where state in ('waiting', 'handed', 'running', 'failed')), 0)::float overdue,
        (select count(*) from letters where state = 'dead') dead,
        (select extract(epoch from now() - done_at)::float from letters
         where state = 'done' order by created_at desc limit 1) quiet,
        exists(select from letters where state = 'running' and next_try_at > now()) busy
    """
)


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the jobs go: seconds that the most overdue letter waits, dead letters, seconds since a worker's last sign."""

    overdue_seconds: int
    dead: int
    quiet_seconds: int | None


def pulse(session: Session) -> Pulse:
    """Return how the jobs go. Rounds come twice a minute, so workers that live are never quiet for long."""
    row = session.execute(PULSE).one()
    quiet = 0 if row.busy else row.quiet
    return Pulse(max(0, int(row.overdue)), row.dead, None if quiet is None else max(0, int(quiet)))


def count(url: str, name: str, what: str) -> None:
    """Count one more of `what` for all processes together. It is kept in Redis and begins anew when that is lost, as
    Prometheus expects of a counter that was restarted; while Redis is away nothing is counted.
    """
    cache.count(url, f"counted:{name}", what)


def counted(url: str, name: str, kinds: Iterable[str]) -> dict[str, float]:
    """Return how many were counted of each kind, none of a kind that never came."""
    kept = cache.counted(url, f"counted:{name}")
    return {kind: kept.get(kind, 0) for kind in kinds}


@dataclass(frozen=True, slots=True)
class Gauge:
    """One figure by name: its value, or one for each value of its label. `kind`: gauge, or counter if it only rises."""

    name: str
    words: str
    values: Mapping[str, float]
    label: str = ""
    kind: str = "gauge"


def exposition(gauges: Iterable[Gauge]) -> str:
    """Return the gauges as Prometheus reads them."""
    return "".join(f"{line}\n" for gauge in gauges for line in _lines(gauge))


def _lines(gauge: Gauge) -> Iterator[str]:
    yield f"# HELP {gauge.name} {gauge.words}"
    yield f"# TYPE {gauge.name} {gauge.kind}"
    for key, value in gauge.values.items():
        quoted = key.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        labels = f'{{{gauge.label}="{quoted}"}}' if gauge.label else ""
        yield f"{gauge.name}{labels} {value:.15g}"

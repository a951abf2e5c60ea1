"""Figures about the portal's own work: the pulse of its jobs, and figures in the text form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

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


@dataclass(frozen=True, slots=True)
class Gauge:
    """One figure by name: its value, or one for each value of its label."""

    name: str
    words: str
    values: Mapping[str, float]
    label: str = ""


def exposition(gauges: Iterable[Gauge]) -> str:
    """Return the gauges as Prometheus reads them."""
    return "".join(f"{line}\n" for gauge in gauges for line in _lines(gauge))


def _lines(gauge: Gauge) -> Iterator[str]:
    yield f"# HELP {gauge.name} {gauge.words}"
    yield f"# TYPE {gauge.name} gauge"
    for key, value in gauge.values.items():
        quoted = key.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        labels = f'{{{gauge.label}="{quoted}"}}' if gauge.label else ""
        yield f"{gauge.name}{labels} {value:.15g}"

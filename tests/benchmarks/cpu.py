"""Who uses the machine while something is measured: CPU time of the clients, the servers and PostgreSQL, from /proc."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def seconds() -> Counter[str]:
    """Return the CPU seconds used until now by this process (the clients) and by all that it has started."""
    used: Counter[str] = Counter()
    for process, name, ticks in _family(os.getpid()):
        who = "clients" if process == os.getpid() else name if name in ("postgres", "redis-server") else "servers"
        used[who] += ticks / TICK  # type: ignore[assignment]  # a counter of fractions
    return used


def told(used: Counter[str], *, each: float) -> str:
    """Return the CPU milliseconds of each of so many deeds, by who used them."""
    return ", ".join(f"{who} {1000 * spent / each:.1f} ms" for who, spent in sorted(used.items()) if spent > 0)


def _family(first: int) -> Iterator[tuple[int, str, int]]:
    """Yield this process and its descendants: number, name, ticks used."""
    stats = [stat for folder in Path("/proc").glob("[0-9]*") if (stat := _stat(folder)) is not None]
    family = {first}
    while grown := {process for process, _, _, parent in stats if parent in family} - family:
        family |= grown
    yield from ((process, name, ticks) for process, name, ticks, _ in stats if process in family)


def _stat(folder: Path) -> tuple[int, str, int, int] | None:
    try:
        before, _, after = (folder / "stat").read_text().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return None  # it has just ended
    process, _, name = before.partition(" (")
    cells = after.split()  # state, parent, …, then user and system time, its own and that of its ended children
    return int(process), name, sum(map(int, cells[11:15])), int(cells[1])

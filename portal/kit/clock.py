"""The only clock. Rules never read it: they take `now` as an argument."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_shift = [timedelta(0)]


def now() -> datetime:
    """Return this instant, aware, in UTC."""
    return datetime.now(UTC) + _shift[0]


@contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """Let this process's clock run ahead (or behind) within the block, for rehearsals of deadlines."""
    before, _shift[0] = _shift[0], by
    try:
        yield
    finally:
        _shift[0] = before

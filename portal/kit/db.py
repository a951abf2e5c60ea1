"""Two ways into PostgreSQL, both visible at the door that opens them.

`writing()` is one transaction: it commits at the end of the block or not at all. `reading()` runs each statement by
itself on connections that PostgreSQL keeps read-only, so a GET that writes fails in the database and not in review.
Only doors (pages, api), tasks, cli and app import this module; services receive the session.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session

from portal.kit.settings import Settings

CONNECT: dict[str, str | int] = {"connect_timeout": 5, "application_name": "portal"}
RESTED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Database:
    """The two engines of one process."""

    write: Engine
    read: Engine


_current: list[Database] = []


def url_of(text: str) -> str:
    """Return `text` as a SQLAlchemy address that uses psycopg 3, whichever PostgreSQL spelling it came in."""
    for scheme in ("postgresql://", "postgres://"):
        if text.startswith(scheme):
            return "postgresql+psycopg://" + text.removeprefix(scheme)
    return text


def connect(settings: Settings) -> Database:
    """Make `settings.database_url` the process's database; replaces and closes an earlier one."""
    disconnect()
    write = create_engine(url_of(settings.database_url), **_pool(settings), connect_args=_options())
    read_url = url_of(settings.database_read_url or settings.database_url)
    read = create_engine(
        read_url,
        **_pool(settings),
        isolation_level="AUTOCOMMIT",
        connect_args=_options("default_transaction_read_only=on"),
    )
    for engine in (write, read):
        _check_rested(engine)
    _current.append(Database(write, read))
    return _current[0]


def _check_rested(engine: Engine) -> None:
    """Ask a connection that rested whether it still lives, before it is used again.

    One that was at work a moment ago is believed: asking each time was a tenth of what a purchase cost.
    """

    def rests(_: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    def wakes(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", time.monotonic()) < RESTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as gone:
            raise InvalidatePoolError from gone  # the pool then opens new ones

    event.listen(engine, "checkin", rests)
    event.listen(engine, "checkout", wakes)


def disconnect() -> None:
    """Close every connection of this process."""
    while _current:
        database = _current.pop()
        database.write.dispose()
        database.read.dispose()


def database() -> Database:
    """Return the engines; raises RuntimeError before `connect`."""
    if not _current:
        raise RuntimeError("No database yet: call portal.kit.db.connect(settings) first.")
    return _current[0]


@contextmanager
def writing() -> Iterator[Session]:
    """Yield a session in one transaction, committed at the end of the block, rolled back by any exception."""
    with Session(database().write, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading() -> Iterator[Session]:
    """Yield a session that cannot write and never opens a transaction; what it sees may differ between statements."""
    with Session(database().read, autoflush=False, expire_on_commit=False) as session:
        yield session


def _pool(settings: Settings) -> dict[str, int]:
    # What is bound to a statement may be a password's hash: an error that is logged does not tell it.
    return {"pool_size": settings.database_pool, "max_overflow": 5, "pool_timeout": 5, "hide_parameters": True}


def _options(*extra: str) -> dict[str, str | int]:
    settings = (
        "statement_timeout=30s",
        "lock_timeout=3s",
        "timezone=UTC",
        "idle_in_transaction_session_timeout=60s",
        *extra,
    )
    return {**CONNECT, "options": " ".join(f"-c {setting}" for setting in settings)}

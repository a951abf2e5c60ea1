"""Connections: one that rested is asked before it is used again, one at work is believed."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from portal.kit import db

PID, END = text("select pg_backend_pid()"), text("select pg_terminate_backend(:pid)")


def _pid() -> int:
    with db.reading() as session:
        return int(session.scalars(PID).one())


def test_a_connection_that_died_while_it_rested_is_replaced(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "RESTED_SECONDS", 0.0)
    old = _pid()
    with db.writing() as session:
        session.execute(END, {"pid": old})
    assert _pid() != old


def test_a_connection_at_work_is_not_asked_each_time(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    engine = db.database().read
    _pid()
    monkeypatch.setattr(engine.dialect, "do_ping", lambda connection: asked.append(connection) or True)
    assert _pid() == _pid()
    assert not asked
    monkeypatch.setattr(db, "RESTED_SECONDS", 0.0)
    _pid()
    assert len(asked) == 1

"""A real relay and a real worker as processes, on the test's own database and Redis."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select, text

from deploy.local.child import Child
from deploy.local.services import TestServices
from portal.kit import clock, db, outbox
from portal.kit.settings import ROOT, Settings

PATIENCE_SECONDS = 30


def until(happened: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that must happen."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:.0f} s"
        time.sleep(0.02)


class Office:
    """A relay and a worker, a book that test handlers write into, and looks at the letters."""

    def __init__(self, settings: Settings, services: TestServices, folder: Path) -> None:
        self.services = services
        self.book = folder / "book"
        self.go = folder / "go"
        environment = {
            **os.environ,
            "PORTAL_DATABASE_URL": settings.database_url,
            "PORTAL_REDIS_URL": settings.redis_url,
            "PORTAL_MAIL_DIR": settings.mail_dir,
            "PORTAL_JOB_LEASE_SECONDS": "2",
        }
        programs = {name: [sys.executable, "-m", "tests.tasks.program", name] for name in ("worker", "relay")}
        self.worker, self.relay = (
            Child(name, command, folder / f"{name}.log", env=environment, cwd=ROOT)
            for name, command in programs.items()
        )

    def post(self, kind: str, *, queue: str = "default") -> int:
        """Post a letter; return its number."""
        with db.writing() as session:
            outbox.post(session, kind, queue=queue, book=str(self.book), go=str(self.go))
            return session.scalars(select(outbox.Letter.id).order_by(outbox.Letter.id.desc())).first() or 0

    def look(self, number: int) -> outbox.Letter:
        """Return the letter as it stands."""
        with db.reading() as session:
            return session.get_one(outbox.Letter, number)

    def make_due(self, number: int) -> None:
        """Spare the test the wait before the next try."""
        with db.writing() as session:
            session.get_one(outbox.Letter, number).next_try_at = clock.now()
            session.execute(text("select pg_notify(:channel, '')"), {"channel": outbox.CHANNEL})

    def words(self) -> list[str]:
        """Return what the handlers wrote, without the process ids."""
        return [line.split()[0] for line in self.book.read_text().splitlines()] if self.book.exists() else []

    def wait_done(self, number: int) -> None:
        """Wait until the letter is done."""
        until(lambda: self.look(number).state == "done", f"letter {number}")

    def wait_word(self, word: str, count: int = 1) -> None:
        """Wait until the handlers have written `word` that often."""
        until(lambda: self.words().count(word) >= count, f"{word!r} in the book")

    def hands(self) -> list[psutil.Process]:
        """Return the worker's processes."""
        return psutil.Process(self.worker.pid).children(recursive=True)


@pytest.fixture
def office(settings: Settings, services: TestServices, tmp_path: Path) -> Iterator[Office]:
    """An office whose worker and relay the test starts, kills and starts again as it likes."""
    made = Office(settings, services, tmp_path)
    try:
        yield made
    finally:
        made.relay.kill()
        made.worker.kill()
        services.redis.start()

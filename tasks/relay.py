"""The relay: hears the outbox's bell, hands due letters to the workers, and posts the rounds of tasks/schedule.py.

It keeps the queue in Redis short – the backlog stays in PostgreSQL, in order – and holds nothing itself: several may
run, and one that is killed loses nothing. A letter that was claimed but never begun is due again after its lease.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from datetime import timedelta

import psycopg
import redis
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from portal.kit import clock, db, outbox
from portal.kit.settings import Settings
from tasks.schedule import Timetable
from tasks.worker import Outage, Queue

log = logging.getLogger(__name__)
SHORT_QUEUE = 50
POLL_SECONDS = 2.0
BUSY_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


class Stop:
    """Becomes true with TERM or INT, and ends a pause at once."""

    def __init__(self) -> None:
        self.asked = False
        self._reader, writer = os.pipe()
        for end in (self._reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def pause(self, seconds: float, *bells: int) -> None:
        """Wait for `seconds`, for a bell (a file descriptor), or for the stop, whichever comes first."""
        if not self.asked:
            select.select([self._reader, *bells], [], [], seconds)


class Relay:
    """One relay, until it is told to stop."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        self._address = libpq(settings.database_url)
        self._lease = timedelta(seconds=settings.job_lease_seconds)
        self._queue = Queue(settings)
        self._timetable = Timetable(demo=settings.demo)
        self._stop = stop
        self._database = Outage("PostgreSQL does not answer; the relay tries again.")
        self._redis = Outage("Redis does not answer; letters wait in PostgreSQL.")

    def run(self) -> None:
        """Relay until the stop, through every outage of PostgreSQL and Redis."""
        pause = BUSY_SECONDS
        while not self._stop.asked:
            began = time.monotonic()
            try:
                self._listen()
            except (psycopg.Error, SQLAlchemyError) as away:
                self._database.began(away)
            pause = BUSY_SECONDS if time.monotonic() - began > LONGEST_PAUSE_SECONDS else pause * 2
            self._stop.pause(min(pause, LONGEST_PAUSE_SECONDS))

    def _listen(self) -> None:
        with psycopg.connect(self._address, autocommit=True, connect_timeout=5) as bell:
            bell.execute(f"listen {outbox.CHANNEL}")
            self._database.ended()
            while not self._stop.asked:
                self._stop.pause(self._turn(), bell.fileno())
                for _ in bell.notifies(timeout=0):
                    pass

    def _turn(self) -> float:
        """Do what is due; return how long to wait for the bell before the next turn."""
        self._post_rounds()
        try:
            return BUSY_SECONDS if self._hand_out() else POLL_SECONDS
        except redis.RedisError as away:
            self._redis.began(away)
            return POLL_SECONDS

    def _post_rounds(self) -> None:
        if due := self._timetable.due(clock.now()):
            with db.writing() as session:
                self._timetable.post(session, due)
            self._timetable.note(due)

    def _hand_out(self) -> bool:
        """Fill the queue up; True when more letters may be due than found room. Raises RedisError."""
        room = SHORT_QUEUE - self._queue.waiting()
        if self._redis.ended():
            self._recall()
        if room <= 0:
            return True
        with db.writing() as session:
            letters = outbox.claim(session, limit=room, lease=self._lease)
        try:
            self._queue.hand_over(letters)
        except redis.RedisError:
            with db.writing() as session:
                outbox.give_back(session, [letter.id for letter in letters])
            raise
        return len(letters) == room

    def _recall(self) -> None:
        """Hand out again what Redis may have forgotten; a letter that it did not forget is begun once all the same."""
        with db.writing() as session:
            outbox.recall(session)


def libpq(url: str) -> str:
    """Return a SQLAlchemy address as libpq reads it."""
    return make_url(db.url_of(url)).set(drivername="postgresql").render_as_string(hide_password=False)


def run(settings: Settings) -> None:
    """Relay until TERM or INT."""
    stop = Stop()
    db.connect(settings)
    log.info("relay started", extra={"pid": os.getpid()})
    Relay(settings, stop).run()
    db.disconnect()
    log.info("relay stopped")

"""The worker: Huey's consumer on Redis, in processes of its own, working off the letters that the relay hands over.

Huey forgets a task when its worker is killed, so it carries nothing but the number of a letter; PostgreSQL keeps the
letter's state and a lease that is renewed while the work runs. TERM lets running letters finish, up to GRACE_SECONDS,
and gives back what is not done by then. Worker processes are replaced after some letters: PDFs make them grow.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import redis
from huey import Huey
from huey.consumer import Consumer, Scheduler, Worker, WorkerRecycle
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import RedisStorage
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from portal.kit import audit, db, logs, outbox
from portal.kit.outbox import Hopeless, Later, Letter
from portal.kit.settings import Settings
from tasks.handlers import HANDLERS

log = logging.getLogger(__name__)
GRACE_SECONDS = 25
LETTERS_PER_PROCESS = 200
Verdict = Callable[[Session, Letter], bool]


class Outage:
    """Says once that something is away, and once that it is back."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence
        self._away = False

    def began(self, reason: object) -> None:
        """Note that it is away."""
        if not self._away:
            log.warning(self._sentence, extra={"reason": str(reason).strip()})
        self._away = True

    def ended(self) -> bool:
        """Note that it answers; True when it had been away."""
        was, self._away = self._away, False
        if was:
            log.warning("It answers again. This was the trouble: %s", self._sentence)
        return was


class Lanes(RedisStorage):  # type: ignore[misc]  # huey has no types
    """One Redis list for each queue of the outbox; a worker looks into them in the order of `lanes`."""

    def __init__(self, name: str, url: str) -> None:
        pool = redis.ConnectionPool.from_url(url, socket_timeout=5, socket_connect_timeout=1)
        super().__init__(name, connection_pool=pool)
        self.lanes = outbox.QUEUES
        self._outage = Outage("Redis does not answer; letters wait in PostgreSQL.")

    def hand_over(self, tasks: Iterable[tuple[str, bytes]]) -> None:
        """Append tasks to their queues, all in one go; an unknown queue is the default one. Raises RedisError."""
        pipe = self.conn.pipeline()
        for queue, task in tasks:
            pipe.lpush(self._key(queue if queue in outbox.QUEUES else "default"), task)
        pipe.execute()

    def queue_size(self) -> int:
        """Return how many tasks wait in all queues. Raises RedisError."""
        pipe = self.conn.pipeline()
        for lane in outbox.QUEUES:
            pipe.llen(self._key(lane))
        return sum(pipe.execute())

    def dequeue(self) -> bytes | None:
        """Return the next task, waiting a second for one; None when there is none or Redis is away."""
        try:
            found = self.conn.brpop([self._key(lane) for lane in self.lanes], timeout=self.read_timeout)
        except redis.TimeoutError:
            return None
        except redis.RedisError as away:
            self._outage.began(away)
            time.sleep(0.5)
            return None
        self._outage.ended()
        return found[1] if found else None

    def _key(self, lane: str) -> str:
        return f"{self.queue_key}.{lane}"


class Numbers(Serializer):  # type: ignore[misc]  # huey has no types
    """Tasks as JSON: nothing that comes out of Redis is ever executed, as a pickle would be."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps([data.id, data.name, data.args]).encode()

    def _deserialize(self, data: bytes) -> Message:
        number, name, args = json.loads(data)
        return Message(id=number, name=name, args=tuple(args), kwargs={}, retries=0, retry_delay=0)


class Queue:
    """The way from the relay to the workers: Huey, its storage, and its only task."""

    def __init__(self, settings: Settings) -> None:
        self.huey = Huey("portal", storage_class=Lanes, serializer=Numbers(), results=False, url=settings.redis_url)
        self.task = self.huey.task(name="deliver")(partial(deliver, settings))

    def hand_over(self, letters: Iterable[Letter]) -> None:
        """Hand the letters' numbers to the workers. Raises redis.RedisError."""
        tasks = ((letter.queue, self.huey.serialize_task(self.task.s(letter.id))) for letter in letters)
        self.huey.storage.hand_over(tasks)

    def waiting(self) -> int:
        """Return how many numbers no worker has taken yet. Raises redis.RedisError."""
        return int(self.huey.storage.queue_size())


def deliver(settings: Settings, letter_id: int) -> None:
    """Do the work of a letter and write down how it ended; nothing when it is not there to be done."""
    lease = timedelta(seconds=settings.job_lease_seconds)
    with db.writing() as session:
        letter = outbox.begin(session, letter_id, lease=lease)
    if letter is None:
        return
    named = logs.request_id.set(letter.request_id or f"letter-{letter.id}")
    try:
        with audit.by("job", role=letter.kind), _lease_kept(letter, lease):
            verdict = _attempt(settings, letter)
        with db.writing() as session:
            verdict(session, letter)
    finally:
        logs.request_id.reset(named)


def _attempt(settings: Settings, letter: Letter) -> Verdict:
    about, began = {"kind": letter.kind, "letter": letter.id, "attempt": letter.attempts}, time.perf_counter()
    try:
        _handler(letter.kind)(settings, letter)
    except Later as early:
        return partial(outbox.postponed, wait=early.wait)
    except Hopeless as no:
        log.error("letter given up", extra={**about, "reason": str(no)})
        return partial(outbox.buried, error=str(no))
    except KeyboardInterrupt:
        log.warning("letter interrupted", extra=about)
        return partial(outbox.postponed, wait=timedelta(0))
    except Exception as wrong:
        log.warning("letter failed", exc_info=True, extra=about)
        return partial(outbox.failed, error=f"{type(wrong).__name__}: {wrong}")
    log.info("letter done", extra={**about, "ms": round((time.perf_counter() - began) * 1000, 1)})
    return outbox.done


def _handler(kind: str) -> Callable[[Settings, Letter], None]:
    if kind not in HANDLERS:
        raise Hopeless(f"Nobody handles letters of the kind {kind!r}.")
    return HANDLERS[kind]


@contextmanager
def _lease_kept(letter: Letter, lease: timedelta) -> Iterator[None]:
    over = threading.Event()
    beat = threading.Thread(target=_renew_until, args=(over, letter, lease), daemon=True)
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join()


def _renew_until(over: threading.Event, letter: Letter, lease: timedelta) -> None:
    while not over.wait(lease.total_seconds() / 3):
        try:
            with db.writing() as session:
                outbox.renew(session, letter, lease=lease)
        except SQLAlchemyError as away:
            log.warning("lease not renewed", extra={"letter": letter.id, "reason": str(away)})


class Hand(Worker):  # type: ignore[misc]  # huey has no types
    """One worker process. It ends after its letter when the consumer that started it is gone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._owner = os.getpid()

    def initialize(self) -> None:
        """Prepare the process; the first of several never takes exports, so that long ones leave a hand free."""
        if self.huey.several and multiprocessing.current_process().name == "Worker-1":
            self.huey.storage.lanes = tuple(lane for lane in outbox.QUEUES if lane != "exports")
        super().initialize()

    def loop(self, now: Any = None) -> None:
        """Take and do one letter."""
        _end_without(self._owner)
        super().loop(now)


class Idle(Scheduler):  # type: ignore[misc]  # huey has no types
    """Huey wants a scheduler; ours is the relay's (tasks/schedule.py), so this one only waits for the end."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._owner = os.getpid()

    def loop(self, now: Any = None) -> None:  # noqa: ARG002 – huey's signature
        """Wait."""
        _end_without(self._owner)
        self.stop_flag.wait(1)


class Consumers(Consumer):  # type: ignore[misc]  # huey has no types
    """Huey's consumer with our workers."""

    worker_class = Hand
    scheduler_class = Idle


def _end_without(owner: int) -> None:
    if os.getppid() != owner:
        raise WorkerRecycle


def run(settings: Settings) -> None:
    """Work until TERM or INT; then finish what runs, give back what takes too long, and return."""
    import portal.kit.paper  # noqa: F401 – loaded once here, shared by the processes that are forked from this one

    queue = Queue(settings)
    queue.huey.several = settings.worker_processes > 1
    queue.huey.on_startup("connect")(lambda: db.connect(settings))
    queue.huey.on_shutdown("disconnect")(db.disconnect)
    log.info("worker started", extra={"processes": settings.worker_processes, "pid": os.getpid()})
    Consumers(
        queue.huey,
        workers=settings.worker_processes,
        worker_type="process",
        periodic=False,
        health_check_interval=1,
        max_tasks=LETTERS_PER_PROCESS,
        shutdown_timeout=GRACE_SECONDS,
        graceful_signal="TERM",
    ).run()

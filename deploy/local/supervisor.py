"""Keeps a set of processes running: what dies is named and started again, and at the end all stop in order."""

import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from deploy.local.child import Child, StartFailed
from deploy.local.steps import say

LOOK_SECONDS = 0.25
STEADY_SECONDS = 30
LONGEST_PAUSE_SECONDS = 30


@dataclass
class Part:
    """One process of the whole, how to start it, and how often it failed in a row."""

    child: Child
    start: Callable[[], None]
    failures: int = 0
    started_at: float = field(default_factory=time.monotonic)
    retry_at: float | None = None

    def look(self, now: float) -> bool:
        """Starts it again when it is due; whether it was started."""
        if self.child.running:
            self.failures = 0 if now - self.started_at > STEADY_SECONDS else self.failures
            return False
        if self.retry_at is None:
            self.plan(now)
        return self.retry_at is not None and now >= self.retry_at and self.restart()

    def plan(self, now: float) -> None:
        pause = min(0.1 * 3**self.failures, LONGEST_PAUSE_SECONDS)
        again = "starting it again" if pause < 1 else f"trying again in {pause:.0f} s"
        say(f"{self.child.title} stopped ({self.child.ending}); {again}.")
        if self.failures == 2:
            say(self.child.tail())
        self.failures += 1
        self.retry_at = now + pause

    def restart(self) -> bool:
        self.retry_at = None
        self.child.kill()
        self.started_at = time.monotonic()
        try:
            self.start()
        except StartFailed as failure:
            say(str(failure))
        return True


class Stop:
    """Becomes true with the first Ctrl-C or TERM; `pause` returns at once when that, or the end of a child, comes."""

    def __init__(self) -> None:
        self.asked = 0
        self._reader, writer = os.pipe()
        for end in (self._reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN:
                signal.signal(one, self._ask)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1

    def __bool__(self) -> bool:
        return self.asked > 0

    def pause(self, seconds: float) -> None:
        if select.select([self._reader], [], [], seconds)[0]:
            os.read(self._reader, 4096)


def supervise(parts: Sequence[Part], stop: Stop, changed: Callable[[], None]) -> None:
    """Returns when a stop is asked for; calls `changed` after every restart."""
    while not stop:
        if any(part.look(time.monotonic()) for part in parts):
            changed()
        stop.pause(LOOK_SECONDS)


def stop_together(children: Sequence[Child], stop: Stop) -> None:
    """Asks all to finish, waits for them side by side; a second Ctrl-C ends the patience."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + max((child.patience_seconds for child in children), default=0)
    while any(child.running for child in children) and stop.asked < 2 and time.monotonic() < deadline:
        stop.pause(LOOK_SECONDS)
    for child in children:
        child.kill()

"""One child process: started with a log file of its own, stopped in order, and never left behind.

A child gets its own process group, so that Ctrl-C in the terminal reaches only its owner, and so that whatever
it leaves behind when it is killed can be cleared away. On Linux the kernel signals it when its owner dies.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

LOG_LIMIT_BYTES = 20_000_000
TAIL_LINES = 8


class StartFailed(Exception):
    """A service did not come up; the text says which one, why, and where its log is."""


class Child:
    """A program that runs in the background and writes to `log`.

    `as_user` is a command prefix that changes the user; it goes first because such a change forgets the owner.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        as_user: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        patience_seconds: float = 30,
    ) -> None:
        self.name = name
        self.log = log
        self._command = [*as_user, *die_with_owner(stop_signal), *command]
        self._env = env
        self._cwd = cwd
        self._stop_signal = stop_signal
        self.patience_seconds = patience_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def title(self) -> str:
        """Its name, to begin a sentence with."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def pid(self) -> int:
        """The process id; 0 while nothing runs."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """None while it runs (or was never started), otherwise how it ended."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self.exit_code or 0
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def start(self) -> None:
        """Starts it; does nothing while it runs."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        rotate(self.log)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if self._env is None else dict(self._env),
                cwd=self._cwd,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Asks it to finish and waits; after the patience is over it is killed. Nothing of its group survives."""
        self.ask_to_stop()
        self.wait_stopped()

    def ask_to_stop(self) -> None:
        """Sends the stop signal without waiting, so that several can finish side by side."""
        if self.running:
            os.kill(self.pid, self._stop_signal)

    def wait_stopped(self) -> None:
        """Waits for the end that `ask_to_stop` asked for, and enforces it when the patience is over."""
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self.patience_seconds)
        self.kill()

    def kill(self) -> None:
        """kill -9 for the whole process group; returns when it is gone."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_ready(self, answers: Callable[[], bool], *, seconds: float = 30) -> None:
        """Returns once `answers()` is true.

        Raises StartFailed with the end of the log when the program ends first or takes too long.
        """
        deadline = time.monotonic() + seconds
        while not answers():
            if not self.running:
                raise StartFailed(f"{self.title} stopped while starting.\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise StartFailed(f"{self.title} did not answer within {seconds:.0f} s.\n{self.tail()}")
            time.sleep(0.02)

    def tail(self) -> str:
        """The last lines of the log, under the log's name."""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:] if self.log.exists() else []
        return "\n".join([f"The end of {self.log}:", *("  " + line for line in lines)])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def die_with_owner(stop_signal: signal.Signals) -> list[str]:
    """A command prefix that makes the kernel send `stop_signal` when the owner dies; empty where there is none."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", stop_signal.name.removeprefix("SIG"), "--"] if setpriv else []


def rotate(log: Path) -> None:
    """Keeps one older generation of a log that has grown beyond LOG_LIMIT_BYTES."""
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))

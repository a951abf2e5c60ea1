"""Processes of a launcher that was killed: known by id and start time, so that no stranger is ever stopped."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PATIENCE_SECONDS = 15


def identity(pid: int) -> str | None:
    """Something that differs between two processes that had the same id; None when it is gone or a zombie."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self").exists() else identity_by_ps(pid)
    return None if words[0] in "ZX" else words[19]


def identity_by_ps(pid: int) -> str | None:
    """The same where there is no /proc."""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], check=False, capture_output=True, text=True)
    return done.stdout.strip() or None


def known(pids: Iterable[int]) -> list[tuple[int, str]]:
    """What to write down about running processes for a later `clear`."""
    return [(pid, mark) for pid in pids if (mark := identity(pid))]


def clear(noted: Iterable[tuple[int, str]]) -> int:
    """Ends what still runs of `noted`: politely first, then with its whole group. Returns how many there were."""
    alive = [(pid, mark) for pid, mark in noted if identity(pid) == mark]
    for pid, _ in alive:
        send(os.kill, pid, signal.SIGINT if is_postgres(pid) else signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    for pid, mark in alive:
        while identity(pid) == mark and time.monotonic() < deadline:
            time.sleep(0.05)
        send(os.killpg, pid, signal.SIGKILL)
    return len(alive)


def is_postgres(pid: int) -> bool:
    """PostgreSQL waits for all clients on TERM, and disconnects them on INT."""
    with contextlib.suppress(OSError):
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def send(how: Callable[[int, int], None], pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        how(pid, which)

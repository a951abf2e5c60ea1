"""What must hold before anything is installed or started, each with its own sentence. Standard library only."""

import fcntl
import getpass
import json
import os
import shutil
import socket
from pathlib import Path
from typing import IO, Any

from deploy.local import leftovers
from deploy.local.steps import ROOT, VAR, Trouble

FIRST_TIME_BYTES = 2_500_000_000
LATER_BYTES = 300_000_000
DEFAULT_PORT = 8000


def folder(root: Path = ROOT) -> None:
    """This folder and what `./dev` keeps in it can be written."""
    for path in (root, root / ".tools", root / ".venv", VAR):
        if path.exists() and not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
            raise Trouble(
                f"{path} cannot be written by {user_name()}: run this as its owner, or in a copy of your own."
            )


def user_name() -> str:
    try:
        return getpass.getuser()
    except KeyError:
        return f"user {os.getuid()}"


def space(needed_bytes: int, root: Path = ROOT) -> None:
    """The disk has room for what is about to be written."""
    free = shutil.disk_usage(root).free
    if free < needed_bytes:
        raise Trouble(
            f"The disk is too full: {root} needs {needed_bytes / 1e9:.1f} GB free and has {free / 1e9:.1f} GB."
        )


def port() -> int:
    """The port that the portal will answer on. Raises Trouble for a PORT that is none."""
    text = os.environ.get("PORT", "").strip() or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Trouble(f"PORT is {text!r}, which is not a port number from 1 to 65535.")
    return int(text)


def port_is_free(number: int) -> None:
    """Nobody else listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except PermissionError:
            raise Trouble(f"Port {number} needs more rights than {user_name()} has: PORT=8001 ./dev run") from None
        except OSError:
            other = number + 1 if number < 65535 else DEFAULT_PORT
            raise Trouble(
                f"Port {number} is taken by another program; choose another one: PORT={other} ./dev run"
            ) from None


class Lock:
    """A file that one process at a time can hold; the system lets go of it however the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_suffix(".json")
        self._file: IO[str] | None = None

    def take(self, *, wait: bool = False) -> bool:
        """Whether it is held now; with `wait`, only returns when it is."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
        return self.held

    @property
    def held(self) -> bool:
        return self._file is not None

    def write(self, **note: object) -> None:
        """Leaves a note for whoever finds the lock taken: in a file beside it, whole or not at all."""
        part = self._note.with_suffix(".part")
        part.write_text(json.dumps(note))
        part.replace(self._note)

    def note(self) -> dict[str, Any]:
        """The holder's note; empty when there is none."""
        try:
            return dict(json.loads(self._note.read_text()))
        except (OSError, ValueError):
            return {}

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def running_lock() -> Lock:
    """The lock of whoever runs the development services of this folder."""
    return Lock(VAR / "run.lock")


def alone(lock: Lock) -> None:
    """No other `./dev run` has the services; takes the lock, and ends what a killed holder left running."""
    if lock.take():
        leftovers.clear((int(pid), str(mark)) for pid, mark in lock.note().get("children", []))
        return
    note = lock.note()
    if note.get("address"):
        raise Trouble(
            f"The portal already runs at {note['address']}; to stop it, press Ctrl-C there or: kill {note.get('pid')}"
        )
    raise Trouble(f"Another ./dev uses the development services (process {note.get('pid')}); wait until it is done.")

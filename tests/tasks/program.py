"""`python -m tests.tasks.program worker|relay`: the real programs, with a few more rows in the table of handlers."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from tasks.__main__ import main
from tasks.handlers import HANDLERS


def _write(letter: Letter, word: str) -> None:
    with Path(letter.payload["book"]).open("a") as book:
        book.write(f"{word} {os.getpid()}\n")


def note(_: Settings, letter: Letter) -> None:
    """Write down that the letter came."""
    _write(letter, "came")


def slow(_: Settings, letter: Letter) -> None:
    """Write down the beginning, wait until somebody says go, write down the end."""
    _write(letter, "begun")
    while not Path(letter.payload["go"]).exists():
        time.sleep(0.02)
    _write(letter, "ended")


def fail(_: Settings, letter: Letter) -> None:
    """Fail until somebody says go."""
    _write(letter, "tried")
    if not Path(letter.payload["go"]).exists():
        raise OSError("the mail server is out for lunch")


HANDLERS |= {"test.note": note, "test.slow": slow, "test.fail": fail}

if __name__ == "__main__":
    sys.exit(main())

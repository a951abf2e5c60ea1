"""How the bootstrap talks: one plain line for each step, the noise into a log, one sentence when it cannot go on.

Runs on a bare Python: standard library only.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("PORTAL_VAR") or ROOT / "var").resolve()
LOG = VAR / "log" / "bootstrap.log"
HEARTBEAT_SECONDS = 5
OFFLINE = (
    "name resolution",
    "name or service not known",
    "could not resolve",
    "failed to lookup address",
    "connection refused",
    "network is unreachable",
    "could not connect",
    "newconnectionerror",
    "failed to fetch",
    "error sending request",
    "timed out",
)
NO_SPACE = ("no space left", "disk quota exceeded", "not have enough free space")


class Trouble(Exception):
    """Something the reader must settle; the text is one sentence for a person."""


def shown(path: Path) -> str:
    """A path as short as it can be written."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def say(line: str) -> None:
    print(line, flush=True)


def quietly(title: str, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
    """Runs one command behind one line; a sign of life every ten seconds. Raises Trouble with the cause."""
    say(f"{title} …")
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        beginning = log.tell()
        code = run_with_heartbeat(command, log.fileno(), {**os.environ, **(env or {})})
    if code:
        raise Trouble(explain(title, LOG.read_bytes()[beginning:].decode(errors="replace")))


def run_with_heartbeat(command: Sequence[str], log: int, env: Mapping[str, str]) -> int:
    began = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
        while True:
            try:
                return process.wait(HEARTBEAT_SECONDS)
            except subprocess.TimeoutExpired:
                say(f"  still at it after {time.monotonic() - began:.0f} s")


def explain(title: str, output: str) -> str:
    """The likely cause of a failed step, from what it printed."""
    where = f"Everything it said is in {shown(LOG)}."
    words = output.lower()
    if any(sign in words for sign in NO_SPACE):
        return f"{title}: the disk is full. {where}"
    if any(sign in words for sign in OFFLINE):
        return f"{title}: a download failed; is this machine online? {where}"
    last = "\n".join("  " + line for line in output.strip().splitlines()[-6:])
    return f"{title} failed:\n{last}\n{where}"

"""Load: closed-loop HTTP clients that cost next to nothing themselves, and pgbench on the very same statements."""

from __future__ import annotations

import http.client
import itertools
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import TextClause
from sqlalchemy.dialects import postgresql

from deploy.local.services import TestServices, free_port
from tests.benchmarks.report import ROOT

HEADER_END = b"\r\n\r\n"


class Failed(RuntimeError):
    """An answer was not 200: a benchmark of errors measures nothing."""


def requests_per_second(port: int, paths: Sequence[str], *, clients: int, seconds: float) -> float:
    """Return how many 200s a second `clients` connections get, each asking for the paths in turn, without a pause."""
    turns = itertools.count()
    counts: list[int] = []
    problems: list[Exception] = []
    stop = time.monotonic() + seconds

    def client() -> None:
        try:
            counts.append(_ask_until(port, paths, next(turns), stop))
        except Exception as no:
            problems.append(no)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return sum(counts) / (time.monotonic() - began)


def _ask_until(port: int, paths: Sequence[str], first: int, stop: float) -> int:
    raw = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths]
    done = 0
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for turn in itertools.count(first):
            if time.monotonic() > stop:
                return done
            line.sendall(raw[turn % len(raw)])
            _read_answer(line)
            done += 1
    return done


def _read_answer(line: socket.socket) -> None:
    got = b""
    while HEADER_END not in got:
        got += _more(line)
    head, _, body = got.partition(HEADER_END)
    if not head.startswith(b"HTTP/1.1 200"):
        raise Failed(head.decode(errors="replace")[:200])
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0:
        missing -= len(_more(line))


def _more(line: socket.socket) -> bytes:
    got = line.recv(262_144)
    if not got:
        raise Failed("the server closed the connection")
    return got


def pgbench(services: TestServices, statements: Sequence[str], *, clients: int, seconds: int) -> float:
    """Return how many of the statements a second pgbench gets through, prepared, taking them at random."""
    with tempfile.TemporaryDirectory() as folder:
        words = []
        for number, statement in enumerate(statements):
            script = Path(folder) / f"{number}.sql"
            script.write_text(" ".join(statement.split()) + ";\n", encoding="utf-8")
            words += ["-f", str(script)]
        tool = services.postgres.bin / "pgbench"
        command = [str(tool), "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(seconds), *words]
        said = subprocess.run(
            [*command, services.postgres.serving_dsn], capture_output=True, text=True, check=True
        ).stdout
    found = re.search(r"tps = ([\d.]+)", said)
    assert found, said
    return float(found[1])


def literal(services: TestServices, statement: TextClause, values: Mapping[str, Any]) -> str:
    """Return the statement with its values written in, as pgbench needs it."""
    compiled = str(statement.compile(dialect=postgresql.psycopg.dialect()))
    with psycopg.connect(services.postgres.serving_dsn) as connection:
        return psycopg.ClientCursor(connection).mogrify(compiled, values)


@contextmanager
def serving(services: TestServices, factory: str, *, workers: int = 2, **more: str) -> Iterator[int]:
    """Run an application factory as the portal is served, and yield its port."""
    port = free_port()
    settings = {
        "PORTAL_DATABASE_URL": services.postgres.serving_url,
        "PORTAL_REDIS_URL": services.redis.url,
        "PORTAL_RATE_LIMIT_ENABLED": "false",
        "PORTAL_LOG_LEVEL": "WARNING",
    }
    words = ["-m", "uvicorn", "--factory", factory, "--port", str(port), "--workers", str(workers)]
    quiet = ["--log-level", "warning", "--no-access-log"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings, **more}
    server = subprocess.Popen([sys.executable, *words, *quiet], env=environment, cwd=ROOT)
    try:
        _wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int) -> None:
    for _ in range(900):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)
    raise Failed("the server did not start")

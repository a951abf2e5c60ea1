"""A portal that really listens, and hands that write whatever they like into a connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from deploy.local.services import free_port
from portal.app import create_app
from portal.kit import server
from portal.kit.settings import Settings


class Quick(server.Guarded):
    """The portal's connection, with deadlines that a test can wait for."""

    head_seconds = 0.6
    message_seconds = 1.5
    unread_seconds = 0.8


@contextmanager
def listening(settings: Settings, app: Any = None) -> Iterator[int]:
    """Serve the portal, or another application, on a port of this machine with the options that `portal serve` has."""
    port = free_port()
    options = {**server.options(settings), "port": port, "http": Quick}
    served = uvicorn.Server(uvicorn.Config(app or create_app(settings), lifespan="auto", **options))
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    while not served.started:
        time.sleep(0.01)
    try:
        yield port
    finally:
        served.should_exit = True
        thread.join(10)


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    """Where the portal listens."""
    with listening(settings) as at:
        yield at


@pytest.fixture
def dial(port: int) -> Iterator[Callable[[], socket.socket]]:
    """Open a connection, which is closed afterwards."""
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def everything(connection: socket.socket) -> bytes:
    """Return all that comes until the other side hangs up."""
    got = b""
    try:
        while piece := connection.recv(65_536):
            got += piece
    except ConnectionResetError:
        pass
    return got

"""How the portal listens: uvicorn, with a deadline for whoever sends or reads slowly, and bounds on a request's head.

A connection that dawdles costs others nothing, but there are only so many: one that has said nothing whole within its
time is told so (408) and closed. A body has a deadline of its own, which kit.middleware.Bounds keeps.
"""

from __future__ import annotations

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from portal.kit.settings import Settings

IDLE_SECONDS = 20
WORDS = {
    400: "400 Bad Request",
    408: "408 Request Timeout",
    431: "431 Request Header Fields Too Large",
}


class Guarded(HttpToolsProtocol):
    """uvicorn's connection, closed when a request's head or the whole of it is late, too long, or its answer unread."""

    head_seconds = 15.0
    message_seconds = 60.0
    unread_seconds = 30.0
    most_head_bytes = 32_768
    most_headers = 100

    _deadline: TimerHandle | None = None
    _unread: TimerHandle | None = None
    _in_head = False
    _head_bytes = 0
    _why = 400

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, not for ever."""
        super().connection_made(transport)
        self._expect_within(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._expect_within(None)
        self._read_within(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has no end; line breaks between requests keep no connection open."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.most_head_bytes and not self.transport.is_closing():
                self._refuse(431)
        elif self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_within(self.head_seconds)

    def on_message_begin(self) -> None:
        """Begin a request's head, and its clock."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._expect_within(self.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; one too many spoils the request."""
        super().on_header(name, value)
        if len(self.headers) > self.most_headers:
            self._why = 431
            raise ValueError(self._why)

    def on_headers_complete(self) -> None:
        """Begin the body, if there is one, and its clock."""
        self._in_head = False
        self._expect_within(self.message_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All has come."""
        self._expect_within(None)
        super().on_message_complete()

    def send_400_response(self, _msg: str) -> None:
        """Say what is wrong with a request that is none, and close."""
        self._refuse(self._why)

    def pause_writing(self) -> None:
        """Wait for the reader, not for ever."""
        super().pause_writing()
        self._read_within(self.unread_seconds)

    def resume_writing(self) -> None:
        """Go on: somebody reads."""
        self._read_within(None)
        super().resume_writing()

    def _expect_within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _read_within(self, seconds: float | None) -> None:
        if self._unread is not None:
            self._unread.cancel()
        self._unread = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)

    def _late(self) -> None:
        self._deadline = None
        if self._in_head:
            self._refuse(408)
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: int) -> None:
        words = WORDS[status].encode()
        lines = b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\nconnection: close\r\n"
        self.transport.write(b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (words, lines, len(words), words))
        self.transport.close()


def options(settings: Settings) -> dict[str, Any]:
    """Return what uvicorn is started with: whom it believes about the caller, and how long it waits."""
    return {
        "http": Guarded,
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "forwarded_allow_ips": ",".join(settings.trusted_proxies),
        "timeout_graceful_shutdown": 20,
        "timeout_keep_alive": IDLE_SECONDS,
        # A process that is busy importing on a loaded machine is not dead.
        "timeout_worker_healthcheck": 60,
    }

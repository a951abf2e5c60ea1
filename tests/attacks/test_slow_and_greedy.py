"""Whoever sends slowly, reads slowly or sends too much is hung up on, and others are served meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from portal.kit import middleware
from portal.kit.settings import Settings
from tests.attacks.conftest import everything, listening

Dial = Callable[[], socket.socket]
HEAD = b"POST /api/auth/login HTTP/1.1\r\nHost: testserver\r\nContent-Type: application/json\r\n"


def serves(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def test_two_hundred_slow_heads_keep_nobody_out(port: int, dial: Dial) -> None:
    """Slowloris: each sends one more header now and then, and never the empty line."""
    slow = [dial() for _ in range(200)]
    for one in slow:
        one.sendall(b"GET / HTTP/1.1\r\nHost: testserver\r\n")
    took = time.monotonic()
    assert serves(port)
    assert time.monotonic() - took < 3
    time.sleep(0.3)
    for one in slow:
        one.sendall(b"X-More: 1\r\n")
    answers = [everything(one) for one in slow]
    assert {answer.split(b"\r\n", 1)[0] for answer in answers} == {b"HTTP/1.1 408 Request Timeout"}
    assert serves(port)


def test_a_silent_connection_is_closed(dial: Dial) -> None:
    assert everything(dial()) == b""


def test_line_breaks_keep_no_connection_open(dial: Dial) -> None:
    connection = dial()
    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: testserver\r\n\r\n")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    end = time.monotonic() + 5
    with pytest.raises(OSError):  # noqa: PT011 – reset or broken pipe, as the machine likes
        while time.monotonic() < end:
            connection.sendall(b"\r\n")
            time.sleep(0.1)


def test_a_slow_body_is_told_so_and_not_waited_for(port: int, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.5)
    connection = dial()
    connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
    answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code":"request_timeout"' in answer
    assert b"connection: close" in answer.lower()
    assert serves(port)


def test_a_body_that_trickles_into_an_address_that_reads_none_ends(port: int, dial: Dial) -> None:
    connection = dial()
    connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: testserver\r\nContent-Length: 1000\r\n\r\n")
    end = time.monotonic() + 8
    with pytest.raises(OSError):  # noqa: PT011 – reset or broken pipe, as the machine likes
        while time.monotonic() < end:
            connection.sendall(b"x")
            time.sleep(0.1)


def test_who_hangs_up_in_the_middle_of_a_body_breaks_nothing(port: int, dial: Dial, caplog: Any) -> None:
    for _ in range(20):
        connection = dial()
        connection.sendall(HEAD + b'Content-Length: 1000\r\n\r\n{"email"')
        connection.close()
    time.sleep(0.5)
    assert serves(port)
    assert "unexpected error" not in caplog.text


def test_who_does_not_read_the_answer_is_hung_up_on(port: int, dial: Dial) -> None:
    connection = dial()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    ask = b"GET /api/openapi.json HTTP/1.1\r\nHost: testserver\r\n\r\n"
    connection.sendall(ask * 60)
    time.sleep(2.5)
    got = everything(connection)
    assert 0 < got.count(b"HTTP/1.1 200 OK") < 60
    assert serves(port)


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"x" * 40_000,
        b"\r\n".join(b"X-Many-%d: x" % number for number in range(150)),
        b"Cookie: " + b"; ".join(b"a%d=%s" % (number, b"x" * 900) for number in range(45)),
    ],
    ids=["long", "many", "cookies"],
)
def test_a_head_without_end_is_refused(port: int, dial: Dial, head: bytes) -> None:
    connection = dial()
    connection.sendall(b"GET / HTTP/1.1\r\nHost: testserver\r\n" + head)
    answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert serves(port)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: +5",
        b"Content-Length: -5",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"X-Bad : 1",
        b"Host: evil.example\x00",
        b"X-Folded: a\r\n b",
    ],
    ids=lambda head: head.decode("latin1")[:30],
)
def test_a_request_that_two_servers_would_read_differently_is_none(port: int, dial: Dial, head: bytes) -> None:
    """Request smuggling: lengths that disagree, encodings nobody knows, blanks where none belong."""
    connection = dial()
    smuggled = b"0\r\n\r\nGET /api/me HTTP/1.1\r\nHost: testserver\r\n\r\n"
    connection.sendall(HEAD + head + b"\r\n\r\n" + smuggled)
    answer = everything(connection)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413")), answer[:200]
    assert b"not_signed_in" not in answer
    assert serves(port)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "streamed"])
def test_eleven_megabytes_are_refused_while_others_are_served(port: int, announced: bool) -> None:
    """Refused as soon as it is clear, and nothing of it is kept."""
    statuses: list[int] = []

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        pieces = (b"x" * 1_000_000 for _ in range(11))
        sized = {"Content-Length": "11000000"} if announced else {}
        with contextlib.suppress(OSError):  # It may hang up before all was sent; what it said is still there to read.
            connection.request("POST", "/api/bookings", pieces, {"Content-Type": "application/json", **sized})
        statuses.append(connection.getresponse().status)
        connection.close()

    sender = threading.Thread(target=send)
    sender.start()
    assert serves(port)
    sender.join(30)
    assert statuses == [413]


@pytest.mark.parametrize(
    ("trusted", "forwarded", "seen"),
    [
        (("127.0.0.1",), "198.51.100.7, 203.0.113.9", "203.0.113.9 https"),
        (("127.0.0.1", "203.0.113.0/24"), "198.51.100.7, 203.0.113.9", "198.51.100.7 https"),
        (("127.0.0.1",), "::ffff:198.51.100.7, 2001:db8::1", "2001:db8::1 https"),
        (("127.0.0.1",), "198.51.100.7\t,  203.0.113.9:4711", "203.0.113.9 https"),
        (("10.0.0.1",), "198.51.100.7", "127.0.0.1 http"),
        ((), "198.51.100.7", "127.0.0.1 http"),
    ],
)
def test_only_a_trusted_proxy_says_who_asks_and_how(
    settings: Settings, trusted: tuple[str, ...], forwarded: str, seen: str
) -> None:
    """The right-most address that is no proxy of ours counts; what stands left of it anybody may have written."""
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https", "X-Real-IP": "192.0.2.1"}
    with listening(replace(settings, trusted_proxies=trusted), told_who_asks) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/", headers={**headers, "Forwarded": "for=192.0.2.1;proto=https"})
        assert connection.getresponse().read().decode() == seen
        connection.close()


async def told_who_asks(scope: Any, _receive: Any, send: Any) -> None:
    """Answer as an application that says whom and which scheme it was told of."""
    if scope["type"] == "http":
        await PlainTextResponse(f"{scope['client'][0]} {scope['scheme']}")(scope, _receive, send)

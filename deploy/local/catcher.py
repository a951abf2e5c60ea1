"""The mail catcher: `python -m deploy.local.catcher PORT FOLDER`.

Every message is one file `<when>-<fingerprint>.eml`, complete or absent, on disk before it is acknowledged.
The same Message-ID to the same people is kept once, however often it is sent.
"""

import asyncio
import hashlib
import os
import signal
import sys
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

SIZE_LIMIT_BYTES = 50_000_000


class Keeper:
    """Writes what arrives into one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = {path.stem.rpartition("-")[2] for path in folder.glob("*.eml")}

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        mark = fingerprint(content, envelope.rcpt_tos)
        if mark not in self._known:
            self._write(mark, content)
            self._known.add(mark)
        return "250 kept"

    def _write(self, mark: str, content: bytes) -> None:
        part = self._folder / f".{mark}.part"
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{mark}.eml")


def fingerprint(content: bytes, recipients: list[str]) -> str:
    """Equal for two deliveries of one message; a message without a Message-ID is known by all it says."""
    head = message_from_bytes(content.partition(b"\r\n\r\n")[0], policy=SMTP_POLICY)
    identity = str(head["Message-ID"] or "").strip().encode() or content
    return hashlib.sha256(identity + "\n".join(sorted(recipients)).encode()).hexdigest()[:16]


async def serve(port: int, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stopped.set)
    folder.mkdir(parents=True, exist_ok=True)
    keeper = Keeper(folder)
    server = await loop.create_server(
        lambda: SMTP(keeper, hostname="localhost", data_size_limit=SIZE_LIMIT_BYTES, enable_SMTPUTF8=True),
        "127.0.0.1",
        port,
    )
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))

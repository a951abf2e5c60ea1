"""Reads of what a demo sent: the mails in a folder, as the catcher or the folder provider wrote them.

A mail is a stranger's text: whatever stands in it, it is shown as text, or in a frame that may do nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any, cast

NEWEST = 200
HEADER_BYTES = 65_536
NAME = re.compile(r"[0-9A-Za-z-]{1,80}")


@dataclass(frozen=True, slots=True)
class KeptMail:
    """One mail in the list."""

    id: str
    to: str
    subject: str
    sent_at: datetime

    @property
    def href(self) -> str:
        """Where it is shown."""
        return f"/dev/mail/{self.id}"


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a mail."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class OpenMail:
    """One mail, opened; `html` is None where it has text only."""

    id: str
    to: str
    sender: str
    subject: str
    sent_at: datetime
    text: str
    html: str | None
    files: tuple[Attached, ...]


def kept_mails(folder: Path) -> list[KeptMail]:
    """Return the newest mails in `folder`, newest first; an absent folder is an empty one."""
    return [_summary(path) for path in sorted(folder.glob("*.eml"), reverse=True)[:NEWEST]]


def open_mail(folder: Path, name: str) -> OpenMail | None:
    """Return the mail of this name, or None – also for a name that would lead out of the folder."""
    path = folder / f"{name}.eml"
    if not NAME.fullmatch(name) or not path.is_file():
        return None
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    html = _body(message, "html")
    return OpenMail(
        id=name,
        to=_header(message, "To"),
        sender=_header(message, "From"),
        subject=_header(message, "Subject"),
        sent_at=_sent_at(path),
        text=_body(message, "plain") or "",
        html=html,
        files=tuple(_attached(part) for part in message.walk() if part.get_filename()),
    )


def _summary(path: Path) -> KeptMail:
    with path.open("rb") as file:
        message = BytesHeaderParser(policy=policy.default).parsebytes(file.read(HEADER_BYTES))
    return KeptMail(path.stem, _header(message, "To"), _header(message, "Subject"), _sent_at(path))


def _sent_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _header(message: Any, name: str) -> str:
    """Return a header's text; one that cannot be read at all is empty (the parser raises many things)."""
    try:
        return str(message[name] or "")
    except Exception:
        return ""


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return None if part is None else _text(part)


def _text(part: Any) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        return cast(bytes, part.get_payload(decode=True) or b"").decode(errors="replace")


def _attached(part: Any) -> Attached:
    name = "".join(letter for letter in part.get_filename() if letter.isprintable() and letter not in '/\\"')
    return Attached(name[:120] or "file", part.get_content_type(), part.get_payload(decode=True) or b"")

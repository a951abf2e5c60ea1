"""Reads for papers: the money that moved; and what a demo sent: the mails in a folder, as they were written there.

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
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.booking.queries import Finding
from portal.tickets.told import Moved
from portal.tickets.views import RefundTold

NEWEST = 200
HEADER_BYTES = 65_536
NAME = re.compile(r"[0-9A-Za-z-]{1,80}")

# What came in for a sale, or for one amendment, less what went straight back because it was not needed.
MONEY_IN = text(
    """
    select p.method, coalesce(p.settled_at, p.created_at) moved_at, p.amount_minor - coalesce(r.back, 0) amount_minor,
        coalesce(right(p.gateway_reference, 8), '') reference
    from payments p left join (
        select payment_id, sum(amount_minor) back from refunds
        where reason in ('paid_twice', 'seats_gone', 'change_not_made') group by payment_id
    ) r on r.payment_id = p.id
    where p.payable = :booking and p.purpose is not distinct from :purpose and p.state = 'succeeded'
        and p.amount_minor > coalesce(r.back, 0)
    order by moved_at, p.id
    """
)
MONEY_BACK = text(
    """
    select case when r.way = 'credit' then 'credit' else p.method end as method, r.created_at moved_at, r.amount_minor,
        coalesce(c.code, right(p.gateway_reference, 8), '') reference
    from refunds r join payments p on p.id = r.payment_id left join credits c on c.id = r.credit_id
    where p.payable = :booking and r.reason = :reason order by r.created_at, r.id
    """
)
REFUND = text(
    """
    select r.id, p.payable booking_id, coalesce(c.amount_minor, r.amount_minor) amount_minor,
        coalesce(p.told_currency, p.currency) currency, r.reason, p.method,
        c.code credit_code, c.expires_at credit_until, r.state = 'succeeded' gone
    from refunds r join payments p on p.id = r.payment_id left join credits c on c.id = r.credit_id where r.id = :id
    """
)
BOOKS = {
    "papers are numbered without a gap": """
        select s.kind || ' ' || s.year, 'last ' || s.last || ', given ' || count(p.id) || ', highest '
            || coalesce(max(p.serial), 0)
        from paper_series s left join sale_papers p on p.kind = s.kind and p.year = s.year
        group by s.kind, s.year having s.last <> count(p.id) or s.last <> coalesce(max(p.serial), 0)""",
    "a paper tells the sum of its charges": """
        select p.number, 'tells ' || p.total_minor || ', charges ' || coalesce(sum(c.amount_minor), 0)
        from sale_papers p left join charges c
            on c.booking_id = p.booking_id and c.amendment_id is not distinct from p.amendment_id
        group by p.id having p.total_minor <> coalesce(sum(c.amount_minor), 0)""",
}


def money_in(session: Session, booking_id: UUID, amendment_id: UUID | None) -> list[Moved]:
    """Return what was paid for the sale, or for one amendment."""
    rows = session.execute(MONEY_IN, {"booking": booking_id, "purpose": amendment_id})
    return [Moved(row.method, row.moved_at, row.amount_minor, row.reference) for row in rows]


def money_back(session: Session, booking_id: UUID, number: int) -> list[Moved]:
    """Return what goes back because of the amendment of this number."""
    rows = session.execute(MONEY_BACK, {"booking": booking_id, "reason": f"amendment {number}"})
    return [Moved(row.method, row.moved_at, row.amount_minor, row.reference) for row in rows]


def refund_told(session: Session, refund_id: UUID) -> RefundTold | None:
    """Return a refund as its mail tells it, or None."""
    row = session.execute(REFUND, {"id": refund_id}).one_or_none()
    return RefundTold(*row) if row else None


def broken_papers(session: Session) -> list[Finding]:
    """Return which receipts and credit notes do not add up, or are missing from their series."""
    found = []
    for rule, statement in BOOKS.items():
        found += [Finding(rule, thing, detail) for thing, detail in session.execute(text(f"{statement} limit 1000"))]
    return found


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

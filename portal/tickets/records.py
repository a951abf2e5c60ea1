"""Rows of documents: keep a finished file, give a paper its number. Numbers have no gap: row and number are one commit.

Drawing a file takes a tenth of a second, so it is never done while a series is locked: first the numbered paper with
all that stands on it, then the file from it.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from portal.kit import mail
from portal.tickets.models import Document, PaperSeries, SalePaper
from portal.tickets.views import Paper

PREFIX = {"receipt": "R", "credit_note": "C"}
PDF = "application/pdf"
ONE_AT_A_TIME = text("select pg_advisory_xact_lock(hashtextextended(:name, 1))")


def papers_of(session: Session, booking_id: UUID) -> list[Paper]:
    """Return the booking's receipts and credit notes in the order of their issue."""
    return [Paper(*row) for row in session.execute(_papers_of(), {"booking": booking_id})]


@cache
def _papers_of() -> Select[Any]:
    return _papers().where(SalePaper.booking_id == bindparam("booking")).order_by(SalePaper.issued_at)


def paper_for(session: Session, booking_id: UUID, amendment_id: UUID | None) -> Paper | None:
    """Return the paper of the sale, or of one amendment, if it was issued."""
    row = session.execute(_papers().where(*_about(booking_id, amendment_id))).one_or_none()
    return Paper(*row) if row else None


def _about(booking_id: UUID, amendment_id: UUID | None) -> tuple[Any, ...]:
    return (SalePaper.booking_id == booking_id, SalePaper.amendment_id.is_not_distinct_from(amendment_id))


def _papers() -> Select[Any]:
    first = aliased(SalePaper)
    referred = select(first.number).where(first.id == SalePaper.refers_to).scalar_subquery()
    names = [name for name in Paper.__dataclass_fields__ if name != "refers_to"]
    return select(*(getattr(SalePaper, name) for name in names), referred)


def issue(
    session: Session,
    *,
    booking_id: UUID,
    amendment_id: UUID | None,
    kind: str,
    currency: str,
    total_minor: int,
    content: dict[str, Any],
    refers_to: UUID | None = None,
) -> Paper:
    """Give the paper the next number of its year and keep it; one that was issued before is returned as it stands."""
    year = int(session.scalar(text("select extract(year from now() at time zone 'UTC')")) or 0)
    serial = _lock(session, kind, year)
    known = paper_for(session, booking_id, amendment_id)
    if known is not None:
        return known
    values = {
        "booking_id": booking_id,
        "amendment_id": amendment_id,
        "refers_to": refers_to,
        "kind": kind,
        "year": year,
        "serial": serial + 1,
        "number": f"{PREFIX[kind]}{year}-{serial + 1:06}",
        "currency": currency,
        "total_minor": total_minor,
        "content": content,
    }
    session.execute(insert(SalePaper).values(values))
    _used(session, kind, year, serial + 1)
    made = paper_for(session, booking_id, amendment_id)
    assert made is not None, "it was written in this very transaction"
    return made


def _lock(session: Session, kind: str, year: int) -> int:
    """Return the last number of the series; nobody else gives one until this transaction ends."""
    session.execute(insert(PaperSeries).values(kind=kind, year=year).on_conflict_do_nothing())
    row = select(PaperSeries.last).where(PaperSeries.kind == kind, PaperSeries.year == year).with_for_update()
    return int(session.scalars(row).one())


def _used(session: Session, kind: str, year: int, serial: int) -> None:
    mine = update(PaperSeries).where(PaperSeries.kind == kind, PaperSeries.year == year)
    session.execute(mine.values(last=serial))


def newest(session: Session, booking_id: UUID, kind: str) -> tuple[mail.File, UUID | None] | None:
    """Return the newest file of a kind, and after which amendment it was made; None where there is none."""
    found = select(Document.filename, Document.media_type, Document.content, Document.amendment_id)
    mine = found.where(Document.booking_id == booking_id, Document.kind == kind).order_by(Document.version.desc())
    row = session.execute(mine.limit(1)).one_or_none()
    return (mail.File(*row[:3]), row[3]) if row else None


def printed(session: Session, paper_id: UUID) -> mail.File | None:
    """Return the file of a paper, or None while it is not drawn."""
    found = select(Document.filename, Document.media_type, Document.content)
    row = session.execute(found.where(Document.paper_id == paper_id)).one_or_none()
    return mail.File(*row) if row else None


def keep(
    session: Session,
    file: mail.File,
    *,
    booking_id: UUID,
    kind: str,
    amendment_id: UUID | None = None,
    paper_id: UUID | None = None,
) -> mail.File:
    """Keep a finished file as the next version of its kind; who made the same one meanwhile was first."""
    session.execute(ONE_AT_A_TIME, {"name": str(booking_id)})
    there = _meanwhile(session, booking_id, kind, amendment_id, paper_id)
    if there is not None:
        return there
    highest = select(func.max(Document.version)).where(Document.booking_id == booking_id, Document.kind == kind)
    version = (session.scalar(highest) or 0) + 1
    values = {"booking_id": booking_id, "kind": kind, "version": version, "content": file.content}
    made = {"filename": file.name, "media_type": file.media_type, "amendment_id": amendment_id, "paper_id": paper_id}
    session.execute(insert(Document).values(**values, **made))
    return file


def _meanwhile(
    session: Session, booking_id: UUID, kind: str, amendment_id: UUID | None, paper_id: UUID | None
) -> mail.File | None:
    if paper_id is not None:
        return printed(session, paper_id)
    there = newest(session, booking_id, kind)
    return there[0] if there and there[1] == amendment_id else None


def versions(session: Session, booking_id: UUID, kind: str) -> list[tuple[int, datetime]]:
    """Return each version of a kind of file, with the instant it was made at, oldest first."""
    mine = (Document.booking_id == booking_id, Document.kind == kind)
    found = select(Document.version, Document.created_at).where(*mine).order_by(Document.version)
    return [(row[0], row[1]) for row in session.execute(found)]

"""What was made for a booking, as others see it: numbered papers, and what can be downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Paper:
    """A numbered paper, ready to be drawn: `content` holds all that stands on it."""

    id: UUID
    booking_id: UUID
    amendment_id: UUID | None
    kind: str
    number: str
    currency: str
    total_minor: int
    content: dict[str, Any]
    issued_at: datetime
    refers_to: str | None


@dataclass(frozen=True, slots=True)
class DocumentView:
    """Something to download: a numbered paper, or a file that has versions."""

    kind: str
    number: str | None
    version: int | None
    issued_at: datetime | None
    currency: str
    total_minor: int | None
    href: str


@dataclass(frozen=True, slots=True)
class RefundTold:
    """Money that went back, and why; `credit_code` where it became a travel credit, with the day it ends on.

    `gone` is False where it has come back since, and is to be sent once more.
    """

    id: UUID
    booking_id: UUID
    amount_minor: int
    currency: str
    reason: str
    method: str
    credit_code: str | None
    credit_until: datetime | None
    gone: bool

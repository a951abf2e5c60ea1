"""What comes in at tickets' doors, and what programs are answered."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from portal.kit.money import Money
from portal.kit.validation import Wire
from portal.tickets.views import DocumentView


class FileQuery(Wire):
    """How a program without an account or token shows that it may see a booking."""

    family_name: str | None = Field(None, min_length=1, max_length=60, description="of one traveller")


class MoneyOut(Wire):
    """An amount as a decimal string, below zero where it goes back."""

    amount: str
    currency: str


class DocumentOut(Wire):
    """Something to download; `number` and `total` are those of receipts and credit notes."""

    kind: Literal["itinerary", "receipt", "credit_note"]
    number: str | None
    version: int | None
    issued_at: datetime | None
    total: MoneyOut | None
    href: str = Field(description="the address of the file, below this portal's")

    @classmethod
    def of(cls, one: DocumentView) -> DocumentOut:
        """Return a document as programs read it."""
        total = None if one.total_minor is None else MoneyOut(**Money(one.total_minor, one.currency).wire())
        kept = {name: getattr(one, name) for name in ("kind", "number", "version", "issued_at")}
        return cls(**kept, total=total, href=f"/api{one.href}")


class DocumentsOut(Wire):
    """The documents of a booking."""

    data: tuple[DocumentOut, ...]

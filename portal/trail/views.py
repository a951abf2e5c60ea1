"""One deed as it is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed as staff read it; `position` is its link in the chain, None until it is sealed."""

    id: int
    happened_at: datetime
    actor_id: UUID | None
    actor_email: str | None
    role: str | None
    means: str | None
    action: str
    thing: str
    thing_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    personal: str | None
    erased: bool
    request_id: str | None
    position: int | None

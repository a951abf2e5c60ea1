"""What staff ask of the trail, typed, and what programs of theirs are answered."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire

Word = Annotated[str, StringConstraints(max_length=200)]
Means = Literal["session", "token", "key", "guest", "job", "cli"]


class Wish(Wire):
    """Which entries: every filter that is given narrows; `action` may end with a dot to mean all that begin so."""

    q: Annotated[str, StringConstraints(max_length=100)] | None = Field(None, description="free text")
    actor: Word | None = Field(None, description="an account's id or e-mail address")
    action: Word | None = Field(None, description="such as `flight.cancel`, or `flight.` for all of them")
    thing: Word | None = Field(None, description="such as `booking`, `flight`, `user`")
    thing_id: Word | None = Field(None, alias="id", description="the thing's own name, such as a booking reference")
    request_id: Word | None = Field(None, alias="request", description="the id that the answer and the logs carry")
    means: Means | None = None
    from_on: date | None = Field(None, alias="from", description="the first day, UTC")
    to_on: date | None = Field(None, alias="to", description="the last day, UTC")

    @model_validator(mode="after")
    def _in_order(self) -> Wish:
        if self.from_on and self.to_on and self.from_on > self.to_on:
            raise ValueError(_("The first day is after the last one."))
        return self

    def values(self) -> dict[str, Any]:
        """Return what narrows the search, by the names that the query knows."""
        given = {name: getattr(self, name) for name in ("action", "thing", "thing_id", "request_id", "means")}
        found = {name: value for name, value in given.items() if value}
        if self.action:
            found["action_in"] = f"{self.action}%" if self.action.endswith(".") else self.action
        if self.from_on:
            found["from_at"] = datetime.combine(self.from_on, time(), UTC)
        if self.to_on:
            found["to_at"] = datetime.combine(self.to_on, time(), UTC) + timedelta(days=1)
        return {**found, **self._actor()}

    def _actor(self) -> dict[str, Any]:
        if not self.actor:
            return {}
        try:
            return {"actor_id": UUID(self.actor)}
        except ValueError:
            return {"actor": self.actor}


class TrailQuery(Wish):
    """A page of the trail."""

    limit: int = Field(50, ge=1, le=200)
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="`nextCursor` of the page before"
    )


class EntryOut(Wire):
    """One deed; `position` is its link in the chain, null until it is sealed; `erased`: personal values were erased."""

    id: int
    at: datetime
    actor_id: UUID | None
    role: str | None
    means: str | None
    action: str
    thing: str
    thing_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    caller: str | None
    request_id: str | None
    position: int | None
    erased: bool


class TrailOut(Wire):
    """Deeds, newest first."""

    data: tuple[EntryOut, ...]
    next_cursor: str | None

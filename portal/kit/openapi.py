"""`@operation` names what an API door takes and gives; the same models validate, answer and document.

    @operation("Hold seats", body=NewBooking, answer=BookingOut, status=201, errors=(SoldOut,))
    def create(request: Request, body: NewBooking) -> Response: ...

kit.description makes the OpenAPI 3.1 document of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.responses import Response

from portal.kit.errors import Forbidden, PortalError
from portal.kit.validation import JSON, parse
from portal.kit.web import UNSAFE, Request, View

Door = TypeVar("Door", bound=Callable[..., Any])


class ScopeMissing(Forbidden):
    """The API key was made for less than this."""

    code, title = "scope_missing", "This API key was not made for that"


@dataclass(frozen=True)
class Admission:
    """How one may show who one is at a door, in OpenAPI's words, and the refusals that follow from it."""

    security: tuple[Mapping[str, Sequence[str]], ...] = ()
    refusals: tuple[type[PortalError], ...] = ()


def scope_of(method: str, path: str) -> str:
    """Return the scope that an API key needs at a route, as its address says: of `/api/bookings/…` it is
    `bookings:read` or `bookings:write`, of `/api/me/waits` `waits:…`, of `/api/admin/jobs` `jobs:…`, of `/api/me`
    `profile:…`.
    """
    words = [word for word in path.split("/")[2:] if not word.startswith("{")]
    area = words[1] if words[0] in ("me", "admin") and words[1:] else words[0]
    return f"{'profile' if area == 'me' else area}:{'write' if method in UNSAFE else 'read'}"


@dataclass(frozen=True)
class Operation:
    """What one API door takes and gives; `also` are statuses beside `status` that answer in plain JSON.

    `files` are the types of a file, where it may be of several; `example` is a body to show, where the one made of the
    model's own examples would not do.
    """

    summary: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    media_type: str = "application/json"
    files: tuple[str, ...] = ()
    errors: Sequence[type[PortalError]] = ()
    tag: str = ""
    also: Mapping[int, type[BaseModel]] = field(default_factory=dict)
    example: Any = None
    lists: frozenset[str] = field(default_factory=frozenset)

    def call(self, view: View, request: Request) -> Response:
        """Parse what the door takes and enter it; raises Invalid for what does not fit."""
        given: dict[str, Any] = {}
        if self.query is not None:
            given["query"] = parse(self.query, self._query(request))
        if self.body is not None:
            given["body"] = parse(self.body, {} if request.document is None else request.document, context=JSON)
        return view(request, **given)

    def _query(self, request: Request) -> dict[str, Any]:
        pairs = request.query_params
        return {name: pairs.getlist(name) if name in self.lists else pairs[name] for name in pairs}


def operation(summary: str, **kept: Any) -> Callable[[Door], Door]:
    """Mark an API door with its Operation."""

    def mark(view: Door) -> Door:
        view.operation = Operation(summary, **kept)  # type: ignore[attr-defined]  # functions carry attributes
        return view

    return mark

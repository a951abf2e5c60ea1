"""The back office for programs: jobs to list, to try again and to drop."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portal.kit import db, signing
from portal.kit.errors import FieldError, Forbidden, Invalid, NotSignedIn
from portal.kit.i18n import gettext as _
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.staff import queries, service
from portal.staff.errors import LetterMovedOn, UnknownLetter
from portal.staff.forms import JobOut, JobsOut, JobsQuery
from portal.staff.queries import LetterView

LIST = "staff letters list"
PRIVATE = {"Cache-Control": "private, no-store"}


@operation(
    "Jobs, newest first",
    query=JobsQuery,
    answer=JobsOut,
    errors=(NotSignedIn, Forbidden),
    signed_in=True,
)
def jobs(request: Request, query: JobsQuery) -> Response:
    """List what happens after a booking: mails, tickets, refunds, rounds. For staff."""
    request.require("staff", "admin")
    states = (query.state,) if query.state else ()
    before = _before(request, query.cursor)
    with db.reading() as session:
        found = queries.letters(session, states=states, kind=query.kind, before=before, limit=query.limit + 1)
    more = signing.seal(request.settings, LIST, found[query.limit - 1].id) if len(found) > query.limit else None
    answer = JobsOut(data=tuple(_out(one) for one in found[: query.limit]), next_cursor=more)
    return JSONResponse(answer.wire(), headers=PRIVATE)


CHANGE = {"answer": JobOut, "errors": (NotSignedIn, Forbidden, UnknownLetter, LetterMovedOn), "signed_in": True}


@operation("Try a job again", **CHANGE)
def retry(request: Request) -> Response:
    """Give a failed, dead or dropped job a fresh start, at once. For staff."""
    return _change(request, service.retry)


@operation("Drop a job", **CHANGE)
def drop(request: Request) -> Response:
    """Give a failed or dead job up for good. For staff."""
    return _change(request, service.drop)


def _change(request: Request, deed: Callable[[Session, int, UUID], LetterView]) -> Response:
    viewer = request.require("staff", "admin")
    with db.writing() as session:
        after = deed(session, request.path_params["id"], viewer.id)
    return JSONResponse(_out(after).wire(), headers=PRIVATE)


def _out(letter: LetterView) -> JobOut:
    return JobOut.model_validate(letter, from_attributes=True)


def _before(request: Request, cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        return int(signing.unseal(request.settings, LIST, cursor))
    except signing.Tampered:
        raise Invalid(errors=[FieldError("cursor", _("Please use `nextCursor` of the answer before."))]) from None


routes: list[Route] = [
    endpoint("/api/admin/jobs", jobs),
    endpoint("/api/admin/jobs/{id:int}/retry", retry, methods=("POST",)),
    endpoint("/api/admin/jobs/{id:int}/drop", drop, methods=("POST",)),
]

"""The trail for programs."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portal.kit import db, signing
from portal.kit.errors import FieldError, Forbidden, Invalid, NotSignedIn
from portal.kit.i18n import gettext as _
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.trail import queries
from portal.trail.forms import EntryOut, TrailOut, TrailQuery
from portal.trail.rules import ERASED, address, whole
from portal.trail.views import Entry

LIST = "audit trail list"


@operation(
    "The audit trail, newest first",
    query=TrailQuery,
    answer=TrailOut,
    errors=(NotSignedIn, Forbidden),
)
def trail(request: Request, query: TrailQuery) -> Response:
    """List who did what to which thing, before and after, when, by what means and from where. For staff.

    Personal values that were erased are null, and `erased` is true.
    """
    request.require("staff", "admin")
    before = _before(request, query.cursor)
    with db.reading() as session:
        found = queries.entries(session, query, before=before, limit=query.limit + 1)
    more = signing.seal(request.settings, LIST, found[query.limit - 1].id) if len(found) > query.limit else None
    answer = TrailOut(data=tuple(_out(one) for one in found[: query.limit]), next_cursor=more)
    return JSONResponse(answer.wire(), headers={"Cache-Control": "private, no-store"})


def _out(one: Entry) -> EntryOut:
    sides = {name: _plain(whole(getattr(one, name), one.personal)) for name in ("before", "after")}
    return EntryOut(
        id=one.id,
        at=one.happened_at,
        actor_id=one.actor_id,
        role=one.role,
        means=one.means,
        action=one.action,
        thing=one.thing,
        thing_id=one.thing_id,
        before=sides["before"] if one.before is not None else None,
        after=sides["after"] if one.after is not None else None,
        caller=address(one.personal),
        request_id=one.request_id,
        position=one.position,
        erased=one.erased,
    )


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if value is ERASED else value


def _before(request: Request, cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        return int(signing.unseal(request.settings, LIST, cursor))
    except signing.Tampered:
        raise Invalid(errors=[FieldError("cursor", _("Please use `nextCursor` of the answer before."))]) from None


routes: list[Route] = [endpoint("/api/audit", trail)]

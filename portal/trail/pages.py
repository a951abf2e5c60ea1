"""The trail for people: found, narrowed, read page by page, taken away as a file; and how far its chain is sealed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from portal.analytics.sheets import CsvSheet, Table
from portal.kit import audit, clock, db, signing
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.validation import parse
from portal.kit.web import Request, errors_by_field, page, render
from portal.trail import queries, told
from portal.trail.forms import Wish

PAGE = 50
LIST = "audit trail page"
FILTERS = ("q", "actor", "action", "thing", "id", "request", "means", "from", "to")
COLUMNS = (
    *(("id", "entry"), ("link", "link"), ("at", "at (UTC)"), ("actor", "actor"), ("role", "role"), ("means", "means")),
    *(("caller", "caller"), ("action", "action"), ("thing", "thing"), ("name", "id"), ("before", "before")),
    *(("after", "after"), ("request", "request")),
)


def trail(request: Request) -> Response:
    """Show the deeds that fit, newest first, under their days, and above them how the chain stands."""
    request.require("staff", "admin")
    given = _given(dict(request.query_params))
    try:
        wish, before = parse(Wish, given), _place(request)
    except Invalid as no:
        return _page(request, given, 422, errors=errors_by_field(no), days=[], next_href="")
    with db.reading() as session:
        found = queries.entries(session, wish, before=before, limit=PAGE + 1)
        names = queries.names(session, found)
    more = signing.seal(request.settings, LIST, found[PAGE - 1].id) if len(found) > PAGE else ""
    next_href = f"{told.TRAIL}?{urlencode({**given, 'cursor': more})}" if more else ""
    return _page(request, given, 200, errors={}, days=told.day_by_day(found[:PAGE], names), next_href=next_href)


def _page(request: Request, given: dict[str, str], status: int, **context: Any) -> Response:
    with db.reading() as session:
        chain, actions = queries.chain(session), queries.actions(session)
    paged = bool(request.query_params.get("cursor"))
    return render(
        request,
        "trail/trail.html",
        block="rows",
        status=status,
        chain=chain,
        filters={name: given.get(name, "") for name in FILTERS},
        actions=[(name, told.action(name)) for name in actions],
        thing_words=told.thing(given.get("thing", "")),
        first_href=f"{told.TRAIL}?{urlencode(given)}" if paged else "",
        most=request.settings.analytics_max_export_rows,
        **context,
    )


def export(request: Request) -> Response:
    """Hand the deeds that fit over as CSV, newest first; that it was done is a deed, too."""
    viewer, given = request.require("staff", "admin"), _given(dict(request.fields))
    wish, most = parse(Wish, given), request.settings.analytics_max_export_rows
    with db.writing() as session:
        filters: dict[str, audit.Value] = {**given}
        audit.record(session, "audit.exported", "audit", "csv", actor_id=viewer.id, after=filters)
    name = f"audit-{clock.now().date().isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return StreamingResponse(_file(wish, most), media_type="text/csv; charset=utf-8", headers=headers)


def _file(wish: Wish, most: int) -> Iterator[bytes]:
    sheet = CsvSheet(Table("audit", COLUMNS, {}))
    with db.reading() as session:
        for entry in queries.stream(session, wish, most=most):
            sheet.row(told.cells(entry))
            if piece := sheet.take():
                yield piece
    yield sheet.take(all_of_it=True)


def _given(pairs: dict[str, Any]) -> dict[str, str]:
    """Return what of the address the page knows; empty words count as not given, strange ones are left alone."""
    return {name: word for name in FILTERS if (word := str(pairs.get(name, "")).strip())}


def _place(request: Request) -> int | None:
    cursor = request.query_params.get("cursor")
    if not cursor:
        return None
    try:
        return int(signing.unseal(request.settings, LIST, cursor))
    except signing.Tampered:
        raise Invalid(errors=[FieldError("cursor", _("This page of the list is no longer there."))]) from None


routes = [page(told.TRAIL, trail), page(f"{told.TRAIL}/export", export, methods=("POST",))]

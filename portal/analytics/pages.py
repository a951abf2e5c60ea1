"""The dashboard, and exports for people. Filters live in the address; every number leads to its rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response, StreamingResponse

from portal.analytics import queries, rules, service, told
from portal.analytics.errors import ExportNotReady
from portal.analytics.forms import FIELDS, ExportWish, Question
from portal.analytics.rules import Figures, Scope
from portal.analytics.sheets import MEDIA
from portal.kit import clock, db, i18n
from portal.kit.errors import Invalid
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Request, errors_by_field, page, render, see_other
from portal.pricing.service import load_book

ROLES = ("staff", "admin")


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that the dashboard shows of a scope."""

    scope: Scope
    group: str
    stats: list[told.Stat]
    run_title: str
    run_group: str
    columns: list[told.Bar]
    top: str
    run_rows: list[told.Line]
    title: str
    bars: list[told.Bar]
    rows: list[told.Line]
    total: told.Line
    others: dict[str, int]
    became: list[told.Stat]
    extras_title: str
    extra_bars: list[told.Bar]
    extras: list[told.Extra]


def dashboard(request: Request) -> Response:
    """Show the three numbers of the morning, and what was sold in the days and places that are asked for."""
    request.require(*ROLES)
    typed = {name: request.query_params.get(name, "") for name in FIELDS}
    try:
        asked = parse(Question, nested(typed))
    except Invalid as no:
        return _page(request, typed, None, [], errors_by_field(no), no.status)
    scope = asked.scope(clock.now().date(), request.settings.analytics_default_range_days)
    with db.reading() as session:
        scope = queries.in_currency(session, scope, request.settings.currency)
        board = _board(session, scope, asked.group_by or "route")
        routes = queries.known_routes(session, scope)
    shown = {**typed, **scope.wire(), "groupBy": board.group}
    return _page(request, shown, board, routes, {}, 200)


def _page(
    request: Request, typed: dict[str, str], board: Board | None, routes: list[str], errors: Any, status: int
) -> Response:
    viewer = request.require(*ROLES)
    with db.reading() as session:
        exports = queries.exports_of(session, viewer.id)
        brands = [one.brand for one in sorted(load_book(session).brands.values(), key=lambda one: one.position)]
    route = typed.get("route", "")
    return render(
        request,
        "analytics/dashboard.html",
        block="report",
        status=status,
        filters=typed,
        errors=errors,
        board=board,
        routes=[(one, told.group_label("route", one)) for one in dict.fromkeys([*([route] if route else []), *routes])],
        cabins=[(one, told.group_label("cabin", one)) for one in ("economy", "premium", "business", "first")],
        brands=[(one, one) for one in dict.fromkeys([*brands, typed.get("brand", "")]) if one],
        groups=[(one, told.group_name(one)) for one in rules.GROUPS],
        as_of=clock.now(),
        all_href="/admin",
        exports=exports,
        scope_words=told.scope_words,
    )


def _board(session: Session, scope: Scope, group: str) -> Board:
    by = rules.time_group(scope, group)
    run, past = queries.figures(session, scope, by), queries.figures(session, scope.before(), by, count=False)
    whole, whole_before = queries.total(session, scope), queries.total(session, scope.before())
    rows = _rows(run if group == by else queries.figures(session, scope, group), group)
    earlier = queries.figures(session, scope.before(), group, count=False) if group != by else {}
    columns = told.columns(scope, group, run, past, by)
    top = max((max(one.value, one.before or 0) for one in columns), default=0)
    became = queries.aftermath(session, scope, whole)
    became_before = queries.aftermath(session, scope.before(), whole_before)
    return Board(
        scope=scope,
        group=group,
        stats=_morning(session, scope, group, (whole, whole_before)),
        run_title=told.run_title(whole, whole_before, scope.days),
        run_group=by,
        columns=columns,
        top=i18n.price(top, scope.currency),
        run_rows=[told.line(scope, by, row) for row in run.values()],
        title=told.groups_title(group, rows, whole.revenue_minor),
        bars=told.bars(scope, group, rows, earlier),
        rows=[told.line(scope, group, row) for row in rows],
        total=told.total_line(whole),
        others={name: minor for name, minor in queries.currencies(session, scope).items() if name != scope.currency},
        became=told.aftermath(scope, became),
        extras_title=told.extras_title(became),
        extra_bars=told.extra_bars(became, became_before),
        extras=told.extras(became),
    )


def _rows(found: dict[str, Figures], group: str) -> list[Figures]:
    rows = list(found.values())
    return rows if group in rules.TIMES else sorted(rows, key=lambda row: (-row.revenue_minor, row.key))


def _morning(session: Session, scope: Scope, group: str, spans: tuple[Figures, Figures]) -> list[told.Stat]:
    yesterday = clock.now().date() - timedelta(days=1)
    week = replace(scope, first=yesterday - timedelta(days=7), last=yesterday)
    return told.morning(scope, group, queries.figures(session, week, "day"), spans, yesterday)


def ask_export(request: Request) -> Response:
    """Have the figures written to a file, and lead to where it can be watched and fetched."""
    viewer = request.require(*ROLES)
    wish = parse(ExportWish, nested(request.fields))
    scope = wish.scope(clock.now().date(), request.settings.analytics_default_range_days)
    with db.writing() as session:
        made = service.ask_export(session, scope, report=wish.report, format_=wish.format, user_id=viewer.id)
    return see_other(request, f"/admin/exports/{made}")


def _visible(request: Request) -> queries.ExportView:
    viewer = request.require(*ROLES)
    with db.reading() as session:
        return queries.export_for(session, request.path_params["id"], viewer_id=viewer.id, role=viewer.role)


def show_export(request: Request) -> Response:
    """Show how far an export is, and its file once it is done."""
    found = _visible(request)
    size = 0
    if found.state == "done":
        with db.reading() as session:
            size = queries.file_size(session, found.id)
    back = told.address(rules.scope_of(dict(found.filters)))
    return render(
        request,
        "analytics/export.html",
        block="state",
        export=found,
        size=told.size(size),
        words=told.scope_words(found.filters),
        progress_words=told.progress(found.state, found.rows),
        back=back,
    )


def retry_export(request: Request) -> Response:
    """Have a failed export written again."""
    found = _visible(request)
    with db.writing() as session:
        service.retry_export(session, found.id)
    return see_other(request, f"/admin/exports/{found.id}")


def export_file(request: Request) -> Response:
    """Hand the file over, piece by piece."""
    found = _visible(request)
    if found.state != "done":
        raise ExportNotReady(_("It is not whole yet. Please look at the export's page."))
    with db.reading() as session:
        size = queries.file_size(session, found.id)
    return StreamingResponse(
        queries.file_pieces(db.reading, found.id),
        media_type=MEDIA[found.format],
        headers={
            "Content-Disposition": f'attachment; filename="{found.filename}"',
            "Content-Length": str(size),
            "Cache-Control": "private, no-store",
        },
    )


routes = [
    page("/admin", dashboard),
    page("/admin/exports", ask_export, methods=("POST",)),
    page("/admin/exports/{id:uuid}", show_export),
    page("/admin/exports/{id:uuid}/retry", retry_export, methods=("POST",)),
    page("/admin/exports/{id:uuid}/file", export_file),
]

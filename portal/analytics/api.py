"""Figures and exports for programs of the back office: the same filters and the same numbers as the dashboard."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response, StreamingResponse

from portal.analytics import queries, service
from portal.analytics.errors import ExportNotReady, UnknownExport
from portal.analytics.forms import (
    CountOut,
    DemographicsOut,
    ExportOut,
    ExportWish,
    FactOut,
    FiguresOut,
    Filters,
    GroupsOut,
    MoneyOut,
    NoShowsOut,
    Question,
    SummaryOut,
    TimeQuestion,
)
from portal.analytics.models import EXTRAS
from portal.analytics.rules import Aftermath, Figures, Scope
from portal.analytics.sheets import MEDIA
from portal.kit import cache, clock, db, ids
from portal.kit.errors import Forbidden, NotSignedIn
from portal.kit.i18n import gettext as _
from portal.kit.money import Money
from portal.kit.openapi import operation
from portal.kit.web import Request, View, endpoint

ROLES = ("staff", "admin")
REFUSED = (NotSignedIn, Forbidden)


def _scope(request: Request, session: Session, query: Filters) -> Scope:
    scope = query.scope(clock.now().date(), request.settings.analytics_default_range_days)
    return queries.in_currency(session, scope, request.settings.currency)


def _span(scope: Scope) -> dict[str, Any]:
    return {"from_": scope.first, "to": scope.last, "currency": scope.currency}


def _money(minor: int, currency: str) -> MoneyOut:
    return MoneyOut(**Money(minor, currency).wire())


def _figures(row: Figures, currency: str) -> FiguresOut:
    return FiguresOut(
        key=row.key,
        bookings=row.bookings,
        passengers=row.passengers,
        revenue=_money(row.revenue_minor, currency),
        load_factor=round(row.rpk_km / row.ask_km, 4) if row.ask_km else None,
    )


def _answer(body: Any) -> Response:
    return JSONResponse(body.wire(), headers={"Cache-Control": "private, no-store"})


def _kept(view: View) -> View:
    """Answer about days that are over from Redis, for ANALYTICS_CACHE_MINUTES; whatever reaches today is asked anew."""

    @wraps(view)
    def door(request: Request, query: Filters) -> Response:
        request.require(*ROLES)
        if query.to is None or query.to >= clock.now().date():
            return view(request, query)
        redis, seconds = request.settings.redis_url, request.settings.analytics_cache_minutes * 60
        key = f"analytics:{view.__name__}:{ids.fingerprint(query.model_dump_json())}"
        found = cache.get(redis, key)
        if found is None:
            found = bytes(view(request, query).body)
            cache.put(redis, key, found, seconds=max(seconds, 1))
        return Response(found, media_type="application/json", headers={"Cache-Control": "private, no-store"})

    return door


def _groups(request: Request, query: Question | TimeQuestion, otherwise: str) -> Response:
    request.require(*ROLES)
    with db.reading() as session:
        scope = _scope(request, session, query)
        group = query.group_by or otherwise
        rows = queries.figures(session, scope, group)
        whole = queries.total(session, scope)
    data = tuple(_figures(row, scope.currency) for row in rows.values())
    return _answer(
        GroupsOut(**_span(scope), group_by=group, data=data, total=_figures(replace(whole, key="all"), scope.currency))
    )


@operation("The days in a few numbers", query=Filters, answer=SummaryOut, errors=REFUSED, tag="analytics")
@_kept
def summary(request: Request, query: Filters) -> Response:
    """Return sales and load factor of the days asked for, and of as many days before. Money is never converted."""
    request.require(*ROLES)
    with db.reading() as session:
        scope = _scope(request, session, query)
        now, before = queries.total(session, scope), queries.total(session, scope.before())
        others = [(code, minor) for code, minor in queries.currencies(session, scope).items() if code != scope.currency]
        became = queries.aftermath(session, scope, now)
    average = _money(round(now.revenue_minor / now.bookings), scope.currency) if now.bookings else None
    return _answer(
        SummaryOut(
            **_span(scope),
            total=_figures(replace(now, key="all"), scope.currency),
            before=_figures(replace(before, key="before"), scope.currency),
            average_booking=average,
            other_currencies=tuple(_money(minor, code) for code, minor in others),
            cancelled=_fact(became, "cancelled", scope.currency, of=became.ever),
            refunded=_fact(became, "refunded", scope.currency, of=became.ever),
            no_shows=NoShowsOut(
                passengers=became.no_shows, ticketed=became.ticketed, share=_share(became.no_shows, became.ticketed)
            ),
            extras=tuple(_fact(became, kind, scope.currency, of=now.bookings) for kind in EXTRAS),
        )
    )


def _fact(became: Aftermath, kind: str, currency: str, *, of: int) -> FactOut:
    one = became.fact(kind)
    people = became.sold.passengers + (became.fact("cancelled").passengers if kind not in EXTRAS else 0)
    return FactOut(
        kind=kind,
        bookings=one.bookings,
        booking_share=_share(one.bookings, of) or 0.0,
        passengers=one.passengers,
        passenger_share=_share(one.passengers, people) or 0.0,
        amount=_money(one.amount_minor, currency),
    )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


@operation("Revenue", query=Question, answer=GroupsOut, errors=REFUSED, tag="analytics")
@_kept
def revenue(request: Request, query: Question) -> Response:
    """Return what was sold, by day unless asked otherwise."""
    return _groups(request, query, "day")


@operation("Bookings", query=Question, answer=GroupsOut, errors=REFUSED, tag="analytics")
@_kept
def bookings(request: Request, query: Question) -> Response:
    """Return bookings and their passengers, by day unless asked otherwise; each counts once in the total."""
    return _groups(request, query, "day")


@operation("Routes", query=Filters, answer=GroupsOut, errors=REFUSED, tag="analytics")
@_kept
def routes_sold(request: Request, query: Filters) -> Response:
    """Return the routes with sales, seats filled and revenue."""
    return _groups(request, Question(**query.model_dump()), "route")


@operation("Trends", query=TimeQuestion, answer=GroupsOut, errors=REFUSED, tag="analytics")
@_kept
def trends(request: Request, query: TimeQuestion) -> Response:
    """Return the run of weeks, or of days or months, sales by day of sale and load by day of departure."""
    return _groups(request, query, "week")


@operation("Who travels", query=Filters, answer=DemographicsOut, errors=REFUSED, tag="analytics")
@_kept
def demographics(request: Request, query: Filters) -> Response:
    """Return the travellers of what was sold, by type and by age. No name and no birthday is told."""
    request.require(*ROLES)
    with db.reading() as session:
        scope = _scope(request, session, query)
        types, ages = queries.passenger_types(session, scope), queries.passenger_ages(session, scope)
    return _answer(
        DemographicsOut(
            **_span(scope),
            types=tuple(CountOut(key=key, passengers=count) for key, count in types),
            ages=tuple(CountOut(key=key or "unknown", passengers=count) for key, count in ages),
        )
    )


@operation("Ask for an export", body=ExportWish, answer=ExportOut, status=202, errors=REFUSED, tag="exports")
def ask_export(request: Request, body: ExportWish) -> Response:
    """Have figures written to a file in the background; `Location` says where to look for it."""
    viewer = request.require(*ROLES)
    scope = body.scope(clock.now().date(), request.settings.analytics_default_range_days)
    with db.writing() as session:
        made = service.ask_export(session, scope, report=body.report, format_=body.format, user_id=viewer.id)
        found = queries.export_for(session, made, viewer_id=viewer.id, role=viewer.role)
    return JSONResponse(_export(found).wire(), 202, headers={"Location": f"/api/exports/{made}"})


def _visible(request: Request) -> queries.ExportView:
    viewer = request.require(*ROLES)
    with db.reading() as session:
        return queries.export_for(session, request.path_params["id"], viewer_id=viewer.id, role=viewer.role)


def _export(found: queries.ExportView) -> ExportOut:
    return ExportOut(
        id=found.id,
        report=found.report,
        format=found.format,
        status=found.state,
        progress=found.progress,
        rows=found.rows,
        error=found.error,
        file=f"/api/exports/{found.id}/file" if found.state == "done" else None,
        created_at=found.created_at,
    )


@operation("How far an export is", answer=ExportOut, errors=(*REFUSED, UnknownExport), tag="exports")
def show_export(request: Request) -> Response:
    """Return the state, waiting, running, done or failed, with per cent and rows. Its asker and admins may look."""
    return _answer(_export(_visible(request)))


@operation(
    "An export's file",
    files=tuple(kind.split(";")[0] for kind in MEDIA.values()),
    errors=(*REFUSED, UnknownExport, ExportNotReady),
    tag="exports",
)
def export_file(request: Request) -> Response:
    """Return the file, once it is done."""
    found = _visible(request)
    if found.state != "done":
        raise ExportNotReady(_("It is not whole yet. Please ask again while its status is waiting or running."))
    with db.reading() as session:
        size = queries.file_size(session, found.id)
    headers = {"Content-Disposition": f'attachment; filename="{found.filename}"', "Content-Length": str(size)}
    pieces = queries.file_pieces(db.reading, found.id)
    return StreamingResponse(
        pieces, media_type=MEDIA[found.format], headers={**headers, "Cache-Control": "private, no-store"}
    )


routes = [
    endpoint("/api/analytics/summary", summary),
    endpoint("/api/analytics/revenue", revenue),
    endpoint("/api/analytics/bookings", bookings),
    endpoint("/api/analytics/routes", routes_sold),
    endpoint("/api/analytics/demographics", demographics),
    endpoint("/api/analytics/trends", trends),
    endpoint("/api/exports", ask_export, methods=("POST",)),
    endpoint("/api/exports/{id:uuid}", show_export),
    endpoint("/api/exports/{id:uuid}/file", export_file),
]

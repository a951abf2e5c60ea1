"""The doors of the figures of what is owed: staff read them, admins change them from a day on, by page or program."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from portal.disruptions import figures, queries, rules, told
from portal.disruptions.forms import FIGURES, RuleIn, RuleOut, RulesOut
from portal.disruptions.rules import RuleRow
from portal.kit import clock, db
from portal.kit.errors import Forbidden, Invalid, NotSignedIn
from portal.kit.i18n import gettext as _
from portal.kit.openapi import operation
from portal.kit.validation import parse
from portal.kit.web import Notice, Request, endpoint, errors_by_field, page, render, see_other

AT = "/admin/change-rules"
PRIVATE = {"Cache-Control": "private, no-store"}


def form(request: Request) -> Response:
    """Show the figures with their versions, and to admins the form of a new one. For staff."""
    tomorrow = clock.now().date() + timedelta(days=1)
    return _page(request, {"figure": "", "validFrom": tomorrow.isoformat()}, {}, 200)


def _page(request: Request, typed: Mapping[str, str], errors: Mapping[str, str], status: int) -> Response:
    viewer = request.require("staff", "admin")
    with db.reading() as session:
        rows = queries.rule_rows(session)
    today = clock.now().date()
    return render(
        request,
        "disruptions/rules.html",
        status=status,
        groups=[(told.figure_words(*one), _of(rows, one)) for one in FIGURES],
        figures=[(f"{kind}/{scope}", told.figure_words(kind, scope)[0]) for kind, scope in FIGURES],
        state=lambda row: rules.state_of(row, today),
        span_words=told.span_words,
        typed=typed,
        errors=errors,
        may_change=viewer.role == "admin",
        tomorrow=(today + timedelta(days=1)).isoformat(),
    )


def _of(rows: list[RuleRow], figure: tuple[str, str]) -> list[RuleRow]:
    mine = [row for row in rows if (row.kind, row.scope) == figure]
    return sorted(mine, key=lambda row: row.valid_from, reverse=True)


def save(request: Request) -> Response:
    """Let a figure hold from a day on; what was typed is never lost. For admins."""
    viewer = request.require("admin")
    typed = {name: str(value) for name, value in request.fields.items()}
    kind, _slash, scope = typed.get("figure", "").partition("/")
    given = {name: typed.get(name, "") for name in ("minutes", "source", "validFrom")}
    try:
        wish = parse(RuleIn, {"kind": kind, "scope": scope, **given})
        with db.writing() as session:
            figures.set_figure(session, wish, actor_id=viewer.id)
    except Invalid as no:
        found = errors_by_field(no)
        wrong = {"figure" if name in ("kind", "scope", "") else name: words for name, words in found.items()}
        return _page(request, typed, wrong, no.status)
    return see_other(request, AT, Notice("good", _("Kept. It holds from that day on; what was told before stays.")))


ERRORS: dict[str, Any] = {"errors": (NotSignedIn, Forbidden), "tag": "staff"}


@operation("Figures of what is owed for a carrier change", answer=RulesOut, **ERRORS)
def every(request: Request) -> Response:
    """List every version of every figure, of all times. For staff."""
    request.require("staff", "admin")
    with db.reading() as session:
        rows = queries.rule_rows(session)
    found = [_out(row) for one in FIGURES for row in _of(rows, one)]
    return JSONResponse(RulesOut(data=tuple(found)).wire(), headers=PRIVATE)


@operation("Change a figure from a day on", body=RuleIn, answer=RuleOut, status=201, **ERRORS)
def change(request: Request, body: RuleIn) -> Response:
    """Let a figure hold from a day to come on; the version before ends the day before. For admins."""
    viewer = request.require("admin")
    with db.writing() as session:
        made = _out(figures.set_figure(session, body, actor_id=viewer.id))
    return JSONResponse(made.wire(), 201, headers=PRIVATE)


def _out(row: Any) -> RuleOut:
    return RuleOut(**{name: getattr(row, name) for name in RuleOut.model_fields})


routes: list[BaseRoute] = [
    page(AT, form),
    page(AT, save, methods=("POST",)),
    endpoint("/api/admin/change-rules", every),
    endpoint("/api/admin/change-rules", change, methods=("POST",)),
]

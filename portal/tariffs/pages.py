"""Staff pages: price rules, promotions and extras, valid from–to, each change audited. Staff read, admins change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.kit import clock, db, money
from portal.kit.errors import Conflict, FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.validation import parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other
from portal.pricing import promotions
from portal.pricing.promotions import PromotionView
from portal.tariffs import queries, rules, service
from portal.tariffs.errors import UnknownPromotion
from portal.tariffs.forms import Limits, PromotionWish, parse_day, parse_row
from portal.tariffs.rules import TABLES, Table

PRICES, PROMOTIONS = "/admin/prices", "/admin/promotions"
ONE_DAY = timedelta(days=1)
AMOUNTS = ("amount", "minimum", "cap")
LISTS = ("routes", "brands", "cabins")


def _today() -> date:
    return clock.now().date()


def prices(request: Request) -> Response:
    """Show one table of prices; the address says which, and whether what is over is shown too."""
    viewer = request.require("staff", "admin")
    kind = queries.table(request.query_params.get("table", TABLES[0].name))
    everything = request.query_params.get("show") == "all"
    with db.reading() as session:
        found = queries.rows(session, kind, _today())
    over = sum(row.state == "over" for row in found)
    return render(
        request,
        "tariffs/prices.html",
        tables=TABLES,
        table=kind,
        rows=[row for row in found if everything or row.state != "over"],
        over=0 if everything else over,
        may_change=viewer.role == "admin",
    )


def new_row(request: Request) -> Response:
    """Ask for a row that is not there yet."""
    request.require("admin")
    kind = queries.table(request.path_params["table"])
    start = {"valid_from": (_today() + ONE_DAY).isoformat(), "valid_to": ""}
    empty = {field.name: [] if field.kind == "many" else "" for field in kind.fields}
    return _row_page(request, kind, None, {**empty, **start})


def edit_row(request: Request) -> Response:
    """Ask what the next version of a row is to be."""
    request.require("admin")
    kind = queries.table(request.path_params["table"])
    with db.reading() as session:
        values = queries.values_of(queries.find(session, kind, request.path_params["row"]))
    start = max(_today(), values.get("valid_from") or _today()) + ONE_DAY
    return _row_page(
        request, kind, values, {**rules.typed(kind, values), "valid_from": start.isoformat(), "valid_to": ""}
    )


def save_row(request: Request) -> Response:
    """Show what a change would come to, or make it; what was typed is never lost."""
    viewer = request.require("admin")
    kind, number = queries.table(request.path_params["table"]), request.path_params.get("row")
    typed = _typed(request, kind)
    old: dict[str, Any] | None = None
    try:
        with db.writing() as session:
            old = queries.values_of(queries.find(session, kind, number)) if number is not None else None
            values = _values(kind, typed, old)
            if typed.get("do") != "save":
                samples = service.preview(session, kind, number, values, actor_id=viewer.id, today=_today())
                return _row_page(request, kind, old, typed, samples=samples)
            service.save(session, kind, number, values, actor_id=viewer.id)
    except Invalid as no:
        return _row_page(request, kind, old, typed, errors=errors_by_field(no), status=no.status)
    saved = Notice("good", _("Saved. Searches follow within a minute; what was offered or sold keeps its price."))
    return see_other(request, f"{PRICES}?table={kind.name}", saved)


def _typed(request: Request, kind: Table) -> dict[str, Any]:
    typed: dict[str, Any] = {name: str(value) for name, value in request.fields.items()}
    many = {field.name for field in kind.fields if field.kind == "many"}
    return typed | {name: [str(one) for one in request.fields.getlist(name)] for name in many}


def _values(kind: Table, typed: Mapping[str, Any], old: Mapping[str, Any] | None) -> dict[str, Any]:
    fixed = {field.name: old[field.name] for field in kind.fields if old is not None and field.fixed}
    parts: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: parse_row(kind, typed, fixed),
        lambda: _days(typed),
    )
    values: dict[str, Any] = {}
    wrong: list[FieldError] = []
    for part in parts:
        try:
            values |= part()
        except Invalid as no:
            wrong += no.errors
    if wrong:
        raise Invalid(errors=wrong)
    return values


def _days(typed: Mapping[str, Any]) -> dict[str, Any]:
    start = parse_day(typed, "valid_from", after=_today()) or _today()
    last = parse_day(typed, "valid_to", after=start, optional=True)
    return {"valid_from": start, **({"valid_to": last} if last else {})}


def _row_page(
    request: Request,
    kind: Table,
    old: Mapping[str, Any] | None,
    form: Mapping[str, Any],
    *,
    errors: Mapping[str, str] | None = None,
    samples: Any = None,
    status: int = 200,
) -> Response:
    return render(
        request,
        "tariffs/price.html",
        status=status,
        table=kind,
        old=old,
        told=kind.words(old) if old is not None else None,
        form=form,
        errors=errors or {},
        labels={field.name: field.label() for field in kind.fields}
        | {"valid_from": _("Holds from"), "valid_to": _("Holds to")},
        choices={field.name: [(one, rules.choice(one)) for one in field.choices] for field in kind.fields},
        called=rules.choice,
        samples=samples,
        ends=old is not None and "valid_to" in old,
        today=_today(),
    )


def end_row(request: Request) -> Response:
    """Let a row hold up to a day, and no longer."""
    viewer = request.require("admin")
    kind, number = queries.table(request.path_params["table"]), request.path_params["row"]
    try:
        last = parse_day(request.fields, "last", after=_today())
        with db.writing() as session:
            service.end(session, kind, number, last or _today(), actor_id=viewer.id)
    except Invalid as no:
        return see_other(request, f"{PRICES}/{kind.name}/{number}", Notice("stop", no.errors[0].detail))
    return see_other(request, f"{PRICES}?table={kind.name}", Notice("good", _("It ends on that day.")))


def all_promotions(request: Request) -> Response:
    """List promotions with how far each is used up."""
    viewer = request.require("staff", "admin")
    with db.reading() as session:
        found = promotions.all_promotions(session)
    return render(request, "tariffs/promotions.html", promotions=found, may_change=viewer.role == "admin")


def new_promotion(request: Request) -> Response:
    """Ask for a new promotion."""
    request.require("admin")
    form = {"kind": "percent", "currency": request.settings.currency, "saleFrom": _today().isoformat()}
    return _promotion_page(request, None, form)


def create_promotion(request: Request) -> Response:
    """Keep a new promotion."""
    viewer = request.require("admin")
    typed = _typed_promotion(request)
    try:
        wish = parse(PromotionWish, _given(typed, str(typed.get("currency", ""))))
        with db.writing() as session:
            made = service.create_promotion(session, wish, actor_id=viewer.id)
    except (Invalid, Conflict) as no:
        found = errors_by_field(no) or {"code": no.detail}
        return _promotion_page(request, None, typed, errors=found, status=no.status)
    return see_other(request, PROMOTIONS, Notice("good", _("%(code)s is on sale.") % {"code": made.code}))


def edit_promotion(request: Request) -> Response:
    """Ask for other limits of a promotion."""
    request.require("admin")
    seen = _promotion(request)
    return _promotion_page(request, seen, _form_of(seen))


def change_promotion(request: Request) -> Response:
    """Change limits, or end the promotion for good."""
    viewer = request.require("admin")
    seen, typed = _promotion(request), _typed_promotion(request)
    ended = typed.pop("do", "") == "end"
    try:
        limits = {} if ended else parse(Limits, _given(typed, seen.currency)).model_dump()
        with db.writing() as session:
            service.change_promotion(session, seen.code, limits, ended=ended, actor_id=viewer.id)
    except Invalid as no:
        return _promotion_page(request, seen, typed, errors=errors_by_field(no), status=no.status)
    words = _("%(code)s is over.") if ended else _("%(code)s is changed.")
    return see_other(request, PROMOTIONS, Notice("good", words % {"code": seen.code}))


def _promotion(request: Request) -> PromotionView:
    with db.reading() as session:
        seen = promotions.look(session, request.path_params["code"])
    if seen is None:
        raise UnknownPromotion()
    return seen


def _typed_promotion(request: Request) -> dict[str, Any]:
    typed: dict[str, Any] = {name: str(value).strip() for name, value in request.fields.items()}
    return typed | {name: [str(one) for one in request.fields.getlist(name)] for name in ("brands", "cabins")}


def _given(typed: Mapping[str, Any], currency: str) -> dict[str, Any]:
    known = currency if re.fullmatch("[A-Z]{3}", currency) else "USD"
    amounts = {name: money.typed_text(typed[name], known) for name in AMOUNTS if name in typed}
    typed = {**typed, **amounts}
    return {name: value for name, value in typed.items() if value not in ("", [], None) and name != "do"}


def _form_of(seen: PromotionView) -> dict[str, Any]:
    def amount(minor: int | None) -> str:
        return money.decimal_text(minor, seen.currency) if minor else ""

    return {
        "label": seen.label,
        "minimum": amount(seen.minimum_minor),
        "cap": amount(seen.cap_minor),
        "saleFrom": seen.sale_from.date().isoformat(),
        "saleTo": (seen.sale_to - ONE_DAY).date().isoformat() if seen.sale_to else "",
        "travelFrom": seen.travel_from.isoformat() if seen.travel_from else "",
        "travelTo": seen.travel_to.isoformat() if seen.travel_to else "",
        "routes": ", ".join(seen.routes or ()),
        "brands": list(seen.brands or ()),
        "cabins": list(seen.cabins or ()),
        "totalUses": seen.total_uses or "",
        "perCustomer": seen.per_customer or "",
    }


def _promotion_page(
    request: Request,
    seen: PromotionView | None,
    form: Mapping[str, Any],
    *,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    return render(request, "tariffs/promotion.html", status=status, promotion=seen, form=form, errors=errors or {})


routes: list[BaseRoute] = [
    page(PRICES, prices),
    page(PRICES + "/{table}/new", new_row),
    page(PRICES + "/{table}/new", save_row, methods=("POST",)),
    page(PRICES + "/{table}/{row}", edit_row),
    page(PRICES + "/{table}/{row}", save_row, methods=("POST",), name="portal.tariffs.pages.save_version"),
    page(PRICES + "/{table}/{row}/end", end_row, methods=("POST",)),
    page(PROMOTIONS, all_promotions),
    page(PROMOTIONS + "/new", new_promotion),
    page(PROMOTIONS + "/new", create_promotion, methods=("POST",)),
    page(PROMOTIONS + "/{code}", edit_promotion),
    page(PROMOTIONS + "/{code}", change_promotion, methods=("POST",)),
]

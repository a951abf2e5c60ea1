"""The JSON doors of staff: promotions to list, make, limit and end; each change audited."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from portal.kit import db
from portal.kit.errors import Forbidden, NotSignedIn
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.pricing import promotions
from portal.tariffs import service
from portal.tariffs.errors import CodeTaken, UnknownPromotion
from portal.tariffs.forms import PromotionOut, PromotionPatch, PromotionsOut, PromotionWish, out

PRIVATE = {"Cache-Control": "private, no-store"}


@operation("Promotions, those on sale first", answer=PromotionsOut, errors=(NotSignedIn, Forbidden))
def every(request: Request) -> Response:
    """List promotions with their limits and how often each was used. For staff."""
    request.require("staff", "admin")
    with db.reading() as session:
        found = promotions.all_promotions(session)
    return JSONResponse(PromotionsOut(data=tuple(out(one) for one in found)).wire(), headers=PRIVATE)


@operation(
    "Make a promotion",
    body=PromotionWish,
    answer=PromotionOut,
    status=201,
    errors=(NotSignedIn, Forbidden, CodeTaken),
)
def create(request: Request, body: PromotionWish) -> Response:
    """Keep a new promotion. For admins."""
    viewer = request.require("admin")
    with db.writing() as session:
        made = service.create_promotion(session, body, actor_id=viewer.id)
    headers = {**PRIVATE, "Location": f"/api/admin/promotions/{made.code}"}
    return JSONResponse(out(made).wire(), 201, headers)


@operation(
    "Change or end a promotion",
    body=PromotionPatch,
    answer=PromotionOut,
    errors=(NotSignedIn, Forbidden, UnknownPromotion),
)
def change(request: Request, body: PromotionPatch) -> Response:
    """Change some limits of a promotion, or end it; what it is worth never changes. For admins."""
    viewer = request.require("admin")
    changes = body.model_dump(exclude_unset=True, exclude={"ended"})
    code = request.path_params["code"]
    with db.writing() as session:
        after = service.change_promotion(session, code, changes, ended=bool(body.ended), actor_id=viewer.id)
    return JSONResponse(out(after).wire(), headers=PRIVATE)


routes: list[BaseRoute] = [
    endpoint("/api/admin/promotions", every),
    endpoint("/api/admin/promotions", create, methods=("POST",)),
    endpoint("/api/admin/promotions/{code}", change, methods=("PATCH",)),
]

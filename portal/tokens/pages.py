"""/account/api-keys: an account's API keys and signed-in programs; a new key wants fresh proof and is shown once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from starlette.responses import Response

from portal.kit import clock, db
from portal.kit.errors import Invalid, NotFound, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.validation import parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other
from portal.tokens import queries, rules, service
from portal.tokens.errors import TooManyKeys
from portal.tokens.forms import NewKey

HERE = "/account/api-keys"
DAYS = ("30", "90", "365")


def keys(request: Request) -> Response:
    """List keys and programs, each with a button that ends it."""
    viewer, now = request.require(), clock.now()
    with db.reading() as session:
        kept, programs = queries.keys(session, viewer.id), queries.programs(session, viewer.id, now)
    shown: dict[str, Any] = {"keys": kept, "programs": programs, "now": now, "most": rules.MOST_KEYS}
    return render(request, "tokens/keys.html", words=rules.scope_words(), **shown)


def new_key(request: Request) -> Response:
    """Ask what a key is to be; asks first who is there, so that nothing typed is lost."""
    request.fresh()
    return _form(request, {"days": "90"}, (), {}, 200)


def make(request: Request) -> Response:
    """Make the key and show it, this once."""
    viewer = request.fresh()
    typed = {name: str(value)[:2000] for name, value in request.fields.items()}
    scopes = [str(scope) for scope in request.fields.getlist("scopes")]
    try:
        wish = parse(NewKey, _wish(typed, scopes))
        with db.writing() as session:
            made = service.make_key(session, viewer.id, viewer.role, wish)
    except (Invalid, TooManyKeys) as no:
        return _form(request, typed, scopes, _told(no), no.status)
    response = render(request, "tokens/made.html", made=made, words=rules.scope_words())
    response.headers["Cache-Control"] = "no-store"
    return response


def _wish(typed: Mapping[str, str], scopes: list[str]) -> dict[str, Any]:
    days, addresses = typed.get("days", ""), typed.get("addresses", "").replace(",", " ").split()
    until = clock.now() + timedelta(days=int(days)) if days in DAYS else None
    return {"name": typed.get("name", ""), "scopes": scopes, "expiresAt": until, "addresses": addresses}


def _told(no: PortalError) -> dict[str, str]:
    found = errors_by_field(no) or {"": no.detail}
    return {name.split(".")[0]: sentence for name, sentence in found.items()}


def _form(request: Request, typed: Mapping[str, str], scopes: Any, errors: Any, status: int) -> Response:
    form = {name: typed.get(name, "") for name in ("name", "days", "addresses")}
    words, mine = rules.scope_words(), rules.scopes_for(request.require().role)
    pairs = [(scope, words[scope]) for scope in mine]
    own = len(rules.FOR_ALL)
    offered = [(_("Your own things"), pairs[:own]), (_("Back office"), pairs[own:])]
    lasts = [("30", _("30 days")), ("90", _("90 days")), ("365", _("One year")), ("never", _("Until I revoke it"))]
    shown = {"form": form, "chosen": set(scopes), "errors": errors, "offered": offered, "lasts": lasts}
    return render(request, "tokens/new.html", status=status, **shown)


def revoke(request: Request) -> Response:
    """Make a key worthless from now on."""
    viewer = request.require()
    with db.writing() as session:
        service.revoke_key(session, viewer.id, _id(request))
    return see_other(request, HERE, Notice("good", _("The key is revoked. Nothing can use it any more.")))


def end_program(request: Request) -> Response:
    """Sign a program out."""
    viewer = request.require()
    with db.writing() as session:
        service.end_program(session, viewer.id, _id(request))
    return see_other(request, HERE, Notice("good", _("The program is signed out.")))


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise NotFound() from None


routes = [
    page(HERE, keys),
    page(f"{HERE}/new", new_key),
    page(f"{HERE}/new", make, methods=("POST",)),
    page(f"{HERE}/{{id}}/revoke", revoke, methods=("POST",)),
    page(f"{HERE}/programs/{{id}}/end", end_program, methods=("POST",)),
]

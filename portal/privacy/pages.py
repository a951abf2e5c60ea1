"""Pages of one's own data: what is kept and why, a copy of it, and being erased. Both ask for a proof first."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.responses import Response

from portal.accounts import queries as people
from portal.kit import db, limits, signing
from portal.kit.errors import PortalError
from portal.kit.i18n import gettext as _
from portal.kit.web import Notice, Request, page, render, see_other
from portal.privacy import queries, rules, service
from portal.privacy.errors import CopyUnderway, TooLateToStay, UnknownCopy

PRIVATE = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


def privacy(request: Request) -> Response:
    """Say what is kept about the reader, for what and how long, and offer a copy and the end of it."""
    viewer = request.require()
    with db.reading() as session:
        likes, copies = people.likes(session, viewer.id), queries.copies(session, viewer.id)
    return render(request, "privacy/privacy.html", likes=likes, copies=copies, kept_days=rules.COPY_KEPT.days)


def ask_copy(request: Request) -> Response:
    """Have a copy made, and lead to where it can be watched and fetched."""
    viewer = request.fresh()
    limits.check(request.settings, "register", f"copy {viewer.id}")
    try:
        with db.writing() as session:
            made = service.ask_copy(session, viewer.id)
    except CopyUnderway as no:
        return see_other(request, "/account/privacy", Notice("info", f"{no.title}."))
    return see_other(request, f"/account/privacy/copies/{made}")


def copy(request: Request) -> Response:
    """Show how far a copy is; once it is ready, the link to it is good for an hour."""
    viewer = request.require()
    with db.reading() as session:
        found = queries.own_copy(session, viewer.id, _copy_id(request))
    shown: Any = {"copy": found, "kept_days": rules.COPY_KEPT.days}
    link = service.file_link(request.settings, found.id) if found.state == "ready" else ""
    return render(request, "privacy/copy.html", block="state", link=link, **shown)


def copy_file(request: Request) -> Response:
    """Hand the copy to its owner, by the link of its page."""
    viewer, copy_id = request.fresh(), _copy_id(request)
    try:
        signed = signing.unseal(
            request.settings, service.FILE, request.query_params.get("token", ""), max_age_seconds=rules.LINK_SECONDS
        )
    except ValueError:
        raise UnknownCopy(_("This link is over. Please open the page of the copy again.")) from None
    with db.writing() as session:
        content = service.fetch_copy(session, viewer.id, copy_id) if signed == str(copy_id) else None
    if content is None:
        raise UnknownCopy()
    headers = {**PRIVATE, "Content-Disposition": 'attachment; filename="my-data.zip"'}
    return Response(content, media_type="application/zip", headers=headers)


def _copy_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise UnknownCopy() from None


def delete_form(request: Request) -> Response:
    """Say what deleting the account does, what stays and why, and what becomes of trips that are still to come."""
    viewer = request.fresh()
    with db.reading() as session:
        trips, credits = queries.upcoming(session, viewer.id), queries.open_credits(session, viewer.email)
    shown: Any = {"trips": trips, "credits": credits, "grace": rules.GRACE.days, "after": rules.AFTER_FLIGHT.days}
    return render(request, "privacy/delete.html", errors={}, **shown)


def delete(request: Request) -> Response:
    """Close the account at once; it is erased after the grace."""
    viewer = request.fresh()
    if request.fields.get("sure") != "1":
        return see_other(request, "/account/privacy/delete", Notice("warn", _("Please tick that you have read it.")))
    with db.writing() as session:
        service.ask_erasure(session, request.settings, viewer.id)
    sentence = _("Your account is closed, and erased in %(days)d days. A letter says how to take that back.")
    return see_other(request, "/", Notice("info", sentence % {"days": rules.GRACE.days}))


def keep_form(request: Request) -> Response:
    """Show which account a mailed link keeps."""
    token = request.query_params.get("token", "")
    try:
        with db.reading() as session:
            email = service.keeping(session, request.settings, token)
    except TooLateToStay as no:
        return _over(request, no)
    response = render(request, "privacy/keep.html", email=email, token=token)
    response.headers.update(PRIVATE)
    return response


def keep(request: Request) -> Response:
    """Open the account again."""
    try:
        with db.writing() as session:
            service.keep(session, request.settings, str(request.fields.get("token", "")))
    except TooLateToStay as no:
        return _over(request, no)
    return see_other(request, "/account/sign-in", Notice("good", _("Your account stays. Please sign in.")))


def _over(request: Request, no: PortalError) -> Response:
    response = render(
        request, "accounts/link_over.html", status=no.status, problem=no, again="/", again_words=_("To the first page")
    )
    response.headers.update(PRIVATE)
    return response


routes = [
    page("/account/privacy", privacy),
    page("/account/privacy/copies", ask_copy, methods=("POST",)),
    page("/account/privacy/copies/{id}", copy),
    page("/account/privacy/copies/{id}/file", copy_file),
    page("/account/privacy/delete", delete_form),
    page("/account/privacy/delete", delete, methods=("POST",)),
    page("/account/privacy/keep", keep_form),
    page("/account/privacy/keep", keep, methods=("POST",)),
]

"""The doors by which somebody signs in and out, and whom a cookie stands for."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from portal.accounts import queries, rules, service
from portal.accounts.errors import WrongCredentials
from portal.accounts.forms import SignInForm
from portal.kit import clock, db, grants, limits, outbox, signing
from portal.kit.errors import Invalid
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, Viewer, errors_by_field, page, render, see_other

YEAR = 365 * 86_400


def viewer_from_session(request: Request) -> Viewer | None:
    """Return who the session cookie stands for, or None; notes now and then that they are still there."""
    kept = word(request)
    if kept is None:
        return None
    now = clock.now()
    with db.reading() as session:
        seen = queries.by_sign_in(session, kept, now)
    if seen is None:
        return None
    if now - seen.last_seen_at > rules.SEEN_EVERY:
        with db.writing() as session:
            service.note_seen(session, kept, seen)
    return viewer(seen.person)


def viewer(person: queries.Known) -> Viewer:
    """Return `person` as the doors know them."""
    return Viewer(person.id, person.email, person.name, person.role)


def cookie_name(settings: Settings) -> str:
    """Return the session cookie's name; `__Host-` binds it to this very host where https protects it."""
    return "__Host-sign-in" if settings.secure_cookies else "sign-in"


def word(request: Request) -> str | None:
    """Return the word of this browser's cookie, or None when there is none of ours."""
    sealed = request.cookies.get(cookie_name(request.settings))
    if not sealed:
        return None
    try:
        return str(signing.unseal(request.settings, "sign-in", sealed))
    except ValueError:
        return None


def sign_in_form(request: Request) -> Response:
    """Ask who it is; who is known already goes on."""
    after = local(request.query_params.get("next", ""))
    if request.viewer is not None:
        return see_other(request, after or _home(request.viewer.role))
    return _sign_in_page(request, "", {}, 200, after)


def sign_in(request: Request) -> Response:
    """Begin a signed-in browser with a new cookie, whatever cookie came along, and go where the reader wanted."""
    typed = dict(request.fields)
    try:
        wish = parse(SignInForm, nested(request.fields))
        with db.reading() as session:
            person = service.identify(session, wish, request.settings, caller=limits.caller(request.scope))
    except (Invalid, WrongCredentials) as no:
        found = errors_by_field(no) or {"email": f"{no.title}."}
        return _sign_in_page(request, str(typed.get("email", "")), found, 422, local(typed.get("next", "")))
    with db.writing() as session:
        _forget_old_cookie(request, session)
        service.renew_hash(session, person.id, wish.password)
        agent = request.headers.get("user-agent", "")
        fresh = service.sign_in(session, person, address=limits.caller(request.scope), agent=agent)
        language = queries.likes(session, person.id).language
        _bring_along(request, session, person.id)
    response = see_other(request, local(wish.next) or _home(person.role))
    _set_cookie(request, response, fresh)
    if language:
        set_language(request, response, language)
    return response


def _bring_along(request: Request, session: Any, user_id: UUID) -> None:
    """Let the bookings that this browser made before as a guest become the account's: those it may change only."""
    if made := grants.managed(request):
        outbox.post(session, "bookings.adopt", userId=str(user_id), references=made)


def set_language(request: Request, response: Response, language: str) -> None:
    """Let this browser read in `language` from now on."""
    response.set_cookie("locale", language, max_age=YEAR, samesite="lax", secure=request.settings.secure_cookies)


def _forget_old_cookie(request: Request, session: Any) -> None:
    kept = word(request)
    if kept is not None:
        service.sign_out(session, kept)


def _sign_in_page(request: Request, email: str, errors: Any, status: int, after: str) -> Response:
    words = {"customer": _("Traveller"), "staff": _("Staff"), "admin": _("Administrator")}
    accounts = [(address, words[role]) for address, _given, _family, role in service.DEMO_USERS]
    return render(
        request,
        "accounts/sign_in.html",
        status=status,
        form={"email": email},
        errors=errors,
        next=after,
        demo_accounts=accounts,
        demo_password=service.DEMO_PASSWORD,
    )


def _set_cookie(request: Request, response: Response, fresh: str) -> None:
    response.set_cookie(
        cookie_name(request.settings),
        signing.seal(request.settings, "sign-in", fresh),
        max_age=int(rules.LONGEST.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.settings.secure_cookies,
    )


def sign_out(request: Request) -> Response:
    """End this browser's sign-in here and in the database."""
    kept = word(request)
    if kept is not None:
        with db.writing() as session:
            service.sign_out(session, kept)
    response = see_other(request, "/", Notice("good", _("You are signed out.")))
    response.delete_cookie(
        cookie_name(request.settings), httponly=True, samesite="lax", secure=request.settings.secure_cookies
    )
    return response


def local(wish: object) -> str:
    """Return `wish` if it is a path of this portal, else nothing."""
    return rules.local_path(str(wish), "")


def sign_in_url(after: str) -> str:
    """Return the address of the sign-in page, which then leads on to `after`."""
    return f"/account/sign-in?{urlencode({'next': after})}" if local(after) else "/account/sign-in"


def _home(role: str) -> str:
    return "/" if role == "customer" else "/admin"


routes = [
    page("/account/sign-in", sign_in_form),
    page("/account/sign-in", sign_in, methods=("POST",)),
    page("/account/sign-out", sign_out, methods=("POST",)),
]

"""The doors by which somebody signs in and out, and whom a cookie stands for.

Signing in goes: password → (second step, where the account has one) → a new word for the cookie. A passkey is both
steps at once, for the device recognised its owner. Nobody is half in: until the second step is done, the cookie that
waits for it opens nothing else.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response

from portal.accounts import guard, queries, rules, service
from portal.accounts.errors import WrongCredentials
from portal.accounts.forms import SignInForm
from portal.factors import queries as kept_factors
from portal.factors import rules as factor_rules
from portal.factors import service as factors
from portal.kit import clock, db, grants, limits, outbox, signing
from portal.kit.errors import Invalid
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, Viewer, errors_by_field, page, render, see_other

YEAR = 365 * 86_400
HALF, REMEMBERED, LINK = "half-way", "remembered", "link-provider"
LINK_SECONDS = 600
HALF_SECONDS = int(factor_rules.HALF_LASTS.total_seconds())
REMEMBERED_SECONDS = int(factor_rules.REMEMBERED_LASTS.total_seconds())


def viewer_from_session(request: Request) -> Viewer | None:
    """Return who the session cookie stands for, or None; notes now and then that they are still there.

    Where staff must have a second factor, they are travellers like others until this very sign-in has shown one.
    """
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
    waits = seen.factor_at is None and must_have_factor(request.settings, seen.person.role)
    role = "customer" if waits else seen.person.role
    return Viewer(seen.person.id, seen.person.email, seen.person.name, role, proved_at=seen.proved_at)


def must_have_factor(settings: Settings, role: str) -> bool:
    """True for whom a password alone does not open the back office."""
    return settings.staff_second_factor and role != "customer"


def cookie_name(settings: Settings, name: str = "sign-in") -> str:
    """Return a cookie's name; `__Host-` binds it to this very host where https protects it."""
    return f"__Host-{name}" if settings.secure_cookies else name


def word(request: Request) -> str | None:
    """Return the word of this browser's cookie, or None when there is none of ours."""
    found = unsealed(request, "sign-in")
    return str(found) if found else None


def unsealed(request: Request, name: str, seconds: int | None = None) -> Any:
    """Return what a cookie of ours holds, or None without one, and for a forged or lapsed one."""
    sealed = request.cookies.get(cookie_name(request.settings, name))
    try:
        return signing.unseal(request.settings, name, sealed, max_age_seconds=seconds) if sealed else None
    except ValueError:
        return None


def set_cookie(request: Request, response: Response, name: str, payload: Any, seconds: int) -> None:
    """Give the browser a sealed cookie that its scripts cannot read."""
    response.set_cookie(
        cookie_name(request.settings, name),
        signing.seal(request.settings, name, payload),
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.settings.secure_cookies,
    )


def drop_cookie(request: Request, response: Response, name: str) -> None:
    """Take a cookie back from the browser."""
    response.delete_cookie(
        cookie_name(request.settings, name), httponly=True, samesite="lax", secure=request.settings.secure_cookies
    )


# ── password ──────────────────────────────────────────────────────────────────────────────────────────────


def sign_in_form(request: Request) -> Response:
    """Ask who it is; who is known already goes on."""
    after = local(request.query_params.get("next", ""))
    if request.viewer is not None:
        return see_other(request, after or _home(request.viewer.role))
    return sign_in_page(request, "", {}, 200, after)


def sign_in(request: Request) -> Response:
    """Take a password: go on to the second step where the account has one, else begin a signed-in browser."""
    typed = dict(request.fields)
    try:
        wish = parse(SignInForm, nested(request.fields))
        person = guard.identify(request, wish)
    except (Invalid, WrongCredentials) as no:
        found = errors_by_field(no) or {"email": f"{no.title}."}
        return sign_in_page(request, str(typed.get("email", "")), found, 422, local(typed.get("next", "")))
    with db.writing() as session:
        service.renew_hash(session, person.id, wish.password)
    return second_or_enter(request, person, local(wish.next))


def sign_in_page(request: Request, email: str, errors: Any, status: int, after: str) -> Response:
    """Return the sign-in page with what was typed and what was wrong with it."""
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
        home=factor_rules.home(request.settings.base_url),
        provider=request.settings.oidc_label,
    )


def second_or_enter(request: Request, person: queries.Known, after: str) -> Response:
    """Ask somebody who passed the first step for the second, or let them in where there is none to ask for."""
    remembered = not must_have_factor(request.settings, person.role) and _is_remembered(request, person.id)
    with db.writing() as session:
        service.hold_still(session, person)
        asked = factors.required(session, person.id) and not remembered
        half = factors.begin_half(session, person.id) if asked else None
    if half is None:
        return enter(request, person, after, factor=remembered)
    response = see_other(request, "/account/sign-in/second")
    set_cookie(request, response, HALF, [half, after], HALF_SECONDS)
    return response


def _is_remembered(request: Request, user_id: UUID) -> bool:
    kept = unsealed(request, REMEMBERED, REMEMBERED_SECONDS)
    with db.reading() as session:
        return bool(kept) and kept_factors.is_remembered(session, user_id, str(kept))


# ── in ────────────────────────────────────────────────────────────────────────────────────────────────────


def enter(request: Request, person: queries.Known, after: str, *, factor: bool) -> Response:
    """Begin a signed-in browser with a new cookie, whatever cookie came along, and go where the reader wanted.

    `factor` says that a second factor was shown, or that this browser is remembered for one.
    """
    with db.writing() as session:
        _forget_old_cookie(request, session)
        agent, address = request.headers.get("user-agent", ""), limits.caller(request.scope)
        fresh = service.sign_in(session, person, address=address, agent=agent, factor=factor)
        language = queries.likes(session, person.id).language
        _bring_along(request, session, person.id)
        linked = _link(request, session, person)
    guard.count(request, "in")
    response = _welcome(request, person, after, factor)
    if linked:
        drop_cookie(request, response, LINK)
    set_cookie(request, response, "sign-in", fresh, int(rules.LONGEST.total_seconds()))
    guard.remember(request, response, person.email)
    if language:
        set_language(request, response, language)
    return response


def _welcome(request: Request, person: queries.Known, after: str, factor: bool) -> Response:
    if factor or not must_have_factor(request.settings, person.role):
        return see_other(request, after or _home(person.role))
    why = _("Who works here signs in with a second step. Set it up now, and the back office opens.")
    return see_other(request, "/account/security/authenticator", Notice("warn", why))


def _link(request: Request, session: Session, person: queries.Known) -> bool:
    """Connect the account elsewhere that waits for its owner to sign in here in the way they always did."""
    waiting = unsealed(request, LINK, LINK_SECONDS)
    if not waiting or waiting["userId"] != str(person.id):
        return False
    return factors.link(
        session, person.id, issuer=waiting["issuer"], subject=waiting["subject"], email=waiting["email"]
    )


def _bring_along(request: Request, session: Session, user_id: UUID) -> None:
    """Let the bookings that this browser made before as a guest become the account's: those it may change only."""
    if made := grants.managed(request):
        outbox.post(session, "bookings.adopt", userId=str(user_id), references=made)


def set_language(request: Request, response: Response, language: str) -> None:
    """Let this browser read in `language` from now on."""
    response.set_cookie("locale", language, max_age=YEAR, samesite="lax", secure=request.settings.secure_cookies)


def _forget_old_cookie(request: Request, session: Session) -> None:
    kept = word(request)
    if kept is not None:
        service.sign_out(session, kept)


def sign_out(request: Request) -> Response:
    """End this browser's sign-in here and in the database, and what it may do with bookings: others may come next."""
    kept = word(request)
    if kept is not None:
        with db.writing() as session:
            service.sign_out(session, kept)
    response = see_other(request, "/", Notice("good", _("You are signed out.")))
    drop_cookie(request, response, "sign-in")
    grants.forget(request, response)
    return response


def fresh(request: Request) -> Viewer:
    """Return the viewer if they showed who they are within ten minutes; raises ProofNeeded, which asks them to."""
    return request.fresh()


def note_proof(request: Request, session: Session, *, factor: bool = True) -> None:
    """Write down that this sign-in has just shown who is there; a second factor opens the back office, too."""
    kept = word(request)
    if kept is not None:
        service.prove(session, kept, factor=factor)


def local(wish: object) -> str:
    """Return `wish` if it is a path of this portal and not itself a step of signing in, else nothing."""
    path = rules.local_path(str(wish), "")
    return "" if path.startswith("/account/sign-in") else path


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

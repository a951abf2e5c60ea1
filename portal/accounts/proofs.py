"""The doors where somebody shows more than a password: the second step of signing in, a passkey, and a proof once more.

A passkey alone signs in, for the device recognised its owner. Guesses are counted per account, and five per password.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response

from portal.accounts import guard, queries, rules
from portal.accounts.entrance import (
    HALF,
    HALF_SECONDS,
    REMEMBERED,
    REMEMBERED_SECONDS,
    drop_cookie,
    enter,
    local,
    must_have_factor,
    note_proof,
    set_cookie,
    sign_in_page,
    sign_in_url,
    unsealed,
)
from portal.accounts.errors import WrongCredentials
from portal.accounts.forms import SignInForm
from portal.factors import passkeys
from portal.factors import queries as kept_factors
from portal.factors import rules as factor_rules
from portal.factors import service as factors
from portal.factors.errors import HalfWayLapsed, OfferLapsed, PasskeyRefused, WrongCode
from portal.kit import db, limits
from portal.kit.errors import Invalid, NotSignedIn, PortalError, TooMany
from portal.kit.i18n import gettext as _
from portal.kit.validation import parse
from portal.kit.web import Notice, Request, Viewer, errors_by_field, page, render, see_other


def half_way(view: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Let a door of the second step send who is not half-way in (any more) back to the beginning."""

    @wraps(view)
    def door(request: Request) -> Response:
        try:
            return view(request)
        except TooMany:
            guard.count(request, "held_up")
            raise
        except HalfWayLapsed as no:
            why = _("That took longer than five minutes, or there were too many wrong codes. Please begin again.")
            response = see_other(request, sign_in_url(""), Notice("info", no.detail or why))
            drop_cookie(request, response, HALF)
            return response

    return door


def _half(request: Request) -> tuple[str, str]:
    """Return the word and the way on of a half-signed browser; raises HalfWayLapsed without one."""
    try:
        kept, after = unsealed(request, HALF, HALF_SECONDS)
    except (TypeError, ValueError):
        raise HalfWayLapsed() from None
    return str(kept), local(after)


@half_way
def second_form(request: Request) -> Response:
    """Ask for the second step: a code of the app, a passkey, or a recovery code."""
    kept, _after = _half(request)
    with db.reading() as session:
        user_id = kept_factors.half(session, kept)
    if user_id is None:
        raise HalfWayLapsed()
    return _second_page(request, user_id, {}, 200)


def _second_page(request: Request, user_id: UUID, errors: Any, status: int) -> Response:
    with db.reading() as session:
        have = kept_factors.of(session, user_id)
        person = queries.may_enter(session, user_id)
    must = person is not None and must_have_factor(request.settings, person.role)
    return render(
        request,
        "accounts/sign_in_second.html",
        status=status,
        have=have,
        errors=errors,
        recovery=have.app is None or request.query_params.get("with") == "recovery",
        may_remember=not must,
        home=factor_rules.home(request.settings.base_url),
    )


@half_way
def second(request: Request) -> Response:
    """Take a code: begin a signed-in browser if it is right, and count the guess if it is not."""
    kept, after = _half(request)
    with db.writing() as session:
        user_id = factors.guess_half(session, kept)
    code = str(request.fields.get("code", ""))
    with db.writing() as session:
        right = factors.verify(session, request.settings, user_id, code)
        person = _finished(session, kept, user_id) if right else None
    if person is None:
        guard.count(request, "wrong_code")
        why = _("This code is not right, or was used before. Please look for the newest one.")
        return _second_page(request, user_id, {"code": why}, 422)
    return _second_done(request, person, after)


def _finished(session: Session, kept: str, user_id: UUID) -> queries.Known:
    """End the half-way sign-in and return who it was, as they are now: a password changed meanwhile has ended it."""
    factors.end_half(session, kept)
    person = queries.may_enter(session, user_id)
    if person is None:
        raise HalfWayLapsed()
    return person


def _second_done(request: Request, person: queries.Known, after: str) -> Response:
    wanted = request.fields.get("remember") == "1" and not must_have_factor(request.settings, person.role)
    response = enter(request, person, after, factor=True)
    drop_cookie(request, response, HALF)
    if wanted:
        with db.writing() as session:
            agent = rules.device_name(request.headers.get("user-agent", ""))
            kept = factors.remember(session, person.id, agent=agent)
        set_cookie(request, response, REMEMBERED, kept, REMEMBERED_SECONDS)
    return response


# ── passkeys ──────────────────────────────────────────────────────────────────────────────────────────────


def passkey_wanted(request: Request) -> Response:
    """Tell the browser's script what to ask the device for: any passkey that it has for us.

    Every look at the sign-in page asks this, so only its lane limits it: it writes nothing, and opens nothing alone.
    """
    with db.reading() as session:
        return _json(passkeys.assertion(session, request.settings, passkeys.SIGN_IN))


@half_way
def second_passkey_wanted(request: Request) -> Response:
    """Tell the browser's script what to ask the device for: one of the passkeys of who is half-way in."""
    kept, _after = _half(request)
    with db.reading() as session:
        user_id = kept_factors.half(session, kept)
        if user_id is None:
            raise HalfWayLapsed()
        return _json(passkeys.assertion(session, request.settings, passkeys.SECOND, user_id))


def _json(text: str) -> Response:
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


def passkey_sign_in(request: Request) -> Response:
    """Begin a signed-in browser for whose passkey the device showed: its owner was recognised there."""
    limits.check(request.settings, "passkey", limits.caller(request.scope))
    after = local(request.fields.get("next", ""))
    try:
        with db.writing() as session:
            user_id = passkeys.recognise(session, request.settings, passkeys.SIGN_IN, _answer(request))
            person = queries.may_enter(session, user_id)
    except (PasskeyRefused, OfferLapsed) as no:
        guard.count(request, "wrong_passkey")
        return sign_in_page(request, "", {"passkey": f"{no.title}."}, 422, after)
    if person is None:
        raise NotSignedIn()
    return enter(request, person, after, factor=True)


@half_way
def second_passkey(request: Request) -> Response:
    """Finish signing in with a passkey instead of a code."""
    kept, after = _half(request)
    with db.writing() as session:
        user_id = factors.guess_half(session, kept)
    try:
        with db.writing() as session:
            passkeys.recognise(session, request.settings, passkeys.SECOND, _answer(request), user_id)
            person = _finished(session, kept, user_id)
    except (PasskeyRefused, OfferLapsed) as no:
        guard.count(request, "wrong_passkey")
        return _second_page(request, user_id, {"passkey": f"{no.title}."}, 422)
    return _second_done(request, person, after)


def _answer(request: Request) -> str:
    return str(request.fields.get("answer", ""))


def confirm_form(request: Request) -> Response:
    """Ask somebody signed in to show once more who they are."""
    request.require()
    return _confirm_page(request, {}, 200, local(request.query_params.get("next", "")))


def _confirm_page(request: Request, errors: Any, status: int, after: str) -> Response:
    with db.reading() as session:
        have = kept_factors.of(session, request.require().id)
    home = factor_rules.home(request.settings.base_url)
    return render(
        request,
        "accounts/sign_in_again.html",
        status=status,
        have=have,
        errors=errors,
        next=after,
        home=home,
        provider=request.settings.oidc_label,
    )


def confirm(request: Request) -> Response:
    """Take a password or a code as proof, within the same limits as signing in."""
    viewer, after = request.require(), local(request.fields.get("next", ""))
    try:
        if request.fields.get("code"):
            _prove_by_code(request, viewer)
        else:
            _prove_by_password(request, viewer)
    except (Invalid, WrongCredentials) as no:
        return _confirm_page(request, _wrong(no), 422, after)
    return see_other(request, after or "/account")


def _wrong(no: PortalError) -> dict[str, str]:
    if isinstance(no, WrongCode):
        return {"code": f"{no.title}."}
    return {"password": errors_by_field(no).get("password", "") or _("This is not the password of your account.")}


def _prove_by_password(request: Request, viewer: Viewer) -> None:
    wish = parse(SignInForm, {"email": viewer.email, "password": str(request.fields.get("password", ""))})
    if guard.identify(request, wish).id != viewer.id:
        raise WrongCredentials()
    with db.writing() as session:
        note_proof(request, session, factor=False)


def _prove_by_code(request: Request, viewer: Viewer) -> None:
    with db.writing() as session:
        right = factors.verify(session, request.settings, viewer.id, str(request.fields["code"]))
        if right:
            note_proof(request, session)
    if not right:
        raise WrongCode()


def confirm_passkey_wanted(request: Request) -> Response:
    """Tell the browser's script what to ask the device for: one of the viewer's own passkeys."""
    viewer = request.require()
    with db.reading() as session:
        return _json(passkeys.assertion(session, request.settings, passkeys.CONFIRM, viewer.id))


def confirm_passkey(request: Request) -> Response:
    """Take a passkey as proof."""
    viewer, after = request.require(), local(request.fields.get("next", ""))
    try:
        with db.writing() as session:
            passkeys.recognise(session, request.settings, passkeys.CONFIRM, _answer(request), viewer.id)
            note_proof(request, session)
    except (PasskeyRefused, OfferLapsed) as no:
        return _confirm_page(request, {"passkey": f"{no.title}."}, 422, after)
    return see_other(request, after or "/account")


routes = [
    page("/account/sign-in/second", second_form),
    page("/account/sign-in/second", second, methods=("POST",)),
    page("/account/sign-in/second/passkey", second_passkey_wanted),
    page("/account/sign-in/second/passkey", second_passkey, methods=("POST",)),
    page("/account/sign-in/passkey", passkey_wanted),
    page("/account/sign-in/passkey", passkey_sign_in, methods=("POST",)),
    page("/account/confirm", confirm_form),
    page("/account/confirm", confirm, methods=("POST",)),
    page("/account/confirm/passkey", confirm_passkey_wanted),
    page("/account/confirm/passkey", confirm_passkey, methods=("POST",)),
]

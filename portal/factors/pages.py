"""Pages where an account's owner sees, adds, names and removes what signs them in besides the password.

Whatever changes something asks for a proof of the last ten minutes (`request.fresh()`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import PlainTextResponse, Response

from portal.factors import passkeys, queries, rules, service
from portal.factors.errors import (
    OfferLapsed,
    PasskeyKnown,
    PasskeyRefused,
    TooManyPasskeys,
    UnknownFactor,
    WrongCode,
)
from portal.factors.forms import Enrolment, Naming, NewPasskey
from portal.kit import db
from portal.kit.errors import Invalid
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other

HERE = "/account/security/second-step"
PRIVATE = {"Cache-Control": "no-store"}


def overview(request: Request) -> Response:
    """Show all that signs the reader in besides the password."""
    return _overview(request, {}, 200)


def _overview(request: Request, errors: Any, status: int) -> Response:
    viewer = request.require()
    with db.reading() as session:
        have = queries.of(session, viewer.id)
    shown = {"have": have, "errors": errors, "home": rules.home(request.settings.base_url)}
    shown["connecting"] = service.connecting(request.settings, viewer.id)
    provider = request.settings.oidc_name or request.settings.oidc_issuer
    return render(
        request, "factors/overview.html", status=status, dealt=rules.RECOVERY_CODES, provider=provider, **shown
    )


def _done(request: Request, words: str) -> Response:
    return see_other(request, HERE, Notice("good", words))


# ── the authenticator app ─────────────────────────────────────────────────────────────────────────────────


def app_form(request: Request) -> Response:
    """Offer a new secret, as a QR code and as text, and ask for its first code."""
    viewer = request.fresh()
    _secret, sealed = service.offer(request.settings, viewer.id)
    return _app_page(request, sealed, {"name": _("My phone"), "code": ""}, {}, 200)


def _app_page(request: Request, sealed: str, form: Any, errors: Any, status: int) -> Response:
    viewer = request.fresh()
    secret = service.offered(request.settings, viewer.id, sealed)
    address = rules.app_address(secret, viewer.email, request.settings.email_from_name)
    with db.reading() as session:
        again = queries.has_app(session, viewer.id)
    response = render(
        request,
        "factors/authenticator.html",
        status=status,
        form=form,
        errors=errors,
        again=again,
        symbol=rules.draw(address),
        secret=rules.typed_secret(secret),
        address=address,
        offer=sealed,
    )
    response.headers.update(PRIVATE)
    return response


def enrol_app(request: Request) -> Response:
    """Take the app's first code: from now on a password alone signs nobody in. New codes for bad days come with it."""
    viewer = request.fresh()
    typed = {name: str(request.fields.get(name, "")) for name in ("offer", "code", "name")}
    try:
        wish = parse(Enrolment, nested(typed))
        with db.writing() as session:
            service.enrol(session, request.settings, viewer.id, sealed=wish.offer, code=wish.code, name=wish.name)
            _note_factor(request, session)
            codes = _first_codes(session, viewer.id)
    except OfferLapsed as no:
        return see_other(request, "/account/security/authenticator", Notice("info", f"{no.title}."))
    except (Invalid, WrongCode) as no:
        found = errors_by_field(no) or {
            "code": _("This is not the code that belongs to this picture. Try the next one.")
        }
        return _app_page(request, typed["offer"], typed, found, 422)
    words = _("Your app is connected. From now on signing in asks for its code.")
    return _codes_page(request, codes, words) if codes else _done(request, words)


def _note_factor(request: Request, session: Any) -> None:
    """Tell the room above that this very sign-in has shown a second factor."""
    request.app.state.note_proof(request, session)


def _first_codes(session: Any, user_id: UUID) -> list[str]:
    return [] if queries.codes_left(session, user_id) else service.deal(session, user_id)


def rename_app(request: Request) -> Response:
    """Call the app otherwise."""
    return _renamed(request, "app-name", service.rename_app, request.fresh().id)


def _renamed(request: Request, field: str, rename: Callable[..., None], *whose: UUID) -> Response:
    try:
        wish = parse(Naming, nested(request.fields))
    except Invalid as no:
        return _overview(request, {field: errors_by_field(no).get("name", no.title)}, 422)
    with db.writing() as session:
        rename(session, *whose, wish.name)
    return _done(request, _("Renamed."))


def remove_app(request: Request) -> Response:
    """Take the app off the account."""
    viewer = request.fresh()
    with db.writing() as session:
        service.remove_app(session, viewer.id)
    return _done(request, _("The app is removed."))


# ── passkeys ──────────────────────────────────────────────────────────────────────────────────────────────


def passkey_wanted(request: Request) -> Response:
    """Tell the browser's script what to ask the device for: a new passkey."""
    viewer = request.fresh()
    with db.reading() as session:
        options = passkeys.registration(session, request.settings, viewer.id, email=viewer.email, name=viewer.name)
    return Response(options, media_type="application/json", headers=PRIVATE)


def add_passkey(request: Request) -> Response:
    """Put the passkey that the device made on the list."""
    viewer = request.fresh()
    try:
        wish = parse(NewPasskey, nested(request.fields))
        with db.writing() as session:
            passkeys.register(session, request.settings, viewer.id, answer=wish.answer, name=wish.name)
            _note_factor(request, session)
            codes = _first_codes(session, viewer.id)
    except (OfferLapsed, PasskeyRefused, PasskeyKnown, TooManyPasskeys) as no:
        return _overview(request, {"passkey": f"{no.title}."}, no.status)
    except Invalid as no:
        return _overview(request, {"passkey": next(iter(errors_by_field(no).values()), no.title)}, 422)
    words = _("Your passkey is on the list. You can sign in with it from now on.")
    return _codes_page(request, codes, words) if codes else _done(request, words)


def rename_passkey(request: Request) -> Response:
    """Call a passkey otherwise."""
    viewer, passkey_id = request.fresh(), _id(request)
    return _renamed(request, f"name-{passkey_id}", passkeys.rename, viewer.id, passkey_id)


def remove_passkey(request: Request) -> Response:
    """Take a passkey off the list."""
    return _taken_away(request, passkeys.remove, _("The passkey is removed. Delete it on your device, too."))


def _taken_away(request: Request, take: Callable[[Session, UUID, UUID], None], words: str) -> Response:
    viewer, thing_id = request.fresh(), _id(request)
    with db.writing() as session:
        take(session, viewer.id, thing_id)
    return _done(request, words)


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise UnknownFactor() from None


# ── recovery codes, remembered browsers, accounts elsewhere ───────────────────────────────────────────────


def new_codes(request: Request) -> Response:
    """Deal ten new recovery codes and show them, this once."""
    viewer = request.fresh()
    with db.writing() as session:
        if not queries.enrolled(session, viewer.id):
            raise UnknownFactor()
        codes = service.deal(session, viewer.id)
    return _codes_page(request, codes, "")


def _codes_page(request: Request, codes: list[str], words: str) -> Response:
    response = render(request, "factors/codes.html", codes=codes, words=words)
    response.headers.update(PRIVATE)
    return response


def codes_file(request: Request) -> Response:
    """Hand the codes that the page has just shown out as a file; only this account's own unused ones."""
    viewer = request.fresh()
    with db.reading() as session:
        codes = service.own_codes(session, viewer.id, [str(one)[:40] for one in request.fields.getlist("code")])
    head = _("Recovery codes of %(email)s at %(name)s. Each works once.")
    first = head % {"email": viewer.email, "name": request.settings.email_from_name}
    name = 'attachment; filename="recovery-codes.txt"'
    text = "\r\n".join([first, request.settings.base_url, "", *codes, ""])
    return PlainTextResponse(text, headers={**PRIVATE, "Content-Disposition": name})


def forget_browser(request: Request) -> Response:
    """Ask one remembered browser for the second step again."""
    viewer, browser_id = request.require(), _id(request)
    with db.writing() as session:
        service.forget(session, viewer.id, browser_id)
    return _done(request, _("That browser will be asked for the second step again."))


def forget_browsers(request: Request) -> Response:
    """Ask all of them again."""
    viewer = request.require()
    with db.writing() as session:
        service.forget(session, viewer.id)
    return _done(request, _("Every browser will be asked for the second step again."))


def unlink(request: Request) -> Response:
    """Let an account at another provider sign in here no more."""
    return _taken_away(request, service.unlink, _("That account is not connected any more."))


routes = [
    page(HERE, overview),
    page("/account/security/authenticator", app_form),
    page("/account/security/authenticator", enrol_app, methods=("POST",)),
    page("/account/security/authenticator/name", rename_app, methods=("POST",)),
    page("/account/security/authenticator/remove", remove_app, methods=("POST",)),
    page("/account/security/passkeys/new", passkey_wanted),
    page("/account/security/passkeys", add_passkey, methods=("POST",)),
    page("/account/security/passkeys/{id}/name", rename_passkey, methods=("POST",)),
    page("/account/security/passkeys/{id}/remove", remove_passkey, methods=("POST",)),
    page("/account/security/codes", new_codes, methods=("POST",)),
    page("/account/security/codes/file", codes_file, methods=("POST",)),
    page("/account/security/browsers", forget_browsers, methods=("POST",)),
    page("/account/security/browsers/{id}", forget_browser, methods=("POST",)),
    page("/account/security/identities/{id}/remove", unlink, methods=("POST",)),
]

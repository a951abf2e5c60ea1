"""Pages of what one signs in with, and where: mailed links, password, address, devices.

A mailed link is a GET page that shows what will happen and changes nothing; its button POSTs. No such page tells its
address to another one (Referrer-Policy), and its word stands in the query, which no log of ours keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from starlette.responses import Response

from portal.accounts import credentials, entrance, guard, passwords, queries, service
from portal.accounts.errors import AddressTaken, LinkRefused, UnknownDevice, WrongPassword
from portal.accounts.forms import AddressChange, JustAddress, PasswordChange, Reset
from portal.kit import clock, db, limits
from portal.kit.errors import FieldError, Invalid, NotFound
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other

PASSWORDS = ("currentPassword", "newPassword")
PRIVATE = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


def _token(request: Request) -> str:
    given = request.fields.get("token") if request.method == "POST" else request.query_params.get("token")
    return str(given or "")


def _private(response: Response) -> Response:
    response.headers.update(PRIVATE)
    return response


def _over(request: Request, no: LinkRefused | AddressTaken, again: str, words: str) -> Response:
    """Say that a link is of no use any more, and where to get another one."""
    shown: Any = {"problem": no, "again": again, "again_words": words}
    return _private(render(request, "accounts/link_over.html", status=no.status, **shown))


def _caller(request: Request) -> str:
    return limits.caller(request.scope)


# ── confirming an address ─────────────────────────────────────────────────────────────────────────────────


def check_mail(request: Request) -> Response:
    """Say that the next step is in the mailbox, with a form to have the letter sent again."""
    return render(request, "accounts/check_mail.html", form={"email": ""}, errors={})


def send_again(request: Request) -> Response:
    """Have the confirming letter sent again; the answer is the same for every address."""
    sentence = _("If %(email)s waits for its confirmation, the letter is on its way once more.")
    return _ask(request, credentials.ask_verification, "accounts/check_mail.html", "/account/check-mail", sentence)


def _ask(request: Request, ask: Callable[..., None], form_page: str, after: str, sentence: str) -> Response:
    """Have a letter sent to the address that was typed, and say the same whether or not there is anybody."""
    try:
        wish = parse(JustAddress, nested(request.fields))
    except Invalid as no:
        form = {"email": str(request.fields.get("email", ""))}
        return render(request, form_page, status=422, form=form, errors=errors_by_field(no))
    limits.check(request.settings, "register", _caller(request))
    with db.writing() as session:
        ask(session, wish.email, request.settings)
    return see_other(request, after, Notice("good", sentence % {"email": wish.email}))


def verify_form(request: Request) -> Response:
    """Show whose address a mailed link confirms."""
    try:
        with db.reading() as session:
            promise = credentials.promised(session, request.settings, _token(request))
    except LinkRefused as no:
        return _over(request, no, "/account/check-mail", _("Send the letter again"))
    return _private(render(request, "accounts/verify_email.html", promise=promise, token=_token(request)))


def verify(request: Request) -> Response:
    """Confirm the address; an account that was waiting for this is made."""
    try:
        with db.writing() as session:
            credentials.confirm(session, request.settings, _token(request))
    except LinkRefused as no:
        return _over(request, no, "/account/check-mail", _("Send the letter again"))
    except AddressTaken as no:
        return _over(request, no, "/account/sign-in", _("Sign in"))
    where = "/account" if request.viewer else "/account/sign-in"
    done = _("Your address is confirmed.") if request.viewer else _("Your address is confirmed. Please sign in.")
    return see_other(request, where, Notice("good", done))


# ── a new password by mail ────────────────────────────────────────────────────────────────────────────────


def forgot_form(request: Request) -> Response:
    """Ask for the address that a link for a new password is to go to."""
    email = request.viewer.email if request.viewer else ""
    return render(request, "accounts/forgot_password.html", form={"email": email}, errors={})


def forgot(request: Request) -> Response:
    """Have the link sent; the answer is the same whether or not there is an account."""
    sentence = _("If %(email)s has an account, a letter with a link is on its way. The link works for an hour.")
    return _ask(request, credentials.ask_reset, "accounts/forgot_password.html", "/account/sign-in", sentence)


def reset_form(request: Request) -> Response:
    """Show whose password a mailed link changes, and ask for the new one."""
    return _reset_page(request, {}, 200)


def reset(request: Request) -> Response:
    """Change the password, and sign the account out everywhere."""
    fields = {name: str(request.fields.get(name, "")) for name in ("token", "newPassword", "confirmPassword")}
    try:
        _same(fields)
        wish = parse(Reset, {name: fields[name] for name in ("token", "newPassword") if fields[name]})
        with db.writing() as session:
            credentials.reset(session, request.settings, wish.token, wish.new_password, caller=_caller(request))
    except Invalid as no:
        return _reset_page(request, errors_by_field(no), 422)
    except LinkRefused as no:
        return _over(request, no, "/account/forgot-password", _("Ask for another link"))
    sentence = _("Your new password counts from now on. You are signed out everywhere; please sign in.")
    return see_other(request, "/account/sign-in", Notice("good", sentence))


def _same(fields: dict[str, str]) -> None:
    if fields["confirmPassword"] != fields["newPassword"]:
        raise Invalid(errors=[FieldError("confirmPassword", _("This is not the password typed above."))])


def _reset_page(request: Request, errors: Any, status: int) -> Response:
    try:
        with db.reading() as session:
            promise = credentials.resettable(session, request.settings, _token(request))
    except LinkRefused as no:
        return _over(request, no, "/account/forgot-password", _("Ask for another link"))
    shown = {"promise": promise, "token": _token(request), "errors": errors, "password_least": passwords.AT_LEAST}
    return _private(render(request, "accounts/reset_password.html", status=status, **shown))


# ── password and address, signed in ───────────────────────────────────────────────────────────────────────


def security(request: Request) -> Response:
    """Show what the reader signs in with, and where they are signed in."""
    viewer = request.require()
    with db.reading() as session:
        safety = queries.safety(session, viewer.id)
        devices = queries.devices(session, viewer.id, entrance.word(request) or "", clock.now())
    if safety is None:
        raise NotFound()
    return render(request, "accounts/security.html", safety=safety, devices=devices)


def password_form(request: Request) -> Response:
    """Ask for the password as it is and as it is to be."""
    request.require()
    return _password_page(request, {}, 200)


def change_password(request: Request) -> Response:
    """Change the password, and sign the account out everywhere but here."""
    viewer, fields = request.require(), {name: str(value) for name, value in request.fields.items()}
    try:
        _same({"newPassword": "", "confirmPassword": "", **fields})
        wish = parse(
            PasswordChange, nested({name: fields.get(name, "") for name in ("currentPassword", "newPassword")})
        )
        with guard.proving(request), db.writing() as session:
            word = entrance.word(request)
            known = (wish.current_password, wish.new_password)
            credentials.change(session, request.settings, viewer.id, *known, but_word=word)
    except (Invalid, WrongPassword, LinkRefused) as no:
        found = dict(errors_by_field(no)) or {"currentPassword": f"{no.title}."}
        return _password_page(request, found, 422)
    sentence = _("Your new password counts from now on. Everywhere else you are signed out.")
    return see_other(request, "/account/security", Notice("good", sentence))


def _password_page(request: Request, errors: Any, status: int) -> Response:
    shown = {"errors": errors, "password_least": passwords.AT_LEAST, "email": request.require().email}
    return render(request, "accounts/password.html", status=status, **shown)


def password_hint(request: Request) -> Response:
    """Say of a password while it is typed whether it would do; a part of a page."""
    typed = str(request.fields.get("newPassword") or request.fields.get("password") or "")[:1024]
    words = [str(request.fields.get(name, ""))[:254] for name in ("email", "firstName", "lastName")]
    words += [request.viewer.email, request.viewer.name] if request.viewer else []
    no = passwords.objection(typed, [*words, request.settings.email_from_name]) if typed else ""
    return _private(render(request, "accounts/password_hint.html", typed=bool(typed), objection=no))


def email_form(request: Request) -> Response:
    """Ask for the new address."""
    request.require()
    return _email_page(request, "", {}, 200)


def change_email(request: Request) -> Response:
    """Have a link sent to the new address; nothing is changed until it is used."""
    viewer, typed = request.require(), str(request.fields.get("email", ""))
    try:
        wish = parse(AddressChange, nested(request.fields))
        with guard.proving(request), db.writing() as session:
            credentials.ask_address(session, request.settings, viewer.id, wish.email, wish.password)
    except (Invalid, WrongPassword) as no:
        return _email_page(request, typed, dict(errors_by_field(no)) or {"password": f"{no.title}."}, 422)
    sentence = _("We have sent a letter to %(email)s. Your address changes once you confirm there.")
    return see_other(request, "/account/security", Notice("good", sentence % {"email": wish.email}))


def _email_page(request: Request, email: str, errors: Any, status: int) -> Response:
    now = request.require().email
    return render(request, "accounts/email.html", status=status, form={"email": email}, errors=errors, now=now)


def new_email_form(request: Request) -> Response:
    """Show what a link to a new address changes."""
    try:
        with db.reading() as session:
            promise, email = credentials.new_address(session, request.settings, _token(request))
    except LinkRefused as no:
        return _over(request, no, "/account/email", _("Ask for another link"))
    shown: Any = {"promise": promise, "email": email, "token": _token(request)}
    return _private(render(request, "accounts/change_address.html", **shown))


def new_email(request: Request) -> Response:
    """Change the address that the account is signed in to with."""
    try:
        with db.writing() as session:
            email = credentials.change_address(session, request.settings, _token(request))
    except (LinkRefused, AddressTaken) as no:
        return _over(request, no, "/account/email", _("Choose another address"))
    sentence = _("From now on you sign in with %(email)s.") % {"email": email}
    return see_other(request, "/account/security" if request.viewer else "/account/sign-in", Notice("good", sentence))


# ── devices and locks ─────────────────────────────────────────────────────────────────────────────────────


def end_device(request: Request) -> Response:
    """Sign one browser out; its own page leads to the front."""
    viewer = request.require()
    try:
        sign_in_id = UUID(request.path_params["id"])
    except ValueError:
        raise UnknownDevice() from None
    with db.writing() as session:
        service.end_sign_in(session, viewer.id, sign_in_id)
    return see_other(request, "/account/security", Notice("good", _("That browser is signed out.")))


def end_everywhere(request: Request) -> Response:
    """Sign the account out in every browser and program but this one."""
    viewer = request.require()
    with db.writing() as session:
        service.end_all(session, viewer.id, but_word=entrance.word(request))
    return see_other(request, "/account/security", Notice("good", _("You are signed out everywhere but here.")))


def unlock_form(request: Request) -> Response:
    """Show whose account a link opens again."""
    try:
        email = credentials.locked_address(request.settings, _token(request))
    except LinkRefused as no:
        return _over(request, no, "/account/forgot-password", _("Choose a new password"))
    return _private(render(request, "accounts/unlock.html", email=email, token=_token(request)))


def unlock(request: Request) -> Response:
    """Open the account for this browser: what strangers guess elsewhere does not hold it up any more."""
    try:
        with db.writing() as session:
            email = credentials.unlock(session, request.settings, _token(request), caller=_caller(request))
    except LinkRefused as no:
        return _over(request, no, "/account/forgot-password", _("Choose a new password"))
    response = see_other(request, "/account/sign-in", Notice("good", _("You can sign in again at once.")))
    guard.remember(request, response, email)
    return response


routes = [
    page("/account/check-mail", check_mail),
    page("/account/check-mail", send_again, methods=("POST",)),
    page("/account/verify-email", verify_form),
    page("/account/verify-email", verify, methods=("POST",)),
    page("/account/forgot-password", forgot_form),
    page("/account/forgot-password", forgot, methods=("POST",)),
    page("/account/reset-password", reset_form),
    page("/account/reset-password", reset, methods=("POST",)),
    page("/account/security", security),
    page("/account/password", password_form),
    page("/account/password", change_password, methods=("POST",)),
    page("/account/password-hint", password_hint, methods=("POST",)),
    page("/account/email", email_form),
    page("/account/email", change_email, methods=("POST",)),
    page("/account/change-address", new_email_form),
    page("/account/change-address", new_email, methods=("POST",)),
    page("/account/devices/{id}/end", end_device, methods=("POST",)),
    page("/account/devices/end", end_everywhere, methods=("POST",)),
    page("/account/unlock", unlock_form),
    page("/account/unlock", unlock, methods=("POST",)),
]

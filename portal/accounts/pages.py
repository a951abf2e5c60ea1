"""Pages of who you are: register, profile, travellers, preferences."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from babel import Locale
from starlette.responses import Response

from portal.accounts import credentials, entrance, passwords, queries, rules, service
from portal.accounts.errors import TooManyTravellers, UnknownTraveller
from portal.accounts.forms import Names, PreferencesChange, RegistrationForm, Traveller
from portal.accounts.models import NOTICES
from portal.kit import clock, db, i18n, limits
from portal.kit.errors import FieldError, Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other

THEMES = ("auto", "light", "dark")


def register_form(request: Request) -> Response:
    """Ask for what an account needs."""
    return _register_page(request, {}, {}, 200, entrance.local(request.query_params.get("next", "")))


def register(request: Request) -> Response:
    """Make an account; the answer is the same whether or not the address has one, the rest is said by mail."""
    typed = dict(request.fields)
    try:
        wish = parse(RegistrationForm, nested(request.fields))
    except Invalid as no:
        return _register_page(request, typed, errors_by_field(no), no.status, entrance.local(typed.get("next", "")))
    limits.check(request.settings, "register", limits.caller(request.scope))
    try:
        with db.writing() as session:
            credentials.register(session, wish, request.settings, locale=i18n.locale.get())
    except Invalid as no:
        return _register_page(request, typed, errors_by_field(no), no.status, entrance.local(wish.next))
    sentence = _("We have sent a letter to %(email)s. Open it and confirm the address: then you can sign in.")
    return see_other(request, "/account/check-mail", Notice("good", sentence % {"email": wish.email}))


def _register_page(request: Request, typed: Any, errors: Any, status: int, after: str) -> Response:
    form = {name: str(typed.get(name, "")) for name in ("email", "firstName", "lastName")}
    least = passwords.AT_LEAST
    return render(
        request, "accounts/register.html", status=status, form=form, errors=errors, next=after, password_least=least
    )


def profile(request: Request) -> Response:
    """Show the reader's own account."""
    person = _person(request)
    return _profile_page(request, person, {"firstName": person.given_name, "lastName": person.family_name}, {}, 200)


def save_profile(request: Request) -> Response:
    """Change the reader's names."""
    person = _person(request)
    typed = {name: str(request.fields.get(name, "")) for name in ("firstName", "lastName")}
    try:
        names = parse(Names, typed)
    except Invalid as no:
        return _profile_page(request, person, typed, errors_by_field(no), no.status)
    with db.writing() as session:
        service.rename(session, person.id, names)
    return see_other(request, "/account", Notice("good", _("Your names are saved.")))


def _person(request: Request) -> queries.Known:
    known = request.require()
    with db.reading() as session:
        person = queries.person(session, known.id)
    if person is None:
        raise PortalError()
    return person


def _profile_page(request: Request, person: queries.Known, form: Any, errors: Any, status: int) -> Response:
    with db.reading() as session:
        kept = queries.travellers(session, person.id)
        routes, likes = queries.favourites(session, person.id), queries.likes(session, person.id)
    shown = {"person": person, "form": form, "errors": errors, "meals": rules.meal_words()}
    return render(request, "accounts/profile.html", status=status, travellers=kept, routes=routes, likes=likes, **shown)


# ── travellers, routes, preferences ───────────────────────────────────────────────────────────────────────


def travellers(request: Request) -> Response:
    """List whom the account books for, with a form for one more."""
    return _travellers_page(request, {}, {}, 200)


def add_traveller(request: Request) -> Response:
    """Add somebody to the list."""
    viewer = request.require()
    try:
        wish = parse(Traveller, nested(request.fields))
        with db.writing() as session:
            service.save_traveller(session, viewer.id, wish)
    except (Invalid, TooManyTravellers) as no:
        return _travellers_page(request, _typed(request), errors_by_field(no) or {"": no.detail}, no.status)
    return see_other(request, "/account/travellers", Notice("good", _("Saved.")))


def traveller(request: Request) -> Response:
    """Show one of the list to be changed."""
    viewer = request.require()
    with db.reading() as session:
        one = service.own_traveller(session, viewer.id, _traveller_id(request))
    typed = {"givenName": one.given_name, "familyName": one.family_name, "dateOfBirth": one.date_of_birth.isoformat()}
    return _travellers_page(request, typed, {}, 200, editing=one.id)


def save_traveller(request: Request) -> Response:
    """Change one of the list."""
    viewer, traveller_id = request.require(), _traveller_id(request)
    try:
        with db.writing() as session:
            service.own_traveller(session, viewer.id, traveller_id)
            service.save_traveller(session, viewer.id, parse(Traveller, nested(request.fields)), traveller_id)
    except Invalid as no:
        return _travellers_page(request, _typed(request), errors_by_field(no), no.status, editing=traveller_id)
    return see_other(request, "/account/travellers", Notice("good", _("Saved.")))


def forget_traveller(request: Request) -> Response:
    """Take one off the list."""
    viewer = request.require()
    with db.writing() as session:
        service.forget_traveller(session, viewer.id, _traveller_id(request))
    return see_other(request, "/account/travellers", Notice("good", _("Removed.")))


def _traveller_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise UnknownTraveller() from None


def _typed(request: Request) -> dict[str, str]:
    return {name: str(value)[:200] for name, value in request.fields.items()}


def _travellers_page(request: Request, typed: Any, errors: Any, status: int, editing: UUID | None = None) -> Response:
    viewer, today = request.require(), clock.now().date()
    with db.reading() as session:
        kept = queries.travellers(session, viewer.id)
    form = {name: typed.get(name, "") for name in ("givenName", "familyName", "dateOfBirth")}
    types = {one.id: rules.type_on(one.date_of_birth, today) for one in kept}
    return render(
        request,
        "accounts/travellers.html",
        status=status,
        travellers=kept,
        types=types,
        form=form,
        errors=errors,
        editing=editing,
        today=today.isoformat(),
        most=rules.MOST_TRAVELLERS,
    )


def keep_route(request: Request) -> Response:
    """Keep a route at hand, or no longer, and go back to where the reader was."""
    viewer, fields = request.require(), request.fields
    ends = [str(fields.get(name, ""))[:3].upper() for name in ("origin", "destination")]
    with db.writing() as session:
        service.keep_route(session, viewer.id, ends[0], ends[1], keep=fields.get("keep") == "1")
    return see_other(request, entrance.local(fields.get("next", "")) or "/account")


def preferences(request: Request) -> Response:
    """Show how the account likes it."""
    viewer = request.require()
    with db.reading() as session:
        likes = queries.likes(session, viewer.id)
    names = {"homeAirport": likes.home_airport, "seat": likes.seat, "meal": likes.meal, "language": likes.language}
    typed = {name: value or "" for name, value in names.items()}
    shown = {**typed, "muted": likes.muted, "keepAddress": likes.keep_address}
    return _preferences_page(request, shown, {}, 200)


def save_preferences(request: Request) -> Response:
    """Change all of it; an empty field is no preference."""
    viewer, typed = request.require(), _typed(request)
    wish = {name: typed.get(name) or None for name in ("homeAirport", "seat", "meal", "language")}
    wanted = {name: typed.get(name) == "1" for name in NOTICES}
    keep = typed.get("keepAddress") == "1"
    try:
        change = parse(PreferencesChange, {**wish, "notifications": wanted, "keepAddress": keep})
        with db.writing() as session:
            service.prefer(session, viewer.id, change)
    except Invalid as no:
        muted = [name for name, on in wanted.items() if not on]
        shown = {**typed, "muted": muted, "keepAddress": keep}
        return _preferences_page(request, shown, errors_by_field(no), no.status)
    response = see_other(request, "/account/preferences", Notice("good", _("Your preferences are saved.")))
    if change.language:
        entrance.set_language(request, response, change.language)
    return response


def _preferences_page(request: Request, form: Any, errors: Any, status: int) -> Response:
    form = {**dict.fromkeys(("homeAirport", "seat", "meal", "language"), ""), **form}
    languages = [(name, (Locale.parse(name).get_display_name() or name).capitalize()) for name in i18n.offered()]
    return render(
        request,
        "accounts/preferences.html",
        status=status,
        form=form,
        errors=errors,
        languages=languages,
        meals=list(rules.meal_words().items()),
    )


def theme(request: Request) -> Response:
    """Remember how bright the reader wants it, and go back to where they were."""
    chosen = str(request.fields.get("theme", ""))
    if chosen not in THEMES:
        raise Invalid(errors=[FieldError("theme", _("Please choose one of the three."))])
    response = see_other(request, entrance.local(request.fields.get("next", "")) or "/")
    response.set_cookie("theme", chosen, max_age=entrance.YEAR, samesite="lax", secure=request.settings.secure_cookies)
    return response


routes = [
    page("/account/register", register_form),
    page("/account/register", register, methods=("POST",)),
    page("/account", profile),
    page("/account", save_profile, methods=("POST",)),
    page("/account/travellers", travellers),
    page("/account/travellers", add_traveller, methods=("POST",)),
    page("/account/travellers/{id}", traveller),
    page("/account/travellers/{id}", save_traveller, methods=("POST",)),
    page("/account/travellers/{id}/delete", forget_traveller, methods=("POST",)),
    page("/account/favourites", keep_route, methods=("POST",)),
    page("/account/preferences", preferences),
    page("/account/preferences", save_preferences, methods=("POST",)),
    page("/theme", theme, methods=("POST",)),
]

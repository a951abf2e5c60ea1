"""Pages of who you are: register, sign in and out, profile, travellers, preferences – and whom a cookie stands for."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from babel import Locale
from starlette.responses import Response

from portal.accounts import queries, rules, service
from portal.accounts.errors import TooManyTravellers, UnknownTraveller, WrongCredentials
from portal.accounts.forms import Names, PreferencesChange, RegistrationForm, SignInForm, Traveller
from portal.accounts.models import NOTICES
from portal.kit import clock, db, grants, i18n, limits, outbox, signing
from portal.kit.errors import FieldError, Invalid, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, Viewer, errors_by_field, page, render, see_other

THEMES = ("auto", "light", "dark")
YEAR = 365 * 86_400


def viewer_from_session(request: Request) -> Viewer | None:
    """Return who the session cookie stands for, or None; notes now and then that they are still there."""
    word = _word(request)
    if word is None:
        return None
    now = clock.now()
    with db.reading() as session:
        seen = queries.by_sign_in(session, word, now)
    if seen is None:
        return None
    if now - seen.last_seen_at > rules.SEEN_EVERY:
        with db.writing() as session:
            service.note_seen(session, word, seen)
    return viewer(seen.person)


def viewer(person: queries.Known) -> Viewer:
    """Return `person` as the doors know them."""
    return Viewer(person.id, person.email, person.name, person.role)


def cookie_name(settings: Settings) -> str:
    """Return the session cookie's name; `__Host-` binds it to this very host where https protects it."""
    return "__Host-sign-in" if settings.secure_cookies else "sign-in"


def _word(request: Request) -> str | None:
    sealed = request.cookies.get(cookie_name(request.settings))
    if not sealed:
        return None
    try:
        return str(signing.unseal(request.settings, "sign-in", sealed))
    except ValueError:
        return None


def register_form(request: Request) -> Response:
    """Ask for what an account needs."""
    return _register_page(request, {}, {}, 200, _next(request.query_params.get("next", "")))


def register(request: Request) -> Response:
    """Make an account; the answer is the same whether or not the address has one, the rest is said by mail."""
    typed = dict(request.fields)
    try:
        wish = parse(RegistrationForm, nested(request.fields))
    except Invalid as no:
        return _register_page(request, typed, errors_by_field(no), no.status, _next(typed.get("next", "")))
    limits.check(request.settings, "register", limits.caller(request.scope))
    with db.writing() as session:
        service.register(session, wish)
    sentence = _("We have sent a letter to %(email)s. If the address was free, your account is ready: please sign in.")
    return see_other(request, _sign_in_url(wish.next), Notice("good", sentence % {"email": wish.email}))


def _register_page(request: Request, typed: Any, errors: Any, status: int, after: str) -> Response:
    form = {name: str(typed.get(name, "")) for name in ("email", "firstName", "lastName")}
    least = rules.PASSWORD_AT_LEAST
    return render(
        request, "accounts/register.html", status=status, form=form, errors=errors, next=after, password_least=least
    )


def sign_in_form(request: Request) -> Response:
    """Ask who it is; who is known already goes on."""
    after = _next(request.query_params.get("next", ""))
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
        return _sign_in_page(request, str(typed.get("email", "")), found, 422, _next(typed.get("next", "")))
    with db.writing() as session:
        _forget_old_cookie(request, session)
        service.renew_hash(session, person.id, wish.password)
        agent = request.headers.get("user-agent", "")
        word = service.sign_in(session, person, address=limits.caller(request.scope), agent=agent)
        language = queries.likes(session, person.id).language
        _bring_along(request, session, person.id)
    response = see_other(request, _next(wish.next) or _home(person.role))
    _set_cookie(request, response, word)
    if language:
        _set_language(request, response, language)
    return response


def _bring_along(request: Request, session: Any, user_id: UUID) -> None:
    """Let the bookings that this browser made before as a guest become the account's: those it may change only."""
    if made := grants.managed(request):
        outbox.post(session, "bookings.adopt", userId=str(user_id), references=made)


def _set_language(request: Request, response: Response, language: str) -> None:
    response.set_cookie("locale", language, max_age=YEAR, samesite="lax", secure=request.settings.secure_cookies)


def _forget_old_cookie(request: Request, session: Any) -> None:
    word = _word(request)
    if word is not None:
        service.sign_out(session, word)


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


def _set_cookie(request: Request, response: Response, word: str) -> None:
    response.set_cookie(
        cookie_name(request.settings),
        signing.seal(request.settings, "sign-in", word),
        max_age=int(rules.LONGEST.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.settings.secure_cookies,
    )


def sign_out(request: Request) -> Response:
    """End this browser's sign-in here and in the database."""
    word = _word(request)
    if word is not None:
        with db.writing() as session:
            service.sign_out(session, word)
    response = see_other(request, "/", Notice("good", _("You are signed out.")))
    response.delete_cookie(
        cookie_name(request.settings), httponly=True, samesite="lax", secure=request.settings.secure_cookies
    )
    return response


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
    return see_other(request, _next(fields.get("next", "")) or "/account")


def preferences(request: Request) -> Response:
    """Show how the account likes it."""
    viewer = request.require()
    with db.reading() as session:
        likes = queries.likes(session, viewer.id)
    names = {"homeAirport": likes.home_airport, "seat": likes.seat, "meal": likes.meal, "language": likes.language}
    typed = {name: value or "" for name, value in names.items()}
    return _preferences_page(request, {**typed, "muted": likes.muted}, {}, 200)


def save_preferences(request: Request) -> Response:
    """Change all of it; an empty field is no preference."""
    viewer, typed = request.require(), _typed(request)
    wish = {name: typed.get(name) or None for name in ("homeAirport", "seat", "meal", "language")}
    wanted = {name: typed.get(name) == "1" for name in NOTICES}
    try:
        change = parse(PreferencesChange, {**wish, "notifications": wanted})
        with db.writing() as session:
            service.prefer(session, viewer.id, change)
    except Invalid as no:
        muted = [name for name, on in wanted.items() if not on]
        return _preferences_page(request, {**typed, "muted": muted}, errors_by_field(no), no.status)
    response = see_other(request, "/account/preferences", Notice("good", _("Your preferences are saved.")))
    if change.language:
        _set_language(request, response, change.language)
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
    response = see_other(request, _next(request.fields.get("next", "")) or "/")
    response.set_cookie("theme", chosen, max_age=YEAR, samesite="lax", secure=request.settings.secure_cookies)
    return response


def _next(wish: object) -> str:
    return rules.local_path(str(wish), "")


def _sign_in_url(after: str) -> str:
    return f"/account/sign-in?{urlencode({'next': after})}" if _next(after) else "/account/sign-in"


def _home(role: str) -> str:
    return "/" if role == "customer" else "/admin"


routes = [
    page("/account/register", register_form),
    page("/account/register", register, methods=("POST",)),
    page("/account/sign-in", sign_in_form),
    page("/account/sign-in", sign_in, methods=("POST",)),
    page("/account/sign-out", sign_out, methods=("POST",)),
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

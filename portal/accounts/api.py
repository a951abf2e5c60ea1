"""Who you are, for programs: register, log in, refresh, profile – and whom a bearer token stands for."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from portal.accounts import credentials, entrance, guard, queries, rules, service
from portal.accounts.errors import (
    AddressTaken,
    LinkRefused,
    TooManyTravellers,
    UnknownTraveller,
    WrongCredentials,
    WrongPassword,
)
from portal.accounts.forms import (
    Change,
    JustAddress,
    Login,
    MailedToken,
    NotificationsOut,
    PasswordChange,
    Person,
    PreferencesChange,
    PreferencesOut,
    Profile,
    Registration,
    Reset,
    Traveller,
    TravellerList,
    TravellerOut,
)
from portal.factors import service as factors
from portal.factors.errors import SecondFactorMissing, SecondFactorRefused, SecondFactorRequired
from portal.kit import clock, db, grants, i18n, limits
from portal.kit.errors import FieldError, Invalid, NotSignedIn, Unavailable
from portal.kit.openapi import operation
from portal.kit.web import Request, Viewer, endpoint
from portal.tokens import service as tokens
from portal.tokens.errors import RefreshRefused, TokenRefused
from portal.tokens.forms import OneToken, TokenPair
from portal.tokens.queries import Key, by_word
from portal.tokens.rules import NOTED_EVERY, is_key, read_access_token, scopes_for

NO_STORE = {"Cache-Control": "no-store"}


def viewer_from_token(request: Request) -> Viewer | None:
    """Return who the access token or API key stands for; None without one, for a booking's token, where tokens are got.

    Raises TokenRefused for a token or key that is forged, lapsed, revoked, or may not come from this address.
    """
    token = bearer(request)
    if token is None or grants.is_booking_token(token) or _gets_tokens(request.url.path):
        return None
    if is_key(token):
        return _by_key(request, token)
    claims = read_access_token(request.settings, token, clock.now())
    if claims is None:
        raise TokenRefused()
    with db.reading() as session:
        person = queries.by_token(session, claims)
    if person is None:
        raise TokenRefused()
    return Viewer(person.id, person.email, person.name, person.role, proved_at=claims.proved_at)


def _gets_tokens(path: str) -> bool:
    """True where tokens are got or given up: a lapsed one in the header is no reason to refuse a new one."""
    return path.startswith("/api/auth/") and path != "/api/auth/change-password"


def _by_key(request: Request, word: str) -> Viewer:
    caller, now = limits.caller(request.scope), clock.now()
    with db.reading() as session:
        key = by_word(session, word, caller=caller, now=now)
        person = queries.may_enter(session, key.user_id) if key else None
    if key is None or person is None:
        raise TokenRefused()
    if key.last_used_at is None or now - key.last_used_at > NOTED_EVERY:
        with db.writing() as session:
            tokens.note_use(session, key, caller)
    return Viewer(person.id, person.email, person.name, _role_of(request, person, key), scopes=frozenset(key.scopes))


def _role_of(request: Request, person: queries.Known, key: Key) -> str:
    """Return the role that a key acts in: where staff need a second factor, only a key with a scope of theirs is
    theirs, for only who has shown the factor can make one.
    """
    theirs = set(key.scopes) - set(scopes_for("customer"))
    return person.role if theirs or not entrance.must_have_factor(request.settings, person.role) else "customer"


def bearer(request: Request) -> str | None:
    """Return the word of `Authorization: Bearer …`, or None; other schemes are not ours to read."""
    scheme, _, word = request.headers.get("authorization", "").partition(" ")
    return word.strip() or None if scheme.lower() == "bearer" else None


@operation("Make an account", body=Registration, answer=Person, status=201)
def register(request: Request, body: Registration) -> Response:
    """Answer alike whether or not the address has an account; its owner is told by mail.

    The account begins to exist when the mailed link is used: until then nobody can log in to it.
    """
    limits.check(request.settings, "register", limits.caller(request.scope))
    with db.writing() as session:
        user_id = credentials.register(session, body, request.settings, locale=i18n.locale.get())
    person = Person(
        id=user_id, email=body.email, first_name=body.first_name, last_name=body.last_name, email_verified=False
    )
    return JSONResponse(person.wire(), 201, headers=NO_STORE)


@operation(
    "Get tokens for an e-mail and a password",
    body=Login,
    answer=TokenPair,
    errors=(WrongCredentials, SecondFactorRequired, SecondFactorRefused, SecondFactorMissing, Unavailable),
)
def login(request: Request, body: Login) -> Response:
    """Begin a family of tokens. An account with a second factor asks for `code`, of its app or a recovery code."""
    person = guard.identify(request, body)
    _second_step(request, person, body.code)
    with db.writing() as session:
        service.renew_hash(session, person.id, body.password)
        address, agent = _place(request)
        made = service.begin_program(session, person, request.settings, address=address, agent=agent)
    guard.count(request, "in")
    return _pair(made)


def _second_step(request: Request, person: queries.Known, code: str | None) -> None:
    with db.writing() as session:
        asked = factors.required(session, person.id)
        right = asked and code is not None and factors.verify(session, request.settings, person.id, code)
    if asked and not right:
        if code:
            guard.count(request, "wrong_code")
        raise SecondFactorRefused() if code else SecondFactorRequired()
    if not asked and entrance.must_have_factor(request.settings, person.role):
        raise SecondFactorMissing()


@operation("Get the next pair of tokens", body=OneToken, answer=TokenPair, errors=(RefreshRefused,))
def refresh(request: Request, body: OneToken) -> Response:
    """Give the next pair for a refresh token that was not used yet; a used one revokes its whole family."""
    with db.writing() as session:
        address, agent = _place(request)
        made = service.refresh(session, body.refresh_token, request.settings, address=address, agent=agent)
    if made is None:
        raise RefreshRefused()
    return _pair(made)


@operation("Confirm an address", body=MailedToken, status=204, errors=(LinkRefused, AddressTaken))
def verify_email(request: Request, body: MailedToken) -> Response:
    """Use the word of a mailed link, once: an account that waited for it is made, and can be logged in to."""
    with db.writing() as session:
        credentials.confirm(session, request.settings, body.token)
    return Response(status_code=204)


@operation("Have the confirming letter sent again", body=JustAddress, status=202)
def resend_verification(request: Request, body: JustAddress) -> Response:
    """Answer alike for every address; a letter goes to one that waits for its confirmation."""
    limits.check(request.settings, "register", limits.caller(request.scope))
    with db.writing() as session:
        credentials.ask_verification(session, body.email, request.settings)
    return Response(status_code=202)


@operation("Have a link for a new password sent", body=JustAddress, status=202)
def forgot_password(request: Request, body: JustAddress) -> Response:
    """Answer alike for every address; a letter goes to one that has an account. Its link works once, for an hour."""
    limits.check(request.settings, "register", limits.caller(request.scope))
    with db.writing() as session:
        credentials.ask_reset(session, body.email, request.settings)
    return Response(status_code=202)


@operation("Set a new password with a mailed link", body=Reset, status=204, errors=(LinkRefused,))
def reset_password(request: Request, body: Reset) -> Response:
    """Use the word of a mailed link, once; every browser and program of the account is signed out."""
    caller = limits.caller(request.scope)
    with db.writing() as session:
        credentials.reset(session, request.settings, body.token, body.new_password, caller=caller)
    return Response(status_code=204)


@operation("Change your password", body=PasswordChange, status=204, errors=(NotSignedIn, WrongPassword))
def change_password(request: Request, body: PasswordChange) -> Response:
    """Set a new password; every other browser and program of the account is signed out, this one goes on."""
    viewer = request.require()
    claims = read_access_token(request.settings, bearer(request) or "", clock.now())
    family = claims.family if claims else None
    with guard.proving(request), db.writing() as session:
        known = (body.current_password, body.new_password)
        credentials.change(session, request.settings, viewer.id, *known, but_family=family)
    return Response(status_code=204)


@operation("Your profile", answer=Profile, errors=(NotSignedIn,))
def me(request: Request) -> Response:
    """Return the caller's own account."""
    return JSONResponse(_profile(request).wire(), headers=NO_STORE)


@operation("Change your profile", body=Change, answer=Profile, errors=(NotSignedIn,))
def change_me(request: Request, body: Change) -> Response:
    """Change the names and preferences that are given; a preference of null is taken back."""
    viewer = request.require()
    with db.writing() as session:
        service.rename(session, viewer.id, body)
        if body.preferences is not None:
            _prefer(session, viewer.id, body.preferences)
    return me(request)


def _prefer(session: Session, user_id: UUID, change: PreferencesChange) -> None:
    try:
        service.prefer(session, user_id, change)
    except Invalid as no:
        raise Invalid(errors=[FieldError(f"preferences.{one.pointer}", one.detail) for one in no.errors]) from None


@operation("Your saved travellers", answer=TravellerList, errors=(NotSignedIn,))
def travellers(request: Request) -> Response:
    """List whom the account books for, by name; at most 20 are kept."""
    viewer = request.require()
    with db.reading() as session:
        kept = queries.travellers(session, viewer.id)
    return JSONResponse(TravellerList(data=tuple(_traveller(one) for one in kept)).wire(), headers=NO_STORE)


@operation(
    "Save a traveller",
    body=Traveller,
    answer=TravellerOut,
    status=201,
    errors=(NotSignedIn, TooManyTravellers),
)
def add_traveller(request: Request, body: Traveller) -> Response:
    """Add somebody to the list."""
    viewer = request.require()
    with db.writing() as session:
        made = service.save_traveller(session, viewer.id, body)
    saved = queries.Saved(made, body.given_name, body.family_name, body.date_of_birth)
    headers = {**NO_STORE, "Location": f"/api/me/travellers/{made}"}
    return JSONResponse(_traveller(saved).wire(), 201, headers=headers)


@operation(
    "Change a saved traveller",
    body=Traveller,
    answer=TravellerOut,
    errors=(NotSignedIn, UnknownTraveller),
)
def change_traveller(request: Request, body: Traveller) -> Response:
    """Replace what is known of somebody on the list."""
    viewer, traveller_id = request.require(), _traveller_id(request)
    with db.writing() as session:
        service.save_traveller(session, viewer.id, body, traveller_id)
    saved = queries.Saved(traveller_id, body.given_name, body.family_name, body.date_of_birth)
    return JSONResponse(_traveller(saved).wire(), headers=NO_STORE)


@operation("Forget a saved traveller", status=204, errors=(NotSignedIn, UnknownTraveller))
def forget_traveller(request: Request) -> Response:
    """Take somebody off the list."""
    viewer, traveller_id = request.require(), _traveller_id(request)
    with db.writing() as session:
        service.forget_traveller(session, viewer.id, traveller_id)
    return Response(status_code=204)


def _traveller_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise UnknownTraveller() from None


def _traveller(one: queries.Saved) -> TravellerOut:
    return TravellerOut(
        id=one.id,
        type=rules.type_on(one.date_of_birth, clock.now().date()),
        given_name=one.given_name,
        family_name=one.family_name,
        date_of_birth=one.date_of_birth,
    )


def _place(request: Request) -> tuple[str, str]:
    return limits.caller(request.scope), request.headers.get("user-agent", "")


def _pair(made: tokens.Tokens) -> Response:
    pair = TokenPair(access_token=made.access_token, refresh_token=made.refresh_token, expires_in=made.expires_in)
    return JSONResponse(pair.wire(), headers=NO_STORE)


def _profile(request: Request) -> Profile:
    viewer = request.require()
    with db.reading() as session:
        person, likes = queries.person(session, viewer.id), queries.likes(session, viewer.id)
    if person is None:
        raise TokenRefused()
    return Profile(
        id=person.id,
        email=person.email,
        first_name=person.given_name,
        last_name=person.family_name,
        email_verified=person.email_verified_at is not None,
        role=person.role,
        created_at=person.created_at,
        preferences=_preferences(likes),
    )


def _preferences(likes: queries.Likes) -> PreferencesOut:
    return PreferencesOut(
        home_airport=likes.home_airport,
        seat=likes.seat,
        meal=likes.meal,
        language=likes.language,
        notifications=NotificationsOut(
            check_in="checkIn" not in likes.muted,
            fare_alerts="fareAlerts" not in likes.muted,
            new_sign_in="newSignIn" not in likes.muted,
        ),
        keep_address=likes.keep_address,
    )


routes = [
    endpoint("/api/auth/register", register, methods=("POST",)),
    endpoint("/api/auth/login", login, methods=("POST",)),
    endpoint("/api/auth/refresh", refresh, methods=("POST",)),
    endpoint("/api/auth/verify-email", verify_email, methods=("POST",)),
    endpoint("/api/auth/resend-verification", resend_verification, methods=("POST",)),
    endpoint("/api/auth/forgot-password", forgot_password, methods=("POST",)),
    endpoint("/api/auth/reset-password", reset_password, methods=("POST",)),
    endpoint("/api/auth/change-password", change_password, methods=("POST",)),
    endpoint("/api/me", me),
    endpoint("/api/me", change_me, methods=("PATCH",)),
    endpoint("/api/me/travellers", travellers),
    endpoint("/api/me/travellers", add_traveller, methods=("POST",)),
    endpoint("/api/me/travellers/{id}", change_traveller, methods=("PUT",)),
    endpoint("/api/me/travellers/{id}", forget_traveller, methods=("DELETE",)),
]

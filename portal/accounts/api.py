"""Who you are, for programs: register, log in, refresh, log out, profile – and whom a bearer token stands for."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from portal.accounts import queries, rules, service
from portal.accounts.errors import RefreshRefused, TokenRefused, WrongCredentials
from portal.accounts.forms import Login, Names, OneToken, Person, Profile, Registration, TokenPair
from portal.kit import clock, db, grants, limits
from portal.kit.errors import NotSignedIn, Unavailable
from portal.kit.openapi import operation
from portal.kit.web import Request, Viewer, endpoint

NO_STORE = {"Cache-Control": "no-store"}


def viewer_from_token(request: Request) -> Viewer | None:
    """Return who the bearer token stands for; None without one, for a booking's token, and where tokens are got.

    Raises TokenRefused for a token that is forged, lapsed or revoked.
    """
    token = bearer(request)
    if token is None or grants.is_booking_token(token) or request.url.path.startswith("/api/auth/"):
        return None
    claims = rules.read_access_token(request.settings, token, clock.now())
    if claims is None:
        raise TokenRefused()
    with db.reading() as session:
        person = queries.by_token(session, claims.user_id, claims.family)
    if person is None:
        raise TokenRefused()
    return Viewer(person.id, person.email, person.name, person.role)


def bearer(request: Request) -> str | None:
    """Return the word of `Authorization: Bearer …`, or None; other schemes are not ours to read."""
    scheme, _, word = request.headers.get("authorization", "").partition(" ")
    return word.strip() or None if scheme.lower() == "bearer" else None


@operation("Make an account", body=Registration, answer=Person, status=201)
def register(request: Request, body: Registration) -> Response:
    """Answer alike whether or not the address has an account; its owner is told by mail."""
    limits.check(request.settings, "register", limits.caller(request.scope))
    with db.writing() as session:
        user_id = service.register(session, body)
    person = Person(
        id=user_id, email=body.email, first_name=body.first_name, last_name=body.last_name, email_verified=False
    )
    return JSONResponse(person.wire(), 201, headers=NO_STORE)


@operation(
    "Get tokens for an e-mail and a password",
    body=Login,
    answer=TokenPair,
    errors=(WrongCredentials, Unavailable),
)
def login(request: Request, body: Login) -> Response:
    """Begin a family of tokens."""
    with db.reading() as session:
        person = service.identify(session, body, request.settings, caller=limits.caller(request.scope))
    with db.writing() as session:
        service.renew_hash(session, person.id, body.password)
        tokens = service.issue_tokens(session, person, request.settings)
    return _pair(tokens)


@operation("Get the next pair of tokens", body=OneToken, answer=TokenPair, errors=(RefreshRefused,))
def refresh(request: Request, body: OneToken) -> Response:
    """Give the next pair for a refresh token that was not used yet; a used one revokes its whole family."""
    with db.writing() as session:
        tokens = service.refresh(session, body.refresh_token, request.settings)
    if tokens is None:
        raise RefreshRefused()
    return _pair(tokens)


@operation("Give tokens up", body=OneToken, status=204)
def logout(_: Request, body: OneToken) -> Response:
    """Revoke the family of the token, access tokens included; an unknown token is given up already."""
    with db.writing() as session:
        service.revoke(session, body.refresh_token)
    return Response(status_code=204)


@operation("Your profile", answer=Profile, errors=(NotSignedIn,), signed_in=True)
def me(request: Request) -> Response:
    """Return the caller's own account."""
    return JSONResponse(_profile(request).wire(), headers=NO_STORE)


@operation("Change your profile", body=Names, answer=Profile, errors=(NotSignedIn,), signed_in=True)
def change_me(request: Request, body: Names) -> Response:
    """Change the names that are given."""
    viewer = request.require()
    with db.writing() as session:
        service.rename(session, viewer.id, body)
    return me(request)


def _pair(tokens: service.Tokens) -> Response:
    pair = TokenPair(access_token=tokens.access_token, refresh_token=tokens.refresh_token, expires_in=tokens.expires_in)
    return JSONResponse(pair.wire(), headers=NO_STORE)


def _profile(request: Request) -> Profile:
    viewer = request.require()
    with db.reading() as session:
        person = queries.person(session, viewer.id)
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
    )


routes = [
    endpoint("/api/auth/register", register, methods=("POST",)),
    endpoint("/api/auth/login", login, methods=("POST",)),
    endpoint("/api/auth/refresh", refresh, methods=("POST",)),
    endpoint("/api/auth/logout", logout, methods=("POST",)),
    endpoint("/api/me", me),
    endpoint("/api/me", change_me, methods=("PATCH",)),
]

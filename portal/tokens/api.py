"""Tokens and keys, for programs: give a pair up; list, make and revoke API keys."""

from __future__ import annotations

from uuid import UUID

from starlette.responses import JSONResponse, Response

from portal.kit import db
from portal.kit.errors import NotSignedIn, ProofNeeded
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.tokens import queries, service
from portal.tokens.errors import TooManyKeys, UnknownKey
from portal.tokens.forms import KeyList, KeyOut, MadeKeyOut, NewKey, OneToken

NO_STORE = {"Cache-Control": "no-store"}


@operation("Give tokens up", body=OneToken, status=204)
def logout(_: Request, body: OneToken) -> Response:
    """Revoke the family of the token, access tokens included; an unknown token is given up already."""
    with db.writing() as session:
        service.revoke(session, body.refresh_token)
    return Response(status_code=204)


@operation("Your API keys", answer=KeyList, errors=(NotSignedIn,))
def keys(request: Request) -> Response:
    """List the account's keys that were not revoked; a key itself is never shown again. No API key may ask."""
    viewer = request.require()
    with db.reading() as session:
        kept = queries.keys(session, viewer.id)
    answer = KeyList(data=tuple(KeyOut.model_validate(_shown(one)) for one in kept))
    return JSONResponse(answer.wire(), headers=NO_STORE)


@operation(
    "Make an API key",
    body=NewKey,
    answer=MadeKeyOut,
    status=201,
    errors=(NotSignedIn, ProofNeeded, TooManyKeys),
)
def make(request: Request, body: NewKey) -> Response:
    """Make a key with the scopes named; the answer alone shows it. Log in within the ten minutes before. No API key may
    make another.
    """
    viewer = request.fresh()
    with db.writing() as session:
        made = service.make_key(session, viewer.id, viewer.role, body)
    answer = MadeKeyOut.model_validate({**_shown(made.key), "key": made.word})
    headers = {**NO_STORE, "Location": f"/api/me/keys/{made.key.id}"}
    return JSONResponse(answer.wire(), 201, headers=headers)


@operation("Revoke an API key", status=204, errors=(NotSignedIn, UnknownKey))
def revoke(request: Request) -> Response:
    """Make a key worthless from now on. No API key may ask."""
    viewer, key_id = request.require(), _key_id(request)
    with db.writing() as session:
        service.revoke_key(session, viewer.id, key_id)
    return Response(status_code=204)


def _key_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise UnknownKey() from None


def _shown(one: queries.Key) -> dict[str, object]:
    return {name: getattr(one, name) for name in KeyOut.model_fields}


routes = [
    endpoint("/api/auth/logout", logout, methods=("POST",)),
    endpoint("/api/me/keys", keys),
    endpoint("/api/me/keys", make, methods=("POST",)),
    endpoint("/api/me/keys/{id}", revoke, methods=("DELETE",)),
]

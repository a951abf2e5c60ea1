"""Tokens, for programs: give a pair up."""

from __future__ import annotations

from starlette.responses import Response

from portal.kit import db
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.tokens import service
from portal.tokens.forms import OneToken


@operation("Give tokens up", body=OneToken, status=204, tag="accounts")
def logout(_: Request, body: OneToken) -> Response:
    """Revoke the family of the token, access tokens included; an unknown token is given up already."""
    with db.writing() as session:
        service.revoke(session, body.refresh_token)
    return Response(status_code=204)


routes = [endpoint("/api/auth/logout", logout, methods=("POST",))]

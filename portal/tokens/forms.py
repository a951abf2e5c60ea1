"""What tokens take and give: one parser, two doors."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from portal.kit.validation import Wire

Token = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class OneToken(Wire):
    """A refresh token."""

    refresh_token: Token


class TokenPair(Wire):
    """What a program signs its calls with: the access token, and the refresh token for the next pair."""

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 – a scheme's name
    expires_in: int

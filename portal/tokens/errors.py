"""Every way that tokens say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, NotFound, NotSignedIn


class TokenRefused(NotSignedIn):
    """The access token is forged, lapsed, revoked, or not one of ours."""

    code, title = "token_refused", "This access token is not valid (any more)"


class RefreshRefused(NotSignedIn):
    """The refresh token is unknown, lapsed, revoked or was used before."""

    code, title = "refresh_refused", "This refresh token is not valid (any more); please sign in again"


class UnknownKey(NotFound):
    """There is no such API key, or it is another account's."""

    code, title = "unknown_key", "There is no such API key of yours"


class UnknownProgram(NotFound):
    """There is no such signed-in program, or it is another account's."""

    code, title = "unknown_program", "There is no such signed-in program of yours"


class TooManyKeys(Conflict):
    """The account has as many API keys as it can."""

    code, title = "too_many_keys", "You have as many API keys as an account can have"

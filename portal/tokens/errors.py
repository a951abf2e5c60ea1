"""Every way that tokens say no."""

from __future__ import annotations

from portal.kit.errors import NotSignedIn


class TokenRefused(NotSignedIn):
    """The access token is forged, lapsed, revoked, or not one of ours."""

    code, title = "token_refused", "This access token is not valid (any more)"


class RefreshRefused(NotSignedIn):
    """The refresh token is unknown, lapsed, revoked or was used before."""

    code, title = "refresh_refused", "This refresh token is not valid (any more); please sign in again"

"""Every way that accounts say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, NotFound, NotSignedIn


class WrongCredentials(NotSignedIn):
    """Address and password do not belong together; which of the two is wrong is not said."""

    code, title = "wrong_credentials", "This e-mail and password do not belong together"


class TokenRefused(NotSignedIn):
    """The access token is forged, lapsed, revoked, or not one of ours."""

    code, title = "token_refused", "This access token is not valid (any more)"


class RefreshRefused(NotSignedIn):
    """The refresh token is unknown, lapsed, revoked or was used before."""

    code, title = "refresh_refused", "This refresh token is not valid (any more); please sign in again"


class UnknownTraveller(NotFound):
    """There is no such saved traveller, or it is another account's."""

    code, title = "unknown_traveller", "There is no such traveller on your list"


class TooManyTravellers(Conflict):
    """The list of saved travellers is full."""

    code, title = "too_many_travellers", "Your list of travellers is full"

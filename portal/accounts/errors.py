"""Every way that accounts say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, NotFound, NotSignedIn


class WrongCredentials(NotSignedIn):
    """Address and password do not belong together; which of the two is wrong is not said."""

    code, title = "wrong_credentials", "This e-mail and password do not belong together"


class UnknownTraveller(NotFound):
    """There is no such saved traveller, or it is another account's."""

    code, title = "unknown_traveller", "There is no such traveller on your list"


class TooManyTravellers(Conflict):
    """The list of saved travellers is full."""

    code, title = "too_many_travellers", "Your list of travellers is full"

"""Every way that accounts say no."""

from __future__ import annotations

from portal.kit.errors import BadRequest, Conflict, Forbidden, NotFound, NotSignedIn, PortalError, Unavailable


class WrongCredentials(NotSignedIn):
    """Address and password do not belong together; which of the two is wrong is not said."""

    code, title = "wrong_credentials", "This e-mail and password do not belong together"


class UnknownTraveller(NotFound):
    """There is no such saved traveller, or it is another account's."""

    code, title = "unknown_traveller", "There is no such traveller on your list"


class UnknownDevice(NotFound):
    """There is no such signed-in browser (any more), or it is another account's."""

    code, title = "unknown_device", "This browser is not signed in to your account (any more)"


class TooManyTravellers(Conflict):
    """The list of saved travellers is full."""

    code, title = "too_many_travellers", "Your list of travellers is full"


class LinkRefused(PortalError):
    """A mailed link was used already, is too old, or is none of ours."""

    status, code, title = 410, "link_refused", "This link was used already, or it is too old"


class AddressTaken(Conflict):
    """The address belongs to another account by now."""

    code, title = "address_taken", "This address belongs to an account already"


class WrongPassword(Forbidden):
    """The password that was asked for as proof is not the account's."""

    code, title = "wrong_password", "This is not your password"


class ProviderAway(Unavailable):
    """The place where somebody wants to sign in elsewhere does not answer, or not in time."""

    code, title = "provider_away", "The other place does not answer at this moment"


class ProviderRefused(BadRequest):
    """What came back from elsewhere does not fit what was asked, or is not truly from there."""

    code, title = "provider_refused", "Signing in there did not work"

"""Every way that a second factor can say no."""

from __future__ import annotations

from portal.kit.errors import Conflict, Forbidden, Invalid, NotFound, NotSignedIn


class WrongCode(Invalid):
    """The code is none of this account's, or was used before."""

    code, title = "wrong_code", "This code is not right, or was used before"


class SecondFactorRequired(NotSignedIn):
    """The password is right, and the account asks for a code besides."""

    code, title = "second_factor_required", "This account asks for a code from its second factor, too"


class SecondFactorRefused(NotSignedIn):
    """The password is right, the code besides is not, or was used before."""

    code, title = "second_factor_refused", "This code is not right, or was used before"


class SecondFactorMissing(Forbidden):
    """Who works here signs in with a second factor, and this account has none yet."""

    code, title = "second_factor_missing", "Set up a second step on the portal's pages first: who works here needs one"


class HalfWayLapsed(NotSignedIn):
    """The five minutes between password and second step are over, or there were too many wrong codes."""

    code, title = "half_way_lapsed", "Please begin to sign in anew"


class OfferLapsed(Invalid):
    """What was offered on an earlier page (a QR code, a challenge) is too old, was used, or was not made by us."""

    code, title = "offer_lapsed", "This took too long; please try once more"


class PasskeyRefused(Invalid):
    """The device's answer does not fit: another key, another site, nobody recognised, or an old answer."""

    code, title = "passkey_refused", "This passkey was not accepted"


class PasskeyKnown(Conflict):
    """This very passkey is on an account's list already."""

    code, title = "passkey_known", "This passkey is on a list already"


class TooManyPasskeys(Conflict):
    """The list of passkeys is full."""

    code, title = "too_many_passkeys", "Your list of passkeys is full"


class UnknownFactor(NotFound):
    """There is no such passkey or browser on this account's list."""

    code, title = "unknown_factor", "There is nothing like this on your list"

"""Who may try a password: every door that takes one asks here, so that all of them count guesses alike.

A browser that has signed in to an account before is known to it by a cookie; what strangers guess at that account
elsewhere does not make it wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.responses import Response

from portal.accounts import queries, rules, service
from portal.accounts.errors import WrongCredentials, WrongPassword
from portal.accounts.forms import Credentials
from portal.kit import backoff, db, ids, limits, metrics, signing
from portal.kit.errors import TooMany
from portal.kit.web import Request

KNOWN, MOST_ACCOUNTS = "known-browser", 5
YEAR = 365 * 86_400
SIGN_INS = "sign-ins"
OUTCOMES = ("in", "wrong_password", "wrong_code", "wrong_passkey", "held_up")


def identify(request: Request, wish: Credentials) -> queries.Known:
    """Return whose address and password these are. Raises WrongCredentials, TooMany, and Unavailable."""
    caller, browser = limits.caller(request.scope), _known_to(request, wish.email)
    try:
        with db.writing() as session:
            person = service.identify(session, wish, request.settings, caller=caller, browser=browser)
    except TooMany:
        count(request, "held_up")
        raise
    if person is None:
        count(request, "wrong_password")
        raise WrongCredentials()
    return person


def count(request: Request, outcome: str) -> None:
    """Count how an attempt to sign in ended, one of OUTCOMES, for whoever watches over the portal."""
    metrics.count(request.settings.redis_url, SIGN_INS, outcome)


@contextmanager
def proving(request: Request) -> Iterator[None]:
    """Count one typing of the own password by who is signed in: a stolen browser guesses, too. The tenth wrong one is
    told to the account's owner, and from then on each waits longer. Raises TooMany, and Unavailable.
    """
    viewer, settings = request.require(), request.settings
    who = f"proof {viewer.id}"
    limits.check(settings, "sign-in", who)
    backoff.check(settings, "account", who)
    try:
        yield
    except WrongPassword:
        if backoff.failed(settings, "account", who):
            with db.writing() as session:
                service.notice(session, viewer.id, "locked_out")
        raise
    limits.forgive(settings, "sign-in", who)
    backoff.forgive(settings, "account", who)


def _known_to(request: Request, email: str) -> str:
    """Return the word of this browser if it has signed in to the account of `email` before, else nothing."""
    word, accounts = _known(request)
    return word if _mark(email) in accounts else ""


def remember(request: Request, response: Response, email: str) -> None:
    """Let this browser be known to the account of `email`, one of the newest five."""
    word, accounts = _known(request)
    kept = [*(one for one in accounts if one != _mark(email)), _mark(email)][-MOST_ACCOUNTS:]
    sealed = signing.seal(request.settings, KNOWN, [word or ids.secret(12), kept])
    secure = request.settings.secure_cookies
    response.set_cookie(KNOWN, sealed, max_age=YEAR, httponly=True, samesite="lax", secure=secure)


def _known(request: Request) -> tuple[str, list[str]]:
    try:
        word, accounts = signing.unseal(request.settings, KNOWN, request.cookies.get(KNOWN, ""), max_age_seconds=YEAR)
    except ValueError:
        return "", []
    return str(word), [str(one) for one in accounts]


def _mark(email: str) -> str:
    return ids.fingerprint(rules.normal_email(email))[:16]

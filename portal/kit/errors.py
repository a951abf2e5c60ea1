"""Every way the portal can say no, as one tree.

    PortalError ─ BadRequest, NotSignedIn, Forbidden, NotFound, Conflict, Gone, Invalid, TooMany, Unavailable
    ConfigurationError (stops the start)

A room's own errors inherit from these in its errors.py. One handler (kit.web) answers them in three tongues:
problem+json, a fragment, a page – always with the real status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ConfigurationError(Exception):
    """The environment is not fit to start with; the text is one plain sentence."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: `pointer` is its path with dots (`passengers.0.familyName`), `detail` a sentence."""

    pointer: str
    detail: str


class PortalError(Exception):
    """A no that the caller can understand: status, stable `code`, title, and a sentence in `detail`."""

    status = 500
    code = "internal"
    title = "Something went wrong on our side"

    def __init__(self, detail: str = "", *, errors: Sequence[FieldError] = (), retry_after: int | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after


class BadRequest(PortalError):
    """The request could not be read at all."""

    status, code, title = 400, "bad_request", "This request could not be read"


class NotSignedIn(PortalError):
    """Who are you? No or lapsed credentials."""

    status, code, title = 401, "not_signed_in", "Please sign in first"


class Forbidden(PortalError):
    """Known, but not allowed."""

    status, code, title = 403, "forbidden", "This is not yours to do"


class ProofNeeded(PortalError):
    """Signed in, but what is asked for wants to be told once more who is there."""

    status, code, title = 403, "proof_needed", "Please show once more that it is you"


class NotFound(PortalError):
    """Not there, or not for you to know of."""

    status, code, title = 404, "not_found", "There is nothing here"


class MethodNotAllowed(PortalError):
    """The address exists, the verb does not."""

    status, code, title = 405, "method_not_allowed", "This address does not take that method"


class Conflict(PortalError):
    """The world has moved on since the caller looked."""

    status, code, title = 409, "conflict", "This has changed in the meantime"


class TooLarge(PortalError):
    """The body is over MAX_BODY_BYTES."""

    status, code, title = 413, "too_large", "This is too large"


class Late(PortalError):
    """The body did not come in time."""

    status, code, title = 408, "request_timeout", "This took too long to come"


class TooLong(PortalError):
    """The address is longer than any of ours."""

    status, code, title = 414, "address_too_long", "This address is too long"


class UnsupportedMedia(PortalError):
    """The body is not of a type that this address reads."""

    status, code, title = 415, "unsupported_media_type", "This address reads JSON only"


class Invalid(PortalError):
    """Some fields are wrong; `errors` says which and why."""

    status, code, title = 422, "invalid", "Some fields need another look"


class TooMany(PortalError):
    """Too many requests; `retry_after` says in how many seconds to come back."""

    status, code, title = 429, "too_many_requests", "Too many requests; please wait a moment"


class Unavailable(PortalError):
    """A part that this needs does not answer right now; nothing was lost."""

    status, code, title = 503, "unavailable", "This is not available right now"

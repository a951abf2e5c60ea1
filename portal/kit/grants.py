"""What a guest may see and do without an account: a browser by a signed cookie, a program by a token for one booking.

The cookie `trips` holds the newest twenty references, each with a level: `view` after reference + family name,
`manage` for who made the booking or came by a mailed link. A program is given a bearer token instead.
"""

from __future__ import annotations

from typing import NamedTuple, TypedDict
from uuid import UUID

from starlette.requests import Request as StarletteRequest
from starlette.responses import Response

from portal.kit import signing
from portal.kit.settings import Settings
from portal.kit.web import Request

COOKIE = "trips"
PURPOSE = "booking-grants"
TOKEN_PURPOSE = "booking-token"  # noqa: S105 – a name, not a secret
LINK_PURPOSE = "booking-link"
TOKEN_MARK = "bk_"  # noqa: S105 – what such tokens begin with
MOST = 20
MAX_AGE = 180 * 24 * 3600
LEVELS = ("view", "manage")


def granted(request: StarletteRequest, reference: str) -> str | None:
    """Return what the asker may do with a booking without being its owner: None, "view" or "manage".

    Pages believe the cookie only and the API the bearer token only, so that no other site can ride on either.
    """
    if request.url.path.startswith("/api/"):
        return "manage" if bearer_reference(request) == reference else None
    levels = [level for known, level in _kept(request) if known == reference]
    return max(levels, key=LEVELS.index, default=None)


class Standing(TypedDict):
    """How somebody stands towards a booking, as booking.rules.may_see and may_manage ask for it."""

    user_id: UUID | None
    staff: bool
    granted: str | None


def standing(request: Request, reference: str) -> Standing:
    """Return how the asker stands towards a booking: by account, as staff, or by what was granted."""
    viewer = request.viewer
    return {
        "user_id": request.viewer_id,
        "staff": viewer is not None and viewer.is_staff,
        "granted": granted(request, reference),
    }


def managed(request: StarletteRequest) -> list[str]:
    """Return the references of the bookings that this browser may change, the newest last."""
    return [reference for reference, level in _kept(request) if level == "manage"]


def grant(request: StarletteRequest, response: Response, reference: str, level: str) -> None:
    """Let this browser see ("view") or change ("manage") the booking; never lowers what it was given before."""
    known = granted(request, reference)
    level = max(known or "view", level, key=LEVELS.index)
    kept = [[other, its] for other, its in _kept(request) if other != reference][-MOST + 1 :]
    settings: Settings = request.app.state.settings
    sealed = signing.seal(settings, PURPOSE, [*kept, [reference, level]])
    response.set_cookie(COOKIE, sealed, max_age=MAX_AGE, httponly=True, samesite="lax", secure=settings.secure_cookies)


def forget(request: StarletteRequest, response: Response) -> None:
    """Take all that was granted to this browser back from it."""
    secure = request.app.state.settings.secure_cookies
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=secure)


def booking_token(settings: Settings, reference: str) -> str:
    """Return a bearer token with which a program may manage this one booking."""
    return TOKEN_MARK + signing.seal(settings, TOKEN_PURPOSE, reference)


class MailedLink(NamedTuple):
    """What a mailed link is for; `address` is the mark of the mailbox that it went to, or None."""

    reference: str
    page: str
    address: str | None = None


def link(settings: Settings, reference: str, page: str, *, to: str | None = None) -> str:
    """Return the address of a link for a mail to the booking's contact: it lets the reader manage the booking and leads
    to `page` of ours. Who can read that mailbox may follow it, for as long as a browser keeps its grants – and, where
    `to` says which mailbox, only while the booking's contact is that one: a new address ends the links of the old.
    """
    sealed = signing.seal(settings, LINK_PURPOSE, [reference, page, *([mailbox(settings, to)] if to else [])])
    return f"{settings.base_url}/links/{sealed}"


def read_link(settings: Settings, token: str) -> MailedLink:
    """Return what a mailed link is for; raises ValueError for an old or a foreign one."""
    return MailedLink(*map(str, signing.unseal(settings, LINK_PURPOSE, token, max_age_seconds=MAX_AGE)))


def still_for(settings: Settings, found: MailedLink, contact: str | None, *, moved: bool = False) -> bool:
    """True where the link went to the mailbox that is the booking's contact now.

    One that names no mailbox comes from an older letter, and is good until the contact has `moved`.
    """
    if found.address is None:
        return not moved
    return contact is not None and found.address == mailbox(settings, contact)


def mailbox(settings: Settings, address: str) -> str:
    """Return the mark of a mailbox, by which a link knows it again without naming it."""
    return signing.mark(settings, LINK_PURPOSE, address.lower())


def is_booking_token(token: str) -> bool:
    """True for what looks like such a token; whoever reads access tokens leaves it alone."""
    return token.startswith(TOKEN_MARK)


def bearer_reference(request: StarletteRequest) -> str | None:
    """Return the booking that the request's bearer token is for, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not is_booking_token(token.strip()):
        return None
    try:
        sealed = token.strip().removeprefix(TOKEN_MARK)
        found = signing.unseal(request.app.state.settings, TOKEN_PURPOSE, sealed, max_age_seconds=MAX_AGE)
    except ValueError:
        return None
    return str(found)


def _kept(request: StarletteRequest) -> list[tuple[str, str]]:
    try:
        kept = signing.unseal(
            request.app.state.settings, PURPOSE, request.cookies.get(COOKIE, ""), max_age_seconds=MAX_AGE
        )
    except ValueError:
        return []
    return [(str(reference), str(level)) for reference, level in kept]

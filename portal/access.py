"""Who may go where: one line for every address of the portal, and one table of what each kind of door answers to whom.

The table is the rule and not a list beside it: `admit` stands before every door and reads it. A column that says
`sign-in` or `403` is kept right here; one that says `404` depends on whose the thing is, which the door finds out
(kit.grants) – and tests/access asks every door as everybody. An address without a line lets nobody in.
"""

from __future__ import annotations

from typing import NamedTuple

from portal.kit.errors import Forbidden, NotSignedIn, PortalError
from portal.kit.openapi import Admission, ScopeMissing, scope_of
from portal.kit.web import UNSAFE, Request, Viewer
from portal.tokens.errors import TokenRefused
from portal.tokens.rules import scope_words


class Kind(NamedTuple):
    """What a kind of door answers: in, sign-in (401 to programs), 403, or 404 (it is not for them to know of).

    The owner is the customer whose thing it is; a guest is nobody in particular, and carries no link or token either.
    """

    guest: str
    owner: str
    other: str
    staff: str
    admin: str


KINDS = {
    # what       guest      owner  other  staff  admin
    "anyone": Kind("in", "in", "in", "in", "in"),
    "account": Kind("sign-in", "in", "in", "in", "in"),
    "own": Kind("sign-in", "in", "404", "404", "404"),
    "booking": Kind("404", "in", "404", "in", "in"),  # who made it, or has its link or its token, too
    "link": Kind("in", "in", "in", "in", "in"),  # the address is the key: a wrong one is 404
    "staff": Kind("sign-in", "403", "403", "in", "in"),
    "report": Kind("sign-in", "403", "403", "404", "in"),  # and whoever of the staff asked for it
    "admin": Kind("sign-in", "403", "403", "403", "in"),
    "insider": Kind("sign-in", "403", "403", "in", "in"),  # and programs of this machine: the door looks
}
KEPT_BY_DOOR = {"insider"}

TABLE = """
# searching and buying
GET         /                                                       anyone
GET         /flights                                                anyone
GET         /places                                                 anyone
POST        /theme                                                  anyone
GET POST    /book                                                   anyone
GET POST    /book/{reference}/passengers                            booking
GET POST    /book/{reference}/extras                                booking
GET POST    /book/{reference}/seats                                 booking
POST        /book/{reference}/extend                                booking
POST        /book/{reference}/promotion                             booking
GET POST    /book/{reference}/pay                                   booking
GET         /book/{reference}/payments/{payment_id}                 booking
GET         /paid/{token}                                           link
GET POST    /sandbox-pay/{charge}                                   link
GET POST    /sandbox-pay/{charge}/challenge                         link
POST        /webhooks/stripe                                        anyone

# a booking's life
GET POST    /manage                                                 anyone
GET POST    /manage/link                                            anyone
GET         /links/{token}                                          link
GET         /bookings/{reference}                                   booking
POST        /bookings/{reference}/link                              booking
GET POST    /bookings/{reference}/cancel                            booking
GET POST    /bookings/{reference}/change                            booking
GET POST    /bookings/{reference}/correct                           booking
GET POST    /bookings/{reference}/contact                           booking
GET POST    /bookings/{reference}/extras                            booking
GET POST    /bookings/{reference}/seats                             booking
GET POST    /bookings/{reference}/amendments/{amendment_id}         booking
POST        /bookings/{reference}/amendments/{amendment_id}/withdraw  booking
GET         /bookings/{reference}/itinerary.pdf                     booking
GET         /bookings/{reference}/calendar.ics                      booking
GET         /bookings/{reference}/receipt.pdf                       booking
GET         /bookings/{reference}/papers/{number}.pdf               booking
GET POST    /bookings/{reference}/changes-by-airline                booking
GET         /bookings/{reference}/changes-by-airline/{id:uuid}/flights  booking
GET POST    /bookings/{reference}/check-in                          booking
GET POST    /bookings/{reference}/check-in/documents                booking
GET POST    /bookings/{reference}/check-in/seats                    booking
POST        /bookings/{reference}/check-ins/{id:uuid}/undo          booking
GET         /bookings/{reference}/boarding-passes                   booking
GET         /bookings/{reference}/boarding-passes.html              booking
GET         /bookings/{reference}/boarding-passes.pdf               booking
GET POST    /waiting-list                                           anyone
GET POST    /waiting-list/{token}                                   link
GET POST    /fare-alerts                                            anyone
GET POST    /fare-alerts/{token}                                    link
POST        /fare-alerts/{token}/begin                              link

# accounts
GET POST    /account/register                                       anyone
GET POST    /account/sign-in                                        anyone
GET POST    /account/sign-in/passkey                                anyone
GET POST    /account/sign-in/second                                 anyone
GET POST    /account/sign-in/second/passkey                         anyone
GET         /account/sign-in/provider                               anyone
GET         /account/sign-in/provider/back                          anyone
POST        /account/sign-out                                       anyone
GET POST    /account/confirm                                        account
GET POST    /account/confirm/passkey                                account
GET         /account/security/second-step                               account
GET POST    /account/security/authenticator                         account
POST        /account/security/authenticator/name                    account
POST        /account/security/authenticator/remove                  own
GET         /account/security/passkeys/new                          account
POST        /account/security/passkeys                              account
POST        /account/security/passkeys/{id}/name                    own
POST        /account/security/passkeys/{id}/remove                  own
POST        /account/security/codes                                 own
POST        /account/security/codes/file                            account
POST        /account/security/browsers                              account
POST        /account/security/browsers/{id}                         own
POST        /account/security/identities/{id}/remove                own
GET POST    /account                                                account
GET POST    /account/check-mail                                     anyone
GET POST    /account/verify-email                                   anyone
GET POST    /account/forgot-password                                anyone
GET POST    /account/reset-password                                 anyone
GET POST    /account/change-address                                 anyone
GET POST    /account/unlock                                         anyone
POST        /account/password-hint                                  anyone
GET         /account/security                                       account
GET POST    /account/password                                       account
GET POST    /account/email                                          account
POST        /account/devices/end                                    account
POST        /account/devices/{id}/end                               own
GET         /account/privacy                                        account
POST        /account/privacy/copies                                 account
GET         /account/privacy/copies/{id}                            own
GET         /account/privacy/copies/{id}/file                       own
GET POST    /account/privacy/delete                                 account
GET POST    /account/privacy/keep                                   anyone
GET         /account/trips                                          account
GET POST    /account/preferences                                    account
POST        /account/favourites                                     account
GET POST    /account/travellers                                     account
GET POST    /account/travellers/{id}                                own
POST        /account/travellers/{id}/delete                         own
GET         /account/watches                                        account
POST        /account/watches/waits/{id}                             own
POST        /account/watches/alerts/{id}                            own
GET         /account/api-keys                                       account
GET POST    /account/api-keys/new                                   account
POST        /account/api-keys/{id}/revoke                           own
POST        /account/api-keys/programs/{id}/end                     own

# the back office
GET         /admin                                                  staff
GET         /admin/bookings                                         staff
GET         /admin/jobs                                             staff
POST        /admin/jobs/{id:int}/retry                              staff
POST        /admin/jobs/{id:int}/drop                               staff
POST        /admin/exports                                          staff
GET         /admin/exports/{id:uuid}                                report
POST        /admin/exports/{id:uuid}/retry                          report
GET         /admin/exports/{id:uuid}/file                           report
GET         /admin/audit                                            staff
POST        /admin/audit/export                                     staff
GET         /admin/payments                                         staff
POST        /admin/payments/credits                                 staff
POST        /admin/payments/refunds/{id:uuid}                       staff
POST        /admin/payments/reviews/{id:uuid}                       staff
GET         /admin/prices                                           staff
GET POST    /admin/prices/{table}/new                               admin
GET POST    /admin/prices/{table}/{row}                             admin
POST        /admin/prices/{table}/{row}/end                         admin
GET         /admin/promotions                                       staff
GET POST    /admin/promotions/new                                   admin
GET POST    /admin/promotions/{code}                                admin
GET         /admin/flights                                          staff
GET         /admin/flights/{publicId:uuid}                          staff
GET POST    /admin/flights/{publicId:uuid}/change                   staff
GET         /admin/change-rules                                     staff
POST        /admin/change-rules                                     admin
POST        /admin/flights/{publicId:uuid}/sale                     staff
GET         /admin/boarding                                         staff
GET POST    /admin/boarding/{id:uuid}                               staff
POST        /admin/boarding/{id:uuid}/scans                         staff

# help, health, and the demo's own mailbox
GET         /help                                                   anyone
GET         /help/errors                                            anyone
GET         /health                                                 anyone
GET         /health/live                                            anyone
GET         /health/ready                                           anyone
GET         /health-ui                                              anyone
GET         /health/detailed                                        insider
GET         /metrics                                                insider
GET         /dev/mail                                               anyone
GET         /dev/mail/{id}                                          anyone
GET         /dev/mail/{id}/html                                     anyone
GET         /dev/mail/{id}/files/{index:int}                        anyone

# for programs
GET         /api/docs                                               anyone
GET         /api/openapi.json                                       anyone
GET         /api/health                                             anyone
GET         /api/health/database                                    anyone
GET         /api/health/redis                                       anyone
GET         /api/airports                                           anyone
GET         /api/airports/{code}                                    anyone
GET         /api/flights/search                                     anyone
GET         /api/flights/calendar                                   anyone
GET         /api/flights/{flightId:uuid}                            anyone
GET         /api/flights/{flightId:uuid}/seats                      anyone
GET         /api/pricing/explain                                    anyone
POST        /api/bookings                                           anyone
GET         /api/bookings                                           account
GET         /api/bookings/{reference}                               booking
POST        /api/bookings/{reference}/extensions                    booking
POST        /api/bookings/{reference}/payments                      booking
GET         /api/bookings/{reference}/payments/{payment_id}         booking
POST        /api/bookings/{reference}/cancellations                 booking
POST        /api/bookings/{reference}/changes                       booking
POST        /api/bookings/{reference}/corrections                   booking
POST        /api/bookings/{reference}/cancellations/{amendment_id}/confirm  booking
POST        /api/bookings/{reference}/changes/{amendment_id}/confirm  booking
POST        /api/bookings/{reference}/corrections/{amendment_id}/confirm  booking
GET         /api/bookings/{reference}/amendments/{amendment_id}     booking
POST        /api/bookings/{reference}/amendments/{amendment_id}/withdraw  booking
PUT         /api/bookings/{reference}/contact                       booking
GET         /api/bookings/{reference}/itinerary.pdf                 booking
GET         /api/bookings/{reference}/calendar.ics                  booking
GET         /api/bookings/{reference}/documents                     booking
GET         /api/bookings/{reference}/receipt.pdf                   booking
GET         /api/bookings/{reference}/papers/{number}.pdf           booking
GET         /api/bookings/{reference}/carrier-changes               booking
POST        /api/bookings/{reference}/carrier-changes/{id:uuid}     booking
GET POST    /api/bookings/{reference}/check-ins                     booking
DELETE      /api/bookings/{reference}/check-ins/{id}                booking
GET         /api/bookings/{reference}/boarding-passes.pdf           booking
PUT         /api/bookings/{reference}/seats                         booking
GET PUT     /api/bookings/{reference}/extras                        booking
POST        /api/auth/register                                      anyone
POST        /api/auth/login                                         anyone
POST        /api/auth/refresh                                       anyone
POST        /api/auth/logout                                        anyone
POST        /api/auth/verify-email                                  anyone
POST        /api/auth/resend-verification                           anyone
POST        /api/auth/forgot-password                               anyone
POST        /api/auth/reset-password                                anyone
POST        /api/auth/change-password                               account
GET PATCH   /api/me                                                 account
GET POST    /api/me/travellers                                      account
PUT DELETE  /api/me/travellers/{id}                                 own
GET POST    /api/me/keys                                            account
DELETE      /api/me/keys/{id}                                       own
GET POST    /api/me/waits                                           account
DELETE      /api/me/waits/{id}                                      own
GET POST    /api/me/alerts                                          account
DELETE      /api/me/alerts/{id}                                     own
GET         /api/analytics/summary                                  staff
GET         /api/analytics/revenue                                  staff
GET         /api/analytics/bookings                                 staff
GET         /api/analytics/routes                                   staff
GET         /api/analytics/demographics                             staff
GET         /api/analytics/trends                                   staff
POST        /api/exports                                            staff
GET         /api/exports/{id:uuid}                                  report
GET         /api/exports/{id:uuid}/file                             report
GET         /api/audit                                              staff
GET         /api/admin/payments                                     staff
POST        /api/admin/payments/credits                             staff
POST        /api/admin/payments/refunds/{id:uuid}                   staff
POST        /api/admin/payments/reviews/{id:uuid}                   staff
GET         /api/admin/jobs                                         staff
POST        /api/admin/jobs/{id:int}/retry                          staff
POST        /api/admin/jobs/{id:int}/drop                           staff
GET         /api/admin/promotions                                   staff
POST        /api/admin/promotions                                   admin
PATCH       /api/admin/promotions/{code}                            admin
GET         /api/admin/flights                                      staff
GET         /api/admin/flights/{flightId:uuid}                      staff
POST        /api/admin/flights/{flightId:uuid}/delay                staff
GET         /api/admin/change-rules                                 staff
POST        /api/admin/change-rules                                 admin
POST        /api/admin/flights/{flightId:uuid}/retime               staff
POST        /api/admin/flights/{flightId:uuid}/cancel               staff
POST        /api/admin/flights/{flightId:uuid}/swap                 staff
POST        /api/boarding/scans                                     staff
GET         /api/boarding/flights/{id}                              staff
"""


def read(table: str) -> dict[tuple[str, str], str]:
    """Return the table as {(method, path): kind}; raises ValueError for a line that is doubled or says no kind."""
    rules: dict[tuple[str, str], str] = {}
    for line in table.splitlines():
        *methods, path, kind = line.split() if line and not line.startswith("#") else ("", "")
        for method in filter(None, methods):
            if kind not in KINDS or (method, path) in rules:
                raise ValueError(line)
            rules[method, path] = kind
    return rules


RULES = read(TABLE)


def kind_of(method: str, path: str) -> str | None:
    """Return the kind of the door at a route's path as it was written; HEAD is asked like GET."""
    return RULES.get(("GET" if method == "HEAD" else method, path))


def admit(request: Request, path: str) -> None:
    """Let the viewer through to the door at the route `path`; raises NotSignedIn or Forbidden as the table says."""
    kind = kind_of(request.method, path)
    if kind is None:
        raise Forbidden("This address has no line in portal/access.py yet, so nobody may use it.")
    answer = "in" if kind in KEPT_BY_DOOR else _answer(KINDS[kind], request.viewer)
    if answer == "sign-in":
        raise NotSignedIn()
    if answer == "403":
        raise Forbidden()
    needs, scopes = needed_scope(request.method, path), request.viewer.scopes if request.viewer else None
    if needs is not None and scopes is not None and needs not in scopes:
        raise ScopeMissing(f"This needs a key with the scope {needs}.")


def needed_scope(method: str, path: str) -> str | None:
    """Return the scope that an API key needs at a route for programs; None where anyone may read without one."""
    if not path.startswith("/api/") or (kind_of(method, path) == "anyone" and method not in UNSAFE):
        return None
    return scope_of(method, path)


def admission(method: str, path: str) -> Admission:
    """Return what the API's description tells of a door: how one shows who one is, and what may be refused for it."""
    kind, scope = kind_of(method, path), needed_scope(method, path)
    if kind is None or path.startswith("/api/health") or (kind == "anyone" and path.startswith("/api/auth/")):
        return Admission()
    if scope is None:
        return Admission(refusals=(TokenRefused,))
    ways: list[dict[str, list[str]]] = [{"bearer": []}, *([{"apiKey": [scope]}] if scope in scope_words() else [])]
    ways = [{"bookingToken": []}, *ways] if kind == "booking" else ways
    refusals: list[type[PortalError]] = [
        TokenRefused,
        ScopeMissing,
        *([NotSignedIn] if KINDS[kind].guest == "sign-in" else []),
    ]
    refusals += [Forbidden] if "403" in KINDS[kind] else []
    return Admission(tuple([{}, *ways] if KINDS[kind].guest == "in" else ways), tuple(refusals))


def _answer(kind: Kind, viewer: Viewer | None) -> str:
    if viewer is None:
        return kind.guest
    return {"staff": kind.staff, "admin": kind.admin}.get(viewer.role, kind.owner)

"""The doors by which somebody signs in at another place (OpenID Connect) and comes back.

A verified address there makes an account here, or leads to the account that has it – which its owner then connects by
signing in once as always: nobody takes an account over by an address alone, neither here nor there.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response

from portal.accounts import oidc, queries, service
from portal.accounts.entrance import (
    LINK,
    LINK_SECONDS,
    drop_cookie,
    enter,
    local,
    note_proof,
    second_or_enter,
    set_cookie,
    sign_in_url,
    unsealed,
)
from portal.accounts.errors import ProviderAway, ProviderRefused
from portal.accounts.forms import Newcomer
from portal.factors import service as factors
from portal.factors.errors import OfferLapsed
from portal.kit import clock, db, limits
from portal.kit.errors import Invalid, NotFound
from portal.kit.i18n import gettext as _
from portal.kit.validation import parse
from portal.kit.web import Notice, Request, page, see_other

COOKIE, SECONDS = "provider", 600
SIGN_IN, CONNECT, CONFIRM = "sign-in", "connect", "confirm"
PROOF_SECONDS = 120


def leave(request: Request) -> Response:
    """Send the browser to the other place: to sign in, to connect the account there, or to show who is there."""
    settings = request.settings
    if not settings.oidc_issuer:
        raise NotFound()
    limits.check(settings, "provider", limits.caller(request.scope))
    after, wish = local(request.query_params.get("next", "")), _wish(request)
    if wish == CONNECT and not _from_our_page(request):
        why = _("Please connect your account from this page: then we know that it is you who wants it.")
        return _home_of(request, CONNECT, "", Notice("info", why))
    try:
        url, ticket = oidc.begin(settings, _back(request), again=wish == CONFIRM)
    except (ProviderAway, ProviderRefused) as no:
        return _failed(request, wish, after, no)
    response = see_other(request, url)
    viewer = str(request.viewer_id) if request.viewer else ""
    kept = [ticket.state, ticket.nonce, ticket.verifier, wish, viewer, after]
    set_cookie(request, response, COOKIE, kept, SECONDS)
    return response


def _wish(request: Request) -> str:
    if request.viewer is None:
        return SIGN_IN
    if request.query_params.get("for") == CONFIRM:
        return CONFIRM
    request.fresh()
    return CONNECT


def _from_our_page(request: Request) -> bool:
    """A link of another site must not connect an account: it could be the one that its author is signed in to there."""
    viewer_id, word = request.viewer_id, request.query_params.get("connecting", "")
    return viewer_id is not None and factors.may_connect(request.settings, viewer_id, word)


def _back(request: Request) -> str:
    return f"{request.settings.base_url.rstrip('/')}/account/sign-in/provider/back"


def _failed(request: Request, wish: str, after: str, no: ProviderAway | ProviderRefused) -> Response:
    name = {"name": request.settings.oidc_label}
    if isinstance(no, ProviderAway):
        why = _("%(name)s does not answer at this moment. Please try again soon, or sign in in another way.") % name
    else:
        why = no.detail or _("Signing in at %(name)s did not work. Nothing has changed; please try again.") % name
    return _home_of(request, wish, after, Notice("warn", why))


def _home_of(request: Request, wish: str, after: str, notice: Notice) -> Response:
    pages = {CONNECT: "/account/security/second-step", CONFIRM: f"/account/confirm?{urlencode({'next': after})}"}
    response = see_other(request, pages.get(wish, sign_in_url(after)), notice)
    drop_cookie(request, response, COOKIE)
    return response


def back(request: Request) -> Response:
    """Receive who comes back from the other place; each return counts once, and only in the browser that left."""
    if not request.settings.oidc_issuer:
        raise NotFound()
    kept = unsealed(request, COOKIE, SECONDS) or ["", "", "", SIGN_IN, "", ""]
    ticket, wish, viewer_id, after = oidc.Ticket(*kept[:3]), kept[3], kept[4], local(kept[5])
    try:
        stranger = _who(request, ticket, viewer_id)
    except (ProviderAway, ProviderRefused) as no:
        return _failed(request, wish, after, no)
    response = _receive(request, stranger, wish, after)
    drop_cookie(request, response, COOKIE)
    return response


def _who(request: Request, ticket: oidc.Ticket, viewer_id: str) -> oidc.Stranger:
    answer = {name: value for name, value in request.query_params.multi_items() if len(value) <= 4096}
    if not ticket.state or answer.get("state") != ticket.state or str(request.viewer_id or "") != viewer_id:
        raise ProviderRefused()
    try:
        with db.writing() as session:
            factors.spend(session, f"provider {ticket.state}", timedelta(seconds=SECONDS))
    except OfferLapsed:
        raise ProviderRefused() from None
    if answer.get("error") == "access_denied":
        raise ProviderRefused(_("You did not sign in at %(name)s.") % {"name": request.settings.oidc_label})
    return oidc.finish(request.settings, _back(request), answer, ticket, clock.now())


def _receive(request: Request, stranger: oidc.Stranger, wish: str, after: str) -> Response:
    with db.writing() as session:
        user_id = factors.linked(session, stranger.issuer, stranger.subject)
        person = queries.may_enter(session, user_id) if user_id else None
    if wish == CONFIRM:
        return _confirmed(request, stranger, user_id, after)
    if wish == CONNECT:
        return _connect(request, stranger)
    if person is not None:
        return second_or_enter(request, person, after)
    if user_id is not None or not stranger.verified or not stranger.email:
        return _unwelcome(request, after)
    return _meet(request, stranger, after)


def _unwelcome(request: Request, after: str) -> Response:
    why = _("Your account at %(name)s has no address that was confirmed there. Confirm it there, or sign in here.")
    return see_other(request, sign_in_url(after), Notice("warn", why % {"name": request.settings.oidc_label}))


def _meet(request: Request, stranger: oidc.Stranger, after: str) -> Response:
    """Make an account for a verified address that has none here; else have its owner sign in as always, to connect."""
    names = {"firstName": stranger.given_name or stranger.email.split("@")[0], "lastName": stranger.family_name}
    try:
        wish = parse(Newcomer, {"email": stranger.email, **names})
    except Invalid:
        return _unwelcome(request, after)
    with db.writing() as session:
        made = service.adopt(session, email=wish.email, given_name=wish.first_name, family_name=wish.last_name)
        person = queries.may_enter(session, made) if made else queries.person_by_email(session, wish.email)
        if made:
            _link(session, made, stranger)
    if person is None:
        return _unwelcome(request, after)
    return enter(request, person, after, factor=False) if made else _ask_owner(request, stranger, person, after)


def _link(session: Session, user_id: UUID, stranger: oidc.Stranger) -> bool:
    return factors.link(session, user_id, issuer=stranger.issuer, subject=stranger.subject, email=stranger.email)


def _ask_owner(request: Request, stranger: oidc.Stranger, person: queries.Known, after: str) -> Response:
    why = _("You have an account here with the address %(email)s. Sign in once as always, and %(name)s is connected.")
    words = why % {"email": person.email, "name": request.settings.oidc_label}
    response = see_other(request, sign_in_url(after), Notice("info", words))
    waiting = {"issuer": stranger.issuer, "subject": stranger.subject, "email": stranger.email}
    set_cookie(request, response, LINK, {**waiting, "userId": str(person.id)}, LINK_SECONDS)
    return response


def _connect(request: Request, stranger: oidc.Stranger) -> Response:
    viewer = request.fresh()
    name = {"name": request.settings.oidc_label}
    if not stranger.verified:
        return _home_of(request, CONNECT, "", Notice("warn", _("Your address is not confirmed at %(name)s.") % name))
    with db.writing() as session:
        done = _link(session, viewer.id, stranger)
    if not done:
        taken = _("That account at %(name)s signs in to another account here.") % name
        return _home_of(request, CONNECT, "", Notice("warn", taken))
    return _home_of(request, CONNECT, "", Notice("good", _("%(name)s is connected.") % name))


def _confirmed(request: Request, stranger: oidc.Stranger, user_id: UUID | None, after: str) -> Response:
    """Take it as proof when the viewer's own account there was shown just now, not when it was merely open."""
    viewer = request.require()
    if user_id != viewer.id or stranger.shown_at < clock.now().timestamp() - PROOF_SECONDS:
        why = _("%(name)s did not tell us that it is you who is there now.") % {"name": request.settings.oidc_label}
        return _home_of(request, CONFIRM, after, Notice("warn", why))
    with db.writing() as session:
        note_proof(request, session, factor=False)
    return see_other(request, after or "/account")


routes = [
    page("/account/sign-in/provider", leave),
    page("/account/sign-in/provider/back", back),
]

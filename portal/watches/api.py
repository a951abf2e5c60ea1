"""The JSON doors of waiting lists and fare alerts: one's own, for who is signed in."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from portal.kit import db, i18n, limits
from portal.kit.errors import FieldError, Invalid, NotSignedIn, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.openapi import operation
from portal.kit.web import Request, Viewer, endpoint
from portal.watches import errors, queries, service
from portal.watches.forms import AlertList, AlertOut, NewAlert, NewWait, OwnAlert, OwnWait, WaitList, WaitOut
from portal.watches.rules import WaitView

PRIVATE = {"Cache-Control": "private, no-store"}


@operation("Your places on waiting lists", answer=WaitList, errors=(NotSignedIn,))
def waits(request: Request) -> Response:
    """List what the account waits for, the newest first."""
    viewer = request.require()
    with db.reading() as session:
        own = queries.own_waits(session, viewer.id)
    return JSONResponse(WaitList(data=tuple(WaitOut.of(one) for one in own)).wire(), headers=PRIVATE)


@operation(
    "Wait for a seat",
    body=OwnWait,
    answer=WaitOut,
    status=201,
    errors=(NotSignedIn, errors.UnknownWait, errors.LineClosed, errors.NotFull, errors.TooManyWatches),
)
def join(request: Request, body: OwnWait) -> Response:
    """Join the line for a flight, or for two that connect, without seats for the party; an address has one place in it.

    When seats come free they are held for three hours, in order of joining, and a mail says so.
    """
    viewer = request.require()
    wish = NewWait.model_validate({**dict(body), "email": _own_address(request, viewer, body.email)})
    with db.writing() as session:
        wait_id = service.join(session, wish, user_id=viewer.id, locale=i18n.locale.get())
    with db.reading() as session:
        made = _own_wait(session, wait_id, viewer.id)
    return JSONResponse(WaitOut.of(made).wire(), 201, headers=PRIVATE)


def _own_wait(session: Session, wait_id: UUID, user_id: UUID) -> WaitView:
    """Return the account's place; one that the address got before it was the account's is not told of."""
    found = queries.wait(session, wait_id)
    if found is None or found.user_id != user_id:
        raise errors.UnknownWait()
    return found


@operation("Leave a waiting list", status=204, errors=(NotSignedIn, errors.UnknownWait))
def leave(request: Request) -> Response:
    """Give a place up."""
    viewer = request.require()
    with db.writing() as session:
        service.leave(session, _id(request, errors.UnknownWait()), user_id=viewer.id)
    return Response(status_code=204)


@operation("Your fare alerts", answer=AlertList, errors=(NotSignedIn,))
def alerts(request: Request) -> Response:
    """List what the account listens to, the newest first."""
    viewer = request.require()
    with db.reading() as session:
        own = queries.own_alerts(session, viewer.id)
    return JSONResponse(AlertList(data=tuple(AlertOut.of(one) for one in own)).wire(), headers=PRIVATE)


@operation(
    "Hear of a lower fare",
    body=OwnAlert,
    answer=AlertOut,
    status=201,
    errors=(NotSignedIn, errors.UnknownAlert, errors.TooManyWatches),
)
def listen(request: Request, body: OwnAlert) -> Response:
    """Keep an alert, pending until the link in the mail to its address is followed."""
    viewer = request.require()
    wish = NewAlert.model_validate({**dict(body), "email": _own_address(request, viewer, body.email)})
    with db.writing() as session:
        alert_id = service.listen(session, wish, user_id=viewer.id, locale=i18n.locale.get())
    with db.reading() as session:
        made = queries.alert(session, alert_id)
    if made is None or made.user_id != viewer.id:
        raise errors.UnknownAlert()
    return JSONResponse(AlertOut.of(made).wire(), 201, headers=PRIVATE)


@operation("Stop a fare alert", status=204, errors=(NotSignedIn, errors.UnknownAlert))
def stop(request: Request) -> Response:
    """End an alert."""
    viewer = request.require()
    with db.writing() as session:
        service.stop(session, _id(request, errors.UnknownAlert()), user_id=viewer.id)
    return Response(status_code=204)


def _own_address(request: Request, viewer: Viewer, given: str | None) -> str:
    """Return the account's address, which counts as asked for; raises Invalid for another one, whoever's it is.

    What is answered here tells whether an address is in a line already, so nobody may ask about another's.
    """
    if given is not None and given.lower() != viewer.email.lower():
        raise Invalid(errors=[FieldError("email", _("Programs are written to at their account's own address only."))])
    limits.check(request.settings, "watch-caller", limits.caller(request.scope))
    limits.check(request.settings, "watch-address", viewer.email.lower())
    return viewer.email


def _id(request: Request, no: PortalError) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise no from None


routes = [
    endpoint("/api/me/waits", waits),
    endpoint("/api/me/waits", join, methods=("POST",)),
    endpoint("/api/me/waits/{id}", leave, methods=("DELETE",)),
    endpoint("/api/me/alerts", alerts),
    endpoint("/api/me/alerts", listen, methods=("POST",)),
    endpoint("/api/me/alerts/{id}", stop, methods=("DELETE",)),
]

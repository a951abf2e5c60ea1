"""The back office for programs: jobs to list, to try again and to drop; money that waits for somebody."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portal.booking.forms import MoneyWire
from portal.kit import db, ids, signing
from portal.kit.errors import FieldError, Forbidden, Invalid, NotSignedIn
from portal.kit.i18n import gettext as _
from portal.kit.openapi import operation
from portal.kit.web import Request, endpoint
from portal.payments import service as payments
from portal.payments.errors import NothingToRedo, UnknownPayment
from portal.staff import queries, service
from portal.staff.errors import LetterMovedOn, UnknownLetter
from portal.staff.forms import CreditWish, GivenOut, JobOut, JobsOut, JobsQuery, MoneyOut, Redo, money_out
from portal.staff.queries import LetterView

LIST = "staff letters list"
PRIVATE = {"Cache-Control": "private, no-store"}


@operation(
    "Jobs, newest first",
    query=JobsQuery,
    answer=JobsOut,
    errors=(NotSignedIn, Forbidden),
)
def jobs(request: Request, query: JobsQuery) -> Response:
    """List what happens after a booking: mails, tickets, refunds, rounds. For staff."""
    request.require("staff", "admin")
    states = (query.state,) if query.state else ()
    before = _before(request, query.cursor)
    with db.reading() as session:
        found = queries.letters(session, states=states, kind=query.kind, before=before, limit=query.limit + 1)
    more = signing.seal(request.settings, LIST, found[query.limit - 1].id) if len(found) > query.limit else None
    answer = JobsOut(data=tuple(_out(one) for one in found[: query.limit]), next_cursor=more)
    return JSONResponse(answer.wire(), headers=PRIVATE)


@operation("Money that waits for somebody", answer=MoneyOut, errors=(NotSignedIn, Forbidden))
def money(request: Request) -> Response:
    """List refunds that have not gone through, sums that fit no order, and what the ledger's accounts stand at."""
    request.require("staff", "admin")
    return _money()


@operation(
    "Try a refused refund again",
    body=Redo,
    answer=MoneyOut,
    errors=(NotSignedIn, Forbidden, NothingToRedo),
)
def redo_refund(request: Request, body: Redo) -> Response:
    """Send it through its gateway once more, or make it a travel credit of the booking's contact. For staff."""
    viewer, refund_id = request.require("staff", "admin"), request.path_params["id"]
    with db.writing() as session:
        owner = queries.contact_of_refund(session, refund_id)
        payments.redo_refund(session, refund_id, to=body.to, actor_id=viewer.id, owner=owner)
    return _money()


@operation(
    "Send a sum back that fits no order",
    answer=MoneyOut,
    errors=(NotSignedIn, Forbidden, UnknownPayment),
)
def send_back(request: Request) -> Response:
    """Send it back, whole, to whom the gateway took it from; again changes nothing. For staff."""
    viewer = request.require("staff", "admin")
    with db.writing() as session:
        payments.send_reviewed_back(session, request.path_params["id"], actor_id=viewer.id)
    return _money()


@operation(
    "Give a travel credit",
    body=CreditWish,
    answer=GivenOut,
    status=201,
    errors=(NotSignedIn, Forbidden),
)
def give_credit(request: Request, body: CreditWish) -> Response:
    """Give somebody a travel credit in the house's currency, as a gesture; its code is told this once. For staff."""
    viewer = request.require("staff", "admin")
    gift = body.money(request.settings.currency)
    with db.writing() as session:
        code = payments.give_credit(session, gift, owner=body.email, actor_id=viewer.id, key=ids.secret(18)).code
    told = GivenOut(code=code, amount=MoneyWire.of(gift.minor, gift.currency))
    return JSONResponse(told.wire(), 201, headers=PRIVATE)


def _money() -> Response:
    with db.reading() as session:
        found = queries.waiting_money(session)
    return JSONResponse(money_out(found).wire(), headers=PRIVATE)


CHANGE = {"answer": JobOut, "errors": (NotSignedIn, Forbidden, UnknownLetter, LetterMovedOn)}


@operation("Try a job again", **CHANGE)
def retry(request: Request) -> Response:
    """Give a failed, dead or dropped job a fresh start, at once. For staff."""
    return _change(request, service.retry)


@operation("Drop a job", **CHANGE)
def drop(request: Request) -> Response:
    """Give a failed or dead job up for good. For staff."""
    return _change(request, service.drop)


def _change(request: Request, deed: Callable[[Session, int, UUID], LetterView]) -> Response:
    viewer = request.require("staff", "admin")
    with db.writing() as session:
        after = deed(session, request.path_params["id"], viewer.id)
    return JSONResponse(_out(after).wire(), headers=PRIVATE)


def _out(letter: LetterView) -> JobOut:
    return JobOut.model_validate(letter, from_attributes=True)


def _before(request: Request, cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        return int(signing.unseal(request.settings, LIST, cursor))
    except signing.Tampered:
        raise Invalid(errors=[FieldError("cursor", _("Please use `nextCursor` of the answer before."))]) from None


routes: list[Route] = [
    endpoint("/api/admin/payments", money),
    endpoint("/api/admin/payments/credits", give_credit, methods=("POST",)),
    endpoint("/api/admin/payments/refunds/{id:uuid}", redo_refund, methods=("POST",)),
    endpoint("/api/admin/payments/reviews/{id:uuid}", send_back, methods=("POST",)),
    endpoint("/api/admin/jobs", jobs),
    endpoint("/api/admin/jobs/{id:int}/retry", retry, methods=("POST",)),
    endpoint("/api/admin/jobs/{id:int}/drop", drop, methods=("POST",)),
]

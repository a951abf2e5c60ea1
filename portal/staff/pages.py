"""The back office for people: jobs, bookings, money that waits, and the figures for a Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from portal.accounts import guard
from portal.kit import db, ids, signing
from portal.kit.errors import Conflict, FieldError, Invalid
from portal.kit.health import require_insider
from portal.kit.i18n import gettext as _
from portal.kit.i18n import ngettext
from portal.kit.metrics import CONTENT_TYPE, Gauge, exposition
from portal.kit.metrics import counted as count_of
from portal.kit.money import typed_text
from portal.kit.validation import parse
from portal.kit.web import Notice, Request, Viewer, errors_by_field, page, render, see_other
from portal.payments import service as payments
from portal.staff import queries, rules, service
from portal.staff.forms import BookingsWish, CreditWish, JobsWish
from portal.staff.queries import BookingRow, LetterView, Tally

PAGE = 50
JOBS = "/admin/jobs"
BOOKINGS = "/admin/bookings"
MONEY = "/admin/payments"
LETTERS_LIST, BOOKINGS_LIST = "staff letters page", "staff bookings page"


class JobsDoor(Route):
    """A door of the jobs page: under JOBS, where the navigation points, and where JOBS_DASHBOARD_PATH has it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match either address."""
        own = scope["app"].state.settings.jobs_dashboard_path.rstrip("/") if "app" in scope else JOBS
        path = scope["path"]
        if own and (path == own or path.startswith(f"{own}/")):
            return super().matches({**scope, "path": JOBS + path.removeprefix(own)})
        return super().matches(scope)


def _jobs_door(path: str, view: Callable[..., Response], *methods: str) -> Route:
    plain = page(path, view, methods=methods)
    return JobsDoor(path, plain.endpoint, methods=list(methods), name=plain.name)


def jobs(request: Request) -> Response:
    """Show how deep the queues are and which letters are in trouble; the address says which letters are listed."""
    _staff(request)
    wish = parse(JobsWish, _given(request, JobsWish))
    before = _unsealed(request, LETTERS_LIST, wish.cursor)
    with db.reading() as session:
        tallies = queries.tallies(session)
        found = queries.letters(session, states=rules.VIEWS[wish.state], kind=wish.kind, before=before, limit=PAGE + 1)
    more = signing.seal(request.settings, LETTERS_LIST, found[PAGE - 1].id) if len(found) > PAGE else ""
    base = _jobs_address(request)
    return render(
        request,
        "staff/jobs.html",
        block="figures",
        base=base,
        counts=_counts(tallies),
        queues=queries.queues(tallies),
        tallies=tallies,
        states=_views(base, wish, tallies),
        letters=found[:PAGE],
        wish=wish,
        span=rules.span,
        may_retry=rules.MAY_RETRY,
        may_drop=rules.MAY_DROP,
        next_href=f"{base}?{_words(state=wish.state, kind=wish.kind, cursor=more)}" if more else "",
    )


def _counts(tallies: list[Tally]) -> dict[str, Any]:
    ages = [one.oldest_seconds for one in tallies if one.oldest_seconds is not None]
    return {
        "waiting": sum(one.waiting for one in tallies),
        "running": sum(one.running for one in tallies),
        "failed": sum(one.failed for one in tallies),
        "dead": sum(one.dead for one in tallies),
        "dropped": sum(one.dropped for one in tallies),
        "done": sum(one.done_in_hour for one in tallies),
        "oldest": rules.span(max(ages)) if ages else "–",
    }


def _views(base: str, wish: JobsWish, tallies: list[Tally]) -> list[dict[str, Any]]:
    counts = _counts([one for one in tallies if wish.kind in (None, one.kind)])
    numbers = {**counts, "trouble": counts["failed"] + counts["dead"]}
    labels = {
        "trouble": _("In trouble"),
        "waiting": _("Waiting"),
        "running": _("Running"),
        "done": _("Done"),
        "dropped": _("Dropped"),
    }
    return [
        {
            "label": labels[name],
            "href": f"{base}?{_words(state=name, kind=wish.kind)}",
            "current": name == wish.state,
            "count": "" if name == "done" else numbers[name],
        }
        for name in rules.VIEWS
    ]


def retry(request: Request) -> Response:
    """Let a letter that failed come again at once."""
    return _change(request, service.retry, _("Job %(id)s comes again now."))


def drop(request: Request) -> Response:
    """Give a letter up for good."""
    return _change(request, service.drop, _("Job %(id)s is dropped; it stays in the list of dropped ones."))


def _change(request: Request, deed: Callable[[Session, int, UUID], LetterView], words: str) -> Response:
    viewer = _staff(request)
    letter_id = request.path_params["id"]
    seen = parse(JobsWish, {name: request.fields[name] for name in ("state", "kind") if request.fields.get(name)})
    back = f"{_jobs_address(request)}?{_words(state=seen.state, kind=seen.kind)}"
    try:
        with db.writing() as session:
            deed(session, letter_id, viewer.id)
    except Conflict as no:
        return see_other(request, back, Notice("warn", no.detail))
    return see_other(request, back, Notice("good", words % {"id": letter_id}))


def _jobs_address(request: Request) -> str:
    own = request.settings.jobs_dashboard_path.rstrip("/")
    return own if own.startswith("/") else JOBS


def bookings(request: Request) -> Response:
    """List bookings by reference, name or e-mail, state, route and day; the address says which."""
    _staff(request)
    given = _given(request, BookingsWish)
    shown: dict[str, Any] = {"filters": {name: given.get(name, "") for name in ("q", "status", "route", "from", "to")}}
    try:
        wish = parse(BookingsWish, given)
        after, offset = _place(request, wish.cursor)
    except Invalid as no:
        return _show_bookings(
            request, 422, **shown, errors=errors_by_field(no), rows=[], total=0, words="", next_href=""
        )
    with db.reading() as session:
        found = queries.bookings(session, wish, after=after, limit=PAGE + 1)
        total = queries.count_bookings(session, wish)
    rows = found[:PAGE]
    more = _next(request, given, rows[-1], offset + PAGE) if len(found) > PAGE else ""
    words = _range(offset, len(rows), total)
    return _show_bookings(request, 200, **shown, errors={}, rows=rows, total=total, words=words, next_href=more)


def _show_bookings(request: Request, status: int, **context: Any) -> Response:
    statuses = [
        ("held", _("Held")),
        ("confirmed", _("Confirmed")),
        ("cancelled", _("Cancelled")),
        ("expired", _("Expired")),
    ]
    first = bool(request.query_params.get("cursor"))
    first_href = f"{BOOKINGS}?{_words(**context['filters'])}" if first else ""
    return render(
        request,
        "staff/bookings.html",
        block="rows",
        status=status,
        statuses=statuses,
        first_href=first_href,
        most=queries.COUNTED,
        **context,
    )


def _place(request: Request, cursor: str | None) -> tuple[tuple[datetime, UUID] | None, int]:
    """Return the booking that the page begins after, and how many stand before it."""
    found = _unsealed(request, BOOKINGS_LIST, cursor)
    if found is None:
        return None, 0
    created, booking_id, offset = found
    return (datetime.fromisoformat(created), UUID(booking_id)), offset


def _next(request: Request, given: dict[str, str], last: BookingRow, offset: int) -> str:
    sealed = signing.seal(request.settings, BOOKINGS_LIST, [last.booked_at.isoformat(), str(last.id), offset])
    return f"{BOOKINGS}?{_words(**{**given, 'cursor': sealed})}"


def _range(offset: int, shown: int, total: int) -> str:
    if total > queries.COUNTED:
        return _("%(first)d–%(last)d of more than 10,000") % {"first": offset + 1, "last": offset + shown}
    if shown == total:
        return ngettext("1 booking", "%(num)s bookings", total) % {"num": total}
    return _("%(first)d–%(last)d of %(total)d") % {"first": offset + 1, "last": offset + shown, "total": total}


def money(request: Request) -> Response:
    """Show the money that waits for somebody: sums that fit no order, refunds that have not gone through, the books."""
    _staff(request)
    return _money(request, {}, "", status=200)


def _money(request: Request, errors: dict[str, str], code: str, *, status: int) -> Response:
    with db.reading() as session:
        found = queries.waiting_money(session)
    typed = {name: "" if code else request.fields.get(name, "") for name in ("email", "amount")}
    return render(
        request,
        "staff/payments.html",
        status=status,
        **found._asdict(),
        errors=errors,
        typed=typed,
        code=code,
        key=ids.secret(18),
    )


def give_credit(request: Request) -> Response:
    """Give somebody a travel credit as a gesture; its code is shown on this one answer.

    Sent again, by a reload or a second click, the form's key makes it the same credit and shows its code again.
    """
    viewer = _staff(request)
    try:
        amount = typed_text(str(request.fields.get("amount", "")), request.settings.currency)
        wish = parse(CreditWish, {"email": request.fields.get("email", ""), "amount": amount})
        gift = wish.money(request.settings.currency)
    except Invalid as no:
        return _money(request, dict(errors_by_field(no)), "", status=422)
    key = str(request.fields.get("key") or ids.secret(18))
    with db.writing() as session:
        code = payments.give_credit(session, gift, owner=wish.email, actor_id=viewer.id, key=key).code
    return _money(request, {}, code, status=201)


def redo_refund(request: Request) -> Response:
    """Try a refused refund again, by its gateway or as a travel credit."""
    viewer, refund_id = _staff(request), _named(request)
    as_credit = request.fields.get("to") == "credit"
    with db.reading() as session:
        owner = queries.contact_of_refund(session, refund_id)
    try:
        with db.writing() as session:
            to = "credit" if as_credit else "original"
            payments.redo_refund(session, refund_id, to=to, actor_id=viewer.id, owner=owner)
    except Conflict as no:
        return see_other(request, MONEY, Notice("warn", no.title))
    words = _("It is a travel credit now; the traveller gets the code.") if as_credit else _("It is being tried again.")
    return see_other(request, MONEY, Notice("good", words))


def send_back(request: Request) -> Response:
    """Send a sum that fits no order back to whom it came from."""
    viewer = _staff(request)
    with db.writing() as session:
        payments.send_reviewed_back(session, _named(request), actor_id=viewer.id)
    return see_other(request, MONEY, Notice("good", _("It is on its way back.")))


def _named(request: Request) -> UUID:
    return cast(UUID, request.path_params["id"])


def metrics(request: Request) -> Response:
    """Answer the portal's figures in Prometheus's text form, to staff and to this machine."""
    require_insider(request)
    with db.reading() as session:
        found = [*queries.gauges(session), _sign_ins(request)]
    return PlainTextResponse(exposition(found), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def _sign_ins(request: Request) -> Gauge:
    counted = count_of(request.settings.redis_url, guard.SIGN_INS, guard.OUTCOMES)
    words = "How attempts to sign in ended, since Redis began to count."
    return Gauge("portal_sign_ins_total", words, counted, "outcome", "counter")


def _staff(request: Request) -> Viewer:
    return request.require("staff", "admin")


def _given(request: Request, model: type[JobsWish | BookingsWish]) -> dict[str, str]:
    """Return what of the address the page knows; empty words count as not given, strange ones are left alone."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    return {name: word for name in names if (word := request.query_params.get(name, "").strip())}


def _unsealed(request: Request, purpose: str, cursor: str | None) -> Any:
    if cursor is None:
        return None
    try:
        return signing.unseal(request.settings, purpose, cursor)
    except signing.Tampered:
        raise Invalid(errors=[FieldError("cursor", _("This page of the list is no longer there."))]) from None


def _words(**given: str | None) -> str:
    return urlencode({name: word for name, word in given.items() if word})


routes: list[BaseRoute] = [
    _jobs_door(JOBS, jobs, "GET"),
    _jobs_door(f"{JOBS}/{{id:int}}/retry", retry, "POST"),
    _jobs_door(f"{JOBS}/{{id:int}}/drop", drop, "POST"),
    page(BOOKINGS, bookings),
    page(MONEY, money),
    page(f"{MONEY}/credits", give_credit, methods=("POST",)),
    page(f"{MONEY}/refunds/{{id:uuid}}", redo_refund, methods=("POST",)),
    page(f"{MONEY}/reviews/{{id:uuid}}", send_back, methods=("POST",)),
    page("/metrics", metrics),
]

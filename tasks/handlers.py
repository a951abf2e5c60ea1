"""The one table of everything that happens afterwards: the kind of a letter → the function that does its work.

A handler may be called twice for one letter (its worker was lost after the work), so it is idempotent. It opens its
own transactions and calls a room's service; it returns when the work is done and raises when it is to come again:
`outbox.Later` when its time has not come, `outbox.Hopeless` when no further attempt can help, anything else to retry.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from sqlalchemy import text

from portal.analytics import service as analytics
from portal.analytics.errors import ExportTooLarge
from portal.booking import service as booking
from portal.flights import service as flights
from portal.flights.demo import CARRIER
from portal.flights.timetable import last_day
from portal.kit import clock, db, idempotency, outbox
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from tasks import (
    handlers_accounts,
    handlers_booking,
    handlers_checkin,
    handlers_disruptions,
    handlers_payments,
    handlers_pricing,
    handlers_privacy,
    handlers_tickets,
    handlers_trail,
    handlers_watches,
)
from tasks.delivery import Handler
from tasks.schedule import ROUNDS

LETTERS_KEPT = timedelta(days=30)
ROUNDS_KEPT = timedelta(days=1)


def sweep_letters(_: Settings, __: Letter) -> None:
    """Forget done letters after a month, and those of the rounds that come by themselves after a day."""
    with db.writing() as session:
        outbox.sweep(session, older_than=LETTERS_KEPT)
        outbox.sweep(session, older_than=ROUNDS_KEPT, kinds=["analytics.refresh", *(one.kind for one in ROUNDS)])


def sweep_idempotency(_: Settings, __: Letter) -> None:
    """Forget idempotency keys whose time is over."""
    with db.writing() as session:
        idempotency.sweep(session)


def expire_holds(_: Settings, __: Letter) -> None:
    """Tidy the holds whose time is over, one a transaction."""
    expired = 1
    while expired:
        with db.writing() as session:
            expired = booking.expire_lapsed(session)


def check_books(_: Settings, __: Letter) -> None:
    """Look every night whether seats, money and tickets add up; what does not is said on the jobs page, at once."""
    from portal.cli import all_findings  # brings what serves and migrates; a worker that never checks never pays

    with db.writing() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(text("set local statement_timeout = '10min'"))
        found = all_findings(session)
    if found:
        raise outbox.Hopeless("The books do not add up:\n" + "\n".join(map(str, found)))


def extend_demo(_: Settings, __: Letter) -> None:
    """Keep the demo airline's year and its past sales rolling; the first load is `portal demo`'s to do."""
    with db.writing() as session:
        if last_day(session, CARRIER) is not None:
            flights.extend_demo(session, clock.now().date())
            analytics.ensure_demo_history(session)
            analytics.ask_refresh(session, clock.now())


def note_sale(settings: Settings, letter: Letter) -> None:
    """Mark the days that a sale touched, and have them redone once the rush of these seconds is over.

    A change or a cancellation is told here too: who waits for the seats that came free gets them at once.
    """
    with db.writing() as session:
        analytics.mark(session, UUID(letter.payload["bookingId"]))
        analytics.ask_refresh(session, clock.now())
    handlers_watches.offer_freed(settings)


def refresh_figures(_: Settings, __: Letter) -> None:
    """Redo the roll-ups of every stale day, some days a transaction."""
    redone = 1
    while redone:
        with db.writing() as session:
            redone = analytics.refresh(session)


def roll_days(settings: Settings, letter: Letter) -> None:
    """Count the seats of the days around today, sold or not; forget old exports."""
    with db.writing() as session:
        analytics.mark_flights_around(session, clock.now())
        analytics.sweep_exports(session, older_than=LETTERS_KEPT)
    refresh_figures(settings, letter)


def run_export(settings: Settings, letter: Letter) -> None:
    """Write an export from one snapshot; each step is committed by itself, so that its asker sees it go on."""
    with db.writing() as session:
        attempt = analytics.begin_export(session, UUID(letter.payload["exportId"]))
    if attempt is None:
        return
    try:
        _write_export(settings, attempt)
    except ExportTooLarge as no:
        _fail_export(attempt, no.detail)
    except Exception:
        if letter.attempts >= outbox.MAX_ATTEMPTS:
            _fail_export(attempt, "It could not be written, though it was tried again and again.")
        raise


def _write_export(settings: Settings, attempt: analytics.Attempt) -> None:
    most = settings.analytics_max_export_rows
    with TemporaryDirectory() as folder, db.writing() as source:
        source.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        source.execute(text("set transaction read only"))
        steps = analytics.write_export(source, attempt, Path(folder), most_rows=most)
        for position, (step, percent) in enumerate(steps):
            with db.writing() as session:
                analytics.keep_step(session, attempt, step, percent, position)
    with db.writing() as session:
        analytics.finish_export(session, attempt)


def _fail_export(attempt: analytics.Attempt, reason: str) -> None:
    with db.writing() as session:
        analytics.fail_export(session, attempt, reason)


HANDLERS: dict[str, Handler] = {
    "analytics.booking": note_sale,
    "analytics.days": roll_days,
    "analytics.refresh": refresh_figures,
    "books.check": check_books,
    "demo.extend": extend_demo,
    "export.run": run_export,
    "holds.expire": expire_holds,
    "idempotency.sweep": sweep_idempotency,
    "outbox.sweep": sweep_letters,
    **handlers_accounts.HANDLERS,
    **handlers_booking.HANDLERS,
    **handlers_disruptions.HANDLERS,
    **handlers_payments.HANDLERS,
    **handlers_pricing.HANDLERS,
    **handlers_privacy.HANDLERS,
    **handlers_tickets.HANDLERS,
    **handlers_trail.HANDLERS,
    **handlers_checkin.HANDLERS,
    **handlers_watches.HANDLERS,
}

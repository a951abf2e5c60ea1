"""What happens after the carrier changed a flight: everybody booked is told, figures are redone, the clock goes on."""

from __future__ import annotations

import logging
from datetime import date
from uuid import UUID

from portal.analytics import service as analytics
from portal.booking.errors import AmendmentUnderWay
from portal.booking.queries import booking_by_id
from portal.disruptions import queries, service
from portal.disruptions.rules import Affected
from portal.disruptions.told import change_mail, told
from portal.flights.errors import Busy
from portal.flights.operations import flight_of
from portal.kit import clock, db, i18n, mail, outbox
from portal.kit.errors import PortalError
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.tickets.service import calendar
from tasks.delivery import Handler, deliver
from tasks.handlers_tickets import papers_of

log = logging.getLogger(__name__)


def announce(_: Settings, letter: Letter) -> None:
    """Tell every booking that a change hits, fifty a transaction, so that staff see how far it has come."""
    _tell_all(UUID(letter.payload["disruptionId"]))


def _tell_all(disruption_id: UUID) -> None:
    told_now = 1
    while told_now:
        with db.writing() as session:
            told_now = service.tell_some(session, disruption_id)


def tell(settings: Settings, letter: Letter) -> None:
    """Write to one booking's contact; a reminder only while the answer is still open.

    Where nothing is asked, what the change brings about is done first, and its papers come with this one mail.
    """
    reminder, one = letter.payload.get("reminder", 0), _affected(letter)
    if reminder and not one.is_open:
        return
    files = [] if one.booking_status != "confirmed" else _settled(one, settings)
    one = _affected(letter)
    with db.reading() as session:
        flight = flight_of(session, one.flight_id)
    with i18n.speaking(one.locale):
        words = told(one, flight)
    deliver(settings, letter.kind, change_mail(words, settings, reminder=reminder, files=files))


def _affected(letter: Letter) -> Affected:
    with db.reading() as session:
        one = queries.affected(session, UUID(letter.payload["affectedId"]))
    if one is None:
        raise outbox.Hopeless("The booking is gone.")
    return one


def _settled(one: Affected, settings: Settings) -> list[mail.File]:
    with db.writing() as session:
        amendment_id = service.settle_untold(session, one.id)
    with db.reading() as session:
        view = booking_by_id(session, one.booking_id)
    amendment = next((kept for kept in view.amendments if kept.id == amendment_id), None) if view else None
    if view is None or amendment is None:
        return []
    with i18n.speaking(view.locale):
        return [*papers_of(view, amendment, settings), calendar(view, settings)]


def clock_round(_: Settings, __: Letter) -> None:
    """Close what is over, tell who paid late, remind, and send money back where nobody answered in time."""
    with db.writing() as session:
        service.tidy(session)
        late = service.unfinished(session)
    for disruption_id in late:
        _tell_all(disruption_id)
    reminded = 1
    while reminded:
        with db.writing() as session:
            reminded = service.remind_some(session)
    with db.reading() as session:
        due = service.overdue(session)
    for affected_id in due:
        _refund(affected_id)


def _refund(affected_id: UUID) -> None:
    try:
        with db.writing() as session:
            service.refund(session, affected_id, actor_id=None)
    except (Busy, AmendmentUnderWay) as no:  # Somebody seats people, or pays, at this moment: the next round is soon.
        log.info("automatic refund waits", extra={"affected": str(affected_id), "reason": str(no)})
    except PortalError as no:
        with db.writing() as session:
            service.leave_to_staff(session, affected_id, no.detail or no.title)


def count_again(_: Settings, letter: Letter) -> None:
    """Have the seats of a changed flight's day counted again."""
    with db.writing() as session:
        analytics.mark_flight_day(session, date.fromisoformat(letter.payload["day"]))
        analytics.ask_refresh(session, clock.now())


HANDLERS: dict[str, Handler] = {
    "analytics.flight": count_again,
    "disruption.announce": announce,
    "disruption.tell": tell,
    "disruptions.clock": clock_round,
}

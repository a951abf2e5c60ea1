"""What happens afterwards for travellers: lines, fare alerts, the reminder to check in, guest bookings come home."""

from __future__ import annotations

import logging
from uuid import UUID

from portal.flights.errors import SoldOut
from portal.kit import clock, db
from portal.kit.errors import PortalError
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.search.rules import DayPrice
from portal.trips import service as trips
from portal.watches import queries, rules, service
from tasks.delivery import Handler, deliver

log = logging.getLogger(__name__)
SLICES_A_ROUND = 5


def serve_lines(settings: Settings, _: Letter) -> None:
    """Note what became of offers, end lines, and offer the seats that came free, one party a transaction."""
    with db.writing() as session:
        service.settle_waits(session)
    offer_freed(settings)


def offer_freed(settings: Settings) -> None:
    """Offer the seats that are free to who waits for them; one quick look where nobody does."""
    with db.reading() as session:
        lines = queries.lines_to_serve(session, clock.now() + rules.LINE_ENDS)
    for flight_id, cabin in lines:
        _serve(settings, flight_id, cabin)


def _serve(settings: Settings, flight_id: int, cabin: str) -> None:
    """Offer until nobody fits. A no – somebody bought in between, no price today – leaves the line as it was."""
    served = True
    while served:
        try:
            with db.writing() as session:
                served = service.offer_next(session, flight_id, cabin, settings=settings) is not None
        except SoldOut:
            return
        except PortalError as no:
            log.warning("waiting list not served", extra={"flight": flight_id, "cabin": cabin, "reason": str(no)})
            return


def tell_waiting(settings: Settings, letter: Letter) -> None:
    """Send a mail of a waiting list."""
    with db.reading() as session:
        wait_id = UUID(letter.payload["waitId"])
        message = service.wait_mail(session, letter.kind, wait_id, str(letter.key), settings)
    if message is not None:
        deliver(settings, letter.kind, message)


def check_alerts(settings: Settings, _: Letter) -> None:
    """Look after the fare alerts, some slices a round; what many wait for is looked up once."""
    with db.writing() as session:
        service.end_alerts(session)
    for _number in range(SLICES_A_ROUND):
        if not _check_slice(settings):
            return


def _check_slice(settings: Settings) -> int:
    prices: dict[object, DayPrice | None] = {}
    with db.reading() as session:
        due = service.due_alerts(session)
    for one in due:
        ends = one.origin.code, one.destination.code
        key = (ends, one.first_on, one.last_on, one.cabin, one.party, one.currency)
        if key not in prices:
            with db.reading() as session:
                prices[key] = service.lowest(session, one, settings=settings)
        with db.writing() as session:
            service.note_price(session, one.id, prices[key])
    return len(due)


def tell_of_fare(settings: Settings, letter: Letter) -> None:
    """Send a mail of a fare alert."""
    with db.reading() as session:
        message = service.alert_mail(session, letter, settings)
    if message is not None:
        deliver(settings, letter.kind, message)


def post_reminders(_: Settings, __: Letter) -> None:
    """Post the reminders of all check-ins that have opened, some a transaction."""
    posted = 1
    while posted:
        with db.writing() as session:
            posted = service.remind(session)


def remind(settings: Settings, letter: Letter) -> None:
    """Send a reminder to check in."""
    with db.reading() as session:
        ids = UUID(letter.payload["bookingId"]), int(letter.payload["flightId"])
        message = service.reminder_mail(session, *ids, settings)
    if message is not None:
        deliver(settings, letter.kind, message)


def adopt(_: Settings, letter: Letter) -> None:
    """Put the bookings that a browser made as a guest under the trips of who has signed in there."""
    with db.writing() as session:
        trips.adopt(session, UUID(letter.payload["userId"]), letter.payload["references"])


HANDLERS: dict[str, Handler] = {
    "alert.confirm": tell_of_fare,
    "alert.drop": tell_of_fare,
    "alerts.check": check_alerts,
    "bookings.adopt": adopt,
    "check_in.remind": post_reminders,
    "check_in.reminder": remind,
    "wait.joined": tell_waiting,
    "wait.offered": tell_waiting,
    "wait.over": tell_waiting,
    "waits.serve": serve_lines,
}

"""What happens afterwards to bookings: changes that are not paid in time lapse, links are mailed."""

from __future__ import annotations

from uuid import UUID

from portal.booking import amending
from portal.booking.queries import booking_by_id
from portal.booking.rules import OVER_KEPT
from portal.kit import clock, db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.trips import service as trips
from tasks.delivery import Handler, deliver


def lapse_amendments(_: Settings, __: Letter) -> None:
    """End the changes whose time to be paid is over, one a transaction, and forget old quotes."""
    ended = 1
    while ended:
        with db.writing() as session:
            ended = amending.lapse_amendments(session)


def forget_amendments(_: Settings, __: Letter) -> None:
    """Delete what was quoted half a year ago and never made, some hundred a transaction."""
    gone = 1
    while gone:
        with db.writing() as session:
            gone = amending.forget_over(session, before=clock.now() - OVER_KEPT)


def mail_link(settings: Settings, letter: Letter) -> None:
    """Mail a link with which a guest may change the booking."""
    with db.reading() as session:
        view = booking_by_id(session, UUID(letter.payload["bookingId"]))
    if view is not None and view.contact_email is not None:
        deliver(settings, letter.kind, trips.link_mail(view, settings, str(letter.id)))


HANDLERS: dict[str, Handler] = {
    "amendments.lapse": lapse_amendments,
    "amendments.forget": forget_amendments,
    "booking.link": mail_link,
}

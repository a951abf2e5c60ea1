"""What happens afterwards at check-in: passes by mail, who flew, documents forgotten."""

from __future__ import annotations

from uuid import UUID

from portal.booking.queries import booking_by_id
from portal.checkin import gate, queries, rules, service
from portal.kit import clock, db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from tasks.delivery import Handler, deliver


def send_passes(settings: Settings, letter: Letter) -> None:
    """Send the passes of one check-in; what was undone in the meantime is not sent."""
    with db.reading() as session:
        view = booking_by_id(session, UUID(letter.payload["bookingId"]))
        desk = queries.desk(session, view) if view else None
    if desk is None or desk.view.status != "confirmed":
        return
    reseated = f".{letter.id}" if letter.kind == "checkin.reseated" else ""
    message = service.passes_mail(desk, letter.payload["passes"], settings, reseated=reseated)
    if message is not None:
        deliver(settings, letter.kind, message)


def tell_reseated(_: Settings, __: Letter) -> None:
    """Have new passes mailed to whom the old ones no longer seat, some hundred a transaction."""
    told = 1
    while told:
        with db.writing() as session:
            told = service.tell_reseated(session)


def settle_flights(_: Settings, __: Letter) -> None:
    """Write down who flew, one landed flight a transaction."""
    settled = 1
    while settled:
        with db.writing() as session:
            settled = gate.settle(session, now=clock.now())


def forget_documents(_: Settings, __: Letter) -> None:
    """Erase the travel documents of who has come home."""
    with db.writing() as session:
        service.forget_documents(session, before=clock.now() - rules.DOCUMENTS_KEPT)


HANDLERS: dict[str, Handler] = {
    "checkin.done": send_passes,
    "checkin.reseated": send_passes,
    "checkin.reprint": tell_reseated,
    "checkin.forget": forget_documents,
    "flights.settle": settle_flights,
}

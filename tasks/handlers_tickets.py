"""What happens after a booking was paid, changed or lapsed: documents are drawn and mailed.

Numbers of receipts are given in a short transaction of their own; drawing takes longer, and nobody waits for it.
"""

from __future__ import annotations

from uuid import UUID

from portal.booking.queries import booking_by_id
from portal.booking.views import AmendmentView, BookingView
from portal.flights.queries import FlightView, flights_by_id
from portal.kit import db, mail, outbox
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.tickets import letters, queries, service
from portal.tickets.views import Paper
from tasks.delivery import Handler, deliver


def booking_confirmed(settings: Settings, letter: Letter) -> None:
    """Make itinerary and receipt and send the tickets; a booking that was cancelled in the meantime gets neither."""
    view = _booking(UUID(letter.payload["bookingId"]))
    if view.status != "confirmed":
        return
    with db.writing() as session:
        paper = service.issue_receipt(session, view, settings)
    files = [_itinerary(view, settings), _drawn(view, paper, settings)]
    deliver(settings, letter.kind, letters.confirmation_mail(view, settings, files))


def booking_amended(settings: Settings, letter: Letter) -> None:
    """Make a new itinerary, and a receipt or credit note where money moved; tell the contact what was changed."""
    view = _booking(UUID(letter.payload["bookingId"]))
    amendment = _amendment(view, UUID(letter.payload["amendmentId"]))
    files = papers_of(view, amendment, settings)
    with db.reading() as session:
        left = _left(view, flights_by_id(session, service.given_up(amendment)))
    if view.contact_email:
        deliver(settings, letter.kind, letters.amended_mail(view, amendment, settings, files=files, left=left))


def papers_of(view: BookingView, amendment: AmendmentView, settings: Settings) -> list[mail.File]:
    """Return the papers that an amendment brings: itinerary, and where money moved a receipt or credit note; again
    the same ones."""
    with db.writing() as session:
        paper = service.issue_amendment_paper(session, view, amendment, settings)
    files = [_itinerary(view, settings)] if view.status == "confirmed" else []
    return [*files, *([_drawn(view, paper, settings)] if paper is not None else [])]


def _amendment(view: BookingView, amendment_id: UUID) -> AmendmentView:
    found = next((one for one in view.amendments if one.id == amendment_id), None)
    if found is None:
        raise outbox.Hopeless("The amendment is gone.")
    return found


def _left(view: BookingView, given_up: dict[int, FlightView]) -> list[FlightView]:
    stands = {flight.id for piece in view.active_slices for flight in piece.flights}
    kept = stands if view.status == "confirmed" else set()
    return [flight for flight_id, flight in given_up.items() if flight_id not in kept]


def _itinerary(view: BookingView, settings: Settings) -> mail.File:
    with db.writing() as session:
        return service.itinerary(session, view, settings)


def _drawn(view: BookingView, paper: Paper, settings: Settings) -> mail.File:
    with db.writing() as session:
        return service.draw(session, view, paper, settings)


def contact_changed(settings: Settings, letter: Letter) -> None:
    """Tell the address that was written to so far that it is no longer."""
    view, identity = _booking(UUID(letter.payload["bookingId"])), f"{letter.kind}.{letter.key}"
    message = letters.contact_changed_mail(view, settings, to=letter.payload["email"], identity=identity)
    deliver(settings, letter.kind, message)


def booking_expired(settings: Settings, letter: Letter) -> None:
    """Tell of a hold that ran out, and of money that was taken back."""
    view = _booking(UUID(letter.payload["bookingId"]))
    deliver(settings, letter.kind, letters.expired_mail(view, settings, letter.payload["refundId"]))


def payment_refunded(settings: Settings, letter: Letter) -> None:
    """Tell the contact that money has left us, or became a travel credit."""
    with db.reading() as session:
        refund = queries.refund_told(session, UUID(letter.payload["refundId"]))
    if refund is None:
        raise outbox.Hopeless("The refund is gone.")
    view = _booking(refund.booking_id)
    identity = f"{letter.kind}.{letter.key}"
    message = letters.refund_mail(view, refund, settings, identity=identity) if view.contact_email else None
    if message is not None:
        deliver(settings, letter.kind, message)


def _booking(booking_id: UUID) -> BookingView:
    with db.reading() as session:
        view = booking_by_id(session, booking_id)
    if view is None:
        raise outbox.Hopeless("The booking is gone.")
    return view


HANDLERS: dict[str, Handler] = {
    "booking.amended": booking_amended,
    "booking.confirmed": booking_confirmed,
    "booking.contact_changed": contact_changed,
    "booking.expired": booking_expired,
    "payment.refunded": payment_refunded,
}

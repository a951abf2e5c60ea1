"""What is handed to the traveller, made from a booking: itinerary PDF, calendar file, mails; and its keeping.

A document is made once and kept as made; whoever asks later gets the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import urlsplit
from uuid import UUID

from icalendar import Calendar, Event
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.booking.errors import UnknownBooking
from portal.booking.queries import booking_view
from portal.booking.rules import BookingView, may_see
from portal.flights.queries import FlightView
from portal.kit import i18n, limits, mail
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.tickets import rules
from portal.tickets.errors import NotConfirmed
from portal.tickets.models import Document

ITINERARY = "itinerary"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a booking's files: an account, a granted browser or token, or who knows a name; and from where."""

    user_id: UUID | None
    staff: bool
    granted: str | None
    family_name: str | None
    address: str


def find(session: Session, reference: str, asker: Asker, settings: Settings) -> BookingView:
    """Return a confirmed booking to who may see it.

    Raises UnknownBooking, the same for what is not there and what is not theirs to see, and NotConfirmed for what has
    no tickets. Tries by name are limited by caller and by reference.
    """
    if asker.family_name is not None:
        limits.check(settings, "manage-address", asker.address)
        limits.check(settings, "manage-reference", reference)
    view = booking_view(session, reference)
    name, granted = asker.family_name, asker.granted
    if view is None or not may_see(view, user_id=asker.user_id, staff=asker.staff, family_name=name, granted=granted):
        raise UnknownBooking()
    if view.status != "confirmed":
        raise NotConfirmed(_("The itinerary is here as soon as the booking is paid."))
    return view


def itinerary(session: Session, view: BookingView, settings: Settings) -> mail.File:
    """Return the booking's itinerary as it is kept; it is made, and kept, when there is none yet."""
    return _kept(session, view) or _keep(session, view, itinerary_pdf(view, settings))


def _kept(session: Session, view: BookingView) -> mail.File | None:
    found = select(Document.filename, Document.media_type, Document.content)
    mine = found.where(Document.booking_id == view.id, Document.kind == ITINERARY).order_by(Document.version.desc())
    row = session.execute(mine.limit(1)).one_or_none()
    return mail.File(*row) if row else None


def _keep(session: Session, view: BookingView, content: bytes) -> mail.File:
    made = mail.File(f"itinerary-{view.reference}.pdf", "application/pdf", content)
    values = {"booking_id": view.id, "kind": ITINERARY, "filename": made.name, "media_type": made.media_type}
    session.execute(insert(Document).values(**values, content=content).on_conflict_do_nothing())
    return _kept(session, view) or made


def itinerary_pdf(view: BookingView, settings: Settings) -> bytes:
    """Return the itinerary of a confirmed booking, in its language, as PDF/UA-1."""
    from portal.kit import paper  # WeasyPrint takes half a second to load; a process that never prints never pays

    with i18n.speaking(view.locale):
        return paper.pdf(
            settings,
            "itinerary",
            made_at=view.confirmed_at or view.created_at,
            locale=view.locale,
            booking=view,
            trips=rules.trips(view),
            travellers=rules.travellers(view, is_printable=paper.is_printable),
            receipt=rules.receipt(view),
            terms=rules.terms(view),
            manage_url=f"{settings.base_url}/manage",
            help_url=f"{settings.base_url}/help",
            foot=f"{settings.email_from_name} · {view.reference} · {settings.base_url}",
        )


def calendar(view: BookingView, settings: Settings) -> mail.File:
    """Return the booking's flights as an iCalendar file (RFC 5545): one event a flight, in the airports' own zones.

    An event's UID never changes, so that a calendar which has it already replaces it.
    """
    host = urlsplit(settings.base_url).hostname or "portal"
    with i18n.speaking(view.locale):
        book = Calendar()
        book.add("prodid", f"-//{settings.email_from_name}//Flight portal//EN")
        book.add("version", "2.0")
        book.add("method", "PUBLISH")
        for flight in view.flights:
            book.add_component(_event(view, flight, host))
        book.add_missing_timezones()
    return mail.File(f"flights-{view.reference}.ics", "text/calendar", book.to_ical())


def _event(view: BookingView, flight: FlightView, host: str) -> Event:
    route = {"origin": flight.origin.city, "destination": flight.destination.city}
    event = Event()
    event.add("uid", f"{view.id}.{flight.public_id}@{host}")
    event.add("sequence", 0)
    event.add("dtstamp", view.confirmed_at or view.created_at)
    event.add("dtstart", flight.departure)
    event.add("dtend", flight.arrival)
    event.add("summary", f"{flight.designator} {_('%(origin)s – %(destination)s') % route}")
    event.add("location", f"{flight.origin.name} ({flight.origin.code}), {flight.origin.city}")
    event.add("description", _description(view, flight))
    event.add("geo", (flight.origin.latitude, flight.origin.longitude))
    event.add("status", "CONFIRMED")
    return event


def _description(view: BookingView, flight: FlightView) -> str:
    lines = (
        _("Booking reference %(reference)s") % {"reference": view.reference},
        f"{flight.carrier_name} {flight.designator}, {flight.aircraft_name}",
        f"{i18n.clock_time(flight.departure)} {rules.zone_words(flight.departure)} {flight.origin.name}",
        f"{i18n.clock_time(flight.arrival)} {rules.zone_words(flight.arrival)} {flight.destination.name}",
        _("Check-in opens 24 hours before departure and closes 60 minutes before."),
    )
    return "\n".join(lines)


def confirmation_mail(view: BookingView, settings: Settings, pdf: mail.File) -> EmailMessage:
    """Return the mail that brings the tickets, itinerary and calendar attached. Raises Hopeless without an address."""
    with i18n.speaking(view.locale):
        return mail.compose(
            settings,
            to=view.contact_email or "",
            subject=_("Your tickets: %(route)s, %(day)s, %(reference)s") % _subject(view),
            template="booking_confirmed",
            identity=f"booking.confirmed.{view.id}",
            locale=view.locale,
            files=(pdf, calendar(view, settings)),
            booking=view,
            trips=rules.trips(view),
            travellers=rules.travellers(view, is_printable=str.isprintable),
            receipt=rules.receipt(view),
            manage_url=f"{settings.base_url}/manage?reference={view.reference}",
        )


def expired_mail(view: BookingView, settings: Settings, refund_id: str | None) -> EmailMessage:
    """Return the mail that tells of a hold that ran out – and, with `refund_id`, that a late charge was taken back."""
    with i18n.speaking(view.locale):
        late, plain = _("We took your payment back: %(route)s, %(day)s"), _("Your hold has run out: %(route)s, %(day)s")
        return mail.compose(
            settings,
            to=view.contact_email or "",
            subject=(late if refund_id else plain) % _subject(view),
            template="booking_expired",
            identity=f"booking.expired.{view.id}.{refund_id or ''}",
            locale=view.locale,
            booking=view,
            trips=rules.trips(view),
            returned=refund_id is not None,
        )


def _subject(view: BookingView) -> dict[str, str]:
    first = view.slices[0]
    return {
        "route": f"{first.origin.city} – {first.destination.city}",
        "day": i18n.day(first.flights[0].departure_local),
        "reference": view.reference,
    }

"""What is handed to the traveller, made from a booking: itinerary, receipts, calendar file, mails; and its keeping.

A document is made once and kept as made; whoever asks later gets the same bytes. Only an itinerary with a flight that
is late is made anew for whoever asks: its times are a forecast, which the next one replaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from icalendar import Calendar, Event
from sqlalchemy.orm import Session

from portal.booking.errors import UnknownBooking
from portal.booking.queries import booking_view
from portal.booking.rules import may_see
from portal.booking.views import AmendmentView, BookingView
from portal.flights.queries import FlightView
from portal.kit import i18n, limits, mail
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.tickets import queries, records, rules, told
from portal.tickets.errors import NotConfirmed, UnknownPaper
from portal.tickets.told import Moved
from portal.tickets.views import DocumentView, Paper

ITINERARY = "itinerary"
PAID = ("confirmed", "cancelled")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a booking's files: an account, a granted browser or token, or who knows a name; and from where."""

    user_id: UUID | None
    staff: bool
    granted: str | None
    family_name: str | None
    address: str


def find(
    session: Session, reference: str, asker: Asker, settings: Settings, *, states: tuple[str, ...] = ("confirmed",)
) -> BookingView:
    """Return a booking in one of these states to who may see it.

    Raises UnknownBooking, the same for what is not there and what is not theirs to see, and NotConfirmed for what has
    no tickets (or, where cancelled ones may be seen too, was never paid). Tries by name are limited by caller and by
    reference.
    """
    if asker.family_name is not None:
        limits.check(settings, "manage-address", asker.address)
        limits.check(settings, "manage-reference", reference)
    view = booking_view(session, reference)
    name, granted = asker.family_name, asker.granted
    if view is None or not may_see(view, user_id=asker.user_id, staff=asker.staff, family_name=name, granted=granted):
        raise UnknownBooking()
    if view.status not in states:
        raise NotConfirmed(_("The itinerary is here as soon as the booking is paid."))
    return view


def itinerary(session: Session, view: BookingView, settings: Settings) -> mail.File:
    """Return the itinerary of the booking as it stands; the first to ask after an amendment has a new version made.

    While a flight is late it is drawn with the times expected now, and not kept.
    """
    late = any(leg.is_late for trip in rules.trips(view) for leg in trip.legs)
    after = _last_change(view)
    there = None if late else records.newest(session, view.id, ITINERARY)
    if there is not None and there[1] == after:
        return there[0]
    made = mail.File(f"itinerary-{view.reference}.pdf", records.PDF, itinerary_pdf(view, settings))
    return made if late else records.keep(session, made, booking_id=view.id, kind=ITINERARY, amendment_id=after)


def _last_change(view: BookingView) -> UUID | None:
    done = [one.id for one in view.amendments if one.state == "done"]
    return done[-1] if done else None


def receipt(session: Session, view: BookingView, settings: Settings) -> mail.File:
    """Return the receipt of the sale, numbered and drawn the first time that somebody asks for it."""
    return draw(session, view, issue_receipt(session, view, settings), settings)


def issue_receipt(session: Session, view: BookingView, settings: Settings) -> Paper:
    """Return the receipt's paper, with its number; it is drawn in a transaction of its own where many wait."""
    there = records.paper_for(session, view.id, None)
    return there or _issue(session, view, settings, "receipt", queries.money_in(session, view.id, None))


def issue_amendment_paper(
    session: Session, view: BookingView, amendment: AmendmentView, settings: Settings
) -> Paper | None:
    """Return the paper of an amendment: a receipt for what was paid more, a credit note for what was reversed, or None.

    Both refer to the receipt of the sale, which is issued before them if it is not yet.
    """
    kind = told.paper_kind(amendment)
    there = records.paper_for(session, view.id, amendment.id)
    if kind is None or there is not None:
        return there
    first = issue_receipt(session, view, settings)
    moved = _moved(session, view, amendment)
    return _issue(session, view, settings, kind, moved, amendment=amendment, refers_to=first.id)


def _moved(session: Session, view: BookingView, amendment: AmendmentView) -> list[Moved]:
    if not amendment.refund_minor:
        return queries.money_in(session, view.id, amendment.id)
    return queries.money_back(session, view.id, amendment.number)


def _issue(
    session: Session,
    view: BookingView,
    settings: Settings,
    kind: str,
    moved: Sequence[Moved],
    *,
    amendment: AmendmentView | None = None,
    refers_to: UUID | None = None,
) -> Paper:
    from portal.kit import paper  # as above: loaded by those who print

    with i18n.speaking(view.locale):
        kept = told.content(view, settings, moved, amendment=amendment, is_printable=paper.is_printable)
    return records.issue(
        session,
        booking_id=view.id,
        amendment_id=amendment.id if amendment else None,
        kind=kind,
        currency=view.currency,
        total_minor=kept["total_minor"],
        content=kept,
        refers_to=refers_to,
    )


def draw(session: Session, view: BookingView, paper: Paper, settings: Settings) -> mail.File:
    """Return a numbered paper's file, drawn from the paper alone, and kept."""
    there = records.printed(session, paper.id)
    if there is not None:
        return there
    name = f"{paper.kind.replace('_', '-')}-{paper.number}.pdf"
    made = mail.File(name, records.PDF, paper_pdf(view, paper, settings))
    return records.keep(session, made, booking_id=view.id, kind=paper.kind, paper_id=paper.id)


def paper_pdf(view: BookingView, numbered: Paper, settings: Settings) -> bytes:
    """Return a receipt or credit note, in the booking's language, as PDF/UA-1."""
    from portal.kit import paper  # as above

    with i18n.speaking(view.locale):
        return paper.pdf(
            settings,
            "receipt",
            made_at=numbered.issued_at,
            locale=view.locale,
            paper=numbered,
            sheet=told.sheet(numbered.content),
            reference=view.reference,
            method_label=told.method_label,
            help_url=f"{settings.base_url}/help",
            foot=f"{settings.email_from_name} · {numbered.number} · {settings.base_url}",
        )


def papers(session: Session, view: BookingView) -> list[DocumentView]:
    """Return what can be downloaded: the itinerary while the trip stands, then receipts and credit notes."""
    at = f"/bookings/{view.reference}"
    found = [_document(at, one) for one in records.papers_of(session, view.id)]
    if not any(one.number and one.kind == "receipt" for one in found):
        found.insert(0, DocumentView("receipt", None, None, None, view.currency, None, f"{at}/receipt.pdf"))
    if view.status == "confirmed":
        version = len(records.versions(session, view.id, ITINERARY)) or None
        found.insert(0, DocumentView(ITINERARY, None, version, None, view.currency, None, f"{at}/itinerary.pdf"))
    return found


def files(session: Session, view: BookingView) -> list[tuple[str, str, str]]:
    """Return what a traveller may take along, as (address, label, icon): papers, and the calendar while it stands."""
    if view.status not in PAID:
        return []
    named = {ITINERARY: _("Itinerary to print (PDF)"), "receipt": _("Receipt"), "credit_note": _("Credit note")}
    found = [
        (one.href, " ".join(filter(None, (named[one.kind], one.number))), "paper") for one in papers(session, view)
    ]
    calendars = [(f"/bookings/{view.reference}/calendar.ics", _("Add to my calendar"), "date")]
    return [*found, *(calendars if view.status == "confirmed" else [])]


def _document(at: str, one: Paper) -> DocumentView:
    href = f"{at}/papers/{one.number}.pdf"
    return DocumentView(one.kind, one.number, None, one.issued_at, one.currency, one.total_minor, href)


def paper_file(session: Session, view: BookingView, number: str, settings: Settings) -> mail.File:
    """Return the file of one of the booking's receipts and credit notes; raises UnknownPaper."""
    found = next((one for one in records.papers_of(session, view.id) if one.number == number.upper()), None)
    if found is None:
        raise UnknownPaper()
    return draw(session, view, found, settings)


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
    """Return the booking's flights as an iCalendar file (RFC 5545): one event a flight, in the airports' own zones,
    at the times expected now.

    An event's UID never changes and its SEQUENCE rises with each amendment, so that a calendar which has it already
    replaces it.
    """
    with i18n.speaking(view.locale):
        return _calendar_file(f"flights-{view.reference}.ics", view, view.flights, settings, gone=False)


def cancelled_calendar(view: BookingView, flights: Sequence[FlightView], settings: Settings) -> mail.File | None:
    """Return the file that takes these flights out of a calendar again (METHOD:CANCEL); None where there are none."""
    if not flights:
        return None
    with i18n.speaking(view.locale):
        return _calendar_file(f"cancelled-{view.reference}.ics", view, flights, settings, gone=True)


def _calendar_file(
    name: str, view: BookingView, flights: Sequence[FlightView], settings: Settings, *, gone: bool
) -> mail.File:
    host = urlsplit(settings.base_url).hostname or "portal"
    book = Calendar()
    book.add("prodid", f"-//{settings.email_from_name}//Flight portal//EN")
    book.add("version", "2.0")
    book.add("method", "CANCEL" if gone else "PUBLISH")
    for flight in flights:
        book.add_component(_event(view, flight, host, gone=gone))
    book.add_missing_timezones()
    return mail.File(name, "text/calendar", book.to_ical())


def _event(view: BookingView, flight: FlightView, host: str, *, gone: bool) -> Event:
    done = [one for one in view.amendments if one.done_at is not None]
    leg = rules.Leg(flight, None)
    route = {"origin": flight.origin.city, "destination": flight.destination.city}
    event = Event()
    event.add("uid", f"{view.id}.{flight.public_id}@{host}")
    event.add("sequence", len(done))
    event.add("dtstamp", done[-1].done_at if done else view.confirmed_at or view.created_at)
    event.add("dtstart", leg.leaves)
    event.add("dtend", leg.lands)
    event.add("summary", f"{flight.designator} {_('%(origin)s – %(destination)s') % route}")
    event.add("location", f"{flight.origin.name} ({flight.origin.code}), {flight.origin.city}")
    event.add("description", _description(view, leg))
    event.add("geo", (flight.origin.latitude, flight.origin.longitude))
    event.add("status", "CANCELLED" if gone else "CONFIRMED")
    return event


def _description(view: BookingView, leg: rules.Leg) -> str:
    flight = leg.flight
    lines = [
        _("Booking reference %(reference)s") % {"reference": view.reference},
        f"{flight.carrier_name} {flight.designator}, {flight.aircraft_name}",
        f"{i18n.clock_time(leg.leaves)} {leg.departure_zone} {flight.origin.name}",
        f"{i18n.clock_time(leg.lands)} {leg.arrival_zone} {flight.destination.name}",
    ]
    if leg.is_late:
        lines.append(_("It is late; scheduled to leave at %(time)s.") % {"time": leg.scheduled_departure})
    return "\n".join((*lines, _("Check-in opens 24 hours before departure and closes 60 minutes before.")))


def given_up(amendment: AmendmentView) -> list[int]:
    """Return the flights in which an amendment gave seats back; some of them may still be flown by others."""
    return [int(one[0]) for one in amendment.payload.get("give", ())]

"""What is handed to the traveller, made from a booking: itinerary PDF, calendar file, mails; and its keeping.

A document is made once and kept as made; whoever asks later gets the same bytes.
"""

from __future__ import annotations

from portal.booking.rules import BookingView
from portal.kit.settings import Settings
from portal.tickets import rules


def itinerary_pdf(view: BookingView, settings: Settings) -> bytes:
    """Return the itinerary of a confirmed booking, in its language, as PDF/UA-1."""
    from portal.kit import paper  # WeasyPrint takes half a second to load; a process that never prints never pays

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

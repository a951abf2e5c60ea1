"""Verbs of a traveller: find a booking again."""

from __future__ import annotations

from sqlalchemy.orm import Session

from portal.booking.errors import UnknownBooking
from portal.booking.queries import booking_view
from portal.booking.rules import BookingView, knows_name
from portal.kit import limits
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.trips.forms import LookUp


def find(session: Session, wish: LookUp, settings: Settings, *, caller: str) -> BookingView:
    """Return the booking of that reference and name. Raises UnknownBooking, the same whichever of the two is wrong.

    Tries are limited by caller and by reference, so that neither can be guessed through.
    """
    limits.check(settings, "manage-address", caller)
    limits.check(settings, "manage-reference", wish.reference)
    view = booking_view(session, wish.reference)
    if view is None or not knows_name(view, wish.family_name):
        raise UnknownBooking(_("We find no booking with this reference and this name. Please look at both once more."))
    return view

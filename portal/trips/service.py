"""Verbs of a traveller: find a booking again, take guest bookings into the account."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.booking.errors import UnknownAmendment, UnknownBooking
from portal.booking.models import Booking
from portal.booking.queries import amendment, booking_view
from portal.booking.rules import BookingView, knows_name
from portal.booking.views import AmendmentView
from portal.kit import audit, limits
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


def adopt(session: Session, user_id: UUID, references: Collection[str]) -> list[str]:
    """Let bookings made as a guest be the account's; returns their references. What has an owner keeps it.

    The caller vouches that whoever signed in may manage all of `references`.
    """
    found = select(Booking).where(Booking.reference.in_(references), Booking.user_id.is_(None))
    rows = session.scalars(found.order_by(Booking.id).with_for_update()).all()
    for row in rows:
        row.user_id = user_id
        audit.record(session, "booking.adopted", "booking", row.reference, actor_id=user_id)
    session.flush()
    return [row.reference for row in rows]


def amendment_of(session: Session, booking_id: UUID, amendment_id: str, *kinds: str) -> AmendmentView:
    """Return the amendment if it is this booking's and of one of these kinds; raises UnknownAmendment."""
    try:
        found = amendment(session, UUID(amendment_id))
    except ValueError:
        found = None
    if found is None or found.booking_id != booking_id or (kinds and found.kind not in kinds):
        raise UnknownAmendment()
    return found

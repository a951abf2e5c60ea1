"""Verbs of a traveller: find a booking again, take guest bookings into the account."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from email.message import EmailMessage
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.booking.errors import UnknownAmendment, UnknownBooking
from portal.booking.models import Booking
from portal.booking.queries import amendment, booking_view
from portal.booking.rules import BookingView, knows_name
from portal.booking.views import AmendmentView, SliceView
from portal.flights.queries import FlightView, flights_by_id
from portal.kit import audit, i18n, limits, mail, outbox, signing
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.pricing.rules import TYPES, Party
from portal.search.forms import Criteria, SliceWish
from portal.search.rules import Offer, SearchResult
from portal.search.service import search
from portal.trips import told
from portal.trips.errors import LinkLapsed
from portal.trips.forms import LookUp
from portal.trips.rules import Fault


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


LINK, LINK_SECONDS = "manage-link", 1800


def other_flights(session: Session, view: BookingView, piece: SliceView, on: date, settings: Settings) -> SearchResult:
    """Return the flights of a day on a direction's way, for who still flies, in its cabin and the booking's currency.

    Raises Invalid for a day that is not on sale.
    """
    kinds = [one.type for one in view.flying(piece.position)]
    party = Party(*(kinds.count(kind) for kind in TYPES))
    wish = SliceWish(piece.origin.code, piece.destination.code, on)
    criteria = Criteria((wish,), party, cabin=piece.cabin, sort="departure")
    after = told.leaves_after(view, piece)
    return search(session, criteria, settings=settings, currency=view.currency, leaves_after=after)


def is_free(session: Session, view: BookingView, position: int, offer: Offer, fault: Fault) -> bool:
    """True when the airline's own change lets that direction be flown by the offer's flights at no cost."""
    piece = next((one for one in view.active_slices if one.position == position), None)
    flights = flights_by_id(session, offer.flight_ids)
    return piece is not None and fault.frees(piece, offer.cabin, [one.departs_on for one in flights.values()])


def ask_link(session: Session, view: BookingView, settings: Settings, *, caller: str) -> None:
    """Mail a link with which its reader may change the booking, to its contact and nobody else.

    Limited by caller and by booking; a booking without a contact gets none, and nobody is told.
    """
    limits.check(settings, "manage-address", caller)
    limits.check(settings, "manage-reference", view.reference)
    if view.contact_email is not None:
        outbox.post(session, "booking.link", queue="mail", bookingId=str(view.id))


def link_mail(view: BookingView, settings: Settings, letter: str) -> EmailMessage:
    """Return the mail with the link; it opens for 30 minutes. `letter` tells which time."""
    token = signing.seal(settings, LINK, [view.reference, view.contact_email])
    with i18n.speaking(view.locale):
        return mail.compose(
            settings,
            to=view.contact_email or "",
            subject=_("A link to change booking %(reference)s") % {"reference": view.reference},
            template="booking_link",
            identity=f"booking.link.{letter}",
            view=view,
            url=f"{settings.base_url}/manage/link?token={token}",
        )


def linked(session: Session, token: str, settings: Settings) -> BookingView:
    """Return the booking that a mailed link is for; raises LinkLapsed for an old one, or one to another address."""
    try:
        reference, email = signing.unseal(settings, LINK, token, max_age_seconds=LINK_SECONDS)
    except ValueError:
        raise LinkLapsed() from None
    view = booking_view(session, reference)
    if view is None or view.contact_email != email:
        raise LinkLapsed()
    return view


def new_flights(session: Session, one: AmendmentView) -> tuple[FlightView, ...]:
    """Return the flights that a change leads to, in order; none for what changes no flights."""
    wanted = one.payload.get("flights", []) if one.kind == "change" else []
    known = flights_by_id(session, wanted)
    return tuple(known[flight] for flight in wanted if flight in known)

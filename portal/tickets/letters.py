"""The mails about a booking: the tickets, what was changed, money on its way back, a hold that ran out.

Each says first what happened, then what it costs or brings, then what to do. Words are in the booking's language.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

from portal.booking.views import AmendmentView, BookingView
from portal.flights.queries import FlightView
from portal.kit import grants, i18n, mail
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.tickets import rules, told
from portal.tickets.service import calendar, cancelled_calendar
from portal.tickets.views import RefundTold


def confirmation_mail(view: BookingView, settings: Settings, files: Sequence[mail.File]) -> EmailMessage:
    """Return the mail that brings the tickets, `files` and the calendar attached. Raises Hopeless for no address."""
    with i18n.speaking(view.locale):
        return mail.compose(
            settings,
            to=view.contact_email or "",
            subject=_("Your tickets: %(route)s, %(day)s, %(reference)s") % _subject(view),
            template="booking_confirmed",
            identity=f"booking.confirmed.{view.id}",
            locale=view.locale,
            files=(*files, calendar(view, settings)),
            booking=view,
            trips=rules.trips(view),
            travellers=rules.travellers(view, is_printable=str.isprintable),
            receipt=rules.receipt(view),
            manage_url=grants.link(settings, view.reference, f"/bookings/{view.reference}", to=view.contact_email),
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


def amended_mail(
    view: BookingView,
    amendment: AmendmentView,
    settings: Settings,
    *,
    files: Sequence[mail.File],
    left: Sequence[FlightView],
) -> EmailMessage:
    """Return the mail that tells what an amendment did: the words are its kind's, `left` the flights no longer flown.

    Attached: `files` (itinerary, receipt or credit note), and calendar files that correct what was sent before.
    """
    with i18n.speaking(view.locale):
        calendars = [cancelled_calendar(view, left, settings)]
        if view.status == "confirmed":
            calendars.insert(0, calendar(view, settings))
        return mail.compose(
            settings,
            to=view.contact_email or "",
            subject=_amended_subject(view, amendment),
            template="booking_amended",
            identity=f"booking.amended.{amendment.id}",
            locale=view.locale,
            files=(*files, *(one for one in calendars if one is not None)),
            booking=view,
            amendment=amendment,
            lines=told.lines(view, [one for one in view.charges if one.amendment_id == amendment.id]),
            heading=_headings()[_face(view, amendment)],
            sentences=_sentences(view, amendment),
            stands=view.status == "confirmed",
            trips=rules.trips(view),
            travellers=rules.travellers(view, is_printable=str.isprintable),
            manage_url=grants.link(settings, view.reference, f"/bookings/{view.reference}", to=view.contact_email),
        )


def _face(view: BookingView, amendment: AmendmentView) -> str:
    return "cancelled" if view.status == "cancelled" else amendment.kind


def _headings() -> dict[str, str]:
    return {
        "cancelled": _("Your booking is cancelled."),
        "cancellation": _("A part of your booking is cancelled."),
        "change": _("Your trip is changed."),
        "items": _("Your extras are changed."),
        "correction": _("The name is corrected."),
        "contact": _("Your contact details are changed."),
        "carrier": _("Your flights are changed."),
    }


def _amended_subject(view: BookingView, amendment: AmendmentView) -> str:
    patterns = {
        "cancelled": _("Cancelled: %(route)s, %(day)s, %(reference)s"),
        "cancellation": _("Partly cancelled: %(route)s, %(day)s, %(reference)s"),
        "change": _("Your new flights: %(route)s, %(day)s, %(reference)s"),
        "items": _("Your extras: %(route)s, %(day)s, %(reference)s"),
        "correction": _("Name corrected: %(route)s, %(day)s, %(reference)s"),
        "contact": _("Contact details changed: %(route)s, %(day)s, %(reference)s"),
        "carrier": _("Your new flights: %(route)s, %(day)s, %(reference)s"),
    }
    return patterns[_face(view, amendment)] % _subject(view)


def _sentences(view: BookingView, amendment: AmendmentView) -> list[str]:
    """Return what happened and what becomes of the money, in the order in which one wants to know."""
    words_now = _("These are your flights now. Only the attached itinerary counts from now on.")
    words = {
        "cancelled": _("None of its flights will be flown, and its tickets are no longer valid."),
        "cancellation": _("What is left of it is below; only the attached itinerary counts from now on."),
        "change": words_now,
        "items": _("The attached itinerary shows your seats and extras."),
        "correction": _("The attached itinerary shows the name as it is on the ticket now."),
        "contact": _("From now on we write to the new address. Was it not you? Then please tell us at once."),
        "carrier": _late_words(view) or words_now,
    }
    return [words[_face(view, amendment)], *_money_words(amendment)]


def _late_words(view: BookingView) -> str:
    """Return what is true of flights with a forecast in place of a time, or nothing where the schedule holds."""
    if not any(leg.is_late for trip in rules.trips(view) for leg in trip.legs):
        return ""
    return _("These are your flights now, at the times that are expected. If they change again, we write to you.")


def _money_words(amendment: AmendmentView) -> list[str]:
    def price(minor: int) -> str:
        return i18n.price(minor, amendment.currency)

    said = []
    if amendment.due_minor:
        said.append(_("You paid %(amount)s. The receipt is attached.") % {"amount": price(amendment.due_minor)})
    if amendment.refund_minor and amendment.refund_to == "credit":
        credit = _("%(amount)s is yours as a travel credit; its code comes in a mail of its own.")
        said.append(credit % {"amount": price(amendment.refund_minor)})
    elif amendment.refund_minor:
        back = _("%(amount)s goes back to where it came from. Banks need up to ten days to show it.")
        said.append(back % {"amount": price(amendment.refund_minor)})
    if amendment.penalty_minor:
        fee = _("The fee of %(amount)s that your fare asks for is already taken off or included.")
        said.append(fee % {"amount": price(amendment.penalty_minor)})
    return said


def contact_changed_mail(view: BookingView, settings: Settings, *, to: str, identity: str) -> EmailMessage:
    """Return the mail that tells the address which was written to so far, lest somebody takes a booking over."""
    with i18n.speaking(view.locale):
        said = _(
            "From now on we write to another address about this booking. Was it not you? Then tell us at once: %(to)s"
        )
        return mail.compose(
            settings,
            to=to,
            subject=_("Contact details changed: %(route)s, %(day)s, %(reference)s") % _subject(view),
            template="booking_amended",
            identity=identity,
            locale=view.locale,
            booking=view,
            heading=_headings()["contact"],
            sentences=[said % {"to": settings.support_email}],
            stands=False,
            lines=[],
            manage_url=f"{settings.base_url}/manage",
        )


def refund_mail(view: BookingView, refund: RefundTold, settings: Settings, *, identity: str) -> EmailMessage | None:
    """Return the mail that says that money has left us, or that a credit is there.

    None where another mail said it, and where it has come back since: then it is told once it has gone again.
    """
    if refund.reason == "seats_gone" or not refund.gone:
        return None
    with i18n.speaking(view.locale):
        amount = {"amount": i18n.price(refund.amount_minor, refund.currency)}
        credit = refund.credit_code is not None
        back = _("%(amount)s is on its way back to you")
        if refund.method == "credit":
            back = _("%(amount)s is on your travel credit again")
        subject = _("Your travel credit of %(amount)s") if credit else back
        return mail.compose(
            settings,
            to=view.contact_email or "",
            subject=subject % amount,
            template="payment_refunded",
            identity=identity,
            locale=view.locale,
            booking=view,
            refund=refund,
            amount=amount["amount"],
            why=_why(refund.reason),
        )


def _why(reason: str) -> str:
    told = {
        "paid_twice": _("The booking was paid twice. One payment is enough, so the second goes back whole."),
        "change_not_made": _("The change that you paid for could not be made. Your booking stands as it was before."),
        "another_sum": _("The sum that came in was not the one that was due, so it goes back whole."),
    }
    return told.get(reason, _("It is for the change of your booking; the credit note came with the mail about it."))


def _subject(view: BookingView) -> dict[str, Any]:
    first = (view.active_slices or view.slices)[0]
    return {
        "route": f"{first.origin.city} – {first.destination.city}",
        "day": i18n.day(rules.Leg(first.flights[0], None).leaves),
        "reference": view.reference,
    }

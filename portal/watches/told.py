"""The mails of waiting lists and fare alerts, and the reminder to check in. No session, no clock."""

from __future__ import annotations

from datetime import date
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from portal.booking.rules import BookingView
from portal.flights.queries import FlightView
from portal.kit import grants, i18n, mail, signing
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.places.queries import Place
from portal.pricing.rules import Party
from portal.watches.errors import UnknownAlert, UnknownWait
from portal.watches.rules import AlertView, FullFlight, WaitView

WAIT, ALERT = "waiting-list", "fare-alert"


def wait_url(settings: Settings, wait_id: UUID) -> str:
    """Return the page of a place in line, for its mails: who has the link may look at it and leave."""
    return f"{settings.base_url}/waiting-list/{signing.seal(settings, WAIT, str(wait_id))}"


def alert_url(settings: Settings, alert_id: UUID) -> str:
    """Return the page of an alert, for its mails: who has the link may begin it and leave."""
    return f"{settings.base_url}/fare-alerts/{signing.seal(settings, ALERT, str(alert_id))}"


def read_wait(settings: Settings, token: str) -> UUID:
    """Return which place in line a link is for; raises UnknownWait."""
    try:
        return UUID(signing.unseal(settings, WAIT, token))
    except ValueError:
        raise UnknownWait() from None


def read_alert(settings: Settings, token: str) -> UUID:
    """Return which alert a link is for; raises UnknownAlert."""
    try:
        return UUID(signing.unseal(settings, ALERT, token))
    except ValueError:
        raise UnknownAlert() from None


def way(one: FullFlight) -> str:
    """Return what names a full flight, or two that connect, in a form."""
    return f"{one.flight.public_id},{one.onward.public_id}" if one.onward else str(one.flight.public_id)


def joined_mail(view: WaitView, settings: Settings, letter: str) -> EmailMessage:
    """Return the mail that confirms a place in line, with the link to leave it."""
    with i18n.speaking(view.locale):
        subject = _("You are on the waiting list: %(route)s, %(day)s") % _about(view.flight, view.destination)
    return _wait_mail(view, settings, "wait_joined", subject, letter)


def over_mail(view: WaitView, settings: Settings) -> EmailMessage:
    """Return the mail that tells that the line has ended without a seat."""
    with i18n.speaking(view.locale):
        subject = _("No seat came free: %(route)s, %(day)s") % _about(view.flight, view.destination)
    return _wait_mail(view, settings, "wait_over", subject, str(view.id))


def offered_mail(view: WaitView, booking: BookingView, settings: Settings) -> EmailMessage:
    """Return the mail that tells of seats that are held, with the link that leads to the travellers' names."""
    with i18n.speaking(view.locale):
        subject = _("Seats are held for you: %(route)s, %(day)s") % _about(view.flight, view.destination)
    go_on = grants.link(settings, booking.reference, f"/book/{booking.reference}/passengers", to=view.email)
    more = {"booking": booking, "go_on": go_on}
    return _wait_mail(view, settings, "wait_offered", subject, str(view.id), **more)


def _wait_mail(
    view: WaitView, settings: Settings, template: str, subject: str, letter: str, **more: Any
) -> EmailMessage:
    leave = wait_url(settings, view.id)
    message = mail.compose(
        settings,
        to=view.email,
        subject=subject,
        template=template,
        identity=f"{template}.{letter}",
        locale=view.locale,
        wait=view,
        flight=view.flight,
        leave_url=leave,
        **more,
    )
    return mail.may_be_left(message, leave)


def confirm_mail(view: AlertView, settings: Settings, letter: str) -> EmailMessage:
    """Return the mail that asks whether this address really wants the alert."""
    with i18n.speaking(view.locale):
        subject = _("Please confirm your fare alert: %(route)s") % {"route": route(view)}
    return _alert_mail(view, settings, "alert_confirm", subject, letter)


def drop_mail(view: AlertView, settings: Settings, letter: str, *, price_minor: int, on: date) -> EmailMessage:
    """Return the mail that tells of a lower fare and the day it is for."""
    with i18n.speaking(view.locale):
        words = {"price": i18n.price(price_minor, view.currency), "route": route(view), "day": i18n.day(on)}
        subject = _("%(price)s: %(route)s, %(day)s") % words
    more = {"price_minor": price_minor, "on": on, "search_url": settings.base_url + search_path(view, on)}
    return _alert_mail(view, settings, "alert_drop", subject, letter, **more)


def _alert_mail(
    view: AlertView, settings: Settings, template: str, subject: str, letter: str, **more: Any
) -> EmailMessage:
    leave = alert_url(settings, view.id)
    message = mail.compose(
        settings,
        to=view.email,
        subject=subject,
        template=template,
        identity=f"{template}.{letter}",
        locale=view.locale,
        alert=view,
        own_url=leave,
        **more,
    )
    return mail.may_be_left(message, leave)


def reminder_mail(booking: BookingView, flight: FlightView, settings: Settings) -> EmailMessage:
    """Return the mail that says that check-in is open, with the link to it."""
    with i18n.speaking(booking.locale):
        subject = _("Check-in is open: %(route)s, %(day)s") % _about(flight, flight.destination)
    return mail.compose(
        settings,
        to=booking.contact_email or "",
        subject=subject,
        template="check_in_reminder",
        identity=f"check_in.reminder.{booking.id}.{flight.id}",
        locale=booking.locale,
        booking=booking,
        flight=flight,
        check_in_url=grants.link(
            settings, booking.reference, f"/bookings/{booking.reference}/check-in", to=booking.contact_email
        ),
        preferences_url=f"{settings.base_url}/account/preferences" if booking.user_id else "",
    )


def route(view: AlertView) -> str:
    """Return the route by its cities."""
    return f"{view.origin.city} – {view.destination.city}"


def search_path(view: AlertView, on: date) -> str:
    """Return the search that shows what an alert told of."""
    return results_path((view.origin.code, view.destination.code), on, view.party, view.cabin)


def results_path(ends: tuple[str, str], on: date, party: Party, cabin: str) -> str:
    """Return the address of the results of a one-way search."""
    asked: dict[str, object] = {"origin": ends[0], "destination": ends[1], "departureDate": on.isoformat()}
    asked |= {"adults": party.adults, "children": party.children, "infants": party.infants, "cabin": cabin}
    return f"/flights?{urlencode(asked)}"


def _about(flight: FlightView, destination: Place) -> dict[str, str]:
    return {
        "route": f"{flight.origin.city} – {destination.city}",
        "day": i18n.day(flight.departure_local),
    }

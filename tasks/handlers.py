"""The one table of everything that happens afterwards: the kind of a letter → the function that does its work.

A handler may be called twice for one letter (its worker was lost after the work), so it is idempotent. It opens its
own transactions and calls a room's service; it returns when the work is done and raises when it is to come again:
`outbox.Later` when its time has not come, `outbox.Hopeless` when no further attempt can help, anything else to retry.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from uuid import UUID

from portal.accounts import service as accounts
from portal.booking import service as booking
from portal.booking.queries import BookingView, booking_by_id
from portal.kit import clock, db, idempotency, mail, outbox
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.tickets import service as tickets
from tasks.schedule import ROUNDS

Handler = Callable[[Settings, Letter], None]
LETTERS_KEPT = timedelta(days=30)
ROUNDS_KEPT = timedelta(days=1)


def sweep_letters(_: Settings, __: Letter) -> None:
    """Forget done letters after a month, and those of the rounds that come by themselves after a day."""
    with db.writing() as session:
        outbox.sweep(session, older_than=LETTERS_KEPT)
        outbox.sweep(session, older_than=ROUNDS_KEPT, kinds=[one.kind for one in ROUNDS])


def sweep_idempotency(_: Settings, __: Letter) -> None:
    """Forget idempotency keys whose time is over."""
    with db.writing() as session:
        idempotency.sweep(session)


def welcome(settings: Settings, letter: Letter) -> None:
    """Greet a new account."""
    with db.reading() as session:
        message = accounts.welcome_mail(session, settings, UUID(letter.payload["userId"]))
    if message is not None:
        deliver(settings, letter.kind, message)


def account_exists(settings: Settings, letter: Letter) -> None:
    """Tell an address's owner that somebody wanted to register it again."""
    deliver(settings, letter.kind, accounts.exists_mail(settings, letter.payload["email"], str(letter.key)))


def sweep_accounts(_: Settings, __: Letter) -> None:
    """Forget lapsed sign-ins and refresh tokens."""
    with db.writing() as session:
        accounts.sweep(session, clock.now())


def booking_confirmed(settings: Settings, letter: Letter) -> None:
    """Make the itinerary and send the tickets; a booking that was cancelled in the meantime gets neither."""
    view = _booking(letter)
    if view.status != "confirmed":
        return
    with db.writing() as session:
        pdf = tickets.itinerary(session, view, settings)
    deliver(settings, letter.kind, tickets.confirmation_mail(view, settings, pdf))


def booking_expired(settings: Settings, letter: Letter) -> None:
    """Tell of a hold that ran out, and of money that was taken back."""
    deliver(settings, letter.kind, tickets.expired_mail(_booking(letter), settings, letter.payload["refundId"]))


def _booking(letter: Letter) -> BookingView:
    with db.reading() as session:
        view = booking_by_id(session, UUID(letter.payload["bookingId"]))
    if view is None:
        raise outbox.Hopeless("The booking is gone.")
    return view


def expire_holds(_: Settings, __: Letter) -> None:
    """Tidy the holds whose time is over, one a transaction."""
    expired = 1
    while expired:
        with db.writing() as session:
            expired = booking.expire_lapsed(session)


def deliver(settings: Settings, kind: str, message: EmailMessage) -> None:
    """Send a message once: note it, hand it over outside any transaction, note that it was taken."""
    with db.writing() as session:
        fresh = mail.begin(session, message, kind=kind)
    if not fresh:
        return
    mail.send(settings, message)
    with db.writing() as session:
        mail.sent(session, message)


HANDLERS: dict[str, Handler] = {
    "accounts.sweep": sweep_accounts,
    "booking.confirmed": booking_confirmed,
    "booking.expired": booking_expired,
    "holds.expire": expire_holds,
    "mail.account_exists": account_exists,
    "mail.account_welcome": welcome,
    "idempotency.sweep": sweep_idempotency,
    "outbox.sweep": sweep_letters,
}

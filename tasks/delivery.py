"""How a letter becomes a mail that is sent: noted before, handed over outside any transaction, noted after."""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage

from portal.kit import db, mail
from portal.kit.outbox import Letter
from portal.kit.settings import Settings

Handler = Callable[[Settings, Letter], None]


def deliver(settings: Settings, kind: str, message: EmailMessage) -> None:
    """Send a message once: note it, hand it over outside any transaction, note that it was taken."""
    with db.writing() as session:
        fresh = mail.begin(session, message, kind=kind)
    if not fresh:
        return
    mail.send(settings, message)
    with db.writing() as session:
        mail.sent(session, message)

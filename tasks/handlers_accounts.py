"""What accounts have to do afterwards: their letters, and forgetting what has lapsed."""

from __future__ import annotations

from portal.accounts import letters, service
from portal.accounts.letters import Envelope
from portal.kit import clock, db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from tasks.delivery import Handler, deliver


def send(settings: Settings, letter: Letter) -> None:
    """Send one of the letters of accounts, if there is still somebody to write to."""
    envelope = Envelope(letter.kind, str(letter.key), letter.payload)
    with db.reading() as session:
        message = letters.LETTERS[letter.kind](session, settings, envelope)
    if message is not None:
        deliver(settings, letter.kind, message)


def sweep_accounts(_: Settings, __: Letter) -> None:
    """Forget lapsed sign-ins, refresh tokens and wishes for accounts that were never confirmed."""
    with db.writing() as session:
        service.sweep(session, clock.now())


HANDLERS: dict[str, Handler] = {"accounts.sweep": sweep_accounts, **dict.fromkeys(letters.LETTERS, send)}

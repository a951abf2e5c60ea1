"""The one table of everything that happens afterwards: the kind of a letter → the function that does its work.

A handler may be called twice for one letter (its worker was lost after the work), so it is idempotent. It opens its
own transactions and calls a room's service; it returns when the work is done and raises when it is to come again:
`outbox.Later` when its time has not come, `outbox.Hopeless` when no further attempt can help, anything else to retry.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from portal.kit import db, idempotency, outbox
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
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


HANDLERS: dict[str, Handler] = {
    "idempotency.sweep": sweep_idempotency,
    "outbox.sweep": sweep_letters,
}

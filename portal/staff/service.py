"""What staff do with jobs: try again, give up for good. Each deed stands in the audit trail of the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.orm import Session

from portal.kit import audit, outbox
from portal.kit.i18n import gettext as _
from portal.staff import queries
from portal.staff.errors import LetterMovedOn, UnknownLetter
from portal.staff.queries import LetterView


def retry(session: Session, letter_id: int, actor_id: UUID) -> LetterView:
    """Give a failed, dead or dropped letter a fresh start; raises UnknownLetter, or LetterMovedOn for another state."""
    no = _("This job is done, running or waiting: it needs no retry.")
    return _change(session, letter_id, actor_id, "letter.retried", outbox.retry, no)


def drop(session: Session, letter_id: int, actor_id: UUID) -> LetterView:
    """Give up a failed or dead letter for good; raises UnknownLetter, or LetterMovedOn for another state."""
    no = _("Only a job that failed can be dropped; this one did not, or is dropped already.")
    return _change(session, letter_id, actor_id, "letter.dropped", outbox.drop, no)


def _change(
    session: Session, letter_id: int, actor_id: UUID, action: str, deed: Callable[[Session, int], bool], no: str
) -> LetterView:
    before = queries.letter(session, letter_id, locked=True)
    if before is None:
        raise UnknownLetter()
    if not deed(session, letter_id):
        raise LetterMovedOn(no)
    after = queries.letter(session, letter_id)
    assert after is not None
    audit.record(session, action, "letter", letter_id, actor_id=actor_id, before=_told(before), after=_told(after))
    return after


def _told(letter: LetterView) -> dict[str, audit.Value]:
    return {"kind": letter.kind, "state": letter.state, "attempts": letter.attempts}

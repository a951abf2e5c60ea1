"""What happens by itself: rounds, each posted as a letter once per time slot, so that the jobs page shows them too.

The letter's key is its slot, and the outbox takes a key once: however many relays run, on however many machines, and
however often they restart, a slot is done once. A slot that passed while no relay ran is skipped, not made up for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from portal.kit import outbox


@dataclass(frozen=True, slots=True)
class Round:
    """A kind of letter, and how often it is posted; slots are counted from midnight UTC."""

    kind: str
    every: timedelta
    demo_only: bool = False

    def slot(self, now: datetime) -> str:
        """Return the name of the slot that `now` falls into: its beginning."""
        seconds = self.every.total_seconds()
        return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC).isoformat()


ROUNDS = (
    Round("holds.expire", timedelta(seconds=30)),
    Round("amendments.lapse", timedelta(minutes=1)),
    Round("amendments.forget", timedelta(days=1)),
    Round("waits.serve", timedelta(minutes=1)),
    Round("alerts.check", timedelta(minutes=10)),
    Round("check_in.remind", timedelta(minutes=10)),
    Round("disruptions.clock", timedelta(minutes=1)),
    Round("audit.seal", timedelta(minutes=1)),
    Round("audit.anchor", timedelta(days=1)),
    Round("audit.retire", timedelta(days=1)),
    Round("checkin.reprint", timedelta(minutes=1)),
    Round("flights.settle", timedelta(minutes=10)),
    Round("accounts.sweep", timedelta(hours=6)),
    Round("privacy.erase", timedelta(hours=1)),
    Round("checkin.forget", timedelta(hours=6)),
    Round("classes.protect", timedelta(hours=6)),
    Round("analytics.days", timedelta(hours=1)),
    Round("idempotency.sweep", timedelta(hours=1)),
    Round("outbox.sweep", timedelta(hours=1)),
    Round("books.check", timedelta(days=1)),
    Round("demo.extend", timedelta(days=1), demo_only=True),
)


class Timetable:
    """Posts what is due; remembers what it posted, so that it asks the database once per slot only."""

    def __init__(self, *, demo: bool) -> None:
        self._rounds = [one for one in ROUNDS if demo or not one.demo_only]
        self._posted: dict[str, str] = {}

    def due(self, now: datetime) -> list[tuple[str, str]]:
        """Return the kinds and slots that this timetable has not posted yet."""
        slots = ((one.kind, one.slot(now)) for one in self._rounds)
        return [(kind, slot) for kind, slot in slots if self._posted.get(kind) != slot]

    def post(self, session: Session, due: list[tuple[str, str]]) -> None:
        """Write the letters of `due`; one that another relay wrote already is left alone."""
        for kind, slot in due:
            outbox.post(session, kind, key=slot)

    def note(self, due: list[tuple[str, str]]) -> None:
        """Remember, once they are committed, that the letters of `due` are posted."""
        self._posted.update(due)

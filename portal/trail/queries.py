"""The trail read: entries found and narrowed, the state of the chain, and the proof that nothing in it was touched."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.booking.queries import Finding
from portal.kit.audit import digest
from portal.trail.forms import Wish
from portal.trail.rules import GENESIS, Head, link
from portal.trail.views import Entry

CHUNK = 5_000
RECENT = 10_000
LOOKED_THROUGH = 100_000
# What a link covers, each as text; the personal part counts by its digest, so that it can be erased.
CONTENT = """
    e.id::text, (extract(epoch from e.happened_at) * 1000000)::bigint::text, e.actor_id::text, e.role, e.means,
    e.action, e.thing, e.thing_id, e.before::text, e.after::text, e.request_id, encode(e.personal_digest, 'hex'),
    e.transaction::text
"""
WIDTH = 13
LINKS = text(
    f"""
    select s.position, s.entry_id, s.hash, e.id is null, e.personal, e.personal_salt, e.personal_digest, {CONTENT}
    from audit_seals s left join audit_entries e on e.id = s.entry_id
    where s.position > :after order by s.position limit :limit
    """  # noqa: S608 – made of our own words only; what is asked for are parameters
)
LAST = "select position, entry_id, transaction, hash, sealed_at from audit_seals order by position desc limit 1"
HEAD = text(LAST)
AT = text("select hash from audit_seals where position = :position")
FIRST = text("select min(position) from audit_seals")
RETIRED = text(
    """
    select after->>'through', after->>'hash' from audit_entries where action = 'audit.retired'
    and after->>'through' = cast(:position as text)
    """
)
TAIL = text(
    f"""
    select count(e.id), extract(epoch from now() - min(e.happened_at))::float
    from (select (select transaction from ({LAST}) s) transaction, (select entry_id from ({LAST}) s) id) l
    left join audit_entries e on l.transaction is null or (e.transaction, e.id) > (l.transaction, l.id)
    """  # noqa: S608 – made of our own words only
)
# An entry of a finished transaction older than the last sealed one was either sealed with it or put in afterwards.
# Numbers of another cluster's life (a dump read back) say nothing; the next sealing puts that in order.
SLIPPED_IN = text(
    f"""
    select e.id from audit_entries e, ({LAST}) l
    where l.transaction < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint
        and (e.transaction, e.id) <= (l.transaction, l.entry_id) and e.id > :above
        and not exists (select from audit_seals s where s.entry_id = e.id) order by e.id limit 1
    """  # noqa: S608 – made of our own words only
)


@dataclass(frozen=True, slots=True)
class Chain:
    """How far the trail is sealed: the newest link, when it was made, and what waits behind it."""

    head: Head | None
    sealed_at: datetime | None
    waiting: int
    waiting_seconds: int


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold: the position, the entry that should be there, and what is off."""

    position: int
    entry_id: int | None
    what: str

    def __str__(self) -> str:
        entry = f", entry {self.entry_id}" if self.entry_id is not None else ""
        return f"link {self.position}{entry}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found: links checked from `first` to `last`, entries whose personal part is erased."""

    first: int
    last: int
    checked: int
    erased: int
    broken: Break | None


def chain(session: Session) -> Chain:
    """Return how far the trail is sealed, and what waits for it."""
    last = session.execute(HEAD).one_or_none()
    waiting, seconds = session.execute(TAIL).one()
    head = Head(last.position, last.hash) if last else None
    return Chain(head, last.sealed_at if last else None, waiting, int(seconds or 0))


def _quiet(_checked: int) -> None:
    pass


def verify(
    session: Session, *, newest: int | None = None, head: Head | None = None, progress: Callable[[int], None] = _quiet
) -> Verdict:
    """Check every link, or the `newest` ones, in one pass of flat memory; stops at the first that does not hold.

    With `head` (printed earlier by `portal audit head`) a chain that was made anew as a whole is seen, too. Run it in
    one snapshot (REPEATABLE READ). `progress` is told how many links were checked, now and then.
    """
    walk = _Walk(session, newest)
    broken = walk.run(progress)
    if broken is None and head is not None:
        broken = _unlike(session, head)
    if broken is None and (slipped := session.scalar(SLIPPED_IN, {"above": walk.lowest_id})) is not None:
        broken = Break(walk.position, slipped, "was put in among what is sealed")
    return Verdict(walk.first, walk.position, walk.checked, walk.erased, broken)


def _unlike(session: Session, head: Head) -> Break | None:
    found = session.scalar(AT, {"position": head.position})
    if found is None:
        return Break(head.position, None, "the head that was written down is not in the chain")
    if not hmac.compare_digest(found, head.hash):
        return Break(head.position, None, "is not the head that was written down: the chain was made anew")
    return None


class _Walk:
    """One pass along the chain."""

    def __init__(self, session: Session, newest: int | None) -> None:
        last = session.execute(HEAD).one_or_none()
        lowest = session.scalar(FIRST) or 1
        self._session = session
        self.first = max(lowest, last.position - newest + 1) if last and newest else lowest
        self.position, self.before = self.first - 1, GENESIS
        self.checked = self.erased = self.lowest_id = 0
        self._began = lowest

    def run(self, progress: Callable[[int], None]) -> Break | None:
        if (broken := self._begin()) is not None:
            return broken
        while rows := self._session.execute(LINKS, {"after": self.position, "limit": CHUNK}).all():
            for row in rows:
                if (broken := self._step(row)) is not None:
                    return broken
            progress(self.checked)
        return None

    def _begin(self) -> Break | None:
        """Stand on the link before the first that is checked, or on the record of what was retired."""
        if self.first > self._began:
            self.before = self._session.scalar(AT, {"position": self.first - 1}) or GENESIS
            return None
        if self.first == 1:
            return None
        anchor = self._session.scalar(AT, {"position": self.first})
        known = self._session.execute(RETIRED, {"position": self.first}).all()
        if anchor is None or all(hash != anchor.hex() for _through, hash in known):
            return Break(self.first, None, "the beginning is missing, and no record says that it was retired")
        self.position, self.before = self.first, anchor
        return None

    def _step(self, row: Any) -> Break | None:
        position, entry_id, sealed, missing, personal, salt, digested, *content = row
        if position != self.position + 1:
            return Break(self.position + 1, None, "is missing")
        if missing:
            return Break(position, entry_id, "the entry was deleted")
        if not hmac.compare_digest(link(self.before, position, content), sealed):
            return Break(position, entry_id, "was changed after it was sealed")
        if personal is not None and (salt is None or digested != digest(salt, personal)):
            return Break(position, entry_id, "its personal part was changed")
        self.erased += personal is None and digested is not None
        self.position, self.before, self.checked = position, sealed, self.checked + 1
        self.lowest_id = self.lowest_id or (entry_id - 1 if self.first > self._began else 0)
        return None


def broken_trail(session: Session) -> list[Finding]:
    """Return what is off in the newest part of the audit trail; `portal audit verify` checks the whole of it."""
    found = verify(session, newest=RECENT).broken
    late = chain(session).waiting_seconds
    return [
        *([Finding("the audit trail is whole", f"link {found.position}", str(found))] if found else []),
        *([Finding("the audit trail is sealed within the hour", "its tail", f"waits {late} s")] if late > 3600 else []),
    ]


FOUND = """
    select e.id, e.happened_at, e.actor_id, u.email, e.role, e.means, e.action, e.thing, e.thing_id, e.before, e.after,
           e.personal, e.personal is null and e.personal_digest is not null, e.request_id, s.position
    from ({inner}) e left join users u on u.id = e.actor_id left join audit_seals s on s.entry_id = e.id
    order by e.id desc
"""
NARROWED = {
    "actor_id": "e.actor_id = :actor_id",
    "actor": "e.actor_id in (select id from users where lower(email) = lower(:actor))",
    "action": "(e.action = :action or e.action like :action_in)",
    "thing": "e.thing = :thing",
    "thing_id": "e.thing_id = :thing_id",
    "request_id": "e.request_id = :request_id",
    "means": "e.means = :means",
    "from_at": "e.happened_at >= :from_at",
    "to_at": "e.happened_at < :to_at",
    "before": "e.id < :before",
}
TEXT = """(e.thing_id ilike :words or e.action ilike :words or e.before::text ilike :words
    or e.after::text ilike :words or e.personal ilike :words)"""


def entries(session: Session, wish: Wish, *, before: int | None = None, limit: int) -> list[Entry]:
    """Return the entries that fit, newest first, older than the one numbered `before`, if given.

    Free text looks through the newest LOOKED_THROUGH of what else fits.
    """
    values = {**wish.values(), **({"before": before} if before is not None else {})}
    where = " and ".join(sql for name, sql in NARROWED.items() if name in values) or "true"
    inner = f"select e.* from audit_entries e where {where} order by e.id desc limit"  # noqa: S608 – our own words only
    if wish.q:
        values["words"] = "%" + wish.q.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        inner = f"select e.* from ({inner} {LOOKED_THROUGH}) e where {TEXT} order by e.id desc limit"  # noqa: S608
    statement = text(FOUND.format(inner=f"{inner} :limit"))
    return [Entry(*row) for row in session.execute(statement, {**values, "limit": limit})]


def stream(session: Session, wish: Wish, *, most: int) -> Iterator[Entry]:
    """Yield the entries that fit, newest first, `most` at the outside, a page at a time."""
    before, left = None, most
    while left and (rows := entries(session, wish, before=before, limit=min(1000, left))):
        yield from rows
        before, left = rows[-1].id, left - len(rows)


def actions(session: Session) -> list[str]:
    """Return the actions that the trail knows, by name, as the newest 20,000 entries have them."""
    return list(session.scalars(ACTIONS))


def names(session: Session, found: Sequence[Entry]) -> dict[tuple[str, str], str]:
    """Return what people call the things that go by a long id: flights by number and day, accounts by address."""
    ids = {kind: [one.thing_id for one in found if one.thing == kind] for kind in ("flight", "user")}
    rows = session.execute(NAMES, {"flights": ids["flight"], "users": ids["user"]})
    return {(kind, thing_id): name for kind, thing_id, name in rows}


# Whatever is no UUID names nothing here; it is sorted out before it is read as one.
UUIDS = "(select cast(one as uuid) from unnest(cast(:{} as text[])) one where one ~ '^[0-9a-f-]{{36}}$')"
NAMES = text(
    f"""
    select 'flight', public_id::text, carrier || number || ', ' || departs_on from flights
    where public_id in {UUIDS.format("flights")}
    union all select 'user', id::text, email from users where id in {UUIDS.format("users")}
    """  # noqa: S608 – made of our own words only
)
ACTIONS = text(
    "select distinct action from (select action from audit_entries order by id desc limit 20000) e order by action"
)

"""What is done with the trail: sealed into a chain, its head written down, its oldest stretch retired.

No entry changes. Sealing stands apart from writing, so that deeds wait for nobody: entries of finished transactions
are taken in the order of their transactions and linked, some at a time, by one sealer at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from portal.kit import audit
from portal.kit.audit import AuditSeal
from portal.trail import queries
from portal.trail.queries import CONTENT
from portal.trail.rules import GENESIS, link

log = logging.getLogger(__name__)
AT_ONCE = 5_000
LOCK = text("select pg_try_advisory_xact_lock(7302027)")
# Read before the entries are: what had a lower number then is finished, so nothing of it can appear any more.
HORIZON = text(
    """
    select (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint xmin,
           (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint xmax
    """
)
NEXT = text(
    f"""
    select e.id, e.transaction, {CONTENT} from audit_entries e
    where e.transaction < :xmin and (e.transaction, e.id) > (:transaction, :id)
    order by e.transaction, e.id limit :limit
    """  # noqa: S608 – made of our own words only
)
# After a dump was read back into another cluster, numbers of transactions mean another order: all that has no seal is
# looked for by that, what came with the dump first.
LEFT_OVER = text(
    f"""
    select e.id, e.transaction, {CONTENT} from audit_entries e
    where (e.transaction < :xmin or e.transaction >= :xmax)
        and not exists (select from audit_seals s where s.entry_id = e.id)
    order by e.transaction < :xmax, e.transaction, e.id limit :limit
    """  # noqa: S608 – made of our own words only
)
RETIRE = text("select audit_retire(:older_than, :most)")


def seal(session: Session, *, limit: int = AT_ONCE) -> int:
    """Link up to `limit` entries of finished transactions; returns how many. 0 also while another sealer works."""
    if not session.scalar(LOCK):
        return 0
    horizon = session.execute(HORIZON).one()
    last = session.execute(queries.HEAD).one_or_none()
    rows = _unsealed(session, horizon, last, limit)
    position, before = (last.position, last.hash) if last else (0, GENESIS)
    seals = []
    for entry_id, transaction, *content in rows:
        position += 1
        before = link(before, position, content)
        seals.append({"position": position, "entry_id": entry_id, "transaction": transaction, "hash": before})
    if seals:
        session.execute(insert(AuditSeal), seals)
    return len(seals)


def _unsealed(session: Session, horizon: Any, last: Any, limit: int) -> Sequence[Any]:
    bounds = {"xmin": horizon.xmin, "limit": limit}
    if last is None or last.transaction >= horizon.xmin:
        return session.execute(LEFT_OVER, {**bounds, "xmax": horizon.xmax}).all()
    return session.execute(NEXT, {**bounds, "transaction": last.transaction, "id": last.entry_id}).all()


def anchor(session: Session) -> str | None:
    """Write the chain's head to the log and return it: kept elsewhere, it shows a chain that was made anew."""
    found = queries.chain(session)
    if found.head is None:
        return None
    log.info("audit head", extra={"head": str(found.head), "waiting": found.waiting})
    return str(found.head)


def retire(session: Session, *, older_than: datetime, most: int = 50_000) -> int:
    """Take the oldest sealed stretch away, about `most` entries at once, and record it; returns how many entries went.

    The last link of what went stays, as the place from which the rest is verified; it takes two to go. PostgreSQL
    refuses (InsufficientPrivilege) to retire what is younger than a year.
    """
    first = session.scalar(queries.FIRST)
    through = session.scalar(RETIRE, {"older_than": older_than, "most": most})
    if not through:
        return 0
    left = session.scalar(queries.AT, {"position": through})
    gone = through - first + (1 if first == 1 else 0)
    told: dict[str, audit.Value] = {"through": through, "hash": left.hex() if left else "", "entries": gone}
    audit.record(session, "audit.retired", "audit", through, after=told)
    return int(gone)

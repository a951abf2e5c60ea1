"""What happens to the audit trail by itself: it is sealed, its head is written down, its oldest stretch is retired."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from portal.kit import clock, db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.trail import service as trail
from tasks.delivery import Handler


def seal(_: Settings, __: Letter) -> None:
    """Link what was written since; some at a time, so that no transaction is long."""
    sealed = trail.AT_ONCE
    while sealed == trail.AT_ONCE:
        with db.writing() as session:
            sealed = trail.seal(session)


def anchor(_: Settings, __: Letter) -> None:
    """Write the head down."""
    with db.reading() as session:
        trail.anchor(session)


def retire(settings: Settings, _: Letter) -> None:
    """Take away what is older than PORTAL_AUDIT_RETENTION_DAYS; 0 keeps everything."""
    if not settings.audit_retention_days:
        return
    older_than, gone = clock.now() - timedelta(days=settings.audit_retention_days), 1
    while gone:
        with db.writing() as session:
            session.execute(text("set local statement_timeout = '5min'"))
            gone = trail.retire(session, older_than=older_than)


HANDLERS: dict[str, Handler] = {"audit.seal": seal, "audit.anchor": anchor, "audit.retire": retire}

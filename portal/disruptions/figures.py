"""The figures of what is owed when the carrier changes a flight: read for a day, and changed from a day on.

Nothing that decided something is edited: a change is a new version, and the one before ends the day before it.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.disruptions import queries, rules
from portal.disruptions.forms import RuleIn
from portal.disruptions.models import ChangeRule
from portal.disruptions.rules import Thresholds
from portal.kit import audit, clock
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _

ONE_DAY = timedelta(days=1)


def figures_now(session: Session) -> Thresholds:
    """Return what is owed today."""
    return rules.thresholds(queries.rule_rows(session), clock.now().date())


def set_figure(session: Session, wish: RuleIn, *, actor_id: UUID) -> ChangeRule:
    """Let a figure hold from a day to come on, up to the next version that is known; returns that version.

    One that was to begin on that very day is replaced. Raises Invalid for a day that is not to come.
    """
    if wish.valid_from <= clock.now().date():
        words = _("What holds today has decided already: please choose a day from tomorrow on.")
        raise Invalid(errors=[FieldError("validFrom", words)])
    versions = _locked(session, wish.kind, wish.scope)
    same = next((one for one in versions if one.valid_from == wish.valid_from), None)
    before = _told(same) if same is not None else None
    later = min((one.valid_from for one in versions if one.valid_from > wish.valid_from), default=None)
    for one in versions:
        if one.valid_from < wish.valid_from and (one.valid_to is None or one.valid_to >= wish.valid_from):
            before, one.valid_to = before or _told(one), wish.valid_from - ONE_DAY
    made = same if same is not None else ChangeRule(kind=wish.kind, scope=wish.scope, valid_from=wish.valid_from)
    made.minutes, made.source = wish.minutes, wish.source
    made.valid_to = later - ONE_DAY if later is not None else None
    session.add(made)
    session.flush()
    name = f"{wish.kind}/{wish.scope}"
    audit.record(session, "change_rule.set", "change_rule", name, actor_id=actor_id, before=before, after=_told(made))
    return made


def _locked(session: Session, kind: str, scope: str) -> list[ChangeRule]:
    """Return every version of a figure; locked, so that two who change it at once do so one after the other."""
    mine = select(ChangeRule).where(ChangeRule.kind == kind, ChangeRule.scope == scope)
    return list(session.scalars(mine.order_by(ChangeRule.valid_from).with_for_update()))


def _told(one: ChangeRule) -> dict[str, Any]:
    return {
        "minutes": one.minutes,
        "source": one.source,
        "validFrom": _day(one.valid_from),
        "validTo": _day(one.valid_to),
    }


def _day(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None

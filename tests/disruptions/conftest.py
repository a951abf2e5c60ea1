"""Flights with booked travellers, staff who are signed in, and what they have done."""

from __future__ import annotations

from datetime import time
from uuid import UUID

import pytest

from portal.disruptions import service
from portal.flights.models import Flight
from portal.flights.operations import Deed
from portal.kit import db
from portal.kit.settings import Settings
from tests.booking import makers
from tests.staff.conftest import signed_in, tokens, users

__all__ = ["signed_in", "tokens", "users"]


def carry_out(flight: Flight, kind: str, *, reopen: bool = False, **given: object) -> UUID:
    """Do what staff order, in the door's own steps; returns the change."""
    with db.writing() as session:
        service.close(session, flight.id, actor_id=None)
    with db.writing() as session:
        deed = Deed(kind, "Fog at the airport", **given)  # type: ignore[arg-type]  # passed on as they are
        made = service.carry_out(session, flight.id, deed, actor_id=None)
    if reopen:
        with db.writing() as session:
            service.reopen(session, flight.id, actor_id=None)
    return made


def tell(disruption: UUID) -> int:
    """Tell everybody; returns how many were told."""
    told, some = 0, 1
    while some:
        with db.writing() as session:
            some = service.tell_some(session, disruption)
            told += some
    return told


def states(disruption: UUID) -> dict[str, int]:
    """Return how many bookings a change left in which state."""
    from sqlalchemy import text

    with db.reading() as session:
        rows = session.execute(
            text("select state, count(*) from affected_bookings where disruption_id = :id group by 1"),
            {"id": disruption},
        )
        return {row[0]: row[1] for row in rows}


def broken() -> list[str]:
    """Return what does not add up in the books of every room."""
    from portal.cli import all_findings

    with db.reading() as session:
        return [str(finding) for finding in all_findings(session)]


@pytest.fixture
def flight(settings: Settings) -> Flight:
    """A non-stop flight in a month, JFK 08:00 to LAX."""
    return makers.flight()


@pytest.fixture
def connection(settings: Settings) -> tuple[Flight, Flight]:
    """JFK 08:00 → ORD 10:30 → LAX, leaving again at 12:00: 90 minutes to change planes."""
    first = makers.flight(destination="ORD", number=201, at=time(8, 0), minutes=210)
    return first, makers.flight(origin="ORD", destination="LAX", number=202, at=time(12, 0), minutes=250)

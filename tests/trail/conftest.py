"""A trail with some deeds in it, and a way past every lock: the owner of the database, who may switch triggers off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text
from starlette.testclient import TestClient

from portal.kit import audit, db
from portal.kit.settings import Settings
from portal.trail import queries, service
from portal.trail.queries import Verdict
from tests.conftest import Copies
from tests.trips.conftest import signed_in, users

__all__ = ["signed_in", "users"]
CLERK = UUID("11111111-2222-4333-8444-555555555555")
Owner = Callable[[str], None]


def deed(number: int = 0, **given: object) -> None:
    """Write one entry in a transaction of its own."""
    told: dict[str, audit.Value] = {"email": f"person{number}@example.com", "role": "staff", "number": number}
    with db.writing() as session:
        audit.record(session, "user.changed", "user", given.get("thing_id", uuid4()), actor_id=CLERK, after=told)


def sealed() -> int:
    """Seal what waits; returns how much that was."""
    with db.writing() as session:
        return service.seal(session)


def verdict(**given: object) -> Verdict:
    """Return what a verification finds."""
    with db.reading() as session:
        return queries.verify(session, **given)  # type: ignore[arg-type]  # the names are verify's own


@pytest.fixture(autouse=True)
def nothing_else_runs(copies: Copies, settings: Settings) -> None:
    """Sealing waits for every transaction of the server, and the next test's database is made in one."""
    copies.wait()


@pytest.fixture
def owner(settings: Settings) -> Iterator[Owner]:
    """Runs one statement as the database's owner with all triggers off, as somebody who has taken the machine could."""
    engine = create_engine(settings.database_owner_url, poolclass=NullPool)

    def run(statement: str) -> None:
        with engine.begin() as connection:
            _past_all_locks(connection)
            connection.execute(text(statement))

    yield run
    engine.dispose()


def _past_all_locks(connection: Connection) -> None:
    connection.execute(text("set local session_replication_role = replica"))


@pytest.fixture
def ten(settings: Settings) -> Settings:
    """Ten sealed entries."""
    for number in range(10):
        deed(number)
    assert sealed() >= 10
    return settings


@pytest.fixture
def staff(signed_in: Callable[[str], TestClient]) -> TestClient:
    """A clerk's browser."""
    return signed_in("staff")

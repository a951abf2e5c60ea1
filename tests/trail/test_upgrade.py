"""A trail that was written before it knew personal values: its addresses are moved apart, and it can be sealed."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from deploy.local.services import TestServices
from portal.kit import audit, db
from portal.kit.settings import ROOT, Settings
from portal.trail.rules import whole
from tests.trail.conftest import sealed, verdict

OLD = """
    insert into audit_entries (action, thing, thing_id, before, after) values
    ('user.create', 'user', 'a', 'null', '{"role": "staff", "email": "Ana \\"A\\" <ana@example.com>"}'),
    ('credit.given', 'credit', 'b', null, '{"owner": "bob@example.com", "amount": {"amount": "5.00"}}'),
    ('flight.cancel', 'flight', 'c', '{"status": "on"}', '{"status": "off"}'),
    ('gate.closed', 'flight', 'd', null, null)
"""


@pytest.fixture
def older(services: TestServices) -> Iterator[Settings]:
    """A database as it was before, with entries in it, brought up to date."""
    name = f"older_{uuid4().hex}"
    admin = create_engine(services.postgres.url_for("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = services.postgres.url_for(name)
    command.upgrade(config, "20261123_whole_life")
    settings = Settings(database_url=services.postgres.url_for(name))
    db.connect(settings)
    with db.writing() as session:
        session.execute(text(OLD.replace(":", r"\:")))
    command.upgrade(config, "head")
    yield settings
    db.disconnect()
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))
    admin.dispose()


def test_older_entries_are_as_good_as_new_ones(older: Settings) -> None:
    with db.reading() as session:
        rows = session.execute(
            text("select after, personal, personal_salt, personal_digest from audit_entries order by id")
        ).all()
    assert "example.com" not in str([row.after for row in rows])
    assert whole(rows[0].after, rows[0].personal) == {"role": "staff", "email": 'Ana "A" <ana@example.com>'}
    assert whole(rows[1].after, rows[1].personal) == {"owner": "bob@example.com", "amount": {"amount": "5.00"}}
    assert (rows[2].personal, rows[3].personal) == (None, None)
    assert rows[0].personal_digest == audit.digest(bytes(rows[0].personal_salt), rows[0].personal)
    assert sealed() == 4
    with db.writing() as session:
        assert audit.erase(session, of=uuid4(), words=["bob@example.com"]) == 1
    sealed()
    assert (verdict().broken, verdict().checked) == (None, 5)

"""Alembic's way in: one migration at a time (advisory lock), never waiting long for a table (lock_timeout)."""

from __future__ import annotations

from alembic import context
from sqlalchemy import NullPool, create_engine, text

from portal.kit import db
from portal.kit.settings import read
from portal.metadata import metadata

LOCK = 7_302_026


def run() -> None:
    """Run the wanted migrations in one transaction under the lock."""
    url = context.config.attributes.get("url") or db.url_of(read().database_url)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        # In this order: the time that a lock may take counts for this one, too, and another's migration may be long.
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
        connection.execute(text("set lock_timeout = '5s'"))
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": LOCK})


run()

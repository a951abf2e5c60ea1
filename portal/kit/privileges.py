"""Who may do what in the database: the portal's own role reads and writes rows, and never changes the audit trail.

Two roles make the audit trail append-only by privilege: one owns the tables and is used by `portal migrate` alone
(PORTAL_DATABASE_OWNER_URL); the other (PORTAL_DATABASE_URL) serves, and is given SELECT, INSERT, UPDATE and DELETE on
every table but those of the trail, where it may read and append. Personal parts are erased, and old stretches retired,
by two functions that run as the owner and do nothing else. Where one role does both, a trigger still refuses to change
what is written: that keeps from mistakes and from injected statements, not from whoever holds the owner's password.
"""

from __future__ import annotations

from sqlalchemy import Connection, NullPool, create_engine, make_url, text

APPEND_ONLY = ("audit_entries", "audit_seals")
DOORS = ("audit_erase(uuid, text[], text[], text[])", "audit_retire(timestamptz, bigint)")
READ_ONLY = ("alembic_version",)


def give(owner: str, serving: str) -> None:
    """Give the role of the address `serving` what it needs and no more, as the role of the address `owner`; nothing
    where they are the same, or no owner is named. Idempotent.
    """
    role = make_url(serving).username
    if not owner or role is None or make_url(owner).username == role:
        return
    engine = create_engine(owner, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(7302028)"))
        for statement in _statements(connection, connection.dialect.identifier_preparer.quote(role)):
            connection.execute(text(statement))
    engine.dispose()


def _statements(connection: Connection, role: str) -> list[str]:
    tables, kept = ", ".join(APPEND_ONLY), ", ".join(READ_ONLY)
    version = connection.dialect.server_version_info or (0,)
    return [
        f"grant usage on schema public to {role}",
        f"grant select, insert, update, delete on all tables in schema public to {role}",
        # So that an import may have its tables analyzed at once; before version 17 autovacuum sees to it alone.
        *([f"grant maintain on all tables in schema public to {role}"] if version >= (17,) else []),
        f"grant usage, select, update on all sequences in schema public to {role}",
        f"revoke all on {tables}, {kept} from {role}, public",
        f"grant select on {tables}, {kept} to {role}",
        f"grant insert on {tables} to {role}",
        *[f"revoke execute on function {door} from public" for door in DOORS],
        *[f"grant execute on function {door} to {role}" for door in DOORS],
    ]

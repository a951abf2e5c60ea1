"""A database with rows in it goes up, down and up again: what the older version knows is whole, and nothing collides.

A trail that was written before it knew personal values has them moved apart, and can be sealed; on the way down they
are put back where the older version reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
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

BEFORE = "20261123_whole_life"
OLD = """
    insert into audit_entries (action, thing, thing_id, before, after) values
    ('user.create', 'user', 'a', 'null', '{"role": "staff", "email": "Ana \\"A\\" <ana@example.com>"}'),
    ('credit.given', 'credit', 'b', null, '{"owner": "bob@example.com", "amount": {"amount": "5.00"}}'),
    ('flight.cancel', 'flight', 'c', '{"status": "on"}', '{"status": "off"}'),
    ('gate.closed', 'flight', 'd', null, null)
"""
ROWS = """
    insert into carriers (code, name, ticket_prefix) values ('ME', 'Meridian Air', '999');
    insert into aircraft_types (code, name) values ('A320', 'Airbus A320');
    insert into airports
        (code, name, city, country, country_name, time_zone, latitude, longitude, served, rank, search_text)
    select code, code, code, 'US', 'United States', 'UTC', 40, -70, true, 1, code
    from unnest(array['JFK', 'ORD', 'LAX']) code;
    insert into flights (carrier, number, origin, destination, departs_on, departure_local, arrival_local,
        departure_at, arrival_at, aircraft, distance_km, fare_minor, currency)
    select 'ME', number, origin, destination, '2030-01-01', timestamp '2030-01-01 08:00', timestamp '2030-01-01 10:00',
        '2030-01-01 08:00Z', '2030-01-01 10:00Z', 'A320', 1000, 10000, 'USD'
    from (values (1, 'JFK', 'ORD'), (2, 'ORD', 'LAX'), (3, 'ORD', 'LAX')) f (number, origin, destination);
    insert into users (email, given_name, family_name, password_hash)
    select name || '@example.com', name, 'Test', 'x' from unnest(array['ana', 'bob', 'eve']) name;
    insert into preferences (user_id, seat, meal) select id, 'aisle', null from users where given_name = 'ana';
    insert into waits (flight_id, cabin, adults, children, infants, email)
    select id, 'economy', 1, 0, 0, 'bob@example.com' from flights where number = 1
"""
SINCE = """
    update preferences set seat = 'window', keep_address = false;
    insert into preferences (user_id, seat, meal) select id, 'front', null from users where given_name = 'eve';
    insert into waits (flight_id, onward_id, cabin, adults, children, infants, email, state, offered_at)
    select a.id, b.id, 'economy', 1, 0, 0, 'Bob@example.com',
        case b.number when 2 then 'waiting' else 'offered' end, case b.number when 3 then now() end
    from flights a, flights b where a.number = 1 and b.number > 1
"""
ADDRESS: dict[str, Any] = {"email": "eve@example.com", "phone": "+49 30 1"}
PEOPLE: dict[str, Any] = {"people": [{"givenName": "Eve", "age": 30}], "words": ["plain"], "number": 1}


def to(settings: Settings, revision: str) -> None:
    """Bring the database to this revision, up or down."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = settings.database_url
    db.disconnect()
    (command.downgrade if revision == BEFORE else command.upgrade)(config, revision)
    db.connect(settings)


def fill(statements: str) -> None:
    """Do the statements in one transaction."""
    with db.writing() as session:
        for one in statements.split(";"):
            session.connection().exec_driver_sql(one)


def rows(statement: str) -> list[Any]:
    with db.reading() as session:
        return [tuple(row) for row in session.execute(text(statement))]


@pytest.fixture
def older(services: TestServices) -> Iterator[Settings]:
    """A database as it was before, with rows in it, brought up to date."""
    name = f"older_{uuid4().hex}"
    admin = create_engine(services.postgres.url_for("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    settings = Settings(database_url=services.postgres.url_for(name))
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = settings.database_url
    command.upgrade(config, BEFORE)
    db.connect(settings)
    fill(OLD)
    fill(ROWS)
    to(settings, "head")
    yield settings
    db.disconnect()
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))
    admin.dispose()


def told() -> list[tuple[Any, Any]]:
    """Return both sides of every entry, with personal values in their places."""
    found = rows("select before, after, personal from audit_entries order by id")
    return [(whole(before, personal), whole(after, personal)) for before, after, personal in found]


def test_older_entries_are_as_good_as_new_ones(older: Settings) -> None:
    found = rows("select after, personal, personal_salt, personal_digest from audit_entries order by id")
    assert "example.com" not in str([after for after, *_ in found])
    entries = told()
    assert entries[0] == ({}, {"role": "staff", "email": 'Ana "A" <ana@example.com>'})
    assert entries[1] == ({}, {"owner": "bob@example.com", "amount": {"amount": "5.00"}})
    assert entries[2] == ({"status": "on"}, {"status": "off"})
    assert (found[2][1], found[3][1]) == (None, None)
    assert found[0][3] == audit.digest(bytes(found[0][2]), found[0][1])
    assert sealed() == 4
    with db.writing() as session:
        assert audit.erase(session, of=uuid4(), words=["bob@example.com"]) == 1
    sealed()
    assert (verdict().broken, verdict().checked) == (None, 5)


def test_it_goes_down_and_up_again_once_what_is_new_was_used(older: Settings) -> None:
    fill(SINCE)
    gone = uuid4()
    with db.writing() as session:
        audit.record(session, "booking.contact", "booking", "x", before=ADDRESS, after={**ADDRESS, "phone": None})
        audit.record(session, "booking.people", "booking", "y", before=PEOPLE, after={"door": audit.Personal("4 B")})
        audit.record(session, "user.changed", "user", gone, after={"email": "gone@example.com", "role": "staff"})
        assert audit.erase(session, things=[("user", str(gone))]) == 1
    sealed()
    before = told()

    to(older, BEFORE)
    sides = rows("select before, after from audit_entries order by id")
    assert sides[0][1] == {"role": "staff", "email": 'Ana "A" <ana@example.com>'}
    assert sides[4] == ({"phone": "+49 30 1"}, {"phone": None})
    assert sides[5] == (PEOPLE, {"door": "4 B"})
    assert sides[6] == (None, {"email": None, "role": "staff"})
    assert "§" not in str(sides)
    assert rows("select seat from preferences order by seat") == [("window",), (None,)]
    live = "select lower(email) from waits where state in ('waiting', 'offered')"
    assert rows(live) == [("bob@example.com",)]
    assert rows("select count(*) from waits where state = 'lapsed' and ended_at is not null") == [(2,)]

    to(older, "head")
    again = told()
    assert again[:6] == before[:6]
    assert again[6] == ({}, {"email": None, "role": "staff"})
    kept = str(rows("select before, after from audit_entries"))
    assert not any(word in kept for word in ("example.com", "+49", "Eve"))
    assert sealed() == len(again)
    assert verdict().broken is None
    assert rows("select email, onward_id from waits where state = 'waiting'") == [("bob@example.com", None)]
    fill("update preferences set seat = 'front' where seat is null")

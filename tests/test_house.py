"""The house keeps its own rules: contracts hold, rooms say what they promise, templates compile, sizes hold."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import jinja2
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, NullPool, create_engine, text

import portal
from deploy.local.services import TestServices
from portal.app import ROUTES
from portal.kit import db, web
from portal.kit.settings import ROOT, Settings
from portal.metadata import metadata

MAX_FILE = 400
MAX_FUNCTION = 50
MODULES = [module.name for module in pkgutil.walk_packages(portal.__path__, "portal.")]
SOURCES = sorted([*(ROOT / "portal").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")])
TEMPLATES = sorted(str(path.relative_to(ROOT / "templates")) for path in (ROOT / "templates").rglob("*.html"))


def test_imports_point_down_only() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_promises(name: str) -> None:
    assert len((importlib.import_module(name).__doc__ or "").strip()) > 20


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path: Path) -> None:
    source = path.read_text()
    assert source.count("\n") <= MAX_FILE
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_give_their_guarantee(path: Path) -> None:
    bare = [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert bare == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_compile(name: str) -> None:
    web.templates().get_template(name)


def test_templates_carry_no_inline_style_or_script() -> None:
    guilty = [
        name
        for name in TEMPLATES
        if not name.startswith(("mail/", "pdf/"))
        and re.search(r"<script(?![^>]*src=)|\sstyle=|\son[a-z]+=", (ROOT / "templates" / name).read_text())
    ]
    assert guilty == []


def test_blocks_that_doors_ask_for_exist() -> None:
    asked = re.compile(r'"([\w/]+\.html)"(?:[^()]|\([^()]*\))*?block="(\w+)"', re.S)
    pairs = {pair for path in SOURCES for pair in asked.findall(path.read_text())}
    missing = [(name, block) for name, block in pairs if block not in web.templates().get_template(name).blocks]
    assert missing == []


def test_templates_are_all_used() -> None:
    words = "\n".join(path.read_text() for path in [*SOURCES, *(ROOT / "templates").rglob("*.html")])
    orphans = [name for name in TEMPLATES if name not in words and f'"{Path(name).stem}"' not in words]
    assert orphans == []


def test_migrations_make_exactly_the_tables_of_the_models(settings: Settings) -> None:
    engine = create_engine(db.url_of(settings.database_url))
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert difference == []


CHECKS = """
    select r.relname || '.' || c.conname, pg_get_constraintdef(c.oid)
    from pg_constraint c join pg_class r on r.oid = c.conrelid where c.contype = 'c'
"""
# What a schema is made of: columns, constraints, indexes, triggers, functions and sequences, each told in full.
SCHEMA = """
    select 'column ' || table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default)
    from information_schema.columns where table_schema = 'public'
    union all select 'constraint ' || conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
    from pg_constraint where connamespace = 'public'::regnamespace
    union all select 'index ' || indexname, indexdef from pg_indexes where schemaname = 'public'
    union all select 'trigger ' || tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid)
    from pg_trigger where not tgisinternal
    union all select 'function ' || p.proname, md5(p.prosrc) from pg_proc p
    where p.pronamespace = 'public'::regnamespace
        and not exists (select 1 from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    union all select 'sequence ' || sequencename, data_type::text from pg_sequences where schemaname = 'public'
"""


@pytest.fixture
def empty(services: TestServices) -> Iterator[Engine]:
    """A database with nothing in it, dropped afterwards."""
    name = f"empty_{uuid4().hex}"
    admin = create_engine(db.url_of(services.postgres.url_for("postgres")), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine = create_engine(db.url_of(services.postgres.url_for(name)), poolclass=NullPool)
    try:
        yield engine
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"drop database {name} with (force)"))
        admin.dispose()


def told(connection: Connection, statement: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(text(statement))}


def checks(connection: Connection) -> dict[str, str]:
    """Return every check, made anew from its own words: PostgreSQL tells `in (…)` otherwise when it reads it again."""
    for name, definition in told(connection, CHECKS).items():
        table, _, constraint = name.partition(".")
        anew = f"drop constraint {constraint}, add constraint {constraint} {definition}"
        connection.exec_driver_sql(f"alter table {table} {anew}".replace("%", "%%"))
    return told(connection, CHECKS)


def test_migrations_make_exactly_the_checks_of_the_models(settings: Settings, empty: Engine) -> None:
    with empty.begin() as connection:
        for extension in ("pg_trgm", "btree_gist"):
            connection.execute(text(f"create extension if not exists {extension}"))
        metadata.create_all(connection)
        meant = checks(connection)
    owner = create_engine(settings.database_owner_url, poolclass=NullPool)
    with owner.begin() as connection:
        made = checks(connection)
    assert made == meant
    assert len(made) > 20


def test_the_schema_goes_down_and_up_again(empty: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = empty.url

    def schema() -> dict[str, str]:
        with empty.begin() as connection:
            checks(connection)
            return told(connection, SCHEMA)

    command.upgrade(config, "20261123_first")
    first = schema()
    command.upgrade(config, "head")
    whole = schema()
    command.downgrade(config, "20261123_first")
    assert schema() == first
    command.upgrade(config, "head")
    assert schema() == whole
    assert len(whole) > len(first) > 100


def test_every_address_has_one_door() -> None:
    doors = [(route.path, method) for route in ROUTES for method in getattr(route, "methods", None) or ()]  # type: ignore[attr-defined]  # Mount and Route both have a path
    twice = {door for door in doors if doors.count(door) > 1}
    assert twice == set()


def test_jinja_is_strict() -> None:
    assert web.templates().undefined is jinja2.StrictUndefined

"""The ground tests stand on: a real PostgreSQL and Redis of their own, a fresh migrated database for each test."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import Engine, create_engine, text
from starlette.testclient import TestClient

from deploy.local.services import TestServices
from portal.app import create_app
from portal.kit import cache, db
from portal.kit.settings import Settings
from tests import world
from tests.running import migrated

numbers = itertools.count(1)
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--lang=en-US",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]


@pytest.fixture(scope="session")
def services() -> Iterator[TestServices]:
    """An ephemeral PostgreSQL and Redis, gone afterwards."""
    with TestServices() as running:
        yield running


@pytest.fixture(scope="session")
def template(services: TestServices) -> str:
    """The name of a migrated database with the small world of tests/world.py in it, to be copied."""
    settings = migrated(services)
    let_tests_make_tables(settings)
    db.connect(settings)
    with db.writing() as session:
        world.build(session)
    db.disconnect()
    return str(services.postgres.database)


def let_tests_make_tables(settings: Settings) -> None:
    """Give the serving role what tests do and the portal does not: make tables, and empty any but the audit trail's."""
    engine = create_engine(settings.database_owner_url)
    with engine.begin() as connection:
        connection.execute(text("grant create on schema public to portal_app"))
        connection.execute(text("grant truncate on all tables in schema public to portal_app"))
        connection.execute(text("revoke truncate on audit_entries, audit_seals from portal_app"))
    engine.dispose()


def furnished(services: TestServices, template: str, fill: Callable[[], object]) -> str:
    """Return the name of a copy of the template with more in it: what many tests need is made once."""
    name, postgres = f"{template}_{secrets.token_hex(4)}", services.postgres
    admin = create_engine(db.url_of(postgres.url_for("postgres")), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'create database "{name}" template "{template}" strategy file_copy'))
    admin.dispose()
    db.connect(Settings(database_url=postgres.url_for(name, postgres.serving_role)))
    try:
        fill()
    finally:
        db.disconnect()
    return name


class Copies:
    """Databases for tests: while one runs, the next copy of its template is made and the last one's is dropped."""

    def __init__(self, admin: Engine) -> None:
        self._admin = admin
        self._aside = ThreadPoolExecutor(1)
        self._next: dict[str, Future[str]] = {}

    def take(self, template: str) -> str:
        """Return the name of a fresh copy of the template."""
        made = self._next.pop(template, None) or self._aside.submit(self._copy, template)
        name = made.result()
        self._next[template] = self._aside.submit(self._copy, template)
        return name

    def give_back(self, name: str) -> None:
        """Drop a copy, in a while."""
        self._aside.submit(self._tell, f'drop database "{name}" with (force)')

    def wait(self) -> None:
        """Return when nothing is being made or dropped: for tests of what waits for every transaction of the server."""
        self._aside.submit(int).result()

    def close(self) -> None:
        """End, without what nobody waits for any more."""
        self._aside.shutdown(cancel_futures=True)
        self._admin.dispose()

    def _copy(self, template: str) -> str:
        name = f"test_{os.getpid()}_{next(numbers)}"
        # As files: block by block through the log takes twenty times as long.
        self._tell(f'create database "{name}" template "{template}" strategy file_copy')
        return name

    def _tell(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))


@pytest.fixture(scope="session")
def copies(services: TestServices) -> Iterator[Copies]:
    """The maker of databases."""
    url = db.url_of(services.postgres.url_for("postgres"))
    made = Copies(create_engine(url, isolation_level="AUTOCOMMIT"))
    yield made
    made.close()


@pytest.fixture
def settings(services: TestServices, copies: Copies, template: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a portal on a database of its own, a copy of the template, dropped afterwards."""
    name = copies.take(template)
    made = Settings(
        database_url=services.postgres.url_for(name, services.postgres.serving_role),
        database_owner_url=services.postgres.url_for(name),
        redis_url=services.redis.url,
        mail_dir=str(tmp_path / "mail"),
        rate_limit_enabled=False,
        base_url="http://testserver",
    )
    cache.client(made.redis_url).flushdb()
    db.connect(made)
    try:
        yield made
    finally:
        db.disconnect()
        copies.give_back(name)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A browser-like client that follows no redirects and keeps cookies."""
    with TestClient(create_app(settings), follow_redirects=False, raise_server_exceptions=False) as running:
        yield running


@pytest.fixture
def limited(settings: Settings) -> Settings:
    """The same settings with rate limits switched on."""
    return replace(settings, rate_limit_enabled=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright: one for all tests, for it runs only once in a process."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=FLAGS)

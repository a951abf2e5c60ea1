"""A portal in which everybody has something: the rows are made once, and copied anew after whatever changed them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from deploy.local.services import TestServices
from portal.kit import db
from portal.kit.settings import Settings
from tests.access.asking import Asker
from tests.access.furnished import Facts, furnish


@pytest.fixture(scope="session")
def facts() -> Facts:
    """What is where: filled when the template is made."""
    return {}


@pytest.fixture(scope="session")
def template(services: TestServices, template: str, facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database in which there is one of everything; another for each folder that asks, with its facts."""
    name = f"{template}_furnished_{secrets.token_hex(4)}"
    _copy(services, template, name)
    made = _settings(services, name, tmp_path_factory.mktemp("mail"))
    db.connect(made)
    try:
        facts |= furnish(made)
    finally:
        db.disconnect()
    return name


def _copy(services: TestServices, source: str, name: str) -> None:
    admin = create_engine(db.url_of(services.postgres.url_for("postgres")), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'drop database if exists "{name}" with (force)'))
        connection.execute(text(f'create database "{name}" template "{source}" strategy file_copy'))
    admin.dispose()


def _settings(services: TestServices, name: str, mail: Path) -> Settings:
    return Settings(
        database_url=services.postgres.url_for(name, services.postgres.serving_role),
        redis_url=services.redis.url,
        mail_dir=str(mail),
        rate_limit_enabled=False,
        base_url="http://testserver",
    )


@pytest.fixture(scope="module")
def everything(
    services: TestServices, template: str, facts: Facts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asker]:
    """Who asks in a copy of that database."""
    name = f"{template}_asked"
    settings = _settings(services, name, tmp_path_factory.mktemp("mail"))
    asker = Asker(settings, facts, renew=lambda: _copy(services, template, name))
    yield asker
    asker.close()


@pytest.fixture
def asker(everything: Asker) -> Asker:
    """The same, with everything in its place."""
    everything.tidy()
    return everything

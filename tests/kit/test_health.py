"""Health says which part is ill: in time, without a word too much, and taking nothing from those who buy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text
from starlette.testclient import TestClient

from deploy.local.services import TestServices
from portal.app import create_app
from portal.kit import clock, db, health, signing
from portal.kit.outbox import Letter
from portal.kit.settings import ROOT, Settings
from tests.running import migrated

PARTS = {"database", "migrations", "redis", "jobs", "disk", "memory"}


def post(state: str, **given: object) -> None:
    with db.writing() as session:
        session.add(Letter(kind="holds.expire", state=state, payload={}, **given))


def test_all_is_well(client: TestClient) -> None:
    for path, parts in (
        ("/health", PARTS),
        ("/api/health", PARTS),
        ("/api/health/database", {"database"}),
        ("/api/health/redis", {"redis"}),
        ("/health/ready", {"database", "migrations"}),
        ("/health/live", set()),
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "healthy"), path
        assert set(answer.json()["checks"]) == parts
        assert answer.headers["cache-control"] == "no-store"
        for check in answer.json()["checks"].values():
            assert check["status"] == "healthy"
            assert 0 <= check["latencyMs"] < 2500
        assert client.head(path).status_code == 200
        assert client.post(path).status_code == 405


def test_everybody_reads_words_only_and_insiders_figures(settings: Settings) -> None:
    app = create_app(settings)
    with TestClient(app, "http://127.0.0.1:8000", client=("127.0.0.1", 9)) as machine:
        public = machine.get("/health")
        inside = machine.get("/health/detailed").json()
    assert {name for check in public.json()["checks"].values() for name in check} == {"status", "latencyMs"}
    assert str(ROOT) not in public.text
    assert inside["checks"]["migrations"]["revision"] == inside["checks"]["migrations"]["expected"]
    assert inside["checks"]["disk"]["freeBytes"] > 0
    assert inside["checks"]["memory"]["processBytes"] > 1_000_000
    assert inside["checks"]["jobs"] == inside["checks"]["jobs"] | {"overdueSeconds": 0, "dead": 0, "quietSeconds": None}
    assert str(ROOT) not in str(inside)


@pytest.mark.parametrize(
    ("letters", "status", "words"),
    [
        ([("waiting", -119, 0)], "healthy", ""),
        ([("waiting", 600, 0), ("dead", -900, 0)], "healthy", ""),
        ([("waiting", -125, 0)], "degraded", "Jobs have waited"),
        ([("failed", -125, 0)], "degraded", "Jobs have waited"),
        ([("done", 0, -60)], "healthy", ""),
        ([("done", 0, -125)], "degraded", "is a worker running?"),
        ([("done", 0, -125), ("running", 30, 0)], "healthy", ""),
    ],
)
def test_jobs_that_wait_and_workers_that_are_silent(
    client: TestClient, letters: list[tuple[str, int, int]], status: str, words: str
) -> None:
    for state, due, done in letters:
        now = clock.now()
        finished = {"done_at": now + timedelta(seconds=done)} if state == "done" else {}
        post(state, next_try_at=now + timedelta(seconds=due), **finished)
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == status
    assert answer.json()["checks"]["jobs"]["status"] == status
    assert words in answer.json()["checks"]["jobs"].get("detail", "")
    assert set(answer.json()["checks"]["jobs"]) <= {"status", "latencyMs", "detail"}


def as_owner(settings: Settings, statement: str) -> None:
    """Do what only the role that owns the tables may."""
    engine = create_engine(db.url_of(settings.database_owner_url))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_tables_of_another_version_degrade_and_none_are_fatal(client: TestClient, settings: Settings) -> None:
    as_owner(settings, "update alembic_version set version_num = 'other'")
    assert client.get("/health/ready").json()["checks"]["migrations"]["status"] == "degraded"
    as_owner(settings, "drop table alembic_version")
    time.sleep(health.KEPT_SECONDS + 0.1)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")


def test_people_read_the_same_in_words(client: TestClient) -> None:
    post("waiting", next_try_at=clock.now() - timedelta(minutes=10))
    page = client.get("/health-ui")
    assert page.status_code == 200
    for words in ("Working, with a part down", "Database", "Jobs have waited for more than two minutes."):
        assert words in page.text


def test_probes_do_not_wait_for_the_pools_of_travellers(settings: Settings) -> None:
    app = create_app(settings)
    with TestClient(app) as client, ThreadPoolExecutor(40) as crowd:
        taken = [db.database().read.connect() for _ in range(settings.database_pool + 5)]
        try:
            began = time.monotonic()
            answers = list(crowd.map(lambda _: client.get("/health").json()["status"], range(200)))
            assert set(answers) == {"healthy"}
            assert time.monotonic() - began < 5
        finally:
            for connection in taken:
                connection.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[TestServices, Settings]]:
    """Services that may be killed, with the portal's tables."""
    with TestServices() as services:
        yield services, migrated(services, mail_dir=str(tmp_path), base_url="http://testserver")


def eventually(client: TestClient, path: str, status: str) -> dict[str, dict[str, str]]:
    """Return the checks once they say so; every answer on the way comes in time."""
    deadline = time.monotonic() + 15
    while True:
        began = time.monotonic()
        answer = client.get(path)
        assert time.monotonic() - began < health.LONGEST_SECONDS + 1.5
        if answer.json()["status"] == status:
            assert answer.status_code == (503 if status == "unhealthy" else 200)
            return dict(answer.json()["checks"])
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


@pytest.mark.fault
def test_killed_services_are_named_in_time_and_their_return_is_seen(own: tuple[TestServices, Settings]) -> None:
    services, settings = own
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        eventually(client, "/health", "healthy")
        services.redis.kill()
        checks = eventually(client, "/health", "degraded")
        assert [name for name, check in checks.items() if check["status"] != "healthy"] == ["redis"]
        assert client.get("/health-ui").status_code == 200
        services.postgres.kill()
        checks = eventually(client, "/health", "unhealthy")
        assert checks["database"]["status"] == "unhealthy"
        assert checks["migrations"]["status"] == checks["jobs"]["status"] == "degraded"
        assert "host" not in str(checks)
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
        word = signing.seal(settings, "sign-in", "a word that would have to be looked up")
        client.cookies.set("sign-in", word)
        page = client.get("/health-ui")
        assert page.status_code == 503
        assert "Not able to serve" in page.text
        services.postgres.start()
        services.redis.start()
        eventually(client, "/health", "healthy")


@pytest.mark.fault
def test_nothing_that_the_database_tells_is_believed_after_it_is_gone(own: tuple[TestServices, Settings]) -> None:
    """A part that answered late is remembered longer than the database, which is asked again and is away."""
    services, settings = own
    with TestClient(create_app(settings)) as client, ThreadPoolExecutor(1) as other:
        with create_engine(db.url_of(services.postgres.url), poolclass=NullPool).connect() as connection:
            connection.execute(text("lock table letters"))
            asked = other.submit(client.get, "/health")
            time.sleep(0.8 * health.KEPT_SECONDS)
        assert asked.result().json()["status"] == "healthy"
        services.postgres.kill()
        time.sleep(0.4 * health.KEPT_SECONDS)
        checks = client.get("/health").json()["checks"]
        assert checks["database"]["status"] == "unhealthy"
        assert checks["migrations"]["status"] == checks["jobs"]["status"] == "degraded"


@pytest.mark.fault
def test_a_database_that_hangs_is_late_again_and_again(own: tuple[TestServices, Settings]) -> None:
    """A server that takes connections and never answers: stopped, not dead."""
    services, settings = own
    with TestClient(create_app(settings)) as client:
        eventually(client, "/health", "healthy")
        os.killpg(services.postgres.child.pid, signal.SIGSTOP)
        try:
            for _ in range(4):
                eventually(client, "/api/health/database", "unhealthy")
                eventually(client, "/api/health/redis", "healthy")
                time.sleep(health.KEPT_SECONDS)
        finally:
            os.killpg(services.postgres.child.pid, signal.SIGCONT)
        eventually(client, "/health", "healthy")


def test_a_check_that_breaks_is_written_down_and_told_without_details(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable(path: object) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("shutil.disk_usage", unreadable)
    answer = client.get("/health")
    assert answer.json()["checks"]["disk"]["status"] == "degraded"
    assert "Input/output" not in answer.text
    assert str(ROOT) not in answer.text
    assert "health check failed" in caplog.text

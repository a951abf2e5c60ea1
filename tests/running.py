"""A whole portal as processes – web, worker, relay, mail server – on services of its own, for journeys and faults."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from deploy.local.child import Child
from deploy.local.services import SmtpCatcher, TestServices, free_port
from portal import cli
from portal.kit.settings import ROOT, Settings


class RunningPortal:
    """Every part is a `Child`, so a test may `kill()` (kill -9) and `start()` it as it likes."""

    def __init__(self, services: TestServices, folder: Path, extra: Mapping[str, str] | None = None) -> None:
        self.services = services
        self.folder = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.mail = SmtpCatcher(folder / "mail")
        self._extra = dict(extra or {})

    @property
    def environment(self) -> dict[str, str]:
        """What each part is started with: as in production, none of them knows the owner of the tables."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")},
            "PYTHONPATH": str(ROOT),
            "PORTAL_ENV": "development",
            "PORTAL_DATABASE_URL": self.services.postgres.serving_url,
            "PORTAL_REDIS_URL": self.services.redis.url,
            "PORTAL_BASE_URL": self.address,
            "PORTAL_EMAIL_PROVIDER": "smtp",
            "PORTAL_SMTP_URL": self.mail.url,
            "PORTAL_MAIL_DIR": str(self.folder / "mail"),
            "PORTAL_RATE_LIMIT_ENABLED": "false",
            "PORTAL_DEMO": "true",
            **self._extra,
        }

    def start(self) -> None:
        """Start all parts; returns when the address answers."""
        self.mail.start()
        self.web = self._part("web", "portal.cli", "serve", "--port", str(self.port))
        self.worker = self._part("worker", "tasks", "worker")
        self.relay = self._part("relay", "tasks", "relay")
        for part in (self.web, self.worker, self.relay):
            part.start()
        self.web.wait_ready(lambda: self.answers("/health/live"))

    def stop(self) -> None:
        """Stop all parts, killing what does not go."""
        for part in (self.web, self.relay, self.worker):
            part.kill()
        self.mail.stop()

    def answers(self, path: str) -> bool:
        """True when a GET of `path` comes back with 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _part(self, name: str, module: str, *words: str) -> Child:
        log = self.folder / f"{name}.log"
        return Child(
            name, [sys.executable, "-m", module, *words], log, env=self.environment, cwd=ROOT, patience_seconds=10
        )


def migrated(services: TestServices, **more: Any) -> Settings:
    """Make the tables; return the settings of a portal on these services, which serves by the role that owns none."""
    postgres = services.postgres
    known = {"database_url": postgres.serving_url, "database_owner_url": postgres.url, "redis_url": services.redis.url}
    settings = Settings(**{**known, "rate_limit_enabled": False, **more})
    cli.migrate(settings, None)  # type: ignore[arg-type]  # migrate takes no words
    return settings


def operate(services: TestServices, *commands: list[str], said: str = "") -> None:
    """Give commands as an operator does, who alone knows the owner of the tables; `said` is what each reads."""
    known = {"DATABASE_URL": services.postgres.serving_url, "DATABASE_OWNER_URL": services.postgres.url}
    known["REDIS_URL"] = services.redis.url
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **{f"PORTAL_{name}": url for name, url in known.items()}}
    for words in commands:
        command = [sys.executable, "-m", "portal.cli", *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, input=said)
        assert done.returncode == 0, done.stderr[-2000:]


@contextmanager
def running_portal(
    prepare: Callable[[TestServices], None] | None = None, extra: Mapping[str, str] | None = None
) -> Iterator[RunningPortal]:
    """Yield a portal on fresh services; `prepare(services)` migrates and fills the database before the parts start."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portal-run-")))
        services = stack.enter_context(TestServices())
        if prepare is not None:
            prepare(services)
        portal = RunningPortal(services, folder, extra)
        stack.callback(portal.stop)
        portal.start()
        yield portal

"""A whole portal as processes – web, worker, relay, mail server – on services of its own, for journeys and faults."""

from __future__ import annotations

import http.client
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.local.child import Child
from deploy.local.services import SmtpCatcher, TestServices, free_port
from portal.kit import db, privileges
from portal.kit.settings import ROOT


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
        """What each part is started with."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")},
            "PYTHONPATH": str(ROOT),
            "PORTAL_ENV": "development",
            "PORTAL_DATABASE_URL": self.services.postgres.serving_url,
            "PORTAL_DATABASE_OWNER_URL": self.services.postgres.url,
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


@contextmanager
def running_portal(
    prepare: Callable[[TestServices], None] | None = None, extra: Mapping[str, str] | None = None
) -> Iterator[RunningPortal]:
    """Yield a portal on fresh services; `prepare(services)` fills the database before the parts start."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portal-run-")))
        services = stack.enter_context(TestServices())
        if prepare is not None:
            prepare(services)
            privileges.give(db.url_of(services.postgres.url), db.url_of(services.postgres.serving_url))
        portal = RunningPortal(services, folder, extra)
        stack.callback(portal.stop)
        portal.start()
        yield portal

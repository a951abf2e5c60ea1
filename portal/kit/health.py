"""Health: each part is asked, in short time, and the answer says which one is ill. Redis away is degraded, not down.

A part is asked by one thread at a time, with a connection of its own, and not again within a second: however many
probes come and however long a part hangs, they take nothing from the pools that serve travellers. What everybody may
read says how a part is; figures are for staff and for the machine itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.from_thread
import redis
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portal.kit import cache, clock, db, metrics
from portal.kit.i18n import gettext as _
from portal.kit.openapi import operation
from portal.kit.settings import ROOT, Settings
from portal.kit.validation import Wire
from portal.kit.web import Request, page, render

log = logging.getLogger(__name__)
LONGEST_SECONDS = 2.5
KEPT_SECONDS = 1.0
LATE_JOBS_SECONDS = 120
FREE_BYTES = 200_000_000
Status = Literal["healthy", "degraded", "unhealthy"]
WORST_FIRST = ("unhealthy", "degraded", "healthy")


class CheckOut(Wire):
    """How one part is."""

    status: Status
    latency_ms: float
    detail: str | None = None


class HealthOut(Wire):
    """How the portal is: the worst of its parts, and each of them by name."""

    status: Status
    checks: dict[str, CheckOut]


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is; `why` names the sentence said about it, `facts` are the figures for insiders."""

    status: str = "healthy"
    why: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    took_ms: float = 0.0
    at: float = 0.0

    def wire(self, *, inside: bool) -> dict[str, Any]:
        """Return it for programs; the figures only with `inside`."""
        words = {"detail": sentence(self.why)} if self.why else {}
        return {"status": self.status, "latencyMs": self.took_ms, **words, **(self.facts if inside else {})}


Check = Callable[[Settings], Finding]


def sentence(why: str) -> str:
    """Return what is said about an ailment, in the reader's language; it names no version, path or address."""
    return {
        "late": _("It did not answer in time."),
        "unasked": _("It cannot be asked while the database is away."),
        "broken": _("The check itself failed; our log says why."),
        "database": _("PostgreSQL does not answer."),
        "empty": _("The database has no tables yet."),
        "version": _("The tables are not those that this program expects."),
        "redis": _("Redis does not answer; jobs wait, bookings go on."),
        "waiting": _("Jobs have waited for more than two minutes."),
        "quiet": _("No job was done for more than two minutes: is a worker running?"),
        "disk": _("Little room is left on the disk."),
        "memory": _("Little memory is left."),
    }[why]


def is_outage(raised: Exception) -> bool:
    """True for an error that says the database is away, not that we asked it wrongly."""
    lost = isinstance(raised, DBAPIError) and raised.connection_invalidated
    return isinstance(raised, OperationalError | PoolTimeout) or lost


def _database(settings: Settings) -> Finding:
    try:
        with Session(_engine(settings.database_url)) as session:
            session.execute(text("select 1"))
    except SQLAlchemyError:
        return Finding("unhealthy", "database")
    return Finding()


def _migrations(settings: Settings) -> Finding:
    try:
        with Session(_engine(settings.database_url)) as session:
            found = session.scalars(text("select version_num from alembic_version")).all()
    except SQLAlchemyError as wrong:
        return Finding("degraded", "unasked") if is_outage(wrong) else Finding("unhealthy", "empty")
    facts = {"revision": ", ".join(found), "expected": _head()}
    return Finding(facts=facts) if found == [_head()] else Finding("degraded", "version", facts)


def _jobs(settings: Settings) -> Finding:
    try:
        with Session(_engine(settings.database_url)) as session:
            seen = metrics.pulse(session)
    except SQLAlchemyError:
        return Finding("degraded", "unasked")
    facts = {"overdueSeconds": seen.overdue_seconds, "dead": seen.dead, "quietSeconds": seen.quiet_seconds}
    if seen.overdue_seconds > LATE_JOBS_SECONDS:
        return Finding("degraded", "waiting", facts)
    quiet = seen.quiet_seconds is not None and seen.quiet_seconds > LATE_JOBS_SECONDS
    return Finding("degraded", "quiet", facts) if quiet else Finding(facts=facts)


def _redis(settings: Settings) -> Finding:
    try:
        cache.client(settings.redis_url).ping()
    except redis.RedisError:
        return Finding("degraded", "redis")
    return Finding()


def _disk(_: Settings) -> Finding:
    usage = shutil.disk_usage(ROOT)
    facts = {"freeBytes": usage.free, "totalBytes": usage.total}
    return Finding(facts=facts) if usage.free > FREE_BYTES else Finding("degraded", "disk", facts)


def _memory(_: Settings) -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return Finding()
    sizes = {name: int(rest.split()[0]) * 1024 for name, _colon, rest in (line.partition(":") for line in lines)}
    free = sizes.get("MemAvailable", 0)
    facts = {"freeBytes": free, "totalBytes": sizes["MemTotal"], "processBytes": pages * os.sysconf("SC_PAGE_SIZE")}
    return Finding(facts=facts) if free > FREE_BYTES else Finding("degraded", "memory", facts)


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    options = "-c statement_timeout=2s -c default_transaction_read_only=on"
    words = {"connect_timeout": 2, "application_name": "portal health", "options": options}
    return create_engine(db.url_of(url), poolclass=NullPool, connect_args=words, isolation_level="AUTOCOMMIT")


@lru_cache(maxsize=1)
def _head() -> str | None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return ScriptDirectory.from_config(config).get_current_head()


CHECKS: Mapping[str, Check] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "jobs": _jobs,
    "disk": _disk,
    "memory": _memory,
}
FROM_DATABASE = ("migrations", "jobs")


class Asking:
    """The questions of one process: each part's last answer, or the question that is under way."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked: dict[str, asyncio.Task[Finding]] = {}
        self._threads = {name: anyio.CapacityLimiter(2) for name in CHECKS}

    async def about(self, names: tuple[str, ...]) -> dict[str, Finding]:
        """Return how these parts are, all asked at once; takes no longer than LONGEST_SECONDS."""
        answers = await asyncio.gather(*(asyncio.shield(self._question(name)) for name in names))
        found = dict(zip(names, answers, strict=True))
        if "database" in found and found["database"].status != "healthy":
            # Each answer ages by itself: what was read a moment before the database went is not believed any more.
            return found | {name: _unasked(one) for name, one in found.items() if name in FROM_DATABASE}
        return found

    def _question(self, name: str) -> asyncio.Task[Finding]:
        asked = self._asked.get(name)
        if asked is None or (asked.done() and asked.result().at + KEPT_SECONDS < time.monotonic()):
            asked = self._asked[name] = asyncio.create_task(self._ask(name))
        return asked

    async def _ask(self, name: str) -> Finding:
        began, found = time.monotonic(), Finding("unhealthy" if name == "database" else "degraded", "late")
        with anyio.move_on_after(LONGEST_SECONDS):
            found = await anyio.to_thread.run_sync(
                _careful, name, self._settings, abandon_on_cancel=True, limiter=self._threads[name]
            )
        now = time.monotonic()
        return Finding(found.status, found.why, found.facts, round((now - began) * 1000, 1), now)


def _unasked(one: Finding) -> Finding:
    return one if one.status != "healthy" else replace(one, status="degraded", why="unasked", facts={})


def _careful(name: str, settings: Settings) -> Finding:
    try:
        return CHECKS[name](settings)
    except Exception:
        log.exception("health check failed", extra={"check": name})
        return Finding("degraded", "broken")


async def examine(app: Starlette, *names: str) -> dict[str, Finding]:
    """Return how these parts are, or all of them without names."""
    if not hasattr(app.state, "health"):
        app.state.health = Asking(app.state.settings)
    asking: Asking = app.state.health
    return await asking.about(names or tuple(CHECKS))


def overall(found: Mapping[str, Finding]) -> str:
    """Return the worst status of all parts."""
    states = {one.status for one in found.values()}
    return next((state for state in WORST_FIRST if state in states), "healthy")


def _answer(found: Mapping[str, Finding], *, inside: bool = False, **more: Any) -> Response:
    checks = {name: one.wire(inside=inside) for name, one in found.items()}
    body = {"status": overall(found), "checks": checks, **more}
    return JSONResponse(body, _code(found), headers={"Cache-Control": "no-store"})


def _code(found: Mapping[str, Finding]) -> int:
    return 503 if overall(found) == "unhealthy" else 200


def _probe(*names: str, summary: str = "How the portal is") -> Callable[[StarletteRequest], Awaitable[Response]]:
    """Return a door that asks nobody who they are, so that it answers while the database is away."""

    async def door(plain: StarletteRequest) -> Response:
        """Answer how the parts are; asks nobody who they are. 503 with the same body when one of them is unhealthy."""
        return _answer(await examine(plain.app, *names))

    return operation(summary, answer=HealthOut, also={503: HealthOut}, tag="health")(door)


async def live(_: StarletteRequest) -> Response:
    """Answer 200 while the process runs."""
    return JSONResponse({"status": "healthy", "checks": {}}, headers={"Cache-Control": "no-store"})


async def for_people(plain: StarletteRequest) -> Response:
    """Say the same as /health in words, with the same status."""
    found = await examine(plain.app)
    return await run_in_threadpool(_page, Request(plain.scope, plain.receive), found)


def _page(request: Request, found: Mapping[str, Finding]) -> Response:
    if found["database"].status == "healthy":
        request.state.viewer = request.app.state.viewer_from_session(request)
    shown = [
        {"name": name, "status": one.status, "latency_ms": one.took_ms, "words": one.why and sentence(one.why)}
        for name, one in ((_part(name), one) for name, one in found.items())
    ]
    health = {"status": overall(found), "checked_at": clock.now(), "checks": shown}
    return render(request, "kit/health.html", status=_code(found), health=health)


def _part(name: str) -> str:
    return {
        "database": _("Database"),
        "migrations": _("Tables"),
        "redis": _("Redis"),
        "jobs": _("Jobs"),
        "disk": _("Disk"),
        "memory": _("Memory"),
    }[name]


def detailed(request: Request) -> Response:
    """Answer with every figure, to staff and to this machine."""
    require_insider(request)
    found = anyio.from_thread.run(examine, request.app)
    return _answer(found, inside=True, process=os.getpid(), checkedAt=clock.now().isoformat())


def require_insider(request: Request) -> None:
    """Let signed-in staff pass, and programs of this machine that ask it directly; raises NotSignedIn or Forbidden."""
    if request.viewer is not None or not _is_local(request):
        request.require("staff", "admin")


def _is_local(request: Request) -> bool:
    """True for a caller on this machine that no proxy and no stranger's web page stands behind."""
    forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))
    asked_for = re.sub(r":\d+$", "", request.headers.get("host", "")).strip("[]")
    return not forwarded and _is_loopback(request.client.host if request.client else "") and _is_loopback(asked_for)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


routes = [
    Route("/health", _probe(), name="health"),
    Route("/health/live", live, name="health.live"),
    Route("/health/ready", _probe("database", "migrations"), name="health.ready"),
    Route("/health-ui", for_people, name="health.people"),
    page("/health/detailed", detailed),
    Route("/api/health", _probe(), name="api.health"),
    Route("/api/health/database", _probe("database", summary="How the database is"), name="api.health.database"),
    Route("/api/health/redis", _probe("redis", summary="How Redis is"), name="api.health.redis"),
]

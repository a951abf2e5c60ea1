"""Health: each part is asked, in short time, and the answer says which one is ill. Redis away is degraded, not down."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import JSONResponse, Response

from portal.kit import cache, db
from portal.kit.settings import ROOT
from portal.kit.web import Request, endpoint, page

Check = Callable[[Request], dict[str, Any]]


def is_outage(raised: Exception) -> bool:
    """True for an error that says the database is away, not that we asked it wrongly."""
    lost = isinstance(raised, DBAPIError) and raised.connection_invalidated
    return isinstance(raised, OperationalError | PoolTimeout) or lost


def _timed(check: Check, request: Request) -> dict[str, Any]:
    began = time.perf_counter()
    answer = check(request)
    return {**answer, "latencyMs": round((time.perf_counter() - began) * 1000, 1)}


def _database(_: Request) -> dict[str, Any]:
    try:
        with db.reading() as session:
            session.execute(text("select 1"))
    except (OperationalError, PoolTimeout, DBAPIError):
        return {"status": "unhealthy", "detail": "PostgreSQL does not answer."}
    return {"status": "healthy"}


def _redis(request: Request) -> dict[str, Any]:
    try:
        cache.client(request.settings.redis_url).ping()
    except redis.RedisError:
        return {"status": "degraded", "detail": "Redis does not answer; jobs wait, bookings go on."}
    return {"status": "healthy"}


def _disk(_: Request) -> dict[str, Any]:
    free = shutil.disk_usage(ROOT).free
    return {"status": "healthy" if free > 200_000_000 else "degraded", "freeBytes": free}


CHECKS: dict[str, Check] = {"database": _database, "redis": _redis, "disk": _disk}


def _report(request: Request, names: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    checks = {name: _timed(CHECKS[name], request) for name in names}
    states = {check["status"] for check in checks.values()}
    return next(state for state in ("unhealthy", "degraded", "healthy") if state in states), checks


def _answer(request: Request, *names: str) -> Response:
    status, checks = _report(request, names or tuple(CHECKS))
    return JSONResponse({"status": status, "checks": checks}, 503 if status == "unhealthy" else 200)


def health(request: Request) -> Response:
    """Answer 200 while the portal can sell (healthy or degraded), 503 when it cannot."""
    return _answer(request)


def database(request: Request) -> Response:
    """Answer for PostgreSQL alone."""
    return _answer(request, "database")


def redis_alone(request: Request) -> Response:
    """Answer for Redis alone."""
    return _answer(request, "redis")


def live(_: Request) -> Response:
    """Answer 200 while the process runs."""
    return JSONResponse({"status": "healthy", "checks": {}})


routes = [
    page("/health", health),
    page("/health/live", live),
    page("/health/ready", database),
    endpoint("/api/health", health),
    endpoint("/api/health/database", database),
    endpoint("/api/health/redis", redis_alone),
]

"""create_app(settings): all routes in one column, middleware, error handlers, lifespan."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio.to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route

import portal.access
import portal.accounts.api
import portal.accounts.entrance
import portal.accounts.pages
import portal.accounts.proofs
import portal.accounts.provider
import portal.accounts.security
import portal.analytics.api
import portal.analytics.pages
import portal.booking.api
import portal.booking.pages
import portal.booking.paying
import portal.checkin.api
import portal.checkin.pages
import portal.disruptions.api
import portal.disruptions.pages
import portal.disruptions.queries
import portal.disruptions.ruling
import portal.factors.pages
import portal.flights.api
import portal.kit.docs
import portal.kit.health
import portal.payments.pages
import portal.places.api
import portal.places.pages
import portal.privacy.pages
import portal.search.api
import portal.search.pages
import portal.seats.api
import portal.seats.pages
import portal.staff.api
import portal.staff.pages
import portal.tariffs.api
import portal.tariffs.pages
import portal.tickets.api
import portal.tickets.pages
import portal.tokens.api
import portal.tokens.pages
import portal.trail.api
import portal.trail.pages
import portal.trips.api
import portal.trips.changing
import portal.trips.pages
import portal.watches.api
import portal.watches.pages
from portal.kit import db, errors, logs
from portal.kit.assets import Assets
from portal.kit.directory import Directory
from portal.kit.middleware import (
    AcrossOrigins,
    Allowances,
    Bounds,
    Language,
    RequestLog,
    SameSite,
    SecureOnly,
    SecurityHeaders,
    security_headers,
    told_path,
)
from portal.kit.settings import Settings, read
from portal.kit.web import Request, problem

log = logging.getLogger(__name__)
EXPOSED = ["Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"]
BY_STATUS = {
    400: errors.BadRequest,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
}

ROUTES: list[BaseRoute] = [
    *portal.search.pages.routes,
    *portal.booking.pages.routes,
    *portal.booking.paying.routes,
    *portal.trips.pages.routes,
    *portal.trips.changing.routes,
    *portal.tickets.pages.routes,
    *portal.payments.pages.routes,
    *portal.accounts.entrance.routes,
    *portal.accounts.proofs.routes,
    *portal.accounts.provider.routes,
    *portal.factors.pages.routes,
    *portal.accounts.pages.routes,
    *portal.accounts.security.routes,
    *portal.privacy.pages.routes,
    *portal.tokens.pages.routes,
    *portal.places.pages.routes,
    *portal.analytics.pages.routes,
    *portal.staff.pages.routes,
    *portal.tariffs.pages.routes,
    *portal.trail.pages.routes,
    *portal.watches.pages.routes,
    *portal.disruptions.pages.routes,
    *portal.disruptions.ruling.routes,
    *portal.checkin.pages.routes,
    *portal.seats.pages.routes,
    *portal.places.api.routes,
    *portal.search.api.routes,  # /api/flights/search stands before /api/flights/{id}
    *portal.flights.api.routes,
    *portal.booking.api.routes,
    *portal.trips.api.routes,
    *portal.tickets.api.routes,
    *portal.accounts.api.routes,
    *portal.tokens.api.routes,
    *portal.analytics.api.routes,
    *portal.staff.api.routes,
    *portal.tariffs.api.routes,
    *portal.trail.api.routes,
    *portal.watches.api.routes,
    *portal.disruptions.api.routes,
    *portal.checkin.api.routes,
    *portal.seats.api.routes,
    *portal.kit.health.routes,
    *portal.kit.docs.routes,
    Mount("/static", Assets(), name="static"),
]


def create_app(settings: Settings) -> Starlette:
    """Return the portal as an ASGI application; connects lazily, so it starts even while PostgreSQL is away."""
    app = Starlette(
        middleware=_middleware(settings),
        exception_handlers=cast(Any, {HTTPException: _refused, errors.PortalError: _refused, Exception: _crashed}),
    )
    app.router = Directory(ROUTES, _lifespan)
    app.state.settings = settings
    app.state.admit, app.state.admission = portal.access.admit, portal.access.admission
    app.state.viewer_from_session = portal.accounts.entrance.viewer_from_session
    app.state.note_proof = portal.accounts.entrance.note_proof
    app.state.viewer_from_token = portal.accounts.api.viewer_from_token
    app.state.changed_by_airline = portal.disruptions.queries.open_changes
    app.state.carrier_fault = portal.disruptions.queries.fault_of
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    return [
        Middleware(RequestLog),
        Middleware(SecurityHeaders, settings=settings),
        Middleware(SecureOnly, settings=settings),
        Middleware(TrustedHostMiddleware, allowed_hosts=list(settings.allowed_hosts)),
        Middleware(Language),
        Middleware(Allowances, settings=settings),
        Middleware(Bounds, settings=settings),
        *_across_origins(settings),
        Middleware(SameSite, settings=settings),
        Middleware(GZipMiddleware, minimum_size=1000, compresslevel=4),
    ]


def _across_origins(settings: Settings) -> list[Middleware]:
    if not settings.allowed_origins:
        return []
    return [
        Middleware(
            AcrossOrigins,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"],
            expose_headers=EXPOSED,
        )
    ]


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    db.connect(settings)
    anyio.to_thread.current_default_thread_limiter().total_tokens = settings.threads
    yield
    db.disconnect()


async def _refused(plain: StarletteRequest, raised: Exception) -> Response:
    no = raised if isinstance(raised, errors.PortalError) else _of_status(cast(HTTPException, raised))
    response = await run_in_threadpool(problem, _request(plain), no)
    if no.status == 405:
        response.headers["Allow"] = ", ".join(_methods(plain))
    return response


def _methods(plain: StarletteRequest) -> list[str]:
    """Return what the address takes; its methods may be told in several routes."""
    here = (route for route in ROUTES if isinstance(route, Route) and route.matches(plain.scope)[0] is not Match.NONE)
    return sorted({method for route in here for method in route.methods or ()})


def _of_status(raised: HTTPException) -> errors.PortalError:
    return BY_STATUS.get(raised.status_code, errors.BadRequest)()


async def _crashed(plain: StarletteRequest, raised: Exception) -> Response:
    log.error("unexpected error", exc_info=raised, extra={"path": told_path(plain.url.path)})
    answer = await run_in_threadpool(problem, _request(plain), _name(raised))
    # Starlette answers a crash outside of all middleware, so what they would have added is added here.
    answer.headers.update({**security_headers(plain.app.state.settings), "X-Request-Id": logs.request_id.get() or ""})
    return answer


def _name(raised: Exception) -> errors.PortalError:
    if portal.kit.health.is_outage(raised):
        return errors.Unavailable("Our database does not answer. Nothing was lost; please try again.", retry_after=5)
    return errors.PortalError("We have written it down with the number below. Nothing was charged twice.")


def _request(plain: StarletteRequest) -> Request:
    request = Request(plain.scope, plain.receive)
    request.state.viewer = getattr(plain.state, "viewer", None)
    return request


def serve() -> Starlette:
    """Return the application of this process's environment, for uvicorn's factory."""
    settings = read()
    logs.configure(settings)
    return create_app(settings)

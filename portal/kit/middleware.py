"""What every request passes, outermost first: request id and log line, host, security headers, cross-site check."""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.kit import i18n, ids, logs
from portal.kit.errors import Forbidden
from portal.kit.settings import Settings
from portal.kit.web import is_api, problem_json

log = logging.getLogger("portal.request")
SAFE = {"GET", "HEAD", "OPTIONS"}
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class RequestLog:
    """Gives each request an id (the caller's, if it is a plain word) that its logs, errors and jobs carry."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request inside its id and write one line about it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if re.fullmatch(r"[\w.-]{8,64}", given) else ids.secret(12)
        token, began, status = logs.request_id.set(name), time.perf_counter(), [0]
        i18n.locale.set("en")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = name
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            _log(scope, status[0], began)
            logs.request_id.reset(token)


def _log(scope: Scope, status: int, began: float) -> None:
    if scope["path"].startswith(("/static/", "/health/live")):
        return
    took = round((time.perf_counter() - began) * 1000, 1)
    log.info("request", extra={"method": scope["method"], "path": scope["path"], "status": status, "ms": took})


class SecurityHeaders:
    """Sets the security headers on every answer, and HSTS where it is enabled."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.headers = dict(HEADERS)
        if settings.enable_hsts:
            self.headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, adding what the answer does not set itself."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, answer if scope["type"] == "http" else send)


class SameSite:
    """Refuses unsafe requests that another site's page sent (Fetch Metadata, else Origin).

    Programs without cookies are not concerned: what carries a bearer token or no cookie cannot be ridden.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.own = {urlsplit(settings.base_url).netloc, *(urlsplit(o).netloc for o in settings.allowed_origins)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what our own pages sent."""
        if scope["type"] != "http" or scope["method"] in SAFE or self._ours(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        request: Any = StarletteRequest(scope)
        refusal = Forbidden("This form was sent from another site. Open our page and try again.")
        answer: Any = problem_json(request, refusal) if is_api(request) else PlainTextResponse(refusal.detail, 403)
        await answer(scope, receive, send)

    def _ours(self, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc in (self.own | {headers.get("host", "")})

"""What every request passes, outermost first.

Request id and log line, security headers, https, host, bounds, the limit per caller, the reader's language, cross-site
check.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL, Headers, MutableHeaders
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.kit import i18n, ids, limits, logs
from portal.kit.errors import BadRequest, Forbidden, PortalError, TooLarge, TooMany
from portal.kit.settings import Settings
from portal.kit.web import is_api, problem_json

log = logging.getLogger("portal.request")
SAFE = {"GET", "HEAD", "OPTIONS"}
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
CHECKOUT = "https://checkout.stripe.com"
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
        logs.caller.set((scope.get("client") or (None,))[0])

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = name
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            _log(scope, status[0], began)
        # Not after an exception: the crash handler stands outside and still has to say the id.
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
        self.headers = {**HEADERS, "Content-Security-Policy": policy(settings)}
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


def policy(settings: Settings) -> str:
    """Return the content policy: forms lead to ourselves and, where it takes the money, on to Stripe's own page."""
    if not settings.stripe_secret_key:
        return POLICY
    pages = " ".join(filter(None, (CHECKOUT, settings.stripe_api_base)))
    return POLICY.replace("form-action 'self'", f"form-action 'self' {pages}")


class SecureOnly:
    """Where REQUIRE_HTTPS is set: sends readers who came by http to https, and refuses what http must not carry.

    Health checks stay open to the machine's own probes.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.required = app, settings.require_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what came by https."""
        if not self.required or scope["type"] != "http" or scope["scheme"] == "https" or _is_probe(scope["path"]):
            await self.app(scope, receive, send)
        elif scope["method"] in SAFE and not scope["path"].startswith("/api/"):
            await RedirectResponse(URL(scope=scope).replace(scheme="https"), 308)(scope, receive, send)
        else:
            await _refuse(scope, receive, send, Forbidden("Send this by https: by http it could be read on its way."))


class Bounds:
    """Refuses what no door can read: bodies over MAX_BODY_BYTES, whether announced or not, and addresses with a NUL."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.most = app, settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within bounds, counting the body as it comes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await _refuse(scope, receive, send, BadRequest("An address holds no null character."))
        elif self._announced(scope) > self.most:
            await _refuse(scope, receive, send, self._too_large())
        else:
            await self.app(scope, self._counting(receive), send)

    def _announced(self, scope: Scope) -> int:
        length = Headers(scope=scope).get("content-length", "0")
        return int(length) if length.isdecimal() and len(length) < 20 else self.most + 1

    def _counting(self, receive: Receive) -> Receive:
        come = 0

        async def counted() -> Message:
            nonlocal come
            message = await receive()
            come += len(message.get("body", b""))
            if come > self.most:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A body has at most {self.most:,} bytes.")


class Allowances:
    """At most RATE_LIMIT_PER_MINUTE requests of one caller, whatever the address or its spelling; says so under /api/.

    Static files and health checks are not counted. Without Redis everything passes.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.enabled = app, settings.rate_limit_enabled
        self.rule = limits.Policy(max(1, settings.rate_limit_per_minute), 60)
        self.allowance = limits.Allowance(settings.redis_url, self.rule)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within the limit."""
        if not self.enabled or scope["type"] != "http" or _is_free(scope["path"]):
            await self.app(scope, receive, send)
            return
        key = limits.caller(scope)
        standing = self.allowance.spend(key) or await run_in_threadpool(self.allowance.renew, key)
        answer = self._saying(standing, send) if standing and scope["path"].startswith("/api/") else send
        if standing is None or standing.granted:
            await self.app(scope, receive, answer)
        else:
            await _refuse(scope, receive, answer, TooMany(retry_after=standing.retry_after))

    def _saying(self, standing: limits.Standing, send: Send) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = f'"default";q={self.rule.limit};w={self.rule.seconds}'
                headers["RateLimit"] = f'"default";r={standing.remains};t={standing.reset}'
            await send(message)

        return answer


class Language:
    """Chooses the reader's language: the cookie `locale`, else Accept-Language, among those that are offered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with the language set."""
        if scope["type"] == "http":
            request = StarletteRequest(scope)
            wished = (request.cookies.get("locale", ""), request.headers.get("accept-language", ""))
            i18n.locale.set(i18n.choose(*wished))
        await self.app(scope, receive, send)


class SameSite:
    """Refuses unsafe requests that another site's page sent (Fetch Metadata, else Origin).

    Programs are not concerned: a bearer token does not travel by itself, so what carries one cannot be ridden. Origins
    in ALLOWED_ORIGINS are our own.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.own = {_origin(settings.base_url), *map(_origin, settings.allowed_origins)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what our own pages sent."""
        if scope["type"] != "http" or scope["method"] in SAFE or self._ours(scope, Headers(scope=scope)):
            await self.app(scope, receive, send)
        else:
            no = Forbidden("This form was sent from another site. Open our page and try again.")
            await _refuse(scope, receive, send, no)

    def _ours(self, scope: Scope, headers: Headers) -> bool:
        if scope["path"].startswith("/webhooks/"):
            return True  # Its signature says who sent it, and no browser's cookie counts there.
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site in ("same-origin", "none") or (origin is not None and _origin(origin) in self.own):
            return True
        if scope["path"].startswith("/api/") and headers.get("authorization", "").lower().startswith("bearer "):
            return True
        return site is None and (origin is None or urlsplit(origin).netloc == headers.get("host", ""))


def _origin(text: str) -> str:
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_probe(path: str) -> bool:
    return path == "/metrics" or path.startswith(("/health", "/api/health"))


def _is_free(path: str) -> bool:
    return path.startswith("/static/") or _is_probe(path)


async def _refuse(scope: Scope, receive: Receive, send: Send, no: PortalError) -> None:
    request: Any = StarletteRequest(scope)
    plain = PlainTextResponse(no.detail or no.title, no.status)
    if no.retry_after is not None:
        plain.headers["Retry-After"] = str(no.retry_after)
    await (problem_json(request, no) if is_api(request) else plain)(scope, receive, send)

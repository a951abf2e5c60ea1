"""What every request passes, outermost first.

Request id and log line, security headers, https, host, the reader's language, the limits per caller, bounds and
deadline of the body, origins that may read, cross-site check.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL, Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.kit import i18n, ids, limits, logs
from portal.kit.errors import BadRequest, Forbidden, Late, PortalError, TooLarge, TooLong, TooMany
from portal.kit.settings import Settings
from portal.kit.web import Request, is_api, problem, problem_json

log = logging.getLogger("portal.request")
SAFE = {"GET", "HEAD", "OPTIONS"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
CHECKOUT = "https://checkout.stripe.com"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",  # only browsers that are long gone read it; scanners still ask for it
    "X-Permitted-Cross-Domain-Policies": "none",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), serial=(), bluetooth=()",
}
# The doors whose address is the key: what comes next in the path opens them. tests/access/test_words_unlogged.py walks
# the table of doors for a forgotten one; deploy/nginx.conf keeps the same list for its own log.
SECRET = re.compile(r"(?is)^/*(links|paid|waiting-list|fare-alerts|sandbox-pay)/+[^/]+")
LONGEST_ADDRESS = 16_384
WORDS, LONGEST_WORD = "/webhooks/", 256 * 1024
BODY_SECONDS = 30.0


def told_path(path: str) -> str:
    """Return a path as it may be written down: the word that opens a door stands as `…`, the rest as it is."""
    return SECRET.sub(r"/\1/…", path)


def opens_a_door(scope: Scope) -> bool:
    """True where the address itself is the key, by a word in its path or in its query."""
    query: bytes = scope["query_string"]
    return SECRET.match(scope["path"]) is not None or b"token=" in query or b"key=" in query


def security_headers(settings: Settings) -> dict[str, str]:
    """Return the headers of every answer, HSTS among them where it is enabled."""
    headers = {**HEADERS, "Content-Security-Policy": policy(settings)}
    if settings.enable_hsts:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return headers


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
    path = told_path(scope["path"])
    log.info("request", extra={"method": scope["method"], "path": path, "status": status, "ms": took})


class SecurityHeaders:
    """Sets the security headers on every answer, and HSTS where it is enabled.

    An address that opens a door is named to no other page, ours included: a Referer ends in others' logs.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.headers = app, security_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, adding what the answer does not set itself."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if opens_a_door(scope):
                    headers.setdefault("Referrer-Policy", "strict-origin")
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
    """Refuses what no door can read: addresses too long or with a NUL, bodies too large or too slow to come.

    A body may have MAX_BODY_BYTES, whether it is announced or not, and BODY_SECONDS to come.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.most = app, settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within bounds, counting the body as it comes."""
        no = self._refusal(scope) if scope["type"] == "http" else None
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif no is not None:
            await _refuse(scope, receive, _closing(send), no)
        else:
            body = _Body(receive, send, self._most(scope))
            await self.app(scope, body.receive, body.send)

    def _refusal(self, scope: Scope) -> PortalError | None:
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return BadRequest("An address holds no null character.")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_ADDRESS:
            return TooLong(f"An address has at most {LONGEST_ADDRESS:,} characters.")
        length = Headers(scope=scope).get("content-length", "0")
        most = self._most(scope)
        announced = int(length) if length.isdecimal() and len(length) < 20 else most + 1
        return _too_large(most) if announced > most else None

    def _most(self, scope: Scope) -> int:
        """A gateway's word is short; its door is counted by no allowance, so nothing long is read there."""
        return min(self.most, LONGEST_WORD) if scope["path"].startswith(WORDS) else self.most


class _Body:
    """A body as it comes: counted, and with a deadline. After a refusal the rest of it is not waited for."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self._most = receive, send, most
        self._come, self._whole, self._until, self._broken = 0, False, 0.0, False

    async def receive(self) -> Message:
        """Return the next piece; raises TooLarge or Late."""
        if self._whole:
            return await self._receive()
        message = await self._in_time()
        self._come += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._come > self._most:
            self._broken = True
            raise _too_large(self._most)
        return message

    async def _in_time(self) -> Message:
        self._until = self._until or asyncio.get_running_loop().time() + BODY_SECONDS
        try:
            async with asyncio.timeout_at(self._until):
                return await self._receive()
        except TimeoutError:
            self._broken = True
            raise Late() from None

    async def send(self, message: Message) -> None:
        """Send; what comes after a refusal closes the connection."""
        await (_closing(self._send) if self._broken else self._send)(message)


def _closing(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return answer


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"A body has at most {most:,} bytes.")


class Allowances:
    """At most RATE_LIMIT_PER_MINUTE requests of one caller, and of each lane its share, however an address is spelled.

    Static files and health checks are not counted. Answers under /api/ say where the caller stands (`RateLimit`).
    Without Redis everything passes.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.enabled = app, settings.rate_limit_enabled
        whole = max(1, settings.rate_limit_per_minute)
        rules = {"default": limits.Policy(whole, 60)}
        rules |= {lane.name: limits.Policy(max(1, whole * lane.percent // 100), 60) for lane in limits.LANES}
        self.allowances = {name: limits.Allowance(settings.redis_url, rule, name) for name, rule in rules.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within the limits."""
        if not self.enabled or scope["type"] != "http" or _is_free(scope["path"]):
            await self.app(scope, receive, send)
            return
        key, lane = limits.caller(scope), limits.lane_of(scope["path"])
        stands = {name: await self._count(name, key) for name in ("default", lane) if name}
        answer = self._saying(stands, send) if scope["path"].startswith("/api/") else send
        over = [one.retry_after for one in stands.values() if one is not None and not one.granted]
        if over:
            await _refuse(scope, receive, answer, TooMany(limits.sentence(max(over)), retry_after=max(over)))
        else:
            await self.app(scope, receive, answer)

    async def _count(self, name: str, key: str) -> limits.Standing | None:
        allowance = self.allowances[name]
        return allowance.spend(key) or await run_in_threadpool(allowance.renew, key)

    def _saying(self, stands: dict[str, limits.Standing | None], send: Send) -> Send:
        counted = {name: one for name, one in stands.items() if one is not None}
        rules = {name: self.allowances[name].rule for name in counted}

        async def answer(message: Message) -> None:
            if counted and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = ", ".join(f'"{n}";q={r.limit};w={r.seconds}' for n, r in rules.items())
                headers["RateLimit"] = ", ".join(f'"{n}";r={s.remains};t={s.reset}' for n, s in counted.items())
            await send(message)

        return answer


class Language:
    """Chooses the reader's language: the cookie `locale`, else Accept-Language, among those that are offered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with the language set."""
        if scope["type"] == "http":
            request = Request(scope)
            wished = (request.cookies.get("locale", ""), request.headers.get("accept-language", ""))
            i18n.locale.set(i18n.choose(*wished))
        await self.app(scope, receive, send)


class AcrossOrigins(CORSMiddleware):
    """Lets pages of ALLOWED_ORIGINS read answers under /api/, and nothing else; no cookie counts there."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the CORS headers where they belong."""
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class SameSite:
    """Refuses unsafe requests that another site's page sent (Fetch Metadata, else Origin, else Referer).

    Programs are not concerned: a bearer token does not travel by itself, so what carries one cannot be ridden. Origins
    in ALLOWED_ORIGINS are our own under /api/. Browsers so old that they say nothing are kept by SameSite cookies.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.own = {_origin(settings.base_url)}
        self.allowed = {*self.own, *map(_origin, settings.allowed_origins)}

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
        api, site, origin = scope["path"].startswith("/api/"), headers.get("sec-fetch-site"), headers.get("origin")
        if site in ("same-origin", "none") or (origin and _origin(origin) in (self.allowed if api else self.own)):
            return True
        if api and headers.get("authorization", "").lower().startswith("bearer "):
            return True
        sender = origin if origin is not None else headers.get("referer")
        return site is None and (sender is None or urlsplit(sender).netloc == headers.get("host", ""))


def _origin(text: str) -> str:
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_probe(path: str) -> bool:
    return path == "/metrics" or path.startswith(("/health", "/api/health"))


def _is_free(path: str) -> bool:
    """True for what no allowance counts: a gateway's words all come from its own few addresses, and are signed."""
    return path.startswith(("/static/", WORDS)) or _is_probe(path)


async def _refuse(scope: Scope, receive: Receive, send: Send, no: PortalError) -> None:
    request = Request(scope)
    answer = problem_json(request, no) if is_api(request) else await run_in_threadpool(problem, request, no)
    await answer(scope, receive, send)

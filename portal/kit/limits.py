"""Rate limits: how often one caller may do one thing, counted in Redis over a sliding window.

A window is two neighbouring buckets, the older one counting in proportion to what of it is still inside. Without Redis
a limit is open – the portal goes on selling – except the policies marked `closed`, which guard passwords.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import redis
from redis.commands.core import Script

from portal.kit import cache, ids
from portal.kit.errors import TooMany, Unavailable
from portal.kit.settings import Settings

log = logging.getLogger(__name__)
AWAY_SECONDS = 5.0
MAX_KEPT_LEASES = 10_000


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `limit` in any `seconds`; `closed` refuses everybody while it cannot be counted."""

    limit: int
    seconds: int
    closed: bool = False


POLICIES: Mapping[str, Policy] = {
    "booking": Policy(20, 1800),
    "credit": Policy(20, 900),
    "sign-in": Policy(10, 900, closed=True),
    "sign-in-account": Policy(50, 900, closed=True),
    "sign-in-address": Policy(100, 900, closed=True),
    "second-step": Policy(10, 900, closed=True),
    "second-step-day": Policy(50, 86_400, closed=True),
    "passkey": Policy(60, 900, closed=True),
    "provider": Policy(60, 900, closed=True),
    "register": Policy(20, 3600),
    "letter": Policy(6, 3600),
    "manage-address": Policy(30, 900),
    "manage-reference": Policy(10, 900),
    "watch-address": Policy(20, 3600),
    "watch-caller": Policy(60, 3600),
}


@dataclass(frozen=True, slots=True)
class Lane:
    """A part of the portal that may take only so many per cent of what a caller may send in all."""

    name: str
    percent: int
    starts: tuple[str, ...]


# The first that fits counts. Signing in is guessed at, searching is dear; the rest of the API is for programs.
LANES = (
    Lane("auth", 6, ("/api/auth/", "/account/", "/manage", "/links/")),
    Lane("search", 30, ("/flights", "/places", "/api/flights", "/api/airports", "/api/pricing")),
    Lane("booking", 30, ("/book", "/api/bookings", "/waiting-list", "/fare-alerts")),
    Lane("api", 60, ("/api/",)),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands after asking: `granted` of what was asked for, what `remains`, seconds to `reset`."""

    granted: int
    remains: int
    reset: int
    retry_after: int


# One round trip and one small hash per caller. A refused call is not counted, so that hammering prolongs nothing.
SCRIPT = """
local window, limit, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local turns = (tonumber(time[1]) + tonumber(time[2]) / 1000000) / window
local bucket, count, before = math.floor(turns), 0, 0
local kept = redis.call('HMGET', KEYS[1], 'bucket', 'count', 'before')
if kept[1] then
  local age = bucket - tonumber(kept[1])
  if age == 0 then count, before = tonumber(kept[2]), tonumber(kept[3])
  elseif age == 1 then before = tonumber(kept[2]) end
end
local inside = 1 - (turns - bucket)
local free = math.floor(limit - count - before * inside)
local granted = math.max(0, math.min(wanted, free))
if granted > 0 then
  count = count + granted
  redis.call('HSET', KEYS[1], 'bucket', bucket, 'count', count, 'before', before)
  redis.call('EXPIRE', KEYS[1], window * 2)
end
local wait = 0
if granted == 0 then
  if count + 1 <= limit then wait = (inside - (limit - 1 - count) / before) * window
  else wait = inside * window + math.max(0, 1 - (limit - 1) / count) * window end
end
return {granted, math.max(0, free - granted), math.ceil(inside * window), math.ceil(wait)}
"""


def check(settings: Settings, policy: str, key: str) -> None:
    """Count one `policy` call of `key`; raises TooMany over the limit, Unavailable if a closed policy cannot count."""
    if not settings.rate_limit_enabled:
        return
    rule = POLICIES[policy]
    standing = take(settings.redis_url, f"{policy}:{ids.fingerprint(key)}", rule)
    if standing is None and rule.closed:
        raise Unavailable(
            "We cannot check sign-ins at this moment. Nothing is wrong with yours; please try again soon."
        )
    if standing is not None and not standing.granted:
        raise TooMany(sentence(standing.retry_after), retry_after=standing.retry_after)


def check_holding(settings: Settings, user_id: object, scope: Mapping[str, Any]) -> None:
    """Count one holding, or prolonging, of seats by an account, or by an address for guests; raises TooMany.

    With nine seats a time and a quarter of an hour each, nobody keeps a whole flight from others for long.
    """
    check(settings, "booking", str(user_id or caller(scope)))


def forgive(settings: Settings, policy: str, key: str) -> None:
    """Forget what `key` used up of `policy`: it turned out to be who it said."""
    if settings.rate_limit_enabled:
        cache.forget(settings.redis_url, f"limit:{policy}:{ids.fingerprint(key)}")


def take(url: str, key: str, rule: Policy, wanted: int = 1) -> Standing | None:
    """Take up to `wanted` calls from `key`'s window; None when Redis does not answer."""
    try:
        answer = cast(list[int], _script(url)(keys=[f"limit:{key}"], args=[rule.seconds, rule.limit, wanted]))
    except redis.RedisError as away:
        log.warning("limit not counted", extra={"reason": str(away)})
        return None
    return Standing(*answer)


@lru_cache(maxsize=8)
def _script(url: str) -> Script:
    return cache.client(url).register_script(SCRIPT)


def lane_of(path: str) -> str | None:
    """Return the lane of a decoded path, the same however it is spelled; None where only the whole is counted."""
    plain = re.sub("/+", "/", path).lower()
    return next((lane.name for lane in LANES if plain.startswith(lane.starts)), None)


def sentence(seconds: int) -> str:
    """Return what is said to who was refused for that long."""
    wait = f"{seconds} seconds" if seconds < 90 else f"{-(-seconds // 60)} minutes"
    return f"That was tried too often. Please wait {wait} and try again."


def caller(scope: Mapping[str, Any]) -> str:
    """Return who a request counts for: its IPv4 address, or the /64 network of its IPv6 address."""
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Allowance:
    """The limit on everything one caller sends, cheap enough for every request.

    A process takes a small share of the caller's window from Redis at a time and spends it by itself, so most requests
    cost no round trip; all processes together stay within the limit. While Redis is away nothing is counted, and it is
    asked again only every few seconds.
    """

    def __init__(self, url: str, rule: Policy, name: str = "default") -> None:
        self.url, self.rule, self.name = url, rule, name
        self.share = max(1, min(25, rule.limit // 40))
        self._leases: dict[str, tuple[Standing, int, float]] = {}
        self._away_until = 0.0
        self._renewing = threading.Lock()

    def spend(self, key: str) -> Standing | None:
        """Count one request that needs no round trip; None when Redis must be asked (`renew`)."""
        standing, left, until = self._leases.get(key, (None, 0, 0.0))
        if standing is None or left <= 0 or time.monotonic() >= until:
            return None
        self._leases[key] = (standing, left - 1, until)
        return self._now(standing, left - 1, until)

    def renew(self, key: str) -> Standing | None:
        """Count one request with a fresh share from Redis; None when it is away: let the request pass."""
        with self._renewing:  # Many requests find a share used up at once; one of them fetches the next.
            fetched = self.spend(key)
            if fetched is not None or time.monotonic() < self._away_until:
                return fetched
            standing = take(self.url, f"request:{self.name}:{key}", self.rule, self.share)
            if standing is None:
                self._away_until = time.monotonic() + AWAY_SECONDS
                return None
            return self._keep(key, standing)

    def _keep(self, key: str, standing: Standing) -> Standing:
        if len(self._leases) >= MAX_KEPT_LEASES:
            self._leases.clear()
        until = time.monotonic() + standing.reset
        self._leases[key] = (standing, standing.granted - 1, until)
        return self._now(standing, standing.granted - 1, until)

    def _now(self, standing: Standing, left: int, until: float) -> Standing:
        reset = max(1, round(until - time.monotonic()))
        return Standing(standing.granted, standing.remains + max(0, left), reset, standing.retry_after)

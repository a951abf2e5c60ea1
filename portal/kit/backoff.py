"""Growing waits after repeated failures, kept in Redis: who guesses waits twice as long after each further guess.

A few failures are free. While Redis is away nothing can be counted, and whoever asks is refused: it guards passwords.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import redis
from redis.commands.core import Script

from portal.kit import cache, ids
from portal.kit.errors import TooMany, Unavailable
from portal.kit.i18n import gettext as _
from portal.kit.i18n import ngettext
from portal.kit.settings import Settings


@dataclass(frozen=True, slots=True)
class Patience:
    """After `free` failures a wait of `first` seconds, doubled by each further one up to `most`; then forgotten."""

    free: int
    first: int
    most: int
    memory: int = 86_400


PATIENCE: Mapping[str, Patience] = {
    "account": Patience(10, 60, 3600),
    "caller": Patience(50, 60, 900, memory=3600),
}

# Returns the number of failures and the seconds to wait; ARGV[5] says whether this is a failure or only a question.
SCRIPT = """
local free, first, most, memory = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = tonumber(redis.call('TIME')[1])
if ARGV[5] == '1' then
  local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
  if failures >= free then
    redis.call('HSET', KEYS[1], 'until', now + math.min(most, first * 2 ^ math.min(failures - free, 30)))
  end
  redis.call('EXPIRE', KEYS[1], memory)
end
local kept = redis.call('HMGET', KEYS[1], 'failures', 'until')
return {tonumber(kept[1] or 0), math.max(0, math.ceil(tonumber(kept[2] or now) - now))}
"""


def check(settings: Settings, name: str, key: str) -> None:
    """Raise TooMany while `key` has to wait, and Unavailable while that cannot be known."""
    if not settings.rate_limit_enabled:
        return
    wait = _ask(settings, name, key, failed=False)[1]
    if wait:
        raise TooMany(_sentence(wait), retry_after=wait)


def failed(settings: Settings, name: str, key: str) -> bool:
    """Count a failure of `key`; True for the very one that makes it wait for the first time."""
    if not settings.rate_limit_enabled:
        return False
    return _ask(settings, name, key, failed=True)[0] == PATIENCE[name].free


def forgive(settings: Settings, name: str, key: str) -> None:
    """Forget the failures of `key`: it turned out to be who it said."""
    if settings.rate_limit_enabled:
        cache.forget(settings.redis_url, _key(name, key))


def _ask(settings: Settings, name: str, key: str, *, failed: bool) -> tuple[int, int]:
    rule = PATIENCE[name]
    words = [rule.free, rule.first, rule.most, rule.memory, int(failed)]
    try:
        count, wait = cast(list[int], _script(settings.redis_url)(keys=[_key(name, key)], args=words))
    except redis.RedisError:
        raise Unavailable(
            _("We cannot check sign-ins at this moment. Nothing is wrong with yours; please try again soon.")
        ) from None
    return count, wait


def _key(name: str, key: str) -> str:
    return f"backoff:{name}:{ids.fingerprint(key)}"


@lru_cache(maxsize=8)
def _script(url: str) -> Script:
    return cache.client(url).register_script(SCRIPT)


def _sentence(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return ngettext(
        "That was wrong too often. Please wait a minute and try again.",
        "That was wrong too often. Please wait %(num)d minutes and try again.",
        minutes,
    ) % {"num": minutes}

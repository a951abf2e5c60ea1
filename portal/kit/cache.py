"""Redis as a memory that may vanish: every answer is a guess, every failure is a miss, nothing waits long."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any, cast

import redis

log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 0.5


@lru_cache(maxsize=8)
def client(url: str) -> redis.Redis:
    """Return this process's connections to the Redis at `url`; it is not spoken to yet."""
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, health_check_interval=30
    )


def get(url: str, key: str) -> bytes | None:
    """Return what was kept under `key`, or None: not there, or Redis is away."""
    try:
        return cast(bytes | None, client(url).get(key))
    except redis.RedisError as away:
        log.warning("cache read failed", extra={"key": key, "reason": str(away)})
        return None


def put(url: str, key: str, value: bytes, *, seconds: int) -> None:
    """Keep `value` for `seconds`, if Redis is there."""
    try:
        client(url).set(key, value, ex=seconds)
    except redis.RedisError as away:
        log.warning("cache write failed", extra={"key": key, "reason": str(away)})


def count(url: str, key: str, name: str) -> None:
    """Count one more under `name`, if Redis is there."""
    try:
        client(url).hincrby(key, name, 1)
    except redis.RedisError as away:
        log.warning("count failed", extra={"key": key, "reason": str(away)})


def counted(url: str, key: str) -> dict[str, int]:
    """Return what was counted under each name; nothing while Redis is away."""
    try:
        kept = cast(dict[bytes, bytes], client(url).hgetall(key))
    except redis.RedisError as away:
        log.warning("counts not read", extra={"key": key, "reason": str(away)})
        return {}
    return {name.decode(): int(times) for name, times in kept.items()}


def forget(url: str, *keys: Any) -> None:
    """Drop `keys`, if Redis is there."""
    try:
        client(url).delete(*keys)
    except redis.RedisError as away:
        log.warning("cache delete failed", extra={"reason": str(away)})

"""Sealed words: what we hand out and must recognise again, signed with itsdangerous; readable, not forgeable."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from portal.kit.settings import Settings


class Tampered(ValueError):
    """The token was not made by us, or not for this purpose."""


class Lapsed(ValueError):
    """The token is ours, but too old."""


def seal(settings: Settings, purpose: str, payload: Any) -> str:
    """Return `payload` (JSON types) as a URL-safe token that only `unseal` with the same purpose accepts."""
    return str(_serializer(settings.secret_key, purpose).dumps(payload))


def unseal(settings: Settings, purpose: str, token: str, *, max_age_seconds: int | None = None) -> Any:
    """Return the payload of `token`; raises Lapsed when older than `max_age_seconds`, Tampered for anything else."""
    try:
        return _serializer(settings.secret_key, purpose).loads(token, max_age=max_age_seconds)
    except SignatureExpired:
        raise Lapsed(purpose) from None
    except BadSignature:
        raise Tampered(purpose) from None


@lru_cache(maxsize=64)
def _serializer(secret: str, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=f"portal.{purpose}")

"""Sealed words: what we hand out and must recognise again, signed with itsdangerous; readable, not forgeable.

And locked ones: what we keep and must read again ourselves, encrypted with a key of the SECRET_KEY's own; who copies
the database alone cannot read it.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import BadSignature, SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from portal.kit import clock
from portal.kit.settings import Settings


class Tampered(ValueError):
    """The token was not made by us, or not for this purpose."""


class Lapsed(ValueError):
    """The token is ours, but too old."""


class _OurClock(TimestampSigner):
    """Signs with the portal's clock, which a rehearsal of a deadline lets run ahead."""

    def get_timestamp(self) -> int:
        return int(clock.now().timestamp())


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
    return URLSafeTimedSerializer(secret, salt=f"portal.{purpose}", signer=_OurClock)


def mark(settings: Settings, purpose: str, text: str) -> str:
    """Return what only we can write beside `text`, always the same: for addresses that are compared when repeated."""
    made = hmac.digest(derived(settings, purpose), text.encode(), "sha256")
    return urlsafe_b64encode(made[:18]).decode()


def is_marked(settings: Settings, purpose: str, text: str, given: str) -> bool:
    """True where `given` is the mark of `text`."""
    return hmac.compare_digest(mark(settings, purpose, text).encode(), given.encode())


def lock(settings: Settings, purpose: str, owner: object, clear: bytes) -> bytes:
    """Return `clear` encrypted (AES-256-GCM, a nonce of its own first); opens only for the same purpose and owner."""
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(derived(settings, purpose)).encrypt(nonce, clear, str(owner).encode())


def unlock(settings: Settings, purpose: str, owner: object, locked: bytes) -> bytes:
    """Return what `lock` was given; raises Tampered for anything else, another SECRET_KEY included."""
    try:
        return AESGCM(derived(settings, purpose)).decrypt(locked[:12], locked[12:], str(owner).encode())
    except (InvalidTag, ValueError):
        raise Tampered(purpose) from None


def derived(settings: Settings, purpose: str) -> bytes:
    """Return the 32 bytes that serve `purpose` alone as a key (HKDF-SHA-256 of the SECRET_KEY, RFC 5869)."""
    return _derived(settings.secret_key, purpose)


@lru_cache(maxsize=64)
def _derived(secret: str, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"portal.{purpose}".encode()).derive(secret.encode())

"""Rules of tokens: what an access token says, which keys sign it, and which are still believed.

Pure: no session, no clock; `now` is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from portal.kit import ids
from portal.kit.settings import Settings

ALGORITHM = "HS256"
LEEWAY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says: whose it is, as what, and of which family of refresh tokens."""

    user_id: UUID
    role: str
    family: UUID


def access_token(settings: Settings, user_id: UUID, role: str, family: UUID, now: datetime) -> str:
    """Return a signed JWT (RFC 7519, HS256) that stands for the user until it lapses or its family is revoked.

    Its header names the key by `kid`, the key's thumbprint (RFC 7638), so that keys can be changed while it lives.
    """
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": str(user_id),
        "role": role,
        "sid": str(family),
        "jti": ids.secret(12),
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=settings.jwt_access_token_minutes)).timestamp()),
    }
    key = _key(settings.jwt_secret_key)
    return jwt.encode({"alg": ALGORITHM, "typ": "JWT", "kid": key.thumbprint()}, claims, key)


def read_access_token(settings: Settings, token: str, now: datetime) -> Claims | None:
    """Return what `token` says if we signed it for this audience and it has not lapsed, else None.

    Only HS256 and only a key that the settings name (now or as a previous one) is believed; a token that names no key
    or an unknown one is refused.
    """
    expected = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": settings.jwt_issuer},
        aud={"essential": True, "value": settings.jwt_audience},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
        sub={"essential": True},
        sid={"essential": True},
        role={"essential": True},
    )
    keys = _keys((settings.jwt_secret_key, *settings.jwt_previous_keys))
    try:
        decoded = jwt.decode(token, lambda named: _named(keys, named.headers()), algorithms=[ALGORITHM])
        expected.validate(decoded.claims)
        claims = decoded.claims
        return Claims(UUID(claims["sub"]), str(claims["role"]), UUID(claims["sid"]))
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _named(keys: Mapping[str, OctKey], header: Mapping[str, object]) -> OctKey:
    kid = header.get("kid")
    if not isinstance(kid, str) or kid not in keys:
        raise ValueError("No key of ours.")
    return keys[kid]


@lru_cache(maxsize=8)
def _keys(secrets: tuple[str, ...]) -> Mapping[str, OctKey]:
    return {key.thumbprint(): key for key in map(_key, secrets)}


@lru_cache(maxsize=8)
def _key(secret: str) -> OctKey:
    return OctKey.import_key(secret)

"""Rules of tokens: what an access token says, which keys sign it, which are still believed, what an API key may do.

Pure: no session, no clock; `now` is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address, ip_network
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from portal.kit import ids
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings

ALGORITHM = "HS256"
LEEWAY_SECONDS = 5
KEY_MARK = "ak_"
MOST_KEYS = 20
NOTED_EVERY = timedelta(minutes=1)
# What an API key can be made for; kit.openapi.scope_of derives from its address what a door asks for. What is not here
# (signing in, keys, factors, an account's end) no key can do.
FOR_ALL = (
    "bookings:read",
    "bookings:write",
    "profile:read",
    "profile:write",
    "travellers:read",
    "travellers:write",
    "waits:read",
    "waits:write",
    "alerts:read",
    "alerts:write",
)
FOR_STAFF = (
    "analytics:read",
    "exports:read",
    "exports:write",
    "flights:read",
    "flights:write",
    "boarding:read",
    "boarding:write",
    "promotions:read",
    "payments:read",
    "payments:write",
    "jobs:read",
    "jobs:write",
    "audit:read",
    "change-rules:read",
)
FOR_ADMIN = ("promotions:write", "change-rules:write")


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says: whose it is, as what, of which family of refresh tokens, and when they showed it."""

    user_id: UUID
    role: str
    family: UUID
    proved_at: datetime


def access_token(settings: Settings, said: Claims, now: datetime) -> str:
    """Return a signed JWT (RFC 7519, HS256) that stands for the user until it lapses or its family is revoked.

    `auth_time` says when a password was shown for this family (OpenID Connect Core, 2). The header names the key by
    `kid`, the key's thumbprint (RFC 7638), so that keys can be changed while the token lives.
    """
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": str(said.user_id),
        "role": said.role,
        "sid": str(said.family),
        "auth_time": int(said.proved_at.timestamp()),
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
        auth_time={"essential": True},
    )
    keys = _keys((settings.jwt_secret_key, *settings.jwt_previous_keys))
    try:
        decoded = jwt.decode(token, lambda named: _named(keys, named.headers()), algorithms=[ALGORITHM])
        expected.validate(decoded.claims)
        claims = decoded.claims
        proved_at = datetime.fromtimestamp(int(claims["auth_time"]), UTC)
        return Claims(UUID(claims["sub"]), str(claims["role"]), UUID(claims["sid"]), proved_at)
    except (JoseError, ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
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


def scopes_for(role: str) -> tuple[str, ...]:
    """Return every scope that an API key of somebody with that role can have."""
    return FOR_ALL + (FOR_STAFF if role in ("staff", "admin") else ()) + (FOR_ADMIN if role == "admin" else ())


def scope_words() -> dict[str, str]:
    """Return what each scope lets a program do, in a few words."""
    return {
        "bookings:read": _("Read your bookings and their papers"),
        "bookings:write": _("Book, pay, change, cancel, check in"),
        "profile:read": _("Read your profile"),
        "profile:write": _("Change your names and preferences"),
        "travellers:read": _("Read your saved travellers"),
        "travellers:write": _("Change your saved travellers"),
        "waits:read": _("Read your places on waiting lists"),
        "waits:write": _("Join and leave waiting lists"),
        "alerts:read": _("Read your fare alerts"),
        "alerts:write": _("Begin and end fare alerts"),
        "analytics:read": _("Read the figures"),
        "exports:read": _("Read exports"),
        "exports:write": _("Ask for exports"),
        "flights:read": _("Read the schedule with its sales"),
        "flights:write": _("Delay, cancel and swap flights"),
        "boarding:read": _("Read who boards a flight"),
        "boarding:write": _("Scan boarding passes"),
        "promotions:read": _("Read promotions"),
        "promotions:write": _("Make and change promotions"),
        "payments:read": _("Read the money that waits for somebody"),
        "payments:write": _("Try refunds again, give credits"),
        "jobs:read": _("Read the jobs"),
        "jobs:write": _("Retry and drop jobs"),
        "audit:read": _("Read the audit trail"),
        "change-rules:read": _("Read what travellers may choose when a flight changes"),
        "change-rules:write": _("Change what travellers may choose when a flight changes"),
    }


def new_key() -> tuple[str, str]:
    """Return a new API key, 256 random bits behind a mark that scanners can find, and its beginning, which may show."""
    prefix = f"{KEY_MARK}{ids.readable(8)}"
    return f"{prefix}_{ids.secret()}", prefix


def is_key(word: str) -> bool:
    """True for what looks like an API key; whoever reads access tokens leaves it alone."""
    return word.startswith(KEY_MARK)


def may_come_from(addresses: Sequence[str], caller: str) -> bool:
    """True when a key's list of networks is empty or holds the caller's address; an unreadable address is in none."""
    if not addresses:
        return True
    try:
        address = ip_address(caller)
    except ValueError:
        return False
    return any(address in ip_network(network) for network in addresses)

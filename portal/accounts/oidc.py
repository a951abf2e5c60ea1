"""Signing in at another place (OpenID Connect Core 1.0): the protocol, without session or page.

Authorization code with PKCE (RFC 7636), state and nonce. What comes back is believed only when the provider's key
signed it, for us, for this very request, just now. The provider may be slow, away or hostile: every call to it has a
deadline and a size, follows no redirect, and ends in ProviderAway or ProviderRefused.
"""

from __future__ import annotations

import ipaddress
import threading
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from requests.adapters import HTTPAdapter

from portal.accounts.errors import ProviderAway, ProviderRefused
from portal.kit import ids
from portal.kit.settings import Settings

# Never "none", and never a shared secret: with those, whoever reads our settings or our mind signs for the provider.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
KEPT_SECONDS, ASKED_AGAIN_SECONDS = 600, 30
MOST_BYTES = 500_000
LEEWAY_SECONDS = 30
SCOPE = "openid email profile"
Session = TypeVar("Session", bound=requests.Session)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What one request to the provider is known by when it comes back; kept in the browser, sealed."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody as a provider knows them. `email` counts only where `verified`; `shown_at`: when they last showed it."""

    issuer: str
    subject: str
    email: str
    verified: bool
    given_name: str
    family_name: str
    shown_at: int


class Impatient(HTTPAdapter):
    """Reads an answer whole, within a deadline and a size, so that nobody who drips keeps a thread."""

    def __init__(self, seconds: float) -> None:
        super().__init__(max_retries=0)
        self.seconds = seconds

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Send within the deadline; raises requests' own Timeout, and ContentDecodingError for what is too large."""
        until, body = time.monotonic() + self.seconds, b""
        response = super().send(request, *args, **{**kwargs, "stream": True, "timeout": self.seconds})
        try:
            for piece in response.iter_content(4096):
                body += piece
                if time.monotonic() > until:
                    raise requests.exceptions.ReadTimeout("the answer came too slowly")
                if len(body) > MOST_BYTES:
                    raise requests.exceptions.ContentDecodingError("the answer was too large")
        finally:
            response.close()
        # Already read: requests then never looks at the wire again.
        response._content, response._content_consumed = body, True
        return response


def begin(settings: Settings, redirect_uri: str, *, again: bool = False) -> tuple[str, Ticket]:
    """Return where to send the browser, and the ticket that its return is known by.

    `again` asks the provider to have its user show who they are, though they are signed in there.
    """
    ticket = Ticket(ids.secret(), ids.secret(), ids.secret(48))
    more = {"prompt": "login", "max_age": "1"} if again else {}
    with _session(settings, redirect_uri) as session:
        url, _state = session.create_authorization_url(
            _endpoint(settings, "authorization_endpoint"),
            state=ticket.state,
            nonce=ticket.nonce,
            code_challenge=create_s256_code_challenge(ticket.verifier),
            code_challenge_method="S256",
            **more,
        )
    return str(url), ticket


def finish(settings: Settings, redirect_uri: str, answer: Mapping[str, str], ticket: Ticket, now: datetime) -> Stranger:
    """Return who came back with `answer` (the query of our address), having spent its code at the provider.

    Raises ProviderRefused for whatever does not fit the ticket or is not truly the provider's, ProviderAway.
    """
    _check_answer(settings, answer, ticket)
    with _session(settings, redirect_uri) as session:
        token = _token(settings, session, answer["code"], ticket)
        claims = _claims(settings, token, ticket, now)
        if "email" not in claims and "userinfo_endpoint" in _metadata(settings):
            claims = {**_userinfo(settings, session, str(claims["sub"])), **claims}
    return _stranger(claims)


def _check_answer(settings: Settings, answer: Mapping[str, str], ticket: Ticket) -> None:
    if answer.get("state") != ticket.state or not answer.get("code"):
        raise ProviderRefused()
    said = answer.get("iss")  # RFC 9207: who answers says so, lest another provider's answer be taken for theirs
    must = _metadata(settings).get("authorization_response_iss_parameter_supported") is True
    if (said is not None or must) and said != settings.oidc_issuer:
        raise ProviderRefused()


def _token(settings: Settings, session: OAuth2Session, code: str, ticket: Ticket) -> Mapping[str, Any]:
    url = _endpoint(settings, "token_endpoint")
    try:
        found = session.fetch_token(url, code=code, code_verifier=ticket.verifier, allow_redirects=False)
    except requests.RequestException:
        raise ProviderAway() from None
    except (AuthlibBaseError, ValueError, TypeError, KeyError, AttributeError):
        raise ProviderRefused() from None
    if not isinstance(found, Mapping) or not isinstance(found.get("id_token"), str):
        raise ProviderRefused()
    return found


def _claims(settings: Settings, token: Mapping[str, Any], ticket: Ticket, now: datetime) -> dict[str, Any]:
    read = _read(settings, token["id_token"])
    wanted: dict[str, Any] = {
        "iss": {"essential": True, "value": settings.oidc_issuer},
        "aud": {"essential": True, "value": settings.oidc_client_id},
        "nonce": {"essential": True, "value": ticket.nonce},
        "sub": {"essential": True, "allow_blank": False},
    }
    params = {"nonce": ticket.nonce, "client_id": settings.oidc_client_id, "access_token": token.get("access_token")}
    claims = CodeIDToken(read.claims, read.header, wanted, params)
    try:
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, AttributeError):
        raise ProviderRefused() from None
    if not isinstance(claims["sub"], str) or len(claims["sub"]) > 255:
        raise ProviderRefused()
    return dict(claims)


def _read(settings: Settings, word: str) -> jwt.Token:
    """Return what the provider's key signed; a key that we do not know (any more) has us fetch the keys anew, once."""
    for anew in (False, True):
        try:
            return jwt.decode(word, _keys(settings, anew=anew), algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            continue
    raise ProviderRefused()


def _userinfo(settings: Settings, session: OAuth2Session, subject: str) -> dict[str, Any]:
    try:
        told = session.get(_endpoint(settings, "userinfo_endpoint"), allow_redirects=False).json()
    except requests.RequestException:
        raise ProviderAway() from None
    except (AuthlibBaseError, ValueError):
        raise ProviderRefused() from None
    if not isinstance(told, dict) or told.get("sub") != subject:  # OpenID Connect Core, 5.3.2
        raise ProviderRefused()
    return {
        name: told[name] for name in ("email", "email_verified", "given_name", "family_name", "name") if name in told
    }


def _stranger(claims: Mapping[str, Any]) -> Stranger:
    def text(name: str) -> str:
        value = claims.get(name)
        return value.strip()[:254] if isinstance(value, str) else ""

    given, _space, family = text("name").rpartition(" ")
    names = [_tidy(text("given_name") or given), _tidy(text("family_name") or family)]
    shown = claims.get("auth_time")
    return Stranger(
        issuer=text("iss"),
        subject=str(claims["sub"]),
        email=text("email"),
        verified=claims.get("email_verified") is True,
        given_name=names[0],
        family_name=names[1],
        shown_at=int(shown) if isinstance(shown, int | float) else 0,
    )


def _tidy(name: str) -> str:
    shown = (character for character in name if not unicodedata.category(character).startswith("C"))
    return unicodedata.normalize("NFC", "".join(shown))[:80].strip()


# ── what the provider says of itself ──────────────────────────────────────────────────────────────────────


@dataclass
class Known:
    """What a provider said of itself and its keys, and when."""

    metadata: dict[str, Any]
    keys: KeySet
    at: float


_known: dict[str, Known] = {}
_asking = threading.Lock()


def _metadata(settings: Settings) -> dict[str, Any]:
    return _ask(settings, KEPT_SECONDS).metadata


def _keys(settings: Settings, *, anew: bool) -> KeySet:
    return _ask(settings, ASKED_AGAIN_SECONDS if anew else KEPT_SECONDS).keys


def _ask(settings: Settings, seconds: float) -> Known:
    """Return what the provider says of itself, asked at most so many seconds ago; one thread asks for all."""
    with _asking:
        kept = _known.get(settings.oidc_issuer)
        if kept is None or time.monotonic() - kept.at > seconds:
            kept = _known[settings.oidc_issuer] = _discover(settings)
    return kept


def forget() -> None:
    """Forget what providers said of themselves."""
    _known.clear()


def _discover(settings: Settings) -> Known:
    found = _json(settings, settings.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration")
    if found.get("issuer") != settings.oidc_issuer:  # OpenID Connect Discovery 1.0, 4.3
        raise ProviderRefused()
    try:
        keys = KeySet.import_key_set(_json(settings, _safe(settings, found.get("jwks_uri"))))  # type: ignore[arg-type]  # checked as it is read
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise ProviderRefused() from None
    return Known(found, keys, time.monotonic())


def _json(settings: Settings, url: str) -> dict[str, Any]:
    try:
        with _patient(requests.Session(), settings) as browser:
            answer = browser.get(url, allow_redirects=False)
        found = answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, ValueError, RecursionError):
        raise ProviderAway() from None
    if not isinstance(found, dict):
        raise ProviderAway()
    return found


def _endpoint(settings: Settings, name: str) -> str:
    return _safe(settings, _metadata(settings).get(name))


def _safe(settings: Settings, url: object) -> str:
    """Return an address that the provider named, if it is an https one; on this machine http will do."""
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    if parts.scheme == "https" and parts.hostname:
        return parts.geturl()
    if parts.scheme == "http" and _is_here(parts.hostname) and _is_here(urlsplit(settings.oidc_issuer).hostname):
        return parts.geturl()
    raise ProviderRefused()


@lru_cache(maxsize=64)
def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _session(settings: Settings, redirect_uri: str) -> OAuth2Session:
    said = _metadata(settings).get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    basic = "client_secret_basic" in said or not isinstance(said, list)
    session = OAuth2Session(
        settings.oidc_client_id,
        settings.oidc_client_secret,
        token_endpoint_auth_method="client_secret_basic" if basic else "client_secret_post",
        scope=SCOPE,
        redirect_uri=redirect_uri,
    )
    return _patient(session, settings)


def _patient(session: Session, settings: Settings) -> Session:
    session.trust_env = False  # no proxy and no password from this process's surroundings
    for scheme in ("https://", "http://"):
        session.mount(scheme, Impatient(settings.oidc_timeout_seconds))
    return session

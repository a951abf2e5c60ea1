"""A real OpenID provider as a process of its own: Authlib's authorization server, PKCE demanded, tokens signed.

`python -m tests.accounts.provider PORT` serves it on loopback. What it is to say of its user, and how it is to lie, it
is told by POST /behave; it begins anew with each. Its sign-in page is one button.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, AuthorizationServer, ClientMixin
from authlib.oauth2.rfc6749 import grants as oauth
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "portal", "the portal's secret at its provider, long enough"
ROBIN = {"sub": "robin-1", "email": "robin@example.com", "email_verified": True, "given_name": "Robin"}


def fresh_key() -> RSAKey:
    """Return a new signing key with an id."""
    return RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)


@dataclass
class World:
    """What the provider knows: its user, its lie, its codes."""

    issuer: str = ""
    user: dict[str, Any] = field(default_factory=lambda: dict(ROBIN))
    lie: str = ""
    key: RSAKey = field(default_factory=fresh_key)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)


world = World()


class Client(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """The portal, as the provider knows it."""

    def get_client_id(self) -> str:
        return CLIENT

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, uri: str) -> bool:
        return uri.endswith("/account/sign-in/provider/back")

    def check_client_secret(self, secret: str) -> bool:
        return secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]  # Authlib has no types
    """A code that was handed out, with what it was handed out for."""

    code: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str
    auth_time: int

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class CodeGrant(oauth.AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib has no types
    """A code works once, for the client and address that it was made for."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        asked = request.payload.data
        shown = int(time.time()) - (3600 if world.lie == "shown an hour ago" else 0)
        challenge = (asked.get("code_challenge", ""), asked.get("code_challenge_method", ""))
        nonce = asked.get("nonce", "")
        world.codes[code] = Code(code, asked["redirect_uri"], asked["scope"], nonce, *challenge, shown)

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return world.codes.get(code)

    def delete_authorization_code(self, code: Code) -> None:
        world.codes.pop(code.code, None)

    def authenticate_user(self, code: Code) -> dict[str, Any]:
        return world.user


class MustChallenge(CodeChallenge):  # type: ignore[misc]  # Authlib has no types
    """PKCE is not a wish: a request without a challenge gets no code."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        if not grant.request.payload.data.get("code_challenge"):
            raise oauth.authorization_code.InvalidRequestError("Missing 'code_challenge'")
        super().validate_code_challenge(grant, redirect_uri)


class Signed(OpenIDCode):  # type: ignore[misc]  # Authlib has no types
    """Signs identity tokens – truly, or with the lie of the day."""

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return False

    def generate_user_info(self, user: dict[str, Any], scope: str) -> UserInfo:
        if world.lie == "told elsewhere":
            return UserInfo(sub=user["sub"])
        return UserInfo(**user)

    def encode_id_token(self, token: dict[str, Any], request: OAuth2Request) -> str:
        now = int(time.time())
        claims = {"iss": world.issuer, "aud": CLIENT, "iat": now, "exp": now + 300}
        claims.update(self.get_authorization_code_claims(request.authorization_code))
        claims.update(self.generate_user_info(request.user, token["scope"]))
        return lying(claims)


def lying(claims: dict[str, Any]) -> str:
    """Return the identity token with the lie of the day in it; without one, an honest one."""
    now, key, alg = int(time.time()), world.key, "RS256"
    lies: dict[str, dict[str, Any]] = {
        "wrong nonce": {"nonce": "another"},
        "wrong audience": {"aud": "another-client"},
        "two audiences": {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        "other issuer": {"iss": "https://another.example"},
        "expired": {"iat": now - 7200, "exp": now - 3600},
        "from the future": {"iat": now + 3600, "exp": now + 7200},
        "wrong access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        "no subject": {"sub": ""},
        "a list for a subject": {"sub": ["robin-1"]},
    }
    claims.update(lies.get(world.lie, {}))
    if world.lie == "no nonce":
        claims.pop("nonce")
    if world.lie == "alg none":
        return jwt.encode({"alg": "none"}, claims, None, ["none"])
    if world.lie == "signed by another":
        key = fresh_key()
        return jwt.encode({"alg": alg, "kid": world.key.kid}, claims, key)
    if world.lie == "signed with our secret":
        return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
    if world.lie == "signed with its public key":
        public = OctKey.import_key(world.key.as_pem(private=False).replace(b"-----BEGIN", b"BEGIN"))
        return jwt.encode({"alg": "HS256", "kid": world.key.kid}, claims, public)
    if world.lie == "no token at all":
        return "not.a.token"
    return jwt.encode({"alg": alg, "kid": key.kid}, claims, key)


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
    """Authlib's server, given Starlette's requests."""

    def query_client(self, client_id: str) -> Client | None:
        return Client() if client_id == CLIENT else None

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        world.tokens.append(token["access_token"])

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def send_signal(self, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, payload: Any, headers: list[tuple[str, str]]) -> Response:
        if isinstance(payload, dict):
            return JSONResponse(payload, status, headers=dict(headers))
        return Response(payload, status, headers=dict(headers))


server = Server()
server.register_token_generator("default", BearerTokenGenerator(lambda **_: os.urandom(24).hex()))
server.register_grant(CodeGrant, [MustChallenge(required=True), Signed(require_nonce=True)])


class Asked(OAuth2Request):  # type: ignore[misc]  # Authlib has no types
    """A request as Authlib reads it."""

    def __init__(self, request: Request, query: dict[str, str], form: dict[str, str]) -> None:
        super().__init__(request.method, str(request.url), headers=request.headers)
        self.payload = BasicOAuth2Payload({**query, **form})
        self._args, self._form = query, form

    @property
    def args(self) -> dict[str, str]:
        return self._args

    @property
    def form(self) -> dict[str, str]:
        return self._form


async def read(request: Request) -> Asked:
    """Return the request with its form read."""
    form = {name: str(value) for name, value in (await request.form()).items()} if request.method == "POST" else {}
    return Asked(request, dict(request.query_params), form)


async def metadata(request: Request) -> Response:
    """Discovery (OpenID Connect Discovery 1.0, 4)."""
    if world.lie == "away":
        return Response("Bad gateway", 502)
    if world.lie == "drips":
        return Drip()
    if world.lie == "huge":
        return Response(b" " * 3_000_000 + b"{}", media_type="application/json")
    told = {
        "issuer": "https://another.example" if world.lie == "says to be another" else world.issuer,
        "authorization_endpoint": f"{world.issuer}/authorize",
        "token_endpoint": f"{world.issuer}/token",
        "userinfo_endpoint": f"{world.issuer}/userinfo",
        "jwks_uri": f"{world.issuer}/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "authorization_response_iss_parameter_supported": True,
    }
    if world.lie == "points inside":
        told["token_endpoint"] = "http://169.254.169.254/latest/meta-data"
    return JSONResponse(told)


class Drip(Response):
    """A byte now and then, for a long time."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        for _ in range(60):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.25)
        await send({"type": "http.response.body", "body": b"{}"})


async def keys(request: Request) -> Response:
    """The public halves of the keys."""
    return JSONResponse(KeySet([world.key]).as_dict(private=False))


async def authorize(request: Request) -> Response:
    """A page with one button; pressing it (or `auto`) signs the user in and sends the browser back."""
    asked = await read(request)
    world.seen.append(str(request.url))
    if request.method == "GET" and not world.user.get("auto"):
        return HTMLResponse(
            '<!doctype html><html lang="en"><title>Example ID</title><h1>Example ID</h1>'
            f'<form method="post"><button>Go on as {world.user["email"]}</button></form>'
        )
    if world.lie == "denied":
        return RedirectResponse(f"{asked.args['redirect_uri']}?error=access_denied&state={asked.args['state']}", 303)
    user = {name: value for name, value in world.user.items() if name != "auto"}
    asked.payload = BasicOAuth2Payload(asked.args)
    asked.method = "GET"
    grant = server.get_consent_grant(asked, end_user=user)
    answer = server.create_authorization_response(asked, grant_user=user, grant=grant)
    said = "https://another.example" if world.lie == "answers as another" else world.issuer
    answer.headers["location"] += f"&iss={said}"
    return answer


async def token(request: Request) -> Response:
    """Codes for tokens."""
    if world.lie == "breaks off":
        return Response("no", 503)
    if world.lie == "redirects":
        return RedirectResponse(f"{world.issuer}/elsewhere", 307)
    return server.create_token_response(await read(request))


async def userinfo(request: Request) -> Response:
    """What is known of the user, for who shows a token."""
    if request.headers.get("authorization", "").removeprefix("Bearer ") not in world.tokens:
        return Response(status_code=401)
    return JSONResponse({name: value for name, value in world.user.items() if name != "auto"})


async def behave(request: Request) -> Response:
    """Begin anew: another user, another lie, another key where it is wanted."""
    wish = await request.json()
    world.user, world.lie = {**ROBIN, **wish.get("user", {})}, wish.get("lie", "")
    if wish.get("newKey"):
        world.key = fresh_key()
    world.codes.clear()
    return JSONResponse({"seen": world.seen})


app = Starlette(
    routes=[
        Route("/.well-known/openid-configuration", metadata),
        Route("/keys", keys),
        Route("/authorize", authorize, methods=["GET", "POST"]),
        Route("/token", token, methods=["POST"]),
        Route("/userinfo", userinfo),
        Route("/behave", behave, methods=["POST"]),
    ]
)


if __name__ == "__main__":
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # on loopback
    world.issuer = f"http://127.0.0.1:{sys.argv[1]}"
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")

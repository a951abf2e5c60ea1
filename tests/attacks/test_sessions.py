"""A session is nobody else's: not fixed beforehand, not forged, not replayed, not ridden by another site."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from itsdangerous import URLSafeTimedSerializer
from playwright.sync_api import Browser
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.app import create_app
from portal.kit import db
from portal.kit.settings import Settings
from tests.attacks.conftest import listening
from tests.booking import makers

LOGIN = {"email": "traveller@example.com", "password": accounts.DEMO_PASSWORD}


@pytest.fixture(autouse=True)
def people(settings: Settings) -> None:
    """The demo's accounts."""
    with db.writing() as session:
        accounts.ensure_demo_users(session)


def inside(client: TestClient) -> bool:
    return client.get("/account").status_code == 200


def test_a_session_that_was_there_before_is_not_the_one_after(client: TestClient) -> None:
    """Fixation: whoever planted a cookie is not signed in by its victim."""
    client.post("/account/sign-in", data=LOGIN)
    planted = dict(client.cookies)
    client.post("/account/sign-in", data={**LOGIN, "email": "staff@example.com"})
    assert client.cookies["sign-in"] != planted["sign-in"]
    attacker = TestClient(client.app, cookies={"sign-in": "x" * 43}, follow_redirects=False)
    assert not inside(attacker)
    assert attacker.post("/account/sign-in", data=LOGIN).cookies["sign-in"] != "x" * 43


def test_a_session_is_over_when_it_is_over(client: TestClient) -> None:
    client.post("/account/sign-in", data=LOGIN)
    stolen = dict(client.cookies)
    assert inside(client)
    client.post("/account/sign-out")
    thief = TestClient(client.app, cookies=stolen, follow_redirects=False)
    assert not inside(thief)


def test_who_comes_after_a_sign_out_cannot_touch_its_bookings(client: TestClient, settings: Settings) -> None:
    """A computer that others use: the cookie that lets a browser manage what it bought goes with its owner."""
    client.post("/account/sign-in", data=LOGIN)
    chosen = {"offer": makers.offer(settings, makers.flight()).token, "key": "one-key-of-this-page"}
    held = client.post("/book", data=chosen)
    path = held.headers["location"]
    assert client.get(path).status_code == 200
    client.post("/account/sign-out")
    assert client.get(path).status_code == 404
    client.post("/account/sign-in", data=LOGIN)
    assert client.get(path).status_code == 200


def test_a_forged_session_is_none(client: TestClient, settings: Settings) -> None:
    client.post("/account/sign-in", data=LOGIN)
    real = client.cookies["sign-in"]
    client.post("/manage", data={"reference": "K7QX2M", "familyName": "Wood"})
    other = URLSafeTimedSerializer("another secret of forty characters or so", salt="sign-in")
    forged = [
        # The last letter of a signature but one: in the last not every bit counts, and another may stand for the same.
        real[:-2] + ("A" if real[-2] != "A" else "B") + real[-1],
        real[::-1],
        real + "x",
        other.dumps("x"),
        "",
        "null",
        "e30",
    ]
    for word in forged:
        assert not inside(TestClient(client.app, cookies={"sign-in": word}, follow_redirects=False)), word
    grants = {"trips": other.dumps([["K7QX2M", "manage"]])}
    assert TestClient(client.app, cookies=grants).get("/bookings/K7QX2M").status_code == 404
    assert inside(client)


def test_cookies_are_kept_from_scripts_other_sites_and_plain_http(settings: Settings) -> None:
    with TestClient(create_app(replace(settings, base_url="https://testserver")), follow_redirects=False) as client:
        answer = client.post("https://testserver/account/sign-in", data=LOGIN)
    for cookie in answer.headers.get_list("set-cookie"):
        flags = {flag.strip().lower() for flag in cookie.split(";")}
        assert {"httponly", "secure"} <= flags, cookie
        assert flags & {"samesite=lax", "samesite=strict"}, cookie
        assert "domain" not in cookie.lower()
    assert any(cookie.startswith("__Host-") for cookie in answer.headers.get_list("set-cookie"))


def unsigned(**claims: object) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": "x", "role": "admin", "exp": 9_999_999_999, **claims})
    words = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return f"{words[0]}.{words[1]}."


def test_a_program_without_a_signature_is_a_stranger(client: TestClient) -> None:
    pair = client.post("/api/auth/login", json=LOGIN).json()
    head, body, sign = pair["accessToken"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    mine = base64.urlsafe_b64encode(json.dumps({**claims, "role": "admin"}).encode()).rstrip(b"=").decode()
    flipped = sign[:-2] + ("AA" if sign[-2:] != "AA" else "BB")
    forged = [
        unsigned(**claims),
        f"{head}.{mine}.{sign}",
        f"{head}.{body}.",
        f"{head}.{body}.{flipped}",
        pair["refreshToken"],
        "x" * 9000,
    ]
    for token in forged:
        answer = client.get("/api/admin/flights", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, token
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert token not in answer.text
    assert client.get("/api/me", headers={"Authorization": f"Basic {pair['accessToken']}"}).status_code == 401
    assert client.get(f"/api/me?access_token={pair['accessToken']}").status_code == 401


def test_a_used_refresh_token_ends_what_it_began(client: TestClient) -> None:
    first = client.post("/api/auth/login", json=LOGIN).json()
    second = client.post("/api/auth/refresh", json={"refreshToken": first["refreshToken"]}).json()
    assert client.post("/api/auth/refresh", json={"refreshToken": first["refreshToken"]}).status_code == 401
    assert client.post("/api/auth/refresh", json={"refreshToken": second["refreshToken"]}).status_code == 401


EVIL = """<!doctype html><title>Win a holiday</title>
<form id=f method=post action="{target}/account"><input name=firstName value=Evil><input name=lastName value=Evil>
</form><script>document.getElementById("f").submit()</script>
"""


class Evil(http.server.BaseHTTPRequestHandler):
    """Another site, whose page sends a form of ours as soon as it is seen."""

    target = ""

    def do_GET(self) -> None:
        """Serve the trap."""
        body = EVIL.format(target=self.target).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Referrer-Policy", "no-referrer" if "quiet" in self.path else "unsafe-url")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.fixture
def evil() -> Iterator[str]:
    """The address of another site."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://localhost:{site.server_port}"
        site.shutdown()


@pytest.mark.parametrize("how", ["", "?quiet"])
def test_another_sites_form_is_refused_in_a_real_browser(
    settings: Settings, browser: Browser, evil: str, how: str
) -> None:
    """The victim is signed in and opens the trap; with `no-referrer` the browser says `Origin: null`."""
    with listening(settings) as port:
        Evil.target = f"http://127.0.0.1:{port}"
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{Evil.target}/account/sign-in")
        page.fill("[name=email]", LOGIN["email"])
        page.fill("[name=password]", LOGIN["password"])
        page.press("[name=password]", "Enter")
        page.wait_for_url(lambda url: "sign-in" not in url)
        page.goto(f"{Evil.target}/account")
        assert page.locator("[name=firstName]").count()
        with page.expect_response(lambda answer: answer.request.method == "POST") as sent:
            page.goto(f"{evil}/{how}", wait_until="commit")
        assert sent.value.status == 403
        context.close()
        assert makers.one("select count(*) from users where given_name = 'Evil'") == 0

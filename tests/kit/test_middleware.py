"""What every request passes before it reaches a door."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit.errors import ConfigurationError
from portal.kit.middleware import HEADERS, POLICY
from portal.kit.settings import Settings, read


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://testserver"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://partner.example"}, False),
        ({"Origin": ""}, False),
        ({"Referer": "http://testserver/help"}, True),
        ({"Referer": "https://evil.example/testserver"}, False),
        ({"Origin": "http://testserver.evil.example"}, False),
        ({"Origin": "http://evil.example", "Host": "testserver"}, False),
        ({"Sec-Fetch-Site": "cross-site", "X-HTTP-Method-Override": "GET"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer x"}, False),
    ],
)
def test_a_form_from_another_site_is_refused(settings: Settings, headers: dict[str, str], passes: bool) -> None:
    known = replace(settings, allowed_origins=("https://partner.example",))
    with TestClient(create_app(known), follow_redirects=False) as client:
        answer = client.post("/theme", data={"theme": "dark", "next": "/"}, headers=headers)
    assert (answer.status_code == 303) is passes
    assert answer.status_code in (303, 403)


def test_where_https_is_required_http_carries_nothing(settings: Settings) -> None:
    strict = replace(settings, require_https=True)
    with TestClient(create_app(strict), follow_redirects=False) as client:
        page = client.get("/account/sign-in?next=/x")
        assert (page.status_code, page.headers["location"]) == (308, "https://testserver/account/sign-in?next=/x")
        assert client.post("/account/sign-in", data={"password": "x"}).status_code == 403
        assert client.get("/api/me").json()["status"] == 403
        assert client.get("/health/live").status_code == 200


def test_an_allowed_origin_may_call_the_api(settings: Settings) -> None:
    known = replace(settings, allowed_origins=("https://partner.example",))
    asked = {"Origin": "https://partner.example", "Access-Control-Request-Method": "POST"}
    with TestClient(create_app(known)) as client:
        allowed = client.options("/api/me", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://partner.example"
        refused = client.options("/api/me", headers={**asked, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers


def test_a_wrong_method_is_told_the_right_ones(client: TestClient) -> None:
    answer = client.delete("/api/me")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, PATCH")
    assert answer.json()["code"] == "method_not_allowed"
    assert client.put("/manage").headers["allow"] == "GET, HEAD, POST"


def test_a_crash_is_answered_with_its_number_and_the_security_headers(settings: Settings) -> None:
    app = create_app(settings)

    def crash(_: object) -> None:
        raise ZeroDivisionError

    app.router.routes.insert(0, Route("/crash", crash))
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/crash", headers={"X-Request-Id": "tell-me-again"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "tell-me-again"
    assert "tell-me-again" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_every_answer_carries_the_headers_that_defend_it(settings: Settings) -> None:
    """A page, an API answer, a file, a mistake, a refusal."""
    strict = replace(settings, enable_hsts=True, allowed_hosts=("testserver",))
    with TestClient(create_app(strict), follow_redirects=False) as client:
        css = re.findall(r'href="(/static/[^"]+[.]css[^"]*)"', client.get("/").text)[0]
        answers = [client.get(path) for path in ("/", css, "/api/airports", "/nowhere", "/api/me", "/account", "/%00")]
        answers.append(client.post("/theme", headers={"Origin": "null"}))
        answers.append(client.get("/", headers={"Host": "evil.example"}))
        assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 401, 303, 400, 403, 400]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (answer.url, name)
        assert answer.headers["strict-transport-security"].startswith("max-age=63072000")


def test_the_policy_lets_no_word_of_a_page_run() -> None:
    kept = dict(line.strip().split(" ", 1) for line in POLICY.split(";"))
    assert kept["default-src"] == kept["object-src"] == kept["base-uri"] == kept["frame-ancestors"] == "'none'"
    assert kept["script-src"] == kept["style-src"] == kept["connect-src"] == kept["font-src"] == "'self'"
    assert "unsafe" not in POLICY
    assert "*" not in POLICY


def test_other_origins_read_the_api_only(settings: Settings) -> None:
    known = replace(settings, allowed_origins=("https://partner.example",))
    origin = {"Origin": "https://partner.example"}
    with TestClient(create_app(known), follow_redirects=False) as client:
        assert client.get("/api/airports", headers=origin).headers["access-control-allow-origin"] == origin["Origin"]
        for path in ("/", "/account", "/static/icons.svg"):
            page = client.get(path, headers=origin)
            assert "access-control-allow-origin" not in page.headers
        asked = {**origin, "Access-Control-Request-Method": "POST"}
        assert "access-control-allow-origin" not in client.options("/account/sign-in", headers=asked).headers
        assert "access-control-allow-credentials" not in client.get("/api/airports", headers=origin).headers


def test_production_believes_no_proxy_whatever_its_address() -> None:
    names = ("SECRET_KEY", "JWT_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "BASE_URL", "ALLOWED_HOSTS")
    strong = {f"PORTAL_{name}": "kq3nV8xTz1LwYb6Rf0Hc5Ju9Ds2Ga7Pm4" for name in names}
    whole = {"PORTAL_ENV": "production", **strong, "PORTAL_TRUSTED_PROXIES": "172.16.0.0/12"}
    assert read(whole).trusted_proxies == ("172.16.0.0/12",)
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES"):
        read({**whole, "PORTAL_TRUSTED_PROXIES": "10.0.0.1, *"})


def test_an_address_without_end_is_refused(client: TestClient) -> None:
    assert client.get(f"/flights?origin={'x' * 17_000}").status_code == 414
    assert client.get(f"/api/{'x' * 17_000}").json()["code"] == "address_too_long"
    assert client.get(f"/help?{'x' * 8000}").status_code == 200

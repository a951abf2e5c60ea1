"""Words that want to be more than words: headers, paths, addresses, templates, fields that nobody asked for."""

from __future__ import annotations

import json
import pkgutil
import re
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

import portal
from portal.accounts import service as accounts
from portal.app import create_app
from portal.booking.queries import booking_view
from portal.kit import db, ids, mail
from portal.kit.outbox import Hopeless
from portal.kit.settings import Settings
from portal.tickets import service as tickets
from tests.booking import makers

PASSWORD = accounts.DEMO_PASSWORD
LOGIN = {"email": "traveller@example.com", "password": PASSWORD}
ABROAD = (
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "http:evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example/%2e%2e",
    "/\u202e/evil.example",
    "https://testserver@evil.example",
    "////evil.example/",
    "/%09/evil.example",
    "/%5cevil.example",
)
BARE = ("A\r\nBcc: evil@example.com", "A\nB", "A\x00B", "A\x1bB")


@pytest.fixture
def people(settings: Settings) -> None:
    """The demo's accounts."""
    with db.writing() as session:
        accounts.ensure_demo_users(session)


@pytest.mark.parametrize("wish", ABROAD)
def test_no_link_of_ours_leads_to_another_site(client: TestClient, people: None, wish: str) -> None:
    answers = [
        client.post("/account/sign-in", data={**LOGIN, "next": wish}),
        client.get("/account/sign-in", params={"next": wish}),
        client.post("/theme", data={"theme": "dark", "next": wish}),
        client.post("/account/sign-out", data={"next": wish}),
    ]
    assert answers[0].status_code == 303
    for answer in answers:
        leads = urljoin("http://testserver/x", answer.headers.get("location", "/").replace("\\", "/"))
        assert urlsplit(leads).netloc == "testserver", leads
        assert urlsplit(leads).scheme == "http"


@pytest.mark.parametrize("odd", BARE, ids=["crlf", "lf", "nul", "esc"])
def test_a_line_break_ends_no_header(client: TestClient, settings: Settings, people: None, odd: str) -> None:
    """In names, addresses, ids, file names, languages: it is refused or stays inside a word."""
    client.post("/account/sign-in", data=LOGIN)
    client.post("/account", data={"firstName": odd, "lastName": "Wood"})
    client.post("/account/travellers", data={"givenName": odd, "familyName": "Wood", "dateOfBirth": "1990-01-01"})
    form = {"email": f"x{odd}@example.com", "firstName": odd, "lastName": "Wood", "password": "a quiet blue morning"}
    register = client.post("/api/auth/register", json={**form, "confirmPassword": form["password"]})
    assert register.status_code == 422
    answer = client.get("/help", headers={"X-Request-Id": odd.replace("\r", "").replace("\n", "").replace("\x00", "")})
    assert re.fullmatch(r"[\w.-]{8,64}", answer.headers["x-request-id"])
    for path in (
        f"/book?offer={quote(odd)}",
        f"/manage?reference={quote(odd)}",
        f"/account/sign-in?next=/{quote(odd)}",
    ):
        answer = client.get(path)
        assert "bcc" not in answer.headers
        assert answer.status_code < 500
    assert makers.one("select count(*) from users where given_name ~ '[[:cntrl:]]'") == 0


@pytest.mark.parametrize("odd", ["Ana\r\nBcc: evil@example.com", "Ana\nBcc: evil@example.com"])
def test_a_mail_has_the_headers_that_we_wrote(settings: Settings, odd: str) -> None:
    """A subject is one line whatever was typed, and an address with a line break is none."""
    kept = {"template": "account_exists", "identity": "x", "email": odd, "base_url": ""}
    made = mail.compose(settings, to="ana@example.com", subject=f"Hello {odd}", **kept)
    read = message_from_bytes(bytes(made), policy=policy.default)
    assert read["bcc"] is None
    assert "Bcc: evil" in str(read["subject"])
    for address in (f"ana@example.com{odd[3:]}", f'"{odd}"@example.com'):
        with pytest.raises(Hopeless):
            mail.compose(settings, to=address, subject="Hello", **kept)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../pyproject.toml",
        "/static/%2e%2e/pyproject.toml",
        "/static/..%2fpyproject.toml",
        "/static/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static//etc/passwd",
        "/static/css/..%5c..%5cpyproject.toml",
        "/static/%00/etc/passwd",
        "/dev/mail/..%2f..%2fpyproject",
        "/dev/mail/%2e%2e%2fsecret",
        "/dev/mail/../../etc/passwd/html",
        "/dev/mail/secret/files/0",
        "/api/exports/..%2f..%2fetc%2fpasswd/file",
    ],
)
def test_no_path_leads_out_of_its_folder(client: TestClient, settings: Settings, path: str) -> None:
    Path(settings.mail_dir).mkdir(exist_ok=True)
    (Path(settings.mail_dir).parent / "secret.eml").write_text("Subject: hidden\r\n\r\nhidden words")
    answer = client.get(f"http://testserver{path}")
    assert answer.status_code in (303, 400, 401, 404), answer.text
    for inside in ("flight-portal", "root:", "hidden words"):
        assert inside not in answer.text


def test_a_language_is_one_that_is_offered(client: TestClient) -> None:
    for wish in ("../../etc/passwd", "en/../../x", "\u202e", "x" * 5000, "de\x00", "{{7*7}}"):
        client.cookies.set("locale", re.sub(r"[^\x21-\x7e]", "?", wish))
        answer = client.get("/help", headers={"Accept-Language": re.sub(r"[^\x20-\x7e]", "?", wish)})
        assert answer.status_code == 200
        assert 'lang="en"' in answer.text


@pytest.mark.parametrize(
    "words", ["{{7*7}}", "{% for x in () %}", "${7*7}", "<%= 7*7 %>", "%(amount)s", "{0.__class__}"]
)
def test_a_name_is_not_a_template(client: TestClient, people: None, words: str) -> None:
    client.post("/account/sign-in", data=LOGIN)
    client.post("/account", data={"firstName": words, "lastName": "<script>alert(1)</script>"})
    shown = client.get("/account").text
    assert "<script>alert(1)" not in shown
    assert ">49<" not in shown
    found = client.get("/flights", params={"origin": words, "destination": "<img src=x onerror=alert(1)>"}).text
    assert "<img src=x" not in found
    assert ">49<" not in found


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """An address of this machine that nobody should ever call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        yield server


def test_a_name_in_a_document_fetches_nothing(settings: Settings, listener: socket.socket) -> None:
    """Server-side request forgery: paper is made from what travellers type."""
    at = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    for word in (
        f'<img src="{at}">',
        f"<link rel=stylesheet href={at}>",
        f"url({at})",
        "<img src='file:///etc/passwd'>",
    ):
        with db.writing() as session:
            session.execute(text("update passengers set given_name = :w"), {"w": word})
        with db.writing() as session:
            view = booking_view(session, booking.reference)
            assert view is not None
            made = tickets.itinerary(session, view, settings)
        assert made.content.startswith(b"%PDF")
        assert b"/etc/passwd" not in made.content
    with pytest.raises(TimeoutError):
        listener.accept()


# ── fields that nobody asked for ──────────────────────────────────────────────────────────────────────────

GREEDY = {"role": "admin", "isAdmin": True, "id": "x", "userId": "x", "status": "confirmed", "total": "0", "price": 1}


def test_nobody_gives_themselves_a_role(client: TestClient, people: None) -> None:
    form = {"email": "eve@example.com", "firstName": "Eve", "lastName": "Wood", "password": "a quiet blue morning"}
    form["confirmPassword"] = form["password"]
    for name, value in GREEDY.items():
        refused = client.post("/api/auth/register", json={**form, name: value})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, f"/{name}")
    client.post("/account/register", data={**form, **{name: str(value) for name, value in GREEDY.items()}})
    assert makers.one("select count(*) from users where role <> 'customer'") == 2
    token = client.post("/api/auth/login", json=LOGIN).json()["accessToken"]
    for name in ("role", "email", "emailVerified", "id"):
        patched = client.patch("/api/me", json={name: "admin"}, headers={"Authorization": f"Bearer {token}"})
        assert patched.status_code == 422
    client.post("/account/sign-in", data=LOGIN)
    client.post("/account", data={"firstName": "Eve", "lastName": "Wood", "role": "admin"})
    assert client.get("/admin").status_code == 403


def test_nobody_sets_a_price_or_an_owner(client: TestClient, settings: Settings) -> None:
    flight = makers.flight()
    offer = makers.offer(settings, flight).token
    passenger = {"type": "adult", "givenName": "Ana", "familyName": "Wood", "dateOfBirth": "1990-05-01"}
    wish = {"offerIds": [offer], "contact": {"email": "ana@example.com"}, "passengers": [passenger]}
    for name, value in GREEDY.items():
        assert client.post("/api/bookings", json={**wish, name: value}).status_code == 422
        assert (
            client.post("/api/bookings", json={**wish, "passengers": [{**passenger, name: value}]}).status_code == 422
        )
    assert makers.one("select count(*) from bookings") == 0
    made = client.post("/api/bookings", json=wish).json()
    bearer = {"Authorization": f"Bearer {made['bookingToken']}"}
    pay = f"/api/bookings/{made['reference']}/payments"
    for amount in ("0.01", "-5.00", "0", "1e9", "NaN", "Infinity", "0x10", "９"):
        sent = {"method": "card", "token": "tok_visa", "amount": {"amount": amount, "currency": "USD"}}
        assert client.post(pay, json=sent, headers=bearer).status_code == 422
    sent = {"method": "card", "token": "tok_visa", "amount": {**made["balance"], "currency": "JPY"}}
    assert client.post(pay, json=sent, headers=bearer).status_code == 422
    form = {"offer": offer, "key": ids.secret(12), "total": "1", "price": "1", "expectedTotal": "0.01"}
    client.post("/book", data=form)
    assert makers.one("select count(distinct total_minor) from bookings") == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"email": "a@example.com", "email": "b@example.com", "password": "x"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 200_000,
        b'{"email": ' + b"9" * 100_000 + b"}",
        b'{"email": NaN}',
        b'{"email": -Infinity}',
        b'{"email": 1e99999}',
        b'\xef\xbb\xbf{"email": "x"}',
        b'{"email": "\\ud800"}',
        b'{"__proto__": {"role": "admin"}, "email": "x", "password": "y"}',
        b"\xc0\xaf",
        json.dumps({"email": ["x"] * 100_000, "password": "x"}).encode(),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_json_that_wants_to_be_a_bomb(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/auth/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 20_000


def many(parts: int, extra: bytes = b"") -> bytes:
    one = b'--b\r\nContent-Disposition: form-data; name="x%d"' + extra + b"\r\n\r\nx\r\n"
    return b"".join(one % number for number in range(parts)) + b"--b--\r\n"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (many(20_000), "multipart/form-data; boundary=b"),
        (many(1, b'; filename="x.zip"\r\nContent-Type: application/zip'), "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"X: y\r\n" * 50_000, "multipart/form-data; boundary=b"),
        (
            b'--b\r\nContent-Disposition: form-data; name="' + b"x" * 2_000_000 + b'"\r\n\r\nx\r\n--b--',
            "multipart/form-data; boundary=b",
        ),
        (b"x", "multipart/form-data"),
        (b"&".join(b"a%d=1" % number for number in range(100_000)), "application/x-www-form-urlencoded"),
    ],
    ids=["parts", "file", "headers", "name", "no boundary", "fields"],
)
def test_a_form_that_wants_to_be_a_bomb(client: TestClient, body: bytes, kind: str) -> None:
    answer = client.post("/theme", content=body, headers={"Content-Type": kind})
    assert answer.status_code in (400, 413, 422), answer.status_code
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "email",
    [
        "ｔraveller@example.com",
        "trаveller@example.com",
        "traveller@exаmple.com",
        "traveller@example.com\u200b",
        "TRAVELLER@EXAMPLE.COM",
    ],
    ids=["wide", "cyrillic", "cyrillic domain", "zero width", "capitals"],
)
def test_a_lookalike_is_not_somebody_else(client: TestClient, people: None, email: str) -> None:
    """Another spelling is either the same account, with its own password, or nobody."""
    answer = client.post("/account/sign-in", data={"email": email, "password": "not the password"})
    assert answer.status_code in (401, 422)
    answer = client.post("/account/sign-in", data={"email": email, "password": PASSWORD})
    if email.lower() != LOGIN["email"]:
        assert answer.status_code in (401, 422)


def patterns() -> list[re.Pattern[str]]:
    """Return every regular expression that a module of the portal keeps."""
    for found in pkgutil.walk_packages(portal.__path__, "portal."):
        __import__(found.name)
    kept = [vars(module) for name, module in list(sys.modules.items()) if name.startswith("portal.")]
    ours = {id(one): one for names in kept for one in names.values() if isinstance(one, re.Pattern)}
    return [one for one in ours.values() if isinstance(one.pattern, str)]


def test_no_expression_of_ours_takes_for_ever() -> None:
    """Catastrophic backtracking grows with a power of the length: ten thousand letters would take hours."""
    slow = ("a", "0", " ", "-", "A1", "a@", "a.", "/", "\t", "%41", ": ", "(", "JFK-", "é", "1,")
    assert len(patterns()) > 10
    for pattern in patterns():
        for piece in slow:
            text, began = piece * (10_000 // len(piece)) + "\x01", time.perf_counter()
            for ask in (pattern.search, pattern.match, pattern.fullmatch):
                ask(text)
            assert time.perf_counter() - began < 20, (pattern.pattern, piece)


def test_the_demo_mailbox_is_not_in_production(settings: Settings) -> None:
    with TestClient(create_app(replace(settings, env="production", demo=False))) as client:
        assert client.get("/dev/mail").status_code == 404

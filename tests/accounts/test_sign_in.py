"""Register, sign in, sign out in a browser: the cookie stands for one signed-in browser and nothing else."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from portal.accounts import passwords, service
from portal.accounts.models import SignIn, User
from portal.app import create_app
from portal.kit import clock, db, ids, outbox, signing
from portal.kit.settings import Settings
from tests import people

PASSWORD = "a quiet blue morning"
ROBIN = {"email": "robin@example.com", "firstName": "Robin", "lastName": "Wood"}
COOKIE = "sign-in"


def register(client: TestClient, **changes: str) -> int:
    form = {**ROBIN, "password": PASSWORD, "confirmPassword": PASSWORD, **changes}
    status = client.post("/account/register", data=form).status_code
    people.confirm(client)
    return status


def sign_in(client: TestClient, email: str = ROBIN["email"], password: str = PASSWORD, after: str = "") -> str | None:
    answer = client.post("/account/sign-in", data={"email": email, "password": password, "next": after})
    return answer.headers["location"] if answer.status_code == 303 else None


def known(client: TestClient) -> bool:
    return client.get("/account").status_code == 200


@pytest.fixture
def robin(client: TestClient) -> TestClient:
    """A browser whose reader has an account and is signed in."""
    assert register(client) == 303
    assert sign_in(client) == "/"
    return client


def test_register_then_sign_in_then_sign_out(client: TestClient) -> None:
    assert register(client) == 303
    assert not known(client)
    assert sign_in(client) == "/"
    page = client.get("/account")
    assert "robin@example.com" in page.text
    assert "Robin Wood" in page.text
    assert client.post("/account/sign-out").headers["location"] == "/"
    assert not known(client)


def test_only_hashes_are_kept(robin: TestClient) -> None:
    with db.reading() as session:
        kept = session.scalar(select(User.password_hash))
        fingerprint = session.scalar(select(SignIn.fingerprint))
    assert kept.startswith("$argon2id$")
    word = signing.unseal(robin.app.state.settings, "sign-in", robin.cookies[COOKIE])  # type: ignore[attr-defined]
    assert fingerprint == ids.fingerprint(word)
    assert word not in fingerprint


def test_the_session_changes_at_sign_in_and_the_old_one_is_worthless(robin: TestClient) -> None:
    planted = robin.cookies[COOKIE]
    assert sign_in(robin) == "/"
    assert robin.cookies[COOKIE] != planted
    robin.cookies.clear()
    robin.cookies.set(COOKIE, planted)
    assert not known(robin)


def test_a_cookie_that_was_stolen_before_signing_out_is_worthless_afterwards(robin: TestClient) -> None:
    stolen = robin.cookies[COOKIE]
    robin.post("/account/sign-out")
    robin.cookies.set(COOKIE, stolen)
    assert not known(robin)


def test_forged_cookies_are_nobody(robin: TestClient, settings: Settings) -> None:
    with db.reading() as session:
        fingerprint = session.scalar(select(SignIn.fingerprint))
    other = replace(settings, secret_key="somebody else's secret, long enough to be one")
    real = robin.cookies[COOKIE]
    forged = [
        signing.seal(other, "sign-in", "word"),
        signing.seal(settings, "sign-in", ids.secret()),
        signing.seal(settings, "notices", "word"),
        signing.seal(settings, "sign-in", fingerprint),
        signing.seal(settings, "sign-in", {"user": "admin"}),
        real[:-9] + ("A" if real[-9] != "A" else "B") + real[-8:],
        "x" * 3000,
        "",
    ]
    for cookie in forged:
        robin.cookies.clear()
        robin.cookies.set(COOKIE, cookie)
        assert robin.get("/account").status_code == 303


def test_the_cookie_is_kept_from_scripts_and_bound_to_the_host_where_https_is(settings: Settings) -> None:
    for base, marks in (
        ("http://testserver", ["HttpOnly", "SameSite=lax", "Path=/"]),
        ("https://testserver", ["__Host-sign-in=", "Secure", "HttpOnly", "SameSite=lax", "Path=/"]),
    ):
        with TestClient(create_app(replace(settings, base_url=base)), base_url=base, follow_redirects=False) as client:
            register(client)
            answer = client.post("/account/sign-in", data={"email": ROBIN["email"], "password": PASSWORD})
            (cookie,) = [c for c in answer.headers.get_list("set-cookie") if "sign-in=" in c]
            assert all(mark in cookie for mark in marks)
            assert "Domain" not in cookie
            assert known(client)


def test_a_sign_in_lapses_unless_it_is_used(robin: TestClient) -> None:
    for _ in range(3):
        with clock.shifted(timedelta(days=13)):
            assert known(robin)
        with db.writing() as session:
            aged = {"last_seen_at": SignIn.last_seen_at - timedelta(days=13)}
            session.execute(update(SignIn).values(expires_at=SignIn.expires_at - timedelta(days=13), **aged))
    with clock.shifted(timedelta(days=15)):
        assert not known(robin)


def test_a_sign_in_ends_after_half_a_year_however_much_it_is_used(robin: TestClient) -> None:
    with db.writing() as session:
        session.execute(update(SignIn).values(created_at=clock.now() - timedelta(days=179)))
    with clock.shifted(timedelta(hours=20)):
        assert known(robin)
    with clock.shifted(timedelta(days=2)):
        assert not known(robin)


def test_being_seen_is_noted_only_now_and_then(robin: TestClient) -> None:
    def last_seen() -> object:
        with db.reading() as session:
            return session.scalar(select(SignIn.last_seen_at))

    before = last_seen()
    robin.get("/account")
    assert last_seen() == before
    with clock.shifted(timedelta(minutes=6)):
        robin.get("/account")
    assert last_seen() != before


def test_staff_sign_ins_lapse_after_half_a_day(client: TestClient) -> None:
    with db.writing() as session:
        service.ensure_demo_users(session)
    assert sign_in(client, "staff@example.com", service.DEMO_PASSWORD) == "/admin"
    with clock.shifted(timedelta(hours=13)):
        assert not known(client)


def test_a_taken_address_gets_the_same_page_and_its_owner_a_letter(client: TestClient) -> None:
    answers = []
    for name in ("Robin", "Mallory"):
        form = {**ROBIN, "firstName": name, "password": PASSWORD, "confirmPassword": PASSWORD}
        answer = client.post("/account/register", data={**form, "email": "ROBIN@example.com"})
        answers.append((answer.status_code, answer.headers["location"], client.get("/account/check-mail").text))
        if name == "Robin":
            people.confirm(client)
            client.get("/account/sign-in")
    assert strip_request_id(answers[0]) == strip_request_id(answers[1])
    with db.reading() as session:
        kinds = session.scalars(select(outbox.Letter.kind).order_by(outbox.Letter.id)).all()
        assert session.scalar(select(func.count()).select_from(User)) == 1
        assert session.scalar(select(User.given_name)) == "Robin"
    assert kinds == ["mail.account_confirm", "mail.account_welcome", "mail.account_confirm"]


def strip_request_id(answer: tuple[int, str, str]) -> tuple[int, str, str]:
    return (*answer[:2], re.sub(r"<code>[^<]*</code>", "", answer[2]))


def test_wrong_address_and_wrong_password_get_the_same_sentence(robin: TestClient) -> None:
    robin.cookies.clear()
    texts = []
    for email, password in (("robin@example.com", "not the password"), ("nobody@example.com", PASSWORD)):
        answer = robin.post("/account/sign-in", data={"email": email, "password": password})
        assert answer.status_code == 422
        assert email in answer.text
        assert password not in answer.text
        texts.append(answer.text.replace(email, ""))
    assert texts[0] == texts[1]


def test_an_unknown_address_costs_the_same_work(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 is what takes the time: count how often it runs, rather than how long."""
    runs: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            runs.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "hasher", Counting(time_cost=2, memory_cost=19_456, parallelism=1))
    with TestClient(create_app(settings), follow_redirects=False) as client:
        register(client)
        for email in ("robin@example.com", "nobody@example.com"):
            sign_in(client, email, "not the password")
    assert len(runs) == 2
    assert len({run.split("$")[3] for run in runs}) == 1


def test_an_old_hash_is_renewed_at_the_next_sign_in(client: TestClient) -> None:
    register(client)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with db.writing() as session:
        session.execute(update(User).values(password_hash=weak))
    assert sign_in(client) == "/"
    with db.reading() as session:
        kept = session.scalar(select(User.password_hash))
    assert kept != weak
    assert not passwords.hasher.check_needs_rehash(kept)
    assert sign_in(client) == "/"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "/%0d%0aSet-Cookie:x=1\r\nX: 1",
        " //evil.example",
        "x" * 5000,
    ],
)
def test_nobody_is_sent_to_another_site(client: TestClient, elsewhere: str) -> None:
    register(client)
    for answer in (
        client.post("/theme", data={"theme": "dark", "next": elsewhere}),
        client.post("/account/sign-in", data={"email": ROBIN["email"], "password": PASSWORD, "next": elsewhere}),
        client.get("/account/sign-in", params={"next": elsewhere}),
    ):
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"


def test_a_guest_is_taken_back_to_where_they_wanted_to_go(client: TestClient) -> None:
    register(client)
    first = client.get("/account")
    assert first.headers["location"] == "/account/sign-in?next=%2Faccount"
    form = client.get(first.headers["location"])
    assert 'name="next" value="/account"' in form.text
    assert sign_in(client, after="/book/abc?step=2&x=1") == "/book/abc?step=2&x=1"


@pytest.mark.parametrize(
    ("asked", "back"),
    [
        ("/manage?code=ABC234&x=a%20b", "/manage?code=ABC234&x=a%20b"),
        ("/manage", "/manage"),
        ("/manage?token=secret", "/manage"),
        ("/manage?a=1&key=secret", "/manage"),
        ("/manage?next=//evil.example", "/manage?next=//evil.example"),
        ("/manage?long=" + "x" * 3000, "/manage"),
    ],
)
def test_another_brightness_leads_back_to_the_very_page(client: TestClient, asked: str, back: str) -> None:
    form = client.get(asked).text.partition("data-theme-switch")[2]
    found = re.search(r'name="next" value="([^"]*)"', form)
    assert found
    wish = html.unescape(found[1])
    assert wish == back
    assert client.post("/theme", data={"theme": "dark", "next": wish}).headers["location"] == back


def test_the_chosen_brightness_is_kept(client: TestClient) -> None:
    answer = client.post("/theme", data={"theme": "dark", "next": "/help"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/help")
    assert 'data-theme="dark"' in client.get("/account/sign-in").text
    assert client.post("/theme", data={"theme": "pink"}).status_code == 422
    client.cookies.clear()
    client.cookies.set("theme", 'x"><script>')
    assert 'data-theme="auto"' in client.get("/account/sign-in").text


def test_signing_in_from_any_page_leads_back_to_it(client: TestClient) -> None:
    register(client)
    page = client.get("/help?x=1&y=a%26b")
    address = re.findall(r'href="(/account/sign-in[^"]*)"', page.text)[0]
    after = html.unescape(re.findall(r'name="next" value="([^"]*)"', client.get(html.unescape(address)).text)[0])
    assert sign_in(client, after=after) == "/help?x=1&y=a%26b"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("email", "", "Please fill this in."),
        ("email", "no address", "an e-mail address such as"),
        ("email", f"{'x' * 300}@example.com", "This is too long."),
        ("email", "a@example.com\r\nBcc: all@example.com", "an e-mail address such as"),
        ("firstName", "", "Please fill this in."),
        ("firstName", "x" * 81, "This is too long."),
        ("firstName", "Ro\x00bin", "can be typed"),
        ("firstName", "Ro\tbin", "cannot be printed"),
        ("lastName", "1234", "letters in it"),
        ("lastName", "Wo\u202eod", "cannot be printed"),
        ("password", "short", "at least 12 characters"),
        ("password", "robin@example.com", "mostly your name, your e-mail"),
        ("password", "a b c d e f g " * 10, "at most 128 characters"),
        ("password", "x" * 2000, "This is too long."),
        ("confirmPassword", "another password", "not the password typed above"),
    ],
)
def test_a_wrong_field_is_named_and_what_was_typed_stays(
    client: TestClient, field: str, value: str, sentence: str
) -> None:
    form = {**ROBIN, "password": PASSWORD, "confirmPassword": PASSWORD, field: value}
    if field == "password":
        form["confirmPassword"] = value
    answer = client.post("/account/register", data=form)
    assert answer.status_code == 422
    assert f'id="{field}-why"' in answer.text
    assert sentence in answer.text
    assert PASSWORD not in answer.text
    for name in ("firstName", "lastName", "email"):
        if name != field:
            assert f'value="{form[name]}"' in answer.text


def test_html_in_a_name_stays_text(client: TestClient) -> None:
    register(client, firstName="<script>alert(1)</script>")
    sign_in(client)
    assert "<script>alert(1)" not in client.get("/account").text
    assert "&lt;script&gt;alert(1)" in client.get("/account").text


def test_a_profile_keeps_new_names_and_refuses_empty_ones(robin: TestClient) -> None:
    assert robin.post("/account", data={"firstName": "Élodie", "lastName": "Müller-Ōta"}).status_code == 303
    assert "Élodie Müller-Ōta" in robin.get("/account").text
    assert robin.post("/account", data={"firstName": "", "lastName": "x"}).status_code == 422


def test_ten_wrong_guesses_close_the_door_for_a_while_and_a_right_one_opens_it(limited: Settings) -> None:
    with TestClient(create_app(limited), follow_redirects=False) as client:
        register(client)
        for _ in range(9):
            assert sign_in(client, password="a wrong guess") is None
        assert sign_in(client) == "/"
        for _ in range(10):
            sign_in(client, password="a wrong guess")
        refused = client.post("/account/sign-in", data={"email": "Robin@example.com", "password": PASSWORD})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        unknown = [
            client.post("/account/sign-in", data={"email": "nobody@example.com", "password": PASSWORD}).status_code
            for _ in range(11)
        ]
        assert unknown == [422] * 10 + [429]


def test_without_redis_nobody_signs_in_but_who_is_in_stays_in(robin: TestClient, limited: Settings) -> None:
    away = replace(limited, redis_url="redis://127.0.0.1:1/0")
    with TestClient(create_app(away), follow_redirects=False) as client:
        answer = client.post("/account/sign-in", data={"email": ROBIN["email"], "password": PASSWORD})
        assert answer.status_code == 503
        assert "Nothing is wrong with yours" in answer.text
        client.cookies.set(COOKIE, robin.cookies[COOKIE])
        assert known(client)


def test_passwords_are_the_same_on_every_keyboard(client: TestClient) -> None:
    """A composed and a decomposed é are one letter to the person who types it."""
    register(client, password="caf\u00e9 in the morning", confirmPassword="caf\u00e9 in the morning")
    assert sign_in(client, password="cafe\u0301 in the morning") == "/"
    assert sign_in(client, password=" caf\u00e9 in the morning ") is None

"""Where one is signed in: a list a person can read, an end to each, and a letter about what is new."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from portal.accounts import rules
from portal.accounts.models import Preferences, SignIn, User
from portal.app import create_app
from portal.kit import db, outbox
from portal.kit.settings import Settings
from portal.tokens.models import RefreshToken
from tests import people
from tests.accounts.test_letters import inbox, text, work_off

LOGIN = {"email": "robin@example.com", "password": people.PASSWORD}
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"
DESK = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def browser(settings: Settings, agent: str, address: str = "203.0.113.7") -> TestClient:
    """A signed-in browser of robin's, which exists."""
    made = TestClient(
        create_app(settings), follow_redirects=False, headers={"User-Agent": agent}, client=(address, 5000)
    )
    assert made.post("/account/sign-in", data=LOGIN).status_code == 303
    return made


def known(client: TestClient) -> bool:
    return client.get("/account").status_code == 200


def notices() -> list[dict[str, object]]:
    with db.reading() as session:
        kept = select(outbox.Letter.payload).where(outbox.Letter.kind == "mail.account_notice")
        return [one for one in session.scalars(kept.order_by(outbox.Letter.id)) if one["kind"] == "new_sign_in"]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (PHONE, "Safari on iPhone"),
        (DESK, "Firefox on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15) Version/18 Safari/605", "Safari on Mac"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140 Safari/537 Edg/140.0", "Edge on Windows"),
        ("curl/8.1", "A browser that does not say its name"),
        ("", "A browser that does not say its name"),
    ],
)
def test_a_browser_is_called_what_people_call_it(agent: str, name: str) -> None:
    assert rules.device_name(agent) == name


def test_each_is_listed_and_can_be_ended_from_another(client: TestClient, settings: Settings) -> None:
    people.join(client)
    desk, phone = browser(settings, DESK), browser(settings, PHONE, "198.51.100.4")
    page = desk.get("/account/security").text
    assert page.index("Firefox on Windows") < page.index("Safari on iPhone")
    assert "198.51.100.4" in page
    ends = re.findall(r'action="(/account/devices/[0-9a-f-]+/end)"', page)
    assert len(ends) == 1
    assert desk.post(ends[0]).status_code == 303
    assert known(desk)
    assert not known(phone)


def test_nobody_ends_anothers(client: TestClient, settings: Settings) -> None:
    people.join(client)
    own = browser(settings, DESK)
    with db.reading() as session:
        theirs = session.scalars(select(SignIn.id)).one()
    with TestClient(create_app(settings), follow_redirects=False) as mallory:
        people.join(mallory, "mallory@example.com")
        mallory.post("/account/sign-in", data={**LOGIN, "email": "mallory@example.com"})
        assert mallory.post(f"/account/devices/{theirs}/end").status_code == 404
        mallory.post("/account/devices/end")
        assert mallory.post("/account/devices/nonsense/end").status_code == 404
        assert known(own)


def test_everywhere_else_is_everywhere_else(client: TestClient, settings: Settings) -> None:
    people.join(client)
    desk, phone = browser(settings, DESK), browser(settings, PHONE)
    tokens = client.post("/api/auth/login", json=LOGIN).json()
    assert desk.post("/account/devices/end").status_code == 303
    assert known(desk)
    assert not known(phone)
    assert client.post("/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]}).status_code == 401


def test_a_program_of_a_new_kind_is_told_by_mail_too(client: TestClient, settings: Settings) -> None:
    """Whoever has the password and comes through the API's door is no less in than by the page."""
    people.join(client)

    def log_in(agent: str, address: str = "203.0.113.7") -> None:
        at = TestClient(client.app, client=(address, 5000))
        login = {"email": "robin@example.com", "password": people.PASSWORD}
        assert at.post("/api/auth/login", json=login, headers={"User-Agent": agent}).status_code == 200

    def told() -> list[str]:
        with db.reading() as session:
            kept = select(outbox.Letter.payload).where(outbox.Letter.kind == "mail.account_notice")
            kinds = session.scalars(kept.order_by(outbox.Letter.id)).all()
        return [one["facts"]["program"] for one in kinds if one["kind"] == "new_program"]

    log_in("curl/8.5.0")
    assert told() == []  # the very first of an account
    log_in("curl/8.6.0")
    assert told() == []
    log_in("python-requests/2.32")
    log_in("python-requests/2.33", "203.0.200.1")
    assert told() == ["python-requests"]
    log_in("curl/8.5.0", "198.51.100.4")
    log_in("Mozilla/5.0 (Windows NT 10.0) Firefox/140.0", "198.51.100.4")
    assert told() == ["python-requests", "curl", "Firefox on Windows"]
    work_off(settings)
    letters = [text(one) for one in inbox(settings) if "new program" in one["subject"]]
    letter = next(one for one in letters if "Program: python-requests" in one)
    assert re.search(r"From: .*203\.0\.113\.7", letter)
    assert "/account/api-keys" in letter
    with db.writing() as session:
        session.execute(insert(Preferences).values(user_id=select(User.id).scalar_subquery(), muted=["newSignIn"]))
    log_in("wget/1.21")
    assert len(told()) == 3


def test_whoever_wants_no_addresses_kept_has_none_of_programs_kept_either(client: TestClient) -> None:
    people.join(client)
    with db.writing() as session:
        session.execute(insert(Preferences).values(user_id=select(User.id).scalar_subquery(), keep_address=False))
    login = {"email": "robin@example.com", "password": people.PASSWORD}
    pair = client.post("/api/auth/login", json=login).json()
    assert client.post("/api/auth/refresh", json={"refreshToken": pair["refreshToken"]}).status_code == 200
    with db.reading() as session:
        assert session.scalars(select(RefreshToken.address)).all() == [None, None]


def test_only_what_is_new_is_told_by_mail(client: TestClient, settings: Settings) -> None:
    people.join(client)
    browser(settings, DESK)
    assert notices() == []  # the first one of all is the one that made the account
    browser(settings, DESK, "203.0.113.200")  # the same network
    assert notices() == []
    browser(settings, PHONE)
    browser(settings, PHONE)
    browser(settings, DESK, "198.51.100.4")
    assert [one["facts"]["device"] for one in notices()] == ["Safari on iPhone", "Firefox on Windows"]  # type: ignore[index]  # JSON


def test_who_does_not_want_the_letter_or_the_address_kept_gets_neither(client: TestClient, settings: Settings) -> None:
    people.join(client)
    desk = browser(settings, DESK)
    assert desk.post("/account/preferences", data={"checkIn": "1", "fareAlerts": "1"}).status_code == 303
    phone = browser(settings, PHONE)
    assert notices() == []
    assert "place not kept" in phone.get("/account/security").text
    assert phone.get("/api/me", headers={}).status_code == 401
    with db.reading() as session:
        assert None in set(session.scalars(select(SignIn.address)))


def test_a_token_that_comes_a_second_time_is_told_once(client: TestClient, settings: Settings) -> None:
    """Its owner reads which program was signed out, and that the token may have been copied."""
    people.join(client)
    agent = {"User-Agent": "curl/8.5.0"}
    spent = client.post("/api/auth/login", json=LOGIN, headers=agent).json()["refreshToken"]
    assert client.post("/api/auth/refresh", json={"refreshToken": spent}, headers=agent).status_code == 200
    for _ in range(2):
        assert client.post("/api/auth/refresh", json={"refreshToken": spent}, headers=agent).status_code == 401
    work_off(settings)
    letters = [text(one) for one in inbox(settings) if "signed out of your account" in one["subject"]]
    assert len(letters) == 1
    assert "Program: curl" in letters[0]
    assert "came a second time" in letters[0]

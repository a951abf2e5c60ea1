"""The letters that accounts send arrive, once, and say nothing to anyone but the address's owner."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal.accounts import letters, service
from portal.accounts.models import PendingAccount, SignIn, User
from portal.app import create_app
from portal.kit import clock, db, outbox
from portal.kit.settings import Settings
from portal.tokens.models import RefreshToken
from tasks.handlers import HANDLERS
from tests import people

ROBIN = {
    "email": "robin@example.com",
    "firstName": "Robin <b>",
    "lastName": "Wood",
    "password": people.PASSWORD,
    "confirmPassword": people.PASSWORD,
}


def work_off(settings: Settings) -> None:
    with db.reading() as session:
        kept = session.scalars(select(outbox.Letter).order_by(outbox.Letter.id)).all()
    for letter in kept:
        HANDLERS[letter.kind](settings, letter)


def inbox(settings: Settings) -> list[EmailMessage]:
    files = sorted(Path(settings.mail_dir).glob("*.eml"))
    return [cast(EmailMessage, message_from_bytes(file.read_bytes(), policy=policy.default)) for file in files]


def text(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def link(message: EmailMessage) -> str:
    """Return the path and query of the mailed link."""
    return re.findall(r"http://testserver(/account/\S+\?token=\S+)", text(message))[0]


def test_a_wish_is_confirmed_by_its_letter_and_a_second_wish_told_to_the_owner(
    client: TestClient, settings: Settings
) -> None:
    client.post("/account/register", data=ROBIN)
    work_off(settings)
    (first,) = inbox(settings)
    assert first["to"] == "robin@example.com"
    page = client.get(link(first))
    assert "robin@example.com" in page.text
    assert "Robin &lt;b&gt;" in page.text
    token = link(first).partition("token=")[2]
    assert client.post("/account/verify-email", data={"token": token}).status_code == 303
    for _ in range(2):
        client.post("/account/register", data=ROBIN)
    for _ in range(2):
        work_off(settings)
    _, welcome, exists, again = inbox(settings)
    assert welcome["to"] == exists["to"] == again["to"] == "robin@example.com"
    assert "ready" in welcome["subject"]
    assert "already" in exists["subject"]
    assert "Robin &lt;b&gt;" in text(welcome, "html")
    for message in (first, welcome, exists):
        assert people.PASSWORD not in message.as_string()
    for message in (welcome, exists):
        assert f"{settings.base_url}/account/sign-in" in text(message)


def test_asking_for_a_new_password_writes_only_to_who_has_an_account(client: TestClient, settings: Settings) -> None:
    people.join(client)
    for email in ("nobody@example.com", "ROBIN@example.com"):
        assert client.post("/account/forgot-password", data={"email": email}).status_code == 303
    work_off(settings)
    asked = [one for one in inbox(settings) if "reset-password" in text(one)]
    assert [one["to"] for one in asked] == ["robin@example.com"]
    assert "nobody@example.com" not in {one["to"] for one in inbox(settings)}


def test_a_mailbox_is_not_flooded(limited: Settings) -> None:
    with TestClient(create_app(limited), follow_redirects=False) as browser:
        for _ in range(10):
            assert browser.post("/account/forgot-password", data={"email": "robin@example.com"}).status_code == 303
        with db.reading() as session:
            asked = select(func.count()).select_from(outbox.Letter).where(outbox.Letter.kind == "mail.account_reset")
            assert session.scalar(asked) == 6


@pytest.mark.parametrize("kind", letters.NOTICES)
def test_every_notice_can_be_read(client: TestClient, settings: Settings, kind: str) -> None:
    people.join(client)
    with db.writing() as session:
        user_id = session.scalars(select(User.id)).one()
        facts = {
            "device": "Firefox on Windows",
            "address": "203.0.113.7",
            "name": "Key <1>",
            "email": "new@example.com",
        }
        service.notice(session, user_id, kind, **facts)
    work_off(settings)
    message = inbox(settings)[-1]
    assert message["to"] == "robin@example.com"
    for part in ("plain", "html"):
        assert "Firefox on Windows" in text(message, part)
        assert "203.0.113.7" in text(message, part)
        assert settings.base_url in text(message, part)
    assert "Key &lt;1&gt;" in text(message, "html")


def test_a_notice_about_an_unknown_kind_or_a_person_who_is_gone_is_let_go(
    client: TestClient, settings: Settings
) -> None:
    people.join(client)
    with db.writing() as session:
        service.notice(session, session.scalars(select(User.id)).one(), "something_else")
        service.notice(session, UUID(int=1), "password_changed")
    work_off(settings)
    assert [one["subject"] for one in inbox(settings)] == ["Your account at Meridian Air is ready"]


def test_the_old_address_hears_that_it_was_changed(client: TestClient, settings: Settings) -> None:
    people.join(client)
    client.post("/account/sign-in", data={"email": ROBIN["email"], "password": people.PASSWORD})
    client.post("/account/email", data={"email": "new@example.com", "password": people.PASSWORD})
    work_off(settings)
    asked = inbox(settings)[-1]
    assert asked["to"] == "new@example.com"
    token = link(asked).partition("token=")[2]
    assert "new@example.com" in client.get(link(asked)).text
    assert client.post("/account/change-address", data={"token": token}).status_code == 303
    work_off(settings)
    told = inbox(settings)[-1]
    assert told["to"] == "robin@example.com"
    assert "new@example.com" in text(told)


def test_the_sweep_forgets_what_has_lapsed(client: TestClient, settings: Settings) -> None:
    client.post("/account/register", data={**ROBIN, "email": "never@example.com"})
    people.join(client)
    login = {"email": ROBIN["email"], "password": ROBIN["password"]}
    client.post("/account/sign-in", data=login)
    client.post("/api/auth/login", json=login)

    def kept() -> list[int]:
        tables = (SignIn, RefreshToken, PendingAccount)
        with db.reading() as session:
            return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]

    sweep = outbox.Letter(kind="accounts.sweep", payload={})
    HANDLERS["accounts.sweep"](settings, sweep)
    assert kept() == [1, 1, 1]
    with clock.shifted(timedelta(days=31)):
        HANDLERS["accounts.sweep"](settings, sweep)
    assert kept() == [0, 0, 0]

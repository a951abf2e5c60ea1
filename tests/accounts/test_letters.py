"""The letters that accounts send arrive, once, and say nothing to anyone but the address's owner."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal.accounts.models import SignIn
from portal.kit import clock, db, outbox
from portal.kit.settings import Settings
from portal.tokens.models import RefreshToken
from tasks.handlers import HANDLERS

ROBIN = {
    "email": "robin@example.com",
    "firstName": "Robin <b>",
    "lastName": "Wood",
    "password": "a quiet blue morning",
    "confirmPassword": "a quiet blue morning",
}


def work_off(settings: Settings) -> None:
    with db.reading() as session:
        letters = session.scalars(select(outbox.Letter).order_by(outbox.Letter.id)).all()
    for letter in letters:
        HANDLERS[letter.kind](settings, letter)


def inbox(settings: Settings) -> list[EmailMessage]:
    files = sorted(Path(settings.mail_dir).glob("*.eml"))
    return [cast(EmailMessage, message_from_bytes(file.read_bytes(), policy=policy.default)) for file in files]


def test_a_new_account_is_greeted_and_a_second_wish_told_to_the_owner(client: TestClient, settings: Settings) -> None:
    for _ in range(3):
        client.post("/account/register", data=ROBIN)
    for _ in range(2):
        work_off(settings)
    welcome, exists = inbox(settings)
    assert welcome["to"] == exists["to"] == "robin@example.com"
    assert "ready" in welcome["subject"]
    assert "already" in exists["subject"]
    html = welcome.get_body(("html",))
    assert html is not None
    assert "Robin &lt;b&gt;" in html.get_content()
    for message in (welcome, exists):
        text = message.get_body(("plain",))
        assert text is not None
        assert f"{settings.base_url}/account/sign-in" in text.get_content()
        assert "a quiet blue morning" not in message.as_string()


def test_the_sweep_forgets_what_has_lapsed(client: TestClient, settings: Settings) -> None:
    client.post("/account/register", data=ROBIN)
    login = {"email": ROBIN["email"], "password": ROBIN["password"]}
    client.post("/account/sign-in", data=login)
    client.post("/api/auth/login", json=login)

    def kept() -> list[int]:
        with db.reading() as session:
            return [session.scalar(select(func.count()).select_from(table)) or 0 for table in (SignIn, RefreshToken)]

    sweep = outbox.Letter(kind="accounts.sweep", payload={})
    HANDLERS["accounts.sweep"](settings, sweep)
    assert kept() == [1, 1]
    with clock.shifted(timedelta(days=31)):
        HANDLERS["accounts.sweep"](settings, sweep)
    assert kept() == [0, 0]

"""Mailed links: a GET shows and changes nothing, a POST works once and in time, and no page tells its address on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from starlette.testclient import TestClient

from portal.accounts import credentials, passwords
from portal.accounts.models import PendingAccount, User
from portal.app import create_app
from portal.kit import audit, clock, db, signing
from portal.kit.settings import Settings
from tests import people

LOGIN = {"email": "robin@example.com", "password": people.PASSWORD}
NEW = "another quiet evening"


@pytest.fixture
def robin(client: TestClient) -> TestClient:
    """A browser whose reader has an account and is signed in."""
    people.join(client)
    assert client.post("/account/sign-in", data=LOGIN).status_code == 303
    return client


def owner() -> UUID:
    with db.reading() as session:
        return session.scalars(select(User.id)).one()


def known(client: TestClient) -> bool:
    return client.get("/account").status_code == 200


def reset_token(settings: Settings) -> str:
    return credentials.link(settings, credentials.RESET, str(owner()), 0)


def reset(client: TestClient, token: str, password: str = NEW) -> int:
    form = {"token": token, "newPassword": password, "confirmPassword": password}
    return client.post("/account/reset-password", data=form).status_code


LINKS: dict[str, Callable[[Settings], str]] = {
    "/account/verify-email": lambda settings: credentials.link(settings, credentials.VERIFY, str(owner()), 0),
    "/account/reset-password": reset_token,
    "/account/change-address": lambda settings: credentials.link(
        settings, credentials.ADDRESS, str(owner()), 0, "new@example.com"
    ),
    "/account/unlock": lambda settings: credentials.link(settings, credentials.UNLOCK, "robin@example.com"),
}


@pytest.mark.parametrize("path", LINKS)
def test_a_link_shows_and_changes_nothing_and_keeps_to_itself(robin: TestClient, settings: Settings, path: str) -> None:
    with db.writing() as session:
        session.execute(update(User).values(email_verified_at=None))
        before = session.execute(select(*User.__table__.columns)).all()
    for _ in range(2):  # as a mail reader that looks ahead does
        page = robin.get(path, params={"token": LINKS[path](settings)})
        assert page.status_code == 200
        assert "robin@example.com" in page.text
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert 'method="post"' in page.text
    with db.reading() as session:
        assert session.execute(select(*User.__table__.columns)).all() == before


@pytest.mark.parametrize("path", LINKS)
def test_a_link_lapses_and_is_for_its_purpose_and_its_portal_only(
    robin: TestClient, settings: Settings, path: str
) -> None:
    token = LINKS[path](settings)
    foreign = LINKS[path](replace(settings, secret_key="somebody else's secret, long enough to be one"))
    others = [LINKS[other](settings) for other in LINKS if other != path]
    for wrong in (foreign, token[:-3] + "AAA", "", "x" * 3000, "\u2603", *others):
        assert robin.get(path, params={"token": wrong}).status_code == 410
        form = {"token": wrong, "newPassword": NEW, "confirmPassword": NEW}
        assert robin.post(path, data=form).status_code in (410, 422)
    with clock.shifted(timedelta(days=8)):
        assert robin.get(path, params={"token": token}).status_code == 410


def test_a_link_for_a_new_password_lapses_after_an_hour(robin: TestClient, settings: Settings) -> None:
    token = reset_token(settings)
    with clock.shifted(timedelta(minutes=59)):
        assert robin.get("/account/reset-password", params={"token": token}).status_code == 200
    with clock.shifted(timedelta(minutes=61)):
        assert reset(robin, token) == 410


def test_a_new_password_by_mail_works_once_and_ends_every_sign_in(robin: TestClient, settings: Settings) -> None:
    tokens = robin.post("/api/auth/login", json=LOGIN).json()
    token = reset_token(settings)
    assert reset(robin, token) == 303
    assert not known(robin)
    assert robin.post("/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]}).status_code == 401
    assert robin.get("/api/me", headers={"Authorization": f"Bearer {tokens['accessToken']}"}).status_code == 401
    assert reset(robin, token, "a third quiet evening") == 410
    assert robin.post("/account/sign-in", data=LOGIN).status_code == 422
    assert robin.post("/account/sign-in", data={**LOGIN, "password": NEW}).status_code == 303
    with db.reading() as session:
        assert session.scalars(select(audit.AuditEntry.action).where(audit.AuditEntry.action.like("user.%"))).all() == [
            "user.password"
        ]


def test_a_link_is_worthless_once_the_password_was_changed_otherwise(robin: TestClient, settings: Settings) -> None:
    token = reset_token(settings)
    form = {"currentPassword": people.PASSWORD, "newPassword": NEW, "confirmPassword": NEW}
    assert robin.post("/account/password", data=form).status_code == 303
    assert reset(robin, token, "a third quiet evening") == 410


def test_a_weak_new_password_uses_nothing_up(robin: TestClient, settings: Settings) -> None:
    token = reset_token(settings)
    for weak in ("short", "password1234!", "robin@example.com", "Meridian Air 1", "Robin Wood 123"):
        assert reset(robin, token, weak) == 422
    form = {"token": token, "newPassword": NEW, "confirmPassword": "not the same one"}
    assert robin.post("/account/reset-password", data=form).status_code == 422
    assert reset(robin, token) == 303


def test_changing_the_password_signs_out_everywhere_else(robin: TestClient, settings: Settings) -> None:
    tokens = robin.post("/api/auth/login", json=LOGIN).json()
    with TestClient(create_app(settings), follow_redirects=False) as other:
        other.post("/account/sign-in", data=LOGIN)
        form = {"currentPassword": "not the password", "newPassword": NEW, "confirmPassword": NEW}
        assert robin.post("/account/password", data=form).status_code == 422
        assert known(other)
        form["currentPassword"] = people.PASSWORD
        assert robin.post("/account/password", data=form).status_code == 303
        assert known(robin)
        assert not known(other)
        assert other.post("/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]}).status_code == 401
        same = {"currentPassword": NEW, "newPassword": NEW, "confirmPassword": NEW}
        assert "that you have now" in robin.post("/account/password", data=same).text


def test_a_program_changes_the_password_and_goes_on(robin: TestClient) -> None:
    mine, other = (robin.post("/api/auth/login", json=LOGIN).json() for _ in range(2))
    header = {"Authorization": f"Bearer {mine['accessToken']}"}
    body = {"currentPassword": people.PASSWORD, "newPassword": NEW}
    assert robin.post("/api/auth/change-password", json=body).status_code == 401
    wrong = robin.post("/api/auth/change-password", json={**body, "currentPassword": "wrong"}, headers=header)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    assert robin.post("/api/auth/change-password", json=body, headers=header).status_code == 204
    assert robin.get("/api/me", headers=header).status_code == 200
    assert robin.post("/api/auth/refresh", json={"refreshToken": mine["refreshToken"]}).status_code == 200
    assert robin.post("/api/auth/refresh", json={"refreshToken": other["refreshToken"]}).status_code == 401
    assert not known(robin)


def test_a_program_confirms_resets_and_is_told_the_same_whoever_it_asks_about(
    client: TestClient, settings: Settings
) -> None:
    person = {"email": LOGIN["email"], "firstName": "Robin", "lastName": "Wood"}
    secret = {"password": people.PASSWORD, "confirmPassword": people.PASSWORD}
    made = client.post("/api/auth/register", json={**person, **secret}).json()
    assert client.post("/api/auth/login", json=LOGIN).status_code == 401
    with db.reading() as session:
        pending = session.scalars(select(PendingAccount.id)).one()
    assert str(pending) == made["id"]
    token = credentials.link(settings, credentials.CONFIRM, str(pending))
    assert client.post("/api/auth/verify-email", json={"token": token}).status_code == 204
    assert client.post("/api/auth/verify-email", json={"token": token}).json()["code"] == "link_refused"
    assert str(owner()) == made["id"]
    for call in ("resend-verification", "forgot-password"):
        asked = [
            client.post(f"/api/auth/{call}", json={"email": one}) for one in (LOGIN["email"], "nobody@example.com")
        ]
        assert [(one.status_code, one.content) for one in asked] == [(202, b"")] * 2
    body = {"token": reset_token(settings), "newPassword": NEW}
    assert client.post("/api/auth/reset-password", json=body).status_code == 204
    assert client.post("/api/auth/reset-password", json=body).status_code == 410
    assert client.post("/api/auth/login", json={**LOGIN, "password": NEW}).status_code == 200


def test_an_address_changes_once_and_only_with_the_password(robin: TestClient, settings: Settings) -> None:
    wish = {"email": "new@example.com", "password": "not the password"}
    assert robin.post("/account/email", data=wish).status_code == 422
    assert robin.post("/account/email", data={**wish, "password": people.PASSWORD}).status_code == 303
    assert "robin@example.com" in robin.get("/account/email").text
    token = credentials.link(settings, credentials.ADDRESS, str(owner()), 0, "new@example.com")
    assert robin.post("/account/change-address", data={"token": token}).status_code == 303
    assert robin.post("/account/change-address", data={"token": token}).status_code == 410
    assert robin.post("/account/sign-in", data={**LOGIN, "email": "new@example.com"}).status_code == 303
    assert robin.post("/account/sign-in", data=LOGIN).status_code == 422


def test_an_account_from_before_can_confirm_its_address(robin: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        session.execute(update(User).values(email_verified_at=None))
    assert "Not confirmed" in robin.get("/account/security").text
    token = credentials.link(settings, credentials.VERIFY, str(owner()), 0)
    assert robin.post("/account/verify-email", data={"token": token}).status_code == 303
    assert robin.post("/account/verify-email", data={"token": token}).status_code == 410
    assert "Not confirmed" not in robin.get("/account/security").text


def test_whoever_registers_an_address_first_does_not_own_it(client: TestClient, settings: Settings) -> None:
    """Somebody else's wish for my address ends when I confirm mine, and my password counts."""
    person = {"email": LOGIN["email"], "firstName": "Mallory", "lastName": "Thief"}
    theirs = {**person, "password": "a stolen blue morning", "confirmPassword": "a stolen blue morning"}
    client.post("/account/register", data=theirs)
    with db.reading() as session:
        planted = session.scalars(select(PendingAccount.id)).one()
    people.join(client)
    token = credentials.link(settings, credentials.CONFIRM, str(planted))
    assert client.post("/account/verify-email", data={"token": token}).status_code == 410
    assert client.post("/account/sign-in", data={**LOGIN, "password": "a stolen blue morning"}).status_code == 422
    assert client.post("/account/sign-in", data=LOGIN).status_code == 303


def test_no_log_and_no_letter_on_the_jobs_page_holds_a_word_of_a_link(
    robin: TestClient, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    token = reset_token(settings)
    caplog.set_level("WARNING", logger="httpx2")  # the browser's own notes are not ours
    with caplog.at_level("DEBUG", logger="portal"):
        robin.get("/account/reset-password", params={"token": token})
        reset(robin, token)
    assert token not in caplog.text
    written = [str(record.__dict__) for record in caplog.records if record.name.startswith("portal")]
    assert any("reset-password" in words for words in written)
    assert not any(token in words for words in written)


def test_the_hint_judges_and_keeps_nothing(client: TestClient) -> None:
    said = client.post("/account/password-hint", data={"newPassword": "password1234!"})
    assert "tried first" in said.text
    assert "password1234!" not in said.text
    assert said.headers["cache-control"] == "no-store"
    assert "This will do" in client.post("/account/password-hint", data={"newPassword": NEW}).text
    assert passwords.objection(NEW) is None


def test_old_seals_still_tell_their_age_by_our_clock(settings: Settings) -> None:
    sealed = signing.seal(settings, "anything", [1])
    with clock.shifted(timedelta(hours=2)), pytest.raises(signing.Lapsed):
        signing.unseal(settings, "anything", sealed, max_age_seconds=3600)


def test_an_error_of_the_database_tells_nothing_that_was_bound(settings: Settings) -> None:
    with pytest.raises(DBAPIError) as failed, db.writing() as session:
        session.execute(text("select cast(:secret as integer), 1 / 0"), {"secret": "12345"})
    assert "12345" not in str(failed.value)

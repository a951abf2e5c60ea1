"""People of the tests: make an account as its owner would, through the doors, with the mailed link in between."""

from __future__ import annotations

from sqlalchemy import select
from starlette.testclient import TestClient

from portal.accounts import credentials
from portal.accounts.models import PendingAccount
from portal.kit import db
from portal.kit.settings import Settings

PASSWORD = "a quiet blue morning"


def confirm(client: TestClient) -> int:
    """Use the mailed link of the newest wish for an account; returns the status: 409 where there is one already."""
    settings: Settings = client.app.state.settings  # type: ignore[attr-defined]  # a Starlette app, which has state
    with db.reading() as session:
        newest = select(PendingAccount.id).order_by(PendingAccount.created_at.desc()).limit(1)
        token = credentials.link(settings, credentials.CONFIRM, str(session.scalars(newest).one()))
    return client.post("/account/verify-email", data={"token": token}).status_code


def join(client: TestClient, email: str = "robin@example.com", password: str = PASSWORD, **names: str) -> None:
    """Have an account: register and confirm the address, if that was not done before. Nobody is signed in by it."""
    person = {"email": email, "firstName": "Robin", "lastName": "Wood", **names}
    form = {**person, "password": password, "confirmPassword": password}
    assert client.post("/account/register", data=form).status_code == 303
    assert confirm(client) in (303, 409)

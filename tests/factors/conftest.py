"""People with second factors: an account, its app, its recovery codes, its passkey."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pyotp
import pytest
from starlette.testclient import TestClient

from portal.accounts.queries import person_by_email
from portal.app import create_app
from portal.kit import clock, db
from portal.kit.settings import Settings
from tests.factors.device import Device
from tests.people import PASSWORD, join

EMAIL = "robin@example.com"
HERE = "/account/security/second-step"


@dataclass
class Person:
    """Somebody with an account, at a browser of theirs."""

    client: TestClient
    email: str = EMAIL
    secret: str = ""
    codes: list[str] = field(default_factory=list)
    device: Device = field(default_factory=Device)

    @property
    def id(self) -> UUID:
        """The account's id."""
        with db.reading() as session:
            found = person_by_email(session, self.email)
        assert found is not None
        return found.id

    def password(self, password: str = PASSWORD, after: str = "") -> str | None:
        """Type the password; returns where it leads, or None where it leads nowhere."""
        form = {"email": self.email, "password": password, "next": after}
        answer = self.client.post("/account/sign-in", data=form)
        return answer.headers["location"] if answer.status_code == 303 else None

    def second(self, code: str, **fields: str) -> str | None:
        """Type a code; returns where it leads, or None where it leads nowhere."""
        answer = self.client.post("/account/sign-in/second", data={"code": code, **fields})
        return answer.headers["location"] if answer.status_code == 303 else None

    def code(self, steps: int = 0) -> str:
        """What the app shows, so many half minutes from now."""
        return pyotp.TOTP(self.secret).at(clock.now(), counter_offset=steps)

    def enrol(self) -> None:
        """Connect an app; its first code is that of the half minute before, so that the present one is still good."""
        page = self.client.get("/account/security/authenticator")
        offer = re.findall(r'name="offer" value="([^"]+)"', page.text)[0]
        self.secret = re.findall(r'class="secret">([^<]+)<', page.text)[0].replace(" ", "")
        form = {"offer": offer, "code": self.code(-1), "name": "My phone"}
        made = self.client.post("/account/security/authenticator", data=form)
        self.codes = self.codes or re.findall(r"<li><code>([^<]+)</code>", made.text)

    def add_passkey(self, device: Device | None = None, name: str = "Laptop") -> int:
        """Make a passkey; returns the answer's status."""
        self.device = device or self.device
        options = self.client.get("/account/security/passkeys/new").json()
        form = {"answer": self.device.create(options), "name": name}
        made = self.client.post("/account/security/passkeys", data=form)
        self.codes = self.codes or re.findall(r"<li><code>([^<]+)</code>", made.text)
        return made.status_code

    def leave(self) -> None:
        """Sign out."""
        self.client.post("/account/sign-out")

    def known(self) -> bool:
        """True when the browser is signed in."""
        return self.client.get("/account").status_code == 200


@pytest.fixture
def robin(client: TestClient) -> Person:
    """Somebody with an account, signed in with a password."""
    join(client)
    person = Person(client)
    assert person.password() == "/"
    return person


@pytest.fixture
def browser_of(settings: Settings) -> Iterator[type]:
    """More browsers on the same portal: `browser_of(settings)`."""
    opened: list[TestClient] = []

    def make(changed: Settings | None = None) -> TestClient:
        one = TestClient(create_app(changed or settings), follow_redirects=False)
        opened.append(one)
        return one.__enter__()

    yield make  # type: ignore[misc]  # a function is as good as a class to call
    for one in opened:
        one.__exit__(None, None, None)


def later(minutes: float) -> timedelta:
    """So many minutes, for `clock.shifted`."""
    return timedelta(minutes=minutes)

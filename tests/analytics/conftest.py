"""People with roles, and a few sales whose figures are rolled up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from deploy.local.services import TestServices
from portal.accounts import service as accounts
from portal.analytics import service
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing.rules import Party
from tests import world
from tests.booking import makers
from tests.conftest import furnished


@pytest.fixture(scope="session")
def template(services: TestServices, template: str) -> str:
    """The name of a database with the demo's people, whose passwords take their time."""

    def people() -> None:
        with db.writing() as session:
            accounts.ensure_demo_users(session)

    return furnished(services, template, people)


@pytest.fixture
def signed_in(client: TestClient) -> Callable[[str], TestClient]:
    """Sign the browser in as somebody of a role."""

    def sign_in(role: str) -> TestClient:
        client.cookies.clear()
        email = next(email for email, _, _, its in accounts.DEMO_USERS if its == role)
        form = {"email": email, "password": accounts.DEMO_PASSWORD}
        assert client.post("/account/sign-in", data=form).status_code == 303
        return client

    return sign_in


@pytest.fixture
def staff(signed_in: Callable[[str], TestClient]) -> TestClient:
    """A browser of somebody in the back office."""
    return signed_in("staff")


@pytest.fixture
def token(client: TestClient) -> Callable[[str], dict[str, str]]:
    """Return the headers of a program that acts for somebody of a role."""

    def headers(role: str) -> dict[str, str]:
        email = next(email for email, _, _, its in accounts.DEMO_USERS if its == role)
        answer = client.post("/api/auth/login", json={"email": email, "password": accounts.DEMO_PASSWORD})
        return {"Authorization": f"Bearer {answer.json()['accessToken']}"}

    return headers


def roll_up() -> None:
    """Redo every day."""
    with db.writing() as session:
        service.mark_all(session)
        service.refresh_all(session)


@pytest.fixture
def sold(settings: Settings) -> Settings:
    """A return trip of two and a child, a single trip, one in business; a hold that is not sold."""
    out = makers.flight(on=world.soon(1))
    back = makers.flight(origin="LAX", destination="JFK", on=world.soon(3), number=102)
    family = Party(adults=2, children=1)
    ways = makers.offer(settings, out, party=family), makers.offer(settings, back, party=family, brand="Flex")
    makers.confirmed(settings, *ways)
    makers.confirmed(settings, makers.offer(settings, out))
    makers.confirmed(settings, makers.offer(settings, out, cabin="business", brand="Flex"))
    makers.held(settings, makers.offer(settings, out))
    roll_up()
    return settings

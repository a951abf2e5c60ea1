"""People who stand at the desk: the demo's traveller and staff, as browsers and as programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.booking.models import Booking
from portal.kit import db, grants
from portal.kit.settings import Settings


@pytest.fixture
def staff_id(settings: Settings) -> object:
    """The id of somebody who works at the gate."""
    with db.writing() as session:
        accounts.ensure_demo_users(session)
        return session.scalar(text("select id from users where email = 'staff@example.com'"))


@pytest.fixture
def signed_in(client: TestClient, staff_id: object) -> Callable[[str], TestClient]:
    """Sign the browser in as somebody of the demo."""

    def sign_in(who: str) -> TestClient:
        client.cookies.clear()
        form = {"email": f"{who}@example.com", "password": accounts.DEMO_PASSWORD}
        assert client.post("/account/sign-in", data=form).status_code == 303
        return client

    return sign_in


@pytest.fixture
def own(signed_in: Callable[[str], TestClient]) -> Callable[[Booking], TestClient]:
    """Make the booking the demo traveller's and sign them in."""

    def give(booking: Booking) -> TestClient:
        with db.writing() as session:
            statement = "update bookings set user_id = (select id from users where email = :mail) where id = :id"
            session.execute(text(statement), {"mail": "traveller@example.com", "id": booking.id})
        return signed_in("traveller")

    return give


@pytest.fixture
def token(settings: Settings) -> Callable[[Booking], dict[str, str]]:
    """Return the headers of a program that made the booking."""
    return lambda booking: {"Authorization": f"Bearer {grants.booking_token(settings, booking.reference)}"}


@pytest.fixture
def gate_token(client: TestClient, staff_id: object) -> dict[str, str]:
    """Return the headers of a gate."""
    login = {"email": "staff@example.com", "password": accounts.DEMO_PASSWORD}
    return {"Authorization": f"Bearer {client.post('/api/auth/login', json=login).json()['accessToken']}"}

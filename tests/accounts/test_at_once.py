"""Two at once: one address is one account, one refresh token is one pair."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal.accounts import service
from portal.accounts.forms import Registration
from portal.accounts.models import RefreshToken, User
from portal.kit import db
from portal.kit.settings import Settings

ROBIN = {
    "email": "robin@example.com",
    "firstName": "Robin",
    "lastName": "Wood",
    "password": "a quiet blue morning",
    "confirmPassword": "a quiet blue morning",
}


def test_one_address_registered_eight_times_at_once_is_one_account(settings: Settings) -> None:
    start = Barrier(8)

    def register(number: int) -> None:
        wish = Registration.model_validate({**ROBIN, "email": "Robin@Example.com" if number % 2 else ROBIN["email"]})
        start.wait()
        with db.writing() as session:
            service.register(session, wish)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(register, range(8)))
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 1


def test_a_refresh_token_used_twice_at_once_gives_one_pair_and_ends_its_family(
    client: TestClient, settings: Settings
) -> None:
    client.post("/api/auth/register", json=ROBIN)
    for _ in range(5):
        login = {"email": ROBIN["email"], "password": ROBIN["password"]}
        word = client.post("/api/auth/login", json=login).json()["refreshToken"]
        start = Barrier(4)

        def refresh(_: int, word: str = word, start: Barrier = start) -> bool:
            start.wait()
            with db.writing() as session:
                return service.refresh(session, word, settings) is not None

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(refresh, range(4))) == 1
    with db.reading() as session:
        alive = select(func.count()).select_from(RefreshToken).where(RefreshToken.revoked_at.is_(None))
        assert session.scalar(alive) == 0

"""Two at once: one address is one account."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import func, select

from portal.accounts import service
from portal.accounts.forms import Registration
from portal.accounts.models import User
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

"""Two at once: one address is one account, one mailed link works once. Each race has a careless twin, known to fail."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.accounts import credentials, passwords, queries
from portal.accounts.errors import AddressTaken, LinkRefused
from portal.accounts.forms import Registration
from portal.accounts.models import User
from portal.accounts.service import create_user
from portal.kit import db, signing
from portal.kit.settings import Settings

ROBIN = {
    "email": "robin@example.com",
    "firstName": "Robin",
    "lastName": "Wood",
    "password": "a quiet blue morning",
    "confirmPassword": "a quiet blue morning",
}
AT_ONCE = 6


def wish(email: str = "robin@example.com") -> Registration:
    return Registration.model_validate({**ROBIN, "email": email})


def account(email: str = "robin@example.com") -> UUID:
    with db.writing() as session:
        made = create_user(session, wish(email), role="customer")
    assert made is not None
    return made


def together(deed: Callable[[Session, int], object]) -> list[object]:
    """Let six do `deed` at once, each in a transaction of its own; returns what came of each, or what it raised."""
    start = Barrier(AT_ONCE)

    def one(number: int) -> object:
        start.wait()
        try:
            with db.writing() as session:
                return deed(session, number)
        except (LinkRefused, AddressTaken, IntegrityError) as no:
            return no

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def worked(outcomes: list[object]) -> int:
    return sum(not isinstance(one, Exception) for one in outcomes)


def test_one_address_wished_for_six_times_and_confirmed_at_once_is_one_account(settings: Settings) -> None:
    with db.writing() as session:
        pending = [
            credentials.register(session, wish("Robin@Example.com" if number % 2 else ROBIN["email"]), settings)
            for number in range(AT_ONCE)
        ]
    tokens = [credentials.link(settings, credentials.CONFIRM, str(one)) for one in pending]
    outcomes = together(lambda session, number: credentials.confirm(session, settings, tokens[number]))
    assert worked(outcomes) == 1
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 1


def test_one_link_for_a_new_password_works_once(settings: Settings) -> None:
    token = credentials.link(settings, credentials.RESET, str(account()), 0)

    def reset(session: Session, number: int) -> object:
        return credentials.reset(session, settings, token, f"another quiet evening {number}", caller="test")

    outcomes = together(reset)
    assert worked(outcomes) == 1
    with db.reading() as session:
        kept, version = session.execute(select(User.password_hash, User.credentials_version)).one()
    winner = next(number for number, one in enumerate(outcomes) if not isinstance(one, Exception))
    assert passwords.fits(kept, f"another quiet evening {winner}")
    assert version == 1


def test_looking_first_and_changing_afterwards_would_let_a_link_work_twice(settings: Settings) -> None:
    """The careless twin: everybody sees the link's version, and then everybody changes the password."""
    token, seen = credentials.link(settings, credentials.RESET, str(account()), 0), Barrier(AT_ONCE)

    def careless(session: Session, number: int) -> object:
        user_id, version = signing.unseal(settings, credentials.RESET, token)
        now = session.scalar(select(User.credentials_version).where(User.id == UUID(user_id)))
        seen.wait()
        if now != version:
            raise LinkRefused()
        row = update(User).where(User.id == UUID(user_id))
        return session.execute(row.values(password_hash=str(number), credentials_version=User.credentials_version + 1))

    assert worked(together(careless)) == AT_ONCE


def test_six_accounts_that_want_one_address_at_once(settings: Settings) -> None:
    owners = [account(f"robin{number}@example.com") for number in range(AT_ONCE)]
    tokens = [credentials.link(settings, credentials.ADDRESS, str(one), 0, "new@example.com") for one in owners]
    outcomes = together(lambda session, number: credentials.change_address(session, settings, tokens[number]))
    assert worked(outcomes) == 1
    assert sum(isinstance(one, AddressTaken) for one in outcomes) == AT_ONCE - 1
    with db.reading() as session:
        assert session.scalar(select(func.count()).where(User.email == "new@example.com")) == 1


def test_looking_whether_an_address_is_free_does_not_keep_it_free(settings: Settings) -> None:
    """The careless twin: everybody finds the address free; only the unique index stops them, as a crash."""
    owners, seen = [account(f"robin{number}@example.com") for number in range(AT_ONCE)], Barrier(AT_ONCE)

    def careless(session: Session, number: int) -> object:
        free = queries.person_by_email(session, "new@example.com") is None
        seen.wait()
        assert free
        return session.execute(update(User).where(User.id == owners[number]).values(email="new@example.com"))

    outcomes = together(careless)
    assert sum(isinstance(one, IntegrityError) for one in outcomes) == AT_ONCE - 1


def test_an_address_registered_in_the_meantime_stays_its_owners(settings: Settings) -> None:
    robin = account()
    token = credentials.link(settings, credentials.ADDRESS, str(robin), 0, "new@example.com")
    account("new@example.com")
    with pytest.raises(AddressTaken), db.writing() as session:
        credentials.change_address(session, settings, token)
    with db.reading() as session:
        assert queries.person(session, robin).email == "robin@example.com"

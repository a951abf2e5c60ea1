"""A new password, or a closed account, signs everybody out – who is coming in at that very moment, too.

Each race is set up by hand: one transaction is left open in the middle, and the other is seen to wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from argon2 import PasswordHasher
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from portal.accounts import credentials, passwords, queries, service
from portal.accounts.errors import WrongCredentials
from portal.accounts.models import SignIn, User
from portal.factors import service as factors
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.privacy import service as privacy
from portal.tokens import service as tokens
from portal.tokens.models import RefreshToken
from tests import people
from tests.factors.conftest import Person

NEW = "another quiet evening"


@pytest.fixture
def robin(client: TestClient) -> queries.Known:
    """Somebody with an account whose password a thief knows."""
    people.join(client)
    with db.reading() as session:
        found = queries.person_by_email(session, "robin@example.com")
    assert found is not None
    return found


def waiting(job: Future[Any]) -> None:
    """Return once the other transaction waits for a lock of ours, or has ended without."""
    for _ in range(500):
        with db.reading() as session:
            asks = "select count(*) from pg_locks where not granted"
            if job.done() or session.scalar(text(asks)):
                return
        time.sleep(0.01)


def meanwhile(first: Callable[[Session], Any], then: Callable[[Session], Any]) -> tuple[Any, Future[Any]]:
    """Do `first`, begin `then` beside it, and only then let the first one be committed."""

    def other() -> Any:
        with db.writing() as session:
            return then(session)

    with ThreadPoolExecutor(1) as pool, db.writing() as session:
        done = first(session)
        session.flush()
        job = pool.submit(other)
        waiting(job)
        session.commit()
        job.exception()
        return done, job


def come_in(session: Session, person: queries.Known) -> str:
    return service.sign_in(session, person, address="203.0.113.7", agent="Firefox")


def shut_out(session: Session, settings: Settings, user_id: UUID) -> None:
    credentials.change(session, settings, user_id, people.PASSWORD, NEW)


def signed_in() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(SignIn)) or 0


def test_who_comes_in_while_the_password_changes_is_out_again(settings: Settings, robin: queries.Known) -> None:
    meanwhile(lambda session: come_in(session, robin), lambda session: shut_out(session, settings, robin.id))
    assert signed_in() == 0


def test_who_showed_the_old_password_before_it_changed_does_not_come_in_after(
    settings: Settings, robin: queries.Known
) -> None:
    _, job = meanwhile(lambda session: shut_out(session, settings, robin.id), lambda session: come_in(session, robin))
    assert isinstance(job.exception(), WrongCredentials)
    assert signed_in() == 0


def test_who_comes_in_while_the_account_closes_is_out_again(settings: Settings, robin: queries.Known) -> None:
    meanwhile(lambda session: come_in(session, robin), lambda session: privacy.ask_erasure(session, settings, robin.id))
    assert signed_in() == 0


def test_looking_first_and_coming_in_afterwards_would_stay_in(settings: Settings, robin: queries.Known) -> None:
    """The careless twin: it sees that nothing has changed, and holds nothing."""

    def careless(session: Session) -> None:
        assert session.scalar(select(User.closed_at).where(User.id == robin.id)) is None
        row = {"fingerprint": "x", "user_id": robin.id, "expires_at": clock.now()}
        session.execute(insert(SignIn).values(row))

    def everywhere(session: Session) -> None:
        session.execute(update(User).where(User.id == robin.id).values(credentials_version=1))
        session.execute(delete(SignIn).where(SignIn.user_id == robin.id))

    meanwhile(careless, everywhere)
    assert signed_in() == 1


def test_a_closed_account_is_nobodys_even_if_a_sign_in_were_left(client: TestClient, robin: queries.Known) -> None:
    client.post("/account/sign-in", data={"email": robin.email, "password": people.PASSWORD})
    assert client.get("/account").status_code == 200
    with db.writing() as session:
        session.execute(update(User).values(closed_at=clock.now()))
    assert client.get("/account").status_code == 303


def test_who_is_half_way_in_begins_anew_with_the_new_password(client: TestClient, settings: Settings) -> None:
    people.join(client)
    thief = Person(client)
    assert thief.password() == "/"
    thief.enrol()
    thief.leave()
    assert thief.password() == "/account/sign-in/second"
    with db.writing() as session:
        shut_out(session, settings, thief.id)
    assert thief.second(thief.code(1)) == "/account/sign-in"
    assert not thief.known()


def test_a_half_way_sign_in_with_the_old_password_is_not_begun(settings: Settings, robin: queries.Known) -> None:
    def half(session: Session) -> str:
        service.hold_still(session, robin)
        return factors.begin_half(session, robin.id)

    _, job = meanwhile(lambda session: shut_out(session, settings, robin.id), half)
    assert isinstance(job.exception(), WrongCredentials)


def test_no_new_pair_outlives_signing_out_everywhere(settings: Settings, robin: queries.Known) -> None:
    """A thief's program that renews its tokens in the very moment keeps none of them."""
    with db.writing() as session:
        word = tokens.issue(session, robin.id, robin.role, settings).refresh_token

    def renew(session: Session) -> Any:
        return service.refresh(session, word, settings, address="", agent="")

    pair, _ = meanwhile(renew, lambda session: service.end_all(session, robin.id))
    assert pair is not None
    assert alive() == 0


def test_no_new_pair_outlives_the_reuse_of_an_old_token(settings: Settings, robin: queries.Known) -> None:
    """Whoever is quicker, the thief or the owner: the family ends for both."""
    with db.writing() as session:
        first = tokens.issue(session, robin.id, robin.role, settings).refresh_token
    with db.writing() as session:
        second = service.refresh(session, first, settings, address="", agent="")
    assert second is not None

    def renew(session: Session) -> Any:
        return service.refresh(session, second.refresh_token, settings, address="", agent="")

    pair, job = meanwhile(renew, lambda session: tokens.redeem(session, first))
    assert pair is not None
    assert job.result() is None
    assert alive() == 0


def alive() -> int:
    with db.reading() as session:
        kept = select(func.count()).select_from(RefreshToken).where(RefreshToken.revoked_at.is_(None))
        return session.scalar(kept) or 0


def test_an_old_password_is_not_hashed_anew_over_a_newer_one(settings: Settings, robin: queries.Known) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with db.writing() as session:
        session.execute(update(User).values(password_hash=weak.hash(people.PASSWORD)))
    meanwhile(
        lambda session: shut_out(session, settings, robin.id),
        lambda session: service.renew_hash(session, robin.id, people.PASSWORD),
    )
    with db.reading() as session:
        kept = session.scalar(select(User.password_hash))
    assert passwords.fits(kept, NEW)

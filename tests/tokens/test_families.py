"""A refresh token is used once, whoever comes at the same moment; a second use ends its whole family."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.accounts import service as accounts
from portal.accounts.forms import Registration
from portal.accounts.models import User
from portal.kit import clock, db, ids
from portal.kit.settings import Settings
from portal.tokens import service
from portal.tokens.models import RefreshToken

AT_ONCE, ROUNDS = 4, 5


@pytest.fixture
def robin(settings: Settings) -> UUID:
    """A fresh account."""
    words = {"email": "robin@example.com", "firstName": "Robin", "lastName": "Wood"}
    secret = {"password": "a quiet blue morning", "confirmPassword": "a quiet blue morning"}
    with db.writing() as session:
        accounts.create_user(session, Registration.model_validate({**words, **secret}), role="customer")
    with db.reading() as session:
        return session.scalars(select(User.id)).one()


def redeemed_at_once(word: str, redeem: Callable[[Session, str], object]) -> int:
    """Return how many of four who come with one token at the same moment are given the next pair."""
    start = Barrier(AT_ONCE)

    def come(_: int) -> bool:
        start.wait()
        with db.writing() as session:
            return redeem(session, word) is not None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(come, range(AT_ONCE)))


def careless(session: Session, word: str) -> object | None:
    """Redeem without the lock: read, look, write."""
    row = session.get(RefreshToken, ids.fingerprint(word))
    if row is None or row.used_at is not None:
        return None
    session.scalar(select(func.pg_sleep(0.05)))
    row.used_at = clock.now()
    return row


def begun(settings: Settings, robin: UUID) -> str:
    with db.writing() as session:
        return service.issue(session, robin, "customer", settings).refresh_token


def test_of_four_at_once_one_is_given_a_pair_and_the_family_ends(settings: Settings, robin: UUID) -> None:
    for _ in range(ROUNDS):
        assert redeemed_at_once(begun(settings, robin), service.redeem) == 1
    with db.reading() as session:
        alive = select(func.count()).select_from(RefreshToken).where(RefreshToken.revoked_at.is_(None))
        assert session.scalar(alive) == 0


def test_the_careless_twin_gives_more_than_one(settings: Settings, robin: UUID) -> None:
    assert redeemed_at_once(begun(settings, robin), careless) > 1

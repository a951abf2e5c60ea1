"""The books of accounts: what must not be about the ways in is found, each thing by its rule."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from portal import cli
from portal.accounts import queries
from portal.accounts.models import User
from portal.factors import passkeys, service
from portal.factors.models import Authenticator, Passkey, RecoveryCode
from portal.kit import clock, db
from portal.tokens.models import ApiKey, RefreshToken
from tests import people
from tests.factors.conftest import Person


@pytest.fixture
def robin(client: TestClient) -> Person:
    """Somebody with an app, codes, a remembered browser and a program that is signed in."""
    people.join(client)
    person = Person(client)
    person.password()
    person.enrol()
    login = {"email": person.email, "password": people.PASSWORD, "code": person.code(1)}
    pair = client.post("/api/auth/login", json=login).json()
    assert client.post("/api/auth/refresh", json={"refreshToken": pair["refreshToken"]}).status_code == 200
    with db.writing() as session:
        service.remember(session, person.id, agent="Firefox")
    return person


def rules() -> set[str]:
    with db.reading() as session:
        return {rule for rule, _whose, _how in queries.broken_ways_in(session)}


def found(*deeds: object) -> set[str]:
    """Return the rules that are broken once these statements were made, and take them back."""
    with db.writing() as session:
        for deed in deeds:
            session.execute(deed)  # type: ignore[call-overload]  # statements of any kind
        broken = {rule for rule, _whose, _how in queries.broken_ways_in(session)}
        session.rollback()
    return broken


def test_an_ordinary_life_leaves_nothing_to_find(robin: Person) -> None:
    assert rules() == set()
    robin.client.post("/account/security/authenticator/remove")
    assert rules() == set()
    with db.reading() as session:
        assert cli.broken_ways_in(session) == []


def test_each_rule_sees_what_breaks_it(robin: Person) -> None:
    mine, now = robin.id, clock.now()
    key = {"user_id": mine, "name": "x", "prefix": "x", "fingerprint": "x", "scopes": ["profile:read"]}
    assert found(text("delete from authenticators")) == {
        "recovery codes are left without a second step",
        "a remembered browser is spared a second step that there is not",
    }
    assert found(insert(RecoveryCode).values(user_id=mine, fingerprint="x")) == {
        "an account has more recovery codes than are dealt"
    }
    assert found(update(Authenticator).values(last_step=Authenticator.last_step + 10)) == {
        "an app has used up a code of the future"
    }
    assert found(insert(Passkey).values([passkey(mine) for _ in range(21)])) == {
        "an account has more passkeys than it can"
    }
    assert found(update(RefreshToken).values(used_at=None)) == {"a family of tokens goes on twice"}
    closed = "a closed account is still signed in to"
    assert found(update(User).values(closed_at=now)) == {closed}
    alone = (text("delete from sign_ins"), text("delete from refresh_tokens"))
    assert found(update(User).values(closed_at=now), *alone) == set()
    assert found(update(User).values(closed_at=now), *alone, insert(ApiKey).values(key)) == {closed}


def passkey(user_id: UUID) -> dict[str, object]:
    made = {"credential_id": uuid4().bytes, "public_key": b"x", "sign_count": 0, "transports": []}
    return {**made, "user_id": user_id, "synced": False, "name": "x"}


def test_the_two_last_factors_taken_away_at_once_leave_no_codes_behind(robin: Person) -> None:
    """Else the codes of a lost phone would open the account again once it has another second step."""
    mine = robin.id
    for number in range(5):
        if number:
            robin.enrol()
        with db.writing() as session:
            key = session.scalar(insert(Passkey).values(passkey(mine)).returning(Passkey.id))
        both_at_once(lambda session: service.remove_app(session, mine), partial(remove, mine, key))
        assert rules() == set()


def remove(user_id: UUID, key: UUID, session: Session) -> None:
    passkeys.remove(session, user_id, key)


def both_at_once(*deeds: Callable[[Session], None]) -> None:
    start = Barrier(len(deeds))

    def one(deed: Callable[[Session], None]) -> None:
        start.wait()
        with db.writing() as session:
            deed(session)

    with ThreadPoolExecutor(len(deeds)) as pool:
        list(pool.map(one, deeds))

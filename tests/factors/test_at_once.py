"""The same proof several times at the same moment counts once. A careless twin proves that these tests see a race."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pyotp
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.accounts import queries
from portal.accounts import service as accounts
from portal.factors import passkeys, rules, service
from portal.factors.errors import HalfWayLapsed, OfferLapsed
from portal.factors.models import Authenticator, RecoveryCode
from portal.kit import clock, db
from portal.kit.settings import Settings
from tests.factors.device import Device

AT_ONCE, ROUNDS = 6, 8


@pytest.fixture
def user_id(settings: Settings) -> UUID:
    """An account."""
    with db.writing() as session:
        accounts.ensure_demo_users(session)
        found = queries.person_by_email(session, "traveller@example.com")
    assert found is not None
    return found.id


def together(deed: Callable[[Session], bool]) -> int:
    """Let six do `deed` at once, each in a transaction of its own; returns for how many it worked."""
    start = Barrier(AT_ONCE)

    def one(_number: int) -> bool:
        start.wait(10)
        try:
            with db.writing() as session:
                return deed(session)
        except (HalfWayLapsed, OfferLapsed):
            return False

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(one, range(AT_ONCE)))


def enrol(settings: Settings, user_id: UUID) -> pyotp.TOTP:
    """Give the account an app; returns it. Its first code is an old one."""
    secret, sealed = service.offer(settings, user_id)
    app = pyotp.parse_uri(rules.app_address(secret, "robin@example.com", "x"))
    assert isinstance(app, pyotp.TOTP)
    with db.writing() as session:
        first = app.at(clock.now(), counter_offset=-1)
        service.enrol(session, settings, user_id, sealed=sealed, code=first, name="x")
    return app


def test_one_code_of_an_app_lets_one_in(settings: Settings, user_id: UUID) -> None:
    app = enrol(settings, user_id)
    for number in range(ROUNDS):
        with clock.shifted(timedelta(seconds=30 * number)):
            code = app.at(clock.now())
            assert together(lambda session, code=code: service.verify(session, settings, user_id, code)) == 1


def test_a_careless_check_lets_several_in_with_one_code(settings: Settings, user_id: UUID) -> None:
    app = enrol(settings, user_id)

    def careless(session: Session, code: str) -> bool:
        row = session.execute(select(Authenticator.last_step)).one()
        step = app.timecode(clock.now())
        if code != app.generate_otp(step) or row.last_step >= step:
            return False
        session.execute(update(Authenticator).values(last_step=step))
        return True

    let_in = []
    for number in range(1, ROUNDS + 1):
        with clock.shifted(timedelta(seconds=30 * number)):
            code = app.at(clock.now())
            let_in.append(together(lambda session, code=code: careless(session, code)))
    assert max(let_in) > 1


def test_one_recovery_code_lets_one_in(settings: Settings, user_id: UUID) -> None:
    with db.writing() as session:
        codes = service.deal(session, user_id)
    for code in codes[:ROUNDS]:
        assert together(lambda session, code=code: service.verify(session, settings, user_id, code)) == 1


def test_a_careless_check_lets_several_in_with_one_recovery_code(settings: Settings, user_id: UUID) -> None:
    with db.writing() as session:
        codes = service.deal(session, user_id)

    def careless(session: Session, code: str) -> bool:
        kept = rules.kept(user_id, rules.plain(code))
        row = session.execute(select(RecoveryCode.used_at).filter_by(fingerprint=kept)).one()
        if row.used_at is not None:
            return False
        session.execute(update(RecoveryCode).filter_by(fingerprint=kept).values(used_at=clock.now()))
        return True

    assert max(together(lambda session, code=code: careless(session, code)) for code in codes) > 1


def test_codes_dealt_at_once_leave_ten(settings: Settings, user_id: UUID) -> None:
    assert together(lambda session: bool(service.deal(session, user_id))) == AT_ONCE
    with db.reading() as session:
        assert service.queries.codes_left(session, user_id) == 10


def test_one_answer_of_a_passkey_lets_one_in(settings: Settings, user_id: UUID) -> None:
    import json

    device = Device(counts=False)
    with db.writing() as session:
        wanted = json.loads(passkeys.registration(session, settings, user_id, email="x@example.com", name="x"))
        passkeys.register(session, settings, user_id, answer=device.create(wanted), name="x")
    for _round in range(3):
        with db.reading() as session:
            answer = device.get(json.loads(passkeys.assertion(session, settings, passkeys.SIGN_IN)))
        let_in = together(
            lambda session, answer=answer: passkeys.recognise(session, settings, passkeys.SIGN_IN, answer) == user_id
        )
        assert let_in == 1


def test_one_password_gives_five_guesses_however_fast_they_come(settings: Settings, user_id: UUID) -> None:
    with db.writing() as session:
        word = service.begin_half(session, user_id)
    assert together(lambda session: bool(service.guess_half(session, word))) == rules.MOST_GUESSES


def test_half_way_is_finished_once(settings: Settings, user_id: UUID) -> None:
    with db.writing() as session:
        word = service.begin_half(session, user_id)
    assert together(lambda session: service.end_half(session, word) is None) == 1

"""The outbox keeps what must happen after a commit."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from portal.kit import db, outbox
from portal.kit.settings import Settings


def letters() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(outbox.Letter)) or 0


def test_a_letter_of_a_rolled_back_transaction_never_existed(settings: Settings) -> None:
    with pytest.raises(ZeroDivisionError), db.writing() as session:
        outbox.post(session, "test.letter", number=1)
        raise ZeroDivisionError
    assert letters() == 0


def test_a_second_letter_with_the_same_key_is_the_first_one(settings: Settings) -> None:
    for _ in range(2):
        with db.writing() as session:
            outbox.post(session, "test.letter", key="one", number=1)
    assert letters() == 1


def test_a_claimed_letter_is_not_claimed_twice_and_a_failed_one_comes_again(settings: Settings) -> None:
    with db.writing() as session:
        outbox.post(session, "test.letter")
    with db.writing() as session:
        (letter,) = outbox.claim(session)
    with db.writing() as session:
        assert outbox.claim(session) == []
        begun = outbox.begin(session, letter.id)
        assert begun is not None
        outbox.failed(session, letter.id, "no luck", attempts=begun.attempts)
    with db.writing() as session:
        assert outbox.begin(session, letter.id) is not None
        outbox.done(session, letter.id)
        assert outbox.begin(session, letter.id) is None

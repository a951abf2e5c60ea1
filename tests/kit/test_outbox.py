"""The outbox keeps what must happen after a commit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

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


def post_one(**wishes: object) -> None:
    with db.writing() as session:
        outbox.post(session, "test.letter", **wishes)


def claim() -> list[outbox.Letter]:
    with db.writing() as session:
        return list(outbox.claim(session))


def begin(letter_id: int) -> outbox.Letter | None:
    with db.writing() as session:
        return outbox.begin(session, letter_id)


def started() -> outbox.Letter:
    post_one()
    (letter,) = claim()
    begun = begin(letter.id)
    assert begun is not None
    return begun


def make_due(letter_id: int) -> None:
    with db.writing() as session:
        session.execute(update(outbox.Letter).where(outbox.Letter.id == letter_id).values(next_try_at=func.now()))


def look(letter_id: int) -> outbox.Letter:
    with db.reading() as session:
        return session.get_one(outbox.Letter, letter_id)


def test_a_claimed_letter_is_neither_claimed_nor_begun_twice(settings: Settings) -> None:
    letter = started()
    assert claim() == []
    assert begin(letter.id) is None
    with db.writing() as session:
        assert outbox.done(session, letter)
    assert begin(letter.id) is None
    assert look(letter.id).state == "done"


def test_a_failed_letter_comes_again_after_its_wait_and_not_before(settings: Settings) -> None:
    letter = started()
    with db.writing() as session:
        assert outbox.failed(session, letter, "no luck")
    assert claim() == []
    assert begin(letter.id) is None
    make_due(letter.id)
    again = begin(claim()[0].id)
    assert again is not None
    assert (again.attempts, again.error) == (2, "no luck")


def test_a_letter_that_only_ever_fails_is_dead_in_the_end_and_can_be_retried(settings: Settings) -> None:
    letter = started()
    for attempt in range(1, outbox.MAX_ATTEMPTS + 1):
        with db.writing() as session:
            assert outbox.failed(session, letter, f"attempt {attempt}")
        make_due(letter.id)
        letter = begin(letter.id) or letter
    assert look(letter.id).state == "dead"
    assert claim() == []
    with db.writing() as session:
        assert outbox.retry(session, letter.id)
    assert [(one.id, one.attempts) for one in claim()] == [(letter.id, 0)]


def test_a_letter_whose_worker_is_lost_comes_again_and_the_lost_one_no_longer_counts(settings: Settings) -> None:
    lost = started()
    make_due(lost.id)
    (letter,) = claim()
    second = begin(letter.id)
    assert second is not None
    with db.writing() as session:
        assert not outbox.failed(session, lost, "too late")
        assert not outbox.renew(session, lost)
        assert outbox.done(session, second)
    assert look(lost.id).state == "done"


def test_a_letter_that_kills_its_worker_each_time_is_dead_in_the_end(settings: Settings) -> None:
    letter = started()
    for _ in range(outbox.MAX_ATTEMPTS):
        make_due(letter.id)
        begin(letter.id)
    assert look(letter.id).state == "dead"


def test_a_renewed_lease_holds(settings: Settings) -> None:
    letter = started()
    make_due(letter.id)
    with db.writing() as session:
        assert outbox.renew(session, letter)
    assert claim() == []


def test_a_postponed_letter_counts_no_attempt(settings: Settings) -> None:
    letter = started()
    with db.writing() as session:
        assert outbox.postponed(session, letter, timedelta(hours=1))
    assert claim() == []
    assert (look(letter.id).state, look(letter.id).attempts) == ("waiting", 0)


def test_what_could_not_be_handed_over_is_due_at_once(settings: Settings) -> None:
    post_one()
    ids = [letter.id for letter in claim()]
    with db.writing() as session:
        outbox.give_back(session, ids)
    assert [letter.id for letter in claim()] == ids


def test_only_old_done_letters_are_swept(settings: Settings) -> None:
    letter = started()
    with db.writing() as session:
        outbox.done(session, letter)
    post_one()
    with db.writing() as session:
        assert outbox.sweep(session, older_than=timedelta(days=1)) == 0
        assert outbox.sweep(session, older_than=timedelta(0), kinds=["other"]) == 0
        assert outbox.sweep(session, older_than=timedelta(0)) == 1
    assert letters() == 1

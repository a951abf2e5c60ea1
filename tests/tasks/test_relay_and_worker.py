"""A letter is worked off once, whatever dies in between."""

from __future__ import annotations

import signal
from datetime import timedelta

import psutil
import pytest
from sqlalchemy import func, select

from portal.kit import cache, db, outbox
from portal.kit.settings import Settings
from tasks.worker import LETTERS_PER_PROCESS
from tests.tasks.conftest import Office, until

pytestmark = pytest.mark.fault


def both(office: Office) -> None:
    office.worker.start()
    office.relay.start()


def test_a_letter_is_handed_over_and_done_once(office: Office) -> None:
    before = office.post("test.note")
    both(office)
    office.wait_done(before)
    office.wait_done(office.post("test.note", queue="mail"))
    assert office.words() == ["came", "came"]


def test_a_letter_that_nobody_handles_is_dead_with_the_reason(office: Office) -> None:
    both(office)
    number = office.post("test.unheard-of")
    until(lambda: office.look(number).state == "dead", "the letter's end")
    assert "test.unheard-of" in (office.look(number).error or "")


def test_a_letter_whose_worker_is_killed_comes_again_and_ends_once(office: Office) -> None:
    both(office)
    number = office.post("test.slow")
    office.wait_word("begun")
    office.worker.kill()
    assert office.look(number).state == "running"
    office.go.touch()
    office.worker.start()
    office.wait_done(number)
    assert (office.words(), office.look(number).attempts) == (["begun", "begun", "ended"], 2)


def test_a_killed_worker_process_is_replaced(office: Office) -> None:
    both(office)
    number = office.post("test.slow")
    office.wait_word("begun")
    psutil.Process(int(office.book.read_text().split()[1])).kill()
    office.go.touch()
    office.wait_done(number)
    assert office.words() == ["begun", "begun", "ended"]


def test_worker_processes_do_not_outlive_their_consumer(office: Office) -> None:
    both(office)
    office.wait_done(office.post("test.note"))
    hands = office.hands()
    psutil.Process(office.worker.pid).kill()
    assert len(hands) == 3
    assert psutil.wait_procs(hands, timeout=10)[1] == []


def test_long_work_keeps_its_lease(office: Office) -> None:
    both(office)
    number = office.post("test.slow")
    office.wait_word("begun")
    office.wait_done(office.post("test.note"))
    begun_at = office.look(number).started_at
    assert begun_at is not None
    until(lambda: office.look(number).next_try_at > begun_at + timedelta(seconds=4), "two leases' worth of renewals")
    office.go.touch()
    office.wait_done(number)
    assert office.words() == ["begun", "came", "ended"]


def test_term_lets_the_running_letter_finish(office: Office) -> None:
    both(office)
    number = office.post("test.slow")
    office.wait_word("begun")
    office.worker.ask_to_stop()
    office.go.touch()
    office.worker.wait_stopped()
    assert (office.look(number).state, office.worker.exit_code) == ("done", 0)


def test_a_second_term_gives_the_letter_back_at_once(office: Office) -> None:
    both(office)
    number = office.post("test.slow")
    office.wait_word("begun")
    parent = psutil.Process(office.worker.pid)
    parent.send_signal(signal.SIGTERM)
    until(lambda: _ends_on_term(parent), "the stop")
    assert (office.look(number).state, office.look(number).attempts) in (("waiting", 0), ("handed", 0))
    office.go.touch()
    office.worker.start()
    office.wait_done(number)


def _ends_on_term(process: psutil.Process) -> bool:
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(0.5)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_a_relay_killed_between_claim_and_handing_over_loses_nothing(office: Office) -> None:
    number = office.post("test.note")
    with db.writing() as session:
        assert [letter.id for letter in outbox.claim(session, lease=timedelta(seconds=2))] == [number]
    both(office)
    office.wait_done(number)
    assert office.words() == ["came"]


def test_a_relay_killed_at_work_is_replaced_by_the_next(office: Office) -> None:
    both(office)
    numbers = [office.post("test.note") for _ in range(30)]
    office.relay.kill()
    office.relay.start()
    for number in numbers:
        office.wait_done(number)
    assert office.words() == ["came"] * 30


def test_what_redis_forgets_is_handed_out_again(office: Office, settings: Settings) -> None:
    office.relay.start()
    number = office.post("test.note")
    until(lambda: office.look(number).state == "handed", "the handing over")
    cache.client(settings.redis_url).flushall()
    office.worker.start()
    office.wait_done(number)
    assert office.words() == ["came"]


def test_letters_wait_while_redis_is_away(office: Office) -> None:
    both(office)
    office.wait_done(office.post("test.note"))
    office.services.redis.kill()
    number = office.post("test.note")
    until(lambda: "letters wait in PostgreSQL" in office.relay.log.read_text(), "a word about it")
    office.services.redis.start()
    office.wait_done(number)
    assert office.relay.running
    assert office.relay.log.read_text().count("letters wait in PostgreSQL. reason=") == 1


def test_failures_come_again_until_the_letter_is_dead_and_a_retry_ends_well(office: Office) -> None:
    both(office)
    number = office.post("test.fail")
    for attempt in range(1, outbox.MAX_ATTEMPTS + 1):
        office.wait_word("tried", attempt)
        until(lambda: office.look(number).state in ("failed", "dead"), "the verdict")
        if attempt < outbox.MAX_ATTEMPTS:
            office.make_due(number)
    letter = office.look(number)
    assert (letter.state, letter.attempts, letter.error) == ("dead", 8, "OSError: the mail server is out for lunch")
    office.go.touch()
    with db.writing() as session:
        assert outbox.retry(session, number)
    office.wait_done(number)


def test_an_export_never_holds_up_a_mail(office: Office) -> None:
    both(office)
    numbers = [office.post("test.slow", queue="exports") for _ in range(3)]
    office.wait_word("begun")
    office.wait_done(office.post("test.note", queue="mail"))
    office.go.touch()
    for number in numbers:
        office.wait_done(number)


def test_the_relay_posts_each_round_once_a_slot_and_stops_on_term(office: Office) -> None:
    office.relay.start()
    until(lambda: bool(_rounds()), "a round")
    first = _rounds()
    office.relay.stop()
    assert office.relay.exit_code == 0
    office.relay.start()
    office.worker.start()
    office.wait_done(office.post("test.note"))
    latest = dict(sorted(first))
    assert all(slot > latest[kind] for kind, slot in _rounds() - first)  # none again; a new slot may have begun


def _rounds() -> set[tuple[str, str]]:
    with db.reading() as session:
        rows = session.execute(select(outbox.Letter.kind, outbox.Letter.key).where(outbox.Letter.key.is_not(None)))
        return {(kind, slot) for kind, slot in rows}


def test_worker_processes_are_replaced_and_a_backlog_is_worked_off(office: Office) -> None:
    with db.writing() as session:
        for _ in range(3 * LETTERS_PER_PROCESS):
            outbox.post(session, "test.note", book=str(office.book))
    both(office)
    office.wait_word("came", 3 * LETTERS_PER_PROCESS)
    until(lambda: _open() == 0, "the end of the backlog")
    assert len(office.words()) == 3 * LETTERS_PER_PROCESS
    assert len({line.split()[1] for line in office.book.read_text().splitlines()}) >= 3


def _open() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).where(outbox.IS_OPEN, outbox.Letter.kind == "test.note")) or 0

"""The chain holds, and whoever changes, deletes or slips in an entry behind its back is named by its first break."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from portal import cli
from portal.kit import audit, clock, db
from portal.kit.settings import Settings
from portal.trail import queries, service
from portal.trail.rules import Head, read_head
from tests.trail.conftest import CLERK, Owner, deed, sealed, verdict

FIFTH = "(select entry_id from audit_seals where position = 5)"


def one(statement: str) -> object:
    with db.reading() as session:
        return session.scalar(text(statement))


def test_an_untouched_trail_holds(ten: Settings) -> None:
    found = verdict()
    assert found.broken is None
    assert (found.first, found.checked) == (1, found.last)
    assert found.checked >= 10


def test_an_empty_trail_holds(settings: Settings) -> None:
    assert (verdict().broken, verdict().checked) == (None, 0)


@pytest.mark.parametrize(
    ("tampering", "position", "words"),
    [
        (f"update audit_entries set after = '{{}}' where id = {FIFTH}", 5, "was changed"),
        (f"update audit_entries set actor_id = gen_random_uuid() where id = {FIFTH}", 5, "was changed"),
        (f"update audit_entries set happened_at = happened_at - interval '1 microsecond' where id = {FIFTH}", 5, "was"),
        (f"update audit_entries set personal = '{{}}' where id = {FIFTH}", 5, "personal part"),
        (f"update audit_entries set personal_digest = null where id = {FIFTH}", 5, "was changed"),
        (f"delete from audit_entries where id = {FIFTH}", 5, "deleted"),
        ("delete from audit_seals where position = 5", 5, "missing"),
        ("delete from audit_seals where position <= 5", 6, "beginning is missing"),
        ("update audit_seals set hash = sha256('x') where position = 5", 5, "was changed"),
        (
            "update audit_seals s set entry_id = -o.entry_id from audit_seals o"
            " where s.position in (5, 6) and o.position = 11 - s.position",
            5,
            "deleted",
        ),
        (
            "insert into audit_entries (action, thing, thing_id, transaction) select action, thing, thing_id,"
            " transaction from audit_entries order by transaction limit 1",
            None,
            "put in among",
        ),
    ],
)
def test_whatever_is_done_to_it_is_named(
    ten: Settings, owner: Owner, tampering: str, position: int | None, words: str
) -> None:
    owner(tampering)
    broken = verdict().broken
    assert broken is not None
    assert words in broken.what
    assert position in (None, broken.position)


def test_a_tail_cut_off_and_a_chain_made_anew_are_seen_by_the_head(ten: Settings, owner: Owner) -> None:
    with db.reading() as session:
        head = queries.chain(session).head
    assert head is not None
    assert read_head(str(head)) == head
    owner("delete from audit_seals where position > 6")
    owner("delete from audit_entries e where not exists (select from audit_seals s where s.entry_id = e.id)")
    assert verdict().broken is None, "without the head nobody can know"
    assert "not in the chain" in str(verdict(head=head).broken)
    owner("delete from audit_seals")
    owner("update audit_entries set action = 'nothing.happened'")
    sealed()
    assert verdict().broken is None
    assert "not in the chain" in str(verdict(head=head).broken)
    assert "made anew" in str(verdict(head=Head(2, head.hash)).broken)


@pytest.mark.parametrize("typed", ["", "5", "5:", "x:00", "0:" + "00" * 32, "5:" + "00" * 31])
def test_only_a_head_is_read_as_one(typed: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 – of whatever part it is
        read_head(typed)


def test_the_newest_part_is_checked_by_itself(ten: Settings, owner: Owner) -> None:
    found = verdict(newest=3)
    assert (found.broken, found.checked) == (None, 3)
    owner(f"update audit_entries set action = 'other' where id = {FIFTH}")
    assert verdict(newest=3).broken is None
    owner("update audit_entries set action = 'other' where id = (select max(entry_id) from audit_seals)")
    assert verdict(newest=3).broken is not None
    with db.reading() as session:
        assert [one.rule for one in queries.broken_trail(session)] == ["the audit trail is whole"]


def test_what_has_waited_for_an_hour_is_off(settings: Settings, owner: Owner) -> None:
    deed()
    owner("update audit_entries set happened_at = now() - interval '61 minutes'")
    with db.reading() as session:
        assert [one.rule for one in queries.broken_trail(session)] == ["the audit trail is sealed within the hour"]


def test_an_entry_that_appears_late_under_a_lower_number_is_not_lost(settings: Settings) -> None:
    """The careless way – all above the last sealed number – would lose the entry of the slow transaction."""
    wrote, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with db.writing() as session:
            audit.record(session, "slow.deed", "user", 1)
            session.flush()
            wrote.set()
            go_on.wait(10)

    thread = threading.Thread(target=slow)
    thread.start()
    assert wrote.wait(10)
    deed(1)
    careless = one("select max(id) from audit_entries")
    sealed()
    go_on.set()
    thread.join()
    late = one("select id from audit_entries where action = 'slow.deed'")
    assert isinstance(late, int)
    assert isinstance(careless, int)
    assert late < careless
    sealed()
    assert one("select count(*) from audit_entries") == one("select count(*) from audit_seals")
    assert verdict().broken is None


def test_only_one_seals_at_a_time(settings: Settings) -> None:
    deed()
    with db.writing() as first, db.writing() as second:
        assert service.seal(first) == 1
        assert service.seal(second) == 0
    assert verdict().checked == 1


def test_a_dump_read_back_elsewhere_goes_on(ten: Settings, owner: Owner) -> None:
    """In another cluster transactions are counted from another number; here the sealed ones come from far ahead."""
    deed(11)
    owner("update audit_entries set transaction = transaction + 1000000000")
    owner("delete from audit_seals")
    sealed()
    deed(12)
    owner("update audit_entries set transaction = transaction + 1000000000 where transaction < 1000000000")
    deed(13)
    sealed()
    deed(14)
    sealed()
    assert one("select count(*) from audit_entries") == one("select count(*) from audit_seals")
    assert verdict().broken is None


@pytest.mark.parametrize("table", ["audit_entries", "audit_seals"])
@pytest.mark.parametrize("statement", ["update {} set transaction = 1", "delete from {}", "truncate {}"])
def test_the_portal_has_not_the_privilege_to_change_it(ten: Settings, table: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), db.writing() as session:
        session.execute(text(statement.format(table)))


@pytest.mark.parametrize("table", ["audit_entries", "audit_seals"])
@pytest.mark.parametrize("statement", ["update {} set transaction = 1", "delete from {}", "truncate {}"])
def test_even_the_owner_is_refused_a_plain_statement(ten: Settings, table: str, statement: str) -> None:
    db.connect(Settings(database_url=ten.database_owner_url))
    with pytest.raises(DBAPIError, match="append-only"), db.writing() as session:
        session.execute(text(statement.format(table)))


def test_what_an_erased_person_leaves_behind_still_holds(ten: Settings) -> None:
    with db.writing() as session:
        assert audit.erase(session, of=CLERK) == 10
    sealed()
    found = verdict()
    assert found.broken is None
    assert found.erased == 10
    assert one("select count(*) from audit_entries where personal like '%example.com%'") == 0
    assert one("select count(*) from audit_entries where action = 'personal.erased'") == 1
    assert one("select count(*) from audit_entries where after::text like '%example.com%'") == 0


def test_the_erased_by_thing_and_nobody_else(settings: Settings) -> None:
    deed(1, thing_id="a")
    deed(2, thing_id="b")
    with db.writing() as session:
        assert audit.erase(session, of=db_uuid(), things=[("user", "a")]) == 1
    assert one("select string_agg(thing_id, '') from audit_entries where personal is not null") == "b"


def test_what_names_the_erased_anywhere_is_erased_with_them(settings: Settings) -> None:
    deed(1)
    deed(12)
    with db.writing() as session:
        assert audit.erase(session, of=db_uuid(), words=["Person1@Example.com"]) == 1
    assert one("select count(*) from audit_entries where personal like '%person12@%'") == 1


def db_uuid() -> object:
    return one("select gen_random_uuid()")


def test_retention_takes_whole_sealed_stretches_from_the_old_end(ten: Settings, owner: Owner) -> None:
    owner("update audit_entries set happened_at = now() - interval '800 days' where id < " + FIFTH)
    owner("delete from audit_seals")
    sealed()
    with db.writing() as session:
        assert service.retire(session, older_than=clock.now() - timedelta(days=400), most=2) == 3
    with db.writing() as session:
        assert service.retire(session, older_than=clock.now() - timedelta(days=400), most=2) == 1
    with db.writing() as session:
        assert service.retire(session, older_than=clock.now() - timedelta(days=400)) == 0
    assert verdict().broken is None, "the record of it need not be sealed yet"
    sealed()
    found = verdict()
    assert found.broken is None
    assert found.first == 4
    assert one("select count(*) from audit_entries where happened_at < now() - interval '1 day'") == 0


def test_nothing_younger_than_a_year_can_be_retired(ten: Settings) -> None:
    with pytest.raises(DBAPIError, match="at least a year"), db.writing() as session:
        service.retire(session, older_than=clock.now() - timedelta(days=364))


def test_the_command_says_so_and_where(
    ten: Settings, owner: Owner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORTAL_DATABASE_URL", ten.database_url)
    assert cli.main(["audit", "head"]) == 0
    head = capsys.readouterr().out.strip()
    assert cli.main(["audit", "verify", "--head", head]) == 0
    assert "The audit trail holds: " in capsys.readouterr().out
    owner(f"delete from audit_entries where id = {FIFTH}")
    assert cli.main(["audit", "verify"]) == 1
    assert "link 5, entry" in capsys.readouterr().out

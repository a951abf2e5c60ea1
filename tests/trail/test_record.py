"""What is written: who, by what means, from where, only what changed; personal kept apart, secrets never."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal import cli
from portal.kit import audit, db, logs
from portal.kit.audit import AuditEntry, NotToBeWritten, Personal, Secret
from portal.kit.settings import ROOT, Settings
from portal.trail.rules import ERASED, address, differences, whole


def written(**sides: object) -> AuditEntry:
    """Record one deed with these sides and return its row."""
    with db.writing() as session:
        audit.record(session, "thing.done", "thing", 7, **sides)  # type: ignore[arg-type]  # what is refused, too
    with db.reading() as session:
        return session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()  # type: ignore[return-value]  # there is one


def test_only_what_differs_is_kept(settings: Settings) -> None:
    entry = written(before={"a": 1, "b": 2, "gone": 3}, after={"a": 1, "b": 5, "new": None})
    assert (entry.before, entry.after) == ({"b": 2, "gone": 3}, {"b": 5, "new": None})


def test_personal_values_stand_apart_and_come_back_for_reading(settings: Settings) -> None:
    told = {"who": Personal("Ana"), "email": "ana@example.com", "contact": {"phone": "+1 555"}, "seats": ["4A"]}
    entry = written(after=told)
    assert "Ana" not in str(entry.after)
    assert "ana@example.com" not in str(entry.after)
    assert "555" not in str(entry.after)
    plain = {"who": "Ana", "email": "ana@example.com", "contact": {"phone": "+1 555"}, "seats": ["4A"]}
    assert whole(entry.after, entry.personal) == plain
    assert entry.personal_digest == audit.digest(entry.personal_salt or b"", entry.personal or "")


def test_two_entries_of_one_person_have_nothing_in_common_once_erased(settings: Settings) -> None:
    digests = {written(after={"email": "ana@example.com"}).personal_digest for _ in range(2)}
    assert len(digests) == 2


def test_what_was_erased_is_said_to_be(settings: Settings) -> None:
    entry = written(after={"email": "ana@example.com", "role": "staff"})
    assert whole(entry.after, None) == {"email": ERASED, "role": "staff"}


@pytest.mark.parametrize(
    "value",
    [Secret("x"), {"deep": [Secret("x")]}, b"bytes", date(2027, 1, 1), uuid4(), object()],
    ids=["secret", "deep", "bytes", "date", "uuid", "object"],
)
def test_a_secret_or_what_is_not_plain_cannot_be_written(settings: Settings, value: object) -> None:
    with pytest.raises(NotToBeWritten):
        written(after={"field": value})


@pytest.mark.parametrize("name", ["password", "token", "recoveryCodes", "apiKey"])
def test_a_field_that_is_a_secret_is_refused_however_it_is_passed(settings: Settings, name: str) -> None:
    with pytest.raises(NotToBeWritten):
        written(before={"nested": {name: "plain text"}})


def test_a_secret_does_not_show_itself() -> None:
    assert "hush" not in f"{Secret('hush')} {Secret('hush')!r} {[Secret('hush')]}"
    assert Secret("hush").reveal() == "hush"


def test_a_type_checker_refuses_a_secret(tmp_path: Path) -> None:
    code = tmp_path / "leak.py"
    code.write_text(
        "from sqlalchemy.orm import Session\n"
        "from portal.kit.audit import Personal, Secret, record\n"
        "def leak(session: Session) -> None:\n"
        "    record(session, 'a', 'b', 1, after={'fine': Personal('x'), 'n': 1})\n"
        "    record(session, 'a', 'b', 1, after={'key': Secret('x')})\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "leak.py:5: error" in done.stdout
    assert "leak.py:4" not in done.stdout


def test_who_from_where_and_by_which_means(settings: Settings) -> None:
    actor, other = uuid4(), uuid4()
    came = logs.caller.set("203.0.113.7")
    try:
        with audit.by("key", actor_id=actor, role="staff"):
            entry = written(actor_id=other)
    finally:
        logs.caller.reset(came)
    assert (entry.actor_id, entry.role, entry.means) == (actor, "staff", "key")
    assert address(entry.personal) == "203.0.113.7"
    assert json.loads(entry.personal or "") == {"caller": "203.0.113.7"}


def test_outside_of_any_door_it_is_who_the_caller_says(settings: Settings) -> None:
    other = uuid4()
    entry = written(actor_id=other)
    assert (entry.actor_id, entry.means, entry.personal) == (other, None, None)


def test_a_request_says_all_of_it(signed_in: object, client: TestClient, settings: Settings) -> None:
    staff: TestClient = signed_in("staff")  # type: ignore[operator]  # a fixture that signs in
    answer = staff.post(
        "/admin/payments/credits",
        data={"email": "ana@example.com", "amount": "5.00"},
        headers={"X-Request-Id": "ask-12345678"},
    )
    assert answer.status_code == 201
    with db.reading() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "credit.given")).one()
    assert (entry.means, entry.role, entry.request_id) == ("session", "staff", "ask-12345678")
    assert address(entry.personal)
    assert "ana@example.com" not in str(entry.after)


def test_what_an_operator_does_at_the_command_line_is_recorded(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTAL_DATABASE_URL", settings.database_url)
    file = tmp_path / "week.csv"
    file.write_text(
        "carrier,number,origin,destination,departure_local,arrival_local,aircraft,fare,currency\n"
        "ME,7,JFK,LAX,2027-03-01T08:00,2027-03-01T11:15,A320,99.00,USD\n"
    )
    assert cli.main(["schedule", "import", str(file)]) == 0
    assert cli.main(["user", "create", "--email", "new@example.com", "--role", "staff"]) == 0
    with db.reading() as session:
        imported, made = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert (imported.action, imported.thing_id, imported.means) == ("timetable.imported", "week.csv", "cli")
    assert imported.after == {"added": 1, "changed": 0}
    assert (made.action, made.means) == ("user.create", "cli")
    assert "@" in (address(made.personal) or "")
    assert logs.caller.get() is None


def test_differences_follow_nested_fields() -> None:
    found = differences({"a": {"x": 1}, "b": 2}, {"a": {"x": 3, "y": 4}})
    assert [(one.name, one.before, one.after) for one in found] == [("a.x", 1, 3), ("b", 2, None), ("a.y", None, 4)]

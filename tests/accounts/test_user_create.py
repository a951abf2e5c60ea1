"""`portal user create` makes accounts of any role."""

from __future__ import annotations

import io

import pytest
from sqlalchemy import select

from portal import cli
from portal.accounts import service
from portal.accounts.models import User
from portal.kit import audit, db
from portal.kit.settings import Settings


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run the verb with some text on standard input; returns the code, what was printed and what was complained of."""

    def run(*words: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(cli, "read", lambda: settings)
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = cli.main(["user", "create", *words])
        return (code, *capsys.readouterr())

    return run


def test_a_password_from_a_pipe_is_not_printed(run) -> None:  # type: ignore[no-untyped-def]
    words = ("--email", "ops@example.com", "--role", "admin", "--password-stdin")
    code, said, _ = run(*words, typed="from a quiet pipe\n")
    assert code == 0
    assert "from a quiet pipe" not in said
    with db.reading() as session:
        assert service.authenticate(session, "ops@example.com", "from a quiet pipe").role == "admin"
        assert session.scalar(select(audit.AuditEntry.action)) == "user.create"


def test_a_made_up_password_is_printed_once_and_works(run) -> None:  # type: ignore[no-untyped-def]
    code, said, _ = run("--email", "ops@example.com", "--role", "staff")
    password = said.rsplit(": ", 1)[1].strip()
    assert code == 0
    with db.reading() as session:
        assert service.authenticate(session, "ops@example.com", password).role == "staff"
    code, said, _ = run("--email", "OPS@example.com", "--role", "admin")
    assert (code, "already" in said) == (1, True)
    with db.reading() as session:
        assert session.scalars(select(User.role)).all() == ["staff"]


def test_a_weak_password_or_no_address_is_refused_in_words(run) -> None:  # type: ignore[no-untyped-def]
    code, _, said = run("--email", "nobody", "--role", "staff", "--password-stdin", typed="short\n")
    assert code == 1
    assert "email: " in said
    assert "password: Please use at least 12 characters." in said
    assert "short" not in said


def test_an_empty_pipe_is_no_password(run) -> None:  # type: ignore[no-untyped-def]
    assert run("--email", "ops@example.com", "--role", "staff", "--password-stdin")[0] == 1


def test_demo_users_are_made_once(settings: Settings) -> None:
    for _ in range(2):
        with db.writing() as session:
            service.ensure_demo_users(session)
    with db.reading() as session:
        assert set(session.scalars(select(User.role))) == {"customer", "staff", "admin"}
        assert service.authenticate(session, "traveller@example.com", "Fly-the-demo-1").name == "Robin Traveller"

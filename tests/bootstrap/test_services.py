"""The local services start without being installed, survive kill -9, and keep what they acknowledged."""

import os
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import psycopg
import pytest
import redis

from deploy.local import leftovers
from deploy.local.child import Child, StartFailed
from deploy.local.services import Postgres, Redis, SmtpCatcher


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    with Postgres(tmp_path / "pg", ephemeral=True) as server:
        yield server


@pytest.fixture
def catcher(tmp_path: Path) -> Iterator[SmtpCatcher]:
    with SmtpCatcher(tmp_path / "mail") as server:
        yield server


def count(server: Postgres) -> int:
    with psycopg.connect(server.dsn_for("portal")) as connection:
        return int(connection.execute("SELECT count(*) FROM kept").fetchone()[0])


def test_postgres_keeps_every_acknowledged_row_through_kill_9(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn_for("portal"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        for number in range(200):
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
        postgres.kill()
    postgres.start()
    assert count(postgres) == 200


def test_postgres_keeps_its_data_from_one_start_to_the_next(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn_for("portal")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
    postgres.stop()
    with Postgres(postgres.folder, ephemeral=True) as again:
        assert count(again) == 1


def test_postgres_listens_on_no_port(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn_for("portal")) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert postgres.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("lock", ["data/postmaster.pid", ".s.PGSQL.5432.lock"])
def test_a_lock_file_with_a_recycled_process_id_does_not_stop_the_start(postgres: Postgres, lock: str) -> None:
    postgres.stop()
    (postgres.folder / lock).write_text(f"{os.getpid()}\n{postgres.data}\n")
    postgres.start()
    assert postgres.child.running


def test_a_folder_deeper_than_a_socket_path_may_be_long(tmp_path: Path) -> None:
    with Postgres(tmp_path / ("deep" * 20) / ("deeper" * 10), ephemeral=True) as server:
        psycopg.connect(server.dsn_for("portal")).close()


def test_redis_keeps_its_data_through_a_stop_and_comes_back_after_kill_9(tmp_path: Path) -> None:
    with Redis(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        server.stop()
        server.start()
        assert client.get("kept") == b"yes"
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("kept")
        server.start()
        assert client.ping()


def send(catcher: SmtpCatcher, message_id: str, *recipients: str) -> None:
    message = EmailMessage()
    message["Message-ID"] = message_id
    message["From"] = "portal@example.com"
    message["To"] = ", ".join(recipients)
    message.set_content("Grüße\n.a line that begins with a dot")
    with smtplib.SMTP("127.0.0.1", catcher.port) as client:
        client.send_message(message)


def test_a_message_is_kept_as_it_was_sent(catcher: SmtpCatcher) -> None:
    send(catcher, "<one@example.com>", "ann@example.com")
    (file,) = catcher.messages()
    assert b"Message-ID: <one@example.com>" in file.read_bytes()
    assert b"\n.a line" in file.read_bytes()


def test_a_message_sent_twice_is_kept_once_even_after_a_restart(catcher: SmtpCatcher) -> None:
    send(catcher, "<one@example.com>", "ann@example.com")
    catcher.kill()
    catcher.start()
    send(catcher, "<one@example.com>", "ann@example.com")
    assert len(catcher.messages()) == 1


def test_other_messages_and_other_recipients_are_other_files(catcher: SmtpCatcher) -> None:
    send(catcher, "<one@example.com>", "ann@example.com")
    send(catcher, "<one@example.com>", "bob@example.com")
    send(catcher, "<two@example.com>", "ann@example.com")
    assert len(catcher.messages()) == 3


def test_a_program_that_cannot_start_says_why_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child("The oracle", ["sh", "-c", "echo the stars are wrong; exit 3"], tmp_path / "oracle.log")
    child.start()
    with pytest.raises(StartFailed, match=r"(?s)The oracle stopped while starting.*the stars are wrong"):
        child.wait_ready(lambda: False)


def test_what_a_killed_launcher_left_is_stopped_and_a_stranger_with_its_id_is_not(tmp_path: Path) -> None:
    with Child("sleeper", ["sleep", "60"], tmp_path / "log") as child:
        assert leftovers.clear([(child.pid, "another start time")]) == 0
        assert child.running
        assert leftovers.clear(leftovers.known([child.pid])) == 1
        assert not child.running

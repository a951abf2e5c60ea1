"""Mail goes out whole, says who it is, and fails in words that a person can act on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jinja2
import pytest

from deploy.local.services import SmtpCatcher, free_port
from portal.kit import db, mail, web
from portal.kit.outbox import Hopeless
from portal.kit.settings import Settings

LEAVE = "https://portal.example/waiting-list/word"
PDF = mail.File("itinerary.pdf", "application/pdf", b"%PDF-1.7 pretend")


@pytest.fixture(autouse=True)
def letter_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail template of the test's own beside the house's."""
    words = {
        "mail/test.txt": '{% extends "mail/_layout.txt" %}{% block body %}Dear {{ name }}{% endblock %}',
        "mail/test.html": '{% extends "mail/_layout.html" %}{% block body %}<p>Dear {{ name }}</p>{% endblock %}',
    }
    environment = web.templates().overlay()
    environment.loader = jinja2.ChoiceLoader([jinja2.DictLoader(words), web.templates().loader])  # type: ignore[list-item]  # it has one
    monkeypatch.setattr(mail, "templates", lambda: environment)


def message(settings: Settings | None = None, **changes: Any) -> EmailMessage:
    wishes: dict[str, Any] = {
        "to": "ada@example.com",
        "subject": "Your booking Übersee",
        "template": "test",
        "identity": "test.1",
        "name": "<b>Ada & Ünal</b>",
        "files": [PDF],
        **changes,
    }
    return mail.compose(settings or Settings(), **wishes)


def received(path: Path) -> EmailMessage:
    parsed = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def check_whole(mail_: EmailMessage) -> None:
    text, html = mail_.get_body(("plain",)), mail_.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "Dear <b>Ada & Ünal</b>" in text.get_content()
    assert "Dear &lt;b&gt;Ada &amp; Ünal&lt;/b&gt;" in html.get_content()
    (attached,) = mail_.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("itinerary.pdf", PDF.content)
    assert (mail_["To"], mail_["Subject"]) == ("ada@example.com", "Your booking Übersee")


def test_one_subject_of_a_message_makes_one_message_id() -> None:
    assert message()["Message-ID"] == message(name="Eve")["Message-ID"]
    assert message()["Message-ID"] != message(identity="test.2")["Message-ID"]


def test_what_a_stranger_typed_cannot_add_a_header() -> None:
    made = message(subject="Hello\r\nBcc: eve@example.com", name="x\r\nBcc: eve@example.com")
    parsed = message_from_bytes(made.as_bytes(), policy=policy.default)
    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "Hello Bcc: eve@example.com"


@pytest.mark.parametrize(
    "address", ["", "nobody", "a@b\r\nBcc: eve@example.com", "a@example.com, eve@example.com", "<a@example.com>"]
)
def test_an_address_that_is_none_is_given_up(address: str) -> None:
    with pytest.raises(Hopeless):
        message(to=address)


def test_smtp_delivers_the_whole_message(tmp_path: Path) -> None:
    with SmtpCatcher(tmp_path / "mail") as server:
        mail.send(Settings(email_provider="smtp", smtp_url=server.url), message())
        (path,) = server.messages()
        check_whole(received(path))


def test_a_mail_server_that_is_away_is_named_in_the_failure() -> None:
    port = free_port()
    away = Settings(email_provider="smtp", smtp_url=f"smtp://clerk:secret@127.0.0.1:{port}")
    with pytest.raises(mail.MailFailed, match=f"127.0.0.1:{port} does not answer") as failure:
        mail.send(away, message())
    assert "secret" not in str(failure.value)


def test_starttls_on_a_server_without_it_sends_nothing(tmp_path: Path) -> None:
    with SmtpCatcher(tmp_path / "mail") as server:
        with pytest.raises(mail.MailFailed, match="STARTTLS"):
            mail.send(Settings(email_provider="smtp", smtp_url=f"{server.url}?starttls=1"), message())
        assert server.messages() == []


def test_the_folder_keeps_a_message_once(tmp_path: Path) -> None:
    settings = Settings(email_provider="file", mail_dir=str(tmp_path / "mail"))
    for _ in range(2):
        mail.send(settings, message())
    (path,) = (tmp_path / "mail").iterdir()
    assert path.suffix == ".eml"
    check_whole(received(path))


def test_sendgrid_is_told_everything() -> None:
    with sendgrid(202) as (address, asked):
        mail.send(
            Settings(email_provider="sendgrid", sendgrid_url=address, sendgrid_api_key="SG.key"),
            mail.may_be_left(message(), LEAVE),
        )
    ((path, authorization, body),) = asked
    assert (path, authorization) == ("/v3/mail/send", "Bearer SG.key")
    assert body["personalizations"] == [{"to": [{"email": "ada@example.com"}]}]
    assert body["from"] == {"email": "noreply@portal.example", "name": "Meridian Air"}
    assert [part["type"] for part in body["content"]] == ["text/plain", "text/html"]
    assert body["attachments"][0]["filename"] == "itinerary.pdf"
    assert body["headers"]["Message-ID"] == message()["Message-ID"]
    assert body["headers"]["List-Unsubscribe"] == f"<{LEAVE}>"
    assert body["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_refusal_by_sendgrid_is_told_without_the_key() -> None:
    with (
        sendgrid(401) as (address, _),
        pytest.raises(mail.MailFailed, match=r"401 .*no such key") as failure,
    ):
        mail.send(Settings(email_provider="sendgrid", sendgrid_url=address, sendgrid_api_key="SG.key"), message())
    assert "SG.key" not in str(failure.value)


@contextmanager
def sendgrid(status: int) -> Iterator[tuple[str, list[Any]]]:
    """SendGrid's HTTP edge: notes what it is asked and answers `status`."""
    asked: list[Any] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["Authorization"], body))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"errors": [{"message": "no such key"}]}')

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_was_sent_is_not_sent_again(settings: Settings) -> None:
    made = message(replace(settings, email_from="noreply@portal.example"))
    with db.writing() as session:
        assert mail.begin(session, made, kind="test")
    with db.writing() as session:
        assert mail.begin(session, made, kind="test")
        mail.sent(session, made)
    with db.writing() as session:
        assert not mail.begin(session, made, kind="test")

"""The demo's mailbox shows what was sent, and nothing that a stranger wrote can do anything there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import mail
from portal.kit.settings import Settings
from portal.tickets import letters
from tests.tickets import sample

HOSTILE = (
    b"From: eve@example.com\r\nTo: <script>alert(1)</script>\r\nSubject: =?utf-8?q?<script>alert(2)</script>?=\r\n"
    b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/html; charset=no-such\r\n\r\n'
    b"<script>alert(3)</script><b>hello</b>\r\n--x\r\nContent-Type: text/html\r\n"
    b'Content-Disposition: attachment; filename="../../evil<script>.html"\r\n\r\n<script>alert(4)</script>\r\n--x--\r\n'
)


@pytest.fixture
def folder(settings: Settings) -> Path:
    made = Path(settings.mail_dir)
    made.mkdir(parents=True)
    return made


def test_an_empty_mailbox_says_so(client: TestClient) -> None:
    assert "Nothing sent yet" in client.get("/dev/mail").text


def test_what_was_sent_is_listed_opened_and_downloaded(client: TestClient, settings: Settings) -> None:
    pdf = mail.File("itinerary-K7QX4M.pdf", "application/pdf", b"%PDF-pretend")
    mail.send(settings, letters.confirmation_mail(sample.booking(), settings, [pdf]))
    listed = client.get("/dev/mail").text
    assert "Your tickets: New York – Los Angeles" in listed
    (path,) = Path(settings.mail_dir).glob("*.eml")
    opened = client.get(f"/dev/mail/{path.stem}").text
    assert "ada@example.com" in opened
    assert "itinerary-K7QX4M.pdf" in opened
    assert "K7QX4M" in client.get(f"/dev/mail/{path.stem}/html").text
    assert client.get(f"/dev/mail/{path.stem}/files/0").content == b"%PDF-pretend"
    assert client.get(f"/dev/mail/{path.stem}/files/9").status_code == 404


def test_hostile_mail_is_harmless(client: TestClient, folder: Path) -> None:
    (folder / "20261123T100000-abc.eml").write_bytes(HOSTILE)
    for page in ("/dev/mail", "/dev/mail/20261123T100000-abc"):
        answer = client.get(page)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
    framed = client.get("/dev/mail/20261123T100000-abc/html")
    assert "<b>hello</b>" in framed.text
    policy = framed.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    file = client.get("/dev/mail/20261123T100000-abc/files/0")
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"].startswith("attachment;")
    assert "/" not in file.headers["content-disposition"]


@pytest.mark.parametrize(
    "junk", [b"", b"\0\0\0", b"\r\n\r\n", b"Subject: \xff\xfe\r\nTo: (((\r\n\r\nx", b"To: a" * 30_000]
)
def test_junk_in_the_folder_breaks_nothing(client: TestClient, folder: Path, junk: bytes) -> None:
    (folder / "junk.eml").write_bytes(junk)
    assert client.get("/dev/mail").status_code == 200
    assert client.get("/dev/mail/junk").status_code == 200
    assert client.get("/dev/mail/junk/html").status_code == 200


@pytest.mark.parametrize("name", ["..", "%2e%2e%2fsecret", "..%2Fsecret", "%00", "nothing", "a" * 200, "secret%0a"])
def test_no_name_leads_out_of_the_folder(client: TestClient, folder: Path, name: str) -> None:
    (folder.parent / "secret.eml").write_bytes(b"Subject: secret\r\n\r\nsecret")
    answer = client.get(f"/dev/mail/{name}")
    assert answer.status_code in ((400,) if name == "%00" else (404, 307))
    assert "Subject: secret" not in answer.text


@pytest.fixture
def strict(settings: Settings) -> Iterator[TestClient]:
    made = create_app(replace(settings, env="production", demo=False))
    with TestClient(made, raise_server_exceptions=False) as running:
        yield running


def test_where_mail_is_real_there_is_no_mailbox(strict: TestClient, folder: Path) -> None:
    (folder / "one.eml").write_bytes(b"Subject: private\r\n\r\nprivate")
    for path in ("/dev/mail", "/dev/mail/one", "/dev/mail/one/html", "/dev/mail/one/files/0"):
        assert strict.get(path).status_code == 404

"""Mail: a message is composed from templates, sent through SMTP, SendGrid or a folder, and remembered by Message-ID.

The Message-ID derives from what the message is about, never from chance. What was sent is noted after the server took
it, so a crash in between may send a message twice, under one Message-ID: mailboxes show it once. While the server is
away the letter fails and comes again; nothing is lost.
"""

from __future__ import annotations

import base64
import json
import os
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import clock, i18n
from portal.kit.ids import fingerprint
from portal.kit.model import Base
from portal.kit.outbox import Hopeless
from portal.kit.settings import Settings
from portal.kit.web import templates

PATIENCE_SECONDS = 15
OWN_HEADERS = ("Message-ID", "Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe-Post")


class SentMail(Base):
    """A message that was handed over. The Message-ID derives from the letter, so that a second sending shows as one."""

    __tablename__ = "sent_mails"

    message_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    recipient: Mapped[str]
    subject: Mapped[str]
    begun_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]


class MailFailed(Exception):
    """The message was not taken; the text says by whom and why, and holds no password."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to attach."""

    name: str
    media_type: str
    content: bytes


def compose(
    settings: Settings,
    *,
    to: str,
    subject: str,
    template: str,
    identity: str,
    locale: str = "en",
    files: Sequence[File] = (),
    **context: Any,
) -> EmailMessage:
    """Return the message of templates/mail/<template>.txt and .html in the reader's language.

    `identity` names what the message is about (`booking.confirmed.<id>`): the same one gives the same Message-ID.
    Raises Hopeless for an address that no mail can go to.
    """
    message = EmailMessage(policy=SMTP_POLICY)
    message["Message-ID"] = f"<{fingerprint(identity)[:32]}@{settings.email_from.rpartition('@')[2]}>"
    message["Date"] = clock.now()
    message["From"] = _address(settings.email_from, settings.email_from_name)
    message["To"] = _address(to)
    message["Subject"] = " ".join(subject.split())
    message["Auto-Submitted"] = "auto-generated"
    text, html = _bodies(settings, template, locale, {**context, "subject": message["Subject"]})
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    for file in files:
        main, _, sub = file.media_type.partition("/")
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    return message


def may_be_left(message: EmailMessage, address: str) -> EmailMessage:
    """Return the message with the headers by which mail programs offer to leave it, in one click (RFC 2369, RFC 8058).

    A POST to `address` must leave without asking further.
    """
    message["List-Unsubscribe"] = f"<{address}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return message


def _bodies(settings: Settings, template: str, locale: str, context: dict[str, Any]) -> tuple[str, str]:
    common = {
        "locale": locale,
        "base_url": settings.base_url,
        "brand_name": settings.email_from_name,
        "demo": settings.demo,
    }
    with i18n.speaking(locale):
        whole = {**common, **context}
        text, html = (templates().get_template(f"mail/{template}.{kind}").render(whole) for kind in ("txt", "html"))
    return text.strip() + "\n", html


def _address(address: str, name: str = "") -> Address:
    try:
        return Address(name, addr_spec=address)
    except (ValueError, IndexError, MessageError):
        raise Hopeless(f"{address!r} is not an address that mail can go to.") from None


def begin(session: Session, message: EmailMessage, *, kind: str) -> bool:
    """Note that the message is about to go out; False when it went out already and must not go again."""
    values = {
        "message_id": message["Message-ID"],
        "kind": kind,
        "recipient": str(message["To"]),
        "subject": str(message["Subject"]),
    }
    session.execute(insert(SentMail).values(values).on_conflict_do_nothing())
    return session.scalar(select(SentMail.sent_at).where(SentMail.message_id == message["Message-ID"])) is None


def sent(session: Session, message: EmailMessage) -> None:
    """Note that the message was taken by the mail server."""
    session.execute(update(SentMail).where(SentMail.message_id == message["Message-ID"]).values(sent_at=func.now()))


def send(settings: Settings, message: EmailMessage) -> None:
    """Hand the message over by the configured provider. Raises MailFailed when it was not taken."""
    PROVIDERS[settings.email_provider](settings, message)


def _send_smtp(settings: Settings, message: EmailMessage) -> None:
    url = urlsplit(settings.smtp_url)
    server = f"{url.hostname}:{url.port or ''}".rstrip(":")
    try:
        with _smtp(url.scheme, url.hostname or "", url.port or 0) as connection:
            if parse_qs(url.query).get("starttls") == ["1"]:
                connection.starttls(context=ssl.create_default_context())
            if url.username:
                connection.login(unquote(url.username), unquote(url.password or ""))
            connection.send_message(message)
    except smtplib.SMTPRecipientsRefused as refused:
        raise MailFailed(f"The mail server {server} refused the recipient: {_words(refused)}") from None
    except smtplib.SMTPException as wrong:
        raise MailFailed(f"The mail server {server} did not take the message: {_words(wrong)}") from None
    except OSError as away:
        raise MailFailed(f"The mail server {server} does not answer: {away}") from None


def _smtp(scheme: str, host: str, port: int) -> smtplib.SMTP:
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=PATIENCE_SECONDS, context=ssl.create_default_context())
    return smtplib.SMTP(host, port, timeout=PATIENCE_SECONDS)


def _words(wrong: smtplib.SMTPException) -> str:
    """Return the server's words; what we sent it is left out, for it may be a password."""
    if isinstance(wrong, smtplib.SMTPResponseException):
        return f"{wrong.smtp_code} {_text(wrong.smtp_error)}"
    if isinstance(wrong, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {_text(said)}" for code, said in wrong.recipients.values())
    return str(wrong)


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


def _send_sendgrid(settings: Settings, message: EmailMessage) -> None:
    request = urllib.request.Request(  # noqa: S310 – the address is the operator's own setting
        f"{settings.sendgrid_url.rstrip('/')}/v3/mail/send",
        json.dumps(_sendgrid_body(message)).encode(),
        {"Authorization": f"Bearer {settings.sendgrid_api_key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS):  # noqa: S310 – as above
            pass
    except urllib.error.HTTPError as refused:
        said = refused.read(2000).decode(errors="replace")
        raise MailFailed(f"SendGrid did not take the message: {refused.code} {said}") from None
    except OSError as away:
        raise MailFailed(f"SendGrid does not answer: {away}") from None


def _sendgrid_body(message: EmailMessage) -> dict[str, Any]:
    sender, recipient = message["From"].addresses[0], message["To"].addresses[0]
    texts = [part for part in message.walk() if part.get_content_maintype() == "text" and not part.get_filename()]
    body: dict[str, Any] = {
        "personalizations": [{"to": [{"email": recipient.addr_spec}]}],
        "from": {"email": sender.addr_spec, "name": sender.display_name},
        "subject": str(message["Subject"]),
        "content": [{"type": part.get_content_type(), "value": part.get_content()} for part in texts],
        "headers": {name: str(message[name]) for name in OWN_HEADERS if message[name]},
    }
    if files := [_sendgrid_file(part) for part in message.iter_attachments()]:
        body["attachments"] = files
    return body


def _sendgrid_file(part: Any) -> dict[str, str]:
    content = base64.b64encode(part.get_payload(decode=True)).decode()
    return {"content": content, "type": part.get_content_type(), "filename": part.get_filename()}


def _send_to_folder(settings: Settings, message: EmailMessage) -> None:
    folder = Path(settings.mail_dir)
    folder.mkdir(parents=True, exist_ok=True)
    mark = fingerprint(f"{message['Message-ID']}{message['To']}")[:16]
    if any(folder.glob(f"*-{mark}.eml")):
        return
    part = folder / f".{mark}.part"
    with part.open("wb") as file:
        file.write(message.as_bytes())
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{mark}.eml")


PROVIDERS: dict[str, Callable[[Settings, EmailMessage], None]] = {
    "smtp": _send_smtp,
    "sendgrid": _send_sendgrid,
    "file": _send_to_folder,
}

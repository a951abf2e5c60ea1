"""Mail: a message is built, sent through SMTP, SendGrid or a folder, and remembered by its Message-ID."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base


class SentMail(Base):
    """A message that was handed over. The Message-ID derives from the letter, so that a second sending shows as one."""

    __tablename__ = "sent_mails"

    message_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    recipient: Mapped[str]
    subject: Mapped[str]
    begun_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]

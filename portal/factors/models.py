"""What an account shows besides its password: an authenticator app, recovery codes, passkeys, remembered browsers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

OWNER = "users.id"


class Authenticator(Base):
    """An app that shows six digits every half minute (RFC 6238). Its secret is encrypted; `last_step` was used up."""

    __tablename__ = "authenticators"

    user_id: Mapped[UUID] = mapped_column(ForeignKey(OWNER, ondelete="CASCADE"), primary_key=True)
    secret: Mapped[bytes]
    name: Mapped[str]
    last_step: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """One of ten codes for the day when nothing else is at hand: works once. Only its SHA-256 is kept."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey(OWNER, ondelete="CASCADE"), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]


class Passkey(Base):
    """A key that a device keeps (WebAuthn): we know its public half only, and how often it signed, if it counts."""

    __tablename__ = "passkeys"
    __table_args__ = (
        UniqueConstraint("credential_id"),
        CheckConstraint("sign_count >= 0", name="counts_up"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey(OWNER, ondelete="CASCADE"), index=True)
    credential_id: Mapped[bytes]
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]] = mapped_column(ARRAY(Text))
    synced: Mapped[bool]
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]


class SpentChallenge(Base):
    """A challenge that was answered: it counts once. Kept until it would have lapsed anyway."""

    __tablename__ = "spent_challenges"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class HalfSignIn(Base):
    """Somebody whose password was right and whose second step is still to come. Only its word's SHA-256 is kept."""

    __tablename__ = "half_sign_ins"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(OWNER, ondelete="CASCADE"), index=True)
    guesses: Mapped[int] = mapped_column(server_default="0")
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RememberedBrowser(Base):
    """A browser that is not asked for the second step for a while. Only its word's SHA-256 is kept."""

    __tablename__ = "remembered_browsers"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    fingerprint: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(OWNER, ondelete="CASCADE"), index=True)
    agent: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Identity(Base):
    """Who an account is elsewhere: a provider (`issuer`) and the name it never gives to another (`subject`)."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey(OWNER, ondelete="CASCADE"), index=True)
    issuer: Mapped[str]
    subject: Mapped[str]
    email: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]

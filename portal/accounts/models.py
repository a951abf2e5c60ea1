"""People, their ways in, and what they like: saved travellers, favourite routes, preferences."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

ROLES = ("customer", "staff", "admin")
SEATS = ("window", "aisle", "front")
# IATA's codes for special meals (Passenger Services Conference Resolutions Manual).
MEALS = ("VGML", "VLML", "MOML", "KSML", "GFML", "DBML", "CHML")
NOTICES = ("checkIn", "fareAlerts", "newSignIn")


class User(Base):
    """A person with an account; the address is unique without regard to case.

    `credentials_version` counts changes of password and address: a mailed link is for one version, so that it works
    once. A closed account signs nobody in; it is erased later, or opened again.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(f"role in {ROLES}", name="role_known"),
        Index("uq_users_email", text("lower(email)"), unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    email: Mapped[str]
    given_name: Mapped[str]
    family_name: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str] = mapped_column(server_default="customer")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    email_verified_at: Mapped[datetime | None]
    credentials_version: Mapped[int] = mapped_column(server_default="0")
    password_changed_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class PendingAccount(Base):
    """A wish for an account that its address has not confirmed yet. Several may wait for one address: whoever reads its
    mail decides which of them becomes the account, so that nobody can take an address before its owner.
    """

    __tablename__ = "pending_accounts"
    __table_args__ = (
        Index("ix_pending_accounts_email", text("lower(email)")),
        Index("ix_pending_accounts_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    email: Mapped[str]
    given_name: Mapped[str]
    family_name: Mapped[str]
    password_hash: Mapped[str]
    locale: Mapped[str] = mapped_column(server_default="en")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class KnownBrowser(Base):
    """A kind of browser that an account has signed in from, in a network: only what is new is told by mail."""

    __tablename__ = "known_browsers"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    mark: Mapped[str] = mapped_column(primary_key=True)
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SignIn(Base):
    """A signed-in browser. Only the SHA-256 of its cookie's word is kept."""

    __tablename__ = "sign_ins"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True, server_default=text("gen_random_uuid()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    # When it last showed who it is, and when it showed a second factor, which begins with the sign-in or comes later.
    proved_at: Mapped[datetime | None]
    factor_at: Mapped[datetime | None]
    address: Mapped[str | None]
    agent: Mapped[str | None]


class SavedTraveller(Base):
    """Somebody whom the account books for, so that a form can be filled in at once."""

    __tablename__ = "saved_travellers"
    __table_args__ = (Index("ix_saved_travellers_user_id_created_at", "user_id", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    given_name: Mapped[str]
    family_name: Mapped[str]
    date_of_birth: Mapped[date]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class FavouriteRoute(Base):
    """A route that the account keeps at hand."""

    __tablename__ = "favourite_routes"
    __table_args__ = (CheckConstraint("origin <> destination", name="goes_somewhere"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    origin: Mapped[str] = mapped_column(ForeignKey("airports.code"), primary_key=True)
    destination: Mapped[str] = mapped_column(ForeignKey("airports.code"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Preferences(Base):
    """How an account likes it; without a row, no preference. `muted` are the kinds of mail that it does not want."""

    __tablename__ = "preferences"
    __table_args__ = (
        CheckConstraint(f"seat in {SEATS}", name="seat_known"),
        CheckConstraint(f"meal in {MEALS}", name="meal_known"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    home_airport: Mapped[str | None] = mapped_column(ForeignKey("airports.code"))
    seat: Mapped[str | None]
    meal: Mapped[str | None]
    language: Mapped[str | None]
    muted: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    keep_address: Mapped[bool] = mapped_column(server_default=text("true"))
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())

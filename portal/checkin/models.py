"""Check-ins with their numbers, the flights that are boarded, who did not come, and documents for a short while."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

DOCUMENT_TYPES = ("passport", "identity_card")
SEXES = ("F", "M", "X")


class Boarding(Base):
    """A flight that somebody was checked in for: the last sequence number given, and whether its gate is closed.

    `settled_at`: after arrival, when each pass was written down as flown or as a no-show.
    """

    __tablename__ = "boardings"
    __table_args__ = (CheckConstraint("last_sequence between 0 and 9999", name="sequence_fits_a_pass"),)

    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id", ondelete="CASCADE"), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(server_default="0")
    closed_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class CheckIn(Base):
    """One coupon that is checked in. A number is never given twice, not even after a check-in was undone.

    `seat` is the one on the pass as first handed out (null for an infant on a lap); the seat of the day is
    named_seats', because an aircraft may be swapped. `told_seat` is the one on the newest pass that was mailed.
    """

    __tablename__ = "check_ins"
    __table_args__ = (
        ForeignKeyConstraint(
            ["ticket_number", "coupon_position"],
            ["coupons.ticket_number", "coupons.position"],
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        UniqueConstraint("ticket_number", "coupon_position"),
        UniqueConstraint("flight_id", "sequence_number"),
        UniqueConstraint("flight_id", "passenger_id"),
        CheckConstraint("sequence_number between 1 and 9999", name="sequence_fits_a_pass"),
        CheckConstraint("boarded_at >= checked_in_at", name="boarded_after_check_in"),
        Index("ix_check_ins_passenger_id", "passenger_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    ticket_number: Mapped[str] = mapped_column(String(13))
    coupon_position: Mapped[int]
    passenger_id: Mapped[UUID] = mapped_column(ForeignKey("passengers.id", ondelete="CASCADE"))
    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id"))
    sequence_number: Mapped[int]
    seat: Mapped[str | None] = mapped_column(String(4))
    told_seat: Mapped[str | None] = mapped_column(String(4))
    source: Mapped[str] = mapped_column(String(1), server_default="W")
    checked_in_at: Mapped[datetime] = mapped_column(server_default=func.now())
    checked_in_by: Mapped[UUID | None]
    boarded_at: Mapped[datetime | None]
    boarded_by: Mapped[UUID | None]


class NoShow(Base):
    """A coupon whose traveller did not board, as far as the gate knows."""

    __tablename__ = "no_shows"
    __table_args__ = (
        ForeignKeyConstraint(
            ["ticket_number", "coupon_position"],
            ["coupons.ticket_number", "coupons.position"],
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        Index("ix_no_shows_flight_id", "flight_id"),
    )

    ticket_number: Mapped[str] = mapped_column(String(13), primary_key=True)
    coupon_position: Mapped[int] = mapped_column(primary_key=True)
    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id"))
    noted_at: Mapped[datetime] = mapped_column(server_default=func.now())


class TravelDocument(Base):
    """What a state asks to be told of a traveller before an international flight, and nothing more.

    Erased some days after the booking's last flight.
    """

    __tablename__ = "travel_documents"
    __table_args__ = (
        CheckConstraint(f"type in {DOCUMENT_TYPES}", name="type_known"),
        CheckConstraint(f"sex in {SEXES}", name="sex_known"),
        CheckConstraint("number ~ '^[A-Z0-9]{4,20}$'", name="number_readable"),
        CheckConstraint("nationality ~ '^[A-Z]{2}$' and issuing_country ~ '^[A-Z]{2}$'", name="countries_by_code"),
    )

    passenger_id: Mapped[UUID] = mapped_column(ForeignKey("passengers.id", ondelete="CASCADE"), primary_key=True)
    type: Mapped[str]
    number: Mapped[str]
    nationality: Mapped[str] = mapped_column(String(2))
    issuing_country: Mapped[str] = mapped_column(String(2))
    expires_on: Mapped[date]
    sex: Mapped[str] = mapped_column(String(1))
    given_at: Mapped[datetime] = mapped_column(server_default=func.now())

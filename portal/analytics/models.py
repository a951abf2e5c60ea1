"""Roll-ups that a job keeps, and exports."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.booking.models import Booking
from portal.kit.model import Base

EXPORT_STATES = ("waiting", "running", "done", "failed")
FORMATS = ("csv", "xlsx", "json")
REPORTS = ("sales", "bookings")
ANY_PORT, ANY = "***", "*"
EXTRAS = ("seat", "bag", "meal", "priority", "insurance")
FACTS = ("cancelled", "refunded", "extra", *EXTRAS)

# The roll-ups are redone by day of sale, so the day's bookings must be found without reading history.
Index("ix_bookings_confirmed_at", Booking.confirmed_at, postgresql_where=text("confirmed_at is not null"))


class SalesDay(Base):
    """What was sold on a day (UTC), by a slice's route, cabin and brand. A row is replaced when its day is redone.

    Revenue adds up over rows of one currency. Bookings and passengers do not: a return trip is in two rows.
    """

    __tablename__ = "sales_days"
    __table_args__ = (Index("ix_sales_days_route", "origin", "destination", "sold_on"),)

    sold_on: Mapped[date] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(String(3), primary_key=True)
    destination: Mapped[str] = mapped_column(String(3), primary_key=True)
    cabin: Mapped[str] = mapped_column(primary_key=True)
    brand: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    bookings: Mapped[int]
    passengers: Mapped[int]
    revenue_minor: Mapped[int] = mapped_column(BigInteger)


class SalesCount(Base):
    """How many bookings and passengers were sold on a day (UTC), for every way to narrow them.

    `***` at both ends of a route, `*` for cabin and for brand mean any: a return trip is one booking on two routes, so
    what is counted by route, cabin or brand does not add up. Days do.
    """

    __tablename__ = "sales_counts"

    sold_on: Mapped[date] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(String(3), primary_key=True)
    destination: Mapped[str] = mapped_column(String(3), primary_key=True)
    cabin: Mapped[str] = mapped_column(primary_key=True)
    brand: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    bookings: Mapped[int]
    passengers: Mapped[int]


class SalesFact(Base):
    """What became of what was sold on a day (UTC), for every way to narrow it, as sales are counted.

    `cancelled`: bookings cancelled since, and travellers who no longer fly, in them or in others. `refunded`: bookings
    that money went back to, and how much. `seat`, `bag`, `meal`, …: confirmed bookings with such an extra, the
    travellers who have it, and what it cost; `extra` is any of them.
    """

    __tablename__ = "sales_facts"
    __table_args__ = (CheckConstraint(f"fact in {FACTS}", name="fact_known"),)

    sold_on: Mapped[date] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(String(3), primary_key=True)
    destination: Mapped[str] = mapped_column(String(3), primary_key=True)
    cabin: Mapped[str] = mapped_column(primary_key=True)
    brand: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    fact: Mapped[str] = mapped_column(primary_key=True)
    bookings: Mapped[int]
    passengers: Mapped[int]
    amount_minor: Mapped[int] = mapped_column(BigInteger)


class FlightDay(Base):
    """Seats and kilometres flown on a local day of departure by route: load factor is rpk / ask, never a mean.

    `ticketed` are the travellers of flights whose gate has closed its books, `no_shows` those of them who did not come.
    """

    __tablename__ = "flight_days"
    __table_args__ = (Index("ix_flight_days_route", "origin", "destination", "departs_on"),)

    departs_on: Mapped[date] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(String(3), primary_key=True)
    destination: Mapped[str] = mapped_column(String(3), primary_key=True)
    cabin: Mapped[str] = mapped_column(primary_key=True)
    flights: Mapped[int]
    seats: Mapped[int]
    sold: Mapped[int]
    ask_km: Mapped[int] = mapped_column(BigInteger)
    rpk_km: Mapped[int] = mapped_column(BigInteger)
    ticketed: Mapped[int] = mapped_column(server_default="0")
    no_shows: Mapped[int] = mapped_column(server_default="0")


class StaleDay(Base):
    """A day whose roll-up is to be redone; `kind` is sales or flights."""

    __tablename__ = "stale_days"
    __table_args__ = (CheckConstraint("kind in ('sales', 'flights')", name="kind_known"),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    marked_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Export(Base):
    """An export that was asked for: what, how far, and where it ended. Each `attempt` begins it afresh."""

    __tablename__ = "exports"
    __table_args__ = (
        CheckConstraint(f"state in {EXPORT_STATES}", name="state_known"),
        CheckConstraint(f"format in {FORMATS}", name="format_known"),
        CheckConstraint(f"report in {REPORTS}", name="report_known"),
        CheckConstraint("progress between 0 and 100", name="progress_is_percent"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    report: Mapped[str]
    format: Mapped[str]
    filters: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempt: Mapped[int] = mapped_column(server_default="0")
    progress: Mapped[int] = mapped_column(server_default="0")
    rows: Mapped[int | None]
    error: Mapped[str | None]
    filename: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    done_at: Mapped[datetime | None]


class ExportChunk(Base):
    """A piece of an export's file, so that neither side ever holds the whole in memory."""

    __tablename__ = "export_chunks"

    export_id: Mapped[UUID] = mapped_column(ForeignKey("exports.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes]

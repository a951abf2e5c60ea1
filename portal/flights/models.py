"""Carriers, aircraft, flights, cabins and claims on seats."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

CABINS = ("economy", "premium", "business", "first")
FLIGHT_STATES = ("scheduled", "cancelled")


class Carrier(Base):
    """An airline: its two-character designator, name, and the 3-digit number that its tickets begin with."""

    __tablename__ = "carriers"
    __table_args__ = (
        CheckConstraint("code ~ '^[A-Z0-9]{2}$'", name="code_is_iata"),
        CheckConstraint("ticket_prefix ~ '^[0-9]{3}$'", name="ticket_prefix_is_three_digits"),
    )

    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str]
    ticket_prefix: Mapped[str] = mapped_column(String(3))


class AircraftType(Base):
    """An aircraft type by ICAO code."""

    __tablename__ = "aircraft_types"

    code: Mapped[str] = mapped_column(String(4), primary_key=True)
    name: Mapped[str]


class AircraftCabin(Base):
    """One cabin of a type: rows, the letters across (`ABC DEF`, a blank is an aisle) and its exit rows."""

    __tablename__ = "aircraft_cabins"
    __table_args__ = (
        CheckConstraint(f"cabin in {CABINS}", name="cabin_known"),
        CheckConstraint("first_row > 0 and last_row >= first_row", name="rows_in_order"),
        CheckConstraint("capacity > 0", name="capacity_positive"),
    )

    aircraft: Mapped[str] = mapped_column(ForeignKey("aircraft_types.code"), primary_key=True)
    cabin: Mapped[str] = mapped_column(primary_key=True)
    first_row: Mapped[int]
    last_row: Mapped[int]
    layout: Mapped[str]
    exit_rows: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")
    capacity: Mapped[int]


class Flight(Base):
    """One dated flight. `departs_on` is local to the origin; `*_local` are wall clocks, `*_at` the same instants.

    `fare_minor` is the lowest economy fare for an adult, before taxes. A delay leaves the schedule as it is and gives
    `estimated_*_at`. While `sale_closed_at` is set nobody is sold a seat. Once staff have changed a flight
    (`steered_at`), timetable files no longer do.
    """

    __tablename__ = "flights"
    __table_args__ = (
        UniqueConstraint("carrier", "number", "origin", "departs_on"),
        CheckConstraint("arrival_at > departure_at", name="arrives_after_departure"),
        CheckConstraint("origin <> destination", name="goes_somewhere"),
        CheckConstraint("number between 1 and 9999", name="number_of_four_digits"),
        CheckConstraint("fare_minor > 0", name="fare_positive"),
        CheckConstraint("departure_local::date = departs_on", name="departs_on_is_local"),
        CheckConstraint(f"status in {FLIGHT_STATES}", name="status_known"),
        CheckConstraint("(estimated_departure_at is null) = (estimated_arrival_at is null)", name="estimates_in_pairs"),
        CheckConstraint("estimated_arrival_at > estimated_departure_at", name="estimates_in_order"),
        Index("ix_flights_market", "origin", "destination", "departs_on"),
        Index("ix_flights_leaving", "origin", "departs_on"),
        Index("ix_flights_reaching", "destination", "departure_at"),
        Index("ix_flights_departure_at", "departure_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True, server_default=text("gen_random_uuid()"))
    carrier: Mapped[str] = mapped_column(ForeignKey("carriers.code"))
    number: Mapped[int]
    origin: Mapped[str] = mapped_column(ForeignKey("airports.code"))
    destination: Mapped[str] = mapped_column(ForeignKey("airports.code"))
    departs_on: Mapped[date]
    departure_local: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    arrival_local: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    departure_at: Mapped[datetime]
    arrival_at: Mapped[datetime]
    aircraft: Mapped[str] = mapped_column(ForeignKey("aircraft_types.code"))
    distance_km: Mapped[int]
    fare_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[str] = mapped_column(server_default="scheduled")
    estimated_departure_at: Mapped[datetime | None]
    estimated_arrival_at: Mapped[datetime | None]
    sale_closed_at: Mapped[datetime | None]
    steered_at: Mapped[datetime | None]


class FlightCabin(Base):
    """The counters of one cabin on one flight: free = capacity - sold - held, and never below zero.

    `closed_at_sold` is how many were sold when the sale was closed, null while it is open: from then on it only falls.
    It stands here, and not with the flight, so that the row that a sale locks says by itself that it may not happen.
    `protections` are nested: the i-th is how many seats are kept for the i dearest booking classes, ascending; none
    means that nothing is kept. Only which fare is sold depends on them, never whether a seat is.
    """

    __tablename__ = "flight_cabins"
    __table_args__ = (
        CheckConstraint(f"cabin in {CABINS}", name="cabin_known"),
        CheckConstraint("sold >= 0 and held >= 0 and sold + held <= capacity", name="never_oversold"),
        CheckConstraint("sold <= closed_at_sold", name="never_sold_once_closed"),
    )

    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id", ondelete="CASCADE"), primary_key=True)
    cabin: Mapped[str] = mapped_column(primary_key=True)
    capacity: Mapped[int]
    sold: Mapped[int] = mapped_column(server_default="0")
    held: Mapped[int] = mapped_column(server_default="0")
    closed_at_sold: Mapped[int | None]
    protections: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")


class SeatClaim(Base):
    """Seats that a holder has on a flight: held until `expires_at`, or sold (`expires_at` is null).

    The clock in the database decides: a held claim past its time no longer counts, swept or not.
    """

    __tablename__ = "seat_claims"
    __table_args__ = (
        CheckConstraint("seats > 0", name="seats_positive"),
        Index(
            "ix_seat_claims_lapsing",
            "flight_id",
            "cabin",
            "expires_at",
            postgresql_where=text("expires_at is not null"),
        ),
        Index("ix_seat_claims_flight_id", "flight_id"),
    )

    holder: Mapped[UUID] = mapped_column(primary_key=True)
    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id"), primary_key=True)
    cabin: Mapped[str] = mapped_column(primary_key=True)
    seats: Mapped[int]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class NamedSeat(Base):
    """A seat by name: one passenger's (`occupant`) on one flight, under its holder's claim, and gone with that claim.

    It is firm, or tentative until an instant (of the database's clock) while an extra payment is on its way; then it is
    free again. `successor` is who of the same party gets it once that payment is in.
    """

    __tablename__ = "named_seats"
    __table_args__ = (
        ForeignKeyConstraint(
            ["holder", "flight_id", "cabin"],
            ["seat_claims.holder", "seat_claims.flight_id", "seat_claims.cabin"],
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        CheckConstraint("seat ~ '^[0-9]{1,2}[A-Z]$'", name="seat_readable"),
        CheckConstraint("successor is null or tentative_until is null", name="only_a_firm_seat_is_handed_on"),
        Index(
            "uq_named_seats_firm",
            "flight_id",
            "occupant",
            unique=True,
            postgresql_where=text("tentative_until is null"),
        ),
        Index(
            "uq_named_seats_tentative",
            "flight_id",
            "occupant",
            unique=True,
            postgresql_where=text("tentative_until is not null"),
        ),
        Index("ix_named_seats_holder", "holder", "flight_id", "cabin"),
    )

    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id", ondelete="CASCADE"), primary_key=True)
    seat: Mapped[str] = mapped_column(String(4), primary_key=True)
    cabin: Mapped[str]
    holder: Mapped[UUID]
    occupant: Mapped[UUID]
    tentative_until: Mapped[datetime | None]
    successor: Mapped[UUID | None]
    chosen_at: Mapped[datetime] = mapped_column(server_default=func.now())

"""Bookings as the tickets room reads them, made from nothing: any number of travellers and flights."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from portal.booking.rules import BookingView, ChargeView, PassengerView, SliceView
from portal.flights.queries import FlightView
from portal.places.queries import Place
from tests.world import AIRPORTS

SPACE = UUID("6f9e4b52-52b9-4f0a-9a38-1f0f2b8a7f11")
ADA = ("adult", "Ada", "Lovelace", "LOVELACE/ADA")
BEN = ("adult", "Ben", "Lovelace", "LOVELACE/BEN")
CHILD = ("child", "Zoë", "Lovelace", "LOVELACE/ZOE")
INFANT = ("infant", "Max", "Lovelace", "LOVELACE/MAX")
STANDARD = {
    "refund": {"allowed": True, "penalty": {"amount": "120.00", "currency": "USD"}},
    "change": {"allowed": True, "penalty": {"amount": "75.00", "currency": "USD"}},
    "seat": {"allowed": True, "included": False},
    "cabinBag": True,
    "checkedBags": 1,
}
BASIC = {
    "refund": {"allowed": False, "penalty": None},
    "change": {"allowed": False, "penalty": None},
    "seat": {"allowed": True, "included": False},
    "cabinBag": False,
    "checkedBags": 0,
}
LINES = {
    "adult": (
        ("fare", "Fare", 24400),
        ("US", "US transportation tax (7.5 %)", 1830),
        ("ZP", "US flight segment tax", 530),
    ),
    "child": (
        ("fare", "Fare", 18300),
        ("US", "US transportation tax (7.5 %)", 1373),
        ("ZP", "US flight segment tax", 530),
    ),
    "infant": (("fare", "Fare", 2440), ("US", "US transportation tax (7.5 %)", 183)),
}
THERE = ((("JFK", "LAX", date(2027, 3, 1), time(8, 0), 375),),)
AND_BACK = (*THERE, (("LAX", "JFK", date(2027, 3, 9), time(22, 25), 320),))
AROUND = (
    (("JFK", "LAX", date(2027, 3, 1), time(8, 0), 375), ("LAX", "NRT", date(2027, 3, 1), time(13, 30), 720)),
    (("NRT", "MUC", date(2027, 3, 20), time(11, 5), 860), ("MUC", "JFK", date(2027, 3, 21), time(9, 30), 545)),
)

Hop = tuple[str, str, date, time, int]


def place(code: str) -> Place:
    """Return an airport of the test world."""
    return Place(*next(row for row in AIRPORTS if row[0] == code))


def flight(number: int, hop: Hop) -> FlightView:
    """Return a flight; the time is local to its origin, the minutes are real ones."""
    origin, destination = place(hop[0]), place(hop[1])
    leaves = datetime.combine(hop[2], hop[3], ZoneInfo(origin.time_zone))
    lands = (leaves.astimezone(UTC) + timedelta(minutes=hop[4])).astimezone(ZoneInfo(destination.time_zone))
    return FlightView(
        id=number,
        public_id=uuid5(SPACE, str(number)),
        carrier="ME",
        carrier_name="Meridian Air",
        number=100 + number,
        origin=origin,
        destination=destination,
        departs_on=hop[2],
        departure_local=leaves.replace(tzinfo=None),
        arrival_local=lands.replace(tzinfo=None),
        departure_at=leaves.astimezone(UTC),
        arrival_at=lands.astimezone(UTC),
        aircraft="A320",
        aircraft_name="Airbus A320",
        distance_km=3974,
        status="scheduled",
    )


def _slice(position: int, hops: Sequence[Hop], conditions: dict[str, Any], brand: str) -> SliceView:
    flights = tuple(flight(10 * position + index + 1, hop) for index, hop in enumerate(hops))
    ends = (flights[0].origin, flights[-1].destination)
    return SliceView(position, *ends, "economy", brand, "M", conditions, flights)


def _passenger(position: int, who: tuple[str, str, str, str]) -> PassengerView:
    kind, given, family, ticket = who
    number = f"999{1000000001 + position}"
    return PassengerView(uuid5(SPACE, f"p{position}"), position, kind, given, family, ticket, date(1990, 1, 1), number)


def booking(
    people: Sequence[tuple[str, str, str, str]] = (ADA, BEN),
    slices: Sequence[Sequence[Hop]] = AND_BACK,
    *,
    conditions: Sequence[tuple[str, dict[str, Any]]] = (("Standard", STANDARD), ("Standard", STANDARD)),
    **changes: Any,
) -> BookingView:
    """Return a confirmed and paid booking."""
    pieces = tuple(_slice(i, hops, conditions[i][1], conditions[i][0]) for i, hops in enumerate(slices))
    passengers = tuple(_passenger(i, who) for i, who in enumerate(people))
    charges = tuple(
        ChargeView(code, label, amount, one.id, piece.position)
        for piece in pieces
        for one in passengers
        for code, label, amount in LINES[one.type]
    )
    total = sum(charge.amount_minor for charge in charges)
    values: dict[str, Any] = {
        "id": uuid5(SPACE, "booking"),
        "reference": "K7QX4M",
        "status": "confirmed",
        "expires_at": None,
        "user_id": None,
        "contact_email": "ada@example.com",
        "contact_phone": None,
        "currency": "USD",
        "total_minor": total,
        "paid_minor": total,
        "locale": "en",
        "extensions": 0,
        "created_at": datetime(2026, 11, 23, 10, 4, tzinfo=UTC),
        "confirmed_at": datetime(2026, 11, 23, 10, 7, tzinfo=UTC),
        "slices": pieces,
        "passengers": passengers,
        "charges": charges,
        **changes,
    }
    return BookingView(**values)

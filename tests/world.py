"""The small world that tests start from: a few real airports, two carriers, one aircraft type, and makers of rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete
from sqlalchemy.orm import Session

from portal.flights.models import AircraftCabin, AircraftType, Carrier, Flight, FlightCabin
from portal.places.models import Airport
from portal.pricing.models import FareRuleRow
from portal.pricing.service import ensure_reference_rows
from portal.seats.service import ensure_catalogue

AIRPORTS = (
    ("JFK", "John F Kennedy International", "New York", "US", "United States", "America/New_York", 40.64, -73.78),
    ("LAX", "Los Angeles International", "Los Angeles", "US", "United States", "America/Los_Angeles", 33.94, -118.41),
    ("ORD", "O'Hare International", "Chicago", "US", "United States", "America/Chicago", 41.98, -87.90),
    ("LHR", "Heathrow", "London", "GB", "United Kingdom", "Europe/London", 51.47, -0.45),
    ("NRT", "Narita International", "Tokyo", "JP", "Japan", "Asia/Tokyo", 35.76, 140.39),
    ("MUC", "Franz Josef Strauß", "München", "DE", "Germany", "Europe/Berlin", 48.35, 11.79),
)


def build(session: Session) -> None:
    """Put the world's fixed rows in place."""
    for code, name, city, country, country_name, zone, latitude, longitude in AIRPORTS:
        words = f"{code} {city} {name} {country_name}".lower().replace("ü", "u").replace("ß", "ss")
        session.add(
            Airport(
                code=code,
                name=name,
                city=city,
                country=country,
                country_name=country_name,
                time_zone=zone,
                latitude=latitude,
                longitude=longitude,
                served=True,
                rank=100,
                search_text=words,
            )
        )
    session.add_all(
        [
            Carrier(code="ME", name="Meridian Air", ticket_prefix="999"),
            Carrier(code="PA", name="Pacific Arrow", ticket_prefix="998"),
            AircraftType(code="A320", name="Airbus A320"),
        ]
    )
    session.flush()
    session.add_all(
        [
            AircraftCabin(aircraft="A320", cabin="business", first_row=1, last_row=3, layout="AC DF", capacity=12),
            AircraftCabin(
                aircraft="A320",
                cabin="economy",
                first_row=4,
                last_row=28,
                layout="ABC DEF",
                exit_rows=[12, 13],
                capacity=150,
            ),
        ]
    )
    ensure_reference_rows(session)
    ensure_catalogue(session)
    # Prices of this world stand as the tests write them: no season, weekday or demand; what needs rules adds its own.
    session.execute(delete(FareRuleRow))


def soon(days: int = 30) -> date:
    """Return the date that many days ahead."""
    return datetime.now(UTC).date() + timedelta(days=days)


def flight(
    session: Session,
    origin: str = "JFK",
    destination: str = "LAX",
    *,
    on: date | None = None,
    at: time = time(8, 0),
    minutes: int = 375,
    carrier: str = "ME",
    number: int = 101,
    fare_minor: int = 20_000,
    currency: str = "USD",
    seats: int = 150,
    business: int = 12,
    status: str = "scheduled",
) -> Flight:
    """Add a flight with its cabins; `at` is local to the origin, `minutes` real minutes in the air."""
    zones = {code: ZoneInfo(zone) for code, _, _, _, _, zone, _, _ in AIRPORTS}
    leaves = datetime.combine(on or soon(), at, zones[origin])
    lands = (leaves.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(zones[destination])
    made = Flight(
        carrier=carrier,
        number=number,
        origin=origin,
        destination=destination,
        departs_on=leaves.date(),
        departure_local=leaves.replace(tzinfo=None),
        arrival_local=lands.replace(tzinfo=None),
        departure_at=leaves.astimezone(UTC),
        arrival_at=lands.astimezone(UTC),
        aircraft="A320",
        distance_km=3974,
        fare_minor=fare_minor,
        currency=currency,
        status=status,
    )
    session.add(made)
    session.flush()
    session.add(FlightCabin(flight_id=made.id, cabin="economy", capacity=seats))
    if business:
        session.add(FlightCabin(flight_id=made.id, cabin="business", capacity=business))
    session.flush()
    return made

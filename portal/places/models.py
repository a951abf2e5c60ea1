"""Airports, as autocomplete and timetables know them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base


class Airport(Base):
    """An airport with scheduled passengers. `search_text` is what autocomplete matches: lower case, no accents."""

    __tablename__ = "airports"
    __table_args__ = (
        CheckConstraint("code ~ '^[A-Z]{3}$'", name="code_is_iata"),
        CheckConstraint("latitude between -90 and 90 and longitude between -180 and 180", name="on_earth"),
        Index(
            "ix_airports_search_text",
            "search_text",
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        ),
    )

    code: Mapped[str] = mapped_column(String(3), primary_key=True)
    name: Mapped[str]
    city: Mapped[str]
    country: Mapped[str] = mapped_column(String(2))
    country_name: Mapped[str]
    time_zone: Mapped[str]
    latitude: Mapped[float]
    longitude: Mapped[float]
    served: Mapped[bool] = mapped_column(server_default="false")
    rank: Mapped[int] = mapped_column(server_default="0")
    search_text: Mapped[str]

"""What the doors of places take and give."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from portal.kit.validation import Wire


class AirportQuery(Wire):
    """A search for airports."""

    q: Annotated[str, Field(max_length=200, description="City, name, or code; typing errors are forgiven.")] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 8


class AirportOut(Wire):
    """An airport. `country` is its ISO 3166 code. Made of a Place by `AirportOut.model_validate(place)`."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    name: str
    city: str
    country: str
    country_name: str
    time_zone: str
    latitude: float
    longitude: float


class AirportList(Wire):
    """Airports, the likeliest first."""

    data: tuple[AirportOut, ...]
    next_cursor: str | None = None

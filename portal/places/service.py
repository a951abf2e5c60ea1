"""What may be done with places: load the world's airports, and mark those that have flights."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airportsdata
from babel import Locale
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.places.models import Airport
from portal.places.rules import plain

# rank, the city's name as travellers say it (the source files Toronto under Mississauga), and what else they type.
NAMES = Path(__file__).with_name("names.csv")
NO_TERMINAL = re.compile(r"heliport|seaplane|\barmy\b|air force|air base|\bnaval\b|air station|\(?closed\)?\b", re.I)
# Babel has no name for Kosovo's provisional code.
COUNTRIES = {"XK": "Kosovo"}


def load(session: Session) -> int:
    """Put the world's airports in place and bring known ones up to date; returns how many there are.

    Heliports, seaplane bases, military fields and airports without a zone are left out. `served` is not touched.
    """
    rows = list(_airports())
    made = insert(Airport)
    fresh = {name: made.excluded[name] for name in rows[0] if name != "code"}
    session.execute(made.on_conflict_do_update(index_elements=["code"], set_=fresh), rows)
    session.execute(text("analyze airports"))
    return len(rows)


def count(session: Session) -> int:
    """Return how many airports are known."""
    return session.scalar(text("select count(*) from airports")) or 0


def mark_served(session: Session) -> None:
    """Mark the airports from which flights leave, and no others. Autocomplete shows them first."""
    session.execute(
        text(
            """
            with recursive used as (  -- walks the index from code to code instead of reading every flight
                (select origin from flights order by origin limit 1)
                union all
                select (select origin from flights where origin > used.origin order by origin limit 1)
                from used where used.origin is not null)
            update airports set served = not served
            where served <> (code in (select origin from used where origin is not null))
            """
        )
    )


def _airports() -> Iterator[dict[str, Any]]:
    countries = {**Locale("en").territories, **COUNTRIES}
    with NAMES.open(encoding="utf-8", newline="") as file:
        known = {row["code"]: row for row in csv.DictReader(file)}
    for code, found in airportsdata.load("IATA").items():
        if found["tz"] and found["country"] in countries and (code in known or not NO_TERMINAL.search(found["name"])):
            yield _airport(found, known.get(code, {}), countries[found["country"]])


def _airport(found: airportsdata.Airport, known: dict[str, str], country_name: str) -> dict[str, Any]:
    name = found["name"].strip()
    city = known.get("city") or found["city"].split("/")[0].strip() or re.sub(r"( International)? Airport$", "", name)
    words = (found["iata"], city, known.get("also", ""), found["city"], name, country_name)
    return {
        "code": found["iata"],
        "name": name,
        "city": city,
        "country": found["country"],
        "country_name": country_name,
        "time_zone": found["tz"],
        "latitude": round(found["lat"], 4),
        "longitude": round(found["lon"], 4),
        "rank": int(known.get("rank", 0)),
        "search_text": plain(" ".join(words)),
    }

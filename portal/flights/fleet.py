"""Reference rows of flights: aircraft with their cabins, and airlines by code. Rows that are there are left alone."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.flights.models import AircraftCabin, AircraftType, Carrier

HERE = Path(__file__).parent
FIRST_FREE_PREFIX, LAST_FREE_PREFIX = 600, 996


def ensure_aircraft(session: Session) -> None:
    """Put the types of aircraft.csv in place. A type that has cabins already keeps them: an airline may set its own."""
    rows = _read("aircraft.csv")
    names = {row["aircraft"]: row["name"] for row in rows}
    types = [{"code": code, "name": name} for code, name in names.items()]
    session.execute(insert(AircraftType).on_conflict_do_nothing(), types)
    fitted = set(session.scalars(select(AircraftCabin.aircraft).distinct()))
    if cabins := [_cabin(row) for row in rows if row["aircraft"] not in fitted]:
        session.execute(insert(AircraftCabin), cabins)


def ensure_carriers(session: Session, codes: Collection[str]) -> list[str]:
    """Make the airlines among `codes` that are not known yet; returns their codes.

    Names and ticket prefixes come from carriers.csv. An airline that is not there is named by its code, and gets a
    prefix that no other has, the same one whenever the same airlines are known.
    """
    known = {row["code"]: row for row in _read("carriers.csv")}
    there = {row.code: row.ticket_prefix for row in session.execute(select(Carrier.code, Carrier.ticket_prefix))}
    taken = {*there.values(), *(row["ticket_prefix"] for row in known.values())}
    fresh = sorted(set(codes) - set(there))
    for code in fresh:
        made = known.get(code) or {"code": code, "name": f"Airline {code}", "ticket_prefix": _free_prefix(code, taken)}
        taken.add(made["ticket_prefix"])
        session.execute(insert(Carrier).values(**made))
    return fresh


def aircraft_codes(session: Session) -> set[str]:
    """Return the types that can be flown: those with at least one cabin."""
    return set(
        session.scalars(select(AircraftCabin.aircraft).group_by(AircraftCabin.aircraft).having(func.count() > 0))
    )


def _free_prefix(code: str, taken: set[str]) -> str:
    span = LAST_FREE_PREFIX - FIRST_FREE_PREFIX + 1
    start = int(code, 36) % span
    prefixes = (f"{FIRST_FREE_PREFIX + (start + step) % span:03d}" for step in range(span))
    return next(prefix for prefix in prefixes if prefix not in taken)


def _cabin(row: dict[str, str]) -> dict[str, object]:
    first, last = int(row["first_row"]), int(row["last_row"])
    seats = sum(letter != " " for letter in row["layout"])
    return {
        "aircraft": row["aircraft"],
        "cabin": row["cabin"],
        "first_row": first,
        "last_row": last,
        "layout": row["layout"],
        "exit_rows": [int(number) for number in row["exit_rows"].split()],
        "capacity": (last - first + 1) * seats,
    }


def _read(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

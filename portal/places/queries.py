"""Reads of airports: by code, by what a person types, by what a form was sent."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from portal.places.rules import plain

COLUMNS = "code, name, city, country, country_name, time_zone, latitude, longitude"

BY_CODE = text(f"select {COLUMNS} from airports where code = any(:codes)")  # noqa: S608 – a constant list of columns
ALL = text(f"select {COLUMNS} from airports")  # noqa: S608 – a constant list of columns

# Tried in this order; the first that finds anything answers. Every word begins a word of the airport's text (`___ ` at
# the front is the code, after which the city's name begins); then a few hundred known airports, loosely similar
# (letters swapped or wrong); then all airports, a little similar – the only slow one, some 60 ms, for
# what is hardly ever typed.
WORDS = text(
    f"""
    select {COLUMNS} from airports where code = :code or search_text ~ all(cast(:words as text[]))
    order by code = :code desc, served desc, search_text like '___ ' || :start || '%' desc, rank desc, city, code
    limit :limit
    """  # noqa: S608 – a constant list of columns
)
NEAR = text(
    f"""
    select {COLUMNS} from airports where (served or rank > 0) and word_similarity(:plain, search_text) >= 0.4
    order by served desc, word_similarity(:plain, search_text) desc, rank desc, code limit :limit
    """  # noqa: S608 – a constant list of columns
)
SIMILAR = text(
    f"""
    select {COLUMNS} from airports where :plain <% search_text
    order by word_similarity(:plain, search_text) desc, code limit :limit
    """  # noqa: S608 – a constant list of columns
)
SERVED = text("select code from airports where code = any(:codes) and served")
NEARBY = text(
    f"""
    select {COLUMNS} from airports, lateral (select 111.2 * sqrt(
        power(latitude - :latitude, 2) + power((longitude - :longitude) * cosd(:latitude), 2)) as km) as away
    where served and code <> :code and (km < 120 or (city = :city and country = :country))
    order by km, code limit 3
    """  # noqa: S608 – a constant list of columns
)
CODE_IN_BRACKETS = re.compile(r"\(([A-Za-z]{3})\)\s*$")


@dataclass(frozen=True, slots=True)
class Place:
    """An airport: IATA code, names, ISO 3166 country, IANA time zone, degrees north and east."""

    code: str
    name: str
    city: str
    country: str
    country_name: str
    time_zone: str
    latitude: float
    longitude: float


def places_by_code(session: Session, codes: Collection[str]) -> dict[str, Place]:
    """Return the airports among `codes`; an unknown code is simply not in the answer."""
    rows = session.execute(BY_CODE, {"codes": list(codes)})
    return {row.code: Place(*row) for row in rows}


def all_places(session: Session) -> dict[str, Place]:
    """Return every airport by its code."""
    return {row.code: Place(*row) for row in session.execute(ALL)}


def find(session: Session, typed: str, limit: int = 8) -> list[Place]:
    """Return at most `limit` airports that `typed` may mean: by code, then by words, then forgiving of typing errors.

    Airports that have flights come first; of one city (New York) the larger ones. Nothing typed finds nothing.
    """
    return _search(session, typed, limit, (WORDS, NEAR, SIMILAR))


def nearby(session: Session, place: Place) -> list[Place]:
    """Return at most three airports with flights in the same city or within some 120 km, the nearest first."""
    here = {name: getattr(place, name) for name in ("code", "city", "country", "latitude", "longitude")}
    return [Place(*row) for row in session.execute(NEARBY, here)]


def resolve(session: Session, typed: str) -> Place | list[Place]:
    """Return the one airport that `typed` means – a code, `City (COD)`, or a name that only one fits – or candidates.

    A city with one served airport means that one. An empty list: nothing is like it at all.
    """
    code = CODE_IN_BRACKETS.search(typed)
    wanted = (code[1] if code else typed.strip()).upper()
    if len(wanted) == 3 and (known := places_by_code(session, [wanted])):
        return known[wanted]
    found = find(session, typed, limit=9)
    named = [place for place in found if plain(place.city) == plain(typed)]
    if len(named) > 1:
        served = set(session.scalars(SERVED, {"codes": [place.code for place in named]}))
        named = [place for place in named if place.code in served] or named
    elif len(found) == 1:
        named = _search(session, typed, 1, (WORDS,))
    return named[0] if len(named) == 1 else found


def _search(session: Session, typed: str, limit: int, stages: tuple[TextClause, ...]) -> list[Place]:
    words = plain(typed)
    if not words:
        return []
    values = {
        "code": typed.strip().upper()[:3] if len(typed.strip()) == 3 else "",
        "words": [rf"\m{re.escape(word)}" for word in words.split()],
        "start": words,
        "plain": words,
        "limit": limit,
    }
    for stage in stages:
        if found := [Place(*row) for row in session.execute(stage, values)]:
            return found
    return []

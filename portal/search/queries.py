"""Itineraries out of PostgreSQL: every non-stop and one-stop way of a day, in one round trip.

An itinerary counts when every flight is scheduled and on sale, leaves later than sales close, and has the seats free
in the cabin (lapsed holds counted as free); when a connection stays at one airport, allows the minimum connection time (60 minutes
between two domestic flights, else 90) and waits at most 24 hours; and when it neither passes its own origin or
destination again nor mixes currencies. Nothing else is left out.

The price that sorts and filters is the exact total of the leanest brand for the party: `LevyRow` carries what pricing's
rules add to the fare by country of connection and currency, and the SQL repeats their rounding (half up).
"""

from __future__ import annotations

import time as stopwatch
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from portal.flights.queries import FREE_SEATS
from portal.places.queries import Place, places_by_code
from portal.pricing.rules import SegmentFare
from portal.search.rules import Facet, Found, Segment, Way

MINIMUM_DOMESTIC, MINIMUM_INTERNATIONAL = 60, 90
LONGEST_WAIT = "24 hours"
SALES_CLOSE_MINUTES = 60
FACTS_SECONDS = 60

FREE = f"case when c.held = 0 then c.capacity - c.sold else {FREE_SEATS} end"
LEGS = f"""
    select f.id, f.carrier, f.origin, f.destination, f.departure_at, f.arrival_at, f.departure_local, f.arrival_local,
           f.fare_minor, f.currency, s.free
    from flights f join flight_cabins c on c.flight_id = f.id and c.cabin = :cabin
         cross join lateral (select {FREE} as free) s
    where f.status = 'scheduled' and f.sale_closed_at is null and s.free >= :seats
          and f.departure_at > now() + make_interval(mins => {SALES_CLOSE_MINUTES})
"""  # noqa: S608 – constants
DIRECT = """
    select id as one, null::bigint as two, carrier as carrier_one, null::varchar as carrier_two, '' as via,
           departure_at, arrival_at, departure_local, arrival_local, fare_minor as fare, currency, free
    from {legs} where destination = :destination
"""
NON_STOP = f"""
    with leaving as ({LEGS} and f.origin = :origin and f.destination = :destination and f.departs_on = :day),
    ways as ({DIRECT.format(legs="leaving")})
"""
ONE_STOP = f"""
    with leaving as materialized ({LEGS} and f.origin = :origin and f.departs_on = :day),
    hubs as materialized (select l.destination as code, p.country, case when p.country = :origin_country
        and p.country = :destination_country then {MINIMUM_DOMESTIC} else {MINIMUM_INTERNATIONAL} end as least
        from (select distinct destination from leaving where destination <> :destination) l
             join airports p on p.code = l.destination),
    reaching as materialized ({LEGS} and f.destination = :destination and f.origin in (select code from hubs)
        and f.departure_at between (select min(arrival_at) from leaving)
        and (select max(arrival_at) + interval '{LONGEST_WAIT}' from leaving)),
    ways as ({DIRECT.format(legs="leaving")} union all
        select a.id, b.id, a.carrier, b.carrier, h.country, a.departure_at, b.arrival_at, a.departure_local,
               b.arrival_local, a.fare_minor + b.fare_minor, a.currency, least(a.free, b.free)
        from leaving a join hubs h on h.code = a.destination
             join reaching b on b.origin = a.destination and b.currency = a.currency
        where b.departure_at >= a.arrival_at + make_interval(mins => h.least)
              and b.departure_at <= a.arrival_at + interval '{LONGEST_WAIT}')
"""  # noqa: S608 – constants
PRICED = """,
    levies as (select * from unnest(cast(:vias as text[]), cast(:currencies as text[]), cast(:adult_bps as int[]),
        cast(:child_bps as int[]), cast(:infant_bps as int[]), cast(:fixed as bigint[]), cast(:weights as float8[]))
        as l(via, currency, adult_bp, child_bp, infant_bp, fixed_minor, weight)),
    fares as (select w.*, coalesce(l.adult_bp, 0) as adult_bp, coalesce(l.child_bp, 0) as child_bp,
        coalesce(l.infant_bp, 0) as infant_bp, coalesce(l.fixed_minor, 0) as fixed_minor,
        coalesce(l.weight, 1) as weight, (w.fare::bigint * :factor_bp + 5000) / 10000 as adult
        from ways w left join levies l on l.via = w.via and l.currency = w.currency
        where w.currency in (select unnest(string_to_array(:priceable, ',')))),
    shares as (select *, (adult * 75 + 50) / 100 as child, (adult * 10 + 50) / 100 as infant from fares),
    priced as materialized (select *, case when two is null then 0 else 1 end as stops,
        (extract(epoch from arrival_at - departure_at) / 60)::int as minutes,
        round((:adults * (adult + (adult * adult_bp + 5000) / 10000)
               + :children * (child + (child * child_bp + 5000) / 10000)
               + :infants * (infant + (infant * infant_bp + 5000) / 10000) + fixed_minor) * weight)::bigint as total
        from shares)
"""
SORTS = {
    "best": "round(1e6 * (total::float8 / greatest(min(total) over (), 1) + minutes::float8 / min(minutes) over ()"
    " + 0.2 * stops))::bigint",
    "price": "total",
    "duration": "minutes::bigint",
    "departure": "extract(epoch from departure_at)::bigint",
    "arrival": "extract(epoch from arrival_at)::bigint",
}
SEGMENT = (
    "{0}.id, {0}.public_id, {0}.carrier, {0}.number, {0}.origin, {0}.destination, {0}.departs_on, {0}.departure_local, "
    "{0}.arrival_local, {0}.departure_at, {0}.arrival_at, {0}.aircraft, {0}.fare_minor, {0}.currency"
)
FACETS = """,
    told as (select json_build_object('total', (select count(*) from priced), 'stops',
        (select json_agg(json_build_array(stops, count, low)) from
            (select stops, count(*), min(total) as low from priced group by stops order by stops) s), 'airlines',
        (select json_agg(json_build_array(carrier, count, low)) from (select carrier, count(*), min(total) as low from
            (select carrier_one as carrier, total from priced union all
             select carrier_two, total from priced where carrier_two <> carrier_one) each
            group by carrier order by carrier) c)) as facets)
"""
PAGE = """,
    kept as (select one, two, via, free, departure_at, {sort} as key, count(*) over () as total_count from priced
        where {filters}),
    page as (select * from kept {after} order by key, departure_at, one, two nulls first limit :rows)
    select p.key, extract(epoch from p.departure_at)::bigint, p.free, p.total_count, {told}, p.via, {segments}
    from {source} left join flights a on a.id = p.one left join flights b on b.id = p.two
    order by p.key, p.departure_at, p.one, p.two nulls first
"""
AFTER = "where (key, extract(epoch from departure_at)::bigint, one, coalesce(two, 0)) > (:k0, :k1, :k2, :k3)"
FILTERS = {
    "airlines": "carrier_one = any(:airlines) and coalesce(carrier_two, carrier_one) = any(:airlines)",
    "depart_after": "departure_local::time >= :depart_after",
    "depart_before": "departure_local::time <= :depart_before",
    "arrive_after": "arrival_local::time >= :arrive_after",
    "arrive_before": "arrival_local::time <= :arrive_before",
    "max_minutes": "minutes <= :max_minutes",
    "max_total": "total <= :max_total",
    "only_currency": "currency = :only_currency",
    "leaves_after": "departure_at >= :leaves_after",
}
CHEAPEST = text(
    f"""
    select l.departs_on, l.currency, min(l.fare_minor) from (
        select f.departs_on, f.currency, f.fare_minor, s.free
        from flights f join flight_cabins c on c.flight_id = f.id and c.cabin = :cabin
             cross join lateral (select {FREE} as free) s
        where f.origin = :origin and f.destination = :destination and f.departs_on between :first and :last
              and f.status = 'scheduled' and f.sale_closed_at is null
              and f.departure_at > now() + make_interval(mins => {SALES_CLOSE_MINUTES})
    ) l where l.free >= :seats group by 1, 2 order by 1, 2
    """  # noqa: S608 – constants
)
SOON = text(
    f"""
    select origin, destination, departs_on, currency, fare_minor from (
        select distinct on (f.origin, f.destination) f.origin, f.destination, f.departs_on, f.currency, f.fare_minor,
               o.rank + d.rank as rank
        from flights f join flight_cabins c on c.flight_id = f.id and c.cabin = 'economy'
             join airports o on o.code = f.origin join airports d on d.code = f.destination
        where f.departure_at between now() + interval '5 days' and now() + interval '7 days'
              and f.status = 'scheduled' and f.sale_closed_at is null and {FREE} > 0
        order by f.origin, f.destination, f.fare_minor
    ) cheapest order by rank desc, origin, destination limit 60
    """  # noqa: S608 – constants
)
SEGMENT_FARES = text(
    """
    select f.id, f.fare_minor, f.currency, o.country, d.country, f.departs_on
    from flights f join airports o on o.code = f.origin join airports d on d.code = f.destination
    where f.id = any(:ids)
    """
)
NETWORK = text(
    """
    select (select array_agg(distinct country) from airports where served),
           (select array_agg(distinct currency) from flights where departs_on >= current_date - 1),
           (select json_object_agg(code, name) from carriers), (select json_object_agg(code, name) from aircraft_types)
    """
)


@dataclass(frozen=True, slots=True)
class LevyRow:
    """What pricing adds to a fare for a country of connection ("" = non-stop) and a currency; fixed for the party."""

    via: str
    currency: str
    adult_bp: int
    child_bp: int
    infant_bp: int
    fixed_minor: int
    weight: float


@dataclass(frozen=True, slots=True)
class Ask:
    """One slice's question. `filters` has keys of FILTERS; `after` is the place of the last itinerary already seen."""

    origin: Place
    destination: Place
    on: date
    cabin: str
    seats: int
    counts: tuple[int, int, int]
    max_stops: int
    factor_bp: int
    levies: tuple[LevyRow, ...]
    priceable: tuple[str, ...]
    filters: dict[str, Any]
    sort: str
    limit: int
    after: tuple[int, ...] | None = None
    facets: bool = False


@dataclass(slots=True)
class Network:
    """What hardly ever changes, remembered for a minute: names, and where and in what money the flights go."""

    countries: tuple[str, ...]
    currencies: tuple[str, ...]
    carriers: dict[str, str]
    aircraft: dict[str, str]
    read_at: float
    known: dict[str, Place] = field(default_factory=dict)

    def places(self, session: Session, codes: Collection[str]) -> dict[str, Place]:
        """Return the airports among `codes`, asking the database only for new ones."""
        missing = [code for code in codes if code not in self.known]
        if missing:
            self.known.update(places_by_code(session, missing))
        return {code: self.known[code] for code in codes if code in self.known}


_networks: dict[str, Network] = {}


def network(session: Session) -> Network:
    """Return the network of the session's database, at most a minute old."""
    key = str(session.get_bind().engine.url)
    found = _networks.get(key)
    if found is None or stopwatch.monotonic() - found.read_at > FACTS_SECONDS:
        countries, currencies, carriers, aircraft = session.execute(NETWORK).one()
        found = Network(
            tuple(countries or ()), tuple(currencies or ()), carriers or {}, aircraft or {}, stopwatch.monotonic()
        )
        _networks[key] = found
    return found


def ways(session: Session, ask: Ask) -> Found:
    """Return the page of itineraries that answers `ask`, in one round trip; complete within the module's promise."""
    with _planned_for_its_values(session) if ask.max_stops else nullcontext():
        rows = session.execute(statement(ask), values(ask)).all()
    facets = rows[0][4] if rows and ask.facets else None
    found = [_way(row) for row in rows if row[0] is not None]
    total = rows[0][3] if found else 0
    told = {} if facets is None else _told(facets)
    return Found(tuple(found[: ask.limit]), len(found) > ask.limit, total, **told)


@contextmanager
def _planned_for_its_values(session: Session) -> Iterator[None]:
    """Keep psycopg from preparing what runs inside.

    A prepared statement soon gets a plan for any values, and for connections PostgreSQL then expects one row where
    thousands come, and joins them in a nested loop: three times slower than planning each time.
    """
    driver = cast(Any, session.connection().connection.driver_connection)
    before, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        yield
    finally:
        driver.prepare_threshold = before


def statement(ask: Ask) -> TextClause:
    """Return the SQL that answers `ask`, to be run with `values(ask)`."""
    return _composed(ask.max_stops > 0, ask.sort, tuple(ask.filters), ask.after is not None, ask.facets)


@lru_cache(maxsize=512)
def _composed(stops: bool, sort: str, filters: tuple[str, ...], after: bool, facets: bool) -> TextClause:
    segments = [SEGMENT.format("a"), *([SEGMENT.format("b")] if stops else [])]
    page = PAGE.format(
        sort=SORTS[sort],
        filters=" and ".join(FILTERS[name] for name in filters) or "true",
        after=AFTER if after else "",
        told="t.facets" if facets else "null",
        segments=", ".join(segments),
        source="told t left join page p on true" if facets else "page p",
    )
    return text((ONE_STOP if stops else NON_STOP) + PRICED + (FACETS if facets else "") + page)


def values(ask: Ask) -> dict[str, Any]:
    """Return what `statement(ask)` is to be run with."""
    levies = [
        *zip(
            *((r.via, r.currency, r.adult_bp, r.child_bp, r.infant_bp, r.fixed_minor, r.weight) for r in ask.levies),
            strict=True,
        )
    ]
    names = ("vias", "currencies", "adult_bps", "child_bps", "infant_bps", "fixed", "weights")
    given: dict[str, Any] = {name: list(column) for name, column in zip(names, levies, strict=True)}
    given |= dict(zip(("adults", "children", "infants"), ask.counts, strict=True))
    given |= {"origin": ask.origin.code, "destination": ask.destination.code, "day": ask.on, "cabin": ask.cabin}
    given |= {"seats": ask.seats, "factor_bp": ask.factor_bp, "rows": ask.limit + 1, **ask.filters}
    given["priceable"] = ",".join(ask.priceable)
    if ask.max_stops:
        given |= {"origin_country": ask.origin.country, "destination_country": ask.destination.country}
    if ask.after:
        given |= {f"k{number}": part for number, part in enumerate(ask.after)}
    return given


def _way(row: Any) -> Way:
    first = Segment(*row[6:20])
    second = Segment(*row[20:34]) if len(row) > 20 and row[20] is not None else None
    segments = (first,) if second is None else (first, second)
    return Way(segments, row[5], row[2], (row[0], row[1], first.flight_id, second.flight_id if second else 0))


def _told(facets: dict[str, Any]) -> dict[str, Any]:
    kinds = {name: tuple(Facet(str(v), n, low) for v, n, low in facets[name] or ()) for name in ("stops", "airlines")}
    return {"unfiltered": facets["total"], **kinds}


def cheapest(
    session: Session, origin: str, destination: str, days: tuple[date, date], *, cabin: str, seats: int
) -> list[tuple[date, str, int]]:
    """Return (day, currency, lowest fare before taxes) of the non-stop flights with `seats` free, first to last day."""
    ends = {"origin": origin, "destination": destination, "first": days[0], "last": days[1]}
    rows = session.execute(CHEAPEST, {**ends, "cabin": cabin, "seats": seats})
    return [(row[0], row[1], row[2]) for row in rows]


def leaving_soon(session: Session) -> list[tuple[str, str, date, str, int]]:
    """Return (origin, destination, day, currency, lowest fare before taxes) of great routes in five to seven days."""
    return [(row[0], row[1], row[2], row[3], row[4]) for row in session.execute(SOON)]


def segment_fares(session: Session, ids: Sequence[int]) -> list[SegmentFare]:
    """Return what pricing needs of these flights, in their order; an unknown id is left out."""
    found = {row[0]: SegmentFare(*row[1:]) for row in session.execute(SEGMENT_FARES, {"ids": list(ids)})}
    return [found[one] for one in ids if one in found]

"""The SQL of a search: the flights of a day with their fares, the ways made of them, sorted and cut to a page.

The price that sorts and filters is the exact total of the leanest brand for the party: the SQL repeats the arithmetic
of pricing.steps and pricing.rules, rounding half up at the same places, on the arrays of portal.search.lanes. All
flights of a way are sold in one booking class, the dearest of those that are the cheapest open on each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import TextClause, text
from sqlalchemy.dialects.postgresql import psycopg

from portal.flights.queries import FREE_SEATS
from portal.search.lanes import DAYS_BEFORE, DAYS_SPANNED, STEP_NAMES

MINIMUM_DOMESTIC, MINIMUM_INTERNATIONAL = 60, 90
LONGEST_WAIT = "24 hours"
SALES_CLOSE_MINUTES = 60

FREE = f"case when c.held = 0 then c.capacity - c.sold else {FREE_SEATS} end"
LEGS = f"""
    select f.id, f.carrier, f.origin, f.destination, f.departs_on, f.departure_at, f.arrival_at, f.departure_local,
           f.arrival_local, f.fare_minor, f.currency, s.free, c.capacity, c.protections
    from flights f join flight_cabins c on c.flight_id = f.id and c.cabin = :cabin
         cross join lateral (select {FREE} as free) s
    where f.status = 'scheduled' and f.sale_closed_at is null and s.free >= :seats
          and f.departure_at > now() + make_interval(mins => {SALES_CLOSE_MINUTES})
"""  # noqa: S608 – only our own words are put in, values are bound


def times(minor: str, factor_bp: str) -> str:
    """Return SQL for pricing.steps.times."""
    return f"(({minor}) * ({factor_bp}) + 5000) / 10000"


# Which stair of the load rules, and which booking class for the whole party: pricing.steps.Ladder.at and class_at.
LOAD_AT = "width_bucket((g.capacity - g.free) * 10000 / g.capacity, cast(:starts as int[]))"
CLASS_AT = """greatest(0, least(:classes - 1,
    :classes - 1 - cardinality(g.protections) + width_bucket(g.free - :seats, g.protections)))"""
IN_CLASS = "(cast(:class_bps as int[]))[g.class_at + 1]"


def legs(where: str, lane: str, at: str = "") -> str:
    """Return SQL for the flights that fit, each with its fare before the booking class and the class that is open.

    `lane` names the factors of pricing.steps.Lane, single ones or, with `at`, the place in their arrays. OFFSET 0 keeps
    PostgreSQL from working out the free seats once for every use of them.
    """
    factor = "(cast(:{0}_{1} as int[]))[{2}]" if at else ":{0}_{1}"
    fare = "g.fare_minor::bigint"
    for name in STEP_NAMES:
        fare = times(fare, factor.format(lane, name, at))
    fare = times(fare, "(cast(:stairs as int[]))[g.load_at + 1]")
    return f"""select g.*, {fare} as fare, {IN_CLASS} as class_bp from (
        select g.*, {LOAD_AT} as load_at, {CLASS_AT} as class_at from ({LEGS} {where} offset 0) g offset 0) g"""  # noqa: S608 – only our own words are put in, values are bound


DIRECT = """
    select id as one, null::bigint as two, carrier as carrier_one, null::varchar as carrier_two, '' as via,
           departure_at, arrival_at, departure_local, arrival_local, {fare} as fare, currency, free,
           load_at as load_one, 0 as load_two, class_at
    from leaving where destination = :destination
""".format(fare=times("fare", "class_bp"))  # noqa: S608 – only our own words are put in, values are bound
STRAIGHT = "and f.origin = :origin and f.destination = :destination and f.departs_on = :day"
LEAVING = "and f.origin = :origin and f.departs_on = :day"
REACHING = f"""and f.destination = :destination and f.origin in (select code from hubs)
    and f.departure_at between (select min(arrival_at) from leaving)
    and (select max(arrival_at) + interval '{LONGEST_WAIT}' from leaving)"""  # noqa: S608 – only our own words are put in, values are bound
OUT_LANE = "coalesce(array_position(cast(:out_codes as text[]), g.destination::text), 0) + 1"
BACK_LANE = f"""coalesce(array_position(cast(:back_codes as text[]), g.origin::text), 0) * {DAYS_SPANNED}
    + (g.departs_on - :day) + {DAYS_BEFORE + 1}"""
# Of two classes the dearer one has the higher factor: classes stand dearest first.
IN_ONE_CLASS = "greatest(a.class_bp, b.class_bp)"
NON_STOP = f"""
    with leaving as ({legs(STRAIGHT, "plain")}),
    ways as ({DIRECT})
"""
ONE_STOP = f"""
    with leaving as materialized ({legs(LEAVING, "out", OUT_LANE)}),
    hubs as materialized (select l.destination as code, p.country, case when p.country = :origin_country
        and p.country = :destination_country then {MINIMUM_DOMESTIC} else {MINIMUM_INTERNATIONAL} end as least
        from (select distinct destination from leaving where destination <> :destination) l
             cross join lateral (select country from airports where code = l.destination limit 1) p),
    reaching as materialized ({legs(REACHING, "back", BACK_LANE)}),
    ways as ({DIRECT} union all
        select a.id, b.id, a.carrier, b.carrier, h.country, a.departure_at, b.arrival_at, a.departure_local,
               b.arrival_local, {times("a.fare", IN_ONE_CLASS)} + {times("b.fare", IN_ONE_CLASS)}, a.currency,
               least(a.free, b.free), a.load_at, b.load_at, least(a.class_at, b.class_at)
        from leaving a join hubs h on h.code = a.destination
             join reaching b on b.origin = a.destination and b.currency = a.currency
        where b.departure_at >= a.arrival_at + make_interval(mins => h.least)
              and b.departure_at <= a.arrival_at + interval '{LONGEST_WAIT}')
"""  # noqa: S608 – only our own words are put in, values are bound
PRICED = """,
    levies as (select * from unnest(cast(:vias as text[]), cast(:currencies as text[]), cast(:adult_bps as int[]),
        cast(:child_bps as int[]), cast(:infant_bps as int[]), cast(:fixed as bigint[]), cast(:weights as float8[]))
        as l(via, currency, adult_bp, child_bp, infant_bp, fixed_minor, weight)),
    fares as (select w.*, coalesce(l.adult_bp, 0) as adult_bp, coalesce(l.child_bp, 0) as child_bp,
        coalesce(l.infant_bp, 0) as infant_bp, coalesce(l.fixed_minor, 0) as fixed_minor,
        coalesce(l.weight, 1) as weight, (w.fare * :factor_bp + 5000) / 10000 as adult
        from ways w left join levies l on l.via = w.via and l.currency = w.currency
        where w.currency in (select unnest(string_to_array(:priceable, ',')))),
    shares as (select *, (adult * 75 + 50) / 100 as child, (adult * 10 + 50) / 100 as infant from fares),
    priced as materialized (select *, case when two is null then 0 else 1 end as stops,
        (date_part('epoch', arrival_at - departure_at) / 60)::int as minutes,
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
MOST_SEATS_TOLD = 9
# And how many of the day's non-stop flights have too few seats: for those one may wait, until the lines close.
FACETS = f""",
    told as (select json_build_object('total', (select count(*) from priced), 'full',
        (select count(*) from flights f join flight_cabins c on c.flight_id = f.id and c.cabin = :cabin
            where f.origin = :origin and f.destination = :destination and f.departs_on = :day and f.status = 'scheduled'
            and f.sale_closed_at is null and f.departure_at > :lines_close_at and {FREE} < :seats), 'stops',
        (select json_agg(json_build_array(stops, count, low)) from
            (select stops, count(*), min(total) as low from priced group by stops order by stops) s), 'airlines',
        (select json_agg(json_build_array(carrier, count, low)) from (select carrier, count(*), min(total) as low from
            (select carrier_one as carrier, total from priced union all
             select carrier_two, total from priced where carrier_two <> carrier_one) each
            group by carrier order by carrier) c)) as facets)
"""  # noqa: S608 – only our own words are put in, values are bound
# One row answers everything: what a way is stands in one line of text, which the reader takes apart only once.
PAGE = f""",
    kept as (select one, two, via, free, load_one, load_two, class_at, departure_at, {{sort}} as key,
        count(*) over () as total_count from priced where {{filters}}),
    page as (select * from kept {{after}} order by key, departure_at, one, two nulls first limit :rows),
    lines as (select p.key, p.departure_at, p.one, p.two, p.total_count,
        concat_ws(' ', p.key, extract(epoch from p.departure_at)::bigint, p.one, coalesce(p.two, 0)) as place,
        concat_ws('|', p.via, p.load_one, p.load_two, p.class_at, least(p.free, {MOST_SEATS_TOLD}), {{segments}}) as way
        from page p left join flights a on a.id = p.one left join flights b on b.id = p.two)
    select {{told}}, coalesce(max(total_count), 0), string_agg(place, E'\\n' order by {{order}}),
        string_agg(way, E'\\n' order by {{order}}) from lines
"""  # noqa: S608 – only our own words are put in, values are bound
ORDER = "key, departure_at, one, two nulls first"
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
EACH_DAY = "and f.origin = :origin and f.destination = :destination and f.departs_on between :first and :last"
CHEAPEST = f"""
    select departs_on, currency, min({times("fare", "class_bp")})
    from ({legs(EACH_DAY, "days", "g.departs_on - :first + 1")}) l group by 1, 2 order by 1, 2
"""  # noqa: S608 – only our own words are put in, values are bound
PRICEABLE = f"""f.id, f.fare_minor, f.currency, o.country, d.country, f.departs_on, f.origin, f.destination,
    coalesce(c.capacity, 0), coalesce({FREE}, 0), coalesce(c.protections, '{{}}')"""
SOON = text(
    f"""
    with soon as (
        select f.*, o.rank + d.rank as rank from flights f
        join airports o on o.code = f.origin join airports d on d.code = f.destination
        where f.departure_at between now() + interval '5 days' and now() + interval '7 days'
              and f.status = 'scheduled' and f.sale_closed_at is null
    ), routes as (
        select origin, destination, rank from soon group by 1, 2, 3 order by rank desc, origin, destination limit 60
    )
    select {PRICEABLE} from soon f join routes r on r.origin = f.origin and r.destination = f.destination
    join flight_cabins c on c.flight_id = f.id and c.cabin = 'economy'
    join airports o on o.code = f.origin join airports d on d.code = f.destination
    where {FREE} > 0 order by r.rank desc, f.origin, f.destination, f.id
    """  # noqa: S608 – only our own words are put in, values are bound
)
SEGMENT_FARES = text(
    f"""
    select {PRICEABLE} from flights f left join flight_cabins c on c.flight_id = f.id and c.cabin = :cabin
    join airports o on o.code = f.origin join airports d on d.code = f.destination
    where f.id = any(:ids)
    """  # noqa: S608 – only our own words are put in, values are bound
)
NETWORK = text(
    """
    select (select array_agg(distinct country) from airports where served),
           (select array_agg(distinct currency) from flights where departs_on >= current_date - 1),
           (select json_object_agg(code, name) from carriers), (select json_object_agg(code, name) from aircraft_types)
    """
)


@lru_cache(maxsize=512)
def composed(stops: bool, sort: str, filters: tuple[str, ...], after: bool, facets: bool) -> TextClause:
    """Return the statement of a search of this shape."""
    segments = [SEGMENT.format("a"), *([SEGMENT.format("b")] if stops else [])]
    page = PAGE.format(
        order=ORDER,
        sort=SORTS[sort],
        filters=" and ".join(FILTERS[name] for name in filters) or "true",
        after=AFTER if after else "",
        told="(select facets from told)" if facets else "null",
        segments=", ".join(segments),
    )
    return text((ONE_STOP if stops else NON_STOP) + PRICED + (FACETS if facets else "") + page)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A statement as PostgreSQL takes it, with $1, $2 …, and the names of what is bound to them."""

    sql: str
    names: tuple[str, ...]


@lru_cache(maxsize=1)
def cheapest_sql() -> Numbered:
    """Return the statement of a calendar, numbered."""
    return _numbered(text(CHEAPEST))


@lru_cache(maxsize=512)
def search_sql(stops: bool, sort: str, filters: tuple[str, ...], after: bool, facets: bool) -> Numbered:
    """Return that statement, numbered."""
    return _numbered(composed(stops, sort, filters, after, facets))


def _numbered(statement: TextClause) -> Numbered:
    """Return the statement numbered: to read names out of a long one each time costs as much as all else in Python."""
    made = statement.compile(dialect=psycopg.dialect(paramstyle="numeric_dollar"))  # type: ignore[no-untyped-call]  # has no types
    return Numbered(" ".join(str(made).split()), tuple(made.positiontup or ()))

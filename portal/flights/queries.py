"""Reads of flights, for pages, offers and the books."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.places.queries import Place

PLACE = "{0}.code, {0}.name, {0}.city, {0}.country, {0}.country_name, {0}.time_zone, {0}.latitude, {0}.longitude"
COLUMNS = f"""f.id, f.public_id, f.carrier, c.name, f.number, f.departs_on, f.departure_local, f.arrival_local,
    f.departure_at, f.arrival_at, f.aircraft, a.name, f.distance_km, f.status, {PLACE.format("o")}, {PLACE.format("d")},
    f.estimated_departure_at, f.estimated_arrival_at, f.sale_closed_at"""
JOINS = """join carriers c on c.code = f.carrier join aircraft_types a on a.code = f.aircraft
    join airports o on o.code = f.origin join airports d on d.code = f.destination"""
VIEW = f"select {COLUMNS} from flights f {JOINS}"  # noqa: S608 – constant lists of columns
# What `flight_of_cells` reads: a flight `f`, with JOINS, as one value within a wider question.
CELLS = f"json_build_array({COLUMNS})"
INSTANTS = (6, 7, 8, 9, 30, 31, 32)
BY_ID = text(f"{VIEW} where f.id = any(:ids)")
BY_PUBLIC_ID = text(f"{VIEW} where f.public_id = :public_id")

# Free seats of cabin `c`, as SQL for other reads: a lapsed claim no longer counts, swept or not.
FREE_SEATS = """(c.capacity - c.sold - c.held + coalesce((select sum(l.seats) from seat_claims l
    where l.flight_id = c.flight_id and l.cabin = c.cabin and l.expires_at <= now()), 0))::int"""
FREE = text(
    f"select c.flight_id, c.cabin, {FREE_SEATS} from flight_cabins c where c.flight_id = any(:ids)"  # noqa: S608 – constant
)

CABIN_MAPS = text(
    f"""
    select c.cabin, a.first_row, a.last_row, a.layout, a.exit_rows,
           case when f.status = 'scheduled' and f.sale_closed_at is null and f.departure_at > now()
               then {FREE_SEATS} else 0 end
    from flights f join flight_cabins c on c.flight_id = f.id
    join aircraft_cabins a on a.aircraft = f.aircraft and a.cabin = c.cabin
    where f.id = :flight_id order by a.first_row
    """  # noqa: S608 – constant
)
BROKEN = text(
    """
    select flight_id, cabin, c.capacity, c.held, c.sold, coalesce(s.held, 0)::int, coalesce(s.sold, 0)::int
    from flight_cabins c full join (
        select flight_id, cabin, sum(seats) filter (where expires_at is not null) as held,
               sum(seats) filter (where expires_at is null) as sold
        from seat_claims group by flight_id, cabin
    ) s using (flight_id, cabin)
    where c.held is distinct from coalesce(s.held, 0) or c.sold is distinct from coalesce(s.sold, 0)
       or c.held < 0 or c.sold < 0 or c.held + c.sold > c.capacity
    order by 1, 2 limit 1000
    """
)


@dataclass(frozen=True, slots=True)
class CabinMap:
    """A cabin's rows, letters across (a blank is an aisle), exit rows, and seats free for sale."""

    cabin: str
    first_row: int
    last_row: int
    layout: str
    exit_rows: list[int]
    free: int


@dataclass(frozen=True, slots=True)
class BrokenCounter:
    """A cabin whose counters differ from the sums of its claims, or exceed its capacity."""

    flight_id: int
    cabin: str
    capacity: int
    held: int
    sold: int
    claimed_held: int
    claimed_sold: int


@dataclass(frozen=True, slots=True)
class FlightView:
    """One dated flight as people see it; `*_local` are naive wall clocks at each end, `*_at` aware instants."""

    id: int
    public_id: UUID
    carrier: str
    carrier_name: str
    number: int
    origin: Place
    destination: Place
    departs_on: date
    departure_local: datetime
    arrival_local: datetime
    departure_at: datetime
    arrival_at: datetime
    aircraft: str
    aircraft_name: str
    distance_km: int
    status: str
    estimated_departure_at: datetime | None = None
    estimated_arrival_at: datetime | None = None
    sale_closed_at: datetime | None = None

    @property
    def delay_minutes(self) -> int:
        """Minutes by which it is expected to land later than scheduled; 0 while nothing else is known."""
        late = self.estimated_arrival_at - self.arrival_at if self.estimated_arrival_at else timedelta(0)
        return round(late.total_seconds() / 60)

    @property
    def leaves_at(self) -> datetime:
        """The instant at which it is expected to leave."""
        return self.estimated_departure_at or self.departure_at

    @property
    def lands_at(self) -> datetime:
        """The instant at which it is expected to land."""
        return self.estimated_arrival_at or self.arrival_at

    @property
    def designator(self) -> str:
        """Carrier and number as on the ticket: `ME101`."""
        return f"{self.carrier}{self.number}"

    @property
    def duration_minutes(self) -> int:
        """Real minutes from gate to gate, also in the nights when clocks change."""
        return round((self.arrival_at - self.departure_at).total_seconds() / 60)

    @property
    def day_shift(self) -> int:
        """Days by which the calendar at the destination differs on arrival: 1 is `+1`, -1 over the date line."""
        return (self.arrival_local.date() - self.departure_local.date()).days

    @property
    def departure(self) -> datetime:
        """The departure in the origin's zone, aware."""
        return self.departure_at.astimezone(ZoneInfo(self.origin.time_zone))

    @property
    def estimated_departure(self) -> datetime | None:
        """The expected departure in the origin's zone, aware; None while the schedule holds."""
        late = self.estimated_departure_at
        return late.astimezone(ZoneInfo(self.origin.time_zone)) if late else None

    @property
    def estimated_arrival(self) -> datetime | None:
        """The expected arrival in the destination's zone, aware; None while the schedule holds."""
        late = self.estimated_arrival_at
        return late.astimezone(ZoneInfo(self.destination.time_zone)) if late else None

    @property
    def arrival(self) -> datetime:
        """The arrival in the destination's zone, aware."""
        return self.arrival_at.astimezone(ZoneInfo(self.destination.time_zone))


def flights_by_id(session: Session, ids: Collection[int]) -> dict[int, FlightView]:
    """Return the flights among `ids`; an unknown id is simply not in the answer."""
    return {row[0]: _view(row) for row in session.execute(BY_ID, {"ids": list(ids)})} if ids else {}


def flight_of_cells(cells: list[Any]) -> FlightView:
    """Return the flight that CELLS told; changes the list."""
    cells[1], cells[5] = UUID(cells[1]), date.fromisoformat(cells[5])
    for at in INSTANTS:
        cells[at] = cells[at] and datetime.fromisoformat(cells[at])
    return _view(cells)


def flight_by_public_id(session: Session, public_id: UUID | str) -> FlightView | None:
    """Return the flight with this outward id, or None – also for a text that is no id at all."""
    try:
        key = public_id if isinstance(public_id, UUID) else UUID(public_id)
    except ValueError:
        return None
    row = session.execute(BY_PUBLIC_ID, {"public_id": key}).one_or_none()
    return _view(row) if row else None


def free_seats(session: Session, ids: Collection[int]) -> dict[tuple[int, str], int]:
    """Return how many seats are free by (flight id, cabin), lapsed holds counted as free."""
    return {(row[0], row[1]): row[2] for row in session.execute(FREE, {"ids": list(ids)})}


def cabin_maps(session: Session, flight_id: int) -> list[CabinMap]:
    """Return the cabins of a flight from front to back, with how many seats are free for sale in each."""
    return [CabinMap(*row) for row in session.execute(CABIN_MAPS, {"flight_id": flight_id})]


def broken_counters(session: Session) -> list[BrokenCounter]:
    """Return the cabins (at most 1,000) whose books do not balance; an empty list is the proof that seats add up."""
    return [BrokenCounter(*row) for row in session.execute(BROKEN)]


def _view(row: Any) -> FlightView:
    cells = [*row[:5], Place(*row[14:22]), Place(*row[22:30]), *row[5:14], *row[30:]]
    return FlightView(*cells)

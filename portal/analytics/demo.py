"""The demo airline's past sales: what its invented travellers bought on each of the last sixty days.

From a day of sale everything follows, the same every time (but ticket serials): who, where to, when, in which fare. It
is written in bulk, past the doors that sales go through, and so keeps their books itself: seats, claims, charges,
payments, tickets. Every contact is at example.com, and nobody is written to.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.booking.rules import Named, name_fields
from portal.flights.demo import Route
from portal.kit import ids
from portal.pricing.inventory import protections_of
from portal.pricing.rules import Party, PriceBook, Quote, Sale, SegmentFare, conditions, quote
from portal.search.rules import printed_steps
from portal.seats.demo import Bought, wants
from portal.seats.rules import Catalogue

BOOKINGS_A_DAY = 56
WEEKDAY = (1.12, 1.08, 1.05, 1.0, 0.94, 0.78, 0.9)
PARTIES = ((50, Party(1)), (27, Party(2)), (9, Party(2, 1)), (7, Party(2, 2)), (4, Party(1, 1)), (3, Party(2, 0, 1)))
CABINS = ((80, "economy"), (9, "premium"), (10, "business"), (1, "first"))
BRANDS = ((44, "Basic"), (38, "Standard"), (18, "Flex"))
AHEAD = timedelta(days=75)
LEFT_FOR_OTHERS = 9
# Every day some teams – clubs, choirs, conferences – book the same flight some weeks ahead: those are the full ones.
TEAM, TEAMS, TEAM_CABIN = Party(9), (3, 7), 110
# How many take the departure that most others have taken: flights at good hours fill up, others do not.
WITH_THE_CROWD = 0.75
# fmt: off
GIVEN = (
    "Ana", "Ben", "Chloé", "Daniel", "Elena", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kim", "Lucía", "Mei", "Noah",
    "Olga", "Paul", "Rosa", "Sven", "Tara", "Yusuf",
)
FAMILY = (
    "Almeida", "Brown", "Castillo", "Dubois", "Evans", "Fischer", "García", "Hansen", "Ito", "Jensen", "Kowalski",
    "Lee", "Müller", "Nakamura", "Okafor", "Patel", "Quinn", "Rossi", "Schmidt", "Tanaka", "Usman", "Vargas",
    "Williams", "Young", "Zhang",
)
# fmt: on

STOCK = text(
    """
    select f.id, f.carrier, f.origin, f.destination, f.departs_on, f.departure_at, f.fare_minor, f.currency, c.cabin,
           c.capacity - c.sold - c.held free, c.capacity
    from flights f join flight_cabins c on c.flight_id = f.id
    where f.departure_at >= :first and f.departure_at < :last and f.status = 'scheduled' and f.carrier = any(:carriers)
      and f.origin || f.destination = any(:pairs)
    order by f.departure_at, f.id, c.cabin
    """
)
KEYS = text("select idempotency_key from bookings where idempotency_key = any(:keys)")
REFERENCES = text("select reference from bookings")
SERIALS = text("select nextval('ticket_serials') from generate_series(1, :count)")
PREFIXES = text("select code, ticket_prefix from carriers")
LOCK = text(
    """
    select 1 from flight_cabins where (flight_id, cabin) in (
        select flight_id, cabin from seat_claims where holder = any(:holders))
    order by flight_id, cabin for update
    """
)
SELL = text(
    """
    update flight_cabins c set sold = c.sold + n.seats from (
        select flight_id, cabin, sum(seats) seats from seat_claims where holder = any(:holders) group by 1, 2
    ) n where c.flight_id = n.flight_id and c.cabin = n.cabin
    """
)
COLUMNS = {
    "bookings": "id, reference, status, contact_email, currency, total_minor, paid_minor, idempotency_key, "
    "fingerprint, created_at, confirmed_at",
    "booking_slices": "booking_id, position, origin, destination, cabin, brand, booking_class, fare_basis, "
    "conditions, pricing",
    "booking_segments": "booking_id, slice_position, position, flight_id",
    "passengers": "id, booking_id, position, type, given_name, family_name, ticket_name, date_of_birth",
    "booking_items": "id, booking_id, passenger_id, flight_id, kind, code, label, quantity, amount_minor, created_at",
    "charges": "booking_id, position, passenger_id, slice_position, code, label, amount_minor, item_id",
    "tickets": "number, passenger_id, issued_at",
    "coupons": "ticket_number, position, flight_id, status",
    "seat_claims": "holder, flight_id, cabin, seats, created_at",
    "payments": "id, payable, amount_minor, currency, gateway, gateway_reference, method, state, idempotency_key, "
    "created_at, settled_at, applied_at",
    "sandbox_charges": "id, idempotency_key, amount_minor, currency, description, return_path, state, created_at",
}


@dataclass(slots=True)
class Seats:
    """A flight as the past travellers found it, with its free seats, and all its seats, by cabin."""

    id: int
    carrier: str
    origin: str
    destination: str
    departs_on: date
    departure_at: datetime
    fare_minor: int
    currency: str
    free: dict[str, int] = field(default_factory=dict)
    capacity: dict[str, int] = field(default_factory=dict)


Stock = dict[tuple[str, str, date], list[Seats]]


@dataclass(frozen=True, slots=True)
class World:
    """What past sales are made of: flights, prices, each airport's country, how often each pair is flown, extras."""

    stock: Stock
    book: PriceBook
    countries: Mapping[str, str]
    pairs: Mapping[tuple[str, str], int]
    prefixes: Mapping[str, str]
    extras: Mapping[str, Catalogue]


def pairs_of(network: Iterable[Route]) -> dict[tuple[str, str], int]:
    """Return the airport pairs that are flown at least twice a day, with a weight that favours the busy ones."""
    flown: dict[tuple[str, str], int] = defaultdict(int)
    for route in network:
        flown[route.origin, route.destination] += 1
    return {pair: count**2 for pair, count in sorted(flown.items()) if count > 1}


def days_to_fill(session: Session, today: date, days: int) -> list[date]:
    """Return those of the `days` before `today` on which no demo booking was sold yet."""
    every = [today - timedelta(days=ago) for ago in range(days, 0, -1)]
    known = set(session.scalars(KEYS, {"keys": [_key(day, 0) for day in every]}))
    return [day for day in every if _key(day, 0) not in known]


def load_stock(
    session: Session, pairs: Iterable[tuple[str, str]], carriers: Iterable[str], days: Sequence[date]
) -> Stock:
    """Return the flights of `pairs` that could be bought on `days`, with what is free on them now."""
    values = {
        "first": datetime.combine(days[0], time(), UTC),
        "last": datetime.combine(days[-1], time(), UTC) + AHEAD,
        "carriers": list(carriers),
        "pairs": ["".join(pair) for pair in pairs],
    }
    stock: Stock = defaultdict(list)
    last: Seats | None = None
    for row in session.execute(STOCK, values):
        if last is None or last.id != row.id:
            last = Seats(*row[:8])
            stock[row.origin, row.destination, row.departs_on].append(last)
        last.free[row.cabin], last.capacity[row.cabin] = row.free, row.capacity
    return stock


def read_prefixes(session: Session) -> dict[str, str]:
    """Return the three digits that each airline's tickets begin with."""
    return {row.code: row.ticket_prefix for row in session.execute(PREFIXES)}


def currencies(stock: Stock) -> set[str]:
    """Return what the flights are sold in."""
    return {flight.currency for flights in stock.values() for flight in flights}


def keep_history(session: Session, world: World, days: Sequence[date], now: datetime) -> int:
    """Write the sales of `days` and sell their seats; returns how many bookings that were."""
    tables: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COLUMNS}
    references = set(session.scalars(REFERENCES))
    for day in days:
        rng, sold = Random(f"sales of {day}"), 0
        for _ in range(round(BOOKINGS_A_DAY * WEEKDAY[day.weekday()] * rng.uniform(0.85, 1.2))):
            sale = _Sale(world, rng, day, _key(day, sold))
            if sale.flights:
                sale.write(tables, _reference(rng, references), now)
                sold += 1
        for sale in _teams(world, rng, day):
            sale.write(tables, _reference(rng, references), now)
    _number_tickets(session, tables)
    for name, columns in COLUMNS.items():
        _copy(session, name, columns, tables[name])
    holders = [row[0] for row in tables["bookings"]]
    session.execute(LOCK, {"holders": holders})
    session.execute(SELL, {"holders": holders})
    return len(holders)


def _key(day: date, number: int) -> str:
    return f"demo-sale:{day}:{number}"


def _reference(rng: Random, taken: set[str]) -> str:
    while (made := "".join(rng.choices(ids.ALPHABET, k=ids.REFERENCE_LENGTH))) in taken:
        pass
    taken.add(made)
    return made


def _number_tickets(session: Session, tables: dict[str, list[tuple[Any, ...]]]) -> None:
    """Put real serials in the place of each ticket's position, in tickets and coupons alike."""
    serials = session.scalars(SERIALS, {"count": len(tables["tickets"])}).all()
    numbers = [f"{row[0]}{serial:010d}" for row, serial in zip(tables["tickets"], serials, strict=True)]
    tables["tickets"] = [(number, *row[1:]) for number, row in zip(numbers, tables["tickets"], strict=True)]
    tables["coupons"] = [(numbers[row[0]], *row[1:]) for row in tables["coupons"]]


def _copy(session: Session, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    driver = session.connection().connection.driver_connection
    if driver is None:
        raise RuntimeError("The session has no connection.")
    with driver.cursor() as cursor, cursor.copy(f"copy {table} ({columns}) from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def _pick(rng: Random, choices: Iterable[tuple[int, Any]]) -> Any:
    weights, values = zip(*choices, strict=True)
    return rng.choices(values, weights)[0]


def _teams(world: World, rng: Random, day: date) -> Iterator[_Sale]:
    """Yield the sales of a day's teams: all on one flight with not too many seats."""
    leaves = day + timedelta(days=rng.randint(9, 30))
    every = (one for pair in sorted(world.pairs) for one in world.stock.get((*pair, leaves), []))
    small = [one for one in every if one.capacity.get("economy", TEAM_CABIN + 1) <= TEAM_CABIN]
    flight = rng.choice(small) if small else None
    for number in range(rng.randint(*TEAMS) if flight else 0):
        if flight and flight.free["economy"] >= TEAM.seats:
            yield _Sale(world, rng, day, f"demo-team:{day}:{number}", team=flight)


class _Sale:
    """One sale: who bought what. `flights` is empty where nothing fits."""

    def __init__(self, world: World, rng: Random, day: date, key: str, team: Seats | None = None) -> None:
        self.world, self.rng, self.key = world, rng, key
        minute = round(rng.triangular(0, 1439, 1080))
        self.sold_at = datetime.combine(day, time(minute // 60, minute % 60, rng.randrange(60)), UTC)
        self.id = UUID(int=rng.getrandbits(128), version=4)
        self.party: Party = _pick(rng, PARTIES)
        self.cabin: str = _pick(rng, CABINS)
        self.brand: str = _pick(rng, BRANDS)
        if team:
            self.party, self.cabin, self.flights = TEAM, "economy", [team]
            team.free["economy"] -= TEAM.seats
        else:
            self.flights = self._flights(day)

    def _flights(self, day: date) -> list[Seats]:
        """Choose a flight, and for most a flight back; their seats are taken."""
        origin, destination = _pick(self.rng, ((weight, pair) for pair, weight in self.world.pairs.items()))
        leaves = day + timedelta(days=1 + min(45, int(self.rng.expovariate(1 / 13))))
        wanted = [(origin, destination, leaves)]
        if self.rng.random() < 0.62:
            wanted.append(
                (destination, origin, leaves + timedelta(days=self.rng.choice((2, 3, 3, 4, 5, 7, 7, 10, 14))))
            )
        found = [self._flight(*one) for one in wanted]
        flights = [one for one in found if one is not None]
        if len(flights) < len(wanted):
            return []
        for flight in flights:
            flight.free[self.cabin] -= self.party.seats
        return flights

    def _flight(self, origin: str, destination: str, on: date) -> Seats | None:
        flights = self.world.stock.get((origin, destination, on), [])
        if not any(self.cabin in one.free for one in flights):
            self.cabin = "economy"
        fit = [one for one in flights if one.free.get(self.cabin, 0) >= self.party.seats + LEFT_FOR_OTHERS]
        if self.rng.random() < WITH_THE_CROWD:
            return min(fit, key=lambda one: one.free[self.cabin] / one.capacity[self.cabin], default=None)
        return self.rng.choice(fit) if fit else None

    def write(self, tables: dict[str, list[tuple[Any, ...]]], reference: str, now: datetime) -> None:
        """Append the rows of this sale."""
        people = self._people(tables)
        total = self._prices(tables, [row[0] for row in people], self._extras(tables, people))
        currency, began = self.flights[0].currency, self.sold_at - timedelta(minutes=self.rng.randint(3, 9))
        email = f"{people[0][6].split('/')[-1]}.{people[0][6].split('/')[0]}@example.com".lower().replace(" ", "-")
        paid = (total, currency)
        dates = (began, self.sold_at)
        tables["bookings"].append(
            (self.id, reference, "confirmed", email, currency, total, total, self.key, self.key, *dates)
        )
        charge = f"ch_{self.id}"
        tables["payments"].append(
            (
                self.id,
                self.id,
                *paid,
                "sandbox",
                charge,
                "card",
                "succeeded",
                self.key,
                began,
                self.sold_at,
                self.sold_at,
            )
        )
        tables["sandbox_charges"].append((charge, str(self.id), *paid, reference, "/", "succeeded", began))
        prefix = self.world.prefixes[self.flights[0].carrier]
        for row in people:
            tables["tickets"].append((prefix, row[0], self.sold_at))
            for at, flight in enumerate(self.flights):
                flown = "flown" if flight.departure_at < now else "open"
                tables["coupons"].append((len(tables["tickets"]) - 1, at, flight.id, flown))

    def _people(self, tables: dict[str, list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        family = self.rng.choice(FAMILY)
        names = self.rng.sample(GIVEN, len(self.party.types))
        rows = []
        for at, (kind, given) in enumerate(zip(self.party.types, names, strict=True)):
            years = {"adult": self.rng.randint(19, 74), "child": self.rng.randint(3, 10), "infant": 1}[kind]
            born = self.flights[0].departs_on - timedelta(days=round(365.25 * years) - self.rng.randint(0, 250))
            fields = name_fields(Named(kind, given, family, born))
            rows.append((UUID(int=self.rng.getrandbits(128), version=4), self.id, at, kind, *fields.values()))
        tables["passengers"].extend(rows)
        return rows

    def _extras(
        self, tables: dict[str, list[tuple[Any, ...]]], people: Sequence[tuple[Any, ...]]
    ) -> list[tuple[int, int, Bought]]:
        """Append what is bought beside the seats; returns each with its passenger's and its slice's position."""
        prices, brand = self.world.extras[self.flights[0].currency], self.world.book.brand(self.cabin, self.brand)
        bought = [
            (who, at, one)
            for who, row in enumerate(people)
            for at, flight in enumerate(self.flights)
            for one in wants(prices, self.rng, brand=brand, kind=row[3], flight_id=flight.id, first=at == 0)
        ]
        for who, _, one in bought:
            row = (one.flight_id, one.kind, one.code, one.label, 1, one.amount_minor, self.sold_at)
            tables["booking_items"].append((one.id, self.id, people[who][0], *row))
        return bought

    def _prices(
        self,
        tables: dict[str, list[tuple[Any, ...]]],
        people: Sequence[UUID],
        extras: Sequence[tuple[int, int, Bought]],
    ) -> int:
        """Append slices, seats and charges; returns the total."""
        lines: list[tuple[int, int, tuple[Any, ...]]] = []
        for at, flight in enumerate(self.flights):
            price = self._slice(tables, at, flight)
            lines += [
                (who, at, (line.code, line.label, line.amount_minor, None))
                for who, kind in enumerate(self.party.types)
                for line in price[kind]
            ]
        lines += [(who, at, (one.kind, one.label, one.amount_minor, one.id)) for who, at, one in extras]
        lines.sort(key=lambda one: one[:2])
        tables["charges"] += [(self.id, nth, people[who], at, *row) for nth, (who, at, row) in enumerate(lines)]
        return sum(row[2] for _, _, row in lines)

    def _slice(self, tables: dict[str, list[tuple[Any, ...]]], at: int, flight: Seats) -> Mapping[str, Sequence[Any]]:
        brand = self.world.book.brand(self.cabin, self.brand)
        terms = json.dumps(conditions(self.world.book, brand, flight.currency).wire())
        ends = (flight.origin, flight.destination)
        price = self._quote(flight)
        fare = (self.cabin, self.brand, price.booking_class, price.fare_basis, terms)
        steps = json.dumps(printed_steps(price, [flight.id], self.brand))
        tables["booking_slices"].append((self.id, at, *ends, *fare, steps))
        tables["booking_segments"].append((self.id, at, 0, flight.id))
        tables["seat_claims"].append((self.id, flight.id, self.cabin, self.party.seats, self.sold_at))
        return price.per_type

    def _quote(self, flight: Seats) -> Quote:
        """Return the price on the day of sale, in the class that was open, with the seats before this sale free."""
        book, on, capacity = self.world.book, self.sold_at.date(), flight.capacity[self.cabin]
        left = flight.free[self.cabin]
        kept = protections_of(book.tariff.classes.get(self.cabin, ()), capacity, (flight.departs_on - on).days)
        sale = Sale(on, book.tariff.class_at(self.cabin, kept, left))
        load_at = book.tariff.ladder(cabin=self.cabin, today=on).at(capacity, left + self.party.seats)
        ends = (flight.origin, flight.destination)
        here, there = (self.world.countries[code] for code in ends)
        asked = SegmentFare(flight.fare_minor, flight.currency, here, there, flight.departs_on, *ends, load_at)
        return quote(book, [asked], cabin=self.cabin, brand=self.brand, party=self.party, sale=sale)

"""Search finds exactly what a slow and simple reading of the timetable finds, at exactly the prices of the rules.

Nothing is missed, nothing impossible; whatever the price rules, SQL and Python come to the same integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from itertools import permutations
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, delete, func, insert, inspect, select
from sqlalchemy.orm import Session

from portal.flights.models import Flight, FlightCabin, SeatClaim
from portal.kit import clock, db
from portal.kit.settings import Settings
from portal.pricing.models import RULE_KINDS, FareBrand, FareClassRow, FareRuleRow
from portal.pricing.rules import Party, PriceBook, Quote, Sale, SegmentFare, quote
from portal.pricing.service import forget_books, load_book
from portal.search import queries, service
from portal.search.forms import Criteria, SliceWish
from portal.search.rules import Itinerary
from portal.search.statements import SORTS
from tests import world

ZONES = {row[0]: ZoneInfo(row[5]) for row in world.AIRPORTS}
COUNTRIES = {row[0]: row[3] for row in world.AIRPORTS}
CODES = ("JFK", "ORD", "LAX", "LHR")
ENDS = (*permutations(CODES, 2), *(("JFK", "ORD"), ("JFK", "LHR"), ("ORD", "LAX"), ("LHR", "LAX")) * 3)
DAY = world.soon(20)


@dataclass(frozen=True)
class Plan:
    """A flight of a made-up timetable; `lapsed` of the held seats belong to a hold that has run out."""

    id: int
    origin: str
    destination: str
    leaves: datetime
    minutes: int
    carrier: str
    fare: int
    currency: str
    status: str
    capacity: int
    sold: int
    held: int
    lapsed: int
    protections: tuple[int, ...]

    @property
    def lands(self) -> datetime:
        return self.leaves + timedelta(minutes=self.minutes)

    @property
    def free(self) -> int:
        return self.capacity - self.sold - self.held + self.lapsed

    def local(self, at: datetime, code: str) -> datetime:
        return at.astimezone(ZONES[code])


@st.composite
def plans(draw: st.DrawFn, number: int) -> Plan:
    """Flights on a half-hour grid, most of them first or second halves of a way, so that the limits are really met."""
    origin, destination = draw(st.sampled_from(ENDS))
    leaves = datetime.combine(DAY, time(12), UTC) + timedelta(minutes=30 * draw(st.integers(-14, 40)))
    capacity = draw(st.integers(3, 6))
    sold = draw(st.sampled_from((0, 0, 0, 2, 3)))
    held = draw(st.integers(0, capacity - sold))
    return Plan(
        id=number,
        origin=origin,
        destination=destination,
        leaves=leaves,
        minutes=30 * draw(st.integers(2, 6)),
        carrier=draw(st.sampled_from(("ME", "PA"))),
        fare=draw(st.integers(100, 60_000)),
        currency=draw(st.sampled_from(("USD",) * 5 + ("EUR",))),
        status=draw(st.sampled_from(("scheduled",) * 6 + ("cancelled",))),
        capacity=capacity,
        sold=sold,
        held=held,
        lapsed=draw(st.integers(0, held)),
        protections=tuple(sorted(draw(st.lists(st.integers(0, 6), max_size=7)))),
    )


def rule(rng: Random, number: int) -> dict[str, object]:
    """A price rule of any kind, near enough to the day that it often holds."""
    kind = RULE_KINDS[number] if number < len(RULE_KINDS) else rng.choice(RULE_KINDS)
    row: dict[str, object] = {"key": f"rule-{number}", "kind": kind, "label": f"Rule {number}", "source": "a test"}
    row |= {"factor_bp": rng.randint(1_000, 30_000), "low": None, "high": None, "code": ""}
    row |= {"cabin": rng.choice((None, None, "economy", "business"))}
    row |= {name: None if kind == "load" else rng.choice((None,) * 4 + CODES) for name in ("origin", "destination")}
    if kind == "route" and not (row["origin"] or row["destination"]):
        row["origin"] = "JFK"
    if kind == "load":
        row["low"] = rng.randint(0, 10_000)
    if kind == "weekday":
        row["low"], row["high"] = sorted(rng.choices(range(1, 8), k=2))
    if kind == "advance":
        row["low"], row["high"] = rng.randint(0, 22), rng.choice((None, rng.randint(22, 40)))
    if kind in ("season", "holiday"):
        first = DAY + timedelta(days=rng.randint(-3, 3))
        last = first + timedelta(days=rng.randint(0, 3))
        form = "%m%d" if kind == "season" else "%Y%m%d"
        row["low"], row["high"] = int(first.strftime(form)), int(last.strftime(form))
    starts = rng.choice((-400, -30, 0, 1))
    row["valid_from"] = world.soon(starts)
    row["valid_to"] = rng.choice((None, None, None, world.soon(starts), world.soon(max(starts, -1))))
    return row


def set_rules(session: Session, seed: int) -> tuple[int, ...]:
    """Replace the price rules by some made from `seed`, and give Basic and two booking classes other days of sale.

    Returns what those three have to cost today.
    """
    rng = Random(seed)
    session.execute(delete(FareRuleRow))
    kinds = len(RULE_KINDS)
    for number in range(rng.choice((0, kinds, 2 * kinds, 3 * kinds))):
        session.execute(insert(FareRuleRow).values(**rule(rng, number)))
    basic = versions(session, rng, FareBrand, FareBrand.brand == "Basic", highest=20_000)
    classes = [versions(session, rng, FareClassRow, FareClassRow.letter == one, highest=20_000) for one in "BK"]
    forget_books()
    return (basic, *classes)


def versions(
    session: Session, rng: Random, model: type[FareBrand | FareClassRow], which: ColumnElement[bool], *, highest: int
) -> int:
    """Let a row of economy have versions before, on and after this day; returns the factor of the one in force."""
    own = session.scalars(select(model).where(model.cabin == "economy", which).limit(1)).one()
    kept = {column.key: getattr(own, column.key) for column in inspect(model).columns}
    session.execute(delete(model).where(model.cabin == "economy", which))
    ends = (-1 - rng.randint(0, 3), rng.randint(0, 3))
    spans = ((-400, ends[0]), (ends[0] + 1, ends[1]), (ends[1] + 1, None))
    factors = [rng.randint(2_000, highest) for _ in spans]
    for (first, last), factor in zip(spans, factors, strict=True):
        days = {"valid_from": world.soon(first), "valid_to": None if last is None else world.soon(last)}
        session.execute(insert(model).values(**{**kept, **days, "factor_bp": factor}))
    return factors[1]


def in_force(book: PriceBook) -> tuple[int, ...]:
    """Return what the book of today says of those three."""
    classes = {one.letter: one.factor_bp for one in book.tariff.classes["economy"]}
    return book.brand("economy", "Basic").factor_bp, classes["B"], classes["K"]


@st.composite
def timetables(draw: st.DrawFn) -> list[Plan]:
    return [draw(plans(number)) for number in range(1, draw(st.integers(10, 24)) + 1)]


@st.composite
def criteria(draw: st.DrawFn) -> Criteria:
    clocks = st.none() | st.times().map(lambda one: one.replace(second=0, microsecond=0))
    rarely = st.sampled_from((True, False, False, False))
    return Criteria(
        slices=(SliceWish("JFK", draw(st.sampled_from(("LAX", "LHR"))), DAY),),
        party=Party(draw(st.integers(1, 3)), draw(st.integers(0, 1)), draw(st.integers(0, 1))),
        max_stops=draw(st.sampled_from((0, 1, 1, 1))),
        airlines=frozenset(("ME",)) if draw(rarely) else frozenset(),
        depart_after=draw(clocks) if draw(rarely) else None,
        depart_before=draw(clocks) if draw(rarely) else None,
        arrive_after=draw(clocks) if draw(rarely) else None,
        arrive_before=draw(clocks) if draw(rarely) else None,
        max_minutes=draw(st.integers(60, 2000)) if draw(rarely) else None,
        max_price=draw(st.decimals(1, 3000, places=2)) if draw(rarely) else None,
        sort=draw(st.sampled_from(sorted(SORTS))),
        limit=draw(st.sampled_from((1, 2, 3, 50))),
    )


def oracle(book: PriceBook, timetable: list[Plan], asked: Criteria) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Yield (flight ids, total in US cents, minutes) of every way, the slow and simple way."""
    origin, destination = asked.slices[0].origin, asked.slices[0].destination
    usable = [p for p in timetable if p.status == "scheduled" and p.free >= asked.party.seats]
    first = [p for p in usable if p.origin == origin and p.local(p.leaves, origin).date() == DAY]
    ways = [(p,) for p in first if p.destination == destination]
    if asked.max_stops:
        ways += [(a, b) for a in first for b in usable if connects(a, b, origin, destination)]
    for way in ways:
        total, minutes = cost(book, way, asked), int((way[-1].lands - way[0].leaves).total_seconds()) // 60
        if wanted(way, total, minutes, asked):
            yield tuple(p.id for p in way), total, minutes


def connects(a: Plan, b: Plan, origin: str, destination: str) -> bool:
    if a.destination != b.origin or a.destination == destination or b.destination != destination or b.origin == origin:
        return False
    domestic = COUNTRIES[a.origin] == COUNTRIES[a.destination] == COUNTRIES[b.destination]
    wait = b.leaves - a.lands
    return timedelta(minutes=60 if domestic else 90) <= wait <= timedelta(hours=24) and a.currency == b.currency


def cost(book: PriceBook, way: tuple[Plan, ...], asked: Criteria) -> int:
    made = price(book, way, asked.party)
    return round(made.total_minor * (1_000_000 / book.rates[made.currency]))


def price(book: PriceBook, way: tuple[Plan, ...], party: Party) -> Quote:
    today, tariff = clock.now().date(), book.tariff
    ladder = tariff.ladder(cabin="economy", today=today)
    segments = [
        SegmentFare(
            p.fare,
            p.currency,
            COUNTRIES[p.origin],
            COUNTRIES[p.destination],
            p.local(p.leaves, p.origin).date(),
            p.origin,
            p.destination,
            ladder.at(p.capacity, p.free),
        )
        for p in way
    ]
    class_at = min(tariff.class_at("economy", p.protections, p.free - party.seats) for p in way)
    return quote(book, segments, cabin="economy", brand="Basic", party=party, sale=Sale(today, class_at))


def wanted(way: tuple[Plan, ...], total: int, minutes: int, asked: Criteria) -> bool:
    leaves = way[0].local(way[0].leaves, way[0].origin).time()
    lands = way[-1].local(way[-1].lands, way[-1].destination).time()
    return all(
        (
            not asked.airlines or all(p.carrier in asked.airlines for p in way),
            asked.depart_after is None or leaves >= asked.depart_after,
            asked.depart_before is None or leaves <= asked.depart_before,
            asked.arrive_after is None or lands >= asked.arrive_after,
            asked.arrive_before is None or lands <= asked.arrive_before,
            asked.max_minutes is None or minutes <= asked.max_minutes,
            asked.max_price is None or total <= int(asked.max_price * 100),
        )
    )


def plant(session: Session, timetable: list[Plan]) -> dict[int, int]:
    """Replace the database's timetable; returns the made-up number of each flight's id."""
    for model in (SeatClaim, FlightCabin, Flight):
        session.execute(delete(model))
    numbers: dict[int, int] = {}
    for plan in timetable:
        flight_id = session.scalar(insert(Flight).values(_row(plan)).returning(Flight.id))
        assert flight_id is not None
        numbers[flight_id] = plan.id
        cabin = {"flight_id": flight_id, "cabin": "economy", "capacity": plan.capacity}
        counters = {"sold": plan.sold, "held": plan.held, "protections": list(plan.protections)}
        session.execute(insert(FlightCabin).values(**cabin, **counters))
        _claim(session, flight_id, plan.lapsed, -60)
        _claim(session, flight_id, plan.held - plan.lapsed, 600)
    return numbers


def _row(plan: Plan) -> dict[str, object]:
    leaves, lands = plan.local(plan.leaves, plan.origin), plan.local(plan.lands, plan.destination)
    return {
        "carrier": plan.carrier,
        "number": plan.id,
        "origin": plan.origin,
        "destination": plan.destination,
        "departs_on": leaves.date(),
        "departure_local": leaves.replace(tzinfo=None),
        "arrival_local": lands.replace(tzinfo=None),
        "departure_at": plan.leaves,
        "arrival_at": plan.lands,
        "aircraft": "A320",
        "distance_km": 1000,
        "fare_minor": plan.fare,
        "currency": plan.currency,
        "status": plan.status,
    }


def _claim(session: Session, flight_id: int, seats: int, seconds: int) -> None:
    if seats:
        until = func.now() + timedelta(seconds=seconds)
        holder = {"holder": func.gen_random_uuid(), "flight_id": flight_id, "cabin": "economy", "seats": seats}
        session.execute(insert(SeatClaim).values(**holder, expires_at=until))


def every_page(session: Session, asked: Criteria, settings: Settings) -> list[Itinerary]:
    """Follow the cursor to the end."""
    found: list[Itinerary] = []
    for _ in range(200):
        answer = service.search(session, asked, settings=settings).slices[0]
        found += answer.itineraries
        if answer.next_cursor is None:
            return found
        assert len(answer.itineraries) == asked.limit
        asked = replace(asked, cursor=answer.next_cursor)
    raise AssertionError("the cursor never ends")


@pytest.fixture
def euro_settings(settings: Settings) -> Settings:
    """The world with both currencies known to the network's memory."""
    with db.writing() as session:
        world.flight(session)
        world.flight(session, number=2, on=world.soon(31)).currency = "EUR"
    queries._networks.clear()
    with db.reading() as session:
        assert set(queries.network(session).currencies) == {"USD", "EUR"}
    return settings


def test_every_way_and_only_ways(euro_settings: Settings) -> None:
    @given_settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
    @given(timetables(), criteria(), st.integers(0, 2**32))
    def same(timetable: list[Plan], asked: Criteria, seed: int) -> None:
        with db.writing() as session:
            numbers = plant(session, timetable)
            planted = set_rules(session, seed)
        with db.reading() as session:
            book = load_book(session)
            assert in_force(book) == planted
            expected = {ids: (total, minutes) for ids, total, minutes in oracle(load_book(session), timetable, asked)}
            found = every_page(session, asked, euro_settings)
        ways = [tuple(numbers[segment.flight_id] for segment in one.segments) for one in found]
        assert len(ways) == len(set(ways))
        assert set(ways) == set(expected)
        _in_order(found, [expected[way] for way in ways], asked.sort)
        for one in found:
            plan = [next(p for p in timetable if p.id == numbers[s.flight_id]) for s in one.segments]
            assert one.seats_left == min(9, *(p.free for p in plan))
            assert replace(price(book, tuple(plan), asked.party), per_type={}) == replace(
                one.fares[0].quote, per_type={}
            )

    same()


def test_sql_and_python_come_to_the_same_integers(euro_settings: Settings) -> None:
    """Each kind of rule was really met: of those that are valid and fit, every second or third hits the day."""
    seen: set[str] = set()

    @given_settings(max_examples=50, deadline=None)
    @given(st.integers(0, 2**32))
    def same(seed: int) -> None:
        rng = Random(seed)
        party = Party(rng.randint(1, 3), rng.randint(0, 1), rng.randint(0, 1))
        wish = SliceWish(*rng.choice((("JFK", "LAX"), ("JFK", "LHR"))), DAY)
        with db.writing() as session:
            plant(session, [likely(rng, number) for number in range(1, 25)])
            planted = set_rules(session, seed)
        with db.reading() as session:
            book = load_book(session)
            assert in_force(book) == planted
            found = service.search(session, Criteria((wish,), party, sort="price"), settings=euro_settings)
            asked = asked_of(session, Criteria((wish,), party, sort="price"), euro_settings)
            places = queries.ways(session, asked).places
        totals = [one.fares[0].quote for one in found.slices[0].itineraries]
        assert [int(place.split()[0]) for place in places] == [
            round(one.total_minor * (1_000_000 / book.rates[one.currency])) for one in totals
        ]
        seen.update(step.kind for one in totals for segment in one.segments for step in segment.steps)

    same()
    assert seen == {*RULE_KINDS, "class"}


def asked_of(session: Session, asked: Criteria, settings: Settings) -> queries.Ask:
    """Return the question that the search puts to the database."""
    net, book = queries.network(session), load_book(session)
    places = net.places(session, CODES)
    return service._ask(asked, asked.slices[0], places=places, net=net, book=book, main=settings.currency)


def likely(rng: Random, number: int) -> Plan:
    """A flight that is often part of a way."""
    origin, destination = rng.choice(ENDS)
    capacity = rng.randint(4, 9)
    leaves = datetime.combine(DAY, time(12), UTC) + timedelta(minutes=30 * rng.randint(-14, 40))
    return Plan(
        id=number,
        origin=origin,
        destination=destination,
        leaves=leaves,
        minutes=30 * rng.randint(2, 6),
        carrier="ME",
        fare=rng.randint(100, 60_000),
        currency=rng.choice(("USD", "USD", "EUR")),
        status="scheduled",
        capacity=capacity,
        sold=rng.randint(0, capacity // 2),
        held=0,
        lapsed=0,
        protections=tuple(sorted(rng.choices(range(7), k=rng.randint(0, 7)))),
    )


def _in_order(found: list[Itinerary], costs: list[tuple[int, int]], sort: str) -> None:
    keys = {
        "price": [total for total, _ in costs],
        "duration": [minutes for _, minutes in costs],
        "departure": [one.segments[0].departure_at.timestamp() for one in found],
        "arrival": [one.segments[-1].arrival_at.timestamp() for one in found],
        "best": best(found, costs),
    }[sort]
    assert keys == sorted(keys)


def best(found: list[Itinerary], costs: list[tuple[int, int]]) -> list[float]:
    """The documented order, rounded as it is told."""
    if not costs:
        return []
    low, quick = min(total for total, _ in costs), min(minutes for _, minutes in costs)
    pairs = zip(found, costs, strict=True)
    return [round(t / max(low, 1) + m / quick + 0.2 * (len(one.segments) - 1), 5) for one, (t, m) in pairs]

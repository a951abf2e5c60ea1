"""Purchases over HTTP (hold and name, then pay) against the very same SQL statements from pgbench.

The statements are not written down here: one purchase is watched, and what it asked of PostgreSQL becomes pgbench's
script, with fresh ids each time. So the limit is always that of the program as it is. Jobs are held back: no worker and
no relay runs.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from sqlalchemy import event, text
from starlette.testclient import TestClient

from deploy.local.services import TestServices
from portal.app import create_app
from portal.flights.models import Flight
from portal.kit import db
from portal.kit.settings import Settings
from tests import world
from tests.benchmarks import load
from tests.benchmarks.report import Figure, Result
from tests.booking import makers
from tests.running import migrated

CLIENTS, PROCESSES, SECONDS = 16, 2, 8
FLIGHTS, SPREAD, SEATS = 10_000, 1_000, 10_000
WATCHED = 7_654_321  # a flight id that no other number in a statement can be taken for
ANNA = {"type": "adult", "givenName": "Anna", "familyName": "Smith", "dateOfBirth": "1985-05-17"}
COPY_FLIGHTS = text(
    """
    with source as (select * from flights where id = :source), made as (
        insert into flights (id, carrier, number, origin, destination, departs_on, departure_local, arrival_local,
            departure_at, arrival_at, aircraft, distance_km, fare_minor, currency, status)
        overriding system value
        select case when i = 0 then :watched else 1000 + i end, carrier, i % :a_day + 1, origin, destination,
            departs_on + i / :a_day + 1, departure_local + make_interval(days => i / :a_day + 1),
            arrival_local + make_interval(days => i / :a_day + 1), departure_at + make_interval(days => i / :a_day + 1),
            arrival_at + make_interval(days => i / :a_day + 1), aircraft, distance_km, fare_minor, currency, status
        from source, generate_series(0, :count) i returning id
    )
    insert into flight_cabins (flight_id, cabin, capacity) select id, 'economy', :seats from made
    """
)
FRESH = """select gen_random_uuid() as booking_id, gen_random_uuid() as passenger, 'k' || gen_random_uuid() as key,
 'p' || gen_random_uuid() as paykey, 'ch_' || gen_random_uuid() as charge,
 '999' || (5000000000 + floor(random() * 4999999999)::bigint) as ticket, (select string_agg(substr(
 '23456789ABCDEFGHJKLMNPQRSTUVWXYZ', 1 + floor(random() * 32)::int, 1), '') from generate_series(1, 6)) as reference"""


def run() -> Result:
    """Measure purchases spread over many flights, and all on one."""
    with TestServices() as services:
        settings = prepared(services, count=FLIGHTS, a_day=9999)
        with TestClient(create_app(settings)) as client:
            script = watched_purchase(client, settings)
            with db.reading() as session:
                found = text("select id from flights where id > 1000 order by id limit :n")
                spread = list(session.scalars(found, {"n": SPREAD}))
            tokens = [_token(settings, flight) for flight in spread]
        with load.serving(services, "portal.app:serve", workers=PROCESSES) as port:
            asyncio.run(_http_rate(port, tokens, 3))
            figures = [
                _compare("spread over flights", services, script, port, tokens, (spread[0], spread[-1])),
                _compare("all on one flight", services, script, port, tokens[:1], (spread[0], spread[0])),
            ]
    data = f"{FLIGHTS:,} flights of {SEATS:,} seats, {SPREAD:,} of them bought from; {CLIENTS} clients, jobs held back"
    statements = sum(line.endswith((";", r"\gset pay_")) for line in script.splitlines())
    return Result("booking", data, figures, [f"pgbench: -M prepared, the {statements} statements of a purchase by API"])


def prepared(services: TestServices, *, count: int, a_day: int) -> Settings:
    """Fill the database with the small world and so many flights from JFK to LAX, `a_day` of them on each day."""
    settings = migrated(services, base_url="http://127.0.0.1", log_level="WARNING")
    db.connect(settings)
    with db.writing() as session:
        world.build(session)
        source = world.flight(session, number=9999).id
        values = {"source": source, "watched": WATCHED, "count": count, "a_day": a_day, "seats": SEATS}
        session.execute(COPY_FLIGHTS, values)
    return settings


def _token(settings: Settings, flight_id: int) -> str:
    with db.reading() as session:
        flight = session.get_one(Flight, flight_id)
    return makers.offer(replace(settings, offer_minutes=600), flight).token


def watched_purchase(client: TestClient, settings: Settings) -> str:
    """Return pgbench's script of what one purchase asks PostgreSQL, with fresh ids and a flight of its choosing."""
    token = _token(settings, WATCHED)
    _buy(client, token)  # once unseen, so that what is cached is cached
    statements: list[str] = []
    with _watching(statements):
        _buy(client, token)
    with db.reading() as session:
        known = session.execute(text(LAST_PURCHASE)).one()._asdict()
    lines = [f"{' '.join(FRESH.split())} \\gset", r"\set flight random(:first, :last)"]
    return "\n".join([*lines, *(_scripted(one, known) for one in statements)]) + "\n"


LAST_PURCHASE = """
    select b.id::text booking_id, b.reference, b.idempotency_key as key, p.id::text passenger, t.number ticket,
        y.id::text pay_id, y.idempotency_key paykey, y.gateway_reference charge
    from bookings b join passengers p on p.booking_id = b.id join tickets t on t.passenger_id = p.id
    join payments y on y.payable = b.id order by b.created_at desc limit 1
"""


def _buy(client: TestClient, token: str) -> None:
    made = client.post("/api/bookings", json=_booking(token))
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['bookingToken']}"}
    paid = client.post(
        f"/api/bookings/{made.json()['reference']}/payments", json=_payment(made.json()), headers=headers
    )
    assert paid.status_code == 201, paid.text


def _booking(token: str) -> dict[str, Any]:
    return {"offerIds": [token], "contact": {"email": "anna@example.com"}, "passengers": [ANNA]}


def _payment(made: dict[str, Any]) -> dict[str, Any]:
    return {"method": "card", "token": "tok_visa", "amount": made["balance"]}


@contextmanager
def _watching(statements: list[str]) -> Iterator[None]:
    """Write down every statement, with its values in it, and where transactions begin and end."""
    engines = db.database()

    def seen(connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        writer = psycopg.ClientCursor(connection.connection.driver_connection)
        if not many:
            statements.append(writer.mogrify(statement, values))
            return
        several = [writer.mogrify(statement, one) for one in values]  # psycopg sends them in one go, so must pgbench
        statements.extend([r"\startpipeline", *several, r"\endpipeline"])

    def begun(_connection: Any) -> None:
        statements.append("begin")

    def committed(_connection: Any) -> None:
        statements.append("commit")

    hooks = [(engine, "before_cursor_execute", seen) for engine in (engines.write, engines.read)]
    hooks += [(engines.write, "begin", begun), (engines.write, "commit", committed)]
    for hook in hooks:
        event.listen(*hook)
    try:
        yield
    finally:
        for hook in hooks:
            event.remove(*hook)


def _scripted(statement: str, known: dict[str, str]) -> str:
    """Return the statement with this purchase's values replaced by pgbench's variables."""
    if statement.startswith("\\"):
        return statement
    line = " ".join(statement.split()).replace(f"'{{{WATCHED}}}'", "array[:flight::int]")
    line = line.replace(f"'payment {known['pay_id']}'", "'payment ' || :pay_id::text")  # the ledger's key
    line = line.replace('"gateway:', "\"gateway' || ':' || '")  # or pgbench takes the account's name for a variable
    for name in ("flight_id", "flightId"):
        line = line.replace(f'"{name}": {WATCHED}', f"\"{name}\": ' || :flight::text || '")
    for name, value in known.items():  # what stands within a JSON text is put in from outside it
        line = line.replace(f'"{value}"', f"\"' || :{name}::text || '\"")
    line = re.sub(rf"\b{WATCHED}\b", ":flight::int", line)
    for name, value in known.items():
        for spelling in (value, value.replace("-", "")):  # psycopg writes UUIDs without dashes
            line = line.replace(f"'{spelling}'", f":{name}")
    if line.startswith("insert into payments"):  # its id comes from the server, and the next statements need it
        return rf"{line} \gset pay_"
    return f"{line};"


def _compare(
    name: str, services: TestServices, script: str, port: int, tokens: list[str], flights: tuple[int, int]
) -> Figure:
    limit = 60 * pgbench_rate(services, script, flights)
    http = 60 * asyncio.run(_http_rate(port, tokens, SECONDS))
    limits = {"the same statements from pgbench": limit}
    return Figure(f"hold + pay, {name}", http, "purchases a minute", limits, 0.4)


def pgbench_rate(services: TestServices, script: str, flights: tuple[int, int]) -> float:
    """Return how many purchases a second pgbench makes of the script, with as many clients."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        bounds = [
            word for name, value in zip(("first", "last"), flights, strict=True) for word in ("-D", f"{name}={value}")
        ]
        tool = [
            str(services.postgres.bin / "pgbench"),
            "-n",
            "-M",
            "prepared",
            "-c",
            str(CLIENTS),
            "-j",
            str(PROCESSES),
        ]
        command = [*tool, "-T", str(SECONDS), *bounds, "-f", file.name, services.postgres.serving_dsn]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise RuntimeError(f"pgbench failed:\n{done.stderr[-2000:]}")
    return float(found[1])


async def _http_rate(port: int, tokens: list[str], seconds: float) -> float:
    bodies = [json.dumps(_booking(token)).encode() for token in tokens]
    start = time.monotonic()
    until = start + seconds
    buyers = [_buyer(port, bodies[number::CLIENTS] or bodies, until) for number in range(CLIENTS)]
    counts = await asyncio.gather(*buyers)
    return sum(counts) / (time.monotonic() - start)


async def _buyer(port: int, bodies: list[bytes], until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    bought = 0
    while time.monotonic() < until:
        made = await _post(reader, writer, "/api/bookings", bodies[bought % len(bodies)])
        payment = json.dumps(_payment(made)).encode()
        path = f"/api/bookings/{made['reference']}/payments"
        await _post(reader, writer, path, payment, f"Authorization: Bearer {made['bookingToken']}\r\n")
        bought += 1
    writer.close()
    return bought


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: bytes, more: str = ""
) -> dict[str, Any]:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    writer.write(f"{head}{more}\r\n".encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    size = re.search(r"(?i)content-length: (\d+)", answer)
    assert size, answer
    content = await reader.readexactly(int(size[1]))
    if not answer.startswith("HTTP/1.1 201"):
        raise RuntimeError(content.decode())
    made: dict[str, Any] = json.loads(content)
    return made

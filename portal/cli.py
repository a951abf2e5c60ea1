"""The `portal` command: one verb, one call into a service."""

from __future__ import annotations

import argparse
import getpass
import gzip
import io
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

import uvicorn
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.accounts import queries as people
from portal.accounts import service as accounts
from portal.accounts.forms import Registration
from portal.analytics import service as analytics
from portal.booking import queries as booking_queries
from portal.booking.queries import Finding
from portal.checkin import queries as checkin_queries
from portal.disruptions import queries as disruption_queries
from portal.factors import service as factors
from portal.flights import service as flights
from portal.flights.errors import TimetableRefused
from portal.flights.forms import timetable_rows
from portal.kit import audit, clock, db, ids, logs, privileges, server
from portal.kit.errors import ConfigurationError, Invalid
from portal.kit.settings import ROOT, Settings, read
from portal.kit.validation import parse
from portal.places import service as places
from portal.pricing import promotions
from portal.pricing import service as pricing
from portal.privacy import queries as privacy_queries
from portal.seats import demo as demo_seats
from portal.seats import queries as seat_queries
from portal.seats import service as seats
from portal.tariffs import queries as tariff_queries
from portal.tickets import queries as ticket_queries
from portal.trail import queries as trail_queries
from portal.trail.rules import read_head
from portal.watches import queries as watch_queries

# Each step brings one room's part of the demo up to date, and returns how many rows that added, if it counts them.
DEMO_STEPS: tuple[tuple[str, Callable[[Session], int | None]], ...] = (
    ("Airports", lambda session: _load_places(session)),
    ("Brands and taxes", pricing.ensure_reference_rows),
    ("Seats and extras", seats.ensure_catalogue),
    ("Promotions", promotions.ensure_demo),
    ("Flights, from 60 days ago to a year ahead", lambda session: flights.extend_demo(session, clock.now().date())),
    ("Accounts", accounts.ensure_demo_users),
    ("Sales of the last 60 days", analytics.ensure_demo_history),
    ("Seats of what is sold", demo_seats.name_sold_seats),
    ("Roll-ups of stale days", analytics.refresh_all),
)


# Each room proves its own books.
def broken_ways_in(session: Session) -> list[Finding]:
    """Return what is wrong with the ways into accounts, which stand on a lower floor than the books."""
    return [Finding(*one) for one in people.broken_ways_in(session)]


BOOKS: tuple[Callable[[Session], Sequence[Finding]], ...] = (
    booking_queries.broken_books,
    seat_queries.broken_seats,
    checkin_queries.broken_check_ins,
    disruption_queries.broken_changes,
    ticket_queries.broken_papers,
    tariff_queries.broken_promotions,
    trail_queries.broken_trail,
    watch_queries.broken_waits,
    privacy_queries.broken_erasures,
    broken_ways_in,
)


def migrate(settings: Settings, _: argparse.Namespace) -> int:
    """Bring the schema up to date, and who may do what in it; safe to run from several machines at once."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = db.url_of(settings.database_owner_url or settings.database_url)
    command.upgrade(config, "head")
    privileges.give(db.url_of(settings.database_owner_url), db.url_of(settings.database_url))
    print("The schema is up to date.")
    return 0


def serve(settings: Settings, given: argparse.Namespace) -> int:
    """Serve pages and API."""
    where = {"host": given.host, "port": given.port, "workers": given.workers}
    uvicorn.run("portal.app:serve", factory=True, **where, **server.options(settings))
    return 0


def worker(_: Settings, __: argparse.Namespace) -> int:
    """Do the work that the relay hands over."""
    return _become("worker")


def relay(_: Settings, __: argparse.Namespace) -> int:
    """Hand letters from the outbox to the workers."""
    return _become("relay")


def _become(program: str) -> int:
    """Replace this process by a program of tasks/, which stands above the portal and is not to be imported here."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    os.execve(sys.executable, [sys.executable, "-m", "tasks", program], {**os.environ, "PYTHONPATH": path})  # noqa: S606 – no shell is wanted
    return 1


def user_create(settings: Settings, given: argparse.Namespace) -> int:
    """Make an account of any role; asks for the password, reads it from a pipe, or makes one up and prints it once."""
    typed = _typed_password(given)
    password = typed or ids.secret(12)
    try:
        wish = parse(Registration, _registration(given, password))
    except Invalid as no:
        print("\n".join(f"{error.pointer}: {error.detail}" for error in no.errors), file=sys.stderr)
        return 1
    db.connect(settings)
    with db.writing() as session:
        made = accounts.create_user(session, wish, role=given.role)
    print(f"{wish.email} is {given.role} now." if made else f"{wish.email} has an account already.")
    if made and not typed:
        print(f"Password, shown this once: {password}")
    return 0 if made else 1


def user_reset_factors(settings: Settings, given: argparse.Namespace) -> int:
    """Take the second step off an account whose owner has lost every way to it; they are told by mail."""
    db.connect(settings)
    with db.writing() as session:
        person = people.person_by_email(session, given.email)
        gone = factors.reset(session, person.id, actor_id=None) if person else 0
    print(f"{given.email} signs in with the password alone now." if gone else f"{given.email} has no second step.")
    return 0 if gone else 1


def _typed_password(given: argparse.Namespace) -> str:
    if given.password_stdin:
        return sys.stdin.readline().rstrip("\r\n") or " "
    return getpass.getpass("Password (empty: one is made up): ") if sys.stdin.isatty() else ""


def _registration(given: argparse.Namespace, password: str) -> dict[str, str]:
    names = {"firstName": given.given_name, "lastName": given.family_name}
    return {"email": given.email, **names, "password": password, "confirmPassword": password}


def demo(settings: Settings, _: argparse.Namespace) -> int:
    """Load the demo airline: airports, prices, a rolling year of flights, accounts. What is there is left alone."""
    db.connect(settings)
    for words, step in DEMO_STEPS:
        started = time.monotonic()
        with db.writing() as session:
            done = step(session)
        seconds = time.monotonic() - started
        print(f"{words}: {f'{done:,} new' if done else 'in place'} ({seconds:.1f} s)", flush=True)
    return 0


def schedule_import(settings: Settings, given: argparse.Namespace) -> int:
    """Import a timetable file (CSV, also gzipped): all of its flights or, with a report of every bad row, none."""
    db.connect(settings)
    try:
        with given.file.open("rb") as raw, db.writing() as session:
            plain = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == b"\x1f\x8b" else raw
            rows = timetable_rows(io.TextIOWrapper(cast(IO[bytes], plain), "utf-8-sig", "replace", newline=""))
            bar = _bar(raw, given.file.stat().st_size)
            _load_places(session)
            pricing.ensure_reference_rows(session)
            seats.ensure_catalogue(session)
            counts = flights.import_timetable(session, rows, bad_row=_bad_row, progress=bar, dry_run=given.dry_run)
            told: dict[str, audit.Value] = {"added": counts.added, "changed": counts.changed}
            audit.record(session, "timetable.imported", "timetable", given.file.name, after=told)
            if given.dry_run:
                session.rollback()
    except (TimetableRefused, OSError) as no:
        print(no, file=sys.stderr)
        return 1
    done = "Would be" if given.dry_run else "Done"
    print(f"{done}: {counts.added:,} added, {counts.changed:,} changed, {counts.unchanged:,} unchanged.")
    return 0


def _load_places(session: Session) -> int:
    return 0 if places.count(session) else places.load(session)


def _bad_row(line: int, reason: str) -> None:
    print(f"line {line}: {reason}")


def _bar(file: IO[bytes], size: int) -> Callable[[str, int], None]:
    def show(doing: str, rows: int) -> None:
        part = min(file.tell() / size, 1.0) if doing == "reading" else 1.0
        print(f"[{'#' * round(20 * part):<20}] {doing} {rows:,} rows", file=sys.stderr, flush=True)

    return show


def config_check(settings: Settings, _: argparse.Namespace) -> int:
    """Say that the configuration is fit to start with (it was read to get here)."""
    print(f"The configuration is good for {settings.env}.")
    return 0


def invariants(settings: Settings, _: argparse.Namespace) -> int:
    """Check the books: seats, money and tickets add up; lists what does not and exits with 1."""
    db.connect(settings)
    with db.writing() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(text("set local statement_timeout = '10min'"))
        found = all_findings(session)
    for finding in found:
        print(finding)
    print(f"{len(found)} things do not add up." if found else "The books balance: seats, money and tickets add up.")
    return 1 if found else 0


def all_findings(session: Session) -> list[Finding]:
    """Return what does not add up in the books of all rooms; none is the proof that all does."""
    return [finding for broken in BOOKS for finding in broken(session)]


def audit_head(settings: Settings, _: argparse.Namespace) -> int:
    """Print the newest link of the audit trail: kept elsewhere, it shows later whether the chain is still the same."""
    db.connect(settings)
    with db.reading() as session:
        found = trail_queries.chain(session)
    print(found.head or "Nothing is sealed yet.")
    return 0 if found.head else 1


def audit_verify(settings: Settings, given: argparse.Namespace) -> int:
    """Check the audit trail link by link; names the first that does not hold and exits with 1."""
    db.connect(settings)
    with db.writing() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(text("set transaction read only"))
        session.execute(text("set local statement_timeout = '10min'"))
        chain = trail_queries.chain(session)
        found = trail_queries.verify(session, head=given.head, progress=_links)
    if found.broken:
        print(f"The audit trail does not hold: {found.broken}.")
        return 1
    print(f"The audit trail holds: {found.checked:,} links, {found.first:,} to {found.last:,}.")
    print(f"Sealed last: {chain.sealed_at or 'never'}; waiting: {chain.waiting:,} entries, {chain.waiting_seconds} s.")
    print(f"Head: {chain.head}" if chain.head else "There is no head yet.")
    return 0


def _links(checked: int) -> None:
    if checked % 100_000 == 0:
        print(f"{checked:,} links hold", file=sys.stderr, flush=True)


def analytics_rebuild(settings: Settings, _: argparse.Namespace) -> int:
    """Redo every day's roll-up from bookings and flights; the dashboard stays open meanwhile."""
    db.connect(settings)
    with db.writing() as session:
        analytics.mark_all(session)
    days, redone = 0, 1
    while redone:
        with db.writing() as session:
            redone = analytics.refresh(session)
        days += redone
    print(f"{days:,} days were redone.")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="portal", description="A flight booking portal.")
    verbs = top.add_subparsers(dest="verb", required=True)
    _verb(verbs, "migrate", migrate)
    server = _verb(verbs, "serve", serve)
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=int, default=8000)
    server.add_argument("--workers", type=int, default=1)
    _verb(verbs, "worker", worker)
    _verb(verbs, "relay", relay)
    _verb(verbs, "demo", demo)
    _verb(verbs, "invariants", invariants)
    figures = verbs.add_parser("analytics", help="figures").add_subparsers(dest="what", required=True)
    _verb(figures, "rebuild", analytics_rebuild)
    schedule = verbs.add_parser("schedule", help="timetables").add_subparsers(dest="what", required=True)
    timetable = _verb(schedule, "import", schedule_import)
    timetable.add_argument("file", type=Path)
    timetable.add_argument("--dry-run", action="store_true", help="check and count, but keep nothing")
    trail = verbs.add_parser("audit", help="the audit trail").add_subparsers(dest="what", required=True)
    _verb(trail, "head", audit_head)
    proof = _verb(trail, "verify", audit_verify)
    proof.add_argument("--head", type=read_head, help="a head that `portal audit head` printed earlier")
    user = verbs.add_parser("user", help="people with accounts").add_subparsers(dest="what", required=True)
    person = _verb(user, "create", user_create)
    person.add_argument("--email", required=True)
    person.add_argument("--role", choices=("customer", "staff", "admin"), required=True)
    person.add_argument("--given-name", default="New")
    person.add_argument("--family-name", default="Colleague")
    person.add_argument("--password-stdin", action="store_true", help="read the password from the first line of input")
    lost = _verb(user, "reset-factors", user_reset_factors)
    lost.add_argument("--email", required=True)
    config = verbs.add_parser("config", help="look at the configuration").add_subparsers(dest="what", required=True)
    _verb(config, "check", config_check)
    return top


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[Settings, argparse.Namespace], int],
) -> argparse.ArgumentParser:
    made = verbs.add_parser(name, help=(run.__doc__ or "").splitlines()[0])
    made.set_defaults(run=run)
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code. A configuration that is not fit stops with one sentence and code 2."""
    given = parser().parse_args(words)
    try:
        settings = read()
    except ConfigurationError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    logs.configure(settings)
    came = logs.caller.set(f"{getpass.getuser()}@{socket.gethostname()}")
    try:
        with audit.by("cli"):
            code: int = given.run(settings, given)
    finally:
        logs.caller.reset(came)
    return code


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())

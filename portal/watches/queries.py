"""Reads of waiting lists and fare alerts: full flights, lines, what is due, and one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.booking.queries import Finding
from portal.flights.queries import FREE_SEATS, FlightView, flights_by_id
from portal.places.queries import Place, places_by_code
from portal.pricing.rules import Party
from portal.watches.rules import AlertView, FullFlight, WaitView, connects

MOST = 200
FULL = text(
    f"""
    select f.id, {FREE_SEATS} as free,
           (select count(*) from waits w where w.flight_id = f.id and w.cabin = c.cabin and w.state = 'waiting')
    from flights f join flight_cabins c on c.flight_id = f.id and c.cabin = :cabin
    where f.origin = :origin and f.destination = :destination and f.departs_on = :day and f.status = 'scheduled'
      and f.sale_closed_at is null and f.departure_at > :closes_at and {FREE_SEATS} < :seats
    order by f.departure_at, f.id limit 50
    """  # noqa: S608 – only our own words are put in, values are bound
)
# Two flights that might connect, one of them without seats; whether they do is the rule's to say.
FULL_WAYS = text(
    f"""
    with ends as (
        select f.*, {FREE_SEATS} as free from flights f join flight_cabins c on c.flight_id = f.id and c.cabin = :cabin
        where f.status = 'scheduled' and f.sale_closed_at is null and f.departure_at > :closes_at
          and ((f.origin = :origin and f.departs_on = :day and f.destination <> :destination)
            or (f.destination = :destination and f.departs_on between :day - 1 and :day + 3 and f.origin <> :origin))
    )
    select a.id, b.id, least(a.free, b.free), (select count(*) from waits w where w.flight_id = a.id
        and w.onward_id = b.id and w.cabin = :cabin and w.state = 'waiting')
    from ends a join ends b on b.origin = a.destination and b.currency = a.currency
        and b.departure_at between a.arrival_at + interval '1 hour' and a.arrival_at + interval '1 day'
    where a.origin = :origin and b.destination = :destination and least(a.free, b.free) < :seats
    order by b.arrival_at, a.departure_at desc limit 20
    """  # noqa: S608 – only our own words are put in, values are bound
)
LINES = text(
    f"""
    select f.id, w.cabin from waits w join flights f on f.id in (w.flight_id, w.onward_id)
    join flight_cabins c on c.flight_id = f.id and c.cabin = w.cabin
    where w.state = 'waiting' and f.status = 'scheduled' and f.sale_closed_at is null and f.departure_at > :closes_at
    group by f.id, w.cabin, c.flight_id, c.cabin, c.capacity, c.sold, c.held
    having min(w.adults + w.children) <= {FREE_SEATS} order by 1, 2
    """  # noqa: S608 – only our own words are put in, values are bound
)
LINE = text(
    """
    select w.id, w.adults + w.children, o.id from waits w
    left join flights o on o.id = case when w.flight_id = :flight_id then w.onward_id else w.flight_id end
    where :flight_id in (w.flight_id, w.onward_id) and w.cabin = :cabin and w.state = 'waiting'
      and (o.id is null or (o.status = 'scheduled' and o.sale_closed_at is null and o.departure_at > now()))
    order by w.place
    """
)
WAITS = """
    select w.id, w.flight_id, w.cabin, w.adults, w.children, w.infants, w.email, w.user_id, w.locale, w.state,
           w.created_at, (select count(*) from waits o where w.state = 'waiting' and o.state = 'waiting'
               and (w.flight_id in (o.flight_id, o.onward_id) or w.onward_id in (o.flight_id, o.onward_id))
               and o.cabin = w.cabin and o.place < w.place) as ahead,
           b.reference, b.expires_at, w.onward_id
    from waits w left join bookings b on b.id = w.booking_id
"""
ONE_WAIT = text(f"{WAITS} where w.id = :id")
OWN_WAITS = text(f"{WAITS} where w.user_id = :user_id order by w.place desc limit :most")
ALERTS = """
    select a.id, a.origin, a.destination, a.first_on, a.last_on, a.cabin, a.adults, a.children, a.infants,
           a.below_minor, a.currency, a.email, a.user_id, a.locale, a.state, a.told_minor, a.told_at, a.created_at
    from alerts a
"""
ONE_ALERT = text(f"{ALERTS} where a.id = :id")
OWN_ALERTS = text(f"{ALERTS} where a.user_id = :user_id order by a.created_at desc limit :most")
DUE_ALERTS = text(
    f"""
    {ALERTS} where a.state = 'active' and (a.checked_at is null or a.checked_at < :before) and not exists (
        select 1 from preferences p where p.user_id = a.user_id and 'fareAlerts' = any (p.muted))
    order by a.checked_at nulls first limit :most
    """  # noqa: S608 – only our own words are put in, values are bound
)
# A letter's kind and key are found in their unique index, so those written already cost next to nothing.
REMINDERS = text(
    """
    select distinct b.id, f.id from flights f
    join booking_segments s on s.flight_id = f.id join bookings b on b.id = s.booking_id
    join passengers p on p.booking_id = b.id join tickets t on t.passenger_id = p.id
    join coupons c on c.ticket_number = t.number and c.flight_id = f.id and c.status = 'open'
    where f.departure_at > :until - interval '2 days' and f.departure_at <= :since and f.status = 'scheduled'
      and coalesce(f.estimated_departure_at, f.departure_at) > :until
      and b.status = 'confirmed' and b.contact_email is not null
      and not exists (select 1 from preferences p where p.user_id = b.user_id and 'checkIn' = any (p.muted))
      and not exists (select 1 from letters l where l.kind = 'check_in.reminder' and l.key = b.id || ':' || f.id)
    order by 1, 2 limit :most
    """
)
# An offered place is a real hold of that party on that flight, or was one.
BROKEN = text(
    """
    select 'waiting list place ' || w.id, 'is ' || w.state || ' with booking ' || coalesce(b.status, 'none')
    from waits w left join bookings b on b.id = w.booking_id
    where (w.state = 'taken' and b.confirmed_at is null)
       or (w.state = 'offered' and not exists (select 1 from booking_segments s
           where s.booking_id = b.id and s.flight_id = coalesce(w.onward_id, w.flight_id)))
       or (w.state in ('waiting', 'left') and w.booking_id is not null)
    limit 1000
    """
)


@dataclass(frozen=True, slots=True)
class Reminder:
    """A booking and one of its flights whose check-in is open, and that was not told of it yet."""

    booking_id: UUID
    flight_id: int


def full_flights(
    session: Session, ends: tuple[str, str], on: date, *, cabin: str, seats: int, closes_at: datetime
) -> list[FullFlight]:
    """Return the flights of a day, origin to destination, that have fewer than `seats` seats free: non-stop ones, and
    after them those that connect once.
    """
    values = {"origin": ends[0], "destination": ends[1], "day": on, "cabin": cabin, "seats": seats}
    rows = session.execute(FULL, {**values, "closes_at": closes_at}).all()
    ways = session.execute(FULL_WAYS, {**values, "closes_at": closes_at}).all()
    flights = flights_by_id(session, {row[0] for row in rows} | {one for row in ways for one in row[:2]})
    through = [FullFlight(flights[row[0]], row[2], row[3], flights[row[1]]) for row in ways]
    straight = [FullFlight(flights[row[0]], row[1], row[2]) for row in rows]
    return straight + [one for one in through if one.onward and connects(one.flight, one.onward)]


def lines_to_serve(session: Session, closes_at: datetime) -> list[tuple[int, str]]:
    """Return (flight, cabin) of each line with somebody who might fit into the seats that are free."""
    return [(row[0], row[1]) for row in session.execute(LINES, {"closes_at": closes_at})]


def line(session: Session, flight_id: int, cabin: str) -> list[tuple[UUID, int, int | None]]:
    """Return who waits, in the order of joining, with the seats that each takes, and the other flight they need.

    Who needs another flight that is not sold at the moment keeps the place and is left out.
    """
    return [(row[0], row[1], row[2]) for row in session.execute(LINE, {"flight_id": flight_id, "cabin": cabin})]


def wait(session: Session, wait_id: UUID) -> WaitView | None:
    """Return the place in line, or None."""
    return next(iter(_waits(session, session.execute(ONE_WAIT, {"id": wait_id}).all())), None)


def own_waits(session: Session, user_id: UUID) -> list[WaitView]:
    """Return the account's places in lines, newest first."""
    return _waits(session, session.execute(OWN_WAITS, {"user_id": user_id, "most": MOST}).all())


def _waits(session: Session, rows: Sequence[Any]) -> list[WaitView]:
    flights = flights_by_id(session, {one for row in rows for one in (row[1], row[-1]) if one})
    return [_wait(row, flights) for row in rows]


def _wait(row: Any, flights: Mapping[int, FlightView]) -> WaitView:
    cells = [row[0], flights[row[1]], row[2], Party(*row[3:6]), *row[6:-1]]
    return replace(WaitView(*cells), onward=flights.get(row[-1]))


def alert(session: Session, alert_id: UUID) -> AlertView | None:
    """Return the alert, or None."""
    return next(iter(_alerts(session, session.execute(ONE_ALERT, {"id": alert_id}).all())), None)


def own_alerts(session: Session, user_id: UUID) -> list[AlertView]:
    """Return the account's alerts, newest first."""
    return _alerts(session, session.execute(OWN_ALERTS, {"user_id": user_id, "most": MOST}).all())


def due_alerts(session: Session, before: datetime, limit: int) -> list[AlertView]:
    """Return active alerts last checked before `before`, the longest waiting first; those of who muted them not."""
    return _alerts(session, session.execute(DUE_ALERTS, {"before": before, "most": limit}).all())


def _alerts(session: Session, rows: Sequence[Any]) -> list[AlertView]:
    places = places_by_code(session, {code for row in rows for code in row[1:3]})
    return [_alert(row, places) for row in rows]


def _alert(row: Any, places: dict[str, Place]) -> AlertView:
    cells = [row[0], places[row[1]], places[row[2]], *row[3:6], Party(*row[6:9]), *row[9:]]
    return AlertView(*cells)


def reminders(session: Session, *, since: datetime, until: datetime, limit: int) -> list[Reminder]:
    """Return confirmed bookings with a flight that leaves after `until` and not after `since`, not yet reminded."""
    values = {"since": since, "until": until, "most": limit}
    return [Reminder(*row) for row in session.execute(REMINDERS, values)]


def broken_waits(session: Session) -> list[Finding]:
    """Return places in lines whose state and booking do not belong together."""
    return [Finding("an offered place is a real hold", *row) for row in session.execute(BROKEN)]

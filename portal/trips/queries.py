"""Reads of a traveller's own bookings: short rows for the page, references for the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import Session

from portal.booking.models import Booking
from portal.places.queries import Place, places_by_code
from portal.trips.rules import OwnTrip

MOST = 200
OWN = text(
    """
    select b.reference, case when b.status = 'held' and b.expires_at <= :now then 'expired' else b.status end status,
           b.total_minor, b.currency, n.travellers, s.origin, s.destination, t.depart_on, t.return_on, t.ends_at
    from bookings b
    join lateral (select count(*)::int travellers from passengers p
        where p.booking_id = b.id and (p.cancelled_at is null or b.status = 'cancelled')) n on true
    join lateral (
        select origin, destination from booking_slices
        where booking_id = b.id and (cancelled_at is null or b.status = 'cancelled') order by position limit 1
    ) s on true
    join lateral (
        select min(f.departs_on) depart_on, max(f.arrival_at) ends_at,
               min(f.departs_on) filter (where g.slice_position = l.last and l.last > l.first) return_on
        from booking_segments g join flights f on f.id = g.flight_id,
             (select min(position) first, max(position) last, array_agg(position) flown from booking_slices
              where booking_id = b.id and (cancelled_at is null or b.status = 'cancelled')) l
        where g.booking_id = b.id and g.slice_position = any(l.flown)
    ) t on true
    where b.user_id = :user_id order by b.created_at desc limit :most
    """
)
CHECKED_IN = text(
    """
    select 1 from passengers p join tickets t on t.passenger_id = p.id join coupons c on c.ticket_number = t.number
    join flights f on f.id = c.flight_id
    where p.booking_id = :id and c.status = 'checked_in' and f.arrival_at > now() - interval '1 day' limit 1
    """
)


def own_trips(session: Session, user_id: UUID, now: datetime) -> list[OwnTrip]:
    """Return the newest 200 bookings of the account, as they stand at `now`."""
    rows = session.execute(OWN, {"user_id": user_id, "now": now, "most": MOST}).all()
    places = places_by_code(session, {code for row in rows for code in (row.origin, row.destination)})
    return [_own_trip(row, places) for row in rows]


def _own_trip(row: Any, places: dict[str, Place]) -> OwnTrip:
    cells = [*row[:5], places[row.origin], places[row.destination], *row[7:]]
    return OwnTrip(*cells)


def is_checked_in(session: Session, booking_id: UUID) -> bool:
    """True while somebody of the booking is checked in for a flight that has not landed a day ago."""
    return session.scalar(CHECKED_IN, {"id": booking_id}) is not None


def own_references(
    session: Session, user_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None
) -> Sequence[tuple[str, datetime, UUID]]:
    """Return (reference, created, id) of the account's bookings, newest first, of those older than `after`."""
    found = select(Booking.reference, Booking.created_at, Booking.id).where(Booking.user_id == user_id)
    if after is not None:
        found = found.where(tuple_(Booking.created_at, Booking.id) < after)
    rows = session.execute(found.order_by(Booking.created_at.desc(), Booking.id.desc()).limit(limit))
    return [(row.reference, row.created_at, row.id) for row in rows]

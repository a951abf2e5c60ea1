"""The gate: who steps through, whose pass is for another flight, when it closes, and who flew in the end.

Scanning is idempotent: one conditional UPDATE lets each pass board once, at however many gates it is shown at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.checkin import queries, rules
from portal.checkin.barcode import Scanned, decode, short_name
from portal.checkin.errors import BoardingClosed, UnknownFlight
from portal.checkin.forms import ScanIn
from portal.checkin.rules import Scan
from portal.flights.queries import FlightView, flight_by_public_id, flights_by_id
from portal.kit import audit, outbox
from portal.kit.i18n import gettext as _

# FOR SHARE: nobody closes the gate between the look and the step through it.
GATE = text("select closed_at from boardings where flight_id = :flight_id for share")
BOARD = text(
    """
    update check_ins set boarded_at = now(), boarded_by = :by where id = :id and boarded_at is null
    returning boarded_at
    """
)
SET_GATE = text(
    """
    insert into boardings (flight_id, closed_at) values (:flight_id, :closed_at)
    on conflict (flight_id) do update set closed_at = excluded.closed_at where boardings.settled_at is null
    returning flight_id
    """
)
# A gate that never scanned says nothing about who flew, so its flight is left as it is.
LANDED = text(
    """
    select b.flight_id from boardings b join flights f on f.id = b.flight_id
    where b.settled_at is null and f.status <> 'cancelled'
      and coalesce(f.estimated_arrival_at, f.arrival_at) between :earliest and :now
      and (b.closed_at is not null
           or exists (select from check_ins i where i.flight_id = b.flight_id and i.boarded_at is not null))
    order by f.arrival_at limit 1 for update of b skip locked
    """
)
FLOWN = text(
    """
    update coupons c set status = 'flown' from check_ins i
    where i.flight_id = :flight_id and i.boarded_at is not null and c.status = 'checked_in'
      and c.ticket_number = i.ticket_number and c.position = i.coupon_position
    """
)
STAYED = text(
    """
    insert into no_shows (ticket_number, coupon_position, flight_id)
    select c.ticket_number, c.position, c.flight_id
    from coupons c join tickets t on t.number = c.ticket_number and t.status = 'open'
    join passengers p on p.id = t.passenger_id join bookings b on b.id = p.booking_id
    where c.flight_id = :flight_id and c.status in ('open', 'checked_in') and b.status = 'confirmed'
      and p.cancelled_at is null
    on conflict do nothing
    """
)
DAY = text("select departs_on from flights where id = :flight_id")
SETTLED = text("update boardings set settled_at = :now where flight_id = :flight_id")


def board(session: Session, scan: ScanIn, *, staff_id: UUID, now: datetime) -> Scan:
    """Let who holds this pass on board, once; the answer says whether, and why not.

    `already_boarded` for a pass that went through before, `wrong_flight` for a good pass at another flight's gate,
    `not_checked_in` for a booking on this flight whose pass is no longer good, `unknown` for anything else. Raises
    UnknownFlight, BoardingClosed.
    """
    gate = _gate_flight(session, scan.flight_id)
    found = _find(session, scan, gate, now)
    if found.check_in is None or found.result == "wrong_flight":
        return found
    flight = flights_by_id(session, [found.check_in.flight_id])[found.check_in.flight_id]
    closed_at = session.scalar(GATE, {"flight_id": flight.id})
    boarded = found.check_in.boarded_at
    if boarded is None and not rules.may_board(flight, closed_at):
        raise BoardingClosed(_("Nobody boards any more. The flight's page opens the gate again."))
    return _step_through(session, found, staff_id)


def _step_through(session: Session, found: Scan, staff_id: UUID) -> Scan:
    made = found.check_in
    assert made is not None
    boarded_at = session.scalar(BOARD, {"id": made.id, "by": staff_id})
    if boarded_at is not None:
        told: dict[str, audit.Value] = {"pass": f"{made.flight_id}:{made.sequence_number}"}
        audit.record(session, "checkin.boarded", "booking", found.reference, actor_id=staff_id, after=told)
        return replace(found, result="boarded", check_in=replace(made, boarded_at=boarded_at))
    again = queries.check_in_at(session, made.flight_id, made.sequence_number)
    if again is None:
        return replace(found, result="not_checked_in", check_in=None)
    return replace(found, result="already_boarded", check_in=again.check_in)


def _gate_flight(session: Session, public_id: UUID | None) -> FlightView | None:
    if public_id is None:
        return None
    flight = flight_by_public_id(session, public_id)
    if flight is None:
        raise UnknownFlight()
    return flight


def _find(session: Session, scan: ScanIn, gate: FlightView | None, now: datetime) -> Scan:
    if scan.barcode is None:
        return _by_number(session, gate, scan.sequence or 0)
    legs = [(one, _flight_of(session, one, now)) for one in decode(scan.barcode)]
    here = [(one, flight) for one, flight in legs if flight is not None and gate in (None, flight)]
    elsewhere = [(one, flight) for one, flight in legs if flight is not None and (one, flight) not in here]
    for one, flight in here:
        return _by_pass(session, one, flight)
    for one, flight in elsewhere:
        found = _by_pass(session, one, flight)
        return found if found.result == "unknown" else replace(found, result="wrong_flight")
    return Scan("unknown")


def _flight_of(session: Session, one: Scanned, now: datetime) -> FlightView | None:
    day = one.day_near(now.astimezone(UTC).date())
    flight_id = queries.flight_on_pass(session, one.carrier, one.number, one.origin, day)
    return flights_by_id(session, [flight_id])[flight_id] if flight_id is not None else None


def _by_number(session: Session, gate: FlightView | None, number: int) -> Scan:
    if gate is None:
        return Scan("unknown")
    known = queries.check_in_at(session, gate.id, number)
    if known is None:
        given = number <= queries.last_number(session, gate.id)
        return Scan("not_checked_in" if given else "unknown", gate.id)
    return known


def _by_pass(session: Session, one: Scanned, flight: FlightView) -> Scan:
    known = queries.check_in_at(session, flight.id, one.sequence)
    is_theirs = known is not None and known.reference == one.reference and short_name(known.name or "") == one.name
    if known is not None and is_theirs:
        return replace(known, seat_on_pass=one.seat)
    holds = queries.holds_ticket(session, flight.id, one.reference)
    return Scan("not_checked_in" if holds else "unknown", flight.id, name=one.name if holds else None)


def close(session: Session, public_id: UUID, *, staff_id: UUID, now: datetime) -> None:
    """Close the flight's gate: nobody boards until it is opened again. Raises UnknownFlight."""
    _set(session, public_id, now, staff_id, "gate.closed")


def reopen(session: Session, public_id: UUID, *, staff_id: UUID) -> None:
    """Open the flight's gate again. Raises UnknownFlight, BoardingClosed once it was written down who flew."""
    _set(session, public_id, None, staff_id, "gate.reopened")


def _set(session: Session, public_id: UUID, closed_at: datetime | None, staff_id: UUID, action: str) -> None:
    flight = _gate_flight(session, public_id)
    if flight is None:
        raise UnknownFlight()
    if session.scalar(SET_GATE, {"flight_id": flight.id, "closed_at": closed_at}) is None:
        raise BoardingClosed(_("It is written down already who flew."))
    audit.record(session, action, "flight", flight.public_id, actor_id=staff_id)


def settle(session: Session, *, now: datetime) -> int:
    """Write down who flew on one flight that has landed, and who did not come; returns 0 or 1.

    Only where the gate worked: it scanned somebody, or was closed. One flight a transaction; call again until it is 0.
    """
    flight_id = session.scalar(LANDED, {"now": now, "earliest": now - rules.SETTLED_WITHIN})
    if flight_id is None:
        return 0
    for deed in (FLOWN, STAYED):
        session.execute(deed, {"flight_id": flight_id})
    session.execute(SETTLED, {"flight_id": flight_id, "now": now})
    day = session.scalars(DAY, {"flight_id": flight_id}).one()
    outbox.post(session, "analytics.flight", key=f"gate:{flight_id}", day=day.isoformat())
    return 1

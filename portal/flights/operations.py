"""What staff do with a flight: close and open its sale, delay it, give it new times, cancel it, swap its aircraft.

Every deed closes the sale first. Closing waits for each sale under way and refuses those after it, so whoever reads
afterwards who is booked misses nobody. A caller that goes on to touch bookings commits the closing by itself: it holds
the cabins, and bookings are locked before cabins. Every deed is audited. Of bookings this room knows nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.flights import seating
from portal.flights.errors import AircraftTooSmall, FlightCancelled, FlightLeft, UnknownFlight
from portal.flights.forms import instants_of
from portal.flights.queries import FlightView, flights_by_id
from portal.flights.rules import Moved
from portal.kit import audit, clock
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.i18n import ngettext

LONGEST_DELAY = timedelta(hours=48)

CLOSED = text("select sale_closed_at is not null from flights where id = :id")
LOCK = text("select cabin from flight_cabins where flight_id = :id order by cabin for update")
CLOSE_CABINS = text("update flight_cabins set closed_at_sold = sold where flight_id = :id and closed_at_sold is null")
CLOSE = text("update flights set sale_closed_at = clock_timestamp() where id = :id and sale_closed_at is null")
OPEN_CABINS = text("update flight_cabins set closed_at_sold = null where flight_id = :id")
OPEN = text("update flights set sale_closed_at = null where id = :id")
ESTIMATE = text("update flights set estimated_departure_at = :leaves, estimated_arrival_at = :lands where id = :id")
RETIME = text(
    """
    update flights set departure_local = :departure_local, arrival_local = :arrival_local, departure_at = :departure_at,
        arrival_at = :arrival_at, estimated_departure_at = null, estimated_arrival_at = null,
        steered_at = clock_timestamp()
    where id = :id
    """
)
CANCEL = text(
    """
    update flights set status = 'cancelled', estimated_departure_at = null, estimated_arrival_at = null,
        steered_at = clock_timestamp()
    where id = :id
    """
)
SWAP = text("update flights set aircraft = :aircraft, steered_at = clock_timestamp() where id = :id")
FITTED = text(
    """
    select coalesce(c.cabin, a.cabin) cabin, coalesce(a.capacity, 0) fitted, coalesce(c.sold, 0) sold,
           coalesce(c.held, 0) held, coalesce((select sum(seats) from seat_claims s where s.flight_id = :id
               and s.cabin = c.cabin and s.expires_at is null and s.holder = any(:leaving)), 0)::int leaving
    from (select * from flight_cabins where flight_id = :id) c
    full join (select * from aircraft_cabins where aircraft = :aircraft) a on a.cabin = c.cabin order by 1
    """
)
# Until those who are asked to leave have left, the cabin counts as large as what is sold: it is not sold from.
FIT = text(
    """
    insert into flight_cabins (flight_id, cabin, capacity, closed_at_sold) values (:id, :cabin, :fitted, 0)
    on conflict (flight_id, cabin) do update
        set capacity = greatest(:fitted, flight_cabins.sold + flight_cabins.held), protections = '{}'
    """
)
SHRINK = text("update flight_cabins set capacity = least(capacity, :fitted) where flight_id = :id and cabin = :cabin")
UNFIT = text("delete from flight_cabins where flight_id = :id and cabin = :cabin and sold + held = 0")


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be done with a flight, typed: `kind` is delay, retime, cancel or swap; the rest as the kind needs.

    `minutes` 0 takes a delay back. `leaving` are holders who are asked to leave a smaller aircraft.
    """

    kind: str
    reason: str = ""
    minutes: int = 0
    departure_local: datetime | None = None
    arrival_local: datetime | None = None
    aircraft: str = ""
    leaving: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Times:
    """When a flight leaves and lands: as instants, and as the schedule's wall clocks at both ends."""

    departure_at: datetime
    arrival_at: datetime
    departure_local: datetime
    arrival_local: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """What was done: the flight before and after, as words for the books; who was given another seat by name."""

    before: dict[str, Any]
    after: dict[str, Any]
    moved: tuple[Moved, ...] = ()


@dataclass(frozen=True, slots=True)
class Fitting:
    """One cabin of another aircraft against what is sold of it; `leaving` of them have been asked to leave."""

    cabin: str
    fitted: int
    sold: int
    held: int
    leaving: int

    @property
    def missing(self) -> int:
        """Seats that the aircraft is short of, once those who are asked have left."""
        return max(0, self.sold - self.leaving - self.fitted)


def close_sale(session: Session, flight_id: int, *, actor_id: UUID | None) -> bool:
    """Sell nobody a seat from now on, however far they are; False when the sale was closed already.

    Waits for whoever is buying at this moment. Held seats stay held, but are sold only if the sale opens again.
    """
    if session.scalar(CLOSED, {"id": flight_id}):
        return False
    session.execute(LOCK, {"id": flight_id})
    session.execute(CLOSE_CABINS, {"id": flight_id})
    session.execute(CLOSE, {"id": flight_id})
    flight = flight_of(session, flight_id)
    audit.record(session, "flight.sale_closed", "flight", flight.public_id, actor_id=actor_id)
    return True


def open_sale(session: Session, flight_id: int, *, actor_id: UUID | None) -> None:
    """Sell again. Raises FlightCancelled, FlightLeft, and AircraftTooSmall while more is sold than there are seats."""
    flight = _changeable(session, flight_id)
    session.execute(LOCK, {"id": flight_id})
    _fit(session, flight_id, flight.aircraft)
    session.execute(OPEN_CABINS, {"id": flight_id})
    session.execute(OPEN, {"id": flight_id})
    audit.record(session, "flight.sale_opened", "flight", flight.public_id, actor_id=actor_id)


def carry_out(session: Session, flight_id: int, deed: Deed, *, actor_id: UUID | None) -> Done:
    """Do the deed, its sale closed first. Raises FlightCancelled, FlightLeft, AircraftTooSmall, and Invalid for times
    or an aircraft that cannot be. A delay may be told until the flight lands: then it lands so much later."""
    close_sale(session, flight_id, actor_id=actor_id)
    flight = _changeable(session, flight_id, in_the_air=deed.kind == "delay")
    moved = DEEDS[deed.kind](session, flight, deed)
    done = Done(told(flight), told(flight_of(session, flight_id)), tuple(moved))
    audit.record(
        session,
        f"flight.{deed.kind}",
        "flight",
        flight.public_id,
        actor_id=actor_id,
        before=done.before,
        after={**done.after, "reason": deed.reason},
    )
    return done


def new_times(flight: FlightView, deed: Deed) -> Times:
    """Return when the flight is expected to leave and land after the deed. Raises Invalid for times that cannot be."""
    if deed.kind == "delay":
        late = timedelta(minutes=deed.minutes)
        if not timedelta(0) <= late <= LONGEST_DELAY:
            words = _("Please give a delay of up to 48 hours; for more, give new times or cancel the flight.")
            raise Invalid(errors=[FieldError("minutes", words)])
        leaves = flight.leaves_at if has_left(flight) else flight.departure_at + late
        return Times(leaves, flight.arrival_at + late, flight.departure_local, flight.arrival_local)
    if deed.kind == "retime":
        return _retimed(flight, deed)
    return Times(flight.leaves_at, flight.lands_at, flight.departure_local, flight.arrival_local)


def has_left(flight: FlightView) -> bool:
    """True while a flight is in the air, as far as we know, and afterwards."""
    return flight.leaves_at <= clock.now()


def room_for(session: Session, flight: FlightView, deed: Deed) -> list[Fitting]:
    """Return how the flight's travellers fit into the deed's aircraft. Raises Invalid for one that we do not know."""
    found = fittings(session, flight.id, deed.aircraft, deed.leaving)
    if deed.aircraft == flight.aircraft or not any(one.fitted for one in found):
        raise Invalid(errors=[FieldError("aircraft", _("Please choose another aircraft that we know."))])
    return found


def fittings(session: Session, flight_id: int, aircraft: str, leaving: Collection[UUID] = ()) -> list[Fitting]:
    """Return each cabin of the flight or of that aircraft, with its seats there and what is sold now."""
    rows = session.execute(FITTED, {"id": flight_id, "aircraft": aircraft, "leaving": list(leaving)})
    return [Fitting(*row) for row in rows]


def told(flight: FlightView) -> dict[str, Any]:
    """Return what may change of a flight, for the books; instants are those expected, with the local offset."""
    leaves = flight.leaves_at.astimezone(ZoneInfo(flight.origin.time_zone))
    lands = flight.lands_at.astimezone(ZoneInfo(flight.destination.time_zone))
    return {
        "status": flight.status,
        "departureAt": leaves.isoformat(timespec="minutes"),
        "arrivalAt": lands.isoformat(timespec="minutes"),
        "delayMinutes": round((flight.leaves_at - flight.departure_at).total_seconds() / 60),
        "aircraft": flight.aircraft,
        "aircraftName": flight.aircraft_name,
    }


def flight_of(session: Session, flight_id: int) -> FlightView:
    """Return the flight as it stands. Raises UnknownFlight."""
    found = flights_by_id(session, [flight_id])
    if flight_id not in found:
        raise UnknownFlight()
    return found[flight_id]


def _changeable(session: Session, flight_id: int, *, in_the_air: bool = False) -> FlightView:
    flight = flight_of(session, flight_id)
    if flight.status == "cancelled":
        raise FlightCancelled(_("It stays so; add another flight instead."))
    until = flight.lands_at if in_the_air else flight.leaves_at
    if session.scalar(text("select :until <= now()"), {"until": until}):
        raise FlightLeft(_("What has left can no longer be changed."))
    return flight


def _delay(session: Session, flight: FlightView, deed: Deed) -> Sequence[Moved]:
    times = new_times(flight, deed)
    late = {"leaves": times.departure_at, "lands": times.arrival_at}
    stands = not deed.minutes and not has_left(flight)
    session.execute(ESTIMATE, {"id": flight.id, **({"leaves": None, "lands": None} if stands else late)})
    return ()


def _retime(session: Session, flight: FlightView, deed: Deed) -> Sequence[Moved]:
    times = new_times(flight, deed)
    values = {name: getattr(times, name) for name in Times.__slots__}
    session.execute(RETIME, {"id": flight.id, **values})
    return ()


def _retimed(flight: FlightView, deed: Deed) -> Times:
    leaves, lands = deed.departure_local, deed.arrival_local
    if leaves is None or lands is None:
        raise Invalid(errors=[FieldError("departureLocal", _("Please give both times."))])
    if leaves.date() != flight.departs_on:
        words = _("A flight keeps its day, which is part of its name. For another day, cancel it or delay it.")
        raise Invalid(errors=[FieldError("departureLocal", words)])
    try:
        instants = instants_of(leaves, lands, (flight.origin, flight.destination))
    except ValueError as wrong:
        sentence = str(wrong)
        raise Invalid(errors=[FieldError("arrivalLocal", f"{sentence[:1].upper()}{sentence[1:]}.")]) from None
    return Times(*instants, leaves, lands)


def _cancel(session: Session, flight: FlightView, _deed: Deed) -> Sequence[Moved]:
    session.execute(CANCEL, {"id": flight.id})
    return ()


def _swap(session: Session, flight: FlightView, deed: Deed) -> Sequence[Moved]:
    """Names are dealt out anew before the counters are locked: that is the order in which everybody locks."""
    found = room_for(session, flight, deed)
    _check_room(found)
    before = seating.seat_plan(session, flight.id)
    session.execute(SWAP, {"id": flight.id, "aircraft": deed.aircraft})
    for holder in sorted(deed.leaving):
        seating.give_up(session, holder=holder, flight_id=flight.id)
    moved = seating.reassign(session, flight.id, before=before)
    session.execute(LOCK, {"id": flight.id})
    for one in found:
        session.execute(FIT, {"id": flight.id, "cabin": one.cabin, "fitted": one.fitted})
        if not one.fitted:
            session.execute(UNFIT, {"id": flight.id, "cabin": one.cabin})
    return moved


def _check_room(found: Sequence[Fitting]) -> None:
    short = [one for one in found if one.missing]
    if short:
        sentence = _("%(cabin)s: %(sold)d sold, %(fitted)d seats")
        words = "; ".join(sentence % {name: getattr(one, name) for name in Fitting.__slots__} for one in short)
        raise AircraftTooSmall(_("%(cabins)s. Say which bookings are to be rebooked.") % {"cabins": words})


def _fit(session: Session, flight_id: int, aircraft: str) -> None:
    for one in fittings(session, flight_id, aircraft):
        over = one.sold + one.held - one.fitted
        if over > 0:
            words = ngettext(
                "One seat more is sold or held in %(cabin)s than there is; rebook it first.",
                "%(num)s seats more are sold or held in %(cabin)s than there are; rebook them first.",
                over,
            )
            raise AircraftTooSmall(words % {"num": over, "cabin": one.cabin})
        session.execute(SHRINK, {"id": flight_id, "cabin": one.cabin, "fitted": one.fitted})


DEEDS = {"delay": _delay, "retime": _retime, "cancel": _cancel, "swap": _swap}

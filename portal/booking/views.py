"""A booking as people see it: a frozen tree of slices, travellers, charges, extras and what was changed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from portal.flights.queries import FlightView
from portal.places.queries import Place


@dataclass(frozen=True, slots=True)
class SliceView:
    """One direction of a trip, with the conditions that it was sold under; `pricing` keeps the steps of its price."""

    position: int
    origin: Place
    destination: Place
    cabin: str
    brand: str
    booking_class: str
    conditions: dict[str, Any]
    flights: tuple[FlightView, ...]
    cancelled_at: datetime | None = None
    pricing: tuple[Any, ...] = ()
    fare_basis: str = ""

    def has_left(self, now: datetime) -> bool:
        """True once its first flight has left: it can no longer be changed or cancelled. A cancelled one never does."""
        return self.flights[0].status != "cancelled" and self.flights[0].leaves_at <= now


@dataclass(frozen=True, slots=True)
class PassengerView:
    """One traveller; names are None until they are given, the ticket number until the booking is confirmed.

    `stays_off` are the directions that this traveller no longer flies while others of the party do.
    """

    id: UUID
    position: int
    type: str
    given_name: str | None
    family_name: str | None
    ticket_name: str | None
    date_of_birth: date | None
    ticket_number: str | None
    cancelled_at: datetime | None = None
    stays_off: tuple[int, ...] = ()

    def flies(self, position: int) -> bool:
        """True while this traveller is booked on that direction, as far as the traveller goes."""
        return self.cancelled_at is None and position not in self.stays_off

    @property
    def name(self) -> str:
        """The name as typed."""
        return " ".join(part for part in (self.given_name, self.family_name) if part)

    @property
    def takes_seat(self) -> bool:
        """False for an infant on a lap."""
        return self.type != "infant"


@dataclass(frozen=True, slots=True)
class ChargeView:
    """One printed line of the price, for one passenger and slice; `amendment_id` says what appended it later."""

    code: str
    label: str
    amount_minor: int
    passenger_id: UUID | None
    slice_position: int
    amendment_id: UUID | None = None
    item_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ItemView:
    """An extra of one passenger that stands: a named seat, a bag; `flight_id` is None for one of the whole trip."""

    id: UUID
    kind: str
    code: str
    label: str
    passenger_id: UUID
    flight_id: int | None
    quantity: int
    amount_minor: int
    seat: str | None
    amendment_id: UUID | None


@dataclass(frozen=True, slots=True)
class AmendmentView:
    """One change of a booking after it was made. `lines` are the charges that it appends; due or refund, never both."""

    id: UUID
    booking_id: UUID
    number: int
    kind: str
    state: str
    payload: dict[str, Any]
    lines: tuple[dict[str, Any], ...]
    due_minor: int
    paid_minor: int
    refund_minor: int
    penalty_minor: int
    currency: str
    refund_to: str
    expires_at: datetime
    created_at: datetime
    done_at: datetime | None

    @property
    def balance_minor(self) -> int:
        """What is still to be paid before it is done."""
        return self.due_minor - self.paid_minor if self.state == "paying" else 0

    def has_lapsed(self, now: datetime) -> bool:
        """True for a quote or a payment past its time, swept or not."""
        return self.state in ("quoted", "paying") and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class BookingView:
    """A whole booking as people see it. `status` is the row's; `status_at` knows that a hold lapses by itself.

    `amendments` are those that are done, and the one that waits to be paid, in order. `named` are the seats by name
    as they are now, (flight, traveller, seat) each: those of extras, and those that were given at check-in.
    """

    id: UUID
    reference: str
    status: str
    expires_at: datetime | None
    user_id: UUID | None
    contact_email: str | None
    contact_phone: str | None
    currency: str
    total_minor: int
    paid_minor: int
    locale: str
    extensions: int
    created_at: datetime
    confirmed_at: datetime | None
    slices: tuple[SliceView, ...]
    passengers: tuple[PassengerView, ...]
    charges: tuple[ChargeView, ...]
    items: tuple[ItemView, ...] = ()
    amendments: tuple[AmendmentView, ...] = ()
    named: tuple[tuple[int, UUID, str], ...] = ()

    @property
    def contact_moved(self) -> bool:
        """True once mails go elsewhere than they went after the purchase; what was mailed before is another's now."""
        moves = (one.payload for one in self.amendments if (one.kind, one.state) == ("contact", "done"))
        return any(_lower(one["before"]["email"]) != _lower(one["after"]["email"]) for one in moves)

    @property
    def open_amendment(self) -> AmendmentView | None:
        """The amendment that waits to be paid, or None."""
        return next((one for one in self.amendments if one.state == "paying"), None)

    @property
    def balance_minor(self) -> int:
        """What is still due: of a hold its price, of a confirmed booking what its open amendment costs."""
        if self.status == "held":
            return self.total_minor - self.paid_minor
        waiting = self.open_amendment
        return waiting.balance_minor if self.status == "confirmed" and waiting else 0

    @property
    def flights(self) -> tuple[FlightView, ...]:
        """Every flight that is still part of the trip, in order; all of them once nothing is."""
        return tuple(flight for piece in self.active_slices or self.slices for flight in piece.flights)

    @property
    def active_slices(self) -> tuple[SliceView, ...]:
        """The directions that are not cancelled."""
        return tuple(piece for piece in self.slices if piece.cancelled_at is None)

    @property
    def active_passengers(self) -> tuple[PassengerView, ...]:
        """The travellers who are not cancelled."""
        return tuple(one for one in self.passengers if one.cancelled_at is None)

    def flying(self, position: int) -> tuple[PassengerView, ...]:
        """Return the travellers who fly that direction, in order; nobody flies one that is cancelled."""
        stands = any(piece.position == position for piece in self.active_slices)
        return tuple(one for one in self.passengers if stands and one.flies(position))

    def seats_on(self, flight_id: int) -> dict[UUID, str]:
        """Return who sits where on a flight, by traveller; what was sold is named until something else is."""
        sold = {one.passenger_id: one.seat for one in self.items if one.seat and one.flight_id == flight_id}
        return sold | {who: seat for flight, who, seat in self.named if flight == flight_id}

    @property
    def is_named(self) -> bool:
        """True once every traveller has a name and the tickets an address."""
        return self.contact_email is not None and all(one.ticket_name for one in self.passengers)

    def has_lapsed(self, now: datetime) -> bool:
        """True for a hold past its time, swept or not."""
        return self.status == "held" and self.expires_at is not None and self.expires_at <= now

    def status_at(self, now: datetime) -> str:
        """Return the state as it is to be told at `now`."""
        return "expired" if self.has_lapsed(now) else self.status


def _lower(email: str | None) -> str | None:
    """An address that was erased is none."""
    return email.lower() if email else None

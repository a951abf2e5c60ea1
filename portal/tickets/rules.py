"""A booking turned into what stands on paper and in mails: tickets, travellers, a receipt that adds up, terms in words.

Pure: no session, no clock. Words are in the reader's language at the moment of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from portal.booking.rules import BookingView, ChargeView, PassengerView, SliceView
from portal.flights.queries import FlightView
from portal.kit import money
from portal.kit.i18n import clock_time, price, short_day
from portal.kit.i18n import gettext as _

TermLines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Leg:
    """One flight as a ticket; `wait_minutes` is the time expected for changing planes after it.

    It is None after the last flight, and where the next will have left. `seats` are the seats chosen on it, in the
    travellers' order.
    """

    flight: FlightView
    wait_minutes: int | None
    seats: tuple[str, ...] = ()

    @property
    def leaves(self) -> datetime:
        """When it leaves, as far as one knows now, on the origin's clock; a cancelled flight as it was sold."""
        late = None if self.flight.status == "cancelled" else self.flight.estimated_departure
        return late or self.flight.departure

    @property
    def lands(self) -> datetime:
        """When it lands, as far as one knows now, on the destination's clock; a cancelled flight as it was sold."""
        late = None if self.flight.status == "cancelled" else self.flight.estimated_arrival
        return late or self.flight.arrival

    @property
    def is_late(self) -> bool:
        """True while other times are expected than those of the schedule."""
        return (self.leaves, self.lands) != (self.flight.departure, self.flight.arrival)

    @property
    def scheduled_departure(self) -> str:
        """The schedule's departure beside the expected one: `22:55 Tue 24 Nov`, the day only where it is another."""
        return time_words(self.flight.departure, self.leaves) if self.is_late else ""

    @property
    def scheduled_arrival(self) -> str:
        """The schedule's arrival beside the expected one."""
        return time_words(self.flight.arrival, self.lands) if self.is_late else ""

    @property
    def expected_departure(self) -> str:
        """The expected departure beside the schedule's: `05:55 Wed 25 Nov`; empty while the schedule holds."""
        return time_words(self.leaves, self.flight.departure) if self.is_late else ""

    @property
    def expected_arrival(self) -> str:
        """The expected arrival beside the schedule's."""
        return time_words(self.lands, self.flight.arrival) if self.is_late else ""

    @property
    def departure_zone(self) -> str:
        """The zone that the departure is told in: `EST, UTC−5`."""
        return zone_words(self.leaves)

    @property
    def arrival_zone(self) -> str:
        """The zone that the arrival is told in."""
        return zone_words(self.lands)

    @property
    def shift(self) -> str:
        """`+1` where the calendar on landing is a day ahead of that on leaving, `−1` where it is behind."""
        days = (self.lands.date() - self.leaves.date()).days
        return f"{days:+d}".replace("-", "−") if days else ""


@dataclass(frozen=True, slots=True)
class Trip:
    """One direction: its heading, the fare it was sold under, its flights."""

    label: str
    piece: SliceView
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Traveller:
    """A line of the passenger list; `name` is what the fonts can print: as typed, or else as on the ticket."""

    name: str
    ticket_name: str
    type_label: str
    ticket_number: str


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A line of the receipt: what each kind of traveller pays of it (None: nothing), and all together."""

    label: str
    amounts: tuple[int | None, ...]
    sum_minor: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """The price as a table: a column for each kind of traveller, a row for each fare, tax and fee."""

    columns: tuple[str, ...]
    rows: tuple[ReceiptRow, ...]
    totals: tuple[int, ...]
    sum_minor: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a fare allows, in words, and the trips that it holds for."""

    label: str
    lines: TermLines


def time_words(at: datetime, beside: date) -> str:
    """Return a wall-clock time, with its day where that is not the one of `beside`: `05:55`, `05:55 Wed 25 Nov`."""
    same = (at.year, at.month, at.day) == (beside.year, beside.month, beside.day)
    return clock_time(at) if same else f"{clock_time(at)} {short_day(at)}"


def zone_words(moment: datetime) -> str:
    """Return the zone of an aware `moment` as people know it, with its offset: `EST, UTC−5`."""
    minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    offset = f"UTC{'−' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"
    name = moment.tzname() or ""
    return f"{name}, {offset}" if name.isalpha() and name != "UTC" else offset


def trips(view: BookingView) -> tuple[Trip, ...]:
    """Return the directions of the booking in order: those that stand, or all of them once none does."""
    stands = view.active_slices or view.slices
    return tuple(Trip(_trip_label(stands, piece), piece, _legs(view, piece.flights)) for piece in stands)


def _trip_label(stands: Sequence[SliceView], piece: SliceView) -> str:
    first = stands[0]
    if len(stands) == 1:
        return _("Your flight")
    if len(stands) == 2 and piece.position != first.position and piece.destination.code == first.origin.code:
        return _("Return")
    if piece.position == first.position:
        return _("Outbound")
    return _("Onward")


def _legs(view: BookingView, flights: Sequence[FlightView]) -> tuple[Leg, ...]:
    waits = [_wait(one.lands_at, other.leaves_at) for one, other in pairwise(flights)]
    return tuple(Leg(flight, wait, _seats(view, flight)) for flight, wait in zip(flights, [*waits, None], strict=True))


def _seats(view: BookingView, flight: FlightView) -> tuple[str, ...]:
    chosen = view.seats_on(flight.id)
    return tuple(seat for one in view.active_passengers if (seat := chosen.get(one.id)))


def _wait(start: datetime, end: datetime) -> int | None:
    return round((end - start).total_seconds() / 60) if end >= start else None


def type_label(kind: str) -> str:
    """Return what a passenger of this type is called."""
    return {"adult": _("Adult"), "child": _("Child"), "infant": _("Infant on a lap")}[kind]


def travellers(view: BookingView, *, is_printable: Callable[[str], bool]) -> tuple[Traveller, ...]:
    """Return those who still travel, in order; all of them once nobody does."""
    return tuple(traveller(one, is_printable) for one in view.active_passengers or view.passengers)


def traveller(one: PassengerView, is_printable: Callable[[str], bool]) -> Traveller:
    """Return one line of the passenger list; a name that cannot be printed as typed stands as on the ticket."""
    ticket_name = one.ticket_name or ""
    name = one.name if one.name and is_printable(one.name) else ticket_name
    return Traveller(name, ticket_name, type_label(one.type), shown_number(one.ticket_number))


def shown_number(number: str | None) -> str:
    """Return a ticket number as it is read aloud: airline, then serial."""
    return f"{number[:3]} {number[3:]}" if number else "–"


def receipt(view: BookingView) -> Receipt:
    """Return the price of the booking as a table whose rows and columns both add up to its total, to the cent.

    Travellers who pay the same, line by line, share a column that says what each of them pays. What was taken back
    whole is left out.
    """
    groups = _groups(view)
    keys = sorted(dict.fromkeys(_row_key(charge) for charge in view.charges), key=lambda key: key[0] != "fare")
    rows = tuple(row for key in keys if any(((row := _row(view, key, groups)).sum_minor, *row.amounts)))
    totals = tuple(sum(one.amount_minor for one in _charges_of(view, group[0])) for group in groups)
    return Receipt(tuple(_column(group) for group in groups), rows, totals, sum(row.sum_minor for row in rows))


RowKey = tuple[str, str, int | None]


def _row_key(charge: ChargeView) -> RowKey:
    """Fares stand a direction each; a tax or fee is one line for the whole journey."""
    return (charge.code, charge.label, charge.slice_position if charge.code == "fare" else None)


def _charges_of(view: BookingView, passenger: PassengerView) -> list[ChargeView]:
    return [charge for charge in view.charges if charge.passenger_id == passenger.id]


def _groups(view: BookingView) -> list[list[PassengerView]]:
    groups: dict[Any, list[PassengerView]] = {}
    for one in view.passengers:
        paid = tuple(sorted((_row_key(charge), charge.amount_minor) for charge in _charges_of(view, one)))
        groups.setdefault((one.type, one.cancelled_at is None, str(paid)), []).append(one)
    return list(groups.values())


def _column(group: list[PassengerView]) -> str:
    label = type_label(group[0].type)
    if group[0].cancelled_at is not None:
        label = _("%(type)s, cancelled") % {"type": label}
    return f"{label} × {len(group)}" if len(group) > 1 else label


def _row(view: BookingView, key: RowKey, groups: list[list[PassengerView]]) -> ReceiptRow:
    amounts = tuple(_amount(_charges_of(view, group[0]), key) for group in groups)
    whole = sum(charge.amount_minor for charge in view.charges if _row_key(charge) == key)
    return ReceiptRow(_row_label(view, key), amounts, whole)


def _amount(charges: Sequence[ChargeView], key: RowKey) -> int | None:
    return sum(charge.amount_minor for charge in charges if _row_key(charge) == key) or None


def _row_label(view: BookingView, key: RowKey) -> str:
    _code, label, position = key
    piece = next((one for one in view.slices if one.position == position), None)
    if piece is None:
        return _(label)
    return f"{_(label)} {piece.origin.code}–{piece.destination.code}"


def terms(view: BookingView) -> tuple[Terms, ...]:
    """Return what each fare of the booking allows, in words; directions under the same terms share them."""
    found: dict[tuple[str, TermLines], list[str]] = {}
    for piece in view.slices:
        route = f"{piece.origin.code}–{piece.destination.code}"
        found.setdefault((piece.brand, _term_lines(piece.conditions)), []).append(route)
    return tuple(Terms(f"{brand}: {', '.join(routes)}", lines) for (brand, lines), routes in found.items())


def _term_lines(conditions: dict[str, Any]) -> TermLines:
    return (
        (_("Cabin bag"), _("included") if conditions.get("cabinBag") else _("not included")),
        (_("Checked bags"), _bags(conditions.get("checkedBags") or 0)),
        (_("Choice of seat"), _seat_words(conditions.get("seat") or {})),
        (_("Change"), _term(conditions.get("change") or {})),
        (_("Refund"), _term(conditions.get("refund") or {})),
    )


def _bags(count: int) -> str:
    return _("%(count)d each, included") % {"count": count} if count else _("not included")


def _seat_words(term: dict[str, Any]) -> str:
    if not term.get("allowed", True):
        return _("given at check-in")
    return _("included") if term.get("included") else _("for a fee")


def _term(term: dict[str, Any]) -> str:
    penalty = term.get("penalty")
    if not term.get("allowed"):
        return _("not allowed")
    if penalty is None or money.parse(penalty["amount"], penalty["currency"]).minor == 0:
        return _("free of charge")
    amount = money.parse(penalty["amount"], penalty["currency"])
    return _("for %(amount)s each") % {"amount": price(amount.minor, amount.currency)}

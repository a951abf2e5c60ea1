"""Choose seats and extras for a booking, before and after it is paid; put the first prices in place.

Locks are taken as everywhere: booking row, amendment, claims, names, cabins. A hold changes at once. For a paid booking
new names are set aside and booking's amending says whether something is due: what is not due is done at once, the rest
when it is paid. Whatever refuses, the caller rolls back, so that a choice is all or nothing.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ARRAY, Date, Integer, Table
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.booking import amending, records
from portal.booking.models import Amendment
from portal.booking.queries import booking_by_id
from portal.booking.records import ItemWish
from portal.booking.views import AmendmentView, BookingView, ItemView, PassengerView, SliceView
from portal.flights import seating
from portal.flights.errors import SeatTaken, SeatUnknown
from portal.flights.queries import FlightView
from portal.flights.rules import SeatPlan
from portal.flights.seating import SeatChoice
from portal.kit import clock
from portal.kit.errors import FieldError
from portal.kit.i18n import gettext as _
from portal.kit.model import Base
from portal.seats import queries, rules
from portal.seats.errors import ExtraRefused, SeatNotAllowed, SelectionClosed
from portal.seats.models import ExtraProduct, SeatPrice
from portal.seats.rules import Catalogue, Extra, ExtraWish

HERE = Path(__file__).parent
# Longer than any payment may take: an amendment that lapses gives its names up by itself.
SET_ASIDE_MINUTES = 60


@dataclass(frozen=True, slots=True)
class SeatWish:
    """A seat for one traveller on one flight; None gives it up."""

    passenger_id: UUID
    flight_id: int
    seat: str | None


def choose_seats(
    session: Session, reference: str, wishes: Sequence[SeatWish], *, key: str, actor_id: UUID | None
) -> Amendment | None:
    """Seat these travellers; whom `wishes` does not name keeps what they have. Returns what a paid booking waits for.

    None where nothing is to be paid for later: a hold, or no change. Raises SeatTaken (with the next best),
    SeatUnknown, SeatNotAllowed, SelectionClosed, Busy, UnknownBooking, and what amending.choose_items raises.
    """
    view, same = _opened(session, reference, key)
    if same is not None:
        return same
    standing = _standing(view)
    now = {**seating.seats_of(session, view.id), **_seats(_pending(view))}
    numbered = [(at, one) for at, one in enumerate(wishes) if now.get((one.flight_id, one.passenger_id)) != one.seat]
    changed = [one for _at, one in numbered]
    if not changed:
        return None
    _check_shared(now, numbered)
    prices = queries.catalogue(session, view.currency)
    plans = {flight: seating.seat_plan(session, flight) for flight in sorted({one.flight_id for one in changed})}
    fresh = [_seat_item(view, prices, plans, at, one) for at, one in numbered]
    moved = {(one.flight_id, one.passenger_id) for one in changed}
    kept = [one for one in standing if one.kind == "seat" and (one.flight_id, one.passenger_id) not in moved]
    wanted = [*kept, *(one for one in fresh if one)]
    return _settle(session, view, frozenset(("seat",)), wanted, changed=changed, key=key, actor_id=actor_id)


def choose_extras(
    session: Session, reference: str, wishes: Sequence[ExtraWish], *, key: str, actor_id: UUID | None
) -> Amendment | None:
    """Let the booking have exactly these extras; returns what a paid booking waits for, None where nothing is due.

    What was paid for and is given up is not paid back. Raises ExtraRefused with a sentence for each wrong one,
    SelectionClosed, UnknownBooking, and what amending.choose_items raises.
    """
    view, same = _opened(session, reference, key)
    if same is not None:
        return same
    prices = queries.catalogue(session, view.currency)
    wanted = [one for one in wishes if one.quantity]
    had = {(one.code, one.passenger_id, one.flight_id, one.quantity): one for one in _standing(view)}
    items, wrong = [], _party_problems(session, view, prices, wanted)
    for at, one in enumerate(wanted):
        try:
            old = had.get((one.code, one.passenger_id, one.flight_id, one.quantity))
            items.append(old or _extra_item(view, prices, one))
        except ExtraRefused as no:
            wrong.append(FieldError(f"{at}", no.detail))
    if wrong:
        raise ExtraRefused(wrong[0].detail, errors=wrong)
    return _settle(session, view, rules.EXTRA_KINDS, items, changed=(), key=key, actor_id=actor_id)


def ensure_catalogue(session: Session) -> None:
    """Put the first prices of seats and extras in place where they are missing; what is there stays as it is."""
    files: tuple[tuple[type[Base], str], ...] = ((SeatPrice, "seat_prices.csv"), (ExtraProduct, "extra_products.csv"))
    for model, file in files:
        table = cast(Table, model.__table__)
        session.execute(insert(table).values(_rows(table, HERE / file)).on_conflict_do_nothing())


def _rows(table: Table, path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [{name: _cell(table, name, text) for name, text in row.items()} for row in csv.DictReader(lines)]


def _cell(table: Table, name: str, text: str) -> Any:
    column = table.columns[name]
    if isinstance(column.type, ARRAY):
        return text.split() if text or not column.nullable else None
    if text == "":
        return None
    if isinstance(column.type, Integer):
        return int(text)
    return date.fromisoformat(text) if isinstance(column.type, Date) else text


def _opened(session: Session, reference: str, key: str) -> tuple[BookingView, Amendment | None]:
    """Lock the booking and return it, with what the key has done before; raises SelectionClosed."""
    booking = records.locked(session, reference)
    view = booking_by_id(session, booking.id)
    assert view is not None  # its row is locked
    closed = rules.booking_closed(view, clock.now())
    if closed:
        raise SelectionClosed(closed)
    if view.status == "held":
        return view, None  # a hold changes at once: no key has made an amendment of it
    return view, queries.amendment_by_key(session, booking.id, key)


def _standing(view: BookingView) -> list[ItemWish]:
    """Return the extras as they will stand once what waits to be paid is done."""
    waiting = _waiting(view)
    gone = set(waiting.payload["cancel"]) if waiting else set()
    return [*(_again(one) for one in view.items if str(one.id) not in gone), *_pending(view)]


def _pending(view: BookingView) -> list[ItemWish]:
    """Return the extras that wait to be paid."""
    waiting = _waiting(view)
    return [_of_row(row) for row in waiting.payload["add"]] if waiting else []


def _waiting(view: BookingView) -> AmendmentView | None:
    waiting = view.open_amendment
    if waiting is not None and waiting.kind != "items":
        raise SelectionClosed(_("Another change of this booking waits to be paid. Pay for it, or drop it, first."))
    return waiting


def _of_row(row: dict[str, Any]) -> ItemWish:
    values = {name: row[name] for name in ItemWish.__dataclass_fields__}
    return ItemWish(**{**values, "passenger_id": UUID(row["passenger_id"])})


def _seats(items: Iterable[ItemWish]) -> dict[tuple[int, UUID], str]:
    return {(one.flight_id, one.passenger_id): one.seat for one in items if one.flight_id and one.seat}


def _settle(
    session: Session,
    view: BookingView,
    kinds: frozenset[str],
    wanted: Sequence[ItemWish],
    *,
    changed: Sequence[SeatWish],
    key: str,
    actor_id: UUID | None,
) -> Amendment | None:
    """Take the names and let booking reckon; what waited to be paid before becomes part of it."""
    waiting = _waiting(view)
    others = [one for one in _standing(view) if one.kind not in kinds] if waiting else []
    if waiting is not None:
        amending.withdraw(session, waiting.id)
        seating.give_up(session, holder=view.id, tentative_only=True)
    moved = {(one.flight_id, one.passenger_id) for one in changed}
    again = [
        SeatWish(who, flight, seat)
        for (flight, who), seat in _seats(_pending(view)).items()
        if (flight, who) not in moved
    ]
    _name(session, view, [*changed, *again])
    return amending.choose_items(
        session,
        view.reference,
        kinds=kinds | {"seat"} | rules.EXTRA_KINDS if waiting else kinds,
        wishes=[*wanted, *others],
        key=key,
        actor_id=actor_id,
    )


def _seat_item(
    view: BookingView, prices: Catalogue, plans: dict[int, SeatPlan], at: int, one: SeatWish
) -> ItemWish | None:
    piece, flight = _flown(view, one.flight_id, at)
    passenger = _passenger(view, piece, one.passenger_id, at)
    closed = rules.flight_closed(piece, flight, clock.now())
    if closed:
        raise SelectionClosed(closed)
    if one.seat is None:
        return None
    cabin = plans[flight.id].cabin(piece.cabin)
    seat = next((each for each in cabin.seats if each.name == one.seat), None) if cabin else None
    if seat is None:
        raise SeatUnknown(one.seat, pointer=f"{at}.seat")
    no = rules.seat_problem(passenger, seat, view)
    if no:
        raise SeatNotAllowed(no, errors=[FieldError(f"{at}.seat", no)])
    amount = rules.seat_price(prices, seat, piece.cabin, rules.seat_term(piece, flight, clock.now()))
    label = f"Seat {seat.name}, {flight.designator}"
    return ItemWish("seat", "seat", label, passenger.id, flight.id, 1, amount, seat.name)


def _check_shared(now: Mapping[tuple[int, UUID], str], numbered: Sequence[tuple[int, SeatWish]]) -> None:
    after = {**now, **{(one.flight_id, one.passenger_id): one.seat for _at, one in numbered}}
    named = Counter((one.flight_id, one.passenger_id) for _at, one in numbered)
    for at, one in numbered:
        if named[one.flight_id, one.passenger_id] > 1:
            twice = _("Each traveller is named once for each flight.")
            raise SeatNotAllowed(twice, errors=[FieldError(f"{at}.passengerId", twice)])
    sitting = Counter((flight, seat) for (flight, _who), seat in after.items())
    for at, one in numbered:
        if one.seat and sitting[one.flight_id, one.seat] > 1:
            sentence = _("Two travellers cannot have the same seat, %(seat)s.") % {"seat": one.seat}
            raise SeatNotAllowed(sentence, errors=[FieldError(f"{at}.seat", sentence)])


def _passenger(view: BookingView, piece: SliceView, passenger_id: UUID, at: int) -> PassengerView:
    found = next((one for one in view.flying(piece.position) if one.id == passenger_id), None)
    if found is None:
        sentence = _("This traveller is not on this flight.")
        raise SeatNotAllowed(sentence, errors=[FieldError(f"{at}.passengerId", sentence)])
    return found


def _flown(view: BookingView, flight_id: int, at: int) -> tuple[SliceView, FlightView]:
    for piece in view.active_slices:
        for flight in piece.flights:
            if flight.id == flight_id:
                return piece, flight
    sentence = _("This flight is not part of the booking.")
    raise SeatNotAllowed(sentence, errors=[FieldError(f"{at}.flightId", sentence)])


def _again(one: ItemView) -> ItemWish:
    return ItemWish(
        one.kind, one.code, one.label, one.passenger_id, one.flight_id, one.quantity, one.amount_minor, one.seat
    )


def _name(session: Session, view: BookingView, changed: Iterable[SeatWish]) -> None:
    """Take the names: firmly for a hold, set aside for a paid booking until amending knows that nothing is due."""
    paid = view.status == "confirmed"
    bought = {(one.flight_id, one.passenger_id) for one in view.items if one.kind == "seat"}
    choices = []
    for one in changed:
        if one.seat is not None:
            choices.append(SeatChoice(one.flight_id, one.seat, one.passenger_id))
        elif not paid or (one.flight_id, one.passenger_id) not in bought:
            seating.give_up(session, holder=view.id, occupant=one.passenger_id, flight_id=one.flight_id)
    if not choices:
        return
    minutes = SET_ASIDE_MINUTES if paid else None
    try:
        seating.choose(session, holder=view.id, choices=choices, tentative_minutes=minutes)
    except SeatTaken as no:
        plan = seating.seat_plan(session, no.flight_id)
        raise _with_next_best(view, plan, no, [one.seat for one in choices]) from None


def _with_next_best(view: BookingView, plan: SeatPlan, no: SeatTaken, wanted: Sequence[str]) -> SeatTaken:
    piece = next(one for one in view.active_slices if any(flight.id == no.flight_id for flight in one.flights))
    best = seating.next_best(plan, piece.cabin, no.seat, besides=wanted)
    words = _("Seat %(seat)s has just been taken.") % {"seat": no.seat}
    if best:
        words += " " + _("Seat %(seat)s is free and the nearest like it.") % {"seat": best}
    return SeatTaken(no.seat, flight_id=no.flight_id, next_best=best, detail=words)


def _extra_item(view: BookingView, prices: Catalogue, wish: ExtraWish) -> ItemWish:
    one = prices.find(wish.code)
    passenger = next((each for each in view.active_passengers if each.id == wish.passenger_id), None)
    piece = _piece(view, one, wish)
    if one is None or passenger is None or piece is None:
        raise ExtraRefused(_("This extra, traveller or flight is not known here."))
    no = rules.extra_problem(one, wish, passenger, piece, clock.now())
    if no:
        raise ExtraRefused(f"{_(one.label)}: {no}")
    amount = one.price_in(piece) * wish.quantity
    return ItemWish(one.kind, one.code, one.label, passenger.id, wish.flight_id, wish.quantity, amount)


def _piece(view: BookingView, one: Extra | None, wish: ExtraWish) -> SliceView | None:
    if one is None or (one.per == "trip") is not (wish.flight_id is None):
        return None
    if one.per == "trip":
        return next(iter(view.active_slices), None)
    for piece in view.active_slices:
        bookable = piece.flights[:1] if one.per == "slice" else piece.flights
        if any(flight.id == wish.flight_id for flight in bookable):
            return piece
    return None


def _party_problems(
    session: Session, view: BookingView, prices: Catalogue, wanted: Sequence[ExtraWish]
) -> list[FieldError]:
    kinds = {one.code: one.kind for one in prices.extras}
    wrong = []
    if rules.meals_at_once(wanted, kinds):
        wrong.append(FieldError("", _("One meal for each traveller on each flight.")))
    for passenger in view.active_passengers:
        if any(one.passenger_id == passenger.id and kinds.get(one.code) == "assistance" for one in wanted):
            seat = _exit_seat(session, view, passenger)
            if seat:
                words = {"name": passenger.name, "seat": seat}
                sentence = _("%(name)s has seat %(seat)s by an exit. Please choose another seat first.") % words
                wrong.append(FieldError("", sentence))
    return wrong


def _exit_seat(session: Session, view: BookingView, passenger: PassengerView) -> str | None:
    for (flight_id, occupant), name in seating.seats_of(session, view.id).items():
        if occupant == passenger.id:
            seat = seating.seat_plan(session, flight_id).seat(name)
            if seat and "exit" in seat.features:
                return name
    return None

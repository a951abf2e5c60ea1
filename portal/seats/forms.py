"""What comes in at the doors of seats and extras, and what goes out: one set of models for pages, API and OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, RootModel, StringConstraints

from portal.booking.forms import MoneyWire
from portal.booking.views import BookingView, ItemView
from portal.flights.rules import CabinPlan, Seat, SeatPlan, SeatRow
from portal.kit.validation import Wire
from portal.seats import rules
from portal.seats.rules import Catalogue, Extra, ExtraWish, Liked, Term

Features = Literal["window", "middle", "aisle", "exit", "legroom", "front"]
SeatName = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,2}[A-Za-z]$", to_upper=True)]


class SeatMapQuery(Wire):
    """Whose seat map: with a booking's reference it is told with that booking's prices and its own seats free."""

    reference: Annotated[str, StringConstraints(max_length=12)] | None = None


class SeatOut(Wire):
    """A seat; `price` is null where it cannot be chosen before check-in."""

    seat: str
    available: bool
    features: tuple[Features, ...]
    price: MoneyWire | None


class RowOut(Wire):
    """A row from left to right; null is an aisle."""

    number: int
    seats: tuple[SeatOut | None, ...]


class CabinOut(Wire):
    """A cabin from front to back."""

    cabin: str
    rows: tuple[RowOut, ...]


class SuggestedOut(Wire):
    """A seat that we would give a traveller: beside the party, and as the account likes it."""

    passenger_id: UUID
    seat: str
    price: MoneyWire | None


class SeatMapOut(Wire):
    """The cabins of a flight, from the nose; `suggestion` seats the whole party of the booking that was named."""

    cabins: tuple[CabinOut, ...]
    suggestion: tuple[SuggestedOut, ...] | None = None


class SeatIn(Wire):
    """A seat by name for one traveller on one flight; null gives it up."""

    passenger_id: UUID
    flight_id: UUID
    seat: SeatName | None


class SeatsIn(RootModel[Annotated[list[SeatIn], Field(min_length=1, max_length=200)]]):
    """The seats wanted; who is not named keeps what they have."""


class ExtraIn(Wire):
    """So many of an extra for one traveller; `flightId` is the flight, a direction's first, or null (whole trip)."""

    code: Annotated[str, StringConstraints(max_length=60)] = Field(examples=["checked_bag"])
    passenger_id: UUID
    flight_id: UUID | None = None
    quantity: Annotated[int, Field(ge=0, le=9)] = 1


class ExtrasIn(RootModel[Annotated[list[ExtraIn], Field(max_length=500)]]):
    """All extras that the booking is to have; what is left out is given up."""


class ProductOut(Wire):
    """One extra of the catalogue; `includedIn` are the slices (counted from 0) whose fare has it in it already."""

    code: str
    kind: Literal["bag", "meal", "priority", "insurance", "assistance"]
    label: str
    detail: str
    per: Literal["slice", "flight", "trip"]
    price: MoneyWire
    most: int
    travellers: tuple[str, ...] | None
    included_in: tuple[int, ...]


class ItemOut(Wire):
    """An extra that the booking has, or (`pending`) will have once what is due is paid."""

    code: str
    kind: str
    label: str
    passenger_id: UUID
    flight_id: UUID | None
    quantity: int
    amount: MoneyWire
    pending: bool


class LikedOut(Wire):
    """The meal that the booking's account says it takes, by its product's code, and which traveller that is."""

    passenger_id: UUID
    code: str


class ExtrasOut(Wire):
    """What can be had beside the seat, what the booking has, and what is still due.

    `liked`: the meal that one of the travellers usually takes, where it is on board; nothing is chosen by it.
    """

    products: tuple[ProductOut, ...]
    items: tuple[ItemOut, ...]
    liked: LikedOut | None
    balance: MoneyWire


def suggested(seats: Mapping[UUID, Seat], prices: Catalogue, cabin: str, term: Term) -> tuple[SuggestedOut, ...]:
    """Return a suggestion on the wire."""

    def price(seat: Seat) -> MoneyWire | None:
        return None if term == "no" else MoneyWire.of(rules.seat_price(prices, seat, cabin, term), prices.currency)

    return tuple(SuggestedOut(passenger_id=who, seat=seat.name, price=price(seat)) for who, seat in seats.items())


def seat_map(
    plan: SeatPlan, prices: Catalogue, *, terms: Mapping[str, Term], open_to_all: bool, own: Sequence[str] = ()
) -> SeatMapOut:
    """Return the seat map on the wire; `terms` by cabin. A free seat is available while its cabin sells, and `own`."""

    def seat_out(cabin: CabinPlan, seat: Seat) -> SeatOut:
        term = terms.get(cabin.cabin, "penalty")
        price = rules.seat_price(prices, seat, cabin.cabin, term)
        free = cabin.cabin in terms if not open_to_all else cabin.free > 0
        return SeatOut(
            seat=seat.name,
            available=free and (not seat.taken or seat.name in own),
            features=seat.features,
            price=None if term == "no" else MoneyWire.of(price, prices.currency),
        )

    def row_out(cabin: CabinPlan, row: SeatRow) -> RowOut:
        return RowOut(number=row.number, seats=tuple(seat_out(cabin, one) if one else None for one in row.seats))

    return SeatMapOut(
        cabins=tuple(
            CabinOut(cabin=cabin.cabin, rows=tuple(row_out(cabin, row) for row in cabin.rows)) for cabin in plan.cabins
        )
    )


def extras_wire(view: BookingView, prices: Catalogue, wish: Liked) -> dict[str, Any]:
    """Return the catalogue and the extras of a booking on the wire, with the meal that `wish` likes."""
    public = {flight.id: flight.public_id for piece in view.slices for flight in piece.flights}
    items = [_item_out(one, public, view.currency) for one in view.items if one.kind != "seat"]
    waiting = view.open_amendment
    rows = [row for row in (waiting.payload.get("add", ()) if waiting else ()) if row["kind"] != "seat"]
    return ExtrasOut(
        products=tuple(_product_out(one, view) for one in prices.extras),
        items=(*items, *(_pending_out(row, public, view.currency) for row in rows)),
        liked=_liked_out(prices, wish),
        balance=MoneyWire.of(view.balance_minor, view.currency),
    ).wire()


def _liked_out(prices: Catalogue, wish: Liked) -> LikedOut | None:
    if wish.meal is None or wish.passenger_id is None or prices.find(wish.meal) is None:
        return None
    return LikedOut(passenger_id=wish.passenger_id, code=wish.meal)


def _product_out(one: Extra, view: BookingView) -> ProductOut:
    return ProductOut(
        code=one.code,
        kind=one.kind,
        label=one.label,
        detail=one.detail,
        per=one.per,
        price=MoneyWire.of(one.amount_minor, one.currency),
        most=one.most,
        travellers=tuple(one.travellers) if one.travellers else None,
        included_in=tuple(
            piece.position for piece in view.active_slices if one.amount_minor and not one.price_in(piece)
        ),
    )


def _item_out(one: ItemView, public: Mapping[int, UUID], currency: str) -> ItemOut:
    return ItemOut(
        code=one.code,
        kind=one.kind,
        label=one.label,
        passenger_id=one.passenger_id,
        flight_id=public.get(one.flight_id or 0),
        quantity=one.quantity,
        amount=MoneyWire.of(one.amount_minor, currency),
        pending=False,
    )


def _pending_out(row: Mapping[str, Any], public: Mapping[int, UUID], currency: str) -> ItemOut:
    return ItemOut(
        code=row["code"],
        kind=row["kind"],
        label=row["label"],
        passenger_id=row["passenger_id"],
        flight_id=public.get(row["flight_id"] or 0),
        quantity=row["quantity"],
        amount=MoneyWire.of(row["amount_minor"], currency),
        pending=True,
    )


def extra_wishes(body: ExtrasIn, flights: Mapping[UUID, int]) -> list[ExtraWish]:
    """Return the command; a flight that is not of the booking becomes one that no booking has."""
    return [
        ExtraWish(one.code, one.passenger_id, flights.get(one.flight_id, 0) if one.flight_id else None, one.quantity)
        for one in body.root
    ]


def page_seats(fields: Mapping[str, Any], people: int) -> dict[int, str]:
    """Return what the seat form says by traveller's number, "" for no seat; whom it does not name is left out."""
    found = {number: fields.get(f"seat.{number}") for number in range(1, people + 1)}
    return {number: str(seat).strip().upper()[:4] for number, seat in found.items() if seat is not None}


def page_extras(fields: Mapping[str, Any]) -> dict[str, int]:
    """Return how many the extras form wants of each, by field; a meal counts as one, what is no number as too many."""
    wanted: dict[str, int] = {}
    for name, value in fields.items():
        if name.startswith("meal.") and value:
            wanted[f"n.{value}.{name.removeprefix('meal.')}"] = 1
        elif name.startswith("n.") and value:
            wanted[name] = int(value) if str(value).isdecimal() and len(str(value)) < 3 else 99
    return wanted

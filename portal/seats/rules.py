"""What a seat or an extra costs whom, who may have it, and how a party is kept together. Pure: `now` is an argument.

- Choosing a seat is free where the brand includes it, priced by its dearest feature where the brand charges for it, and
  impossible before check-in where the brand says no. Once check-in of the flight is open, every seat is free.
- Exit rows are for grown-ups who sit alone and asked for no assistance (14 CFR 121.585).
- Assistance is free, always (14 CFR 382.31, EU 1107/2006).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal, TypeVar
from uuid import UUID

from portal.booking.rules import check_in_window
from portal.booking.views import BookingView, ItemView, PassengerView, SliceView
from portal.flights.queries import FlightView
from portal.flights.rules import CabinPlan, Seat, suggest
from portal.kit.i18n import gettext as _
from portal.pricing.rules import HOME_CURRENCY, PriceBook

EXTRA_KINDS = frozenset(("bag", "meal", "priority", "insurance", "assistance"))
Term = Literal["allowed", "penalty", "no"]
# What accounts call meals (IATA), as the catalogue does; what it has not is not offered.
LIKED_MEALS = {
    "VGML": "meal-vegan",
    "VLML": "meal-vegetarian",
    "MOML": "meal-halal",
    "KSML": "meal-kosher",
    "GFML": "meal-glutenfree",
    "CHML": "meal-child",
}
UNLIKED = 10**12


@dataclass(frozen=True, slots=True)
class SeatFare:
    """One row of what choosing a seat costs; see models.SeatPrice."""

    cabin: str
    feature: str
    amount_minor: int
    currency: str
    valid_from: date
    valid_to: date | None

    @property
    def code(self) -> str:
        """What the row is about, whatever its currency."""
        return f"{self.cabin} {self.feature}"


@dataclass(frozen=True, slots=True)
class Extra:
    """One row of the catalogue; see models.ExtraProduct."""

    code: str
    kind: str
    label: str
    detail: str
    per: str
    amount_minor: int
    currency: str
    most: int
    cabins: list[str] | None
    travellers: list[str] | None
    included_cabins: list[str]
    included_brands: list[str]
    hours_before: int
    position: int
    valid_from: date
    valid_to: date | None

    def price_in(self, piece: SliceView) -> int:
        """Return what one costs on that direction: nothing where the fare has it in it already."""
        included = piece.cabin in self.included_cabins or piece.brand in self.included_brands
        return 0 if included else self.amount_minor

    def fits(self, passenger: PassengerView, piece: SliceView) -> bool:
        """True when it is sold to such a traveller in that cabin."""
        return (self.travellers is None or passenger.type in self.travellers) and (
            self.cabins is None or piece.cabin in self.cabins
        )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All prices of seats and extras that hold on one day, in one currency."""

    currency: str
    seat_fares: tuple[SeatFare, ...]
    extras: tuple[Extra, ...]

    def find(self, code: str) -> Extra | None:
        """Return the extra of that code, or None."""
        return next((one for one in self.extras if one.code == code), None)


Priced = TypeVar("Priced", SeatFare, Extra)


def catalogue(
    fares: Iterable[SeatFare], extras: Iterable[Extra], book: PriceBook, *, currency: str, on: date
) -> Catalogue:
    """Return what holds on a day in a currency: its own rows, else those in US dollars converted (half up)."""
    sold = sorted(_holding(extras, book, currency, on), key=lambda one: one.position)
    return Catalogue(currency, tuple(_holding(fares, book, currency, on)), tuple(sold))


def _holding(rows: Iterable[Priced], book: PriceBook, currency: str, on: date) -> list[Priced]:
    """Of rows about the same thing the one that began last holds."""
    begun = sorted((one for one in rows if one.valid_from <= on), key=lambda one: one.valid_from)
    valid = [one for one in begun if one.valid_to is None or on <= one.valid_to]
    own = {one.code: one for one in valid if one.currency == currency}
    home = {one.code: one for one in valid if one.currency == HOME_CURRENCY}
    return [own.get(code) or _converted(home[code], book, currency) for code in home.keys() | own.keys()]


def _converted(one: Priced, book: PriceBook, currency: str) -> Priced:
    return replace(one, amount_minor=book.converted(one.amount_minor, one.currency, currency), currency=currency)


def seat_term(piece: SliceView, flight: FlightView, now: datetime) -> Term:
    """Return whether choosing a seat on this flight is free (allowed), priced (penalty) or not possible yet (no)."""
    kept = piece.conditions.get("seat", {})
    if kept.get("included") or now >= check_in_window(flight)[0]:
        return "allowed"
    return "penalty" if kept.get("allowed", True) else "no"


def seat_price(prices: Catalogue, seat: Seat, cabin: str, term: Term) -> int:
    """Return what choosing this seat costs, in minor units: the dearest of its features; 0 where choice is free."""
    if term == "allowed":
        return 0
    rows = (one for one in prices.seat_fares if one.cabin == cabin and one.feature in ("any", *seat.features))
    return max((one.amount_minor for one in rows), default=0)


def laps(passengers: Iterable[PassengerView]) -> set[UUID]:
    """Return the adults who have an infant on the lap: the first adult has the first infant, and so on.

    Who flies every direction comes before who stays off some, adults and infants alike.
    """
    people = sorted(passengers, key=lambda one: (len(one.stays_off), one.position))
    adults = [one.id for one in people if one.type == "adult"]
    return set(adults[: sum(one.type == "infant" for one in people)])


def assisted(items: Iterable[ItemView]) -> set[UUID]:
    """Return who asked for assistance."""
    return {one.passenger_id for one in items if one.kind == "assistance"}


def exit_problem(passenger: PassengerView, view: BookingView) -> str | None:
    """Return why this traveller may not sit by an exit, or None (14 CFR 121.585)."""
    if passenger.type != "adult":
        return _("Seats by an exit are for travellers of 12 and over.")
    if passenger.id in laps(view.active_passengers):
        return _("Who has an infant on the lap cannot sit by an exit.")
    if passenger.id in assisted(view.items):
        return _("Who asked for assistance cannot sit by an exit.")
    return None


def seat_problem(passenger: PassengerView, seat: Seat, view: BookingView) -> str | None:
    """Return why this traveller may not have this seat, or None."""
    if not passenger.takes_seat:
        return _("An infant sits on the lap of an adult and takes no seat.")
    return exit_problem(passenger, view) if "exit" in seat.features else None


def flight_closed(piece: SliceView, flight: FlightView, now: datetime) -> str | None:
    """Return why no seat on this flight can be chosen now, or None."""
    if piece.cancelled_at is not None or flight.status == "cancelled":
        return _("This flight is cancelled.")
    closes = check_in_window(flight)[1]
    if now >= closes:
        return _("Check-in of this flight is closed.")
    if seat_term(piece, flight, now) == "no":
        return _("This fare has no choice of seats before check-in. At check-in, every free seat is free of charge.")
    return None


def booking_closed(view: BookingView, now: datetime) -> str | None:
    """Return why nothing can be chosen for this booking at all, or None."""
    return {
        "expired": _("The hold has run out; there is nothing to choose."),
        "cancelled": _("This booking is cancelled."),
    }.get(view.status_at(now))


@dataclass(frozen=True, slots=True)
class Liked:
    """What the booking's account likes, and which of its travellers it is: `seat` a feature, `meal` a code of ours."""

    seat: str | None = None
    meal: str | None = None
    passenger_id: UUID | None = None


NOTHING_LIKED = Liked()


def liked(seat: str | None, meal: str | None, name: tuple[str, str], view: BookingView) -> Liked:
    """Return what an account likes for this booking; it is the traveller of its name, or the only one there is."""
    people = [one for one in view.active_passengers if one.takes_seat]
    own = tuple(part.strip().casefold() for part in name)
    same = [one for one in people if (one.given_name or "").casefold() == own[0] and own[1] == _family(one)]
    mine = same if len(same) == 1 else people if len(people) == 1 else []
    return Liked(seat, LIKED_MEALS.get(meal or ""), mine[0].id if mine else None)


def _family(one: PassengerView) -> str:
    return (one.family_name or "").strip().casefold()


def together(
    cabin: CabinPlan,
    party: Iterable[PassengerView],
    prices: Catalogue,
    term: Term,
    *,
    own: Collection[str] = (),
    wish: Liked = NOTHING_LIKED,
) -> dict[UUID, Seat]:
    """Return a seat for each traveller of the party, side by side where any row allows it, or nothing when it is full.

    Their `own` seats count as free. Never by an exit; of equally near seats those with one as `wish` likes it, at its
    price, then the cheapest; children sit between adults.
    """
    free = replace_own(cabin, own)
    people = seating_order([one for one in party if one.takes_seat])
    alike: dict[tuple[str, ...], int] = {}  # hundreds of seats are of a dozen kinds

    def cost(seat: Seat) -> int:
        if seat.features not in alike:
            unlike = wish.seat is not None and wish.seat not in seat.features
            price = 2 * seat_price(prices, seat, cabin.cabin, term)
            alike[seat.features] = UNLIKED * unlike + price + ("middle" in seat.features)
        return alike[seat.features]

    found = suggest(free, len(people), may=lambda seat: "exit" not in seat.features, cost=cost)
    return {one.id: seat for one, seat in zip(people, turned(people, found, wish), strict=True)} if found else {}


def turned(people: Sequence[PassengerView], found: list[Seat], wish: Liked) -> list[Seat]:
    """Return the seats in turn: from the other side where that gives whose wish it is the seat they like."""
    at = next((nth for nth, one in enumerate(people) if one.id == wish.passenger_id), None)
    if at is None or wish.seat in found[at].features or wish.seat not in found[-1 - at].features:
        return found
    return found[::-1]


def replace_own(cabin: CabinPlan, own: Collection[str]) -> CabinPlan:
    """Return the cabin with the party's own seats free."""
    rows = (
        replace(
            row,
            seats=tuple(replace(s, holder=None, occupant=None) if s and s.name in own else s for s in row.seats),
        )
        for row in cabin.rows
    )
    return replace(cabin, rows=tuple(rows))


def seating_order(people: Sequence[PassengerView]) -> list[PassengerView]:
    """Return the party as it sits: an adult, the children, the other adults."""
    adults = [one for one in people if one.type == "adult"]
    return [*adults[:1], *(one for one in people if one.type != "adult"), *adults[1:]]


@dataclass(frozen=True, slots=True)
class ExtraWish:
    """So many of an extra for one traveller; `flight_id` is the flight, the first of a direction, or None (trip)."""

    code: str
    passenger_id: UUID
    flight_id: int | None
    quantity: int


def extra_problem(one: Extra, wish: ExtraWish, passenger: PassengerView, piece: SliceView, now: datetime) -> str | None:
    """Return why this extra cannot be had by this traveller on this direction now, or None."""
    if not one.fits(passenger, piece):
        return _("This is not offered to this traveller in this cabin.")
    if not 0 <= wish.quantity <= one.most:
        return _("At most %(most)s for each traveller.") % {"most": one.most}
    if piece.cancelled_at is not None or not passenger.flies(piece.position):
        return _("This direction is cancelled.")
    flight = next((each for each in piece.flights if each.id == wish.flight_id), piece.flights[0])
    if now > flight.departure_at - timedelta(hours=one.hours_before):
        return _("This can be ordered until %(hours)s hours before departure.") % {"hours": one.hours_before}
    return None


def meals_at_once(wishes: Iterable[ExtraWish], kinds: Mapping[str, str]) -> bool:
    """True when somebody would get two meals on one flight."""
    seen: set[tuple[UUID, int | None]] = set()
    for wish in wishes:
        if kinds.get(wish.code) == "meal" and wish.quantity:
            if wish.quantity > 1 or (wish.passenger_id, wish.flight_id) in seen:
                return True
            seen.add((wish.passenger_id, wish.flight_id))
    return False

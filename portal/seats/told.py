"""How a cabin and the extras are told on a page: rows of cells with words and prices, a legend, a list. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from portal.booking.views import BookingView, PassengerView, SliceView
from portal.flights.queries import FlightView
from portal.flights.rules import CabinPlan, Seat, SeatPlan
from portal.kit import i18n
from portal.kit.i18n import gettext as _
from portal.seats import rules
from portal.seats.rules import NOTHING_LIKED, Catalogue, Extra, ExtraWish, Liked, Term


@dataclass(frozen=True, slots=True)
class Sitter:
    """A traveller who takes a seat, by number from 1; `chosen` is the seat that is ticked, "" for none."""

    number: int
    id: UUID
    name: str
    short: str
    chosen: str
    exit_problem: str | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A seat as drawn; `kind` is plain, front, legroom or exit; `not_for` are the numbers of who may not have it."""

    name: str
    kind: str
    words: str
    price_minor: int
    cost: str  # the price in words
    taken: bool
    not_for: frozenset[int]


@dataclass(frozen=True, slots=True)
class DeckRow:
    """One row as drawn: the cells, None for an aisle."""

    number: int
    by_exit: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Legend:
    """What one kind of seat costs at least, for the legend in words."""

    kind: str
    words: str
    price_minor: int


@dataclass(frozen=True, slots=True)
class Deck:
    """The cabin that is chosen in, between what lies before and behind it."""

    cabin: str
    letters: tuple[str, ...]
    rows: tuple[DeckRow, ...]
    before: tuple[str, ...]
    behind: tuple[str, ...]
    legend: tuple[Legend, ...]
    any_taken: bool

    @property
    def across(self) -> int:
        """How many seats and aisles stand side by side."""
        return len(self.letters)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every seat, front to back."""
        return tuple(cell for row in self.rows for cell in row.cells if cell is not None)

    def free_for(self, number: int) -> list[Cell]:
        """Return the seats that this traveller may have."""
        return [cell for cell in self.cells if not cell.taken and number not in cell.not_for]


@dataclass(frozen=True, slots=True)
class FlightStep:
    """One flight as a step: which, how many have a seat there, and why nothing can be chosen, if so."""

    number: int
    flight: FlightView
    chosen: int
    closed: str | None
    current: bool


@dataclass(frozen=True, slots=True)
class Party:
    """Seats for everybody side by side, as one click takes them."""

    seats: tuple[tuple[Sitter, str], ...]
    total_minor: int

    @property
    def names(self) -> list[str]:
        """The seats from front to back, left to right."""
        return sorted((seat for _one, seat in self.seats), key=lambda seat: (len(seat), seat))


def cabin_word(cabin: str) -> str:
    """Return a cabin's name."""
    return {
        "economy": _("Economy"),
        "premium": _("Premium economy"),
        "business": _("Business"),
        "first": _("First"),
    }.get(cabin, cabin)


def sitters(view: BookingView, piece: SliceView, chosen: Mapping[UUID, str]) -> list[Sitter]:
    """Return who takes a seat in that direction, in the order of the booking."""
    people = [one for one in view.flying(piece.position) if one.takes_seat]
    return [
        Sitter(at, one.id, one.name, _short(one), chosen.get(one.id, ""), rules.exit_problem(one, view))
        for at, one in enumerate(people, 1)
    ]


def _short(one: PassengerView) -> str:
    return (one.given_name or one.family_name or "").split(" ")[0]


def deck(plan: SeatPlan, cabin: CabinPlan, people: Sequence[Sitter], own: Iterable[str], price: Price) -> Deck:
    """Return the cabin as drawn for this party; its own seats are free to it."""
    mine, barred = set(own), frozenset(one.number for one in people if one.exit_problem)
    alike: dict[tuple[str, ...], tuple[str, str, int, str]] = {}  # hundreds of seats are of a dozen kinds
    rows = tuple(
        DeckRow(row.number, row.by_exit, tuple(_cell(seat, barred, mine, price, alike) for seat in row.seats))
        for row in cabin.rows
    )
    cells = [cell for row in rows for cell in row.cells if cell]
    at = [one.cabin for one in plan.cabins].index(cabin.cabin)
    return Deck(
        cabin.cabin,
        tuple(cabin.layout),
        rows,
        tuple(_band(one) for one in plan.cabins[:at]),
        tuple(_band(one) for one in plan.cabins[at + 1 :]),
        _legend(cells),
        any(cell.taken for cell in cells),
    )


@dataclass(frozen=True, slots=True)
class Price:
    """What tells a seat's price in a cabin under a term."""

    prices: Catalogue
    cabin: str
    term: Term

    def of(self, seat: Seat) -> int:
        """Return it in minor units."""
        return rules.seat_price(self.prices, seat, self.cabin, self.term)

    def words(self, seat: Seat) -> str:
        """Return it as the reader writes it."""
        return i18n.price(self.of(seat), self.prices.currency) if self.of(seat) else _("free of charge")


def _band(one: CabinPlan) -> str:
    words = {"cabin": cabin_word(one.cabin), "first": one.rows[0].number, "last": one.rows[-1].number}
    return _("%(cabin)s, rows %(first)s–%(last)s") % words


def _cell(
    seat: Seat | None,
    barred: frozenset[int],
    own: set[str],
    price: Price,
    alike: dict[tuple[str, ...], tuple[str, str, int, str]],
) -> Cell | None:
    if seat is None:
        return None
    if seat.features not in alike:
        alike[seat.features] = kind_of(seat), seat_words(seat), price.of(seat), price.words(seat)
    not_for = barred if "exit" in seat.features else frozenset()
    return Cell(seat.name, *alike[seat.features], seat.taken and seat.name not in own, not_for)


def kind_of(seat: Seat) -> str:
    """Return how a seat is drawn: exit, legroom, front or plain."""
    return next((name for name in ("exit", "legroom", "front") if name in seat.features), "plain")


def seat_words(seat: Seat) -> str:
    """Return what a seat is, in words: `window, exit row`."""
    words = {"window": _("window"), "middle": _("middle"), "aisle": _("aisle")}
    words |= {"exit": _("exit row"), "legroom": _("extra legroom"), "front": _("front rows")}
    return ", ".join(words[name] for name in seat.features if not (name == "legroom" and "exit" in seat.features))


def _legend(cells: Sequence[Cell]) -> tuple[Legend, ...]:
    words = {
        "plain": _("Free"),
        "front": _("Front rows: off the plane sooner"),
        "legroom": _("Extra legroom, first row"),
        "exit": _("Exit row: extra legroom, for travellers of 12 and over who can help"),
    }
    found = []
    for kind, said in words.items():
        if amounts := [cell.price_minor for cell in cells if cell.kind == kind]:
            found.append(Legend(kind, said, min(amounts)))
    return tuple(found)


def party(people: Sequence[Sitter], seats: Mapping[UUID, Seat], price: Price) -> Party | None:
    """Return the suggestion as the page offers it, or None when everybody has a seat, or there is none."""
    if not seats or all(one.chosen for one in people):
        return None
    pairs = tuple((one, seats[one.id].name) for one in people)
    return Party(pairs, sum(price.of(seat) for seat in seats.values()))


@dataclass(frozen=True, slots=True)
class Place:
    """Where extras are had: a direction, a flight or the whole trip."""

    label: str
    flight_id: int | None
    piece: SliceView


def places(view: BookingView, per: str) -> list[Place]:
    """Return the places of extras of that kind, in order of travel."""
    pieces = view.active_slices
    if per == "trip":
        return [Place(_("Whole trip"), None, pieces[0])] if pieces else []
    if per == "slice":
        return [Place(f"{one.origin.city} – {one.destination.city}", one.flights[0].id, one) for one in pieces]
    return [
        Place(f"{flight.origin.city} – {flight.destination.city}, {flight.designator}", flight.id, piece)
        for piece in pieces
        for flight in piece.flights
    ]


@dataclass(frozen=True, slots=True)
class Slot:
    """One field of the extras page: which extra, for whom, where; `closed` says why it cannot be had (any more)."""

    field: str
    product: Extra
    passenger: PassengerView
    place: Place
    quantity: int
    bought: int
    price_minor: int
    closed: str | None
    liked: bool = False

    @property
    def wish(self) -> ExtraWish:
        """The same as a command."""
        return ExtraWish(self.product.code, self.passenger.id, self.place.flight_id, self.quantity)


def slots(
    view: BookingView,
    prices: Catalogue,
    wanted: Mapping[str, int] | None,
    now: datetime,
    wish: Liked = NOTHING_LIKED,
) -> list[Slot]:
    """Return every field of the extras page that fits its traveller; `wanted` is what was typed, by field.

    The meal of `wish` is chosen already where it costs nothing and no extra was chosen yet; one that costs is not.
    """
    had = _quantities(view)
    found = []
    for product in prices.extras:
        for nth, place in enumerate(places(view, product.per)):
            for who, passenger in enumerate(view.active_passengers):
                if product.fits(passenger, place.piece) and passenger.flies(place.piece.position):
                    field = f"n.{product.code}.{who}.{nth}"
                    bought = had.get((product.code, passenger.id, place.flight_id), 0)
                    found.append(_slot(field, product, passenger, place, bought, wanted, now))
    fresh = wanted is None and view.status == "held" and not had
    return [_liked(one, wish, fresh=fresh) for one in found]


def _liked(one: Slot, wish: Liked, *, fresh: bool) -> Slot:
    mine = (one.product.code, one.passenger.id) == (wish.meal, wish.passenger_id)
    chosen = mine and fresh and not one.price_minor and one.closed is None
    return replace(one, liked=mine, quantity=1 if chosen else one.quantity)


def _slot(
    field: str,
    product: Extra,
    passenger: PassengerView,
    place: Place,
    bought: int,
    wanted: Mapping[str, int] | None,
    now: datetime,
) -> Slot:
    quantity = bought if wanted is None else wanted.get(field, 0)
    closed = rules.extra_problem(
        product, ExtraWish(product.code, passenger.id, place.flight_id, 1), passenger, place.piece, now
    )
    price = product.price_in(place.piece)
    return Slot(field, product, passenger, place, quantity, bought, price, closed)


def _quantities(view: BookingView) -> dict[tuple[str, UUID, int | None], int]:
    """Return how many of each extra the booking has, with what waits to be paid."""
    waiting = view.open_amendment
    payload = waiting.payload if waiting is not None and waiting.kind == "items" else {"cancel": [], "add": []}
    kept = [one for one in view.items if one.kind != "seat" and str(one.id) not in payload["cancel"]]
    had = {(one.code, one.passenger_id, one.flight_id): one.quantity for one in kept}
    added = [row for row in payload["add"] if row["kind"] != "seat"]
    return had | {(row["code"], UUID(row["passenger_id"]), row["flight_id"]): row["quantity"] for row in added}


@dataclass(frozen=True, slots=True)
class Shelf:
    """One product with every place where it can be had."""

    product: Extra
    slots: tuple[Slot, ...]

    @property
    def wanted(self) -> bool:
        """True when somebody has one."""
        return any(one.quantity for one in self.slots)

    @property
    def included(self) -> bool:
        """True where the fares have it in them already, though others pay for it."""
        return bool(self.product.amount_minor) and not any(one.price_minor for one in self.slots)


@dataclass(frozen=True, slots=True)
class Meal:
    """The meals that one traveller can have on one flight."""

    field: str
    passenger: PassengerView
    place: Place
    slots: tuple[Slot, ...]

    @property
    def chosen(self) -> str:
        """The code of the one that is chosen, or ""."""
        return next((one.product.code for one in self.slots if one.quantity), "")

    @property
    def closed(self) -> str | None:
        """Why none can be ordered any more, or None."""
        return self.slots[0].closed

    @property
    def liked(self) -> Slot | None:
        """The one that this traveller's account likes, if it is on board."""
        return next((one for one in self.slots if one.liked), None)


def shelves(found: Iterable[Slot]) -> dict[str, list[Shelf]]:
    """Return what is on offer by kind, meals left out."""
    by_product: dict[str, list[Slot]] = {}
    for one in found:
        by_product.setdefault(one.product.code, []).append(one)
    kinds: dict[str, list[Shelf]] = {}
    for slots_of in by_product.values():
        shelf = Shelf(slots_of[0].product, tuple(slots_of))
        kinds.setdefault(shelf.product.kind, []).append(shelf)
    return kinds


def meals(found: Iterable[Slot]) -> list[Meal]:
    """Return the meals by flight and traveller."""
    by_plate: dict[tuple[int | None, UUID], list[Slot]] = {}
    for one in found:
        if one.product.kind == "meal":
            by_plate.setdefault((one.place.flight_id, one.passenger.id), []).append(one)
    return [
        Meal("meal." + each[0].field.split(".", 2)[2], each[0].passenger, each[0].place, tuple(each))
        for each in by_plate.values()
    ]


def fare_bags(view: BookingView) -> list[tuple[str, int]]:
    """Return how many checked bags each direction's fare includes for each traveller, by the direction's name."""
    return [
        (f"{one.origin.city} – {one.destination.city}", int(one.conditions.get("checkedBags") or 0))
        for one in view.active_slices
    ]

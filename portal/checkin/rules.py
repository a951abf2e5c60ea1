"""Who may check in, for what, when; which documents a state asks for; who may sit where. Pure: `now` is an argument.

The window is booking's (TRADE: 24 hours to 60 minutes before departure); an infant goes with its adult.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from babel import Locale

from portal.booking.rules import CHECK_IN_OPENS, check_in_window
from portal.booking.views import BookingView, PassengerView, SliceView
from portal.flights.queries import FlightView
from portal.flights.rules import CabinPlan, Seat, suggest
from portal.kit import i18n
from portal.kit.errors import FieldError
from portal.kit.i18n import gettext as _
from portal.seats.rules import NOTHING_LIKED, Liked, seat_problem, seating_order, turned

BOARDING_MINUTES = 40
GATE_CLOSES_MINUTES = 15
DOCUMENTS_KEPT = timedelta(days=3)
SETTLED_WITHIN = timedelta(days=3)
GATES_SINCE, GATES_UNTIL = timedelta(hours=3), timedelta(hours=30)
MOST_GATES = 200
DOCUMENT_NUMBER = re.compile("[A-Z0-9]{4,20}")
# Babel's territories that are no state with travel documents: regions, unions, placeholders.
NO_STATE = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}
Pick = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class Coupon:
    """A ticket's right to one flight."""

    ticket_number: str
    position: int
    passenger_id: UUID
    flight_id: int
    status: str


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """A check-in as it is kept."""

    id: UUID
    passenger_id: UUID
    flight_id: int
    ticket_number: str
    coupon_position: int
    sequence_number: int
    seat: str | None
    source: str
    checked_in_at: datetime
    boarded_at: datetime | None


Result = Literal["boarded", "already_boarded", "wrong_flight", "not_checked_in", "unknown"]


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan came to: `seat` is the one of the day, which may differ from the one on the pass."""

    result: Result
    flight_id: int | None = None
    check_in: CheckedIn | None = None
    name: str | None = None
    reference: str | None = None
    type: str | None = None
    seat: str | None = None
    seat_on_pass: str | None = None

    @property
    def seat_changed(self) -> bool:
        """True when the traveller holds a pass with another seat on it."""
        return bool(self.seat and self.seat_on_pass and self.seat != self.seat_on_pass)


@dataclass(frozen=True, slots=True)
class Document:
    """A travel document as a state wants to know it; countries are ISO 3166 codes of two letters."""

    type: str
    number: str
    nationality: str
    issuing_country: str
    expires_on: date
    sex: str


@dataclass(frozen=True, slots=True)
class Desk:
    """All that check-in of one booking looks at. `seats` are the names of the day, by (flight, passenger)."""

    view: BookingView
    coupons: Mapping[Pick, Coupon]
    checked_in: Mapping[Pick, CheckedIn]
    documents: Mapping[UUID, Document]
    seats: Mapping[tuple[int, UUID], str]
    guardians: Mapping[UUID, UUID] = field(default_factory=dict)

    def passenger(self, passenger_id: UUID) -> PassengerView | None:
        """Return the traveller, unless they are no longer part of the booking."""
        return next((one for one in self.view.active_passengers if one.id == passenger_id), None)

    def flight(self, flight_id: int) -> FlightView | None:
        """Return the flight, unless it is no longer part of the trip."""
        return next((one for one in self.view.flights if one.id == flight_id), None)

    def piece(self, flight_id: int) -> SliceView:
        """Return the direction that the flight belongs to; raises StopIteration for one that is not of the trip."""
        return next(p for p in self.view.slices if any(flight.id == flight_id for flight in p.flights))

    def infant_of(self, passenger_id: UUID) -> UUID | None:
        """Return the infant on this traveller's lap, if there is one."""
        return next((infant for infant, adult in self.guardians.items() if adult == passenger_id), None)


def guardians(passengers: Iterable[PassengerView]) -> dict[UUID, UUID]:
    """Return on whose lap each infant sits: the first infant with the first adult, and so on (one each).

    Who flies every direction comes before who stays off some, adults and infants alike.
    """
    people = sorted(passengers, key=lambda one: (len(one.stays_off), one.position))
    adults = [one.id for one in people if one.type == "adult"]
    infants = [one.id for one in people if one.type == "infant"]
    return dict(zip(infants, adults, strict=False))


def is_international(flight: FlightView) -> bool:
    """True when a border is crossed, so that the state of arrival asks who comes."""
    return flight.origin.country != flight.destination.country


def boarding_at(flight: FlightView) -> datetime:
    """Return when boarding begins; late when the flight is late."""
    return flight.leaves_at - timedelta(minutes=BOARDING_MINUTES)


def gate_closes_at(flight: FlightView) -> datetime:
    """Return when who is not at the gate is left behind."""
    return flight.leaves_at - timedelta(minutes=GATE_CLOSES_MINUTES)


def flight_closed(view: BookingView, flight: FlightView, now: datetime) -> str | None:
    """Return why nobody of the booking can check in for this flight at `now`, and what to do, or None."""
    if view.status != "confirmed":
        return _("Check-in opens once the booking is paid.") if view.status == "held" else _("This booking is over.")
    if flight.status == "cancelled":
        return _("This flight is cancelled. Your booking shows what you can do now.")
    opens, closes = check_in_window(flight)
    if flight.leaves_at <= now:
        return _("This flight has left.")
    if closes <= now:
        return _("Check-in closed 60 minutes before departure. Please go to our desk at the airport right away.")
    if now < opens:
        return _("Check-in opens %(moment)s, 24 hours before departure.") % {"moment": opening_words(flight)}
    return None


def opening_words(flight: FlightView) -> str:
    """Return when check-in opens, on the clock of the airport that the flight leaves from."""
    local = (flight.departure_at - CHECK_IN_OPENS).astimezone(ZoneInfo(flight.origin.time_zone))
    words = {"day": i18n.short_day(local), "time": i18n.clock_time(local), "city": flight.origin.city}
    return _("%(day)s at %(time)s (%(city)s time)") % words


def traveller_closed(desk: Desk, passenger_id: UUID, flight: FlightView, now: datetime) -> str | None:
    """Return why this traveller cannot check in for this flight at `now`, or None. Checked in is no reason."""
    closed = flight_closed(desk.view, flight, now)
    if closed:
        return closed
    passenger, coupon = desk.passenger(passenger_id), desk.coupons.get((passenger_id, flight.id))
    if passenger is None or coupon is None:
        return _("There is no ticket for this flight.")
    if not passenger.ticket_name:
        return _("Tell us first who is flying.")
    if coupon.status in ("refunded", "void"):
        return _("The ticket for this flight is no longer good.")
    waiting = desk.view.open_amendment
    if waiting and waiting.kind not in ("items", "contact"):
        return _("A change of this booking waits to be paid. Please finish it first.")
    return _("This flight was flown already.") if coupon.status == "flown" else None


def completed(desk: Desk, picks: Iterable[Pick]) -> list[Pick]:
    """Return the picks, each adult's infant added, in the order of the flights and travellers."""
    chosen = set(picks)
    chosen |= {(infant, flight) for who, flight in set(chosen) if (infant := desk.infant_of(who)) is not None}
    return [
        (one.id, flight.id)
        for flight in desk.view.flights
        for one in desk.view.flying(desk.piece(flight.id).position)
        if (one.id, flight.id) in chosen
    ]


def split_problem(desk: Desk, picks: Collection[Pick]) -> str | None:
    """Return whom somebody among `picks` may not check in without, as a sentence, or None."""
    there = {*picks, *desk.checked_in}
    for who, flight in picks:
        passenger = desk.passenger(who)
        if passenger is None or passenger.type == "adult":
            continue
        adults = {one.id for one in desk.view.flying(desk.piece(flight).position) if one.type == "adult"}
        company = {desk.guardians.get(who)} if passenger.type == "infant" else adults
        if not any((one, flight) in there for one in company if one is not None):
            words = {"name": passenger.name}
            if passenger.type == "infant":
                return _("%(name)s sits on a lap: please check in the adult as well.") % words
            return _("%(name)s is under 12: please check in an adult as well.") % words
    return None


def documents_needed(desk: Desk, picks: Iterable[Pick]) -> dict[UUID, date]:
    """Return who of `picks` crosses a border, each with the last local day that their document must outlast."""
    days: dict[UUID, date] = {}
    for who, flight_id in picks:
        flight = desk.flight(flight_id)
        if flight is not None and is_international(flight):
            days[who] = max(days.get(who, date.min), flight.arrival_local.date())
    return days


def document_problems(document: Document, arrives_on: date) -> list[FieldError]:
    """Return a sentence for each field with which nobody would be let in."""
    wrong = []
    if not DOCUMENT_NUMBER.fullmatch(document.number):
        wrong.append(FieldError("number", _("Letters and figures only, as in the document; 4 to 20 of them.")))
    if document.expires_on <= arrives_on:
        said = _("It must be good beyond the day of arrival, %(day)s.") % {"day": i18n.day(arrives_on)}
        wrong.append(FieldError("expiresOn", said))
    for name, code in (("nationality", document.nationality), ("issuingCountry", document.issuing_country)):
        if code not in dict(countries("en")):
            wrong.append(FieldError(name, _("Please choose a country from the list.")))
    return wrong


@lru_cache(maxsize=8)
def countries(locale: str) -> tuple[tuple[str, str], ...]:
    """Return every country as (ISO 3166 code of two letters, name in that language), in the order of the names."""
    names = Locale.parse(locale, sep="-" if "-" in locale else "_").territories
    states = ((code, name) for code, name in names.items() if len(code) == 2 and code.isalpha())
    return tuple(sorted((one for one in states if one[0] not in NO_STATE), key=lambda one: one[1]))


def seats_together(
    cabin: CabinPlan, count: int, *, taken: Collection[str] = (), wish: Liked = NOTHING_LIKED
) -> list[Seat] | None:
    """Return so many free seats side by side, or as near as can be, not by an exit while others are free; or None.

    Of equally near ones those with a seat as `wish` likes it, then those with none in the middle.
    """

    def cost(seat: Seat) -> int:
        unlike = wish.seat is not None and wish.seat not in seat.features
        return 2 * count * unlike + ("middle" in seat.features)

    def find(*, by_exit: bool) -> list[Seat] | None:
        return suggest(
            cabin,
            count,
            may=lambda seat: seat.name not in taken and (by_exit or "exit" not in seat.features),
            cost=cost,
        )

    return (find(by_exit=False) or find(by_exit=True)) if count else []


def seats_for(
    cabin: CabinPlan, people: Sequence[PassengerView], *, taken: Collection[str] = (), wish: Liked = NOTHING_LIKED
) -> dict[UUID, Seat]:
    """Return a seat for each of these people, as `seats_together` finds them; nothing where the cabin is full."""
    party = seating_order(people)
    found = seats_together(cabin, len(party), taken=taken, wish=wish)
    return {one.id: seat for one, seat in zip(party, turned(party, found, wish), strict=True)} if found else {}


def may_keep(cabin: CabinPlan | None, one: PassengerView, name: str | None, view: BookingView) -> bool:
    """True while this traveller may sit where they sit: who came to have an infant on the lap leaves the exit row."""
    seat = next((seat for seat in cabin.seats if seat.name == name), None) if cabin else None
    return seat is not None and seat_problem(one, seat, view) is None


def masked(number: str) -> str:
    """Return a document's number with all but its last three characters hidden."""
    return "•" * max(0, len(number) - 3) + number[-3:]


def may_board(flight: FlightView, closed_at: datetime | None) -> bool:
    """True while the gate of a flight that flies is open."""
    return flight.status != "cancelled" and closed_at is None

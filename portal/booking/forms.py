"""What comes in at booking's doors and what goes out of its API: one set of models for pages, API and OpenAPI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from portal.booking import actions, rules
from portal.flights.queries import FlightView
from portal.kit import money
from portal.kit.i18n import gettext as _
from portal.kit.money import Money
from portal.kit.validation import Wire
from portal.places.queries import Place
from portal.search.rules import Offer

Name = Annotated[str, StringConstraints(max_length=60)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
PassengerType = Literal["adult", "child", "infant"]


def _email(typed: str) -> str:
    try:
        return validate_email(typed, check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError(_("Please give an e-mail address such as name@example.com.")) from None


def _phone(typed: str | None) -> str | None:
    if not typed:
        return None
    sentence = _("Please give the number with its country code, such as +1 212 555 0100.")
    try:
        number = phonenumbers.parse(typed, None)
    except phonenumbers.NumberParseException:
        raise ValueError(sentence) from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError(sentence)
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _born(day: date) -> date:
    if day.year < 1900:
        raise ValueError(_("Please check the year of birth."))
    return day


class MoneyWire(Wire):
    """An amount as a decimal string with the currency's own number of digits."""

    amount: Annotated[str, StringConstraints(pattern=r"^-?\d{1,13}(\.\d{1,4})?$")]
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]

    @classmethod
    def of(cls, minor: int, currency: str) -> MoneyWire:
        """Return `minor` units as the API writes them."""
        return cls(amount=money.decimal_text(minor, currency), currency=currency)

    @model_validator(mode="after")
    def _is_money(self) -> MoneyWire:
        try:
            money.parse(self.amount, self.currency)
        except ValueError:
            raise ValueError(_("Please give an amount with the currency's own digits, such as 123.45.")) from None
        return self

    @property
    def money(self) -> Money:
        """The same in minor units."""
        return money.parse(self.amount, self.currency)


class Contact(Wire):
    """Where the tickets go, and where news about the flight may go."""

    email: Annotated[str, StringConstraints(max_length=254), AfterValidator(_email)]
    phone: Annotated[str | None, AfterValidator(_phone)] = Field(default=None, max_length=40)


class Traveller(Wire):
    """One who flies. People with one name give it as the family name."""

    type: PassengerType
    given_name: Name = ""
    family_name: Annotated[Name, StringConstraints(min_length=1)]
    date_of_birth: Annotated[date, AfterValidator(_born)]


class Travellers(Wire):
    """Everybody who flies, and the contact."""

    passengers: list[Traveller] = Field(min_length=1, max_length=18)
    contact: Contact

    def wish(self) -> NameWish:
        """Return the command."""
        named = (rules.Named(p.type, p.given_name, p.family_name, p.date_of_birth) for p in self.passengers)
        return NameWish(tuple(named), self.contact.email, self.contact.phone)


class NewBooking(Travellers):
    """A booking to be made: an offer for each slice, in order of travel, and who flies."""

    offer_ids: list[Token] = Field(min_length=1, max_length=rules.MAX_SLICES)
    promo_code: Annotated[str, StringConstraints(max_length=40)] | None = None
    expected_total: MoneyWire | None = None


class ChosenOffers(Wire):
    """What the results page sends: an offer for each slice, and the key that makes a second click the same booking."""

    offer: list[Token] = Field(min_length=1, max_length=rules.MAX_SLICES)
    key: Annotated[str, StringConstraints(pattern=r"^[\w.~-]{8,100}$")]


@dataclass(frozen=True, slots=True)
class HoldWish:
    """What is to be held: an offer for each slice in order of travel, and the key that makes it one booking.

    `email` is where news of it may go before anybody is named.
    """

    offers: tuple[Offer, ...]
    key: str
    user_id: UUID | None = None
    locale: str = "en"
    minutes: int = 15
    expected: Money | None = None
    promo_code: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class NameWish:
    """Who flies, in any order, and where the tickets go."""

    passengers: tuple[rules.Named, ...]
    email: str
    phone: str | None = None


class PlaceOut(Wire):
    """An airport, in short."""

    code: str
    name: str
    city: str
    country: str
    time_zone: str

    @classmethod
    def of(cls, place: Place) -> PlaceOut:
        """Return the wire form of a place."""
        return cls(code=place.code, name=place.name, city=place.city, country=place.country, time_zone=place.time_zone)


class SegmentOut(Wire):
    """One flight of a slice; instants carry the local offset."""

    flight_id: UUID
    carrier: str
    carrier_name: str
    flight_number: str
    origin: PlaceOut
    destination: PlaceOut
    departure_at: datetime
    arrival_at: datetime
    duration_minutes: int
    aircraft: str
    status: str

    @classmethod
    def of(cls, flight: FlightView) -> SegmentOut:
        """Return the wire form of a flight."""
        return cls(
            flight_id=flight.public_id,
            carrier=flight.carrier,
            carrier_name=flight.carrier_name,
            flight_number=flight.designator,
            origin=PlaceOut.of(flight.origin),
            destination=PlaceOut.of(flight.destination),
            departure_at=flight.departure,
            arrival_at=flight.arrival,
            duration_minutes=flight.duration_minutes,
            aircraft=flight.aircraft,
            status=flight.status,
        )


class SliceOut(Wire):
    """One direction of the trip."""

    origin: PlaceOut
    destination: PlaceOut
    cabin: str
    brand: str
    booking_class: str
    fare_basis: str
    conditions: dict[str, Any]
    segments: tuple[SegmentOut, ...]
    cancelled: bool


class PassengerOut(Wire):
    """One traveller; `ticketName` is the name as it stands on the ticket.

    `notFlying` are the directions (from 0) that this traveller no longer flies while others of the booking do.
    """

    id: UUID
    type: PassengerType
    given_name: str | None
    family_name: str | None
    ticket_name: str | None
    ticket_number: str | None
    cancelled: bool
    not_flying: tuple[int, ...]


class ContactOut(Wire):
    """Where the tickets go."""

    email: str | None
    phone: str | None


class PriceLineOut(Wire):
    """One printed line of the price; the lines add up to the total."""

    code: str
    label: str
    amount: MoneyWire
    passenger_id: UUID | None
    slice_index: int


class SeatNamedOut(Wire):
    """A seat by name that a traveller has on a flight."""

    passenger_id: UUID
    flight_id: UUID
    seat: str


class BookingOut(Wire):
    """A booking. `expiresAt` is set while it is held; `availableActions` are those open now.

    `freeActions` says of cancel and change which take nothing now, and by which rule: within_24_hours of the purchase,
    the carrier's own change, or carrier_in_part where that frees only some of the directions.
    """

    reference: str
    status: Literal["held", "confirmed", "cancelled", "expired"]
    expires_at: datetime | None
    total: MoneyWire
    balance: MoneyWire
    contact: ContactOut
    passengers: tuple[PassengerOut, ...]
    slices: tuple[SliceOut, ...]
    price_breakdown: tuple[PriceLineOut, ...]
    seats: tuple[SeatNamedOut, ...]
    available_actions: tuple[str, ...]
    free_actions: dict[str, str]
    created_at: datetime
    confirmed_at: datetime | None
    booking_token: str | None = None


def booking_wire(
    view: rules.BookingView,
    now: datetime,
    *,
    token: str | None = None,
    freed: actions.Freed = actions.NOTHING_FREED,
) -> dict[str, Any]:
    """Return the booking as the API tells it at `now`; `token` only in the answer to who made it as a guest.

    `freed` is what open changes by the carrier make free.
    """
    wire = _booking_out(view, now, token, freed).wire()
    if token is None:
        del wire["bookingToken"]
    return wire


def _booking_out(view: rules.BookingView, now: datetime, token: str | None, freed: actions.Freed) -> BookingOut:
    status = view.status_at(now)
    due = view.balance_minor if status in ("held", "confirmed") else 0
    return BookingOut(
        reference=view.reference,
        status=status,
        expires_at=view.expires_at,
        total=MoneyWire.of(view.total_minor, view.currency),
        balance=MoneyWire.of(due, view.currency),
        contact=ContactOut(email=view.contact_email, phone=view.contact_phone),
        passengers=tuple(_passenger_out(one) for one in view.passengers),
        slices=tuple(_slice_out(piece) for piece in view.slices),
        price_breakdown=tuple(_line_out(line, view.currency) for line in view.charges),
        seats=tuple(_seats_out(view)),
        available_actions=tuple(actions.open_actions(view, now, freed)),
        free_actions=actions.free_actions(view, now, freed),
        created_at=view.created_at.astimezone(UTC),
        confirmed_at=view.confirmed_at,
        booking_token=token,
    )


def _seats_out(view: rules.BookingView) -> Iterator[SeatNamedOut]:
    for flight in (flight for piece in view.slices for flight in piece.flights):
        for who, seat in view.seats_on(flight.id).items():
            yield SeatNamedOut(passenger_id=who, flight_id=flight.public_id, seat=seat)


def _passenger_out(one: rules.PassengerView) -> PassengerOut:
    return PassengerOut(
        id=one.id,
        type=one.type,
        given_name=one.given_name,
        family_name=one.family_name,
        ticket_name=one.ticket_name,
        ticket_number=one.ticket_number,
        cancelled=one.cancelled_at is not None,
        not_flying=one.stays_off,
    )


def _slice_out(piece: rules.SliceView) -> SliceOut:
    return SliceOut(
        origin=PlaceOut.of(piece.origin),
        destination=PlaceOut.of(piece.destination),
        cabin=piece.cabin,
        brand=piece.brand,
        booking_class=piece.booking_class,
        fare_basis=piece.fare_basis,
        conditions=piece.conditions,
        segments=tuple(SegmentOut.of(flight) for flight in piece.flights),
        cancelled=piece.cancelled_at is not None,
    )


def _line_out(line: rules.ChargeView, currency: str) -> PriceLineOut:
    return PriceLineOut(
        code=line.code,
        label=line.label,
        amount=MoneyWire.of(line.amount_minor, currency),
        passenger_id=line.passenger_id,
        slice_index=line.slice_position,
    )

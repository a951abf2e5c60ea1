"""What somebody asks to wait for or to hear of: one parser for pages and API."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from portal.accounts.forms import Address
from portal.booking.forms import MoneyWire
from portal.flights.queries import FlightView
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.money import Money
from portal.kit.validation import Wire
from portal.pricing.rules import Party
from portal.search.forms import MAX_SEATS, Cabin, Code
from portal.watches.rules import AlertView, WaitView

OWN_ADDRESS = "the account's own address, which is meant where none is given; no other is written to"
Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class PartyWire(Wire):
    """Who travels; at most nine seats, and a lap for each infant."""

    adults: int = Field(1, ge=1, le=9)
    children: int = Field(0, ge=0, le=8, description="2 to 11 years")
    infants: int = Field(0, ge=0, le=9, description="under 2, on an adult's lap")

    @model_validator(mode="after")
    def _fits(self) -> PartyWire:
        if self.adults + self.children > MAX_SEATS:
            raise ValueError(_("We seat at most 9 travellers in one booking. Please split the party."))
        if self.infants > self.adults:
            raise ValueError(_("Each infant sits on the lap of one adult: add adults or a child's seat."))
        return self

    @property
    def party(self) -> Party:
        """The same as pricing knows it."""
        return Party(self.adults, self.children, self.infants)


class FullFlights(PartyWire):
    """A question for flights without seats: a route, a day and a party."""

    origin: Code
    destination: Code
    departure_date: date
    cabin: Cabin = "economy"


class Seats(PartyWire):
    """A party that wants a seat on a full flight, or on two that connect."""

    flight_id: UUID
    onward_flight_id: UUID | None = Field(None, description="the flight that it connects to")
    cabin: Cabin = "economy"
    brand: Annotated[str, StringConstraints(max_length=40)] | None = None


class NewWait(Seats):
    """A party that wants a seat on a full flight, or on two that connect, and where to write to.

    Sending it is the consent to be written to about these flights; each mail says how to leave.
    """

    email: Address


class OwnWait(Seats):
    """A party that wants a seat on a full flight, or on two that connect; mails go to the account's own address.

    Sending it is the consent to be written to about these flights; each mail says how to leave.
    """

    email: Address | None = Field(None, description=OWN_ADDRESS)


class Fares(PartyWire):
    """A wish for a route that costs less than an amount for the whole party, on a day or in a month."""

    origin: Code
    destination: Code
    departure_date: date | None = Field(None, description="either a day, local to the origin")
    month: Month | None = Field(None, description="or a month", examples=["2027-03"])
    cabin: Cabin = "economy"
    below: MoneyWire


class OwnAlert(Fares):
    """A wish to hear, at the account's own address, when a route costs less than an amount for the whole party."""

    email: Address | None = Field(None, description=OWN_ADDRESS)


class NewAlert(Fares):
    """A wish to hear when a route costs less than an amount for the whole party, on a day or in a month."""

    email: Address

    def days(self, today: date) -> tuple[date, date]:
        """Return the first and last day that it is about; raises Invalid for none, a past one, or one too far off."""
        first, last = self._span()
        if last < today:
            raise Invalid(errors=[FieldError(self._field, _("This day is over. Please choose today or a later one."))])
        if first > today + timedelta(days=360):
            raise Invalid(errors=[FieldError(self._field, _("Flights are not sold that far ahead."))])
        return max(first, today), last

    @property
    def _field(self) -> str:
        return "departureDate" if self.departure_date else "month"

    def _span(self) -> tuple[date, date]:
        if (self.departure_date is None) == (self.month is None):
            raise Invalid(errors=[FieldError("departureDate", _("Please give either a day or a month."))])
        if self.departure_date is not None:
            return self.departure_date, self.departure_date
        try:
            first = date.fromisoformat(f"{self.month}-01")
            return first, (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        except (ValueError, OverflowError):
            raise Invalid(errors=[FieldError("month", _("Please give a month, such as 2027-03."))]) from None

    def limit(self) -> Money:
        """Return the amount to stay below; raises Invalid for nothing."""
        found = self.below.money
        if not 0 < found.minor < 10**9:
            raise Invalid(errors=[FieldError("below.amount", _("Please give an amount above zero."))])
        return found


class PassengersOut(Wire):
    """Who travels."""

    adults: int
    children: int
    infants: int

    @classmethod
    def of(cls, party: Party) -> PassengersOut:
        """Return the wire form of a party."""
        return cls(adults=party.adults, children=party.children, infants=party.infants)


class WaitOut(Wire):
    """A place on a waiting list. `ahead` counts who came before; `bookingReference` is the hold that was offered."""

    id: UUID
    state: Literal["waiting", "offered", "taken", "lapsed", "left"]
    flight_id: UUID
    onward_flight_id: UUID | None
    flight_number: str
    origin: str
    destination: str
    departure_at: datetime
    cabin: Cabin
    passengers: PassengersOut
    email: str
    ahead: int
    booking_reference: str | None
    expires_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, view: WaitView) -> WaitOut:
        """Return the wire form of a place in line."""
        flight: FlightView = view.flight
        return cls(
            id=view.id,
            state=view.state,
            flight_id=flight.public_id,
            onward_flight_id=view.onward.public_id if view.onward else None,
            flight_number=flight.designator,
            origin=flight.origin.code,
            destination=view.destination.code,
            departure_at=flight.departure,
            cabin=view.cabin,
            passengers=PassengersOut.of(view.party),
            email=view.email,
            ahead=view.ahead,
            booking_reference=view.reference,
            expires_at=view.expires_at.astimezone(UTC) if view.expires_at else None,
            created_at=view.created_at.astimezone(UTC),
        )


class WaitList(Wire):
    """Places in lines, newest first."""

    data: tuple[WaitOut, ...]
    next_cursor: None = None


class AlertOut(Wire):
    """A fare alert; pending until the link in its first mail was followed."""

    id: UUID
    state: Literal["pending", "active", "over", "left"]
    origin: str
    destination: str
    first_date: date
    last_date: date
    cabin: Cabin
    passengers: PassengersOut
    below: MoneyWire
    last_told: MoneyWire | None
    email: str
    created_at: datetime

    @classmethod
    def of(cls, view: AlertView) -> AlertOut:
        """Return the wire form of an alert."""
        told = None if view.told_minor is None else MoneyWire.of(view.told_minor, view.currency)
        return cls(
            id=view.id,
            state=view.state,
            origin=view.origin.code,
            destination=view.destination.code,
            first_date=view.first_on,
            last_date=view.last_on,
            cabin=view.cabin,
            passengers=PassengersOut.of(view.party),
            below=MoneyWire.of(view.below_minor, view.currency),
            last_told=told,
            email=view.email,
            created_at=view.created_at.astimezone(UTC),
        )


class AlertList(Wire):
    """Fare alerts, newest first."""

    data: tuple[AlertOut, ...]
    next_cursor: None = None

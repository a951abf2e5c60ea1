"""Untrusted input of carrier changes, and what programs of staff are answered."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from portal.flights.forms import FlightOut, PriceOut
from portal.kit import ids
from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire

State = Literal["scheduled", "delayed", "closed", "cancelled", "departed"]
Kind = Literal["delay", "retime", "cancel", "swap"]
Cursor = Annotated[str, StringConstraints(max_length=500)]
Reason = Annotated[str, StringConstraints(min_length=3, max_length=300)]
FLIGHT = re.compile(r"([A-Z][A-Z0-9]|[0-9][A-Z])? ?0*([0-9]{1,4})")


def _route(typed: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}[ –-]{1,3}[A-Za-z]{3}", typed):
        raise ValueError(_("Please give two airport codes, such as JFK-LAX."))
    return typed.upper()


def _number(typed: str) -> str:
    if not FLIGHT.fullmatch(typed.upper()):
        raise ValueError(_("Please give a flight number, such as ME101 or 101."))
    return typed.upper()


def _wall(value: datetime) -> datetime:
    if value.tzinfo is not None:
        raise ValueError(_("Please give the airport's wall clock time, without an offset, such as 2027-03-28T23:55."))
    return value.replace(second=0, microsecond=0)


def _late(minutes: int) -> int:
    if not 0 <= minutes <= 2880:
        raise ValueError(_("Please give a delay of up to 48 hours; for more, give new times or cancel the flight."))
    return minutes


def _month(minutes: int) -> int:
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise ValueError(_("Please give 1 to 43200 minutes, which is 30 days."))
    return minutes


def _references(given: Any) -> Any:
    """A form gives one text, a program a list."""
    return re.split(r"[\s,;]+", given.strip()) if isinstance(given, str) else given


# JSON Schema's date-time has an offset; a clock on the wall has none.
CLOCK = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$"}
Wall = Annotated[datetime, AfterValidator(_wall), WithJsonSchema(CLOCK)]
Reference = Annotated[str, StringConstraints(max_length=20), AfterValidator(ids.normal_reference)]


class FlightsQuery(Wire):
    """Which flights are listed; without a day those still to leave, soonest first."""

    limit: int = Field(50, ge=1, le=200)
    cursor: Cursor | None = Field(None, description="`nextCursor` of the page before")
    on: date | None = Field(None, description="the day of departure, local to the origin")
    number: Annotated[str, StringConstraints(max_length=8), AfterValidator(_number)] | None = Field(
        None, description="`ME101` or `101`"
    )
    route: Annotated[str, AfterValidator(_route)] | None = Field(None, description="`JFK-LAX`")
    state: State | None = None

    @property
    def ends(self) -> tuple[str, str] | None:
        """The airports of the route, if one is asked for."""
        return (self.route[:3], self.route[-3:]) if self.route else None

    @property
    def flight(self) -> tuple[str | None, int] | None:
        """Carrier, where given, and number, if one is asked for."""
        found = FLIGHT.fullmatch(self.number) if self.number else None
        return (found[1], int(found[2])) if found else None


class _Ordered(Wire):
    reason: Reason = Field(description="what travellers are told")
    reopen: bool = Field(False, description="sell the flight again afterwards")
    dry_run: bool = Field(False, description="only say what it would do")


class DelayIn(_Ordered):
    """A delay; the schedule stays as it is. 0 takes it back."""

    minutes: Annotated[int, AfterValidator(_late)] = Field(description="0 to 2880, which is 48 hours", examples=[90])


class RetimeIn(_Ordered):
    """New times in the airports' own zones, on the same day."""

    departure_local: Wall
    arrival_local: Wall


class CancelIn(_Ordered):
    """A flight that will not leave; its sale stays closed."""

    reopen: Literal[False] = False


class SwapIn(_Ordered):
    """Another aircraft; `leaving` are references of bookings that are asked to leave a smaller one."""

    aircraft: Annotated[str, StringConstraints(min_length=2, max_length=4, to_upper=True)]
    leaving: Annotated[tuple[Reference, ...], BeforeValidator(_references)] = ()


ORDERS: dict[str, type[_Ordered]] = {"delay": DelayIn, "retime": RetimeIn, "cancel": CancelIn, "swap": SwapIn}
Order = DelayIn | RetimeIn | CancelIn | SwapIn


FIGURES = (("answer", "any"), ("refund", "domestic"), ("refund", "international"), ("clock", "any"))
LONGEST_MINUTES = 43_200


class RuleIn(Wire):
    """A figure from a day on: `answer` from how many minutes on is asked, `refund` from how many the money goes back.

    `clock` is how long an answer may take. `refund` differs by domestic and international; `source` says where it is
    written.
    """

    kind: Literal["answer", "refund", "clock"]
    scope: Literal["any", "domestic", "international"] = "any"
    minutes: Annotated[int, AfterValidator(_month)] = Field(description="1 to 43200, which is 30 days", examples=[180])
    source: Annotated[str, StringConstraints(min_length=3, max_length=200)] = Field(examples=["14 CFR 260.2"])
    valid_from: date

    @model_validator(mode="after")
    def _known(self) -> RuleIn:
        if (self.kind, self.scope) not in FIGURES:
            raise ValueError(_("Please choose one of the figures: only `refund` differs by where one flies."))
        return self


class RuleOut(Wire):
    """One version of a figure, and the days on which it holds; `validTo` null is open."""

    kind: Literal["answer", "refund", "clock"]
    scope: Literal["any", "domestic", "international"]
    minutes: int
    source: str
    valid_from: date
    valid_to: date | None


class RulesOut(Wire):
    """Every version of every figure, the newest first."""

    data: tuple[RuleOut, ...]


class CabinSeats(Wire):
    """The seats of one cabin: sold + held + free = capacity."""

    cabin: str
    capacity: int
    sold: int
    held: int


class StaffFlightOut(Wire):
    """A flight as staff see it."""

    flight: FlightOut
    state: State
    sale_open: bool
    cabins: tuple[CabinSeats, ...]


class StaffFlightsOut(Wire):
    """Flights, soonest first."""

    data: tuple[StaffFlightOut, ...]
    next_cursor: str | None


class ChangeOut(Wire):
    """What a change does, or would do (`id` null): bookings, passengers, connections missed, money by right."""

    id: UUID | None
    kind: Kind
    flight_id: UUID
    bookings: int
    passengers: int
    asked: int
    misconnections: int
    held_bookings: int
    refunds_up_to: tuple[PriceOut, ...]


class CarrierChangeOut(Wire):
    """What the airline changed of a booking. `choices` are what is open now; times carry the local offset."""

    id: UUID
    flight_id: UUID
    flight_number: str
    kind: Kind
    why: Literal["cancelled", "misconnected", "no_seat", "retimed", "delayed", "swapped"]
    reason: str
    departure_was: datetime
    arrival_was: datetime
    departure_is: datetime | None
    arrival_is: datetime | None
    refund_by_right: bool
    choices: tuple[Literal["accept", "rebook", "refund"], ...]
    state: Literal["told", "accepted", "rebooked", "refunded", "lapsed"]
    refund_at: datetime | None = Field(description="when the money goes back by itself, if nobody answers")


class CarrierChangesOut(Wire):
    """The changes of a booking, newest first."""

    data: tuple[CarrierChangeOut, ...]


class DecisionIn(Wire):
    """The traveller's answer; `rebook` takes an offer of a search for the same party, route and cabin."""

    choice: Literal["accept", "rebook", "refund"]
    offer_id: Annotated[str, StringConstraints(max_length=4096)] | None = None

    @model_validator(mode="after")
    def _with_offer(self) -> DecisionIn:
        if (self.choice == "rebook") != (self.offer_id is not None):
            raise ValueError(_("Another flight needs its offer, and nothing else does."))
        return self

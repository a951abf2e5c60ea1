"""What search answers to programs: the models that the OpenAPI document is made of, and that the tests hold it to."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import ConfigDict, Field

from portal.kit.validation import Wire
from portal.places.forms import AirportOut
from portal.search.forms import Cabin


class MoneyOut(Wire):
    """An amount as a decimal string with the currency's own number of digits."""

    amount: str
    currency: str


class TermOut(Wire):
    """Whether something is allowed, and at what price; null where it is not."""

    allowed: bool
    penalty: MoneyOut | None


class SeatTermOut(Wire):
    """Whether a seat may be chosen, and whether the fare includes it."""

    allowed: bool
    included: bool


class ConditionsOut(Wire):
    """What a fare promises."""

    refund: TermOut
    change: TermOut
    seat: SeatTermOut
    cabin_bag: bool
    checked_bags: int


class FareOut(Wire):
    """A brand of an itinerary at its whole price for the party; `seatsLeft` never says more than 9."""

    offer_id: str
    brand: str
    cabin: Cabin
    booking_class: str = Field(description="one letter: the cheapest class that is open for the whole party")
    fare_basis: str = Field(description="class, season, weekday, advance purchase and brand, at most 8 characters")
    total: MoneyOut
    seats_left: int
    conditions: ConditionsOut
    expires_at: str


class SegmentOut(Wire):
    """One flight; instants carry the local offset of their airport."""

    flight_id: str
    carrier: str
    carrier_name: str
    flight_number: str
    origin: AirportOut
    destination: AirportOut
    departure_at: str
    arrival_at: str
    duration_minutes: int
    aircraft: str


class ItineraryOut(Wire):
    """One way of a slice."""

    id: str
    duration_minutes: int
    stops: int
    segments: list[SegmentOut]
    fares: list[FareOut]


class SliceOut(Wire):
    """What was found for one direction."""

    origin: str
    destination: str
    date: date
    next_cursor: str | None
    itineraries: list[ItineraryOut]


class PassengersOut(Wire):
    """Who travels."""

    adults: int
    children: int
    infants: int


class SearchOut(Wire):
    """The answer to a search."""

    currency: str
    passengers: PassengersOut
    slices: list[SliceOut]


class DayOut(Wire):
    """The lowest whole price for one adult on a day's non-stop flights; null where none is for sale."""

    model_config = ConfigDict(alias_generator=None)

    date: date
    from_: MoneyOut | None = Field(alias="from")


class CalendarOut(Wire):
    """A month of lowest prices, as of a moment."""

    data: list[DayOut]
    as_of: str


class StepOut(Wire):
    """One step: which rule, its factor as a decimal, and an adult's fare after it, rounded half up."""

    kind: Literal["base", "route", "season", "holiday", "weekday", "advance", "load", "class", "brand"]
    key: str
    label: str
    factor: str | None
    amount: MoneyOut


class SegmentPriceOut(Wire):
    """One flight, from its base fare to its fare, step by step."""

    flight_id: str | None
    flight_number: str | None
    steps: list[StepOut]
    fare: MoneyOut


class PriceLineOut(Wire):
    """One line for one traveller: the fare, or a tax or fee by its code."""

    code: str
    label: str
    amount: MoneyOut


class TravellerPriceOut(Wire):
    """What each traveller of a type pays: the share of an adult's fare, the lines, their sum, and that for all."""

    type: Literal["adult", "child", "infant"]
    count: int
    fare_percent: int
    lines: list[PriceLineOut]
    each: MoneyOut
    all: MoneyOut


class ExplainOut(Wire):
    """Why an offer costs what it costs: segments' fares × brand = an adult's fare; its lines × travellers = total."""

    offer_id: str
    brand: str
    cabin: Cabin
    booking_class: str
    fare_basis: str
    segments: list[SegmentPriceOut]
    brand_step: StepOut
    travellers: list[TravellerPriceOut]
    total: MoneyOut
    expires_at: str

"""How a trip is told: as a line with stops, its price by kind of traveller, the way back to its search. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import UUID

from portal.accounts.queries import Saved
from portal.accounts.rules import type_on
from portal.booking.rules import BookingView, printed_lines
from portal.booking.views import AmendmentView, ChargeView, SliceView
from portal.flights.queries import FlightView
from portal.kit import signing
from portal.kit.i18n import gettext as _
from portal.kit.i18n import ngettext
from portal.kit.settings import Settings
from portal.places.queries import Place
from portal.pricing.discounts import LINE, PaidFare, PromotedSlice
from portal.pricing.rules import PriceLine
from portal.pricing.told import WhyGroup, why
from portal.search.rules import Offer
from portal.search.told import Leg, Stop

PAID = "paid-page"
PRINTED = ("code", "label", "amount_minor")


@dataclass(frozen=True, slots=True)
class Journey:
    """One direction as a line with its stops, for the drawn timeline."""

    segments: tuple[Leg, ...]
    stops: tuple[Stop, ...]
    origin: Place
    destination: Place
    departure_local: datetime
    arrival_local: datetime
    duration_minutes: int
    day_shift: int
    flight_numbers: str


def journey(flights: tuple[FlightView, ...]) -> Journey:
    """Return the flights of one direction as one line; minutes are real ones, also over a change of clocks."""
    first, last = flights[0], flights[-1]
    return Journey(
        tuple(_leg(one, other) for one, other in zip(flights, (*flights[1:], None), strict=True)),
        tuple(_stop(first, one, other) for one, other in pairwise(flights)),
        first.origin,
        last.destination,
        first.departure_local,
        last.arrival_local,
        _minutes(first.departure_at, last.arrival_at),
        (last.arrival_local.date() - first.departure_local.date()).days,
        " · ".join(flight.designator for flight in flights),
    )


def _stop(first: FlightView, one: FlightView, other: FlightView) -> Stop:
    place = one.destination
    waited = _minutes(one.arrival_at, other.departure_at)
    return Stop(place.code, place.city, _minutes(first.departure_at, one.arrival_at), waited)


def _leg(one: FlightView, other: FlightView | None) -> Leg:
    return Leg(
        one.departure_local,
        one.arrival_local,
        one.origin,
        one.destination,
        one.carrier_name,
        one.designator,
        one.aircraft_name,
        one.duration_minutes,
        one.day_shift,
        _minutes(one.arrival_at, other.departure_at) if other else 0,
    )


def _minutes(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() / 60)


class Printed(Protocol):
    """A line of a price, of an offer or of a booking."""

    @property
    def code(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def amount_minor(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Line:
    """A sum as it is printed."""

    label: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Group:
    """What travellers of one kind pay together."""

    label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """The whole price; its lines add up to it."""

    groups: tuple[Group, ...]
    total_minor: int
    currency: str


def price_of_offers(offers: Sequence[Offer], journeys: Sequence[Journey]) -> Price:
    """Return the price of offers, one a slice, before anything is held."""
    types = offers[0].party.types
    lines = [(types[who], at, line) for who, at, line in printed_lines(offers)]
    return Price(_groups(lines, types, journeys), sum(offer.total_minor for offer in offers), offers[0].currency)


def whys_of_offers(offers: Sequence[Offer], journeys: Sequence[Journey]) -> list[list[WhyGroup]]:
    """Return, for each slice, the steps that lead to an adult's fare."""
    return [
        why(offer.pricing, {one: leg.flight_number for one, leg in zip(offer.flight_ids, way.segments, strict=True)})
        for offer, way in zip(offers, journeys, strict=True)
    ]


def price_of_booking(view: BookingView, journeys: Sequence[Journey]) -> Price:
    """Return the price of a booking as it stands; a paid extra that no longer stands is marked as given up."""
    kinds: dict[UUID | None, str] = {one.id: one.type for one in view.passengers}
    lines = [(kinds.get(line.passenger_id, ""), line.slice_position, line) for line in _marked(view)]
    return Price(_standing(_groups(lines, list(kinds.values()), journeys)), view.total_minor, view.currency)


def _marked(view: BookingView) -> list[ChargeView]:
    """What gives an extra's price back may not name the extra: it is known by traveller, direction and words."""
    standing = {one.id for one in view.items}
    paid_for = [line for line in view.charges if line.item_id is not None]
    gone = {_face(line) for line in paid_for if line.item_id not in standing}
    gone -= {_face(line) for line in paid_for if line.item_id in standing}
    return [
        replace(line, label=_("%(extra)s (given up)") % {"extra": line_words(line)}) if _face(line) in gone else line
        for line in view.charges
    ]


def _face(line: ChargeView) -> tuple[UUID | None, int, str, str]:
    return line.passenger_id, line.slice_position, line.code, line.label


def price_of_amendment(view: BookingView, one: AmendmentView, journeys: Sequence[Journey]) -> Price:
    """Return what an amendment adds to the price; lines that only change places cancel each other out."""
    kinds: dict[str, str] = {str(each.id): each.type for each in view.passengers}
    types = [each.type for each in view.active_passengers or view.passengers]
    lines = [
        (kinds.get(line["passenger_id"], ""), line["slice_position"], PriceLine(*(line[name] for name in PRINTED)))
        for line in one.lines
    ]
    groups = _standing(_groups(lines, types, journeys))
    return Price(groups, one.due_minor - one.refund_minor, one.currency)


def _standing(groups: Iterable[Group]) -> tuple[Group, ...]:
    """Leave out what was taken back in full: its lines cancel each other out."""
    left = (Group(group.label, tuple(line for line in group.lines if line.amount_minor)) for group in groups)
    return tuple(group for group in left if group.lines)


def _groups(
    lines: Iterable[tuple[str, int, Printed]], types: Sequence[str], journeys: Sequence[Journey]
) -> tuple[Group, ...]:
    """A fare stands for each direction, and before the taxes and fees, which stand for the whole trip."""
    sums: dict[str, dict[tuple[str, str], int]] = {}
    for kind, at, line in sorted(lines, key=lambda one: one[2].code != "fare"):
        label = line_words(line)
        if line.code == "fare" and len(journeys) > 1:
            label = f"{label} {journeys[at].origin.code}–{journeys[at].destination.code}"
        of_kind = sums.setdefault(kind, {})
        of_kind[line.code, label] = of_kind.get((line.code, label), 0) + line.amount_minor
    return tuple(Group(_counted(kind, types.count(kind)), _lines(of_kind)) for kind, of_kind in sums.items())


def line_words(line: Printed) -> str:
    """Return a line's words: those of the house in the reader's language, others as they were kept."""
    own = {
        "cancel_fee": _("Cancellation fee"),
        "change_fee": _("Change fee"),
        "fare_kept": _("Fare that is not refunded"),
    }
    return own.get(line.code) or _(line.label)


def _lines(sums: Mapping[tuple[str, str], int]) -> tuple[Line, ...]:
    return tuple(Line(label, amount) for (_code, label), amount in sums.items())


def _counted(kind: str, count: int) -> str:
    words = {
        "adult": ngettext("%(num)d adult", "%(num)d adults", count),
        "child": ngettext("%(num)d child", "%(num)d children", count),
        "infant": ngettext("%(num)d infant on a lap", "%(num)d infants on laps", count),
    }
    return words.get(kind, _("For the whole booking")) % {"num": count}


def kind_word(kind: str) -> str:
    """Return what somebody travels as: `Adult`."""
    return {"adult": _("Adult"), "child": _("Child"), "infant": _("Infant on a lap")}[kind]


def headings(kinds: Iterable[str]) -> list[str]:
    """Return a heading for each traveller: `Adult 1`, `Adult 2`, `Child 1`."""
    counts: dict[str, int] = {}
    for kind in kinds:
        counts[kind] = counts.get(kind, 0) + 1
    return [f"{kind_word(kind)} {number + 1}" for kind, most in counts.items() for number in range(most)]


def error_list(errors: Mapping[str, str], headings: Sequence[str]) -> dict[str, str]:
    """Return each sentence with the field that it is about, for the list on top."""
    labels = {
        "givenName": _("given names"),
        "familyName": _("family name"),
        "dateOfBirth": _("date of birth"),
        "email": _("e-mail"),
        "phone": _("mobile number"),
    }
    listed = {}
    for pointer, sentence in errors.items():
        *_way, number, name = ["", "", *pointer.split(".")]
        who = headings[int(number)] if number.isdecimal() and int(number) < len(headings) else ""
        field = ", ".join(part for part in (who, labels.get(name, "")) if part)
        listed[pointer] = f"{field[:1].upper()}{field[1:]}: {sentence}" if field else sentence
    return listed


def search_again(view: BookingView) -> str:
    """Return the address that searches a booking's trip again for the same party."""
    ways = [(one.origin.code, one.destination.code, one.flights[0].departs_on.isoformat()) for one in view.slices]
    return search_url(ways, [one.type for one in view.passengers], view.slices[0].cabin)


def search_like(offers: Sequence[Offer], journeys: Sequence[Journey]) -> str:
    """Return the address of the search that the offers came from."""
    ways = [(one.origin.code, one.destination.code, one.departure_local.date().isoformat()) for one in journeys]
    return search_url(ways, offers[0].party.types, offers[0].cabin)


def search_url(ways: Sequence[tuple[str, str, str]], kinds: Sequence[str], cabin: str) -> str:
    """Return the results page's address for these ways (origin, destination, day), a traveller for each kind."""
    first, last = ways[0], ways[-1]
    wish = [("origin", first[0]), ("destination", first[1]), ("departureDate", first[2])]
    if len(ways) == 2 and last[:2] == (first[1], first[0]):
        wish.append(("returnDate", last[2]))
    elif len(ways) > 1:
        wish = [("slice", "-".join(way)) for way in ways]
    counts = {"adults": "adult", "children": "child", "infants": "infant"}
    wish += [(name, str(list(kinds).count(kind))) for name, kind in counts.items()]
    return f"/flights?{urlencode([*wish, ('cabin', cabin)])}"


def by_type(saved: Iterable[Saved], day: date) -> dict[str, list[Saved]]:
    """Return an account's saved travellers by what they travel as on `day`."""
    found: dict[str, list[Saved]] = {}
    for one in saved:
        found.setdefault(type_on(one.date_of_birth, day), []).append(one)
    return found


def filled(fields: Mapping[str, Any], saved: Mapping[str, Sequence[Saved]]) -> dict[str, str]:
    """Return the fields that a press on one of the form's `fill in` buttons sets, by name; nothing for any other."""
    index = str(fields.get("_fill_in", ""))
    chosen = fields.get(f"_fill.{index}")
    one = next((one for group in saved.values() for one in group if str(one.id) == chosen), None)
    if one is None:
        return {}
    values = {"givenName": one.given_name, "familyName": one.family_name, "dateOfBirth": one.date_of_birth.isoformat()}
    return {f"passengers.{index}.{name}": value for name, value in values.items()}


def promoted(piece: SliceView) -> PromotedSlice:
    """Return what a promotion needs to know of a direction."""
    days = tuple(flight.departs_on for flight in piece.flights)
    ends = piece.origin.code, piece.destination.code
    return PromotedSlice(piece.position, *ends, piece.cabin, piece.brand, days)


def paid_fares(view: BookingView) -> list[PaidFare]:
    """Return what each traveller pays as fare in each direction, before taxes."""
    places = {one.id: at for at, one in enumerate(view.passengers)}
    sums: dict[tuple[int, int], int] = {}
    for line in view.charges:
        if line.code == "fare" and line.passenger_id is not None:
            at = places[line.passenger_id], line.slice_position
            sums[at] = sums.get(at, 0) + line.amount_minor
    return [PaidFare(who, piece, amount) for (who, piece), amount in sums.items()]


def promotion_code(view: BookingView) -> str:
    """Return the promotion that the booking is bought with, as its line names it; empty without one."""
    return next((line.label.rpartition(" ")[2] for line in view.charges if line.code == LINE), "")


def paid_path(settings: Settings, payment_id: UUID) -> str:
    """Return where a payer without the booking comes back to; the same each time, since gateways compare it."""
    return f"/paid/{payment_id}.{signing.mark(settings, PAID, str(payment_id))}"


def paid_id(settings: Settings, token: str) -> UUID:
    """Return the payment that such an address is for; raises ValueError for one that we did not make."""
    name, _dot, given = token.partition(".")
    if not signing.is_marked(settings, PAID, name, given):
        raise ValueError(token)
    return UUID(name)

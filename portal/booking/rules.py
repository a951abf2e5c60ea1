"""What a booking is and what may be done with it: ages, names, the state machine, who may see it. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol
from uuid import UUID

from portal.booking.views import AmendmentView, BookingView, ChargeView, ItemView, PassengerView, SliceView
from portal.flights.queries import FlightView
from portal.kit.errors import FieldError
from portal.kit.i18n import gettext as _
from portal.kit.latin import passport_letters
from portal.kit.money import Money, digits
from portal.pricing.rules import TYPES, PriceLine
from portal.search.rules import Offer

__all__ = ["AmendmentView", "BookingView", "ChargeView", "ItemView", "PassengerView", "SliceView"]

MAX_SEATS = 9
MAX_SLICES = 6
MAX_EXTENSIONS = 10
MAX_PAYMENTS = 10
OVER_KEPT = timedelta(days=180)
PAYING_MINUTES = 10
COMPANION_AGE = 16
CHECK_IN_OPENS, CHECK_IN_CLOSES = timedelta(hours=24), timedelta(minutes=60)
LEAST_PART = 100
NEXT = {"held": ("confirmed", "expired"), "confirmed": ("cancelled",), "cancelled": (), "expired": ()}
MAX_CORRECTIONS = 2
MOST_LETTERS = 3


def least_of(due: Money) -> Money:
    """Return how small a part of what is due one card may pay: one whole unit of the currency, or a hundred small."""
    return Money(max(LEAST_PART, int(10 ** digits(due.currency))), due.currency)


def taken_of(due: Money, asked: Money | None, *, partial: bool) -> Money | None:
    """Return what a payment takes of what is due: all of it, or the part asked for. None: neither fits.

    A part, and what it leaves, is at least `least_of`.
    """
    if asked in (None, due):
        return due
    least = least_of(due).minor
    if partial and asked is not None and asked.currency == due.currency and least <= asked.minor <= due.minor - least:
        return asked
    return None


def may_become(status: str, new: str) -> bool:
    """True when the state machine has this step: held → confirmed → cancelled, held → expired."""
    return new in NEXT[status]


def may_see(
    view: BookingView, *, user_id: UUID | None, staff: bool, family_name: str | None, granted: str | None
) -> bool:
    """True for the owner, staff, a browser or token that was granted it, and who knows a traveller's family name."""
    owner = user_id is not None and user_id == view.user_id
    return owner or staff or granted is not None or knows_name(view, family_name)


class Owned(Protocol):
    """What has an owner, perhaps."""

    @property
    def user_id(self) -> UUID | None: ...


def may_manage(view: Owned, *, user_id: UUID | None, staff: bool, granted: str | None) -> bool:
    """True for the owner, staff, and who was granted to manage it. A reference and a name are no password."""
    return (user_id is not None and user_id == view.user_id) or staff or granted == "manage"


def knows_name(view: BookingView, family_name: str | None) -> bool:
    """True when `family_name` is a traveller's, as typed or as on the ticket, without regard to case and accents."""
    typed = _spellings(family_name)
    names = {spelt for one in view.passengers for spelt in _spellings(one.family_name)}
    names |= {(one.ticket_name or "").split("/")[0] for one in view.passengers}
    return not typed.isdisjoint(names - {""})


def _spellings(name: str | None) -> set[str]:
    """Müller is found as MÜLLER, Mueller (as on the ticket) and Muller (as typed where there is no ü)."""
    if not name:
        return set()
    bare = "".join(letter for letter in unicodedata.normalize("NFD", name) if not unicodedata.combining(letter))
    return {passport_letters(one) or " ".join(one.upper().split()) for one in (name, bare)} - {""}


def age_on(born: date, day: date) -> int:
    """Return the age in whole years on `day`; who is born on 29 February turns older on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def age_problem(kind: str, born: date, days: Sequence[date]) -> str | None:
    """Return why somebody born then cannot travel as `kind` on these days (local to each departure), or None.

    Infants are under 2 on the day of each flight, children 2–11, adults 12 and over. An infant who turns 2 on the way
    needs a seat: such a child may travel as a child throughout. Who turns 12 on the way travels as an adult throughout.
    """
    first, last = age_on(born, min(days)), age_on(born, max(days))
    if first < 0:
        return _("This date of birth is after the first flight.")
    if first > 120:
        return _("Please check the year of birth.")
    if kind == "infant" and last >= 2:
        return _infant_too_old(first)
    if kind == "child" and last < 2:
        return _("Under 2 on every flight: please search again with an infant on a lap instead of a child.")
    if kind == "child" and last >= 12:
        return _("12 or older on the day of a flight: please search again with one adult more and one child fewer.")
    if kind == "adult" and last < 12:
        return _("Under 12 on every flight: please search again with a child instead of an adult.")
    return None


def _infant_too_old(first: int) -> str:
    if first < 2:
        return _("Turns 2 before the last flight and needs a seat: please search again with a child instead.")
    return _("2 or older on the day of a flight: please search again with a child instead of an infant.")


def companion_problem(kinds: Sequence[tuple[str, date]], day: date) -> str | None:
    """Return why those under 12 in this party (type, date of birth) cannot fly on `day`, their first, or None."""
    ages = [age_on(born, day) for _kind, born in kinds]
    if min(ages) >= 12 or max(ages) >= COMPANION_AGE:
        return None
    return _("Children under 12 fly with somebody of 16 or over. Please call us about a child who travels alone.")


@dataclass(frozen=True, slots=True)
class Named:
    """One traveller as typed."""

    type: str
    given_name: str
    family_name: str
    date_of_birth: date


def traveller_errors(named: Sequence[Named], party: Sequence[str], days: Sequence[date]) -> list[FieldError]:
    """Return a sentence at each wrong field; none when these people are this party and may fly on these days."""
    if sorted(one.type for one in named) != sorted(party):
        return [FieldError("passengers", _party_words(party))]
    wrong = [error for at, one in enumerate(named) for error in _traveller_errors(f"passengers.{at}", one, days)]
    alone = companion_problem([(one.type, one.date_of_birth) for one in named], min(days))
    return [FieldError("passengers.0.dateOfBirth", alone)] if alone and not wrong else wrong


def _traveller_errors(at: str, one: Named, days: Sequence[date]) -> list[FieldError]:
    wrong = name_problems(at, one.given_name, one.family_name)
    age = age_problem(one.type, one.date_of_birth, days)
    return [*wrong, FieldError(f"{at}.dateOfBirth", age)] if age else wrong


def _party_words(party: Sequence[str]) -> str:
    counts = ", ".join(f"{party.count(kind)} {kind}" for kind in dict.fromkeys(party))
    return _("The price is for: %(party)s. Please name exactly these travellers.") % {"party": counts}


def in_party_order(named: Sequence[Named]) -> list[Named]:
    """Return the travellers as a party is counted: adults, children, infants, each as they were given."""
    return sorted(named, key=lambda one: TYPES.index(one.type))


def name_fields(one: Named) -> dict[str, Any]:
    """Return what is kept of a traveller: the name as typed, and the ticket name made of it."""
    return {
        "given_name": one.given_name or None,
        "family_name": one.family_name,
        "ticket_name": ticket_name(one.given_name, one.family_name),
        "date_of_birth": one.date_of_birth,
    }


def slice_fields(offer: Offer) -> dict[str, Any]:
    """Return what is kept of an offer for its slice, the conditions as they were promised."""
    kept = ("cabin", "brand", "booking_class", "fare_basis", "conditions", "pricing")
    ends = {"origin": offer.slice_origin, "destination": offer.slice_destination}
    return {**ends, **{name: getattr(offer, name) for name in kept}}


def ticket_name(given: str, family: str) -> str | None:
    """Return FAMILY/GIVEN in A–Z (ICAO Doc 9303), FAMILY alone for who has one name; None if it cannot be spelt."""
    spelt = [passport_letters(part) for part in (family, given) if part.strip()]
    if not spelt or None in spelt:
        return None
    return "/".join(part for part in spelt if part)


def name_problems(at: str, given: str, family: str) -> list[FieldError]:
    """Return what is wrong with a name whose fields stand under `at`, one sentence a field."""
    wrong = []
    for field, typed in (("givenName", given), ("familyName", family)):
        if typed.strip() and passport_letters(typed) is None:
            wrong.append(FieldError(f"{at}.{field}", _unspelt(typed)))
    return wrong


def _unspelt(typed: str) -> str:
    if any(character.isdigit() for character in typed):
        return _("A name has no digits. Please write it as in the passport.")
    if not any(character.isalpha() for character in typed):
        return _("Please write the name in letters.")
    return _("We cannot spell this in the letters A–Z. Please write it as in the lower lines of the passport.")


def offers_problem(offers: Sequence[Offer]) -> str | None:
    """Return why these offers, one a slice, cannot be one booking, or None."""
    party = offers[0].party
    if any((offer.party, offer.currency) != (party, offers[0].currency) for offer in offers):
        return _("The offers are for different travellers or currencies.")
    flights = [flight for offer in offers for flight in offer.flight_ids]
    if len(set(flights)) < len(flights):
        return _("The same flight is in it twice.")
    if party.seats > MAX_SEATS:
        return _("At most nine seats can be booked at once.")
    if not party.adults:
        return _("A child cannot travel alone here. Please call us about it.")
    return _("Each infant sits on the lap of an adult of their own.") if party.infants > party.adults else None


def printed_lines(offers: Sequence[Offer]) -> list[tuple[int, int, PriceLine]]:
    """Return the price's lines as (passenger, slice, line), counted from 0; they add up to the offers' total.

    Raises ValueError otherwise: nothing is sold at a price that cannot be printed.
    """
    lines = [
        (who, at, line)
        for who, kind in enumerate(offers[0].party.types)
        for at, offer in enumerate(offers)
        for line in offer.per_type[kind]
    ]
    if sum(line.amount_minor for _who, _at, line in lines) != sum(offer.total_minor for offer in offers):
        raise ValueError("the lines of an offer do not add up to its total")
    return lines


def order_problem(slices: Sequence[Sequence[FlightView]]) -> str | None:
    """Return why these flights, slice by slice, cannot be flown one after the other, or None."""
    flights = [flight for piece in slices for flight in piece]
    for one, other in pairwise(flights):
        if other.departure_at < one.arrival_at:
            return _("A flight would leave before the one before it has landed. Please choose again.")
    return None


def left_problem(slices: Sequence[SliceView], now: datetime) -> str | None:
    """Return why these directions can no longer be changed or cancelled, or None: each can until it begins."""
    if not slices:
        return _("Every flight of this booking has left.")
    return _("The first flight of this direction has left.") if any(one.has_left(now) for one in slices) else None


def cancel_problem(
    view: BookingView, travellers: Sequence[PassengerView], slices: Sequence[SliceView], now: datetime
) -> str | None:
    """Return why these travellers cannot be cancelled on these directions, or None.

    Who stays on a direction must be able to fly it: each infant with an adult of its own, children with somebody of 16
    or over. What others have flown, or fly, is nobody's business there.
    """
    no, gone = left_problem(slices, now), {one.id for one in travellers}
    for piece in slices:
        stay = [one for one in view.flying(piece.position) if one.id not in gone]
        no = no or (company_problem(stay, piece.flights[0].departs_on) if stay else None)
    return no


def company_problem(stay: Sequence[PassengerView], day: date) -> str | None:
    """Return why these people cannot fly by themselves on that day, or None: laps, and the company of children."""
    kinds = [one.type for one in stay]
    if kinds.count("infant") > kinds.count("adult"):
        return _("Each infant sits on the lap of an adult of their own: please choose the infant too.")
    return companion_problem([(one.type, one.date_of_birth) for one in stay if one.date_of_birth is not None], day)


def party_problem(stay: Sequence[PassengerView], days: Sequence[date]) -> str | None:
    """Return why these people cannot fly by themselves on these days, or None: ages, infants, company of children."""
    for one in stay:
        wrong = age_problem(one.type, one.date_of_birth, days) if one.date_of_birth is not None else None
        if wrong:
            return wrong
    return company_problem(stay, min(days))


def change_problem(
    view: BookingView,
    piece: SliceView,
    offer: Offer,
    flights: Sequence[FlightView],
    now: datetime,
    *,
    free: bool,
    kept: int = 0,
) -> str | None:
    """Return why a direction, but for its first `kept` flights, cannot be flown by these flights instead, or None."""
    no = left_problem([piece], now) if not kept else onward_problem(piece, flights, kept, now)
    if no:
        return no
    if not free and not (piece.conditions.get("change") or {}).get("allowed"):
        return _("The fare %(brand)s cannot be changed. It can be cancelled.") % {"brand": piece.brand}
    if (offer.slice_origin, offer.slice_destination) != (piece.flights[kept].origin.code, piece.destination.code):
        return _("A change keeps the way: another day or another flight, from and to the same airports.")
    counts = {kind: [one.type for one in view.flying(piece.position)].count(kind) for kind in TYPES}
    if (offer.currency, offer.party.counts) != (view.currency, {kind: n for kind, n in counts.items() if n}):
        return _("This offer is for other travellers or in another currency. Please search again from your booking.")
    return _fit_problem(view, piece, offer, [*piece.flights[:kept], *flights])


def onward_problem(piece: SliceView, flights: Sequence[FlightView], kept: int, now: datetime) -> str | None:
    """Return why the rest of a way of which `kept` flights have left cannot be flown by these flights, or None."""
    if flights[0].leaves_at <= now:
        return _("This flight has left. Please choose a later one.")
    if flights[0].leaves_at < piece.flights[kept - 1].lands_at:
        return _("A flight would leave before the one before it has landed. Please choose again.")
    return None


def _fit_problem(view: BookingView, piece: SliceView, offer: Offer, flights: Sequence[FlightView]) -> str | None:
    same = tuple(one.id for one in piece.flights), piece.cabin, piece.brand
    if (tuple(one.id for one in flights), offer.cabin, offer.brand) == same:
        return _("These are the flights that you have.")
    slices = [flights if one.position == piece.position else one.flights for one in view.active_slices]
    every = [flight.id for one in slices for flight in one]
    if len(set(every)) < len(every):
        return _("The same flight is in it twice.")
    days = [flight.departs_on for one in slices for flight in one]
    return order_problem(slices) or party_problem(view.flying(piece.position), days)


def correction_problem(
    view: BookingView, one: PassengerView, given_name: str, family_name: str, now: datetime
) -> str | None:
    """Return why a name cannot be corrected so online, or None: three letters at most, twice, until check-in opens."""
    new = ticket_name(given_name, family_name) or ""
    made = [kept for kept in view.amendments if kept.kind == "correction"]
    if sum(kept.payload["passenger"] == str(one.id) for kept in made) >= MAX_CORRECTIONS:
        return _("This name was corrected twice already. Please write to us; the address is on the help page.")
    if any(flight.departure_at - CHECK_IN_OPENS <= now for flight in view.flights):
        return _("Check-in has opened. Please correct the name at the airport, with your passport.")
    if (one.given_name or "", one.family_name or "") == (given_name.strip(), family_name.strip()):
        return _("This is the name that stands on the ticket.")
    if letters_apart(_letters(one.ticket_name or ""), _letters(new)) > MOST_LETTERS:
        return _("More than three letters differ: that is another name. Please cancel this traveller and book anew.")
    return None


def _letters(name: str) -> str:
    return name.replace("/", " ")


def letters_apart(one: str, other: str) -> int:
    """Return how many letters must be put in, left out or exchanged to make one name the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        before, row[0] = row[0], number
        for at, its in enumerate(other, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (letter != its))
    return row[-1]


def check_in_window(flight: FlightView) -> tuple[datetime, datetime]:
    """Return when check-in for a flight opens and closes: 24 hours before its time, 60 minutes before it leaves.

    A delay keeps it open for longer, and never opens it later than was promised.
    """
    return flight.departure_at - CHECK_IN_OPENS, flight.leaves_at - CHECK_IN_CLOSES

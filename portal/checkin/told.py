"""How check-in is told: who may tick what, which papers and seats are asked for, and the boarding pass. Pure.

Words are in the reader's language at the moment of the call; a pass says where it leaves on that airport's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from portal.booking.rules import check_in_window
from portal.booking.views import PassengerView, SliceView
from portal.checkin import barcode, rules
from portal.checkin.barcode import Symbol
from portal.checkin.rules import CheckedIn, Desk, Pick, Scan
from portal.flights.queries import FlightView
from portal.flights.rules import CabinPlan, Seat
from portal.kit import i18n
from portal.kit.i18n import gettext as _
from portal.kit.i18n import ngettext
from portal.seats.rules import NOTHING_LIKED, Liked, seat_problem

LONGEST_ON_STUB = 24


@dataclass(frozen=True, slots=True)
class BoardingPass:
    """One traveller's pass for one flight. `barcode` is what the codes on it say; `*_local` are the origin's clock."""

    check_in: CheckedIn
    flight: FlightView
    piece: SliceView
    passenger: PassengerView
    reference: str
    name: str
    seat: str | None
    company: str
    bags: str
    has_priority: bool
    crosses_border: bool
    barcode: str

    @property
    def number(self) -> str:
        """The sequence number as it is printed: `007`."""
        return f"{self.check_in.sequence_number:03}"

    @property
    def stub_name(self) -> str:
        """The name for a narrow place: as printed, or as in the bar code when that is too long."""
        return self.name if len(self.name) <= LONGEST_ON_STUB else barcode.short_name(self.passenger.ticket_name or "")

    @property
    def boarding_local(self) -> datetime:
        """When boarding begins."""
        return rules.boarding_at(self.flight).astimezone(ZoneInfo(self.flight.origin.time_zone))

    @property
    def gate_closes_local(self) -> datetime:
        """When the gate closes."""
        return rules.gate_closes_at(self.flight).astimezone(ZoneInfo(self.flight.origin.time_zone))

    @property
    def leaves_local(self) -> datetime:
        """When it leaves, as far as one knows now."""
        return self.flight.leaves_at.astimezone(ZoneInfo(self.flight.origin.time_zone))

    @property
    def lands_local(self) -> datetime:
        """When it lands, as far as one knows now, on the destination's clock."""
        return self.flight.lands_at.astimezone(ZoneInfo(self.flight.destination.time_zone))

    @property
    def is_late(self) -> bool:
        """True when it leaves later than was sold."""
        return self.flight.leaves_at > self.flight.departure_at

    @property
    def bags_close_local(self) -> datetime:
        """When check-in is over, and with it the bag drop."""
        return check_in_window(self.flight)[1].astimezone(ZoneInfo(self.flight.origin.time_zone))

    @property
    def on_lap(self) -> bool:
        """True for an infant without a seat."""
        return self.passenger.type == "infant"

    @property
    def aztec(self) -> Symbol:
        """The bar code for a screen."""
        return barcode.draw(self.barcode, barcode.AZTEC)

    @property
    def pdf417(self) -> Symbol:
        """The bar code for paper."""
        return barcode.draw(self.barcode, barcode.PDF417)

    @property
    def anchor(self) -> str:
        """A name for this pass within its page."""
        return f"pass-{self.flight.designator}-{self.number}"

    @property
    def cabin_label(self) -> str:
        """The cabin in words."""
        names = {"economy": _("Economy"), "premium": _("Premium economy"), "business": _("Business")}
        return names.get(self.piece.cabin, _("First"))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One traveller in a flight's list: may be ticked, is checked in (`made`), or cannot be (`closed` says why).

    `seat` is the one of the day, if there is one.
    """

    passenger: PassengerView
    value: str
    made: CheckedIn | None
    closed: str | None
    infant: PassengerView | None
    seat: str | None


@dataclass(frozen=True, slots=True)
class Counter:
    """A flight with its travellers; `closed` says why nobody can check in for it now."""

    flight: FlightView
    closed: str | None
    people: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Paper:
    """One traveller's document on the form: what is known of it (or nothing), and which day it must outlast."""

    passenger: PassengerView
    until: str
    known: str


@dataclass(frozen=True, slots=True)
class Place:
    """One traveller's choice of a seat: `name` is the field, `seat` what is chosen so far, `rows` what is free."""

    passenger: PassengerView
    name: str
    seat: str
    rows: tuple[tuple[int, tuple[Seat, ...]], ...]
    infant: PassengerView | None


@dataclass(frozen=True, slots=True)
class Aboard:
    """A flight's cabin as drawn, with who of the party sits where so far (by seat)."""

    flight: FlightView
    cabin: CabinPlan
    places: tuple[Place, ...]
    ours: dict[str, PassengerView]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate's page says of a scan, large: kind is good, warn or stop."""

    kind: str
    title: str
    detail: str


def gate_answer(found: Scan) -> Answer:
    """Return what a scan came to, in words for who stands at the gate."""
    words = {"name": found.name or "", "seat": found.seat or _("on a lap"), "at": ""}
    if found.check_in is not None and found.check_in.boarded_at is not None:
        words["at"] = i18n.clock_time(found.check_in.boarded_at)
    kind, title, detail = {
        "boarded": ("good", "%(seat)s", "%(name)s"),
        "already_boarded": ("warn", _("Already on board"), _("%(name)s, seat %(seat)s, scanned at %(at)s UTC")),
        "wrong_flight": ("stop", _("Another flight"), _("%(name)s does not leave from this gate.")),
        "not_checked_in": (
            "stop",
            _("Not checked in"),
            _("This pass is no longer good: %(name)s goes to the desk."),
        ),
        "unknown": ("stop", _("Unknown"), _("This is no boarding pass of ours.")),
    }[found.result]
    if found.result == "boarded" and found.seat_changed:
        return Answer("warn", title % words, _("%(name)s: the seat has changed, say it.") % words)
    return Answer(kind, title % words, detail % words)


def pick_value(who: UUID, flight: FlightView) -> str:
    """Return the outward name of one traveller on one flight."""
    return f"{flight.public_id}.{who}"


def seat_field(who: UUID, flight: FlightView) -> str:
    """Return the name of the field that chooses this traveller's seat."""
    return f"seat.{pick_value(who, flight)}"


def counters(desk: Desk, now: datetime) -> list[Counter]:
    """Return every flight of the trip with who can check in for it; infants stand with their adults."""
    return [
        Counter(
            flight,
            rules.flight_closed(desk.view, flight, now),
            tuple(_candidate(desk, one, flight, now) for one in _aboard(desk, flight) if one.takes_seat),
        )
        for flight in desk.view.flights
    ]


def _aboard(desk: Desk, flight: FlightView) -> tuple[PassengerView, ...]:
    return desk.view.flying(desk.piece(flight.id).position)


def _candidate(desk: Desk, one: PassengerView, flight: FlightView, now: datetime) -> Candidate:
    closed = rules.traveller_closed(desk, one.id, flight, now)
    made, seat = desk.checked_in.get((one.id, flight.id)), desk.seats.get((flight.id, one.id))
    return Candidate(one, pick_value(one.id, flight), made, closed, _infant(desk, one), seat)


def _infant(desk: Desk, one: PassengerView) -> PassengerView | None:
    infant = desk.infant_of(one.id)
    return desk.passenger(infant) if infant else None


def some_may_check_in(desk: Desk, now: datetime) -> bool:
    """True while somebody of the booking could still check in for something."""
    return any(one.closed is None and one.made is None for flight in counters(desk, now) for one in flight.people)


def papers(desk: Desk, picks: Sequence[Pick]) -> list[Paper]:
    """Return whose documents are needed."""
    needed = rules.documents_needed(desk, picks).items()
    return [
        Paper(one, i18n.day(until), _known(desk, who))
        for who, until in needed
        if (one := desk.passenger(who)) is not None
    ]


def _known(desk: Desk, who: UUID) -> str:
    kept = desk.documents.get(who)
    words = {"number": rules.masked(kept.number), "day": i18n.day(kept.expires_on)} if kept else {}
    return _("%(number)s, good until %(day)s") % words if kept else ""


def aboard(
    desk: Desk,
    flight: FlightView,
    cabin: CabinPlan,
    picks: Sequence[Pick],
    chosen: Mapping[str, str],
    wish: Liked = NOTHING_LIKED,
) -> Aboard:
    """Return the cabin with each traveller's choice: as on the form, else as they have it, else as suggested.

    What is suggested is as `wish` likes it, where the party does not sit further apart for it.
    """
    people = [
        one
        for who, flight_id in picks
        if flight_id == flight.id and (one := desk.passenger(who)) is not None and one.takes_seat
    ]
    so_far = _so_far(desk, flight, cabin, people, chosen, wish)
    places = tuple(
        Place(
            one, seat_field(one.id, flight), so_far.get(one.id, ""), _free(desk, cabin, one, so_far), _infant(desk, one)
        )
        for one in people
    )
    return Aboard(flight, cabin, places, {seat: one for one in people if (seat := so_far.get(one.id))})


def _so_far(
    desk: Desk,
    flight: FlightView,
    cabin: CabinPlan,
    people: Sequence[PassengerView],
    chosen: Mapping[str, str],
    wish: Liked,
) -> dict[UUID, str]:
    have = {one.id: chosen.get(seat_field(one.id, flight)) or desk.seats.get((flight.id, one.id)) for one in people}
    free = {seat.name for seat in cabin.seats if not seat.taken or seat.holder == desk.view.id}
    fits = {one.id: rules.may_keep(cabin, one, have[one.id], desk.view) for one in people}
    kept = {who: seat for who, seat in have.items() if seat in free and fits[who]}
    bare = [one for one in people if one.id not in kept]
    found = rules.seats_for(cabin, bare, taken=set(kept.values()), wish=wish)
    return {**kept, **{who: seat.name for who, seat in found.items()}}


def _free(
    desk: Desk, cabin: CabinPlan, one: PassengerView, so_far: Mapping[UUID, str]
) -> tuple[tuple[int, tuple[Seat, ...]], ...]:
    ours = set(so_far.values())
    rows = (
        (row.number, tuple(s for s in row.seats if s and (not s.taken or s.name in ours) and _may(desk, one, s)))
        for row in cabin.rows
    )
    return tuple((number, seats) for number, seats in rows if seats)


def _may(desk: Desk, one: PassengerView, seat: Seat) -> bool:
    return seat_problem(one, seat, desk.view) is None


def boarding_passes(desk: Desk, *, is_printable: Callable[[str], bool] = str.isprintable) -> list[BoardingPass]:
    """Return the passes of a booking, flight by flight, travellers in the booking's order."""
    return [
        _boarding_pass(desk, flight, one, desk.checked_in[one.id, flight.id], is_printable)
        for flight in desk.view.flights
        for one in desk.view.active_passengers
        if (one.id, flight.id) in desk.checked_in
    ]


def _boarding_pass(
    desk: Desk, flight: FlightView, one: PassengerView, made: CheckedIn, is_printable: Callable[[str], bool]
) -> BoardingPass:
    seat = desk.seats.get((flight.id, one.id)) if one.type != "infant" else None
    bags, piece = bags_of(desk, one, flight), desk.piece(flight.id)
    words = (
        ngettext("%(num)s checked bag", "%(num)s checked bags", bags) % {"num": bags} if bags else _("Cabin bag only")
    )
    return BoardingPass(
        made,
        flight,
        piece,
        one,
        desk.view.reference,
        one.name if is_printable(one.name) else (one.ticket_name or one.name),
        seat,
        _company(desk, one),
        words if one.takes_seat else _("Goes with the adult's"),
        _has(desk, "priority", one, flight),
        rules.is_international(flight),
        _text(desk, flight, one, made, seat),
    )


def _company(desk: Desk, one: PassengerView) -> str:
    other = desk.passenger(desk.guardians[one.id]) if one.id in desk.guardians else None
    if other is not None:
        return _("on the lap of %(name)s") % {"name": other.name}
    lap = _infant(desk, one)
    return _("with %(name)s on the lap") % {"name": lap.name} if lap else ""


def bags_of(desk: Desk, one: PassengerView, flight: FlightView) -> int:
    """Return how many bags this traveller may check in on this flight: the fare's, and those that were bought."""
    if one.type == "infant":
        return 0
    bought = (i for i in desk.view.items if i.kind == "bag" and i.passenger_id == one.id)
    more = sum(item.quantity for item in bought if item.flight_id in (None, flight.id))
    return int(desk.piece(flight.id).conditions.get("checkedBags") or 0) + more


def _has(desk: Desk, kind: str, one: PassengerView, flight: FlightView) -> bool:
    return any(
        item.kind == kind and item.passenger_id == one.id and item.flight_id in (None, flight.id)
        for item in desk.view.items
    )


def _text(desk: Desk, flight: FlightView, one: PassengerView, made: CheckedIn, seat: str | None) -> str:
    """Return the bar code's text. It never changes once the seat is fixed: it is dated by the check-in, not by now."""
    repeated = barcode.Repeated(
        airline_number=made.ticket_number[:3],
        document_serial=made.ticket_number[3:],
        documents_verified="1" if rules.is_international(flight) else "0",
        marketing_carrier=flight.carrier,
        free_bags=f"{min(9, bags_of(desk, one, flight))}PC",
        fast_track="Y" if _has(desk, "priority", one, flight) else "N",
    )
    leg = barcode.Leg(
        desk.view.reference,
        flight.origin.code,
        flight.destination.code,
        flight.carrier,
        flight.number,
        flight.departs_on,
        barcode.COMPARTMENTS[desk.piece(flight.id).cabin],
        seat or (barcode.INFANT_SEAT if one.type == "infant" else ""),
        made.sequence_number,
        repeated=repeated,
    )
    issued = made.checked_in_at.astimezone(ZoneInfo(flight.origin.time_zone)).date()
    unique = barcode.Unique(barcode.DESCRIPTIONS[one.type], made.source, made.source, issued, flight.carrier)
    return barcode.encode(one.ticket_name or "", [leg], unique=unique)

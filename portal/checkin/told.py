"""A check-in turned into a boarding pass: what stands on it, and the text of its bar code. Pure.

Words are in the reader's language at the moment of the call; a pass says where it leaves on that airport's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from portal.booking.rules import check_in_window
from portal.booking.views import PassengerView, SliceView
from portal.checkin import barcode, rules
from portal.checkin.barcode import Symbol
from portal.checkin.rules import CheckedIn, Desk
from portal.flights.queries import FlightView
from portal.kit.i18n import gettext as _
from portal.kit.i18n import ngettext


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
    def boarding_local(self) -> datetime:
        """When boarding begins."""
        return rules.boarding_at(self.flight).astimezone(ZoneInfo(self.flight.origin.time_zone))

    @property
    def gate_closes_local(self) -> datetime:
        """When the gate closes."""
        return rules.gate_closes_at(self.flight).astimezone(ZoneInfo(self.flight.origin.time_zone))

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
    return BoardingPass(
        made,
        flight,
        piece,
        one,
        desk.view.reference,
        one.name if is_printable(one.name) else (one.ticket_name or one.name),
        seat,
        _company(desk, one),
        ngettext("%(num)s checked bag", "%(num)s checked bags", bags) % {"num": bags} if bags else _("Cabin bag only"),
        _has(desk, "priority", one, flight),
        rules.is_international(flight),
        _text(desk, flight, one, made, seat),
    )


def _company(desk: Desk, one: PassengerView) -> str:
    other = desk.passenger(desk.guardians[one.id]) if one.id in desk.guardians else None
    if other is not None:
        return _("on the lap of %(name)s") % {"name": other.name}
    infant = desk.infant_of(one.id)
    lap = desk.passenger(infant) if infant else None
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

"""What an amendment would do and cost, worked out from the booking as it stands; nothing is changed by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.booking import errors, queries, reckoning, records, rules, told
from portal.booking.models import Amendment, Booking, Coupon, Item, Segment, Ticket
from portal.booking.records import ItemWish, Plan
from portal.booking.views import BookingView, ItemView, PassengerView, SliceView
from portal.flights.errors import FlightClosed
from portal.flights.queries import flights_by_id
from portal.kit import clock
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.pricing import promotions
from portal.pricing.service import load_book
from portal.search.rules import Offer

NONE_KEPT: Mapping[int, int] = MappingProxyType({})


def plan_items(session: Session, booking: Booking, kinds: Collection[str], wishes: Sequence[ItemWish]) -> Plan | None:
    """Return what changes when the booking is to have exactly these extras of these kinds; None when nothing does.

    Whoever gives an extra up gets its price set off against what the same traveller takes of the same kind on the same
    flight instead, and nothing beyond: extras are given back by nobody but a carrier at fault.
    """
    mine = select(Item).where(Item.booking_id == booking.id, Item.state == "active", Item.kind.in_(kinds))
    kept, gone = _compared(list(session.scalars(mine)), wishes)
    fresh = [wish for wish in wishes if _face(wish) not in kept]
    if not fresh and not gone:
        return None
    rows = records.item_rows(fresh)
    lines = item_lines(session, booking.id, rows)
    lines += _set_off(slices_of(session, booking.id), gone, fresh)
    return Plan("items", {"cancel": [str(one.id) for one in gone], "add": rows}, lines)


def _face(one: ItemWish | Item) -> tuple[Any, ...]:
    return (one.kind, one.code, one.passenger_id, one.flight_id, one.quantity, one.seat)


def _compared(active: Sequence[Item], wishes: Sequence[ItemWish]) -> tuple[set[tuple[Any, ...]], list[Item]]:
    wanted = {_face(wish) for wish in wishes}
    gone = [one for one in active if _face(one) not in wanted]
    return {_face(one) for one in active if _face(one) in wanted}, gone


def _set_off(slices: dict[int, int], gone: Sequence[Item], fresh: Sequence[ItemWish]) -> list[dict[str, Any]]:
    new: dict[tuple[Any, ...], int] = {}
    for wish in fresh:
        at = (wish.kind, wish.passenger_id, wish.flight_id)
        new[at] = new.get(at, 0) + wish.amount_minor
    lines = []
    for one in gone:
        at = (one.kind, one.passenger_id, one.flight_id)
        part = min(one.amount_minor, new.get(at, 0))
        if part:
            new[at] -= part
            lines.append(
                reckoning.line(
                    one.kind,
                    one.label,
                    -part,
                    passenger_id=one.passenger_id,
                    slice_position=slices.get(one.flight_id or 0, 0),
                    item_id=one.id,
                )
            )
    return lines


def item_lines(session: Session, booking_id: UUID, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of extras; what costs nothing has none. One of the whole trip stands with the first slice."""
    slices = slices_of(session, booking_id) if rows else {}
    return [
        reckoning.line(
            row["kind"],
            row["label"],
            row["amount_minor"],
            passenger_id=UUID(row["passenger_id"]),
            slice_position=slices.get(row["flight_id"] or 0, 0),
            item_id=row["id"],
        )
        for row in rows
        if row["amount_minor"]
    ]


def slices_of(session: Session, booking_id: UUID) -> dict[int, int]:
    """Return each flight's slice."""
    rows = session.execute(select(Segment.flight_id, Segment.slice_position).where(Segment.booking_id == booking_id))
    return {row[0]: row[1] for row in rows}


def slices_chosen(view: BookingView, positions: Collection[int] | None) -> list[SliceView]:
    """Return the directions that are meant: these, or without any all that are not over; raises Invalid."""
    now = clock.now()
    if positions is None:
        return [piece for piece in view.active_slices if not piece.has_left(now)]
    known = {piece.position: piece for piece in view.active_slices}
    if not positions or not set(positions) <= known.keys():
        raise Invalid(errors=[FieldError("sliceIndexes", _("This booking has no such direction any more."))])
    return [known[at] for at in sorted(set(positions))]


def _travellers_chosen(view: BookingView, ids: Collection[UUID] | None) -> list[PassengerView]:
    known = {one.id for one in view.active_passengers}
    if ids is not None and (not ids or not set(ids) <= known):
        raise Invalid(errors=[FieldError("passengerIds", _("This booking has no such traveller any more."))])
    return [one for one in view.active_passengers if ids is None or one.id in set(ids)]


def plan_cancellation(
    session: Session,
    view: BookingView,
    *,
    passenger_ids: Collection[UUID] | None,
    slice_positions: Collection[int] | None,
    refund_to: str,
    waive: bool,
    at_fault: Collection[int] = (),
    kept: Mapping[int, int] = NONE_KEPT,
) -> Plan:
    """Return what it does and gives back to cancel everything, or some travellers on some directions.

    Where the carrier is `at_fault`, or everywhere with `waive`, nothing is taken for it. Of a direction of which the
    first flights are `kept`, because they have left, the rest is cancelled. Raises Invalid, and ActionClosed where a
    rule forbids it, with the reason.
    """
    travellers, slices = _travellers_chosen(view, passenger_ids), slices_chosen(view, slice_positions)
    begun = [piece for piece in slices if piece.position in kept]
    pairs = [(one, piece) for one in travellers for piece in slices if one.flies(piece.position)]
    if slices and not pairs:
        words = _("Who you chose does not fly these directions any more.")
        raise Invalid(errors=[FieldError("passengerIds", words)])
    ahead = [piece for piece in slices if piece not in begun]
    no = rules.cancel_problem(view, travellers, ahead, clock.now()) if ahead or not begun else None
    waived = [piece.position for piece in slices if waive or piece.position in at_fault]
    no = no or _checked_in(session, travellers, [piece for piece in slices if piece.position not in waived])
    if no:
        raise errors.ActionClosed(no)
    free = reckoning.is_free(view, clock.now())
    whole = [pair for pair in pairs if pair[1] not in begun]
    sums = reckoning.cancellation(view, whole, follows_fare=follows_fare(session), free=free, at_fault=waived)
    lines = [*sums.lines, *(one for piece in begun for one in rest_lines(view, piece, kept[piece.position]))]
    payload = {
        "passengers": [str(one.id) for one in travellers],
        "slices": [piece.position for piece in slices],
        "rule": reckoning.rule_of(len(waived), len(slices), free=free),
        "waived": waived,
        **_left(view, pairs, kept),
    }
    return Plan("cancellation", payload, lines, sums.penalty_minor, refund_to)


def rest_lines(view: BookingView, piece: SliceView, kept: int) -> list[dict[str, Any]]:
    """Return what goes back of a direction of which only the first `kept` flights were flown."""
    pairs = [(one, piece) for one in view.flying(piece.position)]
    return list(reckoning.rest(view, pairs, kept).lines)


Pairs = Sequence[tuple[PassengerView, SliceView]]


def _left(view: BookingView, pairs: Pairs, kept: Mapping[int, int]) -> dict[str, Any]:
    """Return what becomes of a booking when these travellers no longer fly these directions.

    Who has none left is `leaving`, a direction that nobody flies any more is `dropped`, one that `ends` with its first
    flights stands with them, and what none of these says stands in `off`; `whole` when nothing is left.
    """
    begun = {piece.position: piece.flights for _one, piece in pairs if piece.position in kept}
    unflown = {flight.id for at, flights in begun.items() for flight in flights[kept[at] :]}
    gone = {(one.id, piece.position) for one, piece in pairs if piece.position not in kept}
    rest = {(one.id, piece.position) for piece in view.active_slices for one in view.flying(piece.position)} - gone
    leaving = [one for one in view.active_passengers if one.id not in {who for who, _at in rest}]
    dropped = [piece.position for piece in view.active_slices if piece.position not in {at for _who, at in rest}]
    over = {one.id for one in leaving}
    return {
        "whole": not rest,
        "leaving": [str(one.id) for one in leaving],
        "dropped": dropped,
        "off": [[str(who), at] for who, at in sorted(gone) if who not in over and at not in dropped],
        "ends": [[at, [one.id for one in flights[: kept[at]]]] for at, flights in sorted(begun.items())],
        "pairs": sorted([str(one.id), piece.position] for one, piece in pairs),
        "give": _given(pairs, kept),
        "items": [
            str(one.id)
            for one in view.items
            if one.passenger_id in over or one.flight_id in unflown or _is_left(view, one, gone)
        ],
    }


def _given(pairs: Pairs, kept: Mapping[int, int]) -> list[list[Any]]:
    """Return the seats that go back, flight by flight."""
    seats: dict[tuple[int, str], int] = {}
    for one, piece in pairs:
        for flight in piece.flights[kept.get(piece.position, 0) :] if one.takes_seat else ():
            seats[flight.id, piece.cabin] = seats.get((flight.id, piece.cabin), 0) + 1
    return [[*at, count] for at, count in sorted(seats.items())]


def _is_left(view: BookingView, one: ItemView, gone: Collection[tuple[UUID, int]]) -> bool:
    """True for an extra of a flight that its traveller no longer flies; one of no flight stands with the first."""
    at = next((p.position for p in view.slices for flight in p.flights if flight.id == one.flight_id), 0)
    return (one.passenger_id, at) in gone


def given_back(view: BookingView, item_ids: Collection[str]) -> list[dict[str, Any]]:
    """Return the lines that give back what these extras have cost so far, what was set off against them included."""
    lines = []
    for one in item_ids:
        mine = [line for line in view.charges if str(line.item_id) == one]
        net = sum(line.amount_minor for line in mine)
        if net > 0:
            first = mine[0]
            who, at = first.passenger_id, first.slice_position
            lines.append(
                reckoning.line(first.code, first.label, -net, passenger_id=who, slice_position=at, item_id=one)
            )
    return lines


def follows_fare(session: Session) -> set[tuple[str, str]]:
    """Return the taxes, by code and label, that are a percentage of the fare and so go the way that it goes."""
    return {(tax.code, tax.label) for tax in load_book(session).taxes if tax.kind == "percent"}


def _checked_in(session: Session, travellers: Sequence[PassengerView], slices: Sequence[SliceView]) -> str | None:
    flights = [flight.id for piece in slices for flight in piece.flights]
    found = (
        select(Coupon.position)
        .join(Ticket, Ticket.number == Coupon.ticket_number)
        .where(Ticket.passenger_id.in_([one.id for one in travellers]), Ticket.status == "open")
        .where(Coupon.flight_id.in_(flights), Coupon.status == "checked_in")
    )
    if session.scalar(found.limit(1)) is None:
        return None
    return _("Somebody is checked in already. Please undo the check-in first.")


def plan_change(
    session: Session, view: BookingView, *, slice_position: int, offer: Offer, waive: bool, kept: int = 0
) -> Plan:
    """Return what it does and costs to fly one direction, but for its first `kept` flights, by the offer's instead.

    With `waive` (the carrier is at fault) it costs nothing, and the fare stays as it was sold. Where it is free, extras
    that do not go along are paid back; else the stricter refund term of old and new holds. Raises Invalid, and
    ActionClosed where a rule forbids it, with the reason.
    """
    piece = slices_chosen(view, [slice_position])[0]
    known = flights_by_id(session, offer.flight_ids)
    flights = [known[one] for one in offer.flight_ids if one in known]
    if len(flights) < len(offer.flight_ids):
        raise FlightClosed()
    free = waive or reckoning.is_free(view, clock.now())
    no = rules.change_problem(view, piece, offer, flights, clock.now(), free=free, kept=kept)
    no = no or (None if waive else _checked_in(session, view.flying(piece.position), [piece]))
    if no:
        raise errors.ActionClosed(no)
    whole = [*(flight.id for flight in piece.flights[:kept]), *offer.flight_ids]
    items = _moved_items(view, piece, offer, whole)
    lines, penalty = given_back(view, items["cancel"]) if free else [], 0
    sold = rules.slice_fields(offer) | (_as_sold(piece) if waive else {})
    if not free:
        sold["conditions"] = reckoning.stricter_refund(piece.conditions, offer.conditions)
    if not waive:
        right = {"terms": sold["conditions"], "follows_fare": follows_fare(session), "free": free}
        sums = reckoning.change(view, piece, offer.per_type, **right)
        lines, penalty = [*sums.lines, *lines], sums.penalty_minor
    payload = {
        "slice": slice_position,
        "sold": sold,
        "refundStays": not free and sold["conditions"] != offer.conditions,
        "flights": whole,
        "kept": whole[:kept],
        "before": _before(piece),
        "rule": "carrier" if waive else "within_24_hours" if free else "conditions",
        **_moved_seats(view, piece, offer, kept),
        "items": items,
    }
    return Plan("change", payload, lines, penalty)


def _before(piece: SliceView) -> dict[str, Any]:
    when = {"flights": [one.id for one in piece.flights], "departureAt": piece.flights[0].departure_at.isoformat()}
    return {**when, "brand": piece.brand, "cabin": piece.cabin}


def _as_sold(piece: SliceView) -> dict[str, Any]:
    ends = {"origin": piece.origin.code, "destination": piece.destination.code}
    kept = {"brand": piece.brand, "booking_class": piece.booking_class, "fare_basis": piece.fare_basis, **ends}
    return {**kept, "conditions": piece.conditions, "pricing": list(piece.pricing)}


def _moved_seats(view: BookingView, piece: SliceView, offer: Offer, kept: int) -> dict[str, Any]:
    """Seats in the same cabin of a flight that stays part of the direction stay where they are."""
    seats = sum(one.takes_seat for one in view.flying(piece.position))
    old = {(flight.id, piece.cabin) for flight in piece.flights[kept:]}
    new = {(flight, offer.cabin) for flight in offer.flight_ids}
    return {
        "take": [[*one, seats] for one in sorted(new - old)],
        "give": [[*one, seats] for one in sorted(old - new)],
    }


def _moved_items(view: BookingView, piece: SliceView, offer: Offer, new: Sequence[int]) -> dict[str, Any]:
    """Named seats stay behind; other extras go along, flight by flight, and onto every flight that is more."""
    moved: dict[str, Any] = {"cancel": [], "move": [], "copy": []}
    old = [flight.id for flight in piece.flights]
    for one in view.items:
        if one.flight_id not in old:
            continue
        at = old.index(one.flight_id)
        if one.kind == "seat":
            if one.flight_id not in new or offer.cabin != piece.cabin:
                moved["cancel"].append(str(one.id))
        elif at >= len(new):
            moved["cancel"].append(str(one.id))
        else:
            moved["move"].append([str(one.id), new[at]])
            if at == len(old) - 1:
                moved["copy"] += [[str(one.id), flight] for flight in new[len(old) :]]
    return moved


def plan_correction(view: BookingView, *, passenger_id: UUID, given_name: str, family_name: str) -> Plan:
    """Return the free correction of a traveller's name; raises Invalid (the name), ActionClosed (more than slips)."""
    one = _travellers_chosen(view, [passenger_id])[0]
    wrong = rules.name_problems("", given_name, family_name)
    if wrong or not (given_name.strip() or family_name.strip()):
        raise Invalid(errors=[FieldError(each.pointer.strip("."), each.detail) for each in wrong])
    no = rules.correction_problem(view, one, given_name, family_name, clock.now())
    if no:
        raise errors.ActionClosed(no)
    before = {"given_name": one.given_name, "family_name": one.family_name, "ticket_name": one.ticket_name}
    ticket = rules.ticket_name(given_name, family_name)
    typed = {"given_name": given_name.strip() or None, "family_name": family_name.strip() or None}
    after = {**typed, "ticket_name": ticket}
    return Plan("correction", {"passenger": str(one.id), "before": before, "after": after})


def require_possible(session: Session, view: BookingView, amendment: Amendment) -> None:
    """Raise ActionClosed when what was quoted can no longer be done, because time has gone on since."""
    now, payload = clock.now(), amendment.payload
    if amendment.kind == "cancellation":
        if "ends" not in payload:  # Quoted in the minutes before this could be told apart.
            raise errors.QuoteExpired(_("Please look at the price once more; nothing was done."))
        at = set(payload["slices"])
        ids = {UUID(one) for one in payload["passengers"]}
        travellers = [one for one in view.active_passengers if one.id in ids]
        begun = {place for place, _kept in payload["ends"]}
        slices = [piece for piece in view.active_slices if piece.position in at]
        ahead = [piece for piece in slices if piece.position not in begun]
        no = rules.cancel_problem(view, travellers, ahead, now) if ahead or not begun else None
        slices = [piece for piece in slices if piece.position not in payload["waived"]]
    elif amendment.kind == "change":
        travellers = list(view.flying(payload["slice"]))
        slices = slices_chosen(view, [payload["slice"]])
        no = None if payload.get("kept") else rules.left_problem(slices, now)
        slices = [] if payload["rule"] == "carrier" else slices
    else:
        return
    no = no or _checked_in(session, travellers, slices)
    if no:
        raise errors.ActionClosed(no)


def promotion_lines(session: Session, booking: Booking, code: str, *, customer: str | None) -> list[dict[str, Any]]:
    """Take a use of the promotion for the booking, and return what comes off, line by line; raises PromotionRefused."""
    view = queries.booking_by_id(session, booking.id)
    if view is None:
        raise errors.UnknownBooking()
    found = promotions.take(
        session,
        code=code,
        holder=booking.id,
        customer=customer,
        slices=[told.promoted(piece) for piece in view.slices],
        fares=told.paid_fares(view),
        currency=booking.currency,
    )
    return [
        reckoning.line(
            one.line.code,
            one.line.label,
            one.line.amount_minor,
            passenger_id=view.passengers[one.who].id,
            slice_position=one.slice_position,
        )
        for one in found
    ]

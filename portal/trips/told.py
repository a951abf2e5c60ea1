"""How a booking's parts and changes are told on its pages: what each part lets one do, what a change costs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from portal.booking import reckoning
from portal.booking.actions import available_actions, changeable, free_actions
from portal.booking.views import AmendmentView, BookingView, ItemView, SliceView
from portal.kit.i18n import gettext as _
from portal.kit.i18n import ngettext
from portal.kit.i18n import price as shown_price
from portal.pricing.discounts import LINE as PROMOTION
from portal.search.rules import Itinerary, SearchResult
from portal.search.told import Trip, trip
from portal.tickets import rules as tickets
from portal.trips.rules import Fault


@dataclass(frozen=True, slots=True)
class Door:
    """A button of a part of the booking's page: where it leads, or why it is closed; `note` where it costs nothing."""

    href: str
    label: str
    reason: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra as a line: what, for whom, where."""

    label: str
    who: str
    where: str
    seat: str


@dataclass(frozen=True, slots=True)
class Done:
    """A change of the booking that was made: when, what, and what it cost or gave back."""

    at: datetime
    label: str
    due_minor: int
    refund_minor: int


def doors(view: BookingView, now: datetime, fault: Fault) -> dict[str, Door]:
    """Return the button of each action, open or with the reason why it is not."""
    at, why = f"/bookings/{view.reference}", available_actions(view, now, fault.freed)
    free = {name: free_words(rule) for name, rule in free_actions(view, now, fault.freed).items()}
    held = view.status == "held"
    seats = f"/book/{view.reference}/seats" if held else f"{at}/seats"
    return {
        "change": Door(f"{at}/change", _("Change flights"), why["change"], free.get("change", "")),
        "cancel": Door(f"{at}/cancel", _("Cancel"), why["cancel"], free.get("cancel", "")),
        "correct": Door(f"{at}/correct", _("Correct a name"), why["correct"]),
        "selectSeats": Door(seats, _("Choose seats"), why["selectSeats"]),
        "extras": Door(f"{at}/extras", _("Add bags and extras"), why["selectSeats"]),
        "checkIn": Door(f"{at}/check-in", _("Check in"), why["checkIn"]),
    }


def slice_doors(view: BookingView, piece: SliceView, now: datetime, fault: Fault) -> tuple[Door, ...]:
    """Return what can be done with one direction."""
    at, found = f"/bookings/{view.reference}", []
    if may_change(view, piece, now, fault):
        found.append(Door(f"{at}/change?slice={piece.position}", _("Change this flight")))
    if len(view.active_slices) > 1 and not piece.has_left(now):
        found.append(Door(f"{at}/cancel?slice={piece.position}", _("Cancel this direction")))
    return tuple(found)


def free_words(rule: str) -> str:
    """Return why cancelling or changing takes nothing now, by a rule's name."""
    return {
        "carrier": _("At no cost: the airline has changed your trip."),
        "carrier_in_part": _("At no cost where the airline has changed your trip."),
        "within_24_hours": _("At no cost within 24 hours of the purchase."),
    }[rule]


def may_change(view: BookingView, piece: SliceView, now: datetime, fault: Fault) -> bool:
    """True when a direction can be flown otherwise: its fare allows it, or the airline has changed it."""
    return changeable(view, piece.position, now, fault.freed)


def fault_words(fault: Fault, freed: Collection[int], positions: Collection[int]) -> tuple[str, ...]:
    """Return what the airline has changed of these directions where that frees them, a sentence each."""
    return tuple(f"{fault.why[at]}." for at in sorted(set(freed) & set(positions)))


def left_of(view: BookingView, piece: SliceView) -> tuple[str, ...]:
    """Return who of those who travel no longer flies that direction, though others do."""
    return tuple(one.name for one in view.active_passengers if piece.position in one.stays_off)


def passes(view: BookingView) -> tuple[tuple[str, str, str], ...]:
    """Return the way to the boarding passes, as (address, label, icon): also once check-in is over."""
    return ((f"/bookings/{view.reference}/boarding-passes", _("Boarding passes"), "plane"),)


def extras(view: BookingView) -> tuple[Extra, ...]:
    """Return the booking's extras, in the travellers' and the flights' order."""
    people = {one.id: (one.position, one.name) for one in view.passengers}
    flights = {flight.id: (at, flight.designator) for at, flight in enumerate(view.flights)}

    def place(one: ItemView) -> tuple[int, int, str]:
        return flights.get(one.flight_id or 0, (99, ""))[0], people[one.passenger_id][0], one.kind

    return tuple(
        Extra(
            f"{one.quantity} × {_(one.label)}" if one.quantity > 1 else _(one.label),
            people[one.passenger_id][1],
            flights[one.flight_id][1] if one.flight_id in flights else _("the whole trip"),
            one.seat or "",
        )
        for one in sorted(view.items, key=place)
    )


def history(view: BookingView) -> tuple[Done, ...]:
    """Return the changes that were made, oldest first."""
    return tuple(
        Done(one.done_at, kind_words(one), one.due_minor, one.refund_minor)
        for one in view.amendments
        if one.done_at is not None
    )


def kind_words(one: AmendmentView) -> str:
    """Return what kind of change it is, as a heading: `Change of flights`."""
    if one.kind == "cancellation" and not one.payload.get("whole"):
        return _("Cancellation of a part")
    return {
        "items": _("Seats and extras"),
        "change": _("Change of flights"),
        "cancellation": _("Cancellation"),
        "correction": _("Correction of a name"),
        "contact": _("New contact"),
    }.get(one.kind, _("Change by the airline"))


def effects(view: BookingView, one: AmendmentView) -> tuple[str, ...]:
    """Return what the amendment will do, a sentence each."""
    plan, names = one.payload, {str(kept.id): kept.name for kept in view.passengers}
    if one.kind == "cancellation":
        return tuple(_cancelled(view, plan, names))
    if one.kind == "correction":
        after = plan["after"]
        words = {"old": plan["before"]["ticket_name"], "new": after["ticket_name"]}
        return (_("The ticket will read %(new)s instead of %(old)s.") % words,)
    if one.kind == "items":
        return tuple(f"{_(row['label'])}, {names.get(row['passenger_id'], '')}" for row in plan["add"])
    return tuple(_changed(view, one)) if one.kind == "change" else ()


def refund_kept(view: BookingView, piece: SliceView, now: datetime) -> str:
    """Return, before flights are chosen, that no dearer fare makes the refund terms better; empty where they are best.

    And where the change is free: then the new fare's own terms hold.
    """
    taken = reckoning.penalty_minor(piece.conditions, "refund")
    if taken == 0 or reckoning.is_free(view, now):
        return ""
    return _("The refund terms of your fare stay, also with a dearer one; a stricter fare brings its own.")


def _cancelled(view: BookingView, plan: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    ways = {p.position: {"origin": p.origin.city, "destination": p.destination.city} for p in view.slices}
    by_traveller = plan.get("byTraveller")  # How quotes were kept before travellers and directions could be combined.
    leaving = plan.get("leaving", plan["passengers"] if by_traveller else [])
    if leaving and not plan.get("whole"):
        gone = ", ".join(names.get(who, "") for who in leaving)
        yield _("%(names)s: no longer flying; the ticket ends and the seat is given back.") % {"names": gone}
    for at in plan.get("dropped", [] if by_traveller else plan["slices"]):
        yield _("%(origin)s – %(destination)s is cancelled; the seats are given back.") % ways[at]
    for at in sorted({at for _who, at in plan.get("off", ())}):
        gone = ", ".join(names.get(who, "") for who, place in plan["off"] if place == at)
        words = {**ways[at], "names": gone}
        yield _("%(names)s: no longer flying %(origin)s – %(destination)s; the seat is given back.") % words


def _changed(view: BookingView, one: AmendmentView) -> Iterator[str]:
    """What is lost is told before it is done; afterwards the booking itself no longer knows what it was."""
    plan = one.payload
    old, new = plan.get("before", {}).get("brand"), plan["sold"]["brand"]
    if old not in (None, new):
        yield _("Fare: %(old)s → %(new)s.") % {"old": old, "new": new}
    if one.state in ("quoted", "paying"):
        yield from _other_terms(view, plan)
        yield from _given_up(view, one)
    yield from _promotion_ends(one)


def _other_terms(view: BookingView, plan: Mapping[str, Any]) -> Iterator[str]:
    piece = next(one for one in view.slices if one.position == plan["slice"])
    had, has = (_terms(view, piece, terms) for terms in (piece.conditions, plan["sold"]["conditions"]))
    for (term, old), (_term, new) in zip(had, has, strict=True):
        if old != new:
            yield _("%(term)s: %(old)s → %(new)s.") % {"term": term, "old": old, "new": new}
    if plan.get("refundStays"):
        term, words = has[-1]
        yield _("%(term)s: %(words)s, as in the fare that you bought.") % {"term": term, "words": words}


def _terms(view: BookingView, piece: SliceView, conditions: dict[str, Any]) -> tickets.TermLines:
    return tickets.terms(replace(view, slices=(replace(piece, conditions=conditions),)))[0].lines


def _given_up(view: BookingView, one: AmendmentView) -> Iterator[str]:
    gone = [item for item in view.items if str(item.id) in one.payload["items"]["cancel"]]
    seats = sorted((item.seat for item in gone if item.seat), key=lambda seat: (len(seat), seat))
    if seats:
        words = ngettext("Seat %(seats)s is given up.", "Seats %(seats)s are given up.", len(seats))
        yield words % {"seats": ", ".join(seats)}
    names = {each.id: each.name for each in view.passengers}
    for item in gone:
        if not item.seat:
            yield _("%(extra)s of %(name)s is given up.") % {"extra": _(item.label), "name": names[item.passenger_id]}
    paid = sum(line.amount_minor for line in view.charges if line.item_id in {item.id for item in gone})
    if paid > 0:
        amount = {"amount": shown_price(paid, one.currency)}
        yield (
            _("%(amount)s paid for what is given up comes back.")
            if extras_back(one)
            else _("%(amount)s paid for what is given up does not come back.")
        ) % amount


def extras_back(one: AmendmentView) -> int:
    """Return what a change gives back of extras that do not go along."""
    return -sum(line["amount_minor"] for line in one.lines if line["item_id"]) if one.kind == "change" else 0


def _promotion_ends(one: AmendmentView) -> Iterator[str]:
    ending = [line for line in one.lines if line["code"] == PROMOTION]
    taken_off = sum(line["amount_minor"] for line in ending)
    if taken_off > 0:
        words = {"code": ending[0]["label"].rpartition(" ")[2], "amount": shown_price(taken_off, one.currency)}
        yield _("The promotion %(code)s ends for this direction: it took %(amount)s off.") % words


def rule_words(one: AmendmentView) -> str:
    """Return why it costs or gives back what it does."""
    if one.kind not in ("cancellation", "change"):
        return ""
    return {
        "carrier": _("The airline is at fault: nothing is taken for it."),
        "carrier_in_part": _("What the airline changed comes back in full; the rest by the conditions of the fare."),
        "within_24_hours": _("Bought within the last 24 hours, and a week or more before the flight: it is free."),
    }.get(str(one.payload.get("rule")), _("By the conditions that the fare was sold under."))


def refund_words(one: AmendmentView) -> str:
    """Return how money comes back."""
    if one.refund_to == "credit":
        return _("as a travel credit, sent by e-mail at once")
    return _("to the card or account that paid, in five to ten days")


def done_words(one: AmendmentView) -> str:
    """Return what is said once it is done."""
    if one.refund_minor:
        amount = shown_price(one.refund_minor, one.currency)
        words = {"amount": amount, "way": refund_words(one)}
        return _("Done. %(amount)s goes back %(way)s.") % words
    return _("Done. We sent it to you by e-mail, too.")


def change_fee(view: BookingView, piece: SliceView, now: datetime) -> int:
    """Return what changing a direction costs each traveller with a seat, beside the difference in price."""
    return 0 if reckoning.is_free(view, now) else reckoning.penalty_minor(piece.conditions, "change") or 0


@dataclass(frozen=True, slots=True)
class Instead:
    """One way to fly a direction otherwise; `differences` stand beside its fares."""

    trip: Trip
    differences: tuple[int, ...]
    offer: str = ""


def instead(result: SearchResult, view: BookingView, piece: SliceView, fault: Fault) -> list[Instead]:
    """Return the itineraries that were found, but for the one that is booked, with the difference for each fare.

    Where the airline is at fault a fare keeps what it promised: there is one `offer`, which costs nothing.
    """
    mine = [flight.id for flight in piece.flights]
    return [
        _instead(one, result, reckoning.price_of(view, piece), at_no_cost=fault.frees(piece, piece.cabin, _days(one)))
        for one in result.slices[0].itineraries
        if [segment.flight_id for segment in one.segments] != mine and fits(view, piece, one.segments[-1].arrival_at)
    ]


def _days(one: Itinerary) -> list[date]:
    return [leg.departs_on for leg in one.segments]


def _instead(one: Itinerary, result: SearchResult, old_minor: int, *, at_no_cost: bool) -> Instead:
    return Instead(
        trip(one, result, [one.token(number) for number in range(len(one.fares))]),
        tuple(fare.quote.total_minor - old_minor for fare in one.fares),
        one.token(0) if at_no_cost else "",
    )


def fits(view: BookingView, piece: SliceView, lands: datetime) -> bool:
    """True when a flight that lands then still leaves the next direction to be flown."""
    later = [one for one in view.active_slices if one.position > piece.position]
    return not later or lands <= later[0].flights[0].departure_at


def leaves_after(view: BookingView, piece: SliceView) -> datetime | None:
    """Return when the direction before has landed."""
    earlier = [one for one in view.active_slices if one.position < piece.position]
    return earlier[-1].flights[-1].arrival_at if earlier else None

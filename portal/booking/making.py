"""A new booking: drawn up as people will see it, and written in one question. What is answered is what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.booking import errors, records, rules
from portal.booking.forms import HoldWish, NameWish
from portal.booking.models import HOLD
from portal.booking.views import BookingView, ChargeView, PassengerView, SliceView
from portal.flights.errors import FlightClosed
from portal.flights.queries import FlightView, flights_by_id
from portal.kit import ids
from portal.search.rules import Offer

REFERENCE_TRIES = 20
KNOWN = text("select id, fingerprint, user_id from bookings where idempotency_key = :key")
NAMES = ("id", "position", "type", "given_name", "family_name", "ticket_name", "date_of_birth")
LINES = ("code", "label", "amount_minor", "passenger_id", "slice_position")


def known(session: Session, key: str) -> Any:
    """Return id, fingerprint and user_id of the booking that was made with this key, or None."""
    return session.execute(KNOWN, {"key": key}).one_or_none()


def fingerprint(offers: Iterable[Offer]) -> str:
    """Return what tells one choice of offers from another."""
    return hashlib.sha256("\n".join(offer.token for offer in offers).encode()).hexdigest()


def flights_of(session: Session, offers: Sequence[Offer]) -> list[list[FlightView]]:
    """Return the offers' flights, slice by slice; raises FlightClosed, OffersDoNotFit."""
    wanted = [flight for offer in offers for flight in offer.flight_ids]
    known = flights_by_id(session, wanted)
    if not known.keys() >= set(wanted):
        raise FlightClosed()
    flights = [[known[flight] for flight in offer.flight_ids] for offer in offers]
    no = rules.offers_problem(offers) or rules.order_problem(flights)
    if no:
        raise errors.OffersDoNotFit(no)
    return flights


def make(
    session: Session, wish: HoldWish, names: NameWish | None, flights: Sequence[Sequence[FlightView]]
) -> BookingView | None:
    """Make the booking with its parts, held, under a fresh reference; `flights` are the offers', slice by slice.

    None where somebody made one with the same key at this moment. Raises Invalid (names).
    """
    booking_id, parts = uuid4(), _parts(wish.offers, names, flights)
    row = {
        "user_id": wish.user_id,
        "contact_email": names.email if names else wish.email,
        "contact_phone": names.phone if names else None,
        "currency": wish.offers[0].currency,
        "total_minor": sum(offer.total_minor for offer in wish.offers),
        "locale": wish.locale,
    }
    key = {"idempotency_key": wish.key, "fingerprint": fingerprint(wish.offers), "minutes": wish.minutes}
    written = {"id": booking_id, **row, **key, **_written(wish.offers, **parts)}
    for _try in range(REFERENCE_TRIES):
        reference = ids.reference()
        made = session.execute(HOLD, {**written, "reference": reference}).one_or_none()
        if made is not None:
            return _view(booking_id, reference, row, parts, made)
        if known(session, wish.key) is not None:
            return None
    raise RuntimeError("no free booking reference was found")


def _view(booking_id: UUID, reference: str, row: dict[str, Any], parts: dict[str, Any], made: Any) -> BookingView:
    return BookingView(
        id=booking_id,
        reference=reference,
        status="held",
        expires_at=made.expires_at,
        paid_minor=0,
        extensions=0,
        created_at=made.created_at,
        confirmed_at=None,
        **row,
        **parts,
    )


def _parts(offers: Sequence[Offer], names: NameWish | None, flights: Sequence[Sequence[FlightView]]) -> dict[str, Any]:
    passengers = tuple(_passengers(offers[0].party.types, names, flights))
    lines = rules.printed_lines(offers)
    charges = (ChargeView(one.code, one.label, one.amount_minor, passengers[who].id, at) for who, at, one in lines)
    slices = (_slice(at, *one) for at, one in enumerate(zip(offers, flights, strict=True)))
    return {"slices": tuple(slices), "passengers": passengers, "charges": tuple(charges)}


def _slice(position: int, offer: Offer, flights: Sequence[FlightView]) -> SliceView:
    return SliceView(
        position,
        flights[0].origin,
        flights[-1].destination,
        offer.cabin,
        offer.brand,
        offer.booking_class,
        offer.conditions,
        tuple(flights),
        pricing=tuple(offer.pricing),
        fare_basis=offer.fare_basis,
    )


def _passengers(
    party: Sequence[str], names: NameWish | None, flights: Sequence[Sequence[FlightView]]
) -> Iterator[PassengerView]:
    if names is None:
        named: Sequence[dict[str, Any]] = [dict.fromkeys(NAMES[3:])] * len(party)
    else:
        records.check_names(names, party, [flight.departs_on for piece in flights for flight in piece])
        named = [rules.name_fields(one) for one in rules.in_party_order(names.passengers)]
    for position, (kind, fields) in enumerate(zip(party, named, strict=True)):
        yield PassengerView(uuid4(), position, kind, **fields, ticket_number=None)


def _written(
    offers: Sequence[Offer],
    *,
    slices: Sequence[SliceView],
    passengers: Sequence[PassengerView],
    charges: Sequence[ChargeView],
) -> dict[str, str]:
    """Return the parts as HOLD takes them: a JSON list of rows for each table."""
    rows = {
        "slices": [{"position": at, **rules.slice_fields(offer)} for at, offer in enumerate(offers)],
        "segments": [
            {"slice_position": piece.position, "position": at, "flight_id": flight.id}
            for piece in slices
            for at, flight in enumerate(piece.flights)
        ],
        "passengers": [{name: getattr(one, name) for name in NAMES} for one in passengers],
        "charges": [
            {"position": at, **{name: getattr(line, name) for name in LINES}} for at, line in enumerate(charges)
        ],
    }
    return {name: json.dumps(some, default=str) for name, some in rows.items()}

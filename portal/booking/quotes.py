"""What an amendment would do and cost, worked out from the booking as it stands; nothing is changed by it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.booking import records
from portal.booking.models import Amendment, Booking, Item, Segment
from portal.booking.records import ItemWish, Plan


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
                records.line(
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
    slices = slices_of(session, booking_id)
    return [
        records.line(
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


def require_possible(session: Session, booking: Booking, amendment: Amendment) -> None:
    """Raise ActionClosed when what was quoted can no longer be done, because a flight has left since."""

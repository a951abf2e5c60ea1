"""What happens by itself to prices: some times a day each flight's booking classes are protected anew."""

from __future__ import annotations

from portal.booking.demand import class_demand
from portal.kit import clock, db
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.pricing import inventory
from portal.pricing.service import read_tariff
from tasks.delivery import Handler


def protect_classes(_: Settings, __: Letter) -> None:
    """Reckon what is kept for dear classes on every flight of the next year, some hundred flights a transaction."""
    now = clock.now()
    first, last = inventory.history_span(now.date())
    enough = {"flights": inventory.ENOUGH_FLIGHTS, "seats": inventory.ENOUGH_SEATS}
    with db.reading() as session:
        classes, history = read_tariff(session, now.date()).classes, class_demand(session, first, last, **enough)
    place: inventory.Place | None = inventory.Place(now)
    while place is not None:
        with db.writing() as session:
            place = inventory.protect_slice(session, place, classes=classes, history=history, now=now)


HANDLERS: dict[str, Handler] = {"classes.protect": protect_classes}

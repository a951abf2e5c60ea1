"""What may be watched: wait for seats on a full flight, hear of a lower fare, be reminded to check in.

Seats that come free are offered one party a transaction, under a lock of that line alone, so that two workers never
offer twice. The offer is a real hold: whoever buys in between makes it fail, and the party keeps its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.booking import service as booking
from portal.booking.forms import HoldWish
from portal.booking.queries import booking_by_id
from portal.booking.rules import CHECK_IN_CLOSES, CHECK_IN_OPENS, check_in_window
from portal.flights.queries import FlightView, flight_by_public_id, flights_by_id, free_seats
from portal.kit import audit, clock, outbox
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.places.queries import places_by_code
from portal.pricing.rules import Party
from portal.pricing.service import load_book
from portal.search.forms import Criteria, SliceWish
from portal.search.rules import DayPrice, Offer
from portal.search.service import SOLD_DAYS_AHEAD, cheapest_days, day_prices, reprice
from portal.watches import errors, queries, rules, told
from portal.watches.forms import NewAlert, NewWait
from portal.watches.models import LISTENING, WAITING, Alert, Wait

CHECKED_EVERY = timedelta(hours=1)
SLICE = 200
NEVER = datetime.fromtimestamp(0, UTC)
LOCK_LINE = text("select pg_advisory_xact_lock(hashtextextended(:key, 0))")
SETTLE = text(
    """
    update waits w set state = case when b.confirmed_at is not null then 'taken' else 'lapsed' end, ended_at = now()
    from waits o left join bookings b on b.id = o.booking_id
    where w.id = o.id and w.state = 'offered' and b.status is distinct from 'held'
    returning w.id
    """
)
END = text(
    """
    update waits w set state = 'lapsed', ended_at = now() from flights f
    where f.id in (w.flight_id, w.onward_id) and w.state = 'waiting'
      and (f.status <> 'scheduled' or f.departure_at <= :closes_at)
    returning w.id
    """
)


# ── the line for a full flight ────────────────────────────────────────────────────────────────────────────


def join(session: Session, wish: NewWait, *, user_id: UUID | None, locale: str) -> UUID:
    """Give a party its place in the line; an address that waits for this cabin already keeps its first one.

    Its mail goes once a day at most. Raises UnknownWait (no such flight), LineClosed, NotFull, TooManyWatches.
    """
    flight = flight_by_public_id(session, wish.flight_id)
    if flight is None:
        raise errors.UnknownWait()
    onward = flight_by_public_id(session, wish.onward_flight_id) if wish.onward_flight_id else None
    if wish.onward_flight_id and (onward is None or not rules.connects(flight, onward)):
        raise errors.UnknownWait()
    flights = [flight, onward] if onward else [flight]
    _check_line(session, flights, wish)
    known = session.scalar(select(Wait.id).where(*_own(flights, wish)))
    wait_id = known or _add_wait(session, wish, flights, user_id, locale)
    key = f"{wait_id}:{clock.now().date()}"
    outbox.post(session, "wait.joined", key=key, queue="mail", waitId=str(wait_id))
    return wait_id


def _own(flights: Sequence[FlightView], wish: NewWait) -> tuple[Any, ...]:
    ways = Wait.flight_id == flights[0].id, func.coalesce(Wait.onward_id, 0) == (flights[1].id if flights[1:] else 0)
    return *ways, Wait.cabin == wish.cabin, func.lower(Wait.email) == wish.email.lower(), Wait.state.in_(WAITING)


def _check_line(session: Session, flights: Sequence[FlightView], wish: NewWait) -> None:
    if any(rules.is_closed(flight, clock.now()) for flight in flights):
        raise errors.LineClosed()
    free = free_seats(session, [flight.id for flight in flights])
    seats = [free.get((flight.id, wish.cabin)) for flight in flights]
    if None in seats:
        raise errors.UnknownWait()
    if all(one is not None and one >= wish.party.seats for one in seats):
        raise errors.NotFull()


def _add_wait(
    session: Session, wish: NewWait, flights: Sequence[FlightView], user_id: UUID | None, locale: str
) -> UUID:
    mine = select(func.count()).where(func.lower(Wait.email) == wish.email.lower(), Wait.state.in_(WAITING))
    if (session.scalar(mine) or 0) >= rules.MOST_WAITS:
        raise errors.TooManyWatches()
    row = insert(Wait).values(
        flight_id=flights[0].id,
        onward_id=flights[1].id if flights[1:] else None,
        cabin=wish.cabin,
        brand=wish.brand,
        **_party(wish.party),
        email=wish.email,
        user_id=user_id,
        locale=locale,
    )
    made = session.scalar(row.on_conflict_do_nothing().returning(Wait.id))
    return made or session.scalars(select(Wait.id).where(*_own(flights, wish))).one()


def _party(party: Party) -> dict[str, int]:
    return {"adults": party.adults, "children": party.children, "infants": party.infants}


def leave(session: Session, wait_id: UUID, *, user_id: UUID | None = None) -> None:
    """Give a place in line up; again changes nothing. A hold that was offered runs out by itself.

    Raises UnknownWait, also where `user_id` is given and it is another's.
    """
    row = session.get(Wait, wait_id, with_for_update=True)
    if row is None or (user_id is not None and row.user_id != user_id):
        raise errors.UnknownWait()
    if row.state == "waiting":
        row.state, row.ended_at = "left", clock.now()


def offer_next(session: Session, flight_id: int, cabin: str, *, settings: Settings) -> UUID | None:
    """Hold seats for the first in line whose party fits, at today's price for three hours; returns the wait, or None.

    Who waits for a connection fits once its other flight has the seats, too, as long as the two still connect.

    One party a transaction: call it again until it returns None. Raises what hold raises (SoldOut: somebody bought in
    between); the transaction must be rolled back then, and the line stays as it was.
    """
    session.execute(LOCK_LINE, {"key": f"waiting list {flight_id} {cabin}"})
    line = queries.line(session, flight_id, cabin)
    free = free_seats(session, [flight_id, *(other for _who, _seats, other in line if other)])
    through = _still_connect(session, flight_id, [other for _who, _seats, other in line if other])
    able = [(who, n) for who, n, other in line if not other or (other in through and free.get((other, cabin), 0) >= n)]
    wait_id = rules.next_in_line(able, free.get((flight_id, cabin), 0))
    row = session.get(Wait, wait_id, with_for_update=True, populate_existing=True) if wait_id else None
    if row is None or row.state != "waiting":
        return None
    _offer(session, row, settings)
    return row.id


def _still_connect(session: Session, flight_id: int, others: Sequence[int]) -> set[int]:
    """Return the flights among `others` that connect with this one, before or after it, as they are timed now."""
    known = flights_by_id(session, [flight_id, *others]) if others else {}
    pairs = ((other, known[flight_id], known[other]) for other in others)
    return {other for other, mine, its in pairs if rules.connects(mine, its) or rules.connects(its, mine)}


def _offer(session: Session, row: Wait, settings: Settings) -> None:
    wanted = [row.flight_id, *([row.onward_id] if row.onward_id else [])]
    known = flights_by_id(session, wanted)
    offer = _todays_offer(session, row, [known[one] for one in wanted], settings)
    key = f"waiting list {row.id}"
    wish = HoldWish((offer,), key, row.user_id, row.locale, rules.HOLD_MINUTES, email=row.email)
    held = booking.hold(session, wish)
    row.state, row.offered_at, row.booking_id = "offered", clock.now(), held.id
    audit.record(session, "waiting_list.offered", "booking", held.reference, after={"seats": row.adults + row.children})
    outbox.post(session, "wait.offered", key=str(row.id), queue="mail", waitId=str(row.id))
    session.flush()


def _todays_offer(session: Session, row: Wait, flights: Sequence[FlightView], settings: Settings) -> Offer:
    brands = [one.brand for one in load_book(session).in_cabin(row.cabin)]
    blank = Offer(
        token="",
        slice_origin=flights[0].origin.code,
        slice_destination=flights[-1].destination.code,
        flight_ids=tuple(one.id for one in flights),
        cabin=row.cabin,
        brand=row.brand if row.brand in brands else brands[0],
        booking_class="",
        fare_basis="",
        party=Party(row.adults, row.children, row.infants),
        currency="",
        total_minor=0,
        per_type={},
        conditions={},
        pricing=[],
        issued_at=NEVER,
        expires_at=NEVER,
    )
    return reprice(session, blank, settings=settings)


def settle_waits(session: Session) -> int:
    """Write down what became of offered holds – bought or run out – and end the lines of flights about to leave.

    Who got no seat is told. Returns how many places changed.
    """
    settled = session.scalars(SETTLE).all()
    ended = session.scalars(END, {"closes_at": clock.now() + rules.LINE_ENDS}).all()
    for wait_id in ended:
        outbox.post(session, "wait.over", key=str(wait_id), queue="mail", waitId=str(wait_id))
    return len(settled) + len(ended)


def wait_mail(session: Session, kind: str, wait_id: UUID, letter: str, settings: Settings) -> EmailMessage | None:
    """Return the mail of a wait's letter – joined, offered, over – or None where it no longer holds."""
    view = queries.wait(session, wait_id)
    if view is None:
        return None
    if kind == "wait.over":
        return told.over_mail(view, settings)
    if kind == "wait.joined":
        return told.joined_mail(view, settings, letter) if view.state == "waiting" else None
    row = session.get_one(Wait, wait_id)
    held = booking_by_id(session, row.booking_id) if row.booking_id else None
    if held is None or held.status_at(clock.now()) != "held":
        return None
    return told.offered_mail(view, held, settings)


# ── fare alerts ───────────────────────────────────────────────────────────────────────────────────────────


def listen(session: Session, wish: NewAlert, *, user_id: UUID | None, locale: str) -> UUID:
    """Keep an alert, pending until its address confirms it; the same one again is one, and its mail goes once a day.

    Raises Invalid (days, amount), TooManyWatches.
    """
    _check_route(session, wish)
    first, last = wish.days(clock.now().date())
    limit = wish.limit()
    values = {
        "origin": wish.origin,
        "destination": wish.destination,
        "first_on": first,
        "last_on": last,
        "cabin": wish.cabin,
        **_party(wish.party),
    }
    same = [getattr(Alert, name) == value for name, value in values.items()]
    mine = (func.lower(Alert.email) == wish.email.lower(), Alert.state.in_(LISTENING))
    known = session.scalar(select(Alert.id).where(*same, *mine))
    if known is None and (session.scalar(select(func.count()).where(*mine)) or 0) >= rules.MOST_ALERTS:
        raise errors.TooManyWatches()
    more = {"below_minor": limit.minor, "currency": limit.currency, "email": wish.email, "locale": locale}
    row = insert(Alert).values(**values, **more, user_id=user_id).on_conflict_do_nothing().returning(Alert.id)
    alert_id = known or session.scalar(row) or session.scalars(select(Alert.id).where(*same, *mine)).one()
    key = f"{alert_id}:{clock.now().date()}"
    outbox.post(session, "alert.confirm", key=key, queue="mail", alertId=str(alert_id))
    return alert_id


def _check_route(session: Session, wish: NewAlert) -> None:
    known = places_by_code(session, (wish.origin, wish.destination))
    words = _("We know no such place. Try the city, or its three-letter code.")
    wrong = [FieldError(name, words) for name in ("origin", "destination") if getattr(wish, name) not in known]
    if wish.origin == wish.destination:
        wrong.append(FieldError("destination", _("This is where you start. Please choose another place.")))
    if wrong:
        raise Invalid(errors=wrong)


def begin(session: Session, alert_id: UUID) -> None:
    """Start an alert: its address was confirmed by the link. Again changes nothing. Raises UnknownAlert."""
    row = session.get(Alert, alert_id, with_for_update=True)
    if row is None:
        raise errors.UnknownAlert()
    if row.state == "pending":
        row.state, row.confirmed_at = "active", clock.now()


def stop(session: Session, alert_id: UUID, *, user_id: UUID | None = None) -> None:
    """End an alert; again changes nothing. Raises UnknownAlert, also where `user_id` is given and it is another's."""
    row = session.get(Alert, alert_id, with_for_update=True)
    if row is None or (user_id is not None and row.user_id != user_id):
        raise errors.UnknownAlert()
    if row.state in LISTENING:
        row.state, row.ended_at = "left", clock.now()


def end_alerts(session: Session) -> int:
    """End the alerts whose days are over, and forget those that were never confirmed; returns how many."""
    now = clock.now()
    never = delete(Alert).where(Alert.state == "pending", Alert.created_at < now - rules.PENDING_KEPT)
    gone = session.scalars(never.returning(Alert.id)).all()
    past = update(Alert).where(Alert.state.in_(LISTENING), Alert.last_on < now.date())
    over = session.scalars(past.values(state="over", ended_at=now).returning(Alert.id)).all()
    return len(gone) + len(over)


def due_alerts(session: Session) -> Sequence[rules.AlertView]:
    """Return the next slice of alerts to look after: those not looked after for an hour."""
    return queries.due_alerts(session, clock.now() - CHECKED_EVERY, SLICE)


def lowest(session: Session, view: rules.AlertView, *, settings: Settings) -> DayPrice | None:
    """Return the lowest price of an alert's days in its currency, or None where nothing is sold.

    A single day counts connections too; a month counts non-stop flights, and connections where there are none.
    """
    today = clock.now().date()
    last = min(view.last_on, today + timedelta(days=SOLD_DAYS_AHEAD))
    days = [day for day in _days(view.first_on, last) if day > today or view.one_day]
    try:
        prices = _prices(session, view, days, settings) if days else []
    except Invalid:
        return None
    found = [one for one in prices if one.total_minor is not None and one.currency == view.currency]
    return min(found, key=lambda one: (one.total_minor or 0, one.on), default=None)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _prices(session: Session, view: rules.AlertView, days: Sequence[date], settings: Settings) -> Sequence[DayPrice]:
    ends = view.origin.code, view.destination.code
    if not view.one_day:
        found = day_prices(session, *ends, days, settings=settings, cabin=view.cabin, party=view.party)
        if any(one.total_minor is not None for one in found):
            return found
    criteria = Criteria((SliceWish(*ends, days[0]),), view.party, view.cabin)
    return cheapest_days(session, criteria, 0, days, settings=settings)


def note_price(session: Session, alert_id: UUID, found: DayPrice | None) -> bool:
    """Remember the price that was seen, and post the mail where it is worth one; returns whether it is."""
    row = session.get(Alert, alert_id, with_for_update=True)
    if row is None or row.state != "active":
        return False
    now = clock.now()
    row.checked_at = now
    price = found.total_minor if found else None
    heard, worth = rules.hear(rules.Heard(row.armed, row.told_minor, row.told_at), price, row.below_minor, now)
    row.armed, row.told_minor, row.told_at = heard.armed, heard.told_minor, heard.told_at
    if worth and found:
        told_of: dict[str, Any] = {"alertId": str(row.id), "priceMinor": price, "on": found.on.isoformat()}
        outbox.post(session, "alert.drop", key=f"{row.id}:{now.isoformat()}", queue="mail", **told_of)
    return worth


def alert_mail(session: Session, letter: outbox.Letter, settings: Settings) -> EmailMessage | None:
    """Return the mail of an alert's letter, or None where it is not wanted (any more)."""
    view = queries.alert(session, UUID(letter.payload["alertId"]))
    if view is None or view.state not in LISTENING:
        return None
    if letter.kind == "alert.confirm":
        return told.confirm_mail(view, settings, str(letter.key)) if view.state == "pending" else None
    price, on = int(letter.payload["priceMinor"]), date.fromisoformat(letter.payload["on"])
    return told.drop_mail(view, settings, str(letter.key), price_minor=price, on=on)


# ── the reminder to check in ──────────────────────────────────────────────────────────────────────────────


def remind(session: Session) -> int:
    """Post a reminder for each booking and flight whose check-in has opened, once; returns how many.

    Check-in opens 24 hours before departure and closes 60 minutes before it.
    """
    now = clock.now()
    due = queries.reminders(session, since=now + CHECK_IN_OPENS, until=now + CHECK_IN_CLOSES, limit=SLICE)
    for one in due:
        ids: dict[str, Any] = {"bookingId": str(one.booking_id), "flightId": one.flight_id}
        outbox.post(session, "check_in.reminder", key=f"{one.booking_id}:{one.flight_id}", queue="mail", **ids)
    return len(due)


def reminder_mail(session: Session, booking_id: UUID, flight_id: int, settings: Settings) -> EmailMessage | None:
    """Return the reminder, or None for what was cancelled or has left in the meantime."""
    view = booking_by_id(session, booking_id)
    flight = next((one for one in view.flights if one.id == flight_id), None) if view else None
    if view is None or flight is None or view.status != "confirmed" or flight.status != "scheduled":
        return None
    if check_in_window(flight)[1] <= clock.now():
        return None
    return told.reminder_mail(view, flight, settings)

"""What may be done at check-in: check in, undo, hand out passes, forget documents.

Locks are taken in one order: the booking's row, the flights' boarding rows (sorted), names of seats. A flight's
boarding row is its counter of sequence numbers, so those who check in for it are seated one after the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.booking.errors import UnknownBooking
from portal.booking.models import Booking
from portal.booking.queries import booking_view
from portal.booking.rules import may_manage, may_see
from portal.booking.views import BookingView
from portal.checkin import errors, queries, records, rules
from portal.checkin.forms import Wish
from portal.checkin.models import CheckIn, TravelDocument
from portal.checkin.rules import CheckedIn, Desk, Document, Pick
from portal.checkin.told import BoardingPass, boarding_passes
from portal.flights.seating import SeatChoice, choose, seat_plan, seats_of
from portal.kit import audit, clock, grants, i18n, ids, mail, outbox
from portal.kit.errors import FieldError, Forbidden
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.seats.errors import SeatNotAllowed
from portal.seats.queries import liked
from portal.seats.rules import seat_problem


@dataclass(frozen=True, slots=True)
class Asker:
    """Who stands at the desk: an account, staff, or a browser or token that was granted the booking."""

    user_id: UUID | None
    staff: bool
    granted: str | None


def look(session: Session, reference: str, asker: Asker) -> Desk:
    """Return the booking's desk to who may manage it: a boarding pass is not for who knows a reference and a name.

    Raises UnknownBooking where they may not even see it, Forbidden where they may only look.
    """
    view = booking_view(session, reference)
    if view is None or not may_see(view, **_who(asker), family_name=None):
        raise UnknownBooking()
    if not may_manage(view, **_who(asker)):
        raise Forbidden(_("A boarding pass is personal. Please sign in, or have the booking's page mail you a link."))
    return queries.desk(session, view)


def _who(asker: Asker) -> dict[str, Any]:
    return {"user_id": asker.user_id, "staff": asker.staff, "granted": asker.granted}


def open_desk(session: Session, reference: str) -> Desk:
    """Return the booking's desk, its row locked until the transaction ends. Raises UnknownBooking."""
    locked = select(Booking.id).where(Booking.reference == ids.normal_reference(reference)).with_for_update()
    view = booking_view(session, reference) if session.scalar(locked) is not None else None
    if view is None:
        raise UnknownBooking()
    return queries.desk(session, view)


def check_in(
    session: Session,
    reference: str,
    wishes: Sequence[Wish],
    *,
    now: datetime,
    actor_id: UUID | None = None,
    source: str = "W",
) -> list[CheckedIn]:
    """Check in everybody of `wishes`, and the infants of the adults among them, all or nobody; again changes nothing.

    A seat that is wished for replaces the one they had, free of charge; who has none gets one, parties together and as
    the account likes it. So does who may not have theirs any more, as by an exit with an infant on the lap. Raises
    UnknownBooking, CheckInClosed, PartySplit, DocumentsMissing, SeatNotAllowed, SeatTaken, SeatUnknown, NoSeatLeft,
    Busy.
    """
    desk = open_desk(session, reference)
    flights = {flight.public_id: flight.id for flight in desk.view.flights}
    if any(wish.flight not in flights for wish in wishes):
        raise errors.CheckInClosed(_("This flight is not part of the booking."))
    asked = {(wish.passenger_id, flights[wish.flight]): wish for wish in wishes}
    fresh = [pick for pick in rules.completed(desk, asked) if pick not in desk.checked_in]
    _check(desk, asked, fresh, now)
    _keep_documents(session, desk, asked, fresh)
    made = _numbered(session, desk, fresh, actor_id, source) if fresh else []
    _seat(session, desk, asked, fresh)
    if made:
        _tell(session, desk, made, actor_id)
    return queries.check_ins_of(session, desk.view.id)


def _check(desk: Desk, asked: Mapping[Pick, Wish], fresh: Sequence[Pick], now: datetime) -> None:
    for who, flight_id in {*asked, *fresh}:
        flight = desk.flight(flight_id)
        passenger = desk.passenger(who)
        closed = rules.traveller_closed(desk, who, flight, now) if flight else _("This flight is cancelled.")
        if closed:
            name = f"{passenger.name}: " if passenger else ""
            raise errors.CheckInClosed(f"{name}{closed}")
    split = rules.split_problem(desk, fresh)
    if split:
        raise errors.PartySplit(split)


def _keep_documents(session: Session, desk: Desk, asked: Mapping[Pick, Wish], fresh: Sequence[Pick]) -> None:
    given = {who: wish.document for (who, _flight), wish in asked.items() if wish.document}
    keep_documents(session, desk, given, fresh)


def keep_documents(
    session: Session, desk: Desk, given: Mapping[UUID, Document], picks: Sequence[Pick], *, at: str = ""
) -> None:
    """Keep the documents that these travellers need for these flights; those that are known need not come again.

    Raises DocumentsMissing with a sentence at `<at><place in the booking>.<field>` for whoever's is missing or no good.
    Nothing is kept of who crosses no border.
    """
    wrong: list[FieldError] = []
    known = {**desk.documents, **given}
    needed = rules.documents_needed(desk, picks)
    for who, arrives_on in needed.items():
        passenger = desk.passenger(who)
        path = f"{at}{passenger.position if passenger else 0}"
        if who not in known:
            name = passenger.name if passenger else ""
            said = _("%(name)s needs a passport or identity card for this flight.") % {"name": name}
            wrong.append(FieldError(f"{path}.number", said))
        else:
            found = rules.document_problems(known[who], arrives_on)
            wrong += [FieldError(f"{path}.{one.pointer}", one.detail) for one in found]
    if wrong:
        raise errors.DocumentsMissing(errors=wrong)
    for who in needed.keys() & given.keys():
        _keep(session, who, given[who])


def _keep(session: Session, passenger_id: UUID, document: Document) -> None:
    values = {name: getattr(document, name) for name in Document.__dataclass_fields__}
    row = insert(TravelDocument).values(passenger_id=passenger_id, **values)
    session.execute(row.on_conflict_do_update(index_elements=["passenger_id"], set_=values))


def _numbered(
    session: Session, desk: Desk, fresh: Sequence[Pick], actor_id: UUID | None, source: str
) -> list[dict[str, Any]]:
    """Give each a number of the flight's own, from 1 on, and mark the coupons."""
    rows = []
    for flight_id in sorted({flight for _who, flight in fresh}):
        people = [who for who, flight in fresh if flight == flight_id]
        last = session.scalars(records.NUMBERS, {"flight_id": flight_id, "count": len(people)}).one()
        for number, who in enumerate(people, last - len(people) + 1):
            coupon = desk.coupons[who, flight_id]
            _use(session, coupon)
            rows.append(
                {
                    "ticket_number": coupon.ticket_number,
                    "coupon_position": coupon.position,
                    "passenger_id": who,
                    "flight_id": flight_id,
                    "sequence_number": number,
                    "source": source,
                    "checked_in_by": actor_id,
                }
            )
    session.execute(insert(CheckIn), rows)
    return rows


def _use(session: Session, coupon: rules.Coupon) -> None:
    values = {"ticket": coupon.ticket_number, "position": coupon.position}
    if session.scalar(records.USE_COUPON, values) is None:
        raise errors.CheckInClosed(_("The ticket for this flight is no longer good."))


def _seat(session: Session, desk: Desk, asked: Mapping[Pick, Wish], fresh: Sequence[Pick]) -> None:
    """Take the wished-for seats, then find some for who has none; write on the check-in what stands on the pass."""
    wished = {pick: wish.seat for pick, wish in asked.items() if wish.seat}
    for flight_id in sorted({flight for _who, flight in (*fresh, *wished)}):
        people = {who: seat for (who, flight), seat in wished.items() if flight == flight_id}
        _check_exit(session, desk, flight_id, people)
        choices = [SeatChoice(flight_id, seat, who) for who, seat in people.items()]
        choose(session, holder=desk.view.id, choices=choices)
        _seat_the_rest(session, desk, flight_id, [who for who, flight in fresh if flight == flight_id])
    for (flight_id, who), seat in seats_of(session, desk.view.id).items():
        for statement in (records.PRINT_SEAT, records.MOVE_EXTRA):
            session.execute(statement, {"seat": seat, "flight_id": flight_id, "who": who})


def _check_exit(session: Session, desk: Desk, flight_id: int, people: Mapping[UUID, str]) -> None:
    plan = seat_plan(session, flight_id) if people else None
    for who, name in people.items():
        passenger, seat = desk.passenger(who), plan.seat(name) if plan else None
        no = seat_problem(passenger, seat, desk.view) if passenger and seat else None
        if passenger and no:
            raise SeatNotAllowed(f"{passenger.name}, {name}: {no}")


def _seat_the_rest(session: Session, desk: Desk, flight_id: int, people: Sequence[UUID]) -> None:
    """Seat who has no seat, or one that they may not have any more."""
    seated, cabin = seats_of(session, desk.view.id), seat_plan(session, flight_id).cabin(desk.piece(flight_id).cabin)
    party = [one for who in people if (one := desk.passenger(who)) is not None and one.takes_seat]
    bare = [one for one in party if not rules.may_keep(cabin, one, seated.get((flight_id, one.id)), desk.view)]
    if not bare:
        return
    found = rules.seats_for(cabin, bare, wish=liked(session, desk.view)) if cabin else {}
    if not found or any(seat_problem(one, found[one.id], desk.view) for one in bare):
        raise errors.NoSeatLeft(_("Please come to our desk at the airport: we find you a seat there."))
    choose(session, holder=desk.view.id, choices=[SeatChoice(flight_id, found[one.id].name, one.id) for one in bare])


def _tell(session: Session, desk: Desk, made: Sequence[Mapping[str, Any]], actor_id: UUID | None) -> None:
    for row in made:
        session.execute(records.TELL_SEATS, {"flight_id": row["flight_id"], "who": row["passenger_id"]})
    numbers = sorted(f"{row['flight_id']}:{row['sequence_number']}" for row in made)
    audit.record(session, "checkin.done", "booking", desk.view.reference, actor_id=actor_id, after={"passes": numbers})
    outbox.post(session, "checkin.done", key=numbers[0], queue="mail", bookingId=str(desk.view.id), passes=numbers)


def tell_reseated(session: Session) -> int:
    """Post a letter with the new passes for each booking whose seats are others than on its mailed ones; how many."""
    moved: dict[UUID, list[tuple[str, str]]] = {}
    for booking_id, number, seat in session.execute(records.RESEATED):
        moved.setdefault(booking_id, []).append((number, seat))
    for booking_id, rows in moved.items():
        numbers = sorted(number for number, _seat in rows)
        key = " ".join(sorted(f"{number}/{seat}" for number, seat in rows)) + f" {clock.now():%d%H%M}"
        payload: dict[str, Any] = {"bookingId": str(booking_id), "passes": numbers}
        outbox.post(session, "checkin.reseated", key=key, queue="mail", **payload)
    return len(moved)


def undo(session: Session, reference: str, check_in_id: UUID, *, now: datetime, actor_id: UUID | None = None) -> None:
    """Take a check-in back, an adult's with the infant's on the lap; the coupon is open again, the seat stays theirs.

    Raises UnknownBooking, NotCheckedIn, AlreadyBoarded, CheckInClosed (the flight has left), PartySplit (a child would
    be left alone).
    """
    desk = open_desk(session, reference)
    made = next((one for one in desk.checked_in.values() if one.id == check_in_id), None)
    if made is None:
        raise errors.NotCheckedIn()
    flight = desk.flight(made.flight_id)
    if flight is not None and flight.leaves_at <= now:
        raise errors.CheckInClosed(_("This flight has left."))
    together = (made.passenger_id, desk.infant_of(made.passenger_id))
    going = [one for who in together if who and (one := desk.checked_in.get((who, made.flight_id)))]
    _check_company(desk, made.flight_id, {one.passenger_id for one in going})
    for one in going:
        _take_back(session, one)
    audit.record(
        session,
        "checkin.undone",
        "booking",
        desk.view.reference,
        actor_id=actor_id,
        before={"pass": f"{made.flight_id}:{made.sequence_number}"},
    )


def _check_company(desk: Desk, flight_id: int, going: set[UUID]) -> None:
    left = [who for who, flight in desk.checked_in if flight == flight_id and who not in going]
    kinds = {one.id: one.type for one in desk.view.active_passengers}
    if any(kinds.get(who) == "child" for who in left) and not any(kinds.get(who) == "adult" for who in left):
        raise errors.PartySplit(_("A child would be left alone. Please undo the child's check-in first."))


def _take_back(session: Session, made: CheckedIn) -> None:
    gone = delete(CheckIn).where(CheckIn.id == made.id, CheckIn.boarded_at.is_(None)).returning(CheckIn.id)
    if session.scalar(gone) is None:
        raise errors.AlreadyBoarded()
    session.execute(records.OPEN_COUPON, {"ticket": made.ticket_number, "position": made.coupon_position})


def forget_documents(session: Session, *, before: datetime) -> int:
    """Erase the documents of whoever's last flight landed before then, or who does not fly; returns how many."""
    return len(session.execute(records.FORGET, {"before": before}).all())


def passes_pdf(passes: Sequence[BoardingPass], view: BookingView, settings: Settings) -> mail.File:
    """Return the passes on paper, a page each, in the booking's language, as PDF/UA-1. Raises NotCheckedIn for none."""
    from portal.kit import paper  # WeasyPrint takes half a second to load; a process that never prints never pays

    if not passes:
        raise errors.NotCheckedIn(_("Nobody of this booking is checked in yet."))
    made_at = max(one.check_in.checked_in_at for one in passes)
    content = paper.pdf(settings, "boarding_pass", made_at=made_at, locale=view.locale, passes=passes, booking=view)
    return mail.File(f"boarding-passes-{view.reference}.pdf", "application/pdf", content)


def printable_passes(desk: Desk) -> list[BoardingPass]:
    """Return the passes with names as our type can print them, in the booking's language."""
    from portal.kit import paper  # as above

    with i18n.speaking(desk.view.locale):
        return boarding_passes(desk, is_printable=paper.is_printable)


def passes_mail(desk: Desk, numbers: Collection[str], settings: Settings, *, reseated: str = "") -> EmailMessage | None:
    """Return the mail that brings the passes of these numbers, attached; None when none of them is good any more.

    `reseated` names the letter that tells of other seats than on the passes before.

    Raises Hopeless without an address.
    """
    passes = [one for one in printable_passes(desk) if f"{one.flight.id}:{one.check_in.sequence_number}" in numbers]
    if not passes:
        return None
    view, first = desk.view, passes[0].flight
    with i18n.speaking(view.locale):
        words = {"city": first.destination.city, "day": i18n.day(first.departure_local)}
        return mail.compose(
            settings,
            to=view.contact_email or "",
            subject=(
                _("Your new seat: %(city)s, %(day)s") if reseated else _("Your boarding passes: %(city)s, %(day)s")
            )
            % words,
            template="boarding_passes",
            identity=f"checkin.done.{view.id}.{min(numbers)}{reseated}",
            locale=view.locale,
            files=(passes_pdf(passes, view, settings),),
            booking=view,
            passes=passes,
            reseated=bool(reseated),
            passes_url=grants.link(
                settings, view.reference, f"/bookings/{view.reference}/boarding-passes", to=view.contact_email
            ),
        )

"""Everything that is kept about one account, room by room; what of it is still to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.booking.queries import Finding
from portal.privacy.errors import UnknownCopy
from portal.privacy.models import DataCopy, Erasure

# One statement a section, in the order in which they are read. `:id` is the account, `:email` its address; hashes and
# sealed secrets are no data about anybody and stay where they are.
SECTIONS: Mapping[str, str] = {
    "account": """
        select id, email, given_name, family_name, role, created_at, email_verified_at, password_changed_at
        from users where id = :id""",
    "preferences": """
        select home_airport, seat, meal, language, muted, keep_address, changed_at from preferences
        where user_id = :id""",
    "savedTravellers": """
        select given_name, family_name, date_of_birth, created_at from saved_travellers where user_id = :id
        order by created_at""",
    "favouriteRoutes": """
        select origin, destination, created_at from favourite_routes where user_id = :id order by created_at""",
    "bookings": """
        select reference, status, contact_email, contact_phone, currency, total_minor, paid_minor, created_at,
               confirmed_at, ended_at from bookings where user_id = :id order by created_at""",
    "passengers": """
        select b.reference, p.type, p.given_name, p.family_name, p.ticket_name, p.date_of_birth, p.cancelled_at,
               (select array_agg(t.number order by t.number) from tickets t where t.passenger_id = p.id) ticket_numbers
        from passengers p join bookings b on b.id = p.booking_id where b.user_id = :id
        order by b.created_at, p.position""",
    "flights": """
        select b.reference, f.carrier || f.number as flight, f.origin, f.destination, f.departure_local,
               f.arrival_local, s.cabin, s.brand, s.cancelled_at
        from booking_segments g join bookings b on b.id = g.booking_id join flights f on f.id = g.flight_id
        join booking_slices s on s.booking_id = g.booking_id and s.position = g.slice_position
        where b.user_id = :id order by b.created_at, g.slice_position, g.position""",
    "charges": """
        select b.reference, c.code, c.label, c.amount_minor, b.currency from charges c
        join bookings b on b.id = c.booking_id where b.user_id = :id order by b.created_at, c.position""",
    "payments": """
        select b.reference, p.method, p.gateway, p.amount_minor, p.currency, p.state, p.created_at, p.settled_at
        from payments p join bookings b on b.id = p.payable where b.user_id = :id order by p.created_at""",
    "refunds": """
        select b.reference, r.amount_minor, p.currency, r.reason, r.way, r.state, r.created_at, r.settled_at
        from refunds r join payments p on p.id = r.payment_id join bookings b on b.id = p.payable
        where b.user_id = :id order by r.created_at""",
    "credits": """
        select code, amount_minor, remaining_minor, currency, source, created_at, expires_at from credits
        where lower(owner_email) = :email order by created_at""",
    "travelDocuments": """
        select b.reference, p.ticket_name, d.type, d.number, d.nationality, d.issuing_country, d.expires_on, d.sex,
               d.given_at from travel_documents d join passengers p on p.id = d.passenger_id
        join bookings b on b.id = p.booking_id where b.user_id = :id order by d.given_at""",
    "waitingLists": """
        select f.carrier || f.number as flight, f.departs_on, w.cabin, w.adults, w.children, w.infants, w.email,
               w.state, w.created_at, w.ended_at from waits w join flights f on f.id = w.flight_id
        where w.user_id = :id or lower(w.email) = :email order by w.created_at""",
    "fareAlerts": """
        select origin, destination, first_on, last_on, cabin, adults, children, infants, below_minor, currency, email,
               state, created_at, ended_at from alerts where user_id = :id or lower(email) = :email
        order by created_at""",
    "signIns": """
        select agent, address, created_at, last_seen_at, expires_at from sign_ins where user_id = :id
        order by created_at""",
    "programs": """
        select name, scopes, addresses, created_at, expires_at, last_used_at, last_address, revoked_at from api_keys
        where user_id = :id
        union all select agent, '{}', array_remove(array[address], null), began_at, max(expires_at), max(used_at),
               address, max(revoked_at)
        from refresh_tokens where user_id = :id group by family, agent, address, began_at""",
    "secondSteps": """
        select 'app' as kind, name, created_at, used_at from authenticators where user_id = :id
        union all select 'passkey', name, created_at, used_at from passkeys where user_id = :id
        union all select 'remembered browser', agent, created_at, used_at from remembered_browsers where user_id = :id
        union all select 'other service', issuer || ' ' || email, created_at, used_at from identities
        where user_id = :id""",
    "letters": """
        select kind, recipient, subject, sent_at from sent_mails where lower(recipient) = :email order by begun_at""",
    "deeds": """
        select happened_at, action, thing, thing_id from audit_entries
        where actor_id = :id or (thing = 'user' and thing_id = cast(:id as text)) order by id""",
}
PAPERS = text(
    """
    select b.reference || '-' || d.version || '-' || d.filename as path, d.content from documents d
    join bookings b on b.id = d.booking_id where b.user_id = :id order by d.created_at
    """
)
UPCOMING = text(
    """
    select b.reference, min(f.departs_on) as first_on, max(f.arrival_at) as ends_at from bookings b
    join booking_segments g on g.booking_id = b.id join flights f on f.id = g.flight_id
    where b.user_id = :id and b.status = 'confirmed' group by b.id having max(f.arrival_at) > now() order by 2
    """
)
OPEN_CREDITS = text(
    """
    select code, remaining_minor, currency, expires_at from credits
    where lower(owner_email) = :email and remaining_minor > 0 and expires_at > now() order by expires_at
    """
)


def sections(session: Session, user_id: UUID, email: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each section with its rows, under their names in the wire's spelling."""
    about = {"id": user_id, "email": email.lower()}
    for section, statement in SECTIONS.items():
        rows = session.execute(text(statement), {name: about[name] for name in about if f":{name}" in statement})
        yield section, [{to_camel(name): value for name, value in row._mapping.items()} for row in rows]


def papers(session: Session, user_id: UUID) -> dict[str, bytes]:
    """Return the papers of the account's bookings, by file name."""
    return {row.path.replace("/", "-"): bytes(row.content) for row in session.execute(PAPERS, {"id": user_id})}


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A booking that is not flown yet."""

    reference: str
    first_on: date
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class OpenCredit:
    """A credit with money left."""

    code: str
    remaining_minor: int
    currency: str
    expires_at: datetime


def upcoming(session: Session, user_id: UUID) -> list[Upcoming]:
    """Return the account's bookings that are still to be flown, the next one first."""
    return [Upcoming(*row) for row in session.execute(UPCOMING, {"id": user_id})]


def open_credits(session: Session, email: str) -> list[OpenCredit]:
    """Return what the address may still spend."""
    return [OpenCredit(*row) for row in session.execute(OPEN_CREDITS, {"email": email.lower()})]


@dataclass(frozen=True, slots=True)
class CopyView:
    """A copy of one's data: how far it is."""

    id: UUID
    state: str
    progress: int
    asked_at: datetime
    ready_at: datetime | None
    bytes: int


def copies(session: Session, user_id: UUID) -> list[CopyView]:
    """Return the account's copies, the newest first."""
    found = _view().where(DataCopy.user_id == user_id)
    return [CopyView(*row) for row in session.execute(found.order_by(DataCopy.asked_at.desc()).limit(5))]


def own_copy(session: Session, user_id: UUID, copy_id: UUID) -> CopyView:
    """Return one of the account's own copies; raises UnknownCopy for another's as for none."""
    row = session.execute(_view().where(DataCopy.user_id == user_id, DataCopy.id == copy_id)).first()
    if row is None:
        raise UnknownCopy()
    return CopyView(*row)


def _view() -> Any:
    size = text("coalesce(length(data_copies.content), 0)")
    return select(DataCopy.id, DataCopy.state, DataCopy.progress, DataCopy.asked_at, DataCopy.ready_at, size)


def asked_erasure(session: Session, user_id: UUID) -> datetime | None:
    """Return when the account is to be erased, if that was asked for and not taken back."""
    return session.scalar(select(Erasure.due_at).where(Erasure.user_id == user_id, Erasure.state == "asked"))


BOOKS = {
    "an erased account is still there": """
        select e.user_id::text, e.done_at::text from erasures e join users u on u.id = e.user_id
        where e.state = 'done'""",
    "an account waits to be erased and is not closed": """
        select e.user_id::text, e.due_at::text from erasures e join users u on u.id = e.user_id
        where e.state = 'asked' and u.closed_at is null""",
    "an erasure is overdue by more than a day": """
        select user_id::text, due_at::text from erasures where state = 'asked' and due_at < now() - interval '1 day'""",
}


def broken_erasures(session: Session) -> list[Finding]:
    """Return which wishes to be erased were not kept."""
    found = []
    for rule, statement in BOOKS.items():
        found += [Finding(rule, thing, detail) for thing, detail in session.execute(text(f"{statement} limit 1000"))]
    return found

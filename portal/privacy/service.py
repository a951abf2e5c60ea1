"""Verbs of one's own data: have it copied, ask to be erased, take that back, erase.

Erased is everything about the person, at once, but for what tax and transport law make an airline keep: the booking,
its tickets and its receipts with the names on them. Their contact and birthdays go once the flights are over.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.accounts import queries as people
from portal.accounts import service as accounts
from portal.accounts.models import User
from portal.booking.models import Booking
from portal.kit import audit, clock, i18n, outbox, signing
from portal.kit.settings import Settings
from portal.privacy import rules
from portal.privacy.errors import CopyUnderway, StaffStays, TooLateToStay
from portal.privacy.models import DataCopy, Erasure, LaterErasure

FILE, KEEP = "data-copy", "keep-account"
REVOKE_KEYS = text("update api_keys set revoked_at = now() where user_id = :id and revoked_at is null")
KEEP_SECONDS = int(rules.GRACE.total_seconds())


# ── a copy ────────────────────────────────────────────────────────────────────────────────────────────────


def ask_copy(session: Session, user_id: UUID) -> UUID:
    """Have a copy of all that is kept about the account made; raises CopyUnderway while one is being made."""
    asked = insert(DataCopy).values(user_id=user_id).on_conflict_do_nothing().returning(DataCopy.id)
    made = session.scalar(asked)
    if made is None:
        raise CopyUnderway()
    outbox.post(session, "privacy.copy", key=str(made), queue="exports", copyId=str(made))
    return made


def begin_copy(session: Session, copy_id: UUID) -> UUID | None:
    """Note that the copy is being made; returns whose it is, or None when there is nothing to do."""
    begun = update(DataCopy).where(DataCopy.id == copy_id, DataCopy.state.in_(("waiting", "running")))
    return session.scalar(begun.values(state="running", progress=0).returning(DataCopy.user_id))


def note_progress(session: Session, copy_id: UUID, percent: int) -> None:
    """Let its asker see how far the copy is."""
    session.execute(
        update(DataCopy).where(DataCopy.id == copy_id, DataCopy.state == "running").values(progress=percent)
    )


def finish_copy(session: Session, copy_id: UUID, content: bytes) -> None:
    """Keep the finished copy for its asker to fetch."""
    done = {"state": "ready", "progress": 100, "content": content, "ready_at": clock.now()}
    session.execute(update(DataCopy).where(DataCopy.id == copy_id, DataCopy.state == "running").values(done))


def fail_copy(session: Session, copy_id: UUID) -> None:
    """Say that the copy could not be made."""
    session.execute(update(DataCopy).where(DataCopy.id == copy_id, DataCopy.state == "running").values(state="failed"))


def file_link(settings: Settings, copy_id: UUID) -> str:
    """Return the address from which the copy may be fetched by its owner, for an hour."""
    return f"/account/privacy/copies/{copy_id}/file?token={signing.seal(settings, FILE, str(copy_id))}"


def fetch_copy(session: Session, user_id: UUID, copy_id: UUID) -> bytes | None:
    """Return the copy's content, note that it was fetched, and tell the account's owner by mail the first time."""
    own = (DataCopy.id == copy_id, DataCopy.user_id == user_id, DataCopy.state == "ready")
    content = session.scalar(select(DataCopy.content).where(*own))
    first = update(DataCopy).where(*own, DataCopy.fetched_at.is_(None)).values(fetched_at=clock.now())
    if content is not None and session.scalar(first.returning(DataCopy.id)) is not None:
        audit.record(session, "user.copy", "user", user_id, actor_id=user_id)
        accounts.notice(session, user_id, "data_downloaded")
    return content


# ── being erased ──────────────────────────────────────────────────────────────────────────────────────────


def ask_erasure(session: Session, settings: Settings, user_id: UUID) -> datetime:
    """Close the account at once, have it erased after the grace, and mail a link that takes it back; returns when.

    Raises StaffStays: who works here cannot leave by themselves.
    """
    person = people.person(session, user_id)
    if person is None or person.role != "customer":
        raise StaffStays()
    now = clock.now()
    asked = insert(Erasure).values(user_id=user_id, due_at=rules.due(now)).on_conflict_do_nothing()
    session.execute(asked)
    session.execute(update(User).where(User.id == user_id).values(closed_at=now))
    accounts.end_all(session, user_id)
    session.execute(
        text("update api_keys set revoked_at = now() where user_id = :id and revoked_at is null"), {"id": user_id}
    )
    audit.record(session, "user.close", "user", user_id, actor_id=user_id)
    wish = session.scalar(select(Erasure.id).where(Erasure.user_id == user_id, Erasure.state == "asked"))
    path = f"/account/privacy/keep?token={signing.seal(settings, KEEP, str(wish))}"
    day = i18n.day(rules.due(now).date())
    accounts.notice(session, user_id, "account_closing", path=path, day=day)
    return rules.due(now)


def keeping(session: Session, settings: Settings, token: str) -> str:
    """Return the address of the account that a mailed link keeps. Raises TooLateToStay."""
    open_wish = Erasure.id == _wish(settings, token), Erasure.state == "asked"
    email = session.scalar(select(User.email).join(Erasure, Erasure.user_id == User.id).where(*open_wish))
    if email is None:
        raise TooLateToStay()
    return email


def keep(session: Session, settings: Settings, token: str) -> None:
    """Open the closed account again; it is not erased. A link is for one wish: it takes no later one back.

    Raises TooLateToStay.
    """
    taken = update(Erasure).where(Erasure.id == _wish(settings, token), Erasure.state == "asked")
    user_id = session.scalar(taken.values(state="withdrawn").returning(Erasure.user_id))
    if user_id is None:
        raise TooLateToStay()
    session.execute(update(User).where(User.id == user_id).values(closed_at=None))
    audit.record(session, "user.reopen", "user", user_id, actor_id=user_id)


def _wish(settings: Settings, token: str) -> UUID:
    try:
        return UUID(str(signing.unseal(settings, KEEP, token, max_age_seconds=KEEP_SECONDS)))
    except ValueError:
        raise TooLateToStay() from None


def erase_next(session: Session) -> bool:
    """Erase one account whose time has come; False when there is none. Call it until then, one a transaction."""
    due = select(Erasure).where(Erasure.state == "asked", Erasure.due_at <= clock.now()).limit(1)
    wish = session.scalar(due.with_for_update(skip_locked=True))
    if wish is None:
        return False
    person = people.person(session, wish.user_id)
    if person is not None:
        _erase(session, person)
    wish.state, wish.done_at = "done", clock.now()
    return True


def _erase(session: Session, person: people.Known) -> None:
    language = people.likes(session, person.id).language or "en"
    about = {"id": person.id, "email": person.email.lower(), "after": rules.AFTER_FLIGHT}
    session.execute(LATER, about)
    for statement in ERASE_PERSON:
        session.execute(text(statement), {name: about[name] for name in about if f":{name}" in statement})
    accounts.notice(session, person.id, "account_deleted", to=person.email, locale=language)
    session.execute(delete(User).where(User.id == person.id))
    audit.record(session, "user.erase", "user", person.id)
    session.flush()
    audit.erase(session, of=person.id, things=[("user", str(person.id))], words=[person.email])


# The bookings of who goes: their rest is erased once their flights are over.
LATER = text(
    """
    insert into later_erasures (booking_id, due_at)
    select b.id, coalesce((select max(f.arrival_at) from booking_segments g join flights f on f.id = g.flight_id
        where g.booking_id = b.id), b.created_at) + cast(:after as interval)
    from bookings b where b.user_id = :id on conflict do nothing
    """
)
# What no foreign key takes along with the account.
ERASE_PERSON = (
    "delete from waits where user_id = :id or lower(email) = :email",
    "delete from alerts where user_id = :id or lower(email) = :email",
    "delete from pending_accounts where lower(email) = :email",
    "update sent_mails set recipient = '', subject = '' where lower(recipient) = :email",
    """delete from letters where state in ('done', 'dropped', 'dead')
        and (lower(payload->>'email') = :email or payload->>'userId' = cast(:id as text))""",
    "update credits set owner_email = null where lower(owner_email) = :email",
)


def erase_rest(session: Session) -> int:
    """Erase contact, birthdays and documents of bookings whose owner is erased and whose flights are over, and what the
    audit trail, letters and mails say of them; returns how many. An address that is somebody else's, too, stays theirs;
    receipts stay as they were issued.
    """
    due = delete(LaterErasure).where(LaterErasure.due_at <= clock.now()).returning(LaterErasure.booking_id)
    ids = list(session.scalars(due))
    if not ids:
        return 0
    for reference in session.scalars(select(Booking.reference).where(Booking.id.in_(ids)).order_by(Booking.reference)):
        audit.erase(session, things=[("booking", reference)])
    for statement in ERASE_BOOKING:
        session.execute(text(statement), {"ids": ids} | ({"nobody": rules.NOBODY} if ":nobody" in statement else {}))
    return len(ids)


ERASE_BOOKING = (
    """update sent_mails m set recipient = '', subject = ''
        where lower(m.recipient) in (
                select lower(contact_email) from bookings where id = any(:ids)
                union select lower(payload->'before'->>'email') from amendments
                where booking_id = any(:ids) and kind = 'contact')
            and not exists (select from users u where lower(u.email) = lower(m.recipient))
            and not exists (select from bookings o where lower(o.contact_email) = lower(m.recipient)
                and o.id <> all(:ids))""",
    """delete from letters where state in ('done', 'dropped', 'dead')
        and payload->>'bookingId' = any(cast(:ids as text[]))""",
    """update amendments set payload = payload || '{"before": {"email": null, "phone": null},
        "after": {"email": null, "phone": null}}' where booking_id = any(:ids) and kind = 'contact'""",
    "update bookings set contact_email = :nobody, contact_phone = null where id = any(:ids)",
    "update passengers set date_of_birth = null where booking_id = any(:ids)",
    """delete from travel_documents where passenger_id in (select id from passengers where booking_id = any(:ids))""",
)


def sweep(session: Session) -> None:
    """Throw away copies that waited long enough to be fetched."""
    session.execute(delete(DataCopy).where(DataCopy.asked_at < clock.now() - rules.COPY_KEPT))

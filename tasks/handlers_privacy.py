"""What privacy has to do afterwards: make copies of one's data, erase whose time has come, throw old copies away."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from portal.accounts import queries as people
from portal.kit import clock, db, outbox
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from portal.privacy import queries, rules, service
from tasks.delivery import Handler


def make_copy(settings: Settings, letter: Letter) -> None:
    """Gather all that is kept about an account, from one snapshot, telling its asker how far it is."""
    copy_id = UUID(letter.payload["copyId"])
    with db.writing() as session:
        user_id = service.begin_copy(session, copy_id)
    if user_id is None:
        return
    try:
        content = _gather(settings, copy_id, user_id)
    except Exception:
        if letter.attempts >= outbox.MAX_ATTEMPTS:
            with db.writing() as session:
                service.fail_copy(session, copy_id)
        raise
    with db.writing() as session:
        service.finish_copy(session, copy_id, content)


def _gather(settings: Settings, copy_id: UUID, user_id: UUID) -> bytes:
    found, done = {}, 0
    with db.writing() as snapshot:
        snapshot.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        snapshot.execute(text("set transaction read only"))
        person = people.person(snapshot, user_id)
        if person is None:
            raise outbox.Hopeless("The account is gone.")
        for section, rows in queries.sections(snapshot, user_id, person.email):
            found[section], done = rows, done + 1
            with db.writing() as session:
                service.note_progress(session, copy_id, 90 * done // len(queries.SECTIONS))
        files = queries.papers(snapshot, user_id)
    return rules.packed(found, files, clock.now(), settings.email_from_name)


def round_of_erasing(_: Settings, __: Letter) -> None:
    """Erase the accounts, and the rest of their bookings, whose time has come; one account a transaction."""
    more = True
    while more:
        with db.writing() as session:
            more = service.erase_next(session)
    with db.writing() as session:
        service.erase_rest(session)
        service.sweep(session)


HANDLERS: dict[str, Handler] = {"privacy.copy": make_copy, "privacy.erase": round_of_erasing}

"""Every letter that is posted has somebody who handles it, and handling it twice does it once."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from deploy.local.services import free_port
from portal.booking.models import Booking
from portal.kit import db, mail, outbox
from portal.kit.settings import ROOT, Settings
from tasks.handlers import HANDLERS
from tasks.schedule import ROUNDS, Round, Timetable
from tests.booking import makers

POSTED = re.compile(r'(?:outbox\.post\(\s*session,\s*|\bDraft\(\s*)"([^"]+)"')


def test_every_kind_that_is_posted_is_handled() -> None:
    kinds = {kind for path in (ROOT / "portal").rglob("*.py") for kind in POSTED.findall(path.read_text())}
    assert "booking.confirmed" in kinds
    assert kinds | {one.kind for one in ROUNDS} <= HANDLERS.keys()


def test_a_slot_is_posted_once_however_many_relays_there_are(settings: Settings) -> None:
    now = datetime(2026, 11, 23, 10, 4, 31, tzinfo=UTC)
    for timetable in (Timetable(demo=True), Timetable(demo=True)):
        with db.writing() as session:
            timetable.post(session, timetable.due(now))
    assert makers.one("select count(*) from letters") == len(ROUNDS)


def test_what_was_posted_is_due_again_in_the_next_slot() -> None:
    now = datetime(2026, 11, 23, 10, 4, 31, tzinfo=UTC)
    timetable = Timetable(demo=False)
    timetable.note(timetable.due(now))
    assert timetable.due(now + timedelta(seconds=28)) == []
    slot = "2026-11-23T10:05:00+00:00"
    due = dict(timetable.due(now + timedelta(seconds=29)))
    assert due["holds.expire"] == slot
    assert "accounts.sweep" not in due


def test_demo_rounds_are_for_the_demo_only() -> None:
    assert {kind for kind, _ in Timetable(demo=False).due(datetime.now(UTC))} == {
        one.kind for one in ROUNDS if not one.demo_only
    }


def test_slots_are_counted_from_midnight_utc() -> None:
    slot = Round("x", timedelta(hours=6)).slot(datetime(2026, 11, 23, 17, 59, tzinfo=UTC))
    assert slot == "2026-11-23T12:00:00+00:00"


@pytest.fixture
def booking(settings: Settings) -> Booking:
    return makers.confirmed(settings, makers.offer(settings, makers.flight()))


def letter(kind: str) -> outbox.Letter:
    with db.reading() as session:
        return session.scalars(select(outbox.Letter).where(outbox.Letter.kind == kind)).one()


def sent(settings: Settings) -> list[Path]:
    return list(Path(settings.mail_dir).glob("*.eml"))


def test_a_confirmed_booking_gets_one_mail_and_one_itinerary(settings: Settings, booking: Booking) -> None:
    for _ in range(2):
        HANDLERS["booking.confirmed"](settings, letter("booking.confirmed"))
    (path,) = sent(settings)
    assert f"itinerary-{booking.reference}.pdf" in path.read_text()
    assert makers.one("select array_agg(kind order by kind) from documents") == ["itinerary", "receipt"]
    assert makers.one("select count(*) from sent_mails where sent_at is not null") == 1


def test_a_mail_server_that_is_away_loses_nothing(settings: Settings, booking: Booking) -> None:
    away = replace(settings, email_provider="smtp", smtp_url=f"smtp://127.0.0.1:{free_port()}")
    with pytest.raises(mail.MailFailed, match="does not answer"):
        HANDLERS["booking.confirmed"](away, letter("booking.confirmed"))
    HANDLERS["booking.confirmed"](settings, letter("booking.confirmed"))
    assert len(sent(settings)) == 1


def test_lapsed_holds_are_tidied_and_their_contact_is_told(settings: Settings) -> None:
    flight = makers.flight()
    holds = [makers.named(settings, makers.offer(settings, flight)) for _ in range(3)]
    for hold in holds:
        makers.lapse(hold)
    HANDLERS["holds.expire"](settings, outbox.Letter(kind="holds.expire", payload={}))
    assert [makers.status(hold) for hold in holds] == ["expired"] * 3
    assert makers.one("select held from flight_cabins where flight_id = :id and cabin = 'economy'", id=flight.id) == 0
    with db.reading() as session:
        told = session.scalars(select(outbox.Letter).where(outbox.Letter.kind == "booking.expired")).all()
    for one in told:
        HANDLERS["booking.expired"](settings, one)
    assert len(sent(settings)) == 3


def test_books_that_do_not_add_up_are_said_at_once(settings: Settings, booking: Booking) -> None:
    HANDLERS["books.check"](settings, outbox.Letter(kind="books.check", payload={}))
    with db.writing() as session:
        session.execute(text("update flight_cabins set sold = sold + 1 where cabin = 'economy'"))
    with pytest.raises(outbox.Hopeless, match="counters equal claims"):
        HANDLERS["books.check"](settings, outbox.Letter(kind="books.check", payload={}))


def test_the_demo_is_kept_rolling_where_it_was_loaded_only(settings: Settings) -> None:
    HANDLERS["demo.extend"](settings, outbox.Letter(kind="demo.extend", payload={}))
    assert makers.one("select count(*) from flights") == 0

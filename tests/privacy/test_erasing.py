"""Delete my account: closed at once, erased after the grace, bookings kept as the law wants, a way back until then."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text, update
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.accounts.models import SavedTraveller, SignIn, User
from portal.booking.models import Booking, Passenger
from portal.booking.queries import broken_books
from portal.kit import audit, clock, db, mail, outbox
from portal.kit.settings import Settings
from portal.privacy import queries, rules
from portal.privacy.models import Erasure, LaterErasure
from tasks.handlers import HANDLERS
from tests import people
from tests.accounts.test_letters import inbox, work_off
from tests.accounts.test_letters import text as words_of
from tests.booking import makers

LOGIN = {"email": "robin@example.com", "password": people.PASSWORD}


@pytest.fixture
def robin(client: TestClient, settings: Settings) -> TestClient:
    """A signed-in browser of somebody with a saved traveller and a booking."""
    people.join(client)
    client.post("/account/sign-in", data=LOGIN)
    client.post("/account/travellers", data={"familyName": "Wood", "dateOfBirth": "2019-03-02"})
    makers.confirmed(settings, makers.offer(settings, makers.flight()))
    with db.writing() as session:
        session.execute(text("update bookings set user_id = (select id from users)"))
    return client


def delete(client: TestClient) -> None:
    assert client.post("/account/privacy/delete", data={"sure": "1"}).headers["location"] == "/"


def pass_grace(settings: Settings) -> None:
    """Let the grace be over, and the round come by."""
    with db.writing() as session:
        session.execute(update(Erasure).values(due_at=clock.now()))
    HANDLERS["privacy.erase"](settings, outbox.Letter(kind="privacy.erase", payload={}))


def count(table: object) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[call-overload]  # any table


def test_the_page_says_what_goes_what_stays_and_what_is_still_to_come(robin: TestClient) -> None:
    page = robin.get("/account/privacy/delete").text
    with db.reading() as session:
        assert session.scalars(select(Booking.reference)).one() in page
    assert "14 days" in page


def test_an_unticked_box_and_an_old_proof_delete_nothing(robin: TestClient) -> None:
    assert robin.post("/account/privacy/delete", data={}).headers["location"] == "/account/privacy/delete"
    with clock.shifted(timedelta(minutes=11)):
        answer = robin.post("/account/privacy/delete", data={"sure": "1"})
        assert answer.headers["location"].startswith("/account/confirm")
    assert count(Erasure) == 0


def test_a_closed_account_lets_nobody_in(robin: TestClient) -> None:
    tokens = robin.post("/api/auth/login", json=LOGIN).json()
    delete(robin)
    assert robin.get("/account").status_code == 303
    assert robin.post("/account/sign-in", data=LOGIN).status_code == 422
    assert robin.post("/api/auth/login", json=LOGIN).status_code == 401
    assert robin.get("/api/me", headers={"Authorization": f"Bearer {tokens['accessToken']}"}).status_code == 401
    assert robin.post("/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]}).status_code == 401
    with pytest.raises(accounts.WrongCredentials), db.writing() as session:
        known = accounts.queries.person_by_email(session, "robin@example.com")
        accounts.sign_in(session, known, address="::1", agent="")  # as a passkey would
    assert count(SignIn) == 0


def test_the_mailed_link_takes_it_back_once(robin: TestClient, settings: Settings) -> None:
    delete(robin)
    work_off(settings)
    told = next(one for one in inbox(settings) if "closed" in one["subject"])
    path, token = re.findall(r"http://testserver(/account/privacy/keep)\?token=(\S+)", words_of(told))[0]
    page = robin.get(path, params={"token": token})
    assert "robin@example.com" in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert robin.post(path, data={"token": token}).status_code == 303
    assert robin.post("/account/sign-in", data=LOGIN).status_code == 303
    assert robin.post(path, data={"token": token}).status_code == 410
    pass_grace(settings)
    assert count(User) == 1


def test_an_old_link_does_not_take_a_later_wish_back(robin: TestClient, settings: Settings) -> None:
    delete(robin)
    with db.reading() as session:
        letters = session.scalars(select(outbox.Letter.payload).where(outbox.Letter.kind == "mail.account_notice"))
        token = next(one["facts"]["path"] for one in letters if one["kind"] == "account_closing").partition("token=")[2]
    assert robin.post("/account/privacy/keep", data={"token": token}).status_code == 303
    assert robin.post("/account/sign-in", data=LOGIN).status_code == 303
    delete(robin)
    assert robin.get("/account/privacy/keep", params={"token": token}).status_code == 410
    assert robin.post("/account/privacy/keep", data={"token": token}).status_code == 410
    pass_grace(settings)
    assert count(User) == 0


def test_after_the_grace_the_person_is_gone_and_the_booking_stays(robin: TestClient, settings: Settings) -> None:
    delete(robin)
    pass_grace(settings)
    assert [count(table) for table in (User, SavedTraveller, SignIn)] == [0, 0, 0]
    with db.reading() as session:
        booking = session.scalars(select(Booking)).one()
        assert (booking.user_id, booking.status) == (None, "confirmed")
        assert session.scalars(select(LaterErasure.booking_id)).one() == booking.id
        assert broken_books(session) == []
        assert queries.broken_erasures(session) == []
    work_off(settings)
    told = inbox(settings)[-1]
    assert (told["to"], "deleted" in told["subject"]) == ("robin@example.com", True)


def test_their_contact_goes_once_they_have_flown_and_the_ticket_name_stays(
    robin: TestClient, settings: Settings
) -> None:
    delete(robin)
    pass_grace(settings)
    with db.writing() as session:
        session.execute(update(LaterErasure).values(due_at=clock.now()))
    HANDLERS["privacy.erase"](settings, outbox.Letter(kind="privacy.erase", payload={}))
    with db.reading() as session:
        booking = session.scalars(select(Booking)).one()
        assert (booking.contact_email, booking.contact_phone) == (rules.NOBODY, None)
        assert set(session.scalars(select(Passenger.date_of_birth))) == {None}
        assert None not in set(session.scalars(select(Passenger.ticket_name)))
        assert broken_books(session) == []
    assert count(LaterErasure) == 0


def test_the_address_is_found_nowhere_afterwards(robin: TestClient, settings: Settings) -> None:
    """Look through every column of every table: only the last letter, which still has to go out, may say it."""
    robin.post("/account/watches")
    work_off(settings)
    with db.writing() as session:
        session.execute(text("update letters set state = 'done', done_at = now()"))
        session.execute(text("update bookings set contact_email = 'robin@example.com'"))
    delete(robin)
    with db.writing() as session:
        session.execute(text("update letters set state = 'done', done_at = now()"))
    pass_grace(settings)
    with db.writing() as session:
        session.execute(update(LaterErasure).values(due_at=clock.now()))
        session.execute(text("delete from letters where payload->>'kind' = 'account_deleted'"))
    HANDLERS["privacy.erase"](settings, outbox.Letter(kind="privacy.erase", payload={}))
    assert mentions("robin@example.com") == {}
    assert count(mail.SentMail) > 0


def test_another_contact_is_found_nowhere_either(robin: TestClient, settings: Settings) -> None:
    """The address given for a booking need not be the account's: its mails, letters and trail go with the booking's."""
    with db.writing() as session:
        reference = session.scalars(select(Booking.reference)).one()
    for email in ("before@elsewhere.example", "work@elsewhere.example"):
        robin.post(f"/bookings/{reference}/contact", data={"email": email, "phone": "+15551234567"})
    work_off(settings)
    assert {"bookings", "letters", "sent_mails"} <= mentions("@elsewhere.example").keys()
    with db.writing() as session:
        session.execute(text("update letters set state = case when id % 2 = 0 then 'done' else 'dead' end"))
        session.execute(text("update letters set done_at = now()"))
        said = {"email": "work@elsewhere.example"}  # by a clerk, say: what the owner did goes with the account
        audit.record(session, "booking.contact", "booking", reference, after=said)
    forget_all(robin, settings)
    receipts = {"sale_papers"}  # which the law wants as they were issued
    for word in ("before@elsewhere.example", "work@elsewhere.example", "+15551234567"):
        assert mentions(word).keys() <= receipts
    with db.reading() as session:
        assert broken_books(session) == []
    assert "personal.erased" in trail(reference)


def test_an_address_that_is_somebody_elses_too_stays_theirs(robin: TestClient, settings: Settings) -> None:
    with db.writing() as session:
        session.execute(text("update bookings set contact_email = 'Lee@example.com'"))
        sent = {"message_id": "x", "kind": "x", "recipient": "lee@example.com", "subject": "x"}
        session.execute(insert(mail.SentMail).values(sent))
    people.join(TestClient(robin.app, follow_redirects=False), "lee@example.com")
    forget_all(robin, settings)
    assert mentions("lee@example.com").keys() >= {"users", "sent_mails"}
    assert "bookings" not in mentions("lee@example.com")


def forget_all(client: TestClient, settings: Settings) -> None:
    """Delete the account, and let the grace and the flights be over."""
    delete(client)
    pass_grace(settings)
    with db.writing() as session:
        session.execute(update(LaterErasure).values(due_at=clock.now()))
    HANDLERS["privacy.erase"](settings, outbox.Letter(kind="privacy.erase", payload={}))


def trail(thing_id: str) -> list[str]:
    with db.reading() as session:
        return list(session.scalars(select(audit.AuditEntry.action).where(audit.AuditEntry.thing_id == thing_id)))


def mentions(word: str) -> dict[str, int]:
    """Return in which tables the word stands, and in how many rows."""
    with db.reading() as session:
        tables = session.scalars(text("select table_name from information_schema.tables where table_schema = 'public'"))
        found = {}
        for table in tables.all():
            rows = session.scalar(
                text(f'select count(*) from "{table}" t where t::text ilike :word'), {"word": f"%{word}%"}
            )
            found[str(table)] = int(rows or 0)
    return {table: rows for table, rows in found.items() if rows}


def test_staff_cannot_leave_by_themselves(client: TestClient) -> None:
    with db.writing() as session:
        accounts.ensure_demo_users(session)
    client.post("/account/sign-in", data={"email": "staff@example.com", "password": accounts.DEMO_PASSWORD})
    assert client.post("/account/privacy/delete", data={"sure": "1"}).status_code == 409
    assert count(Erasure) == 0


def test_the_books_see_an_erasure_that_was_not_kept(robin: TestClient) -> None:
    delete(robin)
    with db.writing() as session:
        assert queries.broken_erasures(session) == []
        session.execute(update(User).values(closed_at=None))
        session.execute(update(Erasure).values(due_at=clock.now() - timedelta(days=2)))
    with db.reading() as session:
        assert len(queries.broken_erasures(session)) == 2
        assert isinstance(session.scalars(select(Erasure.user_id)).one(), UUID)

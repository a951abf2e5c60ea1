"""What follows an amendment: a mail with the right words, new papers attached, the calendar corrected; once each."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from icalendar import Calendar
from sqlalchemy import select, text

from portal.booking import amending
from portal.booking.models import Amendment, Booking
from portal.kit import db, outbox
from portal.kit.settings import Settings
from portal.payments import service as payments
from portal.payments.rules import RefundOutcome
from portal.pricing.rules import Party
from portal.tickets import queries
from tasks.handlers import HANDLERS
from tests import world
from tests.booking import makers

TWO = Party(adults=2)


def handle(settings: Settings, *kinds: str) -> None:
    """Handle every letter of these kinds that waits, twice: a letter may come again."""
    for _ in range(2):
        for kind in kinds:
            with db.reading() as session:
                found = session.scalars(select(outbox.Letter).where(outbox.Letter.kind == kind)).all()
            for letter in found:
                HANDLERS[kind](settings, letter)


def mails(settings: Settings) -> list[EmailMessage]:
    """Return what was sent, oldest first."""
    files = sorted(Path(settings.mail_dir).glob("*.eml"))
    return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]


def plain(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def attached(message: EmailMessage) -> dict[str, bytes]:
    return {part.get_filename() or "": part.get_content() for part in message.iter_attachments()}


def events(content: Any) -> dict[str, tuple[str, int, str]]:
    """Return each event's status, sequence and the file's method by its UID."""
    book = Calendar.from_ical(content)
    return {
        str(event["uid"]): (str(event["status"]), int(event["sequence"]), str(book["method"]))
        for event in book.walk("VEVENT")
    }


def sold(settings: Settings, brand: str = "Flex", party: Party = TWO) -> Booking:
    out, back = makers.flight(number=501), makers.flight(origin="LAX", destination="JFK", number=502, on=world.soon(37))
    offers = (makers.offer(settings, one, party=party, brand=brand) for one in (out, back))
    booking = makers.confirmed(settings, *offers)
    handle(settings, "booking.confirmed")
    return booking


def done(quoted: Amendment) -> Amendment:
    with db.writing() as session:
        return amending.confirm(session, quoted.id, key=uuid4().hex)


def cancelled(booking: Booking, **given: Any) -> Amendment:
    with db.writing() as session:
        quoted = amending.quote_cancellation(session, booking.reference, actor_id=None, **given)
    return done(quoted)


def test_the_tickets_come_with_itinerary_receipt_and_calendar(settings: Settings) -> None:
    booking = sold(settings)
    (message,) = mails(settings)
    names = sorted(attached(message))
    assert names[:2] == [f"flights-{booking.reference}.ics", f"itinerary-{booking.reference}.pdf"]
    assert names[2].startswith("receipt-R")


def test_a_whole_cancellation_brings_a_credit_note_and_takes_the_flights_out_of_the_calendar(
    settings: Settings,
) -> None:
    booking = sold(settings)
    before = events(attached(mails(settings)[0])[f"flights-{booking.reference}.ics"])
    amendment = cancelled(booking)
    handle(settings, "booking.amended")
    (_tickets, message) = mails(settings)
    assert str(message["Subject"]).startswith("Cancelled: New York – Los Angeles")
    said = plain(message)
    assert "Your booking is cancelled." in said
    assert f"${amendment.refund_minor / 100:,.2f} goes back to where it came from" in said
    files = attached(message)
    assert sorted(name.split("-")[0] for name in files) == ["cancelled", "credit"]
    after = events(files[f"cancelled-{booking.reference}.ics"])
    assert after.keys() == before.keys()
    assert set(after.values()) == {("CANCELLED", 1, "CANCEL")}
    assert set(before.values()) == {("CONFIRMED", 0, "PUBLISH")}


def test_one_direction_less_leaves_the_other_in_the_calendar(settings: Settings) -> None:
    booking = sold(settings)
    cancelled(booking, slice_positions=[1])
    handle(settings, "booking.amended")
    message = mails(settings)[-1]
    assert str(message["Subject"]).startswith("Partly cancelled")
    files = attached(message)
    stands, gone = (events(files[f"{name}-{booking.reference}.ics"]) for name in ("flights", "cancelled"))
    assert (len(stands), len(gone)) == (1, 1)
    assert stands.keys().isdisjoint(gone)
    assert set(stands.values()) == {("CONFIRMED", 1, "PUBLISH")}
    assert "LAX" in plain(message)
    assert makers.one("select max(version) from documents where kind = 'itinerary'") == 2


def test_one_traveller_less_keeps_every_flight(settings: Settings) -> None:
    booking = sold(settings)
    one = makers.one("select id from passengers where booking_id = :id and position = 1", id=booking.id)
    cancelled(booking, passenger_ids=[one])
    handle(settings, "booking.amended")
    message = mails(settings)[-1]
    files = attached(message)
    assert f"cancelled-{booking.reference}.ics" not in files
    assert len(events(files[f"flights-{booking.reference}.ics"])) == 2
    assert "Annab" not in plain(message)
    assert "Annaa" in plain(message)


def test_a_name_that_is_corrected_costs_nothing_and_has_no_paper(settings: Settings) -> None:
    booking = sold(settings, party=Party(1))
    who = makers.one("select id from passengers where booking_id = :id", id=booking.id)
    with db.writing() as session:
        quoted = amending.quote_correction(
            session,
            booking.reference,
            passenger_id=who,  # type: ignore[arg-type]  # one column, a UUID
            given_name="Anna",
            family_name="Smith",
            actor_id=None,
        )
    done(quoted)
    handle(settings, "booking.amended")
    message = mails(settings)[-1]
    assert str(message["Subject"]).startswith("Name corrected")
    assert sorted(name.split("-")[0] for name in attached(message)) == ["flights", "itinerary"]
    assert "Anna Smith" in plain(message)


@pytest.mark.parametrize(("to", "words"), [("original", "is on its way"), ("credit", "travel credit")])
def test_money_that_left_us_is_told_once(settings: Settings, to: str, words: str) -> None:
    booking = sold(settings)
    amendment = cancelled(booking, refund_to=to)
    with db.writing() as session:
        for refund_id in session.scalars(text("select id from refunds where state = 'pending'")).all():
            payments.refunded(session, refund_id, RefundOutcome("succeeded", "rf_1"))
    handle(settings, "booking.amended", "payment.refunded")
    found = [one for one in mails(settings) if words in str(one["Subject"])]
    assert len(found) == 1
    assert f"${amendment.refund_minor / 100:,.2f}" in str(found[0]["Subject"])
    said = plain(found[0])
    code = makers.one("select code from credits")
    assert (str(code) in said) if to == "credit" else "up to ten days" in said
    with db.reading() as session:
        assert queries.broken_papers(session) == []


def test_who_pays_twice_hears_that_one_payment_goes_back(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    first = makers.begun(booking)
    with db.writing() as session:
        second = session.scalar(
            text(
                """insert into payments (payable, amount_minor, currency, gateway, method, idempotency_key)
                select payable, amount_minor, currency, gateway, method, 'again' from payments where id = :id
                returning id"""
            ),
            {"id": first},
        )
    makers.settled(first)
    makers.settled(second)
    refund = makers.one("select id from refunds where payment_id = :id", id=second)
    with db.writing() as session:
        session.execute(text("update refunds set state = 'succeeded', settled_at = now()"))
        outbox.post(session, "payment.refunded", key=str(refund), queue="mail", refundId=str(refund))
    handle(settings, "payment.refunded")
    (message,) = mails(settings)
    assert "is on its way back to you" in str(message["Subject"])
    assert "paid twice" in plain(message)


def test_the_address_that_was_written_to_hears_that_it_no_longer_is(settings: Settings) -> None:
    booking = sold(settings, party=Party(1))
    with db.writing() as session:
        outbox.post(
            session,
            "booking.contact_changed",
            key="a",
            queue="mail",
            bookingId=str(booking.id),
            email="before@example.com",
        )
    handle(settings, "booking.contact_changed")
    message = mails(settings)[-1]
    assert str(message["To"]) == "before@example.com"
    assert "tell us at once" in plain(message)
    assert attached(message) == {}

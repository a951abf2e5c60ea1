"""A booking from hold to ticket or to its end, against a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time

import pytest
from sqlalchemy import text

from portal.booking import queries, service
from portal.booking.errors import (
    AlreadyPaid,
    HoldExpired,
    NamesMissing,
    NoMoreTime,
    OffersDoNotFit,
    PaymentUnderWay,
    PriceChanged,
    PriceMismatch,
    TooManyPayments,
)
from portal.booking.forms import HoldWish, NameWish
from portal.booking.tender import PayWish
from portal.flights.errors import FlightClosed, SoldOut
from portal.kit import db
from portal.kit.errors import Invalid
from portal.kit.idempotency import KeyReused
from portal.kit.money import Money
from portal.kit.settings import Settings
from portal.pricing.errors import PromotionRefused
from portal.pricing.rules import Party, PriceLine
from tests.booking import makers
from tests.pricing import promoting

FAMILY = Party(adults=2, children=1, infants=1)


def counters(flight_id: int) -> tuple[int, int]:
    with db.reading() as session:
        row = session.execute(
            text("select held, sold from flight_cabins where flight_id = :id and cabin = 'economy'"), {"id": flight_id}
        ).one()
    return (row[0], row[1])


@pytest.mark.parametrize("named", [True, False])
def test_what_a_hold_answers_is_what_was_written(settings: Settings, named: bool) -> None:
    out, on = makers.flight(), makers.flight(origin="LAX", destination="ORD", at=time(15, 0))
    back = makers.flight(origin="ORD", destination="JFK", on=date(2027, 1, 20))
    offers = makers.offer(settings, out, on, party=FAMILY), makers.offer(settings, back, party=FAMILY, brand="Flex")
    names = NameWish(makers.people(FAMILY), "anna@example.com", "+12125550100") if named else None
    wish = HoldWish(offers, "one-key", locale="de", minutes=20, email=None if named else "waiting@example.com")
    with db.writing() as session:
        answered = service.hold(session, wish, names)
    with db.reading() as session:
        assert queries.booking_view(session, answered.reference) == answered
    with db.writing() as session:
        assert service.hold(session, wish, names) == answered


def test_a_hold_is_in_the_trail_once_and_one_that_fails_is_not(settings: Settings) -> None:
    flight = makers.flight(seats=1)
    wish = HoldWish((makers.offer(settings, flight),), "one-key")
    for _time in "ab":
        with db.writing() as session:
            held = service.hold(session, wish)
    with pytest.raises(SoldOut), db.writing() as session:
        service.hold(session, replace(wish, key="another"))
    with db.reading() as session:
        rows = session.execute(text("select action, thing, thing_id, after from audit_entries")).all()
    told = {"status": "held", "totalMinor": held.total_minor, "currency": "USD"}
    assert [tuple(row) for row in rows] == [("booking.held", "booking", held.reference, told)]


def test_a_code_that_would_leave_nothing_to_pay_is_refused_and_one_cent_is_enough(settings: Settings) -> None:
    promoting.make(code="ALL", kind="amount", amount=100_000)
    promoting.make(code="MOST", kind="amount", amount=9_999)
    sold = makers.offer(settings, makers.flight())
    fare = (PriceLine("fare", "Fare", 10_000),)
    untaxed = replace(sold, total_minor=10_000, per_type={"adult": fare})
    with pytest.raises(PromotionRefused, match="nothing would be left to pay"), db.writing() as session:
        service.hold(session, HoldWish((untaxed,), "all", promo_code="ALL"))
    with db.writing() as session:
        assert service.hold(session, HoldWish((untaxed,), "most", promo_code="MOST")).total_minor == 1
    assert makers.broken() == []


def test_a_family_is_held_named_paid_and_ticketed_to_the_cent(settings: Settings) -> None:
    out, back = makers.flight(), makers.flight(origin="LAX", destination="JFK", on=date(2027, 1, 20))
    offers = [makers.offer(settings, one, party=FAMILY) for one in (out, back)]
    booking = makers.named(settings, *offers)
    assert counters(out.id) == (3, 0)
    makers.settled(makers.begun(booking))
    assert counters(out.id) == (0, 3)
    assert counters(back.id) == (0, 3)
    with db.reading() as session:
        view = queries.booking_view(session, booking.reference.lower())
    assert view is not None
    assert (view.status, view.balance_minor, view.paid_minor) == ("confirmed", 0, sum(o.total_minor for o in offers))
    assert sum(line.amount_minor for line in view.charges) == view.total_minor
    assert len({one.ticket_number for one in view.passengers}) == 4
    assert all((one.ticket_number or "").startswith("999") for one in view.passengers)
    assert view.passengers[0].ticket_name == "SMITH/ANNAA"
    assert makers.one("select count(*) from coupons") == 8
    assert makers.broken() == []


def test_the_confirmation_leaves_one_letter_for_the_mail_and_one_for_the_figures(settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    for kind in ("booking.confirmed", "analytics.booking"):
        found = makers.one("select payload ->> 'bookingId' from letters where kind = :kind", kind=kind)
        assert found == str(booking.id)


def test_the_same_key_is_the_same_booking_and_takes_seats_once(settings: Settings) -> None:
    flight = makers.flight()
    offer = makers.offer(settings, flight)
    first, again = (makers.held(settings, offer, key="one-key") for _ in range(2))
    assert first.reference == again.reference
    assert counters(flight.id) == (1, 0)


def test_the_same_key_with_another_offer_is_refused(settings: Settings) -> None:
    flight = makers.flight()
    makers.held(settings, makers.offer(settings, flight), key="one-key")
    with pytest.raises(KeyReused):
        makers.held(settings, makers.offer(settings, flight, brand="Flex"), key="one-key")


def test_the_last_seat_is_sold_once_and_nothing_stays_of_the_loser(settings: Settings) -> None:
    flight = makers.flight(seats=1)
    offer = makers.offer(settings, flight)
    makers.held(settings, offer)
    with pytest.raises(SoldOut):
        makers.held(settings, offer)
    assert makers.one("select count(*) from bookings") == 1


def test_a_return_trip_is_all_or_nothing(settings: Settings) -> None:
    out, back = makers.flight(), makers.flight(origin="LAX", destination="JFK", on=date(2027, 1, 20), seats=1)
    makers.held(settings, makers.offer(settings, back))
    with pytest.raises(SoldOut):
        makers.held(settings, makers.offer(settings, out), makers.offer(settings, back))
    assert counters(out.id) == (0, 0)


def test_a_cancelled_flight_cannot_be_held(settings: Settings) -> None:
    flight = makers.flight()
    offer = makers.offer(settings, flight)
    with db.writing() as session:
        session.execute(text("update flights set status = 'cancelled'"))
    with pytest.raises(FlightClosed):
        makers.held(settings, offer)


def test_offers_that_cannot_be_one_trip_are_refused_with_the_reason(settings: Settings) -> None:
    out = makers.flight()
    early = makers.flight(origin="LAX", destination="JFK", on=out.departs_on, at=time(9, 0))
    one = makers.offer(settings, out)
    with pytest.raises(OffersDoNotFit, match="landed"):
        makers.held(settings, one, makers.offer(settings, early))
    with pytest.raises(OffersDoNotFit, match="different travellers"):
        makers.held(settings, one, makers.offer(settings, early, party=FAMILY))
    with pytest.raises(OffersDoNotFit, match="twice"):
        makers.held(settings, one, one)


def test_a_total_that_the_caller_did_not_see_is_not_booked(settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    wish = HoldWish((offer,), "k" * 8, expected=Money(offer.total_minor - 1, "USD"))
    with pytest.raises(PriceChanged) as no, db.writing() as session:
        service.hold(session, wish)
    assert no.value.extra["total"] == Money(offer.total_minor, "USD").wire()


def test_a_lapsed_hold_cannot_be_named_extended_or_paid_and_frees_its_seat(settings: Settings) -> None:
    flight = makers.flight(seats=1)
    offer = makers.offer(settings, flight)
    booking = makers.named(settings, offer)
    makers.lapse(booking)
    for verb in (
        lambda s: service.name_passengers(s, booking.reference, NameWish(makers.people(offer.party), "a@example.com")),
        lambda s: service.extend(s, booking.reference, minutes=15),
        lambda s: service.begin_payment(s, booking.reference, PayWish("key", "card", "sandbox")),
    ):
        with pytest.raises(HoldExpired), db.writing() as session:
            verb(session)
    assert makers.held(settings, offer).reference != booking.reference


def test_the_sweep_expires_lapsed_holds_one_by_one_and_tells_whom_it_knows(settings: Settings) -> None:
    flight = makers.flight()
    offer = makers.offer(settings, flight)
    told, unknown, running = makers.named(settings, offer), makers.held(settings, offer), makers.held(settings, offer)
    makers.lapse(told)
    makers.lapse(unknown)
    swept = []
    for _ in range(3):
        with db.writing() as session:
            swept.append(service.expire_lapsed(session))
    assert swept == [1, 1, 0]
    assert [makers.status(one) for one in (told, unknown, running)] == ["expired", "expired", "held"]
    assert counters(flight.id) == (1, 0)
    assert makers.one("select count(*) from letters where kind = 'booking.expired'") == 1
    assert makers.broken() == []


def test_the_sweep_leaves_a_booking_whose_payment_is_not_decided(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    payment = makers.begun(booking)
    makers.lapse(booking)
    with db.writing() as session:
        assert service.expire_lapsed(session) == 0
    makers.settled(payment)
    assert makers.status(booking) == "confirmed"


def test_a_hold_is_extended_ten_times_and_not_eleven(settings: Settings) -> None:
    booking = makers.held(settings, makers.offer(settings, makers.flight()))
    for _ in range(10):
        with db.writing() as session:
            later = service.extend(session, booking.reference, minutes=20)
    assert booking.expires_at is not None
    assert later.expires_at is not None
    assert later.expires_at > booking.expires_at
    with pytest.raises(NoMoreTime), db.writing() as session:
        service.extend(session, booking.reference, minutes=20)
    assert makers.broken() == []


def test_nothing_is_paid_before_everybody_has_a_name(settings: Settings) -> None:
    booking = makers.held(settings, makers.offer(settings, makers.flight()))
    with pytest.raises(NamesMissing):
        makers.begun(booking)


def test_an_amount_that_is_not_the_balance_is_refused_and_names_it(settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    booking = makers.named(settings, offer)
    wish = PayWish("key", "card", "sandbox", Money(1, "USD"))
    with pytest.raises(PriceMismatch) as no, db.writing() as session:
        service.begin_payment(session, booking.reference, wish)
    assert no.value.extra["balance"] == Money(offer.total_minor, "USD").wire()


def test_a_second_attempt_waits_for_the_first_and_names_are_fixed_meanwhile(settings: Settings) -> None:
    offer = makers.offer(settings, makers.flight())
    booking = makers.named(settings, offer)
    first = makers.begun(booking)
    with pytest.raises(PaymentUnderWay) as no:
        makers.begun(booking)
    assert no.value.payment_id == first
    with pytest.raises(PaymentUnderWay), db.writing() as session:
        service.name_passengers(session, booking.reference, NameWish(makers.people(offer.party), "a@example.com"))
    makers.settled(first, "declined")
    assert makers.settled(makers.begun(booking)) == "succeeded"


def test_the_same_key_is_the_same_attempt_and_a_payer_comes_back_to_the_same_page(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    first = makers.begun(booking, key="one", method="page")
    assert makers.begun(booking, key="one", method="page") == first
    makers.settled(first, "action_required")
    assert makers.begun(booking, key="two", method="page") == first


def test_a_hold_cannot_lapse_while_its_payer_is_away_paying(settings: Settings) -> None:
    booking = makers.named(replace(settings, hold_minutes=1), makers.offer(settings, makers.flight()))
    makers.begun(booking)
    left = "select extract(epoch from least(b.expires_at, c.expires_at) - now()) from bookings b, seat_claims c"
    assert 590 < float(str(makers.one(left))) <= 600
    assert makers.one("select extensions from bookings") == 0


def test_ten_refused_cards_are_enough(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    for _ in range(10):
        makers.settled(makers.begun(booking), "declined")
    with pytest.raises(TooManyPayments):
        makers.begun(booking)


def test_a_paid_booking_is_not_paid_again(settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    with pytest.raises(AlreadyPaid):
        makers.begun(booking)


def test_hearing_of_the_same_payment_again_changes_nothing(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    payment = makers.begun(booking)
    for told in ("pending", "succeeded", "succeeded", "declined", "unknown"):
        makers.settled(payment, told)
    assert makers.status(booking) == "confirmed"
    assert makers.one("select count(*) from tickets") == 1
    assert makers.broken() == []


def test_money_for_seats_that_are_gone_goes_back_and_the_traveller_is_told(settings: Settings) -> None:
    flight = makers.flight(seats=1)
    offer = makers.offer(settings, flight)
    late = makers.named(settings, offer)
    payment = makers.begun(late)
    makers.lapse(late)
    winner = makers.confirmed(settings, offer)
    makers.settled(payment)
    assert (makers.status(late), makers.status(winner)) == ("expired", "confirmed")
    assert makers.one("select amount_minor from refunds where payment_id = :id", id=payment) == offer.total_minor
    refund = makers.one("select id::text from refunds")
    assert makers.one("select payload ->> 'refundId' from letters where kind = 'payment.refund'") == refund
    assert makers.one("select payload ->> 'refundId' from letters where kind = 'booking.expired'") == refund
    assert makers.one("select paid_minor from bookings where id = :id", id=late.id) == 0
    assert makers.broken() == []


def test_money_that_comes_after_the_sweep_goes_back(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    payment = makers.begun(booking)
    makers.settled(payment, "abandoned")
    makers.lapse(booking)
    with db.writing() as session:
        assert service.expire_lapsed(session) == 1
    assert makers.settled(payment, "succeeded") == "succeeded"
    assert makers.status(booking) == "expired"
    assert makers.one("select count(*) from refunds") == 1
    assert makers.one("select count(*) from letters where kind = 'booking.expired'") == 2
    assert makers.broken() == []


def test_a_booking_paid_twice_gives_the_second_payment_back(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    first = makers.begun(booking)
    makers.settled(first, "abandoned")
    makers.settled(makers.begun(booking))
    makers.settled(first, "succeeded")
    assert makers.one("select payment_id from refunds") == first
    assert makers.status(booking) == "confirmed"
    assert makers.one("select count(*) from letters where kind = 'booking.expired'") == 0
    assert makers.broken() == []


def test_a_lapsed_hold_whose_seats_nobody_took_is_sold_to_who_paid(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    payment = makers.begun(booking)
    makers.lapse(booking)
    makers.settled(payment)
    assert makers.status(booking) == "confirmed"
    assert makers.broken() == []


def test_names_that_do_not_fit_are_refused_at_their_fields(settings: Settings) -> None:
    booking = makers.held(settings, makers.offer(settings, makers.flight(), party=FAMILY))
    people = list(makers.people(FAMILY))
    people[2] = replace(people[2], date_of_birth=date(1999, 1, 1))
    people[0] = replace(people[0], given_name="4nna", family_name="李")
    with pytest.raises(Invalid) as no, db.writing() as session:
        service.name_passengers(session, booking.reference, NameWish(tuple(people), "a@example.com"))
    pointers = [error.pointer for error in no.value.errors]
    assert pointers == ["passengers.0.givenName", "passengers.0.familyName", "passengers.2.dateOfBirth"]


def test_travellers_may_come_in_any_order_but_must_be_the_party(settings: Settings) -> None:
    booking = makers.held(settings, makers.offer(settings, makers.flight(), party=FAMILY))
    people = makers.people(FAMILY)
    with pytest.raises(Invalid) as no, db.writing() as session:
        service.name_passengers(session, booking.reference, NameWish(people[:3], "a@example.com"))
    assert no.value.errors[0].pointer == "passengers"
    assert "2 adult, 1 child, 1 infant" in no.value.errors[0].detail
    with db.writing() as session:
        service.name_passengers(session, booking.reference, NameWish(people[::-1], "a@example.com"))
    with db.reading() as session:
        view = queries.booking_view(session, booking.reference)
    assert view is not None
    assert [(one.type, one.given_name) for one in view.passengers] == [
        ("adult", "Annab"),
        ("adult", "Annaa"),
        ("child", "Annac"),
        ("infant", "Annad"),
    ]

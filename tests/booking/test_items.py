"""Extras of a hold and of a paid booking: what they cost, what an exchange costs, what waits to be paid."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from portal.booking import amending, errors, service
from portal.booking.amending import ItemWish
from portal.booking.models import Amendment, Booking
from portal.booking.queries import BookingView, booking_by_id
from portal.kit import db
from portal.kit.money import Money
from portal.kit.settings import Settings
from portal.payments import service as payments
from portal.payments.rules import Outcome
from tests.booking import makers

SEATS, BAGS = frozenset({"seat"}), frozenset({"bag"})


def seen(booking: Booking) -> BookingView:
    """Return the booking as people see it."""
    with db.reading() as session:
        view = booking_by_id(session, booking.id)
    assert view is not None
    return view


def wish(booking: Booking, kind: str = "bag", amount: int = 3000, **given: object) -> ItemWish:
    """Return an extra for the first traveller on the first flight."""
    view = seen(booking)
    values = {"code": kind.upper(), "label": "A bag", "quantity": 1, "seat": None} | given
    return ItemWish(
        kind=kind,
        passenger_id=view.passengers[0].id,
        flight_id=view.flights[0].id,
        amount_minor=amount,
        **values,  # type: ignore[arg-type]  # passed on as they are
    )


def choose(booking: Booking, *wishes: ItemWish, kinds: frozenset[str] = BAGS, key: str = "") -> Amendment | None:
    """Choose and commit."""
    with db.writing() as session:
        return amending.choose_items(
            session, booking.reference, kinds=kinds, wishes=wishes, key=key or uuid4().hex, actor_id=None
        )


def pay(booking: Booking) -> UUID:
    """Pay what is due and commit; return the payment's id."""
    payment = makers.begun(booking)
    assert makers.settled(payment) == "succeeded"
    return payment


def test_a_hold_has_its_extras_at_once_and_its_price_changes(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    fare = seen(booking).total_minor
    assert choose(booking, wish(booking)) is None
    assert seen(booking).total_minor == fare + 3000
    choose(booking, wish(booking, amount=2000), wish(booking, amount=0, code="SPORT"))
    assert [(one.code, one.amount_minor) for one in seen(booking).items] == [("BAG", 2000), ("SPORT", 0)]
    assert seen(booking).balance_minor == fare + 2000
    pay(booking)
    assert makers.status(booking) == "confirmed"
    assert makers.broken() == []


def test_another_kind_is_left_alone(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    choose(booking, wish(booking))
    choose(booking, wish(booking, "seat", 1500, seat="14B"), kinds=SEATS)
    assert {one.kind for one in seen(booking).items} == {"bag", "seat"}
    choose(booking, kinds=SEATS)
    assert {one.kind for one in seen(booking).items} == {"bag"}


def test_extras_wait_while_money_for_the_hold_is_on_its_way(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    makers.begun(booking)
    with pytest.raises(errors.PaymentUnderWay):
        choose(booking, wish(booking))


def test_an_extra_after_the_sale_is_there_once_it_is_paid(settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    total = seen(booking).total_minor
    made = choose(booking, wish(booking))
    assert made is not None
    assert (made.state, made.due_minor) == ("paying", 3000)
    assert (seen(booking).items, seen(booking).balance_minor) == ((), 3000)
    assert makers.broken() == []
    pay(booking)
    view = seen(booking)
    assert (view.total_minor, view.paid_minor, view.balance_minor) == (total + 3000, total + 3000, 0)
    assert [one.amendment_id for one in view.charges][-1] == made.id
    assert makers.one("select count(*) from letters where kind = 'booking.amended'") == 1
    assert makers.broken() == []


def test_a_dearer_seat_costs_the_difference_and_a_cheaper_one_gives_nothing_back(settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    choose(booking, wish(booking, "seat", 1500, seat="14B"), kinds=SEATS)
    pay(booking)
    dearer = choose(booking, wish(booking, "seat", 2500, seat="20A"), kinds=SEATS)
    assert dearer is not None
    assert dearer.due_minor == 1000
    pay(booking)
    cheaper = choose(booking, wish(booking, "seat", 500, seat="28C"), kinds=SEATS)
    assert cheaper is not None
    assert (cheaper.state, cheaper.due_minor, cheaper.refund_minor) == ("done", 0, 0)
    assert [one.seat for one in seen(booking).items] == ["28C"]
    assert makers.broken() == []


def test_the_same_key_is_the_same_amendment_and_the_same_extras_are_none(settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    bag = wish(booking, amount=0)
    one, two = choose(booking, bag, key="the same"), choose(booking, bag, key="the same")
    assert one is not None
    assert two is not None
    assert one.id == two.id
    assert choose(booking, bag) is None


def test_what_is_not_paid_in_time_lapses_and_late_money_goes_back(settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    made = choose(booking, wish(booking))
    assert made is not None
    payment = makers.begun(booking)
    makers.settled(payment, "abandoned")
    with db.writing() as session:
        session.execute(text("update amendments set expires_at = now() - interval '1 second'"))
        assert amending.lapse_amendments(session) == 1
        assert amending.lapse_amendments(session) == 0
    assert seen(booking).balance_minor == 0
    assert makers.settled(payment) == "succeeded"
    assert makers.one("select amount_minor from refunds where payment_id = :id", id=payment) == 3000
    assert (seen(booking).items, makers.status(booking)) == ((), "confirmed")
    assert makers.broken() == []
    with pytest.raises(errors.AlreadyPaid):
        makers.begun(booking)


def test_a_new_choice_takes_the_place_of_one_not_paid_yet(settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    first, second = choose(booking, wish(booking)), choose(booking, wish(booking, amount=4000))
    assert first is not None
    assert second is not None
    assert seen(booking).balance_minor == 4000
    makers.begun(booking)
    with pytest.raises(errors.AmendmentUnderWay):
        choose(booking, wish(booking))


def test_an_expired_hold_takes_no_extras(settings: Settings) -> None:
    booking = makers.named(settings, makers.offer(settings, makers.flight()))
    makers.lapse(booking)
    with pytest.raises(errors.HoldExpired):
        choose(booking, wish(booking))
    with db.writing() as session:
        assert service.expire_lapsed(session) == 1


def test_once_staff_have_sent_another_sum_back_the_booking_is_paid_for_again(settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight()))
    choose(booking, wish(booking))
    first = makers.begun(booking)
    with db.writing() as session:
        outcome = Outcome("succeeded", "ch_1", taken=Money(777, "EUR"))
        assert service.settle_payment(session, first, outcome).state == "under_review"
    with pytest.raises(errors.PaymentUnderWay):
        makers.begun(booking)
    with db.writing() as session:
        payments.send_reviewed_back(session, first, actor_id=None)
    makers.settled(makers.begun(booking))
    assert [one.code for one in seen(booking).items] == ["BAG"]
    assert makers.broken() == []

"""Money that had gone back and that the payer's bank sends back, days later: owed as before, seen, and sent again."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from portal.booking import amending
from portal.kit import db, outbox
from portal.kit.settings import Settings
from portal.payments import ledger, service
from portal.payments.rules import RefundOutcome
from tests.booking import makers
from tests.booking.test_cancelling import confirm
from tests.payments.fake_stripe import FakeStripe
from tests.payments.paid import account
from tests.payments.test_stripe import at_stripe, hear, run, state
from tests.trips.conftest import signed_in, users  # noqa: F401 – fixtures

PAGE = "/admin/payments"
Who = Callable[[str], TestClient]
ENTRIES = "select string_agg(kind, ', ' order by id) from ledger_entries where kind <> 'refund ordered'"
TOLD = "select count(*) from sent_mails where kind = 'payment.refunded'"


@pytest.fixture
def total(shop: TestClient, with_stripe: Settings, stripe: FakeStripe) -> int:
    """A trip that was paid at Stripe and cancelled whole, and its money gone back, as Stripe said; what that is."""
    reference, name, back = at_stripe(shop, with_stripe)
    stripe.pay(name)
    shop.get(back)
    with db.writing() as session:
        quoted = amending.quote_cancellation(session, reference, actor_id=None, waive=True)
    confirm(quoted)
    run(with_stripe, "payment.refund")
    assert (state("refunds"), account("gateway:stripe"), account("refunds_due")) == ("succeeded", 0, 0)
    return int(str(makers.one("select amount_minor from refunds")))


def fails(shop: TestClient, settings: Settings, stripe: FakeStripe, name: str = "re_test_1") -> None:
    """Let a bank send a refund back to Stripe, and Stripe say so in its two ways, one of them twice."""
    stripe.refunds[name].update(status="failed", failure_reason="lost_or_stolen_card")
    for kind in ("refund.failed", "refund.updated", "refund.failed"):
        assert hear(shop, stripe.event(name, kind=kind)) == 200
    run(settings, "refund.heard")


def test_it_is_owed_again_and_goes_out_again_once(
    shop: TestClient,
    with_stripe: Settings,
    stripe: FakeStripe,
    total: int,
    signed_in: Who,  # noqa: F811 – the fixture above
) -> None:
    run(with_stripe, "payment.refunded")
    fails(shop, with_stripe, stripe)
    assert (state("refunds"), account("gateway:stripe"), account("refunds_due")) == ("failed", total, -total)
    assert makers.broken() == []
    staff = signed_in("staff")
    assert "lost_or_stolen_card" in staff.get(PAGE).text
    staff.post(f"{PAGE}/refunds/{makers.one('select id from refunds')}", data={"to": "original"})
    for _ in range(2):
        run(with_stripe, "payment.refund")
        run(with_stripe, "refund.heard")
        run(with_stripe, "payment.refunded")
    assert [one["status"] for one in stripe.refunds.values()] == ["failed", "succeeded"]
    assert (state("refunds"), account("gateway:stripe"), account("refunds_due")) == ("succeeded", 0, 0)
    assert makers.one(ENTRIES) == "received, refunded, refund came back, refunded"
    assert makers.one(TOLD) == 2
    assert "Every refund has gone through" in staff.get(PAGE).text
    assert makers.broken() == []


def test_it_may_come_back_more_than_once_and_be_a_credit_at_last(
    shop: TestClient,
    with_stripe: Settings,
    stripe: FakeStripe,
    total: int,
    signed_in: Who,  # noqa: F811 – the fixture above
) -> None:
    staff, refund = signed_in("staff"), makers.one("select id from refunds")
    fails(shop, with_stripe, stripe)
    staff.post(f"{PAGE}/refunds/{refund}", data={"to": "original"})
    run(with_stripe, "payment.refund")
    fails(shop, with_stripe, stripe, "re_test_2")
    assert (state("refunds"), account("gateway:stripe"), account("refunds_due")) == ("failed", total, -total)
    staff.post(f"{PAGE}/refunds/{refund}", data={"to": "credit"})
    run(with_stripe, "refund.heard")
    assert (state("refunds"), account("gateway:stripe"), account("credits")) == ("succeeded", total, -total)
    assert (account("refunds_due"), makers.broken()) == (0, [])


def test_nobody_is_told_that_it_is_on_its_way_while_it_is_not(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe, total: int
) -> None:
    """The mail had not gone out yet when the money was back."""
    fails(shop, with_stripe, stripe)
    run(with_stripe, "payment.refunded")
    assert (total > 0, makers.one(TOLD)) == (True, 0)


def test_what_stripe_does_not_answer_at_once_is_asked_until_it_is_known(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe, total: int
) -> None:
    stripe.moods["refund_retrieve"] = ["broken", "refuses"]
    with pytest.raises(outbox.Later):
        fails(shop, with_stripe, stripe)
    hear(shop, stripe.event("re_test_1", kind="refund.updated"))
    stripe.refunds["re_test_1"]["status"] = "succeeded"
    run(with_stripe, "refund.heard")
    assert (state("refunds"), account("refunds_due"), total > 0) == ("succeeded", 0, True)
    stripe.refunds["re_test_1"]["status"] = "failed"
    run(with_stripe, "refund.heard")
    assert (state("refunds"), account("refunds_due")) == ("failed", -total)
    assert makers.broken() == []


def test_a_late_word_about_an_earlier_round_does_not_fail_this_one(
    shop: TestClient, with_stripe: Settings, stripe: FakeStripe, total: int
) -> None:
    refund = UUID(str(makers.one("select id from refunds")))
    with db.reading() as session:
        asked = service.refund_order(session, refund, heard=True)
    assert asked is not None
    fails(shop, with_stripe, stripe)
    with db.writing() as session:
        service.redo_refund(session, refund, to="original", actor_id=None)
    with db.writing() as session:
        service.refunded(session, refund, RefundOutcome("failed", "re_test_1", "slow"), key=asked.key)
    assert (state("refunds"), account("refunds_due")) == ("pending", -total)


def test_the_books_are_not_caught_up_with_what_is_in_them(
    shop: TestClient,
    with_stripe: Settings,
    stripe: FakeStripe,
    total: int,
    signed_in: Who,  # noqa: F811 – the fixture above
) -> None:
    fails(shop, with_stripe, stripe)
    signed_in("staff").post(f"{PAGE}/refunds/{makers.one('select id from refunds')}", data={"to": "original"})
    run(with_stripe, "payment.refund")
    with db.writing() as session:
        ledger.catch_up(session)
    assert makers.one(ENTRIES) == "received, refunded, refund came back, refunded"
    assert (total > 0, makers.broken()) == (True, [])

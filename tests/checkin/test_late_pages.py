"""A delay past midnight: the booking's page and the passes name the day on which it really leaves."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pypdf
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.booking.models import Booking
from portal.kit import db, i18n
from portal.kit.settings import Settings
from tests.checkin import makers
from tests.checkin.test_pages import at, words

Own = Callable[[Booking], TestClient]


def test_the_day_of_the_forecast_stands_with_it(settings: Settings, own: Own) -> None:
    booking = makers.paid(settings, makers.leaving())
    makers.check_in(booking)
    with db.writing() as session:
        late = "estimated_departure_at = departure_at + interval '24 hours'"
        session.execute(text(f"update flights set {late}, estimated_arrival_at = arrival_at + interval '24 hours'"))
    client, one = own(booking), makers.passes(booking)[0]
    sold, leaves = one.flight.departure_local, one.leaves_local
    assert leaves.date() > sold.date()
    page = words(client.get(f"/bookings/{booking.reference}").text)
    assert f"now expected at {i18n.clock_time(leaves)} {i18n.short_day(leaves)}" in page
    shown = words(client.get(at(booking, "boarding-passes")).text)
    assert i18n.long_day(leaves) in shown
    assert i18n.long_day(sold) not in shown
    assert f"late; sold as {i18n.clock_time(sold)} {i18n.short_day(sold)}" in shown
    paper = pypdf.PdfReader(BytesIO(client.get(at(booking, "boarding-passes.pdf")).content)).pages[0].extract_text()
    assert i18n.long_day(leaves) in paper
    assert i18n.long_day(sold) not in paper

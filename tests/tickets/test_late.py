"""A flight that is late: letter, itinerary and calendar give the time that is expected, the schedule's beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4

from icalendar import Calendar
from sqlalchemy import text

from portal.booking.queries import booking_view
from portal.booking.views import AmendmentView, BookingView
from portal.kit import db
from portal.kit.settings import Settings
from portal.tickets import letters, records, rules, service
from tests.booking import makers
from tests.tickets import sample
from tests.tickets.test_amended_mail import plain
from tests.tickets.test_itinerary import words

SETTINGS = Settings(base_url="https://fly.example")
NIGHT = ((("JFK", "MUC", date(2026, 11, 24), time(22, 55), 370),),)
ONWARD = ((*NIGHT[0], ("MUC", "LAX", date(2026, 11, 25), time(13, 5), 720)),)
SEVEN_HOURS = timedelta(hours=7)


def late(view: BookingView, by: timedelta = SEVEN_HOURS) -> BookingView:
    """Return the booking with its first flight late by this much."""
    first, *others = view.slices[0].flights
    leaves, lands = first.departure_at + by, first.arrival_at + by
    told = replace(first, estimated_departure_at=leaves, estimated_arrival_at=lands)
    return replace(view, slices=(replace(view.slices[0], flights=(told, *others)), *view.slices[1:]))


def accepted(view: BookingView) -> str:
    """Return the letter that follows once the airline's change was accepted."""
    done = view.confirmed_at
    one = AmendmentView(
        **{
            **dict.fromkeys(AmendmentView.__dataclass_fields__),
            **{"id": uuid4(), "kind": "carrier", "state": "done", "done_at": done, "currency": "USD"},
            **{"due_minor": 0, "refund_minor": 0, "penalty_minor": 0, "number": 1, "lines": [], "payload": {}},
        }
    )
    view = replace(view, amendments=(one,))
    return " ".join(plain(letters.amended_mail(view, one, SETTINGS, files=[], left=[])).split())


def test_the_letter_gives_the_expected_time_and_the_schedule_in_words() -> None:
    said = accepted(late(sample.booking(slices=NIGHT)))
    assert "at the times that are expected" in said
    assert "Wednesday, 25 November 2026, Meridian Air ME101 05:55 EST, UTC−5 New York (JFK)" in said
    assert "late; scheduled 22:55 Tue 24 Nov" in said
    assert "18:05 CET, UTC+1" in said
    assert "(MUC), scheduled 11:05" in said


def test_the_letter_of_a_schedule_that_holds_says_nothing_of_forecasts() -> None:
    said = accepted(sample.booking(slices=NIGHT))
    assert "Only the attached itinerary counts" in said
    assert "22:55 EST" in said
    assert "expected" not in said
    assert "scheduled" not in said


def test_the_itinerary_gives_the_expected_day_and_the_schedule_in_words() -> None:
    said = words(service.itinerary_pdf(late(sample.booking(slices=NIGHT)), SETTINGS))
    for part in (
        "Wednesday, 25 November 2026",
        "05:55",
        "18:05",
        "late; scheduled 22:55 Tue 24 Nov",
        "scheduled 11:05",
    ):
        assert part in said
    assert "Tuesday" not in said
    assert "+1" not in said.replace("UTC+1", "")


def test_the_calendar_stands_at_the_expected_time() -> None:
    view = late(sample.booking(slices=NIGHT))
    (event,) = Calendar.from_ical(service.calendar(view, SETTINGS).content).walk("VEVENT")
    assert event.decoded("dtstart").astimezone(UTC) == datetime(2026, 11, 25, 10, 55, tzinfo=UTC)
    assert event.decoded("dtend").astimezone(UTC) == datetime(2026, 11, 25, 17, 5, tzinfo=UTC)
    assert "05:55 EST" in event["description"]
    assert "scheduled to leave at 22:55 Tue 24 Nov" in event["description"]


def test_a_cancelled_flight_keeps_the_time_it_was_sold_at() -> None:
    flight = replace(late(sample.booking(slices=NIGHT)).flights[0], status="cancelled")
    leg = rules.Leg(flight, None)
    assert (leg.is_late, leg.leaves) == (False, flight.departure)


def test_the_time_to_change_planes_is_the_expected_one_or_none_where_it_is_lost() -> None:
    def wait(by: timedelta) -> int | None:
        return rules.trips(late(sample.booking(slices=ONWARD), by))[0].legs[0].wait_minutes

    assert wait(timedelta(hours=1)) == 60
    assert wait(timedelta(hours=3)) is None


def test_an_itinerary_of_a_late_flight_follows_each_forecast_and_the_kept_one_comes_back(settings: Settings) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, makers.flight(number=501)))

    def handed_over(hours: int) -> str:
        delay = f"interval '{hours} hours'" if hours else "null::interval"
        with db.writing() as session:
            late = f"estimated_departure_at = departure_at + {delay}, estimated_arrival_at = arrival_at + {delay}"
            session.execute(text(f"update flights set {late}"))
        with db.writing() as session:
            view = booking_view(session, booking.reference)
            assert view is not None
            return words(service.itinerary(session, view, settings).content)

    on_time, first, second = handed_over(0), handed_over(3), handed_over(5)
    assert len({on_time, first, second}) == 3
    assert "scheduled" in second
    assert handed_over(0) == on_time
    with db.reading() as session:
        assert len(records.versions(session, booking.id, "itinerary")) == 1

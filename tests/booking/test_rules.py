"""Ages, parties, names and the state machine, as rules hold for whatever is thrown at them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.booking import actions, rules
from portal.booking.models import STATES
from portal.booking.rules import BookingView, PassengerView

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
OUT, BACK = date(2027, 3, 1), date(2027, 3, 15)
dates = st.dates(date(1930, 1, 1), date(2027, 2, 28))


def view(**given: object) -> BookingView:
    anna = PassengerView(uuid4(), 0, "adult", "Anna", "Smith", "SMITH/ANNA", date(1985, 1, 1), None)
    plain = BookingView(
        id=uuid4(),
        reference="ABCDEF",
        status="held",
        expires_at=NOW + timedelta(minutes=5),
        user_id=uuid4(),
        contact_email="anna@example.com",
        contact_phone=None,
        currency="USD",
        total_minor=10_000,
        paid_minor=0,
        locale="en",
        extensions=0,
        created_at=NOW,
        confirmed_at=None,
        slices=(),
        passengers=(anna,),
        charges=(),
    )
    return replace(plain, **given)  # type: ignore[arg-type]  # tests name the fields


@pytest.mark.parametrize(
    ("born", "day", "age"),
    [
        (date(2025, 3, 1), date(2027, 2, 28), 1),
        (date(2025, 3, 1), date(2027, 3, 1), 2),
        (date(2024, 2, 29), date(2026, 2, 28), 1),
        (date(2024, 2, 29), date(2026, 3, 1), 2),
    ],
)
def test_birthdays_are_counted_by_the_calendar(born: date, day: date, age: int) -> None:
    assert rules.age_on(born, day) == age


@pytest.mark.parametrize(
    ("kind", "born", "sentence"),
    [
        ("infant", date(2025, 3, 16), None),
        ("infant", date(2025, 3, 15), "Turns 2 before the last flight"),
        ("infant", date(2025, 3, 1), "2 or older on the day of a flight"),
        ("child", date(2025, 3, 15), None),
        ("child", date(2025, 3, 16), "Under 2 on every flight"),
        ("child", date(2015, 3, 16), None),
        ("child", date(2015, 3, 15), "12 or older"),
        ("adult", date(2015, 3, 1), None),
        ("adult", date(2015, 3, 15), None),
        ("adult", date(2015, 3, 16), "Under 12"),
        ("adult", date(2027, 3, 2), "after the first flight"),
        ("adult", date(1901, 1, 1), "check the year"),
    ],
)
def test_each_age_has_its_type_to_the_day(kind: str, born: date, sentence: str | None) -> None:
    told = rules.age_problem(kind, born, [OUT, BACK])
    assert (told is None) if sentence is None else sentence in str(told)


@given(born=dates)
def test_everybody_can_travel_as_something(born: date) -> None:
    fits = [kind for kind in ("adult", "child", "infant") if rules.age_problem(kind, born, [OUT, BACK]) is None]
    assert len(fits) == 1


def test_children_fly_with_somebody_of_sixteen_or_over() -> None:
    child, teenager, adult = ("child", date(2019, 1, 1)), ("adult", date(2013, 1, 1)), ("adult", date(2005, 1, 1))
    assert "travels alone" in str(rules.companion_problem([child, teenager], OUT))
    assert rules.companion_problem([child, teenager, adult], OUT) is None
    assert rules.companion_problem([teenager], OUT) is None
    assert "travels alone" in str(rules.companion_problem([("adult", date(2015, 3, 15))], OUT))


@given(given_name=st.text(max_size=30), family=st.text(max_size=30))
def test_a_ticket_name_is_letters_or_there_is_none(given_name: str, family: str) -> None:
    name = rules.ticket_name(given_name, family)
    if name is not None:
        assert all("A" <= letter <= "Z" or letter in " /" for letter in name)
        assert name.count("/") == (1 if given_name.strip() and family.strip() else 0)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_name_without_problems_has_a_ticket_name(given_name: str, family: str) -> None:
    if not rules.name_problems("at", given_name, family) and (given_name.strip() or family.strip()):
        assert rules.ticket_name(given_name, family)


def test_people_with_one_name_have_a_ticket() -> None:
    assert rules.ticket_name("", "Suharto") == "SUHARTO"


@given(st.sampled_from(STATES), st.sampled_from(STATES), st.sampled_from(STATES))
def test_states_only_move_forward(one: str, two: str, three: str) -> None:
    assert not (rules.may_become(one, two) and rules.may_become(two, one))
    if rules.may_become(one, two) and rules.may_become(two, three):
        assert (one, two, three) == ("held", "confirmed", "cancelled")


@given(
    status=st.sampled_from(STATES),
    minutes=st.integers(-60, 60),
    extensions=st.integers(0, 10),
    email=st.sampled_from([None, "anna@example.com"]),
)
def test_every_action_is_open_or_has_a_reason(status: str, minutes: int, extensions: int, email: str | None) -> None:
    expires_at = NOW + timedelta(minutes=minutes) if status == "held" else None
    one = view(status=status, expires_at=expires_at, extensions=extensions, contact_email=email)
    told = actions.available_actions(one, NOW)
    assert tuple(told) == actions.ACTIONS
    assert all(reason is None or reason.endswith(".") for reason in told.values())
    live = one.status_at(NOW) == "held"
    assert (told["pay"] is None) == (live and email is not None)
    assert (told["extend"] is None) == (live and extensions < 10)
    assert actions.open_actions(one, NOW) == [action for action in actions.ACTIONS if told[action] is None]


def test_a_hold_is_over_at_its_very_deadline() -> None:
    one = view(expires_at=NOW)
    assert one.status_at(NOW) == "expired"
    assert one.status_at(NOW - timedelta(microseconds=1)) == "held"


def test_who_may_see_and_who_may_change() -> None:
    one = view()
    guest = {"user_id": None, "staff": False, "granted": None}
    assert not rules.may_see(one, **guest, family_name=None)
    assert not rules.may_see(one, **guest, family_name="")
    assert not rules.may_see(one, **guest, family_name="Smyth")
    assert rules.may_see(one, **guest, family_name=" smith ")
    assert not rules.may_manage(one, **guest)
    assert rules.may_manage(one, user_id=one.user_id, staff=False, granted=None)
    assert not rules.may_manage(one, user_id=uuid4(), staff=False, granted="view")
    assert rules.may_manage(one, user_id=None, staff=False, granted="manage")
    assert rules.may_manage(one, user_id=uuid4(), staff=True, granted=None)


def test_nobody_is_nobody_s_owner() -> None:
    orphan = view(user_id=None)
    assert not rules.may_manage(orphan, user_id=None, staff=False, granted=None)


def test_a_family_name_is_known_with_and_without_its_accents() -> None:
    person = PassengerView(uuid4(), 0, "adult", "Jörg", "Müller", "MUELLER/JOERG", None, None)
    one = view(passengers=(person, PassengerView(uuid4(), 1, "adult", None, None, None, None, None)))
    for typed in ("Müller", "müller", "MUELLER", "Mueller"):
        assert rules.knows_name(one, typed)
    for typed in ("", " ", None, "Jörg", "/"):
        assert not rules.knows_name(one, typed)

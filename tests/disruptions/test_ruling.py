"""The figures of what is owed: a new version from a day on, by page and program, audited; today's stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from starlette.testclient import TestClient

from portal.disruptions import figures, queries, rules
from portal.disruptions.forms import FIGURES, RuleIn
from portal.flights.models import Flight
from portal.kit import clock, db
from portal.kit.errors import Invalid
from portal.kit.settings import Settings
from tests.booking import makers
from tests.disruptions.conftest import broken, carry_out, tell

Tokens = dict[str, dict[str, str]]
PAGE, API = "/admin/change-rules", "/api/admin/change-rules"


def coming(days: int) -> date:
    return clock.now().date() + timedelta(days=days)


def keep(days: int, minutes: int, kind: str = "answer", scope: str = "any") -> None:
    wish = RuleIn(kind=kind, scope=scope, minutes=minutes, source="A decision", valid_from=coming(days))  # type: ignore[arg-type]  # one of the words
    with db.writing() as session:
        figures.set_figure(session, wish, actor_id=uuid4())


def on(days: int) -> rules.Thresholds:
    with db.reading() as session:
        return rules.thresholds(queries.rule_rows(session), coming(days))


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 43_200)), min_size=1, max_size=8))
def test_the_newest_version_of_a_day_holds_and_no_day_is_without_one(made: list[tuple[int, int]]) -> None:
    """The same steps on plain rows: whatever the order, each day has one version, that of the latest start."""
    starts: dict[int, int] = {0: 60}
    starts |= dict(made)
    rows = []
    ordered = sorted(starts.items())
    for at, (first, minutes) in enumerate(ordered):
        last = date(2030, 1, 1) + timedelta(days=ordered[at + 1][0] - 1) if at + 1 < len(ordered) else None
        rows.append(rules.RuleRow("answer", "any", minutes, "x", date(2030, 1, 1) + timedelta(days=first), last))
    others = [
        rules.RuleRow("refund", "domestic", 180, "x", date(2000, 1, 1), None),
        rules.RuleRow("refund", "international", 360, "x", date(2000, 1, 1), None),
        rules.RuleRow("clock", "any", 10_080, "x", date(2000, 1, 1), None),
    ]
    for day in range(45):
        today = date(2030, 1, 1) + timedelta(days=day)
        wanted = next(minutes for first, minutes in reversed(ordered) if first <= day)
        assert rules.thresholds([*rows, *others], today).answer == wanted
        assert [rules.state_of(row, today) for row in rows].count("now") == 1


def test_versions_follow_each_other_without_gap_and_overlap(settings: Settings) -> None:
    keep(10, 90)
    keep(5, 120)
    keep(20, 30)
    assert [on(day).answer for day in (0, 4, 5, 9, 10, 19, 20, 400)] == [60, 60, 120, 120, 90, 90, 30, 30]
    keep(10, 45)
    assert [on(day).answer for day in (9, 10, 20)] == [120, 45, 30]
    gaps = """
        select count(*) from carrier_change_rules a join carrier_change_rules b
            on b.kind = a.kind and b.scope = a.scope and b.id <> a.id and b.valid_from >= a.valid_from
        where a.valid_to is null or a.valid_to >= b.valid_from
    """
    assert makers.one(gaps) == 0
    assert on(0).refund_domestic == 180


@pytest.mark.parametrize("days", [0, -1])
def test_what_holds_today_is_not_changed(settings: Settings, days: int) -> None:
    with pytest.raises(Invalid):
        keep(days, 90)
    assert on(0).answer == 60


def test_a_figure_decides_from_its_day_on(settings: Settings, flight: Flight) -> None:
    booking = makers.confirmed(settings, makers.offer(settings, flight))
    keep(1, 20)
    tell(carry_out(flight, "delay", minutes=30, reopen=True))
    asked = "select bool_or(needs_answer) from affected_bookings where booking_id = :id"
    assert makers.one(asked, id=booking.id) is False
    with db.writing() as session:
        session.execute(text("update carrier_change_rules set valid_from = valid_from - 1, valid_to = valid_to - 1"))
    tell(carry_out(flight, "delay", minutes=31))
    assert makers.one(asked, id=booking.id) is True
    assert broken() == []


def test_the_page_is_read_by_staff_and_changed_by_admins(
    client: TestClient, settings: Settings, signed_in: Callable[[str], Any]
) -> None:
    typed = {"figure": "refund/domestic", "minutes": "150", "source": "Our promise", "validFrom": str(coming(3))}
    assert client.get(PAGE).status_code in (302, 303, 401)
    signed_in("customer")
    assert client.get(PAGE).status_code == 403
    signed_in("staff")
    page = client.get(PAGE).text
    assert "14 CFR 260.2" in page
    assert "Keep it" not in page
    assert client.post(PAGE, data=typed).status_code == 403
    signed_in("admin")
    assert "Keep it" in client.get(PAGE).text
    assert client.post(PAGE, data=typed).status_code == 303
    page = client.get(PAGE).text
    for words in ("Our promise", "2 h 30 min", "coming"):
        assert words in page
    assert on(3).refund_domestic == 150
    entry = (
        "select after ->> 'minutes' || ' ' || (before ->> 'minutes') from audit_entries"
        " where action = 'change_rule.set'"
    )
    assert makers.one(entry) == "150 180"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"figure": "refund/any"}, "only `refund` differs"),
        ({"figure": ""}, "Figure"),
        ({"minutes": "0"}, "1 to 43200"),
        ({"minutes": "soon"}, "whole number"),
        ({"source": ""}, "Where it is written"),
        ({"validFrom": "2020-01-01"}, "from tomorrow on"),
        ({"validFrom": "never"}, "Please give a date"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_typed_is_lost(
    client: TestClient, settings: Settings, signed_in: Callable[[str], Any], wrong: dict[str, str], words: str
) -> None:
    signed_in("admin")
    typed = {"figure": "clock/any", "minutes": "77", "source": "Rule of the house", "validFrom": str(coming(3))}
    answer = client.post(PAGE, data=typed | wrong)
    assert (answer.status_code, words in unescape(answer.text)) == (422, True)
    for name, value in typed.items():
        assert name in wrong or value in answer.text
    assert makers.one("select count(*) from carrier_change_rules") == len(FIGURES)


def test_programs_read_and_change_the_figures(client: TestClient, settings: Settings, tokens: Tokens) -> None:
    wish = {"kind": "clock", "minutes": 2880, "source": "Board, 12 March", "validFrom": str(coming(2))}
    assert client.get(API).status_code == 401
    assert client.get(API, headers=tokens["customer"]).status_code == 403
    assert client.post(API, headers=tokens["staff"], json=wish).status_code == 403
    made = client.post(API, headers=tokens["admin"], json=wish)
    assert (made.status_code, made.json()["validTo"]) == (201, None)
    data = client.get(API, headers=tokens["staff"]).json()["data"]
    assert [(one["minutes"], one["validTo"]) for one in data if one["kind"] == "clock"] == [
        (2880, None),
        (10080, str(coming(1))),
    ]
    wrong = client.post(API, headers=tokens["admin"], json={**wish, "scope": "domestic"})
    assert wrong.status_code == 422

"""Every door is asked by everybody, about things that are really there, and answers as portal/access.py says."""

from __future__ import annotations

from typing import Any

import pytest

from portal import access
from tests.access.asking import PEOPLE, Asker, told

# What has nothing behind it here, so that whoever may come in is told that there is nothing.
ABSENT = {
    ("POST", "/webhooks/stripe"): "no Stripe is set up",
    ("GET", "/account/sign-in/provider"): "no provider is set up",
    ("GET", "/account/sign-in/provider/back"): "no provider is set up",
}


# What is gone once somebody did it: each person who may is asked in a world of their own.
ONCE = {
    ("POST", "/bookings/{reference}/check-ins/{id:uuid}/undo"),
    ("DELETE", "/api/bookings/{reference}/check-ins/{id}"),
}
READS = [rule for rule in access.RULES if rule[0] == "GET"]
DEEDS = [
    (rule, people) for rule in access.RULES if rule[0] != "GET" for people in (PEOPLE if rule in ONCE else [PEOPLE])
]


def expected(method: str, path: str) -> dict[str, str]:
    """Return what everybody is answered."""
    if (method, path) in ABSENT:
        return dict.fromkeys(PEOPLE, "404")
    return access.KINDS[access.RULES[method, path]]._asdict()


def test_what_is_read_is_told_to_whom_the_table_says(asker: Asker) -> None:
    wrong = []
    for method, path in READS:
        for who in PEOPLE:
            answer, should = told(asker.ask(who, method, path)), expected(method, path)[who]
            wrong += [f"{path} answers {who} {answer}, not {should}"] if answer != should else []
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("rule", "people"),
    DEEDS,
    ids=lambda word: " ".join(word) if isinstance(word, tuple) and word != PEOPLE else str(word)[:8],
)
def test_what_is_done_is_done_for_whom_the_table_says(asker: Asker, rule: tuple[str, str], people: Any) -> None:
    method, path = rule
    asked = (people,) if isinstance(people, str) else people
    answers = {who: told(asker.ask(who, method, path)) for who in asked}
    assert answers == {who: expected(method, path)[who] for who in asked}

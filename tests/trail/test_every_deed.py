"""Every door through which staff do something leaves an entry that says who; a door without a deed here fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from portal import access
from portal.kit import clock, db
from tests import world
from tests.access.asking import BODIES, Asker
from tests.access.conftest import asker, everything, facts, template
from tests.access.furnished import Facts

__all__ = ["asker", "everything", "facts", "template"]
Body = dict[str, Any] | Callable[[Facts], dict[str, Any]]
OFFICE = ("staff", "admin", "report")
SOON = (clock.now() + timedelta(days=40)).date().isoformat()
TAX = {
    **{"do": "save", "valid_from": SOON, "code": "ZZ", "label": "Fuel", "kind": "per_passenger", "amount": "12.00"},
    **{"currency": "USD", "domestic": "", "economy": "", "source": "because"},
}
PROMOTION = {"code": "AUTUMN", "label": "Autumn", "kind": "percent", "amount": "5", "saleFrom": "2026-11-01"}
FOG = {"reason": "Fog at the airport"}
LATER = world.soon(30).isoformat()
TIMES = {"departureLocal": f"{LATER}T09:00", "arrivalLocal": f"{LATER}T12:15"}
# What is sent to do the deed; what is not named takes an empty body.
DEEDS: dict[tuple[str, str], Body] = {
    ("POST", "/admin/exports"): {"report": "sales", "format": "csv"},
    ("POST", "/api/exports"): {"report": "sales", "format": "csv"},
    ("POST", "/admin/payments/credits"): {"email": "someone@example.com", "amount": "5.00"},
    ("POST", "/api/admin/payments/credits"): {"email": "someone@example.com", "amount": "5.00"},
    ("POST", "/admin/prices/{table}/new"): TAX,
    ("POST", "/admin/prices/{table}/{row}"): TAX,
    ("POST", "/admin/prices/{table}/{row}/end"): {"last": SOON},
    ("POST", "/admin/promotions/new"): PROMOTION,
    ("POST", "/admin/promotions/{code}"): {"do": "end"},
    ("POST", "/api/admin/promotions"): PROMOTION,
    ("PATCH", "/api/admin/promotions/{code}"): {"label": "Spring again"},
    ("POST", "/admin/flights/{publicId:uuid}/change"): {"kind": "cancel", **FOG},
    ("POST", "/admin/flights/{publicId:uuid}/sale"): {"close": "1"},
    ("POST", "/admin/boarding/{id:uuid}/scans"): {"code": "1"},
    ("POST", "/admin/change-rules"): {"figure": "clock/any", "minutes": "77", "source": "The house", "validFrom": SOON},
    ("POST", "/api/admin/change-rules"): {"kind": "clock", "minutes": 77, "source": "The house", "validFrom": SOON},
    ("POST", "/api/boarding/scans"): lambda facts: {"flightId": str(facts["gate"]), "sequence": 1},
    ("POST", "/api/admin/flights/{flightId:uuid}/delay"): {"minutes": 45, **FOG},
    ("POST", "/api/admin/flights/{flightId:uuid}/retime"): {**TIMES, **FOG},
    ("POST", "/api/admin/flights/{flightId:uuid}/cancel"): FOG,
    ("POST", "/api/admin/flights/{flightId:uuid}/swap"): {"aircraft": "A321", **FOG},
}
# What must be so before the deed can be done.
BEFORE = {
    ("POST", "/admin/exports/{id:uuid}/retry"): "update exports set state = 'failed'",
    ("POST", "/api/admin/flights/{flightId:uuid}/swap"): """
        with type as (insert into aircraft_types (code, name) values ('A321', 'Airbus A321') returning code)
        insert into aircraft_cabins (aircraft, cabin, first_row, last_row, layout, capacity, exit_rows)
        select type.code, c.cabin, c.first_row, c.last_row, c.layout, c.capacity, c.exit_rows
        from type, aircraft_cabins c where c.aircraft = 'A320'""",
}
RULES = [rule for rule, kind in access.RULES.items() if kind in OFFICE and rule[0] not in ("GET", "HEAD")]


def entries(name: str) -> int:
    """Return how many entries that account has left."""
    with db.reading() as session:
        statement = "select count(*) from audit_entries e join users u on u.id = e.actor_id where u.email = :email"
        return int(session.scalar(text(statement), {"email": f"{name}@example.com"}) or 0)


@pytest.mark.parametrize("rule", RULES, ids=" ".join)
def test_what_staff_do_is_recorded(asker: Asker, monkeypatch: pytest.MonkeyPatch, rule: tuple[str, str]) -> None:
    monkeypatch.setitem(BODIES, rule, DEEDS.get(rule, BODIES.get(rule, {})))
    asker.changed = True
    if rule in BEFORE:
        with db.writing() as session:
            session.execute(text(BEFORE[rule]))
    before = entries("admin")
    answer = asker.ask("admin", *rule)
    assert answer.status_code < 400, f"say in DEEDS how it is done: {answer.text[-1500:]}"
    assert "this was not done" not in answer.text
    assert entries("admin") > before, "staff did something, and the trail knows nothing of it"

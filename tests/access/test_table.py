"""Nobody gets in where they do not belong: every address has its line in portal/access.py."""

from __future__ import annotations

from starlette.routing import Route

from portal.access import RULES
from portal.app import ROUTES

DOORS = {
    (method, route.path)
    for route in ROUTES
    if isinstance(route, Route)
    for method in (route.methods or set()) - {"HEAD"}
}


def test_every_route_has_a_rule() -> None:
    missing = [f"{method} {path}" for method, path in sorted(DOORS - RULES.keys())]
    assert not missing, (
        f"{missing} may be used by nobody yet. Add a line to the table in portal/access.py that says of what kind the "
        "address is; then tests/access/ asks it as everybody."
    )


def test_no_rule_is_left_behind() -> None:
    left = [f"{method} {path}" for method, path in sorted(RULES.keys() - DOORS)]
    assert not left, f"{left} in portal/access.py is the line of no route."


def test_what_stands_beside_the_doors_is_open_to_anyone() -> None:
    """A route made without page() or endpoint() passes no rule, so it may only be one for anyone."""
    aside = [r.path for r in ROUTES if isinstance(r, Route) and not hasattr(r.endpoint, "view")]
    assert {RULES["GET", path] for path in aside} == {"anyone"}

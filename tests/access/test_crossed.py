"""Another's things are not reached through one's own: the parts of an address belong together or lead nowhere."""

from __future__ import annotations

import re

import pytest

from portal import access
from portal.kit import db, grants
from tests.access.asking import Asker, address, told
from tests.access.furnished import owned
from tests.booking import makers

# Addresses with two keys: the booking is the asker's own, the other key somebody else's.
CROSSED = [rule for rule in access.RULES if "{reference}" in rule[1] and rule[1].count("{") == 2]


@pytest.fixture
def own(asker: Asker) -> str:
    """A paid booking of the other traveller."""
    booking = makers.confirmed(asker.settings, makers.offer(asker.settings, makers.flight(number=777), brand="Flex"))
    asker.changed = True
    return owned(booking, by="other@example.com")


def test_a_key_of_another_opens_nothing_under_ones_own_booking(asker: Asker, own: str) -> None:
    assert len(CROSSED) > 15
    wrong = []
    for method, path in CROSSED:
        where = re.sub(r"^((?:/api)?/book(?:ings)?/)[^/]+", rf"\g<1>{own}", address(path, asker.facts))
        answer = asker.ask("other", method, path, where=where)
        wrong += [f"{method} {where}: {answer.status_code}"] if told(answer) not in ("404", "403") else []
    assert wrong == []
    assert [str(one) for one in makers.broken()] == []


def test_travellers_and_flights_of_another_booking_are_refused(asker: Asker, own: str) -> None:
    """Keys in a body are checked like keys in an address."""
    headers = asker.facts["tokens"]["other"]
    with db.reading():
        theirs = makers.one(
            "select id from passengers where booking_id = (select id from bookings where reference = :r)",
            r=asker.facts["later"],
        )
    flight = str(asker.facts["flight"])
    bodies = {
        "corrections": {"passengerId": str(theirs), "givenName": "Annaa", "familyName": "Smyth"},
        "cancellations": {"passengerIds": [str(theirs)]},
        "check-ins": [{"passengerId": str(theirs), "flightId": flight}],
    }
    for what, body in bodies.items():
        answer = asker.client.post(f"/api/bookings/{own}/{what}", json=body, headers=headers)
        assert answer.status_code in (404, 409, 422), (what, answer.text)
    for what, row in {"seats": {"seat": "14B"}, "extras": {"code": "bag", "quantity": 1}}.items():
        body = [{"passengerId": str(theirs), "flightId": flight, **row}]
        answer = asker.client.put(f"/api/bookings/{own}/{what}", json=body, headers=headers)
        assert answer.status_code in (404, 409, 422), (what, answer.text)


def test_nobody_signs_anothers_browser_out(asker: Asker) -> None:
    """Its row is still there after everybody else has tried."""
    for who in ("other", "staff", "admin"):
        asker.ask(who, "POST", "/account/devices/{id}/end")
    assert makers.one("select count(*) from sign_ins where id = :id", id=asker.facts["device"]) == 1
    asker.ask("owner", "POST", "/account/devices/{id}/end")
    assert makers.one("select count(*) from sign_ins where id = :id", id=asker.facts["device"]) == 0


def test_a_browsers_grant_and_a_programs_token_open_one_booking_only(asker: Asker, own: str) -> None:
    token = grants.booking_token(asker.settings, own)
    asker.client.cookies.clear()
    for reference, status in ((own, 200), (asker.facts["later"], 404), (own.lower(), 200)):
        answer = asker.client.get(f"/api/bookings/{reference}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status
    for path in ("/api/bookings", "/api/me", "/api/admin/flights"):
        assert asker.client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 401
    link = grants.link(asker.settings, own, f"/bookings/{own}")
    asker.client.get(link.removeprefix(asker.settings.base_url))
    assert asker.client.get(f"/bookings/{own}").status_code == 200
    assert asker.client.get(f"/bookings/{asker.facts['later']}").status_code == 404
    asker.client.cookies.clear()
    assert asker.client.get(f"/bookings/{own}").status_code == 404


def test_a_page_believes_no_token_and_the_api_no_cookie(asker: Asker) -> None:
    asker.client.cookies.clear()
    bearer = asker.facts["tokens"]["admin"]
    assert told(asker.client.get("/admin", headers=bearer)) == "sign-in"
    assert told(asker.client.get("/account", headers=bearer)) == "sign-in"
    asker.client.cookies.update(asker.facts["cookies"]["admin"])
    assert told(asker.client.get("/api/me")) == "sign-in"
    assert told(asker.client.get("/api/admin/flights")) == "sign-in"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "POST "])
def test_a_method_that_is_not_the_doors_opens_nothing(asker: Asker, method: str) -> None:
    """Nor does one that a form or a header claims to be another."""
    for path in ("/admin", "/account", f"/bookings/{asker.facts['later']}", "/api/admin/flights", "/api/me"):
        asker.client.cookies.clear()
        if ("PATCH", path) in access.RULES and method == "PATCH":
            continue
        try:
            answer = asker.client.request(method, path, headers={"X-HTTP-Method-Override": "GET"})
        except (ValueError, RuntimeError):
            continue  # Not even the client will send it.
        assert answer.status_code in (303, 401, 404, 405), (method, path)
        assert "Wood" not in answer.text


def test_another_spelling_is_another_address_or_the_same_rule(asker: Asker) -> None:
    """A slash more, capitals, encoded letters, dots, a second slash: never past the rule."""
    wrong = []
    for path in ("/admin", "/admin/bookings", "/account", f"/bookings/{asker.facts['later']}", "/api/admin/flights"):
        last = path[-1]
        for odd in (
            f"{path}/",
            path.upper(),
            path[:-1] + f"%{ord(last):02x}",
            path.replace("/", "//"),
            f"{path}/.",
            f"{path};x",
            f"{path}%00",
            f"/x/..{path}",
            f"{path}%2f",
            f"{path}?",
        ):
            asker.client.cookies.clear()
            answer = asker.client.get(f"http://testserver{odd}")
            refused = answer.status_code in (303, 307, 308, 400, 401, 404)
            wrong += [] if refused and "Wood" not in answer.text else [f"{odd}: {answer.status_code}"]
    assert wrong == []

"""Nobody keeps a flight's seats from others by holding them again and again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit.limits import POLICIES
from portal.kit.settings import Settings
from tests.booking import makers

MOST = POLICIES["booking"].limit


@pytest.fixture
def client(limited: Settings) -> Iterator[TestClient]:
    """A browser at a portal that counts."""
    with TestClient(create_app(limited), follow_redirects=False) as running:
        yield running


def test_a_caller_holds_and_prolongs_so_often_and_no_more(client: TestClient, limited: Settings) -> None:
    offer = makers.offer(limited, makers.flight())
    told = [client.post("/book", data={"offer": offer.token, "key": f"key-number-{n}"}) for n in range(MOST - 1)]
    assert {one.status_code for one in told} == {303}
    reference = told[0].headers["location"].split("/")[2]
    assert client.post(f"/book/{reference}/extend").status_code == 303
    full = client.post("/book", data={"offer": offer.token, "key": "one-key-more"})
    assert (full.status_code, client.post(f"/book/{reference}/extend").status_code) == (429, 429)
    assert int(full.headers["retry-after"]) > 0
    assert "tried too often" in full.text
    assert makers.one("select count(*) from bookings") == MOST - 1
    body = {"offerIds": [offer.token], "contact": {"email": "a@example.com"}, "passengers": [ANNA]}
    answer = client.post("/api/bookings", json=body)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")


ANNA = {"type": "adult", "givenName": "Anna", "familyName": "Smith", "dateOfBirth": "1985-05-17"}

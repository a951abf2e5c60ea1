"""Download my data: everything that is kept about one account, and nothing about anybody else."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import clock, db, outbox
from portal.kit.settings import Settings
from portal.metadata import metadata
from portal.privacy import queries, rules, service
from portal.privacy.models import DataCopy
from tasks.handlers import HANDLERS
from tests import people
from tests.booking import makers

MIA = {"givenName": "Mia <i>", "familyName": "Wood", "dateOfBirth": "2019-03-02"}
# What a person's copy need not hold: why, for each table that points at an account.
ELSEWHERE = {
    "recovery_codes": "hashes only",
    "half_sign_ins": "a few minutes old, hashes only",
    "known_browsers": "hashes only",
    "data_copies": "the copies themselves",
    "exports": "figures of the airline, made by staff",
    "refresh_tokens": "told as programs",
    "users": "told as the account",
}


@pytest.fixture
def robin(client: TestClient, settings: Settings) -> TestClient:
    """A signed-in browser of somebody who has a bit of everything."""
    people.join(client)
    client.post("/account/sign-in", data={"email": "robin@example.com", "password": people.PASSWORD})
    client.post("/account/travellers", data=MIA)
    client.post("/account/favourites", data={"origin": "JFK", "destination": "LAX", "keep": "1"})
    makers.confirmed(settings, makers.offer(settings, makers.flight()))
    with db.writing() as session:
        session.execute(text("update bookings set user_id = (select id from users)"))
    return client


@pytest.fixture
def mallory(settings: Settings) -> Iterator[TestClient]:
    """Somebody else's signed-in browser."""
    with TestClient(create_app(settings), follow_redirects=False) as other:
        people.join(other, "mallory@example.com", firstName="Mallory")
        other.post("/account/sign-in", data={"email": "mallory@example.com", "password": people.PASSWORD})
        yield other


def work_off(settings: Settings) -> None:
    with db.reading() as session:
        letters = session.scalars(select(outbox.Letter).where(outbox.Letter.kind == "privacy.copy")).all()
    for letter in letters:
        HANDLERS[letter.kind](settings, letter)


def link(client: TestClient, address: str) -> str:
    return re.findall(r'href="(/account/privacy/copies/[^"]+/file\?token=[^"]+)"', client.get(address).text)[0]


def fetched(client: TestClient, settings: Settings) -> zipfile.ZipFile:
    address = client.post("/account/privacy/copies").headers["location"]
    work_off(settings)
    answer = client.get(link(client, address))
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["referrer-policy"] == "no-referrer"
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_a_copy_holds_all_of_ones_own(robin: TestClient, mallory: TestClient, settings: Settings) -> None:
    whole = fetched(robin, settings)
    told: dict[str, Any] = json.loads(whole.read("data.json"))
    assert told["account"][0]["email"] == "robin@example.com"
    assert told["savedTravellers"][0]["givenName"] == "Mia <i>"
    assert told["favouriteRoutes"][0]["destination"] == "LAX"
    assert len(told["bookings"]) == len(told["payments"]) == 1
    assert told["passengers"][0]["ticketNumbers"]
    assert told["flights"][0]["flight"] == "ME101"
    assert told["signIns"]
    assert set(told) == {"madeAt", *queries.SECTIONS}
    page = whole.read("index.html").decode()
    assert "Mia &lt;i&gt;" in page
    for name in whole.namelist():
        assert b"mallory" not in whole.read(name).lower()
        assert b"$argon2" not in whole.read(name)


def test_every_table_that_points_at_an_account_is_told_or_named(settings: Settings) -> None:
    """A new table with a user in it fails here until the copy tells it, or says why it need not."""
    told = "\n".join(queries.SECTIONS.values())
    pointing = {
        table.name for table in metadata.sorted_tables for key in table.foreign_keys if key.column.table.name == "users"
    }
    missing = {name for name in pointing if not re.search(rf"(from|join) {name}\b", told)} - ELSEWHERE.keys()
    assert missing == set()


def test_nobody_fetches_anothers_copy(robin: TestClient, mallory: TestClient, settings: Settings) -> None:
    address = robin.post("/account/privacy/copies").headers["location"]
    work_off(settings)
    own = link(robin, address)
    assert mallory.get(address).status_code == 404
    assert mallory.get(own).status_code == 404
    assert robin.get(own[:-4] + "AAAA").status_code == 404
    robin.post("/account/sign-out")
    assert robin.get(own).headers["location"].startswith("/account/sign-in")


def test_fetching_is_told_by_mail_once_and_asks_for_a_fresh_proof(robin: TestClient, settings: Settings) -> None:
    fetched(robin, settings)
    address = re.findall(r"/account/privacy/copies/[0-9a-f-]+", robin.get("/account/privacy").text)[0]
    assert robin.get(link(robin, address)).status_code == 200
    with db.reading() as session:
        notices = [
            one for one in session.scalars(select(outbox.Letter.payload)) if one.get("kind") == "data_downloaded"
        ]
    assert len(notices) == 1
    with clock.shifted(timedelta(minutes=11)):
        assert robin.get(link(robin, address)).headers["location"].startswith("/account/confirm")
        assert robin.post("/account/privacy/copies").headers["location"].startswith("/account/confirm")


def test_one_copy_at_a_time_is_made(robin: TestClient) -> None:
    robin.post("/account/privacy/copies")
    assert robin.post("/account/privacy/copies").headers["location"] == "/account/privacy"
    with db.reading() as session:
        assert len(session.scalars(select(DataCopy.id)).all()) == 1


def test_how_far_it_is_can_be_seen_while_it_is_made(robin: TestClient, settings: Settings) -> None:
    address = robin.post("/account/privacy/copies").headers["location"]
    assert "http-equiv" in robin.get(address).text
    with db.writing() as session:
        copy_id = session.scalars(select(DataCopy.id)).one()
        assert service.begin_copy(session, copy_id) is not None
        service.note_progress(session, copy_id, 40)
    part = robin.get(address, headers={"HX-Request-Type": "partial"}).text
    assert part.lstrip().startswith("<div")
    assert "40" in part


def test_old_copies_are_thrown_away(robin: TestClient, settings: Settings) -> None:
    fetched(robin, settings)
    with db.writing() as session:
        session.execute(update(DataCopy).values(asked_at=clock.now() - rules.COPY_KEPT - timedelta(hours=1)))
    HANDLERS["privacy.erase"](settings, outbox.Letter(kind="privacy.erase", payload={}))
    with db.reading() as session:
        assert session.scalars(select(DataCopy.id)).all() == []

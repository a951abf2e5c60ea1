"""Passkeys: registered and recognised, once each; whatever does not fit is refused, one lie at a time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.app import create_app
from portal.factors.models import Passkey, SpentChallenge
from portal.kit import clock, db
from portal.kit.settings import Settings
from tests.factors.conftest import HERE, Person
from tests.factors.device import PRESENT, VERIFIED, Device, b64
from tests.factors.test_second_step import SECOND, told
from tests.people import join


def sign_in(client: TestClient, device: Device, **lies: Any) -> str | None:
    """Sign in by passkey alone; returns where it leads, or None."""
    options = client.get("/account/sign-in/passkey").json()
    answer = client.post("/account/sign-in/passkey", data={"answer": device.get(options, **lies)})
    return answer.headers["location"] if answer.status_code == 303 else None


def test_a_passkey_signs_in_by_itself(robin: Person) -> None:
    assert robin.add_passkey() == 200  # the page with the recovery codes, this once
    assert len(robin.codes) == 10
    assert [one["name"] for one in told("passkey_added")] == ["Laptop"]
    robin.leave()
    assert sign_in(robin.client, robin.device) == "/"
    assert robin.known()
    assert "Laptop" in robin.client.get(HERE).text


def test_several_passkeys_have_names_and_can_be_removed_one_by_one(robin: Person) -> None:
    phone, laptop = Device(), Device()
    assert [robin.add_passkey(phone, "Phone"), robin.add_passkey(laptop, "Laptop")] == [200, 303]
    one = re.findall(r"/account/security/passkeys/([0-9a-f-]{36})/remove", robin.client.get(HERE).text)[0]
    assert robin.client.post(f"/account/security/passkeys/{one}/name", data={"name": "Old phone"}).status_code == 303
    assert "Old phone" in robin.client.get(HERE).text
    assert robin.client.post(f"/account/security/passkeys/{one}/name", data={"name": "x" * 61}).status_code == 422
    assert robin.client.post(f"/account/security/passkeys/{one}/remove").status_code == 303
    assert [(one["name"], one["last"]) for one in told("passkey_removed")] == [("Old phone", False)]
    robin.leave()
    assert sign_in(robin.client, phone) is None
    assert sign_in(robin.client, laptop) == "/"


def test_a_passkey_is_a_second_step_too(robin: Person) -> None:
    robin.add_passkey()
    robin.leave()
    assert robin.password(after="/account/trips") == SECOND
    options = robin.client.get(f"{SECOND}/passkey").json()
    assert [one["id"] for one in options["allowCredentials"]] == [b64(robin.device.id)]
    answer = robin.client.post(f"{SECOND}/passkey", data={"answer": robin.device.get(options)})
    assert answer.headers["location"] == "/account/trips"
    assert robin.known()


def test_a_passkey_is_proof(robin: Person) -> None:
    robin.add_passkey()
    with clock.shifted(timedelta(minutes=11)):
        assert robin.client.get("/account/security/authenticator").status_code == 303
        options = robin.client.get("/account/confirm/passkey").json()
        form = {"answer": robin.device.get(options), "next": HERE}
        assert robin.client.post("/account/confirm/passkey", data=form).headers["location"] == HERE
        assert robin.client.get("/account/security/authenticator").status_code == 200


def test_an_answer_counts_once(robin: Person, client: TestClient) -> None:
    robin.add_passkey(Device(counts=False))
    robin.leave()
    options = client.get("/account/sign-in/passkey").json()
    form = {"answer": robin.device.get(options)}
    assert client.post("/account/sign-in/passkey", data=form).status_code == 303
    robin.leave()
    replayed = client.post("/account/sign-in/passkey", data=form)
    assert replayed.status_code == 422
    assert "took too long" in replayed.text
    assert not robin.known()
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(SpentChallenge)) == 2


def test_a_challenge_lapses_after_five_minutes(robin: Person) -> None:
    robin.add_passkey()
    robin.leave()
    options = robin.client.get("/account/sign-in/passkey").json()
    with clock.shifted(timedelta(minutes=5)):
        form = {"answer": robin.device.get(options)}
        assert robin.client.post("/account/sign-in/passkey", data=form).status_code == 422


LIES: dict[str, dict[str, Any]] = {
    "another site": {"origin": "https://evil.example"},
    "the same site without its port": {"origin": "http://testserver:81"},
    "another home": {"rp_id": "evil.example"},
    "nobody recognised": {"flags": PRESENT},
    "nobody there": {"flags": VERIFIED},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_device_that_lies_is_refused(robin: Person, lie: str) -> None:
    assert robin.add_passkey(Device(**LIES[lie])) == 422
    honest = Device()
    assert robin.add_passkey(honest) == 200
    robin.leave()
    crooked = replace(honest, **LIES[lie], count=honest.count)
    assert sign_in(robin.client, crooked) is None
    assert not robin.known()
    assert sign_in(robin.client, replace(honest, count=crooked.count)) == "/"


def test_another_key_another_owner_and_a_copied_key_are_refused(robin: Person) -> None:
    robin.add_passkey()
    robin.leave()
    assert sign_in(robin.client, robin.device) == "/"
    robin.leave()
    assert sign_in(robin.client, replace(robin.device, key=Device().key)) is None
    assert sign_in(robin.client, Device()) is None
    assert sign_in(robin.client, robin.device, handle=bytes(16)) is None
    copied = replace(robin.device, count=0)
    assert sign_in(robin.client, copied) is None
    assert sign_in(robin.client, robin.device) == "/"


def test_an_answer_is_for_what_was_asked(robin: Person) -> None:
    robin.add_passkey()
    for asked, told_to in (
        ("/account/confirm/passkey", "/account/sign-in/passkey"),
        ("/account/sign-in/passkey", "/account/confirm/passkey"),
        ("/account/security/passkeys/new", "/account/confirm/passkey"),
    ):
        options = robin.client.get(asked).json()
        answer = robin.client.post(told_to, data={"answer": robin.device.get(options)})
        assert answer.status_code == 422, (asked, told_to)


def test_a_made_up_challenge_is_refused(robin: Person) -> None:
    robin.add_passkey()
    robin.leave()
    for made_up in (b"", bytes(32), bytes(56), b"x" * 500):
        form = {"answer": robin.device.get({"challenge": b64(made_up)})}
        assert robin.client.post("/account/sign-in/passkey", data=form).status_code == 422


def test_the_second_step_takes_only_ones_own_passkey(robin: Person) -> None:
    with db.writing() as session:
        accounts.ensure_demo_users(session)
    robin.add_passkey()
    robin.leave()
    other = Person(robin.client, "traveller@example.com")
    other.password(accounts.DEMO_PASSWORD)
    other.add_passkey()
    other.leave()
    robin.password()
    options = robin.client.get(f"{SECOND}/passkey").json()
    answer = robin.client.post(f"{SECOND}/passkey", data={"answer": other.device.get(options)})
    assert answer.status_code == 422
    assert not robin.known()


def test_one_passkey_is_on_one_list(robin: Person) -> None:
    robin.add_passkey()
    assert robin.add_passkey(robin.device) == 409
    robin.leave()
    join(robin.client, "lee@example.com")
    lee = Person(robin.client, "lee@example.com")
    lee.password()
    assert lee.add_passkey(robin.device) == 409
    with db.reading() as session:
        assert session.scalars(select(Passkey.user_id)).all() == [robin.id]


def test_a_list_of_passkeys_ends_at_twenty(robin: Person) -> None:
    made = [robin.add_passkey(Device()) for _ in range(21)]
    assert made == [200, *[303] * 19, 409]


@pytest.mark.parametrize(
    "junk",
    ["", "null", "[]", "{}", "x" * 21_000, '{"id": 1}', json.dumps({"id": "a", "rawId": "a", "type": "public-key"})],
)
def test_junk_is_refused_in_a_sentence(robin: Person, junk: str) -> None:
    for path in ("/account/sign-in/passkey", "/account/confirm/passkey", "/account/security/passkeys"):
        answer = robin.client.post(path, data={"answer": junk, "name": "x"})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text


def test_every_broken_piece_of_an_answer_is_refused(robin: Person) -> None:
    robin.add_passkey()
    robin.leave()
    for name in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        for broken in ("", "AAAA", "*" * 20, b64(b"{}"), b64(b"\xff" * 40)):
            options = robin.client.get("/account/sign-in/passkey").json()
            told = json.loads(robin.device.get(options))
            told["response"][name] = broken
            answer = robin.client.post("/account/sign-in/passkey", data={"answer": json.dumps(told)})
            if name == "userHandle" and not broken.strip("*"):
                assert answer.status_code == 303  # nothing is left of it; a device need not say whose key it is
                robin.leave()
            else:
                assert answer.status_code == 422, (name, broken)


def test_removing_what_is_anothers_is_not_found(robin: Person) -> None:
    robin.add_passkey()
    with db.reading() as session:
        one = session.scalar(select(Passkey.id))
    robin.leave()
    join(robin.client, "lee@example.com")
    lee = Person(robin.client, "lee@example.com")
    lee.password()
    for path in (f"{one}/remove", f"{one}/name", "nonsense/remove"):
        answer = robin.client.post(f"/account/security/passkeys/{path}", data={"name": "x"})
        assert answer.status_code == 404


def test_where_a_portal_has_only_numbers_the_page_says_where_passkeys_work(settings: Settings) -> None:
    alone = replace(settings, base_url="http://127.0.0.1:8000")
    with TestClient(create_app(alone), base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        page = client.get("/account/sign-in").text
        assert 'href="http://localhost:8000/account/sign-in"' in page
        assert "Sign in with a passkey" not in page
    with TestClient(create_app(alone), base_url="http://localhost:8000", follow_redirects=False) as client:
        assert "Sign in with a passkey" in client.get("/account/sign-in").text

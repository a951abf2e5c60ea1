"""Guessing: each further wrong password waits longer, owners get in all the same, and nothing tells who exists."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.accounts import credentials, passwords
from portal.app import create_app
from portal.kit import backoff, cache, db, ids, outbox
from portal.kit.errors import TooMany, Unavailable
from portal.kit.settings import Settings
from tests import people
from tests.accounts.test_letters import inbox, link, work_off
from tests.factors.conftest import Person

LOGIN = {"email": "robin@example.com", "password": people.PASSWORD}
WRONG = {**LOGIN, "password": "a wrong guess"}


@pytest.fixture
def strict(limited: Settings) -> Iterator[TestClient]:
    """A browser of a portal with limits, where robin has an account."""
    with TestClient(create_app(limited), follow_redirects=False) as client:
        people.join(client)
        yield client


def stranger(settings: Settings) -> TestClient:
    """Another browser, at another address."""
    return TestClient(create_app(settings), follow_redirects=False, client=("203.0.113.9", 5000))


def guess(client: TestClient, times: int, email: str = "robin@example.com") -> list[int]:
    return [client.post("/account/sign-in", data={**WRONG, "email": email}).status_code for _ in range(times)]


def let_waits_pass(settings: Settings) -> None:
    """Let every wait be over, as if time had passed; what was counted stays."""
    memory = cache.client(settings.redis_url)
    for key in memory.scan_iter("backoff:*"):
        memory.hset(key, "until", 0)
    for key in memory.scan_iter("limit:*"):
        memory.delete(key)


def test_waits_double_and_have_an_end(limited: Settings) -> None:
    waits = []
    for number in range(1, 30):
        assert backoff.failed(limited, "account", "robin") == (number == 10)
        try:
            backoff.check(limited, "account", "robin")
        except TooMany as no:
            waits.append(no.retry_after or 0)
    assert len(waits) == 20
    assert [round(wait / 60) for wait in waits[:7]] == [1, 2, 4, 8, 16, 32, 60]
    assert max(waits) <= 3600
    backoff.check(limited, "account", "somebody else")
    backoff.forgive(limited, "account", "robin")
    backoff.check(limited, "account", "robin")


def test_waits_are_asked_for_by_nobody_while_they_cannot_be_counted(limited: Settings) -> None:
    away = replace(limited, redis_url="redis://127.0.0.1:1/0")
    with pytest.raises(Unavailable):
        backoff.check(away, "account", "robin")


def test_ten_guesses_hold_strangers_up_and_write_to_the_owner_once(strict: TestClient, limited: Settings) -> None:
    strict.post("/account/sign-in", data=LOGIN)  # this browser is known from now on
    strict.post("/account/sign-out")
    other = stranger(limited)
    assert guess(other, 12) == [422] * 10 + [429] * 2
    let_waits_pass(limited)
    assert guess(other, 2) == [422, 429]
    assert other.post("/account/sign-in", data=LOGIN).status_code == 429
    assert strict.post("/account/sign-in", data=LOGIN).status_code == 303
    work_off(limited)
    held_up = [one for one in inbox(limited) if "wrong passwords" in one["subject"]]
    assert [one["to"] for one in held_up] == ["robin@example.com"]


def test_guesses_from_one_address_hold_up_whoever_is_new_there(strict: TestClient, limited: Settings) -> None:
    strict.post("/account/sign-in", data=LOGIN)
    for _ in range(50):
        backoff.failed(limited, "caller", "testclient")
    with_cookie = strict.post("/account/sign-in", data=LOGIN).status_code
    strict.cookies.clear()
    assert (with_cookie, strict.post("/account/sign-in", data=LOGIN).status_code) == (303, 429)


def test_the_mailed_link_opens_the_account_for_its_owners_browser(strict: TestClient, limited: Settings) -> None:
    guess(stranger(limited), 10)
    own = stranger(limited)
    assert own.post("/account/sign-in", data=LOGIN).status_code == 429
    work_off(limited)
    path = link(next(one for one in inbox(limited) if "wrong passwords" in one["subject"]))
    assert "robin@example.com" in own.get(path).text
    assert own.post("/account/unlock", data={"token": path.partition("token=")[2]}).status_code == 303
    guess(stranger(limited), 10)
    assert own.post("/account/sign-in", data=LOGIN).status_code == 303


def test_the_link_that_opens_an_account_does_so_once(strict: TestClient, limited: Settings) -> None:
    """Else whoever finds a used one in a mailbox guesses ten at a time for a whole day."""
    token, thief = credentials.link(limited, credentials.UNLOCK, "robin@example.com"), stranger(limited)
    assert thief.post("/account/unlock", data={"token": token}).status_code == 303
    thief.cookies.clear()
    guess(thief, 10)
    assert thief.post("/account/unlock", data={"token": token}).status_code == 410
    assert guess(thief, 1) == [429]


def test_an_unknown_address_is_held_up_alike_and_nobody_is_written_to(strict: TestClient, limited: Settings) -> None:
    assert guess(stranger(limited), 12, "nobody@example.com") == [422] * 10 + [429] * 2
    work_off(limited)
    assert {one["to"] for one in inbox(limited)} == {"robin@example.com"}
    with db.reading() as session:
        kinds = session.scalars(select(outbox.Letter.kind)).all()
    assert kinds.count("mail.account_locked") == 1


def test_a_program_is_held_up_alike(strict: TestClient, limited: Settings) -> None:
    said = [strict.post("/api/auth/login", json=WRONG) for _ in range(11)]
    assert [one.status_code for one in said] == [401] * 10 + [429]
    assert int(said[-1].headers["retry-after"]) > 0


def test_proofs_of_who_is_signed_in_are_counted_too(strict: TestClient) -> None:
    strict.post("/account/sign-in", data=LOGIN)
    wish = {"email": "new@example.com", "password": "a wrong guess"}
    statuses = [strict.post("/account/email", data=wish).status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]
    assert told() == ["locked_out"]


def test_waiting_lets_a_stolen_browser_guess_one_by_one_and_not_ten_at_a_time(
    strict: TestClient, limited: Settings
) -> None:
    strict.post("/account/sign-in", data=LOGIN)
    wish = {"email": "new@example.com", "password": "a wrong guess"}
    for _ in range(10):
        strict.post("/account/email", data=wish)
    let_waits_pass(limited)
    assert [strict.post("/account/email", data=wish).status_code for _ in range(2)] == [422, 429]
    let_waits_pass(limited)
    assert strict.post("/account/email", data={**wish, "password": people.PASSWORD}).status_code == 303
    assert strict.post("/account/email", data=wish).status_code == 422


def test_ten_wrong_codes_are_told_to_the_owner_once(strict: TestClient, limited: Settings) -> None:
    """Whoever guesses codes has the password."""
    thief = Person(strict)
    thief.password()
    thief.enrol()
    for _ in range(12):
        thief.leave()
        let_waits_pass(limited)
        thief.password()
        thief.second("000000")
    assert told() == ["factor_added", "locked_out"]


def told() -> list[str]:
    with db.reading() as session:
        found = select(outbox.Letter.payload).where(outbox.Letter.kind == "mail.account_notice")
        return [one["kind"] for one in session.scalars(found.order_by(outbox.Letter.id))]


# ── nothing tells who exists ──────────────────────────────────────────────────────────────────────────────


class Counting(PasswordHasher):
    """Counts the hashing, which is what takes the time."""

    def __init__(self) -> None:
        super().__init__(time_cost=2, memory_cost=19_456, parallelism=1)
        self.work: list[str] = []

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.work.append("hash")
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.work.append(f"verify {str(hash).split('$')[3]}")
        return super().verify(hash, password)


def attempts() -> dict[str, Callable[[TestClient, str], object]]:
    """Return everything that a stranger may ask about an address, and what of the answer could tell something."""
    person = {"firstName": "Robin", "lastName": "Wood", "password": people.PASSWORD, "confirmPassword": people.PASSWORD}
    return {
        "sign in": lambda client, email: client.post("/account/sign-in", data={**WRONG, "email": email}),
        "log in": lambda client, email: client.post("/api/auth/login", json={**WRONG, "email": email}),
        "register": lambda client, email: client.post("/account/register", data={**person, "email": email}),
        "register by API": lambda client, email: client.post("/api/auth/register", json={**person, "email": email}),
        "forgot": lambda client, email: client.post("/account/forgot-password", data={"email": email}),
        "forgot by API": lambda client, email: client.post("/api/auth/forgot-password", json={"email": email}),
        "again": lambda client, email: client.post("/account/check-mail", data={"email": email}),
        "again by API": lambda client, email: client.post("/api/auth/resend-verification", json={"email": email}),
    }


@pytest.mark.parametrize("way", attempts())
def test_a_known_and_an_unknown_address_get_the_same_answer_for_the_same_work(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    people.join(client)
    passwords.nobodys()
    ask, told = attempts()[way], []
    for email in ("robin@example.com", "nobody@example.com"):
        counting = Counting()
        monkeypatch.setattr(passwords, "hasher", counting)
        client.cookies.clear()
        with db.reading() as session:
            before = session.scalar(text("select coalesce(max(id), 0) from letters"))
        answer = ask(client, email)
        page = client.get(answer.headers["location"]).text if "location" in answer.headers else answer.text  # type: ignore[attr-defined]  # an answer of httpx
        with db.reading() as session:
            posted = select(outbox.Letter.kind).where(outbox.Letter.id > before)
            kinds = session.scalars(posted).all()
        told.append((answer.status_code, plain(page, email), counting.work, kinds))  # type: ignore[attr-defined]  # likewise
    assert told[0] == told[1]


def plain(page: str, email: str) -> str:
    """Return what a page says, without the address itself and what is new on every page."""
    without = page.replace(email, "").replace(ids.fingerprint(email), "")
    return re.sub(r'[0-9a-f]{8}-[0-9a-f-]{27}|<code>[^<]*</code>|"requestId":"[^"]*"', "", without)


def test_signing_in_with_an_unknown_address_takes_about_as_long(client: TestClient) -> None:
    """A generous ratio of medians, taken in turns, so that a busy machine slows both."""
    people.join(client)
    passwords.nobodys()
    times: dict[str, list[float]] = {"robin@example.com": [], "nobody@example.com": []}
    for _ in range(15):
        for email, taken in times.items():
            began = time.perf_counter()
            client.post("/api/auth/login", json={**WRONG, "email": email})
            taken.append(time.perf_counter() - began)
    known, unknown = (statistics.median(taken) for taken in times.values())
    assert 0.5 < known / unknown < 2


def test_a_wish_that_waits_cannot_be_told_from_an_account(client: TestClient, settings: Settings) -> None:
    """Registering and then signing in: with an account, or without, the same no – until the mailed link is used."""
    people.join(client)
    said = []
    for email in ("robin@example.com", "free@example.com"):
        person = {"email": email, "firstName": "Mallory", "lastName": "Thief"}
        secret = {"password": "a stolen blue morning", "confirmPassword": "a stolen blue morning"}
        client.post("/account/register", data={**person, **secret})
        answer = client.post("/account/sign-in", data={"email": email, "password": "a stolen blue morning"})
        said.append((answer.status_code, plain(answer.text, email)))
    assert said[0] == said[1]
    assert said[0][0] == 422
    assert credentials.LASTS[credentials.CONFIRM] == 3 * 86_400

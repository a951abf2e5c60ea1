"""Signing in at another place: with a real provider, honest and lying, and never into somebody else's account."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from portal.accounts import oidc
from portal.accounts import service as accounts
from portal.accounts.errors import ProviderAway, ProviderRefused
from portal.accounts.models import User
from portal.accounts.queries import person_by_email
from portal.app import create_app
from portal.factors.models import Identity
from portal.kit import clock, db, outbox
from portal.kit.settings import ROOT, Settings
from tests.accounts.provider import CLIENT, SECRET
from tests.factors.conftest import Person
from tests.people import PASSWORD, join

LEAVE = "/account/sign-in/provider"
EMAIL = "robin@example.com"


@dataclass
class Provider:
    """The provider's process, from outside."""

    issuer: str

    def behave(self, lie: str = "", *, new_key: bool = False, **user: Any) -> list[str]:
        """Begin anew with another user or lie; returns the addresses that browsers were sent to so far."""
        wish = {"lie": lie, "newKey": new_key, "user": {"auto": True, **user}}
        told = requests.post(f"{self.issuer}/behave", json=wish, timeout=5)
        return list(told.json()["seen"])


@pytest.fixture(scope="session")
def process() -> Iterator[Provider]:
    """One provider for all tests of this process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.accounts.provider", str(port)]
    running = subprocess.Popen(command, cwd=ROOT, env={**os.environ})
    issuer = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            requests.get(f"{issuer}/keys", timeout=1)
            break
        except requests.RequestException:
            time.sleep(0.1)
    yield Provider(issuer)
    running.terminate()
    running.wait(10)


@pytest.fixture
def provider(process: Provider) -> Provider:
    """The provider, honest, with Robin at it."""
    oidc.forget()
    process.behave()
    return process


@pytest.fixture
def open_house(settings: Settings, provider: Provider) -> Settings:
    """Settings of a portal where people may sign in at the provider."""
    return replace(
        settings,
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
        oidc_name="Example ID",
        oidc_timeout_seconds=2,
    )


@pytest.fixture
def browser(open_house: Settings) -> Iterator[TestClient]:
    """A browser at that portal."""
    with TestClient(create_app(open_house), follow_redirects=False) as client:
        yield client


def away_and_back(client: TestClient, after: str = "", wish: str = "") -> Any:
    """Go to the provider and come back; returns the portal's answer to the return."""
    return client.get(returned(client, after, wish))


def returned(client: TestClient, after: str = "", wish: str = "") -> str:
    """Go to the provider; returns the address that it sends the browser back to, not yet opened."""
    asked = {"next": after, "for": wish, "connecting": connecting(client)}
    left = client.get(LEAVE, params={name: text for name, text in asked.items() if text})
    assert left.status_code == 303, left.text
    url = left.headers["location"]
    sent = requests.get(url, allow_redirects=False, timeout=5)
    assert sent.is_redirect, sent.text
    return sent.headers["location"]


def connecting(client: TestClient) -> str:
    """The word of the button that connects another account, on the page of who is signed in."""
    found = re.search(r"provider\?connecting=([^\"]+)", client.get("/account/security/second-step").text)
    return found[1] if found else ""


def known(client: TestClient) -> bool:
    return client.get("/account").status_code == 200


def count(table: Any) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def said(client: TestClient) -> str:
    """What the next page tells."""
    return re.sub(r"\s+", " ", client.get("/account/sign-in").text)


# ── honest ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_verified_address_makes_an_account_and_signs_in(browser: TestClient) -> None:
    answer = away_and_back(browser, "/account/trips")
    assert answer.headers["location"] == "/account/trips"
    assert known(browser)
    with db.reading() as session:
        person = person_by_email(session, EMAIL)
        link = session.execute(select(Identity.subject, Identity.email, Identity.user_id)).one()
    assert person is not None
    assert (person.given_name, person.email_verified_at is not None) == ("Robin", True)
    assert tuple(link) == ("robin-1", EMAIL, person.id)
    browser.post("/account/sign-out")
    assert away_and_back(browser).headers["location"] == "/"
    assert (count(User), count(Identity)) == (1, 1)


def test_the_button_stands_on_the_page_where_there_is_a_provider(browser: TestClient, settings: Settings) -> None:
    assert "Continue with Example ID" in browser.get("/account/sign-in").text
    with TestClient(create_app(settings), follow_redirects=False) as plain:
        assert "/account/sign-in/provider" not in plain.get("/account/sign-in").text
        assert plain.get(LEAVE).status_code == 404
        assert plain.get(f"{LEAVE}/back?code=x&state=y").status_code == 404


def test_what_is_asked_for_carries_state_nonce_and_challenge_anew_each_time(
    browser: TestClient, provider: Provider
) -> None:
    asked = [parse_qs(urlsplit(browser.get(LEAVE).headers["location"]).query) for _ in range(2)]
    for one in asked:
        assert one["code_challenge_method"] == ["S256"]
        assert one["scope"] == ["openid email profile"]
        assert one["redirect_uri"] == [f"http://testserver{LEAVE}/back"]
        assert SECRET not in str(one)
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
        assert len(asked[0][name][0]) >= 43


def test_the_provider_checks_the_challenge(browser: TestClient, open_house: Settings) -> None:
    """Without the verifier that only this browser's cookie holds, a stolen code is worth nothing."""
    url = returned(browser)
    stolen = dict(parse_qs(urlsplit(url).query))
    ticket = oidc.Ticket(stolen["state"][0], "nonce", "another verifier " * 4)
    answer = {name: values[0] for name, values in stolen.items()}
    with pytest.raises(ProviderRefused):
        oidc.finish(open_house, f"http://testserver{LEAVE}/back", answer, ticket, clock.now())


def test_an_address_told_by_the_user_endpoint_counts_too(browser: TestClient, provider: Provider) -> None:
    provider.behave("told elsewhere")
    assert away_and_back(browser).headers["location"] == "/"
    assert known(browser)


def test_a_new_key_of_the_provider_is_fetched(browser: TestClient, provider: Provider) -> None:
    away_and_back(browser)
    browser.post("/account/sign-out")
    provider.behave(new_key=True)
    kept = oidc._known[provider.issuer]
    kept.at -= oidc.ASKED_AGAIN_SECONDS + 1
    assert away_and_back(browser).headers["location"] == "/"
    assert known(browser)


def test_names_of_any_kind_do_no_harm(browser: TestClient, provider: Provider) -> None:
    provider.behave(given_name="<script>\x00\u202e" + "x" * 300, family_name="1234")
    assert away_and_back(browser).headers["location"] == "/"
    page = browser.get("/account").text
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


def test_a_second_factor_is_asked_for_all_the_same(browser: TestClient) -> None:
    away_and_back(browser)
    robin = Person(browser)
    robin.enrol()
    robin.leave()
    assert away_and_back(browser, "/account/trips").headers["location"] == "/account/sign-in/second"
    assert not known(browser)
    assert robin.second(robin.code()) == "/account/trips"


# ── whose account ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_account_that_is_there_is_connected_only_by_its_own_password(browser: TestClient) -> None:
    join(browser)
    assert away_and_back(browser, "/account/trips").headers["location"] == "/account/sign-in?next=%2Faccount%2Ftrips"
    assert "Sign in once as always, and Example ID is connected." in said(browser)
    assert not known(browser)
    assert count(Identity) == 0
    robin = Person(browser)
    assert robin.password("a wrong guess") is None
    assert count(Identity) == 0
    assert robin.password() == "/"
    assert count(Identity) == 1
    with db.reading() as session:
        letters = session.scalars(select(outbox.Letter.payload).filter_by(kind="mail.account_notice")).all()
    assert "identity_linked" in [one["kind"] for one in letters]
    robin.leave()
    assert away_and_back(browser).headers["location"] == "/"
    assert known(browser)


def test_somebody_elses_password_connects_nothing(browser: TestClient) -> None:
    join(browser)
    with db.writing() as session:
        accounts.ensure_demo_users(session)
    away_and_back(browser)
    assert Person(browser, "traveller@example.com").password(accounts.DEMO_PASSWORD) == "/"
    assert count(Identity) == 0


def test_the_case_of_an_address_makes_no_second_account(browser: TestClient, provider: Provider) -> None:
    join(browser)
    provider.behave(email="ROBIN@Example.com")
    assert away_and_back(browser).headers["location"] == "/account/sign-in"
    assert count(User) == 1


@pytest.mark.parametrize("claim", [False, None, "true", "false", 1, "yes"])
@pytest.mark.parametrize("there", [True, False])
def test_an_address_that_nobody_verified_leads_nowhere(
    browser: TestClient, provider: Provider, claim: Any, there: bool
) -> None:
    if there:
        join(browser)
    provider.behave(email_verified=claim)
    assert away_and_back(browser).headers["location"] == "/account/sign-in"
    assert "no address that was confirmed there" in said(browser)
    assert not known(browser)
    assert (count(User), count(Identity)) == (int(there), 0)
    Person(browser).password()
    assert count(Identity) == 0


@pytest.mark.parametrize("email", ["", None, "no address", "a@b\r\nBcc: c@d.example", ["robin@example.com"]])
def test_what_is_no_address_leads_nowhere(browser: TestClient, provider: Provider, email: Any) -> None:
    provider.behave(email=email)
    assert away_and_back(browser).headers["location"] == "/account/sign-in"
    assert (count(User), count(Identity)) == (0, 0)


def test_who_comes_back_is_known_by_subject_and_not_by_address(browser: TestClient, provider: Provider) -> None:
    """The address moves to another person there: they get their own account here, and not Robin's."""
    away_and_back(browser)
    browser.post("/account/sign-out")
    provider.behave(sub="lee-2")
    assert away_and_back(browser).headers["location"] == "/account/sign-in"
    assert not known(browser)
    provider.behave(email="robin.new@example.com", email_verified=False)
    assert away_and_back(browser).headers["location"] == "/"
    assert count(User) == 1


def test_a_closed_account_stays_closed(browser: TestClient) -> None:
    away_and_back(browser)
    browser.post("/account/sign-out")
    with db.writing() as session:
        session.execute(update(User).values(closed_at=clock.now()))
    assert away_and_back(browser).headers["location"] == "/account/sign-in"
    assert not known(browser)


def test_an_account_elsewhere_is_connected_and_disconnected_on_the_page(
    browser: TestClient, provider: Provider
) -> None:
    join(browser)
    robin = Person(browser)
    robin.password()
    provider.behave(email="robin@elsewhere.example")
    assert away_and_back(browser).headers["location"] == "/account/security/second-step"
    page = browser.get("/account/security/second-step").text
    assert "robin@elsewhere.example" in page
    assert "Example ID is connected." in page
    one = re.findall(r"/account/security/identities/([0-9a-f-]{36})/remove", page)[0]
    robin.leave()
    assert away_and_back(browser).headers["location"] == "/"
    browser.post(f"/account/security/identities/{one}/remove")
    assert count(Identity) == 0


def test_connecting_asks_for_proof_and_takes_nobody_elses(browser: TestClient, provider: Provider) -> None:
    away_and_back(browser)
    browser.post("/account/sign-out")
    join(browser, "lee@example.com")
    lee = Person(browser, "lee@example.com")
    lee.password()
    away_and_back(browser)
    assert "signs in to another account here" in browser.get("/account/security/second-step").text
    assert count(Identity) == 1
    with clock.shifted(timedelta(minutes=11)):
        assert browser.get(LEAVE).headers["location"].startswith("/account/confirm")


def test_another_sites_link_connects_nothing(browser: TestClient, provider: Provider) -> None:
    """Its author would have signed the victim's browser in at the provider as themselves, and then in here."""
    join(browser)
    Person(browser).password()
    theirs = connecting(browser)
    for query in ("", "?connecting=x", "?next=/account/security/second-step"):
        assert browser.get(f"{LEAVE}{query}").headers["location"] == "/account/security/second-step"
    assert "connect your account from this page" in browser.get("/account/security/second-step").text
    browser.post("/account/sign-out")
    join(browser, "lee@example.com")
    Person(browser, "lee@example.com").password()
    assert browser.get(f"{LEAVE}?connecting={theirs}").headers["location"] == "/account/security/second-step"
    mine = connecting(browser)
    assert urlsplit(browser.get(f"{LEAVE}?connecting={mine}").headers["location"]).path == "/authorize"
    with clock.shifted(timedelta(minutes=61)):
        Person(browser, "lee@example.com").password()
        assert browser.get(f"{LEAVE}?connecting={mine}").headers["location"] == "/account/security/second-step"
    assert count(Identity) == 0


def test_it_is_proof_when_it_was_shown_there_just_now(browser: TestClient, provider: Provider) -> None:
    away_and_back(browser)
    with db.writing() as session:
        from portal.accounts.models import SignIn

        session.execute(update(SignIn).values(proved_at=clock.now() - timedelta(minutes=11)))
    form = "/account/security/authenticator"
    assert browser.get(form).headers["location"].startswith("/account/confirm")
    assert "Show it at Example ID" in browser.get(f"/account/confirm?next={form}").text
    provider.behave("shown an hour ago")
    assert away_and_back(browser, form, "confirm").headers["location"].startswith("/account/confirm")
    assert browser.get(form).status_code == 303
    provider.behave(sub="lee-2")
    assert away_and_back(browser, form, "confirm").headers["location"].startswith("/account/confirm")
    assert browser.get(form).status_code == 303
    seen = provider.behave()
    assert "prompt=login" in seen[-1]
    assert away_and_back(browser, form, "confirm").headers["location"] == form
    assert browser.get(form).status_code == 200


# ── lies ──────────────────────────────────────────────────────────────────────────────────────────────────

LIES = [
    "wrong nonce",
    "no nonce",
    "wrong audience",
    "two audiences",
    "other issuer",
    "expired",
    "from the future",
    "wrong access token",
    "no subject",
    "a list for a subject",
    "alg none",
    "signed by another",
    "signed with our secret",
    "signed with its public key",
    "no token at all",
    "answers as another",
    "denied",
    "redirects",
    "breaks off",
]


@pytest.mark.parametrize("lie", LIES)
def test_a_provider_that_lies_signs_nobody_in(browser: TestClient, provider: Provider, lie: str) -> None:
    provider.behave(lie)
    answer = away_and_back(browser, "/account/trips")
    assert answer.headers["location"] == "/account/sign-in?next=%2Faccount%2Ftrips"
    told = {"denied": "You did not sign in at Example ID.", "breaks off": "Example ID does not answer"}
    assert told.get(lie, "Signing in at Example ID did not work. Nothing has changed") in said(browser)
    assert not known(browser)
    assert (count(User), count(Identity)) == (0, 0)
    provider.behave()  # honest again: nothing but the lie was in the way
    assert away_and_back(browser, "/account/trips").headers["location"] == "/account/trips"


@pytest.mark.parametrize("lie", ["away", "drips", "huge", "says to be another", "points inside"])
def test_a_provider_that_is_no_use_is_said_so_in_time(browser: TestClient, provider: Provider, lie: str) -> None:
    url = returned(browser)
    oidc.forget()
    provider.behave(lie)
    began = time.monotonic()
    for answer in (browser.get(LEAVE), browser.get(url)):
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(("/account/sign-in", provider.issuer))
        assert lie == "points inside" or answer.headers["location"] == "/account/sign-in"
    assert time.monotonic() - began < 12
    assert not known(browser)
    oidc.forget()
    provider.behave()
    assert away_and_back(browser).headers["location"] == "/"


def test_nobody_at_home_is_said_so(open_house: Settings) -> None:
    nobody = replace(open_house, oidc_issuer="http://127.0.0.1:9")
    with TestClient(create_app(nobody), follow_redirects=False) as client:
        assert client.get(LEAVE).headers["location"] == "/account/sign-in"
        assert "does not answer at this moment" in said(client)
    with pytest.raises(ProviderAway):
        oidc.begin(nobody, "http://testserver/back")


# ── the return ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_return_counts_once(browser: TestClient, provider: Provider) -> None:
    url = returned(browser)
    ticket = browser.cookies["provider"]
    assert browser.get(url).headers["location"] == "/"
    browser.post("/account/sign-out")
    assert browser.get(url).headers["location"] == "/account/sign-in"
    browser.cookies.set("provider", ticket)
    assert browser.get(url).headers["location"] == "/account/sign-in"
    assert not known(browser)


def test_a_code_counts_once_at_the_provider(browser: TestClient) -> None:
    first, second = returned(browser), ""
    code = parse_qs(urlsplit(first).query)["code"][0]
    assert browser.get(first).headers["location"] == "/"
    browser.post("/account/sign-out")
    second = re.sub(r"code=[^&]+", f"code={code}", returned(browser))
    assert browser.get(second).headers["location"] == "/account/sign-in"
    assert not known(browser)


def test_a_return_is_for_the_browser_that_left(browser: TestClient, open_house: Settings) -> None:
    """An attacker's own return, planted in a victim's browser, does not sign the victim in as the attacker."""
    url = returned(browser)
    with TestClient(create_app(open_house), follow_redirects=False) as victim:
        assert victim.get(url).headers["location"] == "/account/sign-in"
        assert not known(victim)
        returned(victim)
        assert victim.get(url).headers["location"] == "/account/sign-in"
        assert not known(victim)


def test_a_forged_return_is_refused(browser: TestClient) -> None:
    url = returned(browser)
    for forged in (
        f"{LEAVE}/back",
        f"{LEAVE}/back?state=",
        re.sub(r"state=[^&]+", "state=x", url),
        re.sub(r"code=[^&]+", "code=", url),
        re.sub(r"code=[^&]+&?", "", url),
        re.sub(r"&iss=[^&]+", "", url),
    ):
        assert browser.get(forged).headers["location"] == "/account/sign-in", forged
        assert not known(browser)


def test_a_return_lapses(browser: TestClient) -> None:
    url = returned(browser)
    browser.cookies.clear()
    assert browser.get(url).headers["location"] == "/account/sign-in"


def test_the_way_on_is_one_of_ours(browser: TestClient) -> None:
    for elsewhere in ("https://evil.example", "//evil.example", "/\\evil.example"):
        assert away_and_back(browser, elsewhere).headers["location"] == "/"
        browser.post("/account/sign-out")


def test_a_password_can_still_be_chosen_later(browser: TestClient) -> None:
    away_and_back(browser)
    browser.post("/account/sign-out")
    assert Person(browser).password(PASSWORD) is None
    assert browser.post("/account/forgot-password", data={"email": EMAIL}).status_code == 303

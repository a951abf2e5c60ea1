"""The second step of signing in: asked for, once, of whom it belongs to, and nobody is in before it is done."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.accounts.models import SignIn
from portal.app import create_app
from portal.factors import service
from portal.factors.models import Authenticator, HalfSignIn, RecoveryCode, RememberedBrowser
from portal.kit import clock, db, outbox, signing
from portal.kit.settings import Settings
from tests.booking import makers
from tests.factors.conftest import HERE, Person
from tests.people import PASSWORD, join

SECOND = "/account/sign-in/second"


def told(kind: str) -> list[dict[str, Any]]:
    """Return the facts of the notices of that kind."""
    with db.reading() as session:
        found = select(outbox.Letter.payload).where(outbox.Letter.kind == "mail.account_notice")
        return [one["facts"] for one in session.scalars(found.order_by(outbox.Letter.id)) if one["kind"] == kind]


def test_an_app_is_asked_for_after_the_password(robin: Person) -> None:
    robin.enrol()
    assert len(robin.codes) == 10
    robin.leave()
    assert robin.password(after="/account/trips") == SECOND
    assert not robin.known()
    assert robin.client.get(SECOND).status_code == 200
    assert robin.second(robin.code()) == "/account/trips"
    assert robin.known()
    assert [one["name"] for one in told("factor_added")] == ["My phone"]


def test_a_wrong_first_code_connects_nothing(robin: Person) -> None:
    page = robin.client.get("/account/security/authenticator")
    offer = re.findall(r'name="offer" value="([^"]+)"', page.text)[0]
    form = {"offer": offer, "code": "000000", "name": "My phone"}
    wrong = robin.client.post("/account/security/authenticator", data=form)
    assert wrong.status_code == 422
    assert offer in wrong.text
    assert "not the code that belongs to this picture" in wrong.text
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Authenticator)) == 0


def test_an_offer_is_for_one_account_and_a_quarter_of_an_hour(robin: Person, settings: Settings) -> None:
    with db.writing() as session:
        accounts.ensure_demo_users(session)
    other = Person(robin.client, "traveller@example.com").id
    _secret, sealed = service.offer(settings, other)
    form = {"offer": sealed, "code": "000000", "name": "x"}
    assert robin.client.post("/account/security/authenticator", data=form).status_code == 303
    _secret, mine = service.offer(settings, robin.id)
    with pytest.raises(service.OfferLapsed):
        service.offered(settings, robin.id, mine[:-3])
    with pytest.raises(service.OfferLapsed):
        service.offered(settings, robin.id, signing.seal(settings, service.OFFER, "not hex"))


def test_the_secret_is_kept_encrypted_for_its_owner(robin: Person, settings: Settings) -> None:
    robin.enrol()
    import base64

    clear = base64.b32decode(robin.secret)
    with db.reading() as session:
        locked = session.scalar(select(Authenticator.secret))
        codes = session.scalars(select(RecoveryCode.fingerprint)).all()
    assert clear not in locked
    assert signing.unlock(settings, service.SECRET, robin.id, locked) == clear
    other = replace(settings, secret_key="another key that is long enough to be one")
    for wrong in ((settings, "x", robin.id), (settings, service.SECRET, "nobody"), (other, service.SECRET, robin.id)):
        with pytest.raises(signing.Tampered):
            signing.unlock(*wrong, locked)
    assert all(code.replace(" ", "") not in codes for code in robin.codes)


def test_after_another_secret_key_only_recovery_codes_help(robin: Person, settings: Settings) -> None:
    robin.enrol()
    other = replace(settings, secret_key="another key that is long enough to be one")
    with TestClient(create_app(other), follow_redirects=False) as client:
        someone = Person(client, secret=robin.secret)
        assert someone.password() == SECOND
        assert someone.second(robin.code()) is None
        assert someone.second(robin.codes[0]) == "/"


@pytest.mark.parametrize("steps", [-2, 2, 40])
def test_a_code_of_another_time_is_refused(robin: Person, steps: int) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    assert robin.second(robin.code(steps)) is None
    assert robin.second(robin.code()) == "/"


def test_the_clock_of_a_phone_may_be_half_a_minute_off(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    assert robin.second(robin.code(1)) == "/"


def test_a_code_works_once_and_none_before_it_any_more(robin: Person) -> None:
    robin.enrol()
    for leads_to, steps in (("/", 1), (None, 1), (None, 0), (None, -1)):
        robin.leave()
        assert robin.password() == SECOND
        assert robin.second(robin.code(steps)) == leads_to
    with clock.shifted(timedelta(seconds=60)):
        robin.password()
        assert robin.second(robin.code()) == "/"


def test_the_code_that_connected_the_app_is_used_up(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    assert robin.second(robin.code(-1)) is None


def test_a_recovery_code_works_once_however_it_is_typed(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    assert robin.second(robin.codes[3].lower().replace(" ", "-")) == "/"
    assert [one["left"] for one in told("recovery_used")] == [9]
    assert "9 of 10 are unused" in robin.client.get(HERE).text
    robin.leave()
    robin.password()
    assert robin.second(robin.codes[3]) is None


def test_recovery_codes_are_of_one_account(robin: Person, browser_of: Any) -> None:
    robin.enrol()
    other = Person(browser_of(), "lee@example.com")
    join(other.client, other.email)
    other.password()
    other.enrol()
    other.leave()
    other.password()
    assert other.second(robin.codes[0]) is None
    assert other.second(robin.code()) is None
    assert other.second(other.codes[0]) == "/"


def test_new_recovery_codes_end_the_old_ones(robin: Person) -> None:
    robin.enrol()
    page = robin.client.post("/account/security/codes")
    assert page.headers["cache-control"] == "no-store"
    fresh = re.findall(r"<li><code>([^<]+)</code>", page.text)
    assert len({*fresh, *robin.codes}) == 20
    robin.leave()
    robin.password()
    assert robin.second(robin.codes[0]) is None
    assert robin.second(fresh[0]) == "/"


def test_the_file_of_codes_holds_only_ones_own_unused_codes(robin: Person) -> None:
    robin.enrol()
    wanted = {"code": [robin.codes[0], "AAAA BBBB CCCC DDDD", "<script>", robin.codes[1]]}
    answer = robin.client.post("/account/security/codes/file", data=wanted)
    assert answer.headers["content-disposition"].startswith("attachment")
    lines = answer.text.split("\r\n")
    assert lines[3:] == [robin.codes[0], robin.codes[1], ""]
    assert robin.email in lines[0]


def test_five_wrong_codes_and_it_begins_with_the_password_again(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    assert [robin.second("000000") for _ in range(5)] == [None] * 5
    assert robin.second(robin.code()) == "/account/sign-in"
    assert not robin.known()
    robin.password()
    assert robin.second(robin.code()) == "/"


def test_half_way_lapses_after_five_minutes(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    with db.writing() as session:
        session.execute(update(HalfSignIn).values(expires_at=func.now()))
    assert robin.client.get(SECOND).headers["location"] == "/account/sign-in"
    assert robin.second(robin.code()) == "/account/sign-in"


def test_a_half_way_cookie_opens_nothing_and_works_once(robin: Person, settings: Settings) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    half = robin.client.cookies["half-way"]
    word, _after = signing.unseal(settings, "half-way", half)
    for forged in (half, signing.seal(settings, "sign-in", word)):
        robin.client.cookies.set("sign-in", forged)
        assert not robin.known()
        del robin.client.cookies["sign-in"]
    assert robin.second(robin.code()) == "/"
    robin.leave()
    robin.client.cookies.set("half-way", half)
    assert robin.second(robin.codes[0]) == "/account/sign-in"
    assert not robin.known()


def test_without_a_password_there_is_no_second_step(client: TestClient) -> None:
    for method in ("get", "post"):
        answer = getattr(client, method)(SECOND)
        assert (answer.status_code, answer.headers["location"]) == (303, "/account/sign-in")


def test_each_step_gives_a_new_word_and_the_planted_one_is_worthless(robin: Person) -> None:
    robin.enrol()
    planted = robin.client.cookies["sign-in"]
    robin.password()
    assert robin.client.cookies["sign-in"] == planted  # not signed in anew yet
    robin.second(robin.code())
    assert robin.client.cookies["sign-in"] != planted
    robin.client.cookies.set("sign-in", planted, domain="testserver.local")
    robin.client.cookies.delete("sign-in")
    robin.client.cookies.set("sign-in", planted)
    assert not robin.known()


def test_signing_in_never_leads_back_to_a_step_of_signing_in(robin: Person) -> None:
    robin.leave()
    assert robin.password(after="/account/sign-in/second") == "/"


def test_guesses_are_counted_for_the_account_wherever_they_come_from(robin: Person, limited: Settings) -> None:
    robin.enrol()
    with TestClient(create_app(limited), follow_redirects=False) as client:
        someone = Person(client, secret=robin.secret)
        for _round in range(2):
            assert someone.password() == SECOND
            assert [someone.second("000000") for _ in range(5)] == [None] * 5
        assert someone.password() == SECOND
        refused = client.post(SECOND, data={"code": robin.code()})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0


def test_without_redis_nobody_passes_the_second_step(robin: Person, limited: Settings) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    away = replace(limited, redis_url="redis://127.0.0.1:1/0")
    with TestClient(create_app(away), follow_redirects=False) as client:
        client.cookies.set("half-way", robin.client.cookies["half-way"])
        assert client.post(SECOND, data={"code": robin.code()}).status_code == 503
        assert not Person(client).known()


# ── remembered browsers ───────────────────────────────────────────────────────────────────────────────────


def test_a_browser_is_remembered_until_it_is_forgotten(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    assert robin.second(robin.code(), remember="1") == "/"
    robin.leave()
    assert robin.password() == "/"
    page = robin.client.get(HERE).text
    one = re.findall(r"/account/security/browsers/([0-9a-f-]{36})", page)[0]
    assert robin.client.post(f"/account/security/browsers/{one}").status_code == 303
    robin.leave()
    assert robin.password() == SECOND


def test_remembering_is_of_one_account_and_lapses(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    robin.second(robin.code(), remember="1")
    robin.leave()
    join(robin.client, "lee@example.com")
    lee = Person(robin.client, "lee@example.com")
    lee.password()
    lee.enrol()
    lee.leave()
    assert lee.password() == SECOND
    with db.writing() as session:
        session.execute(update(RememberedBrowser).values(expires_at=func.now()))
    assert robin.password() == SECOND


def test_nobody_forgets_the_browser_of_another(robin: Person) -> None:
    with db.writing() as session:
        accounts.ensure_demo_users(session)
    other = Person(robin.client, "traveller@example.com").id
    with db.writing() as session:
        service.remember(session, other, agent="x")
        one = session.scalar(select(RememberedBrowser.id))
    assert robin.client.post(f"/account/security/browsers/{one}").status_code == 404
    assert robin.client.post("/account/security/browsers/nonsense").status_code == 404
    robin.client.post("/account/security/browsers")
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(RememberedBrowser)) == 1


# ── changing it ───────────────────────────────────────────────────────────────────────────────────────────


def test_removing_the_last_factor_takes_codes_and_browsers_with_it_and_is_told(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    robin.second(robin.code(), remember="1")
    assert robin.client.post("/account/security/authenticator/remove").status_code == 303
    assert [(one["name"], one["last"]) for one in told("factor_removed")] == [("My phone", True)]
    with db.reading() as session:
        for table in (Authenticator, RecoveryCode, RememberedBrowser):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    robin.leave()
    assert robin.password() == "/"
    assert robin.client.post("/account/security/authenticator/remove").status_code == 404


def test_an_app_can_be_renamed_and_moved_to_another_phone(robin: Person) -> None:
    robin.enrol()
    before = robin.secret
    assert robin.client.post("/account/security/authenticator/name", data={"name": "Old phone"}).status_code == 303
    assert "Old phone" in robin.client.get(HERE).text
    assert robin.client.post("/account/security/authenticator/name", data={"name": ""}).status_code == 422
    robin.enrol()
    assert robin.secret != before
    robin.leave()
    robin.password()
    assert Person(robin.client, secret=before).second(Person(robin.client, secret=before).code()) is None
    assert robin.second(robin.code()) == "/"


UNSAFE = [
    "/account/security/authenticator",
    "/account/security/authenticator/name",
    "/account/security/authenticator/remove",
    "/account/security/passkeys",
    "/account/security/passkeys/00000000-0000-0000-0000-000000000000/name",
    "/account/security/passkeys/00000000-0000-0000-0000-000000000000/remove",
    "/account/security/codes",
    "/account/security/codes/file",
    "/account/security/identities/00000000-0000-0000-0000-000000000000/remove",
]


@pytest.mark.parametrize("path", UNSAFE)
def test_whoever_finds_an_open_browser_is_asked_who_they_are(robin: Person, path: str) -> None:
    robin.enrol()
    with clock.shifted(timedelta(minutes=11)):
        answer = robin.client.post(path, headers={"referer": f"http://testserver{HERE}?x=1"})
        assert answer.headers["location"] == "/account/confirm?next=%2Faccount%2Fsecurity%2Fsecond-step%3Fx%3D1"
        assert robin.client.post(path).headers["location"] == "/account/confirm?next=%2Faccount"
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Authenticator)) == 1


def test_a_password_or_a_code_is_proof_for_ten_minutes(robin: Person) -> None:
    robin.enrol()
    form = "/account/security/authenticator"
    with clock.shifted(timedelta(minutes=11)):
        assert robin.client.get(form).headers["location"] == f"/account/confirm?next={form.replace('/', '%2F')}"
        page = robin.client.get(f"/account/confirm?next={form}")
        assert f'name="next" value="{form}"' in page.text
        for wrong in ({"password": "a wrong guess"}, {"code": "000000"}, {"password": ""}, {}):
            answer = robin.client.post("/account/confirm", data={**wrong, "next": form})
            assert answer.status_code == 422
            assert robin.client.get(form).status_code == 303
        answer = robin.client.post("/account/confirm", data={"password": PASSWORD, "next": form})
        assert answer.headers["location"] == form
        assert robin.client.get(form).status_code == 200
    with clock.shifted(timedelta(minutes=22)):
        assert robin.client.get(form).status_code == 303
        answer = robin.client.post("/account/confirm", data={"code": robin.code(), "next": "https://evil.example"})
        assert answer.headers["location"] == "/account"
        assert robin.client.get(form).status_code == 200


def test_proof_is_of_one_browser_only(robin: Person, browser_of: Any) -> None:
    other = Person(browser_of())
    other.password()
    with clock.shifted(timedelta(minutes=11)):
        robin.client.post("/account/confirm", data={"password": PASSWORD})
        assert robin.client.get("/account/security/authenticator").status_code == 200
        assert other.client.get("/account/security/authenticator").status_code == 303


# ── staff ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def strict(settings: Settings) -> Settings:
    """Settings of a house whose staff need a second factor."""
    with db.writing() as session:
        accounts.ensure_demo_users(session)
    return replace(settings, staff_second_factor=True)


def test_staff_are_travellers_until_they_have_shown_a_second_factor(strict: Settings) -> None:
    with TestClient(create_app(strict), follow_redirects=False) as client:
        sam = Person(client, "staff@example.com")
        assert sam.password(accounts.DEMO_PASSWORD) == "/account/security/authenticator"
        assert client.get("/admin").status_code == 403
        sam.enrol()
        assert client.get("/admin").status_code == 200
        sam.leave()
        sam.password(accounts.DEMO_PASSWORD)
        page = client.get(SECOND)
        assert 'name="remember"' not in page.text
        assert sam.second(sam.code(), remember="1") == "/admin"
        assert client.get("/admin").status_code == 200
        sam.leave()
        assert sam.password(accounts.DEMO_PASSWORD) == SECOND


def test_a_sign_in_without_a_factor_stays_outside_when_another_browser_sets_one_up(strict: Settings) -> None:
    app = create_app(strict)
    with TestClient(app, follow_redirects=False) as thief, TestClient(app, follow_redirects=False) as client:
        Person(thief, "admin@example.com").password(accounts.DEMO_PASSWORD)
        ada = Person(client, "admin@example.com")
        ada.password(accounts.DEMO_PASSWORD)
        ada.enrol()
        assert client.get("/admin").status_code == 200
        assert thief.get("/admin").status_code == 403


def test_programs_of_staff_need_the_second_factor_too(strict: Settings) -> None:
    login = {"email": "staff@example.com", "password": accounts.DEMO_PASSWORD}
    with TestClient(create_app(strict), follow_redirects=False) as client:
        refused = client.post("/api/auth/login", json=login)
        assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_missing")
        traveller = {**login, "email": "traveller@example.com"}
        assert client.post("/api/auth/login", json=traveller).status_code == 200


def test_a_key_made_without_the_second_factor_opens_nobody_elses_booking(strict: Settings) -> None:
    reference = makers.held(strict, makers.offer(strict, makers.flight())).reference

    def asked(client: TestClient, *scopes: str) -> int:
        form = {"name": "x", "scopes": list(scopes), "days": "30"}
        made = client.post("/account/api-keys/new", data=form)
        if made.status_code != 200:
            return made.status_code
        word = re.findall(r"ak_[\w-]+", made.text)[0]
        headers = {"authorization": f"Bearer {word}"}
        return client.get(f"/api/bookings/{reference}", headers=headers).status_code

    with TestClient(create_app(strict), follow_redirects=False) as client:
        sam = Person(client, "staff@example.com")
        sam.password(accounts.DEMO_PASSWORD)
        assert asked(client, "bookings:read") == 404
        assert asked(client, "bookings:read", "flights:read") == 422
        sam.enrol()
        assert asked(client, "bookings:read", "flights:read") == 200


def test_staff_need_none_where_it_is_not_asked(settings: Settings, client: TestClient) -> None:
    with db.writing() as session:
        accounts.ensure_demo_users(session)
    assert Person(client, "staff@example.com").password(accounts.DEMO_PASSWORD) == "/admin"
    assert client.get("/admin").status_code == 200


# ── programs ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_program_sends_the_code_along(robin: Person) -> None:
    robin.enrol()
    login = {"email": robin.email, "password": PASSWORD}
    answers = [
        robin.client.post("/api/auth/login", json={**login, **more})
        for more in ({}, {"code": "000000"}, {"code": robin.code()}, {"code": robin.code()}, {"code": robin.codes[0]})
    ]
    assert [one.status_code for one in answers] == [401, 401, 200, 401, 200]
    assert [one.json().get("code") for one in answers] == [
        "second_factor_required",
        "second_factor_refused",
        None,
        "second_factor_refused",
        None,
    ]
    wrong = robin.client.post("/api/auth/login", json={**login, "password": "a wrong guess", "code": robin.codes[1]})
    assert wrong.json()["code"] == "wrong_credentials"
    assert robin.client.post("/api/auth/login", json={**login, "code": robin.codes[1]}).status_code == 200


def test_what_has_lapsed_is_swept(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    with db.writing() as session:
        session.execute(update(HalfSignIn).values(expires_at=func.now()))
        assert service.sweep(session, clock.now() + timedelta(seconds=1)) == 1
        assert session.scalar(select(func.count()).select_from(SignIn)) == 0


def test_the_operator_can_take_lost_factors_off(robin: Person) -> None:
    robin.enrol()
    robin.add_passkey()
    with db.writing() as session:
        assert service.reset(session, robin.id, actor_id=None) == 2
        assert service.reset(session, robin.id, actor_id=None) == 0
    robin.leave()
    assert robin.password() == "/"

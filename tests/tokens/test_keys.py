"""Personal API keys: made with fresh proof, shown once, good for their scopes, from their networks, until their end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from portal import access
from portal.accounts import service as accounts
from portal.accounts.forms import Registration
from portal.app import ROUTES
from portal.kit import audit, clock, db, ids, outbox
from portal.kit.openapi import scope_of
from portal.kit.settings import Settings
from portal.tokens import rules
from portal.tokens.models import ApiKey
from tests.accounts.test_letters import inbox, text, work_off

PASSWORD = "a quiet blue morning"
WISH = {"name": "Nightly export", "scopes": ["profile:read"]}
API = sorted((method, path) for method, path in access.RULES if path.startswith("/api/"))


def account(who: str, role: str = "customer") -> None:
    names = {"email": f"{who}@example.com", "firstName": who.title(), "lastName": "Wood"}
    with db.writing() as session:
        wish = Registration.model_validate({**names, "password": PASSWORD, "confirmPassword": PASSWORD})
        accounts.create_user(session, wish, role=role)


def logged_in(client: TestClient, who: str) -> dict[str, str]:
    answer = client.post("/api/auth/login", json={"email": f"{who}@example.com", "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['accessToken']}"}


@pytest.fixture
def robin(client: TestClient) -> dict[str, str]:
    """The headers of a customer's program that just logged in."""
    account("robin")
    return logged_in(client, "robin")


def made(client: TestClient, headers: dict[str, str], **wish: Any) -> dict[str, Any]:
    answer = client.post("/api/me/keys", json={**WISH, **wish}, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def bearing(key: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


def test_a_key_is_shown_once_and_kept_as_a_hash(client: TestClient, robin: dict[str, str]) -> None:
    key = made(client, robin)
    assert key["key"].startswith(key["prefix"] + "_")
    listed = client.get("/api/me/keys", headers=robin)
    assert key["key"] not in listed.text
    assert [one["prefix"] for one in listed.json()["data"]] == [key["prefix"]]
    with db.reading() as session:
        row = session.scalars(select(ApiKey)).one()
        assert row.fingerprint == ids.fingerprint(key["key"])
        assert key["key"] not in [getattr(row, name.key) for name in ApiKey.__table__.columns]


def test_a_key_may_do_what_its_scopes_say_and_nothing_else(client: TestClient, robin: dict[str, str]) -> None:
    headers = bearing(made(client, robin))
    assert client.get("/api/me", headers=headers).json()["email"] == "robin@example.com"
    assert client.get("/api/airports?q=lon", headers=headers).status_code == 200
    refused = client.patch("/api/me", json={"firstName": "Rob"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert "profile:write" in refused.json()["detail"]


def test_a_key_makes_lists_and_revokes_no_keys(client: TestClient, robin: dict[str, str]) -> None:
    key = made(client, robin, scopes=list(rules.scopes_for("customer")))
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{key['id']}")):
        answer = client.request(method, f"/api/me/keys{path}", headers=bearing(key), json=WISH)
        assert answer.json()["code"] == "scope_missing"


@pytest.mark.parametrize(("method", "path"), API, ids=" ".join)
def test_every_door_for_programs_asks_a_key_for_one_known_scope_or_lets_no_key_in(method: str, path: str) -> None:
    needs = access.needed_scope(method, path)
    if needs is None:
        assert (method, access.RULES[method, path]) == ("GET", "anyone")
    else:
        assert needs == scope_of(method, path)
        assert needs in rules.scope_words() or needs.split(":")[0] in ("auth", "keys", *CLOSED), (
            f"{needs} is in nobody's list: add it to FOR_ALL, FOR_STAFF or FOR_ADMIN, or to CLOSED here."
        )


# What no API key can do, because it is about who somebody is.
CLOSED: tuple[str, ...] = ()


def test_every_scope_opens_a_door_of_the_portal() -> None:
    asked = {access.needed_scope(*rule) for rule in API}
    left = [scope for scope in rules.scopes_for("admin") if scope not in asked]
    assert left == []
    assert set(rules.scopes_for("admin")) == set(rules.scope_words())


def test_every_door_refuses_a_key_without_its_scope(client: TestClient, settings: Settings) -> None:
    account("ada", "admin")
    headers = logged_in(client, "ada")
    every = rules.scopes_for("admin")
    wrong = []
    for area in sorted({scope.split(":")[0] for scope in every}):
        rest = [scope for scope in every if not scope.startswith(f"{area}:")]
        key = bearing(made(client, headers, name=area, scopes=rest))
        for method, path in [rule for rule in API if (access.needed_scope(*rule) or "").startswith(f"{area}:")]:
            where = path.replace(":uuid", "").replace(":int", "").replace("{id}", "7")
            answer = client.request(method, where.format_map(Anything()), headers=key)
            wrong += [] if _known_there(answer, path) else [(method, path, answer.status_code, answer.text)]
        client.delete(
            f"/api/me/keys/{client.get('/api/me/keys', headers=headers).json()['data'][0]['id']}", headers=headers
        )
    assert wrong == []


class Anything(dict[str, str]):
    """Fills any parameter of an address."""

    def __missing__(self, name: str) -> str:
        return str(uuid4())


def _known_there(answer: Any, path: str) -> bool:
    no_such_address = answer.status_code == 404 and "{id:uuid}" in path
    return no_such_address or (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_a_customer_gives_no_key_what_only_staff_may(client: TestClient, robin: dict[str, str]) -> None:
    answer = client.post("/api/me/keys", json={**WISH, "scopes": ["analytics:read"]}, headers=robin)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/scopes")


def test_a_key_ends_when_it_should(client: TestClient, robin: dict[str, str]) -> None:
    until = (clock.now() + timedelta(days=30)).isoformat()
    key = made(client, robin, expiresAt=until)
    assert client.get("/api/me", headers=bearing(key)).status_code == 200
    with clock.shifted(timedelta(days=31)):
        assert client.get("/api/me", headers=bearing(key)).json()["code"] == "token_refused"
    past = (clock.now() - timedelta(days=1)).isoformat()
    assert client.post("/api/me/keys", json={**WISH, "expiresAt": past}, headers=robin).status_code == 422


@pytest.mark.parametrize(
    ("addresses", "caller", "may"),
    [
        ([], "203.0.113.7", True),
        (["203.0.113.0/24"], "203.0.113.7", True),
        (["203.0.113.0/24"], "198.51.100.1", False),
        (["2001:db8::/32"], "2001:db8::7", True),
        (["2001:db8::/32"], "203.0.113.7", False),
        (["203.0.113.0/24"], "testclient", False),
    ],
)
def test_a_key_comes_from_its_networks_only(addresses: list[str], caller: str, may: bool) -> None:
    assert rules.may_come_from(addresses, caller) is may


def test_a_key_from_elsewhere_is_refused_at_the_door(client: TestClient, robin: dict[str, str]) -> None:
    key = made(client, robin, addresses=["203.0.113.7", "2001:db8::1/32"])
    assert key["addresses"] == ["2001:db8::/32", "203.0.113.7/32"]
    assert client.get("/api/me", headers=bearing(key)).json()["code"] == "token_refused"


def test_its_last_use_is_noted(client: TestClient, robin: dict[str, str]) -> None:
    key = made(client, robin)
    assert key["lastUsedAt"] is None
    client.get("/api/me", headers=bearing(key))
    assert client.get("/api/me/keys", headers=robin).json()["data"][0]["lastUsedAt"] is not None


def test_a_revoked_key_is_worthless_and_somebody_elses_is_not_there(client: TestClient, robin: dict[str, str]) -> None:
    key = made(client, robin)
    account("ada")
    other = logged_in(client, "ada")
    assert client.delete(f"/api/me/keys/{key['id']}", headers=other).json()["code"] == "unknown_key"
    assert client.delete(f"/api/me/keys/{key['id']}", headers=robin).status_code == 204
    assert client.get("/api/me", headers=bearing(key)).status_code == 401
    assert client.delete(f"/api/me/keys/{key['id']}", headers=robin).status_code == 404


def test_a_new_key_wants_a_log_in_of_the_last_ten_minutes(client: TestClient, robin: dict[str, str]) -> None:
    with clock.shifted(timedelta(minutes=11)):
        answer = client.post("/api/me/keys", json=WISH, headers=robin)
    assert (answer.status_code, answer.json()["code"]) == (403, "proof_needed")


def test_refreshing_is_no_fresh_proof(client: TestClient) -> None:
    account("robin")
    login = client.post("/api/auth/login", json={"email": "robin@example.com", "password": PASSWORD}).json()
    with clock.shifted(timedelta(minutes=11)):
        pair = client.post("/api/auth/refresh", json={"refreshToken": login["refreshToken"]}).json()
        headers = {"Authorization": f"Bearer {pair['accessToken']}"}
        assert client.post("/api/me/keys", json=WISH, headers=headers).json()["code"] == "proof_needed"


def test_an_account_has_twenty_keys_at_most(client: TestClient, robin: dict[str, str]) -> None:
    for number in range(rules.MOST_KEYS):
        made(client, robin, name=f"number {number}")
    answer = client.post("/api/me/keys", json=WISH, headers=robin)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_keys")


def test_making_and_revoking_is_told_by_mail_and_in_the_trail_without_the_key(
    client: TestClient, robin: dict[str, str]
) -> None:
    key = made(client, robin)
    client.delete(f"/api/me/keys/{key['id']}", headers=robin)
    with db.reading() as session:
        letters = session.scalars(select(outbox.Letter).where(outbox.Letter.kind == "mail.account_notice")).all()
        told = session.scalars(select(audit.AuditEntry).where(audit.AuditEntry.thing == "api_key")).all()
        kept = repr([letter.payload for letter in letters]) + repr([(one.before, one.after) for one in told])
    assert [letter.payload["kind"] for letter in letters if "key" in letter.payload["kind"]] == [
        "key_made",
        "key_revoked",
    ]
    assert [one.action for one in told] == ["key.create", "key.revoke"]
    assert key["prefix"] in kept
    assert key["key"] not in kept


def test_the_letters_name_the_key_and_when_it_was(
    client: TestClient, robin: dict[str, str], settings: Settings
) -> None:
    """Who has twenty keys must know which one it was, and whether it was theirs."""
    key = made(client, robin)
    client.delete(f"/api/me/keys/{key['id']}", headers=robin)
    work_off(settings)
    for subject in ("An API key was made for your account", "An API key was revoked"):
        (letter,) = [one for one in inbox(settings) if one["subject"] == subject]
        for kind in ("plain", "html"):
            said = " ".join(text(letter, kind).split())
            assert f"the key “{key['name']}” ({key['prefix']}…)" in said
        assert "When: " in text(letter)


def test_a_new_password_ends_no_key_and_the_letters_say_so(
    client: TestClient, robin: dict[str, str], settings: Settings
) -> None:
    def changed(current: str, new: str) -> str:
        words = {"currentPassword": current, "newPassword": new}
        assert client.post("/api/auth/change-password", json=words, headers=robin).status_code in (200, 204)
        work_off(settings)
        found = [one for one in inbox(settings) if one["subject"] == "Your password was changed"]
        return " ".join(text(found[-1]).split())

    ends = (clock.now() + timedelta(hours=1)).isoformat()
    assert "API key" not in changed(PASSWORD, "a loud red evening")
    key = made(client, robin)
    made(client, robin, name="For an hour", expiresAt=ends)
    work_off(settings)
    made_it = next(one for one in inbox(settings) if one["subject"] == "An API key was made for your account")
    assert "Revoke the key there at once" in text(made_it)
    assert "signs everybody out" not in text(made_it)
    told = changed("a loud red evening", "a slow green night")
    assert "It ended no API key: you have 2." in told
    assert f"{settings.base_url}/account/api-keys" in told
    assert client.get("/api/me", headers=bearing(key)).status_code == 200


def test_the_letter_of_a_new_password_counts_the_keys_that_still_work(
    client: TestClient, robin: dict[str, str], settings: Settings
) -> None:
    made(client, robin, expiresAt=(clock.now() + timedelta(hours=1)).isoformat())
    with db.writing() as session:
        accounts.notice(session, session.scalars(select(ApiKey.user_id)).one(), "password_changed")
    with clock.shifted(timedelta(hours=2)):
        work_off(settings)
    (letter,) = [one for one in inbox(settings) if one["subject"] == "Your password was changed"]
    assert "API key" not in text(letter)


def test_a_key_loses_with_its_owners_role_what_the_role_gave(client: TestClient) -> None:
    account("ada", "staff")
    key = bearing(made(client, logged_in(client, "ada"), scopes=["analytics:read"]))
    assert client.get("/api/analytics/summary", headers=key).status_code == 200
    change_role("ada", "customer")
    assert client.get("/api/analytics/summary", headers=key).json()["code"] == "forbidden"


def change_role(who: str, role: str) -> None:
    with db.writing() as session:
        person = accounts.queries.person_by_email(session, f"{who}@example.com")
        assert person is not None
        row = session.get_one(accounts.User, person.id)
        row.role = role


def test_an_access_token_of_another_role_is_refused_at_once(client: TestClient) -> None:
    account("ada", "staff")
    headers = logged_in(client, "ada")
    assert client.get("/api/analytics/summary", headers=headers).status_code == 200
    change_role("ada", "customer")
    assert client.get("/api/me", headers=headers).json()["code"] == "token_refused"


def test_a_key_opens_no_page(client: TestClient, robin: dict[str, str]) -> None:
    key = made(client, robin, scopes=list(rules.scopes_for("customer")))
    assert client.get("/account", headers=bearing(key)).status_code == 303


def test_no_route_is_forgotten() -> None:
    paths = {route.path for route in ROUTES if hasattr(route, "methods") and route.path.startswith("/api/")}
    assert paths == {path for _, path in API}


def test_nothing_opens_a_closed_account(client: TestClient) -> None:
    account("robin")
    pair = client.post("/api/auth/login", json={"email": "robin@example.com", "password": PASSWORD}).json()
    headers = {"Authorization": f"Bearer {pair['accessToken']}"}
    key = bearing(made(client, headers))
    with db.writing() as session:
        session.execute(update(accounts.User).values(closed_at=clock.now()))
    for shown in (headers, key):
        assert client.get("/api/me", headers=shown).json()["code"] == "token_refused"
    refreshed = client.post("/api/auth/refresh", json={"refreshToken": pair["refreshToken"]})
    assert refreshed.json()["code"] == "refresh_refused"

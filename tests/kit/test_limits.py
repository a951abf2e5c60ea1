"""Limits hold for everybody, however the address is spelled, and a lost Redis closes only the door with passwords."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import cache, limits
from portal.kit.errors import TooMany, Unavailable
from portal.kit.settings import Settings

NOWHERE = "redis://127.0.0.1:1/0"


def test_one_more_than_the_limit_is_refused_and_says_when_to_come_back(limited: Settings) -> None:
    for _ in range(limits.POLICIES["manage-reference"].limit):
        limits.check(limited, "manage-reference", "K7QX2M")
    with pytest.raises(TooMany) as no:
        limits.check(limited, "manage-reference", "K7QX2M")
    assert 0 < (no.value.retry_after or 0) <= 2 * limits.POLICIES["manage-reference"].seconds
    limits.check(limited, "manage-reference", "ABCDEF")


def test_a_forgiven_caller_starts_afresh(limited: Settings) -> None:
    for _ in range(25):
        limits.check(limited, "sign-in", "someone")
        limits.forgive(limited, "sign-in", "someone")


def test_the_window_slides(limited: Settings) -> None:
    """What lay in the bucket before counts by how much of it is still inside the window."""
    rule = limits.Policy(10, 1000)
    redis = cache.client(limited.redis_url)
    first = limits.take(limited.redis_url, "slide", rule, 10)
    assert first is not None
    assert first.granted == 10
    bucket = int(redis.hget("limit:slide", "bucket"))  # type: ignore[arg-type]  # a synchronous client answers at once
    redis.hset("limit:slide", mapping={"bucket": bucket - 1})
    now, micro = redis.time()  # type: ignore[misc]  # as above
    inside = 1 - ((now + micro / 1e6) / 1000 - bucket)
    second = limits.take(limited.redis_url, "slide", rule, 10)
    assert second is not None
    assert second.granted == pytest.approx(10 - 10 * inside, abs=1)


def test_without_redis_a_limit_is_open_but_passwords_are_not_tried(limited: Settings) -> None:
    away = replace(limited, redis_url=NOWHERE)
    for _ in range(limits.POLICIES["register"].limit + 1):
        limits.check(away, "register", "someone")
    with pytest.raises(Unavailable):
        limits.check(away, "sign-in", "someone")


def test_keys_show_no_address(limited: Settings) -> None:
    limits.check(limited, "sign-in", "traveller@example.com")
    assert not [key for key in cache.client(limited.redis_url).scan_iter() if b"traveller" in key]


@pytest.mark.parametrize(
    ("client", "same_as"),
    [
        (("203.0.113.7", 1), "203.0.113.7"),
        (("::ffff:203.0.113.7", 1), "203.0.113.7"),
        (("2001:db8:1:2:aaaa::1", 1), "2001:db8:1:2::/64"),
        (None, "unknown"),
    ],
)
def test_a_caller_is_an_address_or_a_network(client: tuple[str, int] | None, same_as: str) -> None:
    assert limits.caller({"client": client}) == same_as


API = ("/api/openapi.json", "/api/openapi.json/", "/API/openapi.json", "/api/OPENAPI.json?x=1", "//api//openapi.json")


def test_everything_together_is_limited_whatever_the_spelling(limited: Settings) -> None:
    few = replace(limited, rate_limit_per_minute=10)
    with TestClient(create_app(few), follow_redirects=False) as client:
        codes = [client.get(path).status_code for path in (*API, "/nowhere", "/x", "/help/", "/HELP", "/%78")]
        assert 429 not in codes
        refused = client.get("/api/openapi.json", headers={"X-Forwarded-For": "198.51.100.1"})
        assert refused.status_code == 429
        assert refused.json()["code"] == "too_many_requests"
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/health/live").status_code == 200
        page = client.get("/nowhere")
        assert page.status_code == 429
        assert int(page.headers["retry-after"]) > 0
        assert "Please wait" in page.text
        assert "<main" in page.text


@pytest.mark.parametrize(
    ("lane", "path", "limit"),
    [
        ("api", "/api/openapi.json", 30),
        ("search", "/api/airports", 15),
        ("auth", "/manage", 3),
        ("booking", "/book", 15),
    ],
)
def test_a_lane_has_its_share_whatever_the_spelling(limited: Settings, lane: str, path: str, limit: int) -> None:
    """A slash more, another case, an encoded letter, HEAD: none of them is another door."""
    odd = (path, f"{path}/", path.upper(), path.replace("/", "//"), path[:-1] + f"%{ord(path[-1]):x}", f"{path}?x=1")
    with TestClient(create_app(replace(limited, rate_limit_per_minute=50)), follow_redirects=False) as client:
        for number in range(limit):
            method = "HEAD" if number % 2 else "GET"
            assert client.request(method, f"http://testserver{odd[number % len(odd)]}").status_code != 429
        for spelling in odd:
            assert client.get(f"http://testserver{spelling}").status_code == 429
        assert client.get("/help").status_code == 200


def test_neighbours_in_one_network_share_a_lane_and_strangers_do_not(limited: Settings) -> None:
    few = replace(limited, rate_limit_per_minute=50)
    app = create_app(few)

    def asks(address: str) -> int:
        with TestClient(app, client=(address, 1), follow_redirects=False) as client:
            return client.get("/manage").status_code

    assert [asks(f"2001:db8:1:2::{number:x}") for number in range(1, 5)] == [200, 200, 200, 429]
    assert asks("2001:db8:1:3::1") == 200


def test_the_api_says_where_a_caller_stands(limited: Settings) -> None:
    with TestClient(create_app(limited)) as client:
        stands = [client.get("/api/openapi.json").headers["ratelimit"] for _ in range(30)]
    left = [int(stand.split("r=")[1].split(";")[0]) for stand in stands]
    assert left == list(range(999, 969, -1))
    assert all('"api";r=' in stand for stand in stands)


def test_many_processes_share_one_limit(limited: Settings) -> None:
    """Each takes its share from Redis: together they let no more pass than one would."""
    rule = limits.Policy(200, 60)
    doors = [limits.Allowance(limited.redis_url, rule) for _ in range(4)]
    passed = 0
    for turn in range(400):
        standing = doors[turn % 4].spend("me") or doors[turn % 4].renew("me")
        passed += 1 if standing and standing.granted else 0
    assert passed <= 200


def test_nobody_is_refused_within_the_limit_however_many_ask_at_once(limited: Settings) -> None:
    door = limits.Allowance(limited.redis_url, limits.Policy(1000, 60))

    def ask(_: int) -> bool:
        standing = door.spend("me") or door.renew("me")
        return standing is not None and standing.granted > 0

    with ThreadPoolExecutor(16) as pool:
        passed = sum(pool.map(ask, range(1200)))
    assert 975 <= passed <= 1000


def test_without_redis_requests_pass(limited: Settings) -> None:
    away = replace(limited, redis_url=NOWHERE, rate_limit_per_minute=2)
    with TestClient(create_app(away)) as client:
        assert [client.get("/api/openapi.json").status_code for _ in range(5)] == [200] * 5


def test_a_gateway_s_words_are_counted_by_nobody_but_never_long(limited: Settings) -> None:
    """They all come from a few addresses: a busy hour must not be refused. What is not signed is still told so."""
    few = replace(limited, rate_limit_per_minute=5, stripe_secret_key="sk_test_x", stripe_webhook_secret="whsec_x")
    with TestClient(create_app(few), follow_redirects=False) as client:
        told = [client.post("/webhooks/stripe", json={}).status_code for _ in range(20)]
        assert told == [400] * 20
        assert client.post("/webhooks/stripe", json=["x" * 256 * 1024]).status_code == 413
        pages = [client.get("/help").status_code for _ in range(7)]
        assert pages[:5] + pages[-1:] == [200] * 5 + [429]
        assert client.post("/webhooks/stripe", json={}).status_code == 400

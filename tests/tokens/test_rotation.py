"""The signing key changes without signing anybody out: former keys are believed while they are named, and no others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from portal.kit.errors import ConfigurationError
from portal.kit.settings import Settings, read
from portal.tokens import rules

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OLD = Settings(jwt_secret_key="the key of last year, long enough for it")
NEW = replace(OLD, jwt_secret_key="the key of this year, long enough for it")
TURNING = replace(NEW, jwt_previous_keys=(OLD.jwt_secret_key,))
SAID = rules.Claims(uuid4(), "customer", uuid4(), NOW)


def test_a_former_key_is_believed_while_it_is_named() -> None:
    token = rules.access_token(OLD, SAID, NOW)
    assert rules.read_access_token(TURNING, token, NOW) == SAID
    assert rules.read_access_token(NEW, token, NOW) is None


def test_new_tokens_are_signed_by_the_current_key() -> None:
    token = rules.access_token(TURNING, SAID, NOW)
    assert rules.read_access_token(NEW, token, NOW) == SAID
    assert rules.read_access_token(OLD, token, NOW) is None


def test_a_token_names_its_key_by_thumbprint_and_a_foreign_name_is_refused() -> None:
    key = OctKey.import_key(NEW.jwt_secret_key)
    token = jwt.decode(rules.access_token(NEW, SAID, NOW), key)
    assert token.header == {"alg": "HS256", "typ": "JWT", "kid": key.thumbprint()}
    for kid in ("another", OctKey.import_key(OLD.jwt_secret_key).thumbprint()):
        forged = jwt.encode({"alg": "HS256", "kid": kid}, token.claims, key)
        assert rules.read_access_token(TURNING, forged, NOW) is None


def test_it_lapses_when_it_says_give_or_take_a_few_seconds() -> None:
    token, lasts = rules.access_token(NEW, SAID, NOW), timedelta(minutes=NEW.jwt_access_token_minutes)
    for seconds, good in ((-1, True), (rules.LEEWAY_SECONDS - 1, True), (rules.LEEWAY_SECONDS + 1, False)):
        there = rules.read_access_token(NEW, token, NOW + lasts + timedelta(seconds=seconds))
        assert (there is not None) is good


def test_production_takes_no_weak_former_key() -> None:
    strong = "a1b2c3d4e5f6g7h8" * 3
    names = ("SECRET_KEY", "JWT_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "BASE_URL", "ALLOWED_HOSTS")
    environment = {"PORTAL_ENV": "production"} | {f"PORTAL_{name}": strong for name in names}
    assert read(environment).jwt_previous_keys == ()
    with pytest.raises(ConfigurationError, match="JWT_PREVIOUS_KEYS"):
        read({**environment, "PORTAL_JWT_PREVIOUS_KEYS": f"{strong},short"})

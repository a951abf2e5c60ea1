"""Codes of half a minute, recovery codes and challenges: what fits, what does not, whatever is typed."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import uuid4

import pyotp
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from portal.factors import rules

SECRET = bytes(range(20))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def shown(now: datetime, steps: int = 0) -> str:
    return pyotp.TOTP(base64.b32encode(SECRET).decode()).at(now, counter_offset=steps)


@given(moments, st.integers(-20, 20))
def test_a_code_fits_its_own_half_minute_and_one_step_of_drift_and_no_other(now: datetime, steps: int) -> None:
    found = rules.step_of(SECRET, shown(now, steps), now)
    current = int(now.timestamp()) // 30
    if abs(steps) <= 1:
        assert found in (current - 1, current, current + 1)
        assert shown(now, found - current) == shown(now, steps)
    else:
        assert found is None or shown(now, found - current) == shown(now, steps)  # two half minutes may share a code


# RFC 6238, appendix B: the test vectors of SHA-1, their last six digits.
@pytest.mark.parametrize(
    ("second", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_standard(second: int, code: str) -> None:
    now = datetime.fromtimestamp(second, UTC)
    assert rules.step_of(b"12345678901234567890", code, now) == second // 30


@given(st.text(max_size=60))
def test_no_text_breaks_the_check(text: str) -> None:
    code = rules.plain(text)
    assert rules.plain(code) == code
    assert not rules.is_one_time(code) or len(code) == 6
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    fits = {shown(now, step) for step in (-1, 0, 1)}
    assert (rules.step_of(SECRET, code, now) is None) == (code not in fits)


@given(st.text("ABCDEFGH23456789", min_size=16, max_size=16), st.sampled_from([" ", "-", " - ", "", "\t"]))
def test_a_recovery_code_is_the_same_however_it_is_written(code: str, between: str) -> None:
    written = between.join(code[at : at + 4] for at in range(0, 16, 4)).lower()
    assert rules.plain(written) == code
    assert not rules.is_one_time(code)


def test_digits_of_other_scripts_are_digits() -> None:
    assert rules.plain("١٢٣ ٤٥٦") == "123456"
    assert rules.plain("１２３４５６") == "123456"


def test_a_recovery_code_is_kept_for_its_owner_alone() -> None:
    assert rules.kept(uuid4(), "ABCD") != rules.kept(uuid4(), "ABCD")


@given(moments, st.binary(min_size=16, max_size=16), st.sampled_from(["sign-in None", "register 1"]))
def test_a_challenge_is_known_again_for_its_purpose_until_it_lapses(now: datetime, nonce: bytes, purpose: str) -> None:
    until = (now + rules.CHALLENGE_LASTS).replace(microsecond=0)
    made = rules.challenge(b"key", purpose, until, nonce)
    assert rules.read_challenge(b"key", purpose, made, now) == until
    assert rules.read_challenge(b"key", purpose, made, until) is None
    assert rules.read_challenge(b"key", "second 2", made, now) is None
    assert rules.read_challenge(b"other", purpose, made, now) is None


@given(st.binary(max_size=80), st.integers(0, 55), st.integers(1, 255))
def test_a_changed_challenge_is_nothing(junk: bytes, at: int, by: int) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    made = bytearray(rules.challenge(b"key", "sign-in None", now + timedelta(minutes=1), bytes(16)))
    made[at] ^= by
    assert rules.read_challenge(b"key", "sign-in None", bytes(made), now) is None
    assert rules.read_challenge(b"key", "sign-in None", junk, now) is None


@pytest.mark.parametrize(
    ("base", "name", "origin"),
    [
        ("https://fly.example", "fly.example", "https://fly.example"),
        ("https://fly.example:8443", "fly.example", "https://fly.example:8443"),
        ("http://127.0.0.1:8000", "localhost", "http://localhost:8000"),
        ("http://[::1]:8000", "localhost", "http://localhost:8000"),
        ("http://localhost:8000", "localhost", "http://localhost:8000"),
    ],
)
def test_passkeys_are_at_home_at_a_name(base: str, name: str, origin: str) -> None:
    home = rules.home(base)
    assert (home.rp_id, home.origins) == (name, (origin,))
    assert home.is_at(name)
    assert home.is_at(f"www.{name}")
    assert not home.is_at("127.0.0.1")
    assert not home.is_at(f"not{name}")


@given(st.text(min_size=1, max_size=200))
def test_the_qr_code_says_what_was_put_in(text: str) -> None:

    symbol = rules.draw(address := rules.app_address(SECRET, text, "Meridian Air"))
    picture = Image.new("L", (symbol.size * 4, symbol.size * 4), 255)
    pen = ImageDraw.Draw(picture)
    for left, top, width, height in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)", symbol.path):
        at = (int(left) * 4, int(top) * 4)
        pen.rectangle((*at, at[0] + int(width) * 4 - 1, at[1] + int(height) * 4 - 1), fill=0)
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    assert [one.text for one in zxingcpp.read_barcodes(Image.open(buffer))] == [address]

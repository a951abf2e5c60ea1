"""What guests were granted: by a cookie that cannot be made up, or by a token for one booking."""

from __future__ import annotations

from datetime import timedelta

import pytest
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response

from portal.kit import clock, grants
from portal.kit.settings import Settings

SETTINGS = Settings()


class App:
    """Carries the settings, as the application does."""

    state = State({"settings": SETTINGS})


def asked(path: str = "/bookings/ABCDEF", **headers: str) -> Request:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": path, "headers": pairs, "query_string": b"", "app": App})


def cookie_after(request: Request, reference: str, level: str) -> str:
    response = Response()
    grants.grant(request, response, reference, level)
    return response.headers["set-cookie"].split(";")[0]


def test_a_grant_is_for_its_booking_and_is_never_lowered() -> None:
    cookie = cookie_after(asked(), "ABCDEF", "manage")
    assert grants.granted(asked(cookie=cookie), "ABCDEF") == "manage"
    assert grants.granted(asked(cookie=cookie), "GHJKLM") is None
    again = cookie_after(asked(cookie=cookie), "ABCDEF", "view")
    assert grants.granted(asked(cookie=again), "ABCDEF") == "manage"


def test_twenty_are_kept_and_the_oldest_goes() -> None:
    cookie = ""
    for number in range(21):
        cookie = cookie_after(asked(cookie=cookie), f"REF{number:03d}", "view")
    kept = [grants.granted(asked(cookie=cookie), f"REF{number:03d}") for number in range(21)]
    assert kept == [None] + ["view"] * 20
    assert len(cookie) < 4096


def test_what_was_changed_or_is_too_old_grants_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = cookie_after(asked(), "ABCDEF", "manage")
    middle = len(cookie) - 10
    changed = cookie[:middle] + ("A" if cookie[middle] != "A" else "B") + cookie[middle + 1 :]
    assert grants.granted(asked(cookie=changed), "ABCDEF") is None
    later = clock.now() + timedelta(days=181)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert grants.granted(asked(cookie=cookie), "ABCDEF") is None


def test_a_program_is_believed_by_its_token_only_and_a_page_by_its_cookie_only() -> None:
    token = grants.booking_token(SETTINGS, "ABCDEF")
    cookie = cookie_after(asked(), "ABCDEF", "manage")
    bearer = {"authorization": f"Bearer {token}"}
    assert grants.granted(asked("/api/bookings/ABCDEF", **bearer), "ABCDEF") == "manage"
    assert grants.granted(asked("/api/bookings/GHJKLM", **bearer), "GHJKLM") is None
    assert grants.granted(asked("/bookings/ABCDEF", **bearer), "ABCDEF") is None
    assert grants.granted(asked("/api/bookings/ABCDEF", cookie=cookie), "ABCDEF") is None


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer bk_", "Bearer bk_ABCDEF", "Basic bk_x", "bk_x"])
def test_nonsense_is_no_token(header: str) -> None:
    assert grants.granted(asked("/api/bookings/ABCDEF", authorization=header), "ABCDEF") is None

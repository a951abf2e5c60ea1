"""Where an address is itself the key, its word stands in no log, of ours or of nginx: the table of doors is walked."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from portal.access import RULES
from portal.app import create_app
from portal.kit.middleware import told_path
from portal.kit.settings import Settings

WORD = "WyJBQkMyMzQi.Zx_9-word"
NGINX = Path(__file__).parents[2].joinpath("deploy/nginx.conf").read_text("utf-8")
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
PATHS = sorted({path for _method, path in RULES})
# What is called so is a secret, whatever kind its door is; of the kind `link` every name is.
SECRETS = {"token", "key", "word", "secret", "sealed"}
KEYS = sorted(
    path
    for path in PATHS
    if ("link" in {kind for (_method, at), kind in RULES.items() if at == path} and PARAMETER.search(path))
    or SECRETS & set(PARAMETER.findall(path))
)


def test_the_walk_finds_what_is_known_to_be_a_key() -> None:
    assert {"/links/{token}", "/paid/{token}", "/waiting-list/{token}", "/fare-alerts/{token}/begin"} <= set(KEYS)


@pytest.mark.parametrize("path", KEYS)
@pytest.mark.parametrize("log", ["ours", "nginx"])
def test_a_key_stands_in_no_log(path: str, log: str) -> None:
    told = told_path if log == "ours" else in_nginx
    assert told(PARAMETER.sub(WORD, path)) == PARAMETER.sub("…", path), (
        f"{path} opens by its word: add its beginning to SECRET in portal/kit/middleware.py and to deploy/nginx.conf."
    )


@pytest.mark.parametrize("path", [path for path in PATHS if path not in KEYS])
def test_every_other_address_is_told_as_it_is(path: str) -> None:
    plain = PARAMETER.sub("ABC234", path)
    assert told_path(plain) == in_nginx(plain) == plain


def test_no_spelling_lets_a_key_through() -> None:
    for odd in (f"//links/{WORD}", f"/links//{WORD}", f"/LINKS/{WORD}", f"/links/{WORD}\n", f"/links/{WORD}/more"):
        assert WORD not in told_path(odd)
    assert told_path("/links/a\nb") == in_nginx("/links/a\nb") == "/links/…"


def test_nginx_writes_the_told_path_and_nothing_that_repeats_the_address() -> None:
    written = re.findall(r"\$\w+", "".join(re.findall(r"log_format.*?;", NGINX, re.DOTALL)))
    assert "$told" in written
    assert not {"$uri", "$request", "$request_uri", "$document_uri", "$http_referer", "$args"} & set(written)
    pages = re.findall(r"location / \{(.*?)\}", NGINX, re.DOTALL)[-1]
    assert "error_log /dev/stderr emerg;" in pages


def test_neither_a_line_nor_a_crash_says_the_word(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(settings)

    def crash(_: object) -> None:
        raise ZeroDivisionError

    app.router.routes.insert(0, Route("/paid/{token}", crash))
    with caplog.at_level(logging.INFO, "portal"), TestClient(app, raise_server_exceptions=False) as client:
        for door in ("links", "waiting-list", "fare-alerts", "paid"):
            client.get(f"/{door}/{WORD}")
        with TestClient(create_app(replace(settings, require_https=True)), follow_redirects=False) as strict:
            assert strict.get(f"/links/{WORD}").status_code == 308
    lines = [vars(record) for record in caplog.records if "path" in vars(record)]
    assert {line["path"] for line in lines if line["name"] == "portal.request"} == {
        "/links/…",
        "/waiting-list/…",
        "/fare-alerts/…",
        "/paid/…",
    }
    assert [line["path"] for line in lines if line["message"] == "unexpected error"] == ["/paid/…"]
    assert WORD not in repr(lines)


def test_no_other_page_hears_of_an_address_that_is_a_key(client: TestClient) -> None:
    keys = [PARAMETER.sub(WORD, path) for path in KEYS if ("GET", path) in RULES]
    keys += [f"/manage/link?token={WORD}", f"/bookings/ABC234/changes-by-airline?key={WORD}"]
    for path in keys:
        assert client.get(path).headers["referrer-policy"] in ("strict-origin", "no-referrer"), path


def in_nginx(path: str) -> str:
    """Return what nginx' own map makes of a path, by its patterns as they stand in the file."""
    block = re.findall(r"map \$uri \$told \{(.*?)\n    \}", NGINX, re.DOTALL)[0]
    for pattern, made in re.findall(r'"~\*(.+?)" "(.+?)";', block):
        found = re.match(pattern.replace("(?<", "(?P<"), path, re.IGNORECASE)
        if found:
            return found.expand(re.sub(r"\$(\w+)", r"\\g<\1>", made))
    return path

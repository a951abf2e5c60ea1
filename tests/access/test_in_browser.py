"""Every page in a real browser: the content policy has nothing to refuse, and scripts have nothing to complain of."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from portal import access
from tests.access.asking import Asker, address
from tests.attacks.conftest import listening

# Files and answers for programs; a browser saves them or shows them as they are.
NOT_PAGES = ("boarding-passes.html", ".pdf", ".ics", "/file", "/metrics", "/health", "/places", "/files/0")
WATCH = "window.refused = []; addEventListener('securitypolicyviolation', e => refused.push(e.violatedDirective))"


def pages(asker: Asker) -> list[str]:
    """Return the address of every page."""
    paths = (path for method, path in access.RULES if method == "GET" and not path.startswith("/api/"))
    return [address(path, asker.facts) for path in (*paths, "/api/docs", "/nowhere")]


@pytest.mark.journey
@pytest.mark.parametrize("who", ["owner", "admin"])
def test_no_page_breaks_its_own_content_policy(asker: Asker, browser: Browser, who: str) -> None:
    with listening(asker.settings) as port:
        at = f"http://127.0.0.1:{port}"
        context = browser.new_context(base_url=at)
        context.add_init_script(WATCH)
        context.add_cookies([{"name": n, "value": v, "url": at} for n, v in asker.facts["cookies"][who].items()])
        page, said = context.new_page(), list[str]()
        page.on("console", lambda word: said.append(word.text) if word.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        found = [
            fault
            for path in pages(asker)
            if not path.partition("?")[0].endswith(NOT_PAGES)
            for fault in look(page, path, said)
        ]
        context.close()
    asker.changed = True
    assert found == []


def look(page: Page, path: str, said: list[str]) -> list[str]:
    """Open a page; returns what the browser refused or complained of."""
    said.clear()
    answer = page.goto(path, wait_until="load")
    assert answer is not None
    assert answer.status < 500, path
    assert "content-security-policy" in answer.headers
    refused = page.evaluate("window.refused")
    return [f"{path}: {word}" for word in (*refused, *said) if "status of 4" not in word]

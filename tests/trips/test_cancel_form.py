"""The form that asks what to cancel, in a browser: what is lit is what the server will read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route
from starlette.testclient import TestClient

from portal.kit.settings import Settings
from tests.booking.test_cancelling import seen, sold, there_and_back
from tests.trips.test_changes import mine


@pytest.fixture
def page(browser: Browser, client: TestClient) -> Iterator[Page]:
    """Return a page of a browser whose every request the portal answers in this process."""

    def answer(route: Route) -> None:
        given = client.get(route.request.url.removeprefix("http://portal.test"))
        route.fulfill(status=given.status_code, headers=dict(given.headers), body=given.content)

    context = browser.new_context(base_url="http://portal.test", viewport={"width": 1280, "height": 900})
    context.route("**/*", answer)
    yield context.new_page()
    context.close()


def test_a_tick_moves_the_choice_to_some_and_all_unticks(page: Page, client: TestClient, settings: Settings) -> None:
    booking = sold(settings, *there_and_back())
    page.goto(f"{mine(client, settings, booking)}/cancel")
    everybody, some = page.get_by_label("Everybody"), page.get_by_label("Only some travellers")
    anna = page.get_by_label(seen(booking).passengers[0].name)
    assert everybody.is_checked()
    anna.check()
    assert some.is_checked()
    assert page.get_by_label("Everything that is not flown yet").is_checked()
    everybody.check()
    assert not anna.is_checked()
    anna.check()
    anna.uncheck()
    assert some.is_checked()

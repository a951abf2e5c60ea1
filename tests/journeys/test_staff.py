"""A clerk's morning: sign in, read the dashboard, narrow it to a route, take it along as XLSX; look at the jobs."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import openpyxl
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import create_engine, text

from portal.kit import db
from tests.journeys.conftest import picture, sign_in
from tests.running import RunningPortal

pytestmark = pytest.mark.journey
Open = Callable[..., Page]


def test_a_clerk_narrows_the_dashboard_and_exports_what_it_shows(open_page: Open, portal: RunningPortal) -> None:
    page = open_page(accept_downloads=True)
    sign_in(page, "staff@example.com")
    page.goto("/admin")
    picture(page, "dashboard")
    page.locator("select[name=route]").select_option("JFK-LAX")
    page.wait_for_url("**/admin?*route=JFK-LAX*")
    expect(page.locator("#report")).to_contain_text("JFK")
    picture(page, "dashboard-route")
    shown = page.locator("#report table.rows tfoot tr").first.text_content() or ""
    portal.worker.kill()
    page.get_by_role("button", name="Write the file").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    picture(page, "export-waiting")
    portal.worker.start()
    expect(page.get_by_role("link", name=re.compile("^Save "))).to_be_visible(timeout=60_000)
    picture(page, "export-done")
    with page.expect_download() as started:
        page.get_by_role("link", name=re.compile("^Save ")).click()
    book = openpyxl.load_workbook(io.BytesIO(started.value.path().read_bytes()), data_only=True)
    total = next(row for row in book.worksheets[0].iter_rows(values_only=True) if row[0] == "Total")
    revenue = [cell for cell in total if isinstance(cell, float | int)][-1]
    assert revenue > 0
    assert f"${revenue:,.2f}" in shown


MANY_SALES = """
    insert into sales_days
        (sold_on, origin, destination, cabin, brand, currency, bookings, passengers, revenue_minor)
    select sold_on, 'JFK', 'LAX', 'economy', 'Tour ' || tour, 'USD', 1, 1, 10000 + tour
    from generate_series(date '2018-01-01', date '2019-12-31', interval '1 day') sold_on, generate_series(1, 130) tour
"""
# Notes every figure that the bar shows, as htmx swaps it in.
WATCH = """() => {
    window.seen = [];
    const look = () => {
        const bar = document.querySelector("#export progress");
        if (bar && bar.hasAttribute("value") && window.seen.at(-1) !== bar.value) window.seen.push(bar.value);
    };
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
    look();
}"""


@pytest.fixture
def two_busy_years(portal: RunningPortal) -> Iterator[None]:
    """Sales of two years long ago, so many that their file takes some seconds to write."""
    engine = create_engine(db.url_of(portal.services.postgres.url))
    with engine.begin() as connection:
        connection.execute(text(MANY_SALES))
    yield
    with engine.begin() as connection:
        connection.execute(text("delete from sales_days where brand like 'Tour %'"))
    engine.dispose()


def test_a_clerk_watches_a_long_file_grow(open_page: Open, two_busy_years: None) -> None:
    page = open_page()
    sign_in(page, "staff@example.com")
    page.goto("/admin?from=2018-01-01&to=2019-12-31")
    page.get_by_role("button", name="Write the file").click()
    page.wait_for_url("**/admin/exports/*")
    page.evaluate(WATCH)
    expect(page.locator("#export progress")).to_have_attribute("value", re.compile(r"^[1-9]\d$"), timeout=120_000)
    picture(page, "export-growing")
    expect(page.get_by_role("link", name=re.compile("^Save "))).to_be_visible(timeout=120_000)
    seen = page.evaluate("window.seen")
    between = [percent for percent in seen if 0 < percent < 100]
    assert len(between) >= 2
    assert between == sorted(set(between))
    expect(page.get_by_text("94,900 rows")).to_be_visible()


def test_the_jobs_page_and_the_bookings_list_are_at_hand(open_page: Open) -> None:
    page = open_page()
    sign_in(page, "admin@example.com")
    page.goto("/admin/jobs")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    picture(page, "jobs")
    page.goto("/admin/bookings")
    picture(page, "bookings")
    page.goto("/health-ui")
    picture(page, "health")


def test_a_traveller_does_not_get_into_the_back_office(open_page: Open) -> None:
    page = open_page()
    sign_in(page, "traveller@example.com")
    answer = page.goto("/admin")
    assert answer is not None
    assert answer.status == 403
    picture(page, "forbidden")

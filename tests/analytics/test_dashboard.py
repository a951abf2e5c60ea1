"""The dashboard is for staff, tells what bookings add up to, and answers wrong filters with a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from portal.kit import i18n
from portal.kit.settings import Settings
from tests import world
from tests.booking.makers import one

TOTAL = "select sum(total_minor) from bookings where status = 'confirmed'"
PART = {"HX-Request": "true", "HX-Request-Type": "partial"}


def slice_minor(origin: str) -> int:
    due = (
        "select sum(c.amount_minor) from charges c join booking_slices s on s.booking_id = c.booking_id and s.position"
    )
    found = one(
        f"{due} = c.slice_position join bookings b on b.id = c.booking_id where b.status = 'confirmed' and origin = :o",
        o=origin,
    )
    assert isinstance(found, int)
    return found


def shown(page: str) -> list[str]:
    """Return the cells of the last table's sum row."""
    foot = re.findall(r"<tfoot>(.*?)</tfoot>", page, re.S)[-1]
    return re.findall(r'<td class="figure">(.*?)</td>', foot)


def test_it_is_for_staff_only(client: TestClient, signed_in: Callable[[str], TestClient]) -> None:
    guest = client.get("/admin")
    assert (guest.status_code, guest.headers["location"]) == (303, "/account/sign-in?next=%2Fadmin")
    assert signed_in("customer").get("/admin").status_code == 403
    assert client.post("/admin/exports", data={"format": "csv"}).status_code == 403
    assert signed_in("staff").get("/admin").status_code == 200
    assert signed_in("admin").get("/admin").status_code == 200


def test_it_shows_what_bookings_add_up_to_each_counted_once(sold: Settings, staff: TestClient) -> None:
    page = staff.get("/admin").text
    assert shown(page)[:3] == ["3", "5", i18n.price(int(str(one(TOTAL))), "USD")]
    assert "JFK → LAX" in page
    assert "LAX → JFK" in page


def test_a_route_narrows_to_its_own_slices(sold: Settings, staff: TestClient) -> None:
    page = staff.get("/admin", params={"route": "lax-jfk", "groupBy": "cabin"}).text
    assert shown(page)[:3] == ["1", "3", i18n.price(slice_minor("LAX"), "USD")]


@pytest.mark.parametrize(("filters", "passengers"), [({"cabin": "business"}, "1"), ({"brand": "Flex"}, "4")])
def test_cabin_and_fare_narrow(sold: Settings, staff: TestClient, filters: dict[str, str], passengers: str) -> None:
    assert shown(staff.get("/admin", params=filters).text)[1] == passengers


def test_load_factor_is_rpk_over_ask_of_the_days(sold: Settings, staff: TestClient) -> None:
    span = {"from": str(world.soon(-1)), "to": str(world.soon(3))}
    assert shown(staff.get("/admin", params=span).text)[-1] == f"{round(100 * 8 / 324, 1)} %"


def test_every_link_leads_to_a_page_that_works(sold: Settings, staff: TestClient) -> None:
    page = staff.get("/admin").text
    links = {unquote(link.replace("&amp;", "&")) for link in re.findall(r'href="(/admin\?[^"]*)"', page)}
    assert len(links) > 30
    for link in sorted(links)[:8] + [link for link in links if "route=" in link]:
        assert staff.get(link).status_code == 200


def test_htmx_gets_the_results_only(sold: Settings, staff: TestClient) -> None:
    part = staff.get("/admin?groupBy=day", headers=PART).text
    assert part.lstrip().startswith('<div id="report"')
    assert "<html" not in part


HOSTILE = [
    ({"from": "yesterday"}, "from", "Please give a date"),
    ({"from": "2026-11-20", "to": "2026-11-01"}, "to", "before the first"),
    ({"from": "2020-01-01", "to": "2026-11-01"}, "to", "at most two years"),
    ({"from": "0001-01-01"}, "from", "between 2000"),
    ({"to": "9999-12-31"}, "to", "between 2000"),
    ({"from": "1500000000"}, "from", "Please give a date"),
    ({"route": "JFK"}, "route", "by its two airports"),
    ({"route": "JFK-LAX' or 1=1"}, "route", "by its two airports"),
    ({"cabin": "hold"}, "cabin", "Please choose one of these"),
    ({"groupBy": "wisdom"}, "groupBy", "Please choose one of these"),
    ({"brand": "x" * 41}, "brand", "too long"),
    ({"currency": "DOLLARS"}, "currency", "three letters"),
]


@pytest.mark.parametrize(("filters", "field", "sentence"), HOSTILE)
def test_wrong_filters_are_answered_at_their_field_and_kept(
    staff: TestClient, filters: dict[str, str], field: str, sentence: str
) -> None:
    answer = staff.get("/admin", params=filters)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert f'href="#{field}"' in answer.text
    part = staff.get("/admin", params=filters, headers=PART)
    assert (part.status_code, sentence in part.text) == (422, True)


def test_what_was_typed_is_kept(staff: TestClient) -> None:
    page = staff.get("/admin", params={"from": "2026-11-20", "to": "2026-11-01", "brand": "Flex"}).text
    assert 'value="2026-11-01"' in page
    assert '<option value="Flex" selected>' in page


def test_an_empty_span_says_so_and_leads_on(sold: Settings, staff: TestClient) -> None:
    page = staff.get("/admin?from=2001-01-01&to=2001-02-01")
    assert page.status_code == 200
    assert "Nothing was sold here" in page.text


def test_nothing_at_all_is_no_fault(staff: TestClient) -> None:
    assert staff.get("/admin?brand=%3Cscript%3Ealert(1)%3C/script%3E").status_code == 200
    assert "<script>alert" not in staff.get("/admin?brand=%3Cscript%3Ealert(1)%3C/script%3E").text

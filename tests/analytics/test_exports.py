"""Exports: whole, harmless in a spreadsheet, watched while they grow, and only for who asked."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from sqlalchemy import NullPool, create_engine, select, text
from sqlalchemy.exc import ProgrammingError
from starlette.testclient import TestClient

from portal.kit import db, outbox
from portal.kit.money import decimal_text
from portal.kit.settings import Settings
from tasks import handlers
from tasks.handlers import HANDLERS
from tests.analytics.conftest import roll_up
from tests.booking.makers import one


def ask(browser: TestClient, **form: str) -> str:
    answer = browser.post("/admin/exports", data=form)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def run(settings: Settings, attempts: int = 1) -> None:
    """Handle the newest letter that asks for an export, as a worker does."""
    with db.reading() as session:
        found = select(outbox.Letter).where(outbox.Letter.kind == "export.run").order_by(outbox.Letter.id.desc())
        letter = session.scalars(found.limit(1)).one()
    letter.attempts = attempts
    HANDLERS["export.run"](settings, letter)


def exported(browser: TestClient, settings: Settings, **form: str) -> bytes:
    address = ask(browser, **form)
    run(settings)
    answer = browser.get(f"{address}/file", headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    return bytes(answer.content)


def total(where: str = "true") -> str:
    minor = one(
        "select sum(c.amount_minor) from charges c join bookings b on b.id = c.booking_id join booking_slices s "
        f"on s.booking_id = b.id and s.position = c.slice_position where b.status = 'confirmed' and {where}"
    )
    return decimal_text(int(str(minor)), "USD")


def test_csv_adds_up_to_what_the_page_shows(sold: Settings, staff: TestClient) -> None:
    lines = list(csv.reader(io.StringIO(exported(staff, sold, report="sales", format="csv").decode())))
    header, *rows, sums, filters = lines
    assert header == ["Sold on", "Route", "Cabin", "Fare", "Bookings", "Passengers", "Currency", "Revenue"]
    assert sum(Decimal(row[-1]) for row in rows) == Decimal(sums[-1]) == Decimal(total())
    assert sums == ["Total", "", "", "", "3", "5", "USD", total()]
    assert f"{Decimal(total()):,}" in staff.get("/admin").text
    assert filters[0].startswith("from: ")


def test_xlsx_has_real_numbers_dates_and_a_sum(sold: Settings, staff: TestClient) -> None:
    book = openpyxl.load_workbook(io.BytesIO(exported(staff, sold, report="sales", format="xlsx", route="JFK-LAX")))
    rows: list[Any] = list(book["sales"].iter_rows(values_only=True))
    assert [type(cell).__name__ for cell in rows[1]] == ["datetime", "str", "str", "str", "int", "int", "str", "float"]
    assert round(sum(row[-1] for row in rows[1:-1]), 2) == rows[-1][-1] == float(total("s.origin = 'JFK'"))
    about = dict(book["About"].iter_rows(values_only=True))  # type: ignore[arg-type]  # two columns
    assert about["route"] == "JFK-LAX"


def test_json_holds_rows_and_totals(sold: Settings, staff: TestClient) -> None:
    whole = json.loads(exported(staff, sold, report="bookings", format="json", brand="Flex"))
    assert whole["filters"]["brand"] == "Flex"
    assert len(whole["rows"]) == 2
    assert whole["totals"][0]["revenue"] == {"amount": total("s.brand = 'Flex'"), "currency": "USD"}


@pytest.mark.parametrize("format_", ["csv", "xlsx", "json"])
def test_an_empty_export_is_a_whole_file(settings: Settings, staff: TestClient, format_: str) -> None:
    assert exported(staff, settings, report="sales", format=format_)


@pytest.mark.parametrize("evil", ['=HYPERLINK("http://x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(sold: Settings, staff: TestClient, evil: str) -> None:
    with db.writing() as session:
        session.execute(text("update passengers set given_name = :evil, family_name = ''"), {"evil": evil})
        session.execute(text("update bookings set contact_email = :evil"), {"evil": evil})
    raw = exported(staff, sold, report="bookings", format="csv").decode()
    cells = [cell for line in csv.reader(io.StringIO(raw, newline="")) for cell in line]
    assert any(evil.strip() in cell for cell in cells)
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    book = openpyxl.load_workbook(io.BytesIO(exported(staff, sold, report="bookings", format="xlsx")))
    assert {cell.data_type for row in book["bookings"].iter_rows() for cell in row} <= {"s", "n", "d"}


def test_more_rows_than_allowed_are_refused_and_nothing_is_cut(sold: Settings, staff: TestClient) -> None:
    address = ask(staff, report="sales", format="csv")
    run(replace(sold, analytics_max_export_rows=2))
    page = staff.get(address)
    assert "more than 2 rows" in page.text
    assert staff.get(f"{address}/file").status_code == 409
    assert one("select count(*) from export_chunks") == 0
    assert staff.post(f"{address}/retry").status_code == 303
    run(replace(sold, analytics_max_export_rows=3))
    assert staff.get(f"{address}/file").status_code == 200
    assert staff.post(f"{address}/retry").status_code == 409


def many(count: int) -> None:
    """Have many rows of roll-up, as years of sales leave them."""
    with db.writing() as session:
        session.execute(
            text(
                "insert into sales_days select current_date, 'JFK', 'LAX', 'economy', 'Brand ' || n, 'USD', 1, 1, 1 "
                "from generate_series(1, :count) n"
            ),
            {"count": count},
        )


def test_progress_moves_while_it_is_written(
    settings: Settings, staff: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(3000)
    address = ask(staff, report="sales", format="xlsx")
    assert "Waiting for its turn" in staff.get(address).text
    seen = []
    keep = handlers.analytics.keep_step

    def watched(*given: Any) -> None:
        keep(*given)
        given[0].commit()
        seen.append(one("select progress from exports"))
        if len(seen) == 3:
            page = staff.get(address).text
            assert "1,500 rows written" in page
            assert 'data-hx-trigger="every 1s"' in page

    monkeypatch.setattr(handlers.analytics, "keep_step", watched)
    run(settings)
    assert seen[:6] == [16, 33, 50, 66, 83, 99]
    assert one("select progress from exports") == 100
    assert "Your file is ready: 3,000 rows" in staff.get(address).text


def test_it_may_be_written_twice_and_is_whole_once(sold: Settings, staff: TestClient) -> None:
    first = exported(staff, sold, report="sales", format="csv")
    run(sold)
    with db.writing() as session:
        session.execute(text("update exports set state = 'running'"))  # its worker was lost before the end
    run(sold)
    address = str(one("select id from exports"))
    assert staff.get(f"/admin/exports/{address}/file").content == first


def test_what_keeps_failing_says_so_in_the_end(sold: Settings, staff: TestClient) -> None:
    address = ask(staff, report="sales", format="csv")
    with create_engine(sold.database_owner_url, poolclass=NullPool).begin() as owner:
        owner.execute(text("alter table sales_days rename to away"))
    with pytest.raises(ProgrammingError):
        run(sold)
    assert one("select state from exports") == "running"
    with pytest.raises(ProgrammingError):
        run(sold, outbox.MAX_ATTEMPTS)
    page = staff.get(address).text
    assert "tried again and again" in page
    assert f'action="{address}/retry"' in page


def test_only_its_asker_and_admins_see_it(sold: Settings, signed_in: Callable[[str], TestClient]) -> None:
    address = ask(signed_in("admin"), report="sales", format="csv")
    run(sold)
    staff = signed_in("staff")
    for door in (address, f"{address}/file"):
        assert staff.get(door).status_code == 404
    assert staff.post(f"{address}/retry").status_code == 404
    mine = ask(staff, report="sales", format="csv")
    assert signed_in("admin").get(mine).status_code == 200
    assert signed_in("customer").get(mine).status_code == 403


def test_who_asked_is_in_the_audit_trail(sold: Settings, staff: TestClient) -> None:
    ask(staff, report="bookings", format="csv")
    assert one("select count(*) from audit_entries where action = 'export.asked' and actor_id is not null") == 1


WRONG = [
    ({"format": "pdf"}, "/format", "not written as PDF"),
    ({"format": "exe"}, "/format", "csv, xlsx, json"),
    ({"report": "secrets"}, "/report", "sales, bookings"),
    ({"report": ""}, "/report", "sales, bookings"),
    ({"format": "csv", "from": "soon"}, "/from", "Please give a date"),
    ({"format": "csv", "userId": "1"}, "/userId", "not known here"),
]


@pytest.mark.parametrize(("body", "pointer", "sentence"), WRONG)
def test_programs_are_told_what_is_wrong(
    client: TestClient, token: Callable[[str], dict[str, str]], body: dict[str, str], pointer: str, sentence: str
) -> None:
    answer = client.post("/api/exports", json=body, headers=token("staff"))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert sentence in answer.json()["errors"][0]["detail"]


def test_programs_ask_wait_and_fetch(
    sold: Settings, client: TestClient, token: Callable[[str], dict[str, str]]
) -> None:
    headers = token("staff")
    asked = client.post("/api/exports", json={"report": "sales", "format": "csv"}, headers=headers)
    assert (asked.status_code, asked.json()["status"]) == (202, "waiting")
    address = asked.headers["location"]
    assert client.get(f"{address}/file", headers=headers).json()["code"] == "export_not_ready"
    run(sold)
    state = client.get(address, headers=headers).json()
    assert (state["status"], state["progress"], state["rows"]) == ("done", 100, 3)
    assert client.get(state["file"], headers=headers).text.splitlines()[-2].endswith(total())
    assert client.get(address).status_code == 401
    assert client.get(address, headers=token("customer")).status_code == 403


def test_roll_ups_that_are_redone_meanwhile_do_not_disturb_it(sold: Settings, staff: TestClient) -> None:
    first = exported(staff, sold, report="sales", format="csv")
    roll_up()
    assert exported(staff, sold, report="sales", format="csv") == first

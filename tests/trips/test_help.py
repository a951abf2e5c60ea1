"""The help page answers with the figures that the portal keeps to, and every problem's type leads to its line."""

from __future__ import annotations

from dataclasses import replace

from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import db
from portal.kit.settings import Settings
from portal.pricing.service import ensure_reference_rows, forget_books


def test_help_tells_the_real_hold_the_real_fares_and_the_real_address(settings: Settings) -> None:
    with db.writing() as session:
        ensure_reference_rows(session)
    forget_books()
    own = replace(settings, hold_minutes=23, support_email="help@airline.example")
    with TestClient(create_app(own)) as client:
        page = client.get("/help")
    assert page.status_code == 200
    for words in ("For 23 minutes", "help@airline.example", "Standard", "$75.00", "Business"):
        assert words in page.text
    forget_books()


def test_help_opens_before_any_fare_is_there(client: TestClient) -> None:
    forget_books()
    assert client.get("/help").status_code == 200


def test_the_type_of_a_problem_is_an_address_that_explains_it(client: TestClient) -> None:
    problem = client.get("/api/me").json()
    address, _, code = problem["type"].partition("#")
    page = client.get(address)
    assert page.status_code == 200
    assert f'id="{code}"' in page.text

"""The jobs page and its doors for programs: who may look, what is shown and what is not, retry and drop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import clock, db
from portal.kit.audit import AuditEntry
from portal.kit.outbox import Letter
from portal.kit.settings import Settings
from tests.staff.conftest import letter

SignIn = Callable[[str], TestClient]
Tokens = dict[str, dict[str, str]]


def state(letter_id: int) -> tuple[str, int]:
    with db.reading() as session:
        row = session.execute(select(Letter.state, Letter.attempts).where(Letter.id == letter_id)).one()
    return row[0], row[1]


def audited() -> list[AuditEntry]:
    with db.reading() as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.thing == "letter")))


def test_guests_sign_in_first_and_customers_are_refused(client: TestClient, signed_in: SignIn, dead: int) -> None:
    for path in ("/admin/jobs", "/admin/bookings"):
        assert client.get(path).headers["location"].startswith("/account/sign-in?next=%2Fadmin")
    assert client.post(f"/admin/jobs/{dead}/retry").status_code == 401
    customer = signed_in("customer")
    for path in ("/admin/jobs", "/admin/bookings"):
        assert customer.get(path).status_code == 403
    for verb in ("retry", "drop"):
        assert customer.post(f"/admin/jobs/{dead}/{verb}").status_code == 403
    assert state(dead) == ("dead", 8)


@pytest.mark.parametrize("role", ["staff", "admin"])
def test_staff_see_what_went_wrong_but_not_what_letters_carry(signed_in: SignIn, dead: int, role: str) -> None:
    page = signed_in(role).get("/admin/jobs")
    assert page.status_code == 200
    assert "SMTPRecipientsRefused: nobody &lt;there&gt;" in page.text
    assert "req-12345678" in page.text
    assert "secret@example.com" not in page.text
    assert f'action="/admin/jobs/{dead}/retry"' in page.text
    assert f'action="/admin/jobs/{dead}/drop"' in page.text


def test_the_figures_count_by_state_queue_and_kind(signed_in: SignIn, settings: Settings) -> None:
    now = clock.now()
    letter("waiting", "mail.x", queue="mail", next_try_at=now - timedelta(minutes=7))
    letter("waiting", "mail.x", queue="mail", next_try_at=now + timedelta(hours=1))
    letter("failed", "payment.refund", error="boom", next_try_at=now + timedelta(hours=1))
    letter("done", "holds.expire", done_at=now - timedelta(minutes=5))
    letter("done", "holds.expire", done_at=now - timedelta(hours=2))
    staff = signed_in("staff")
    part = staff.get("/admin/jobs", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert "<html" not in part
    assert "the oldest for <b>7 min</b>" in part
    stats = part.split('class="stat"')
    assert [number in block for number, block in zip((">2<", ">1<", ">1<", ">0<"), stats[1:], strict=True)] == [
        True
    ] * 4
    assert "mail.x" in staff.get("/admin/jobs?state=waiting").text
    assert "mail.x" not in staff.get("/admin/jobs?state=waiting&kind=other").text.split("By kind")[0]


def test_retry_gives_a_fresh_start_and_stands_in_the_audit(
    signed_in: SignIn, users: dict[str, object], dead: int
) -> None:
    staff = signed_in("staff")
    answer = staff.post(f"/admin/jobs/{dead}/retry", data={"state": "trouble"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/jobs?state=trouble")
    assert f"Job {dead} comes again now." in staff.get("/admin/jobs").text
    assert state(dead) == ("waiting", 0)
    entry = audited()[0]
    assert (entry.action, entry.thing_id, entry.actor_id) == ("letter.retried", str(dead), users["staff"])
    assert (entry.before or {})["state"] == "dead"
    assert (entry.after or {})["state"] == "waiting"
    again = staff.post(f"/admin/jobs/{dead}/retry")
    assert again.status_code == 303
    assert "needs no retry" in staff.get("/admin/jobs").text
    assert len(audited()) == 1


def test_drop_ends_a_letter_that_may_still_be_revived(signed_in: SignIn, dead: int) -> None:
    admin = signed_in("admin")
    admin.post(f"/admin/jobs/{dead}/drop")
    assert state(dead) == ("dropped", 8)
    assert "dropped" in admin.get("/admin/jobs").text
    assert f"/admin/jobs/{dead}/retry" in admin.get("/admin/jobs?state=dropped").text
    admin.post(f"/admin/jobs/{dead}/retry")
    assert state(dead) == ("waiting", 0)
    assert [entry.action for entry in audited()] == ["letter.dropped", "letter.retried"]


@pytest.mark.parametrize("number", ["0", "999999", "2147483648", "9" * 30])
def test_unknown_jobs_are_not_found(signed_in: SignIn, tokens: Tokens, number: str) -> None:
    client = signed_in("staff")
    assert client.post(f"/admin/jobs/{number}/retry").status_code == 404
    answer = client.post(f"/api/admin/jobs/{number}/drop", headers=tokens["staff"])
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")


@pytest.mark.parametrize("query", ["state=all", "cursor=x", "kind=" + "x" * 81, "cursor=" + "x" * 501, "kind=%00"])
def test_strange_questions_are_refused_in_words(signed_in: SignIn, query: str) -> None:
    assert signed_in("staff").get(f"/admin/jobs?{query}").status_code in (400, 422)


def test_a_long_list_is_read_page_by_page(signed_in: SignIn, settings: Settings) -> None:
    numbers = [letter("dead") for _ in range(53)]
    staff = signed_in("staff")
    first = staff.get("/admin/jobs").text
    following = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = staff.get(following).text
    shown = [number for number in numbers if f"/admin/jobs/{number}/drop" in second]
    assert shown == numbers[:3]
    assert f"/admin/jobs/{numbers[3]}/drop" in first


def test_the_page_is_also_where_the_settings_say(settings: Settings, signed_in: SignIn, dead: int) -> None:
    cookies = signed_in("staff").cookies
    with TestClient(
        create_app(replace(settings, jobs_dashboard_path="/inside/work")), follow_redirects=False
    ) as client:
        client.cookies.update(cookies)
        assert f'action="/inside/work/{dead}/retry"' in client.get("/inside/work").text
        assert client.get("/admin/jobs").status_code == 200
        assert client.get("/inside/workshop").status_code == 404
        assert client.post(f"/inside/work/{dead}/drop").headers["location"].startswith("/inside/work")
        assert state(dead)[0] == "dropped"


def test_programs_of_staff_list_retry_and_drop(client: TestClient, tokens: Tokens, dead: int) -> None:
    assert client.get("/api/admin/jobs").status_code == 401
    assert client.get("/api/admin/jobs", headers=tokens["customer"]).status_code == 403
    assert client.post(f"/api/admin/jobs/{dead}/retry").status_code == 401
    assert client.post(f"/api/admin/jobs/{dead}/retry", headers=tokens["customer"]).status_code == 403
    one = client.get("/api/admin/jobs?state=dead", headers=tokens["staff"]).json()["data"][0]
    assert (one["id"], one["state"], one["attempts"], one["key"]) == (dead, "dead", 8, "b-1")
    assert "payload" not in one
    dropped = client.post(f"/api/admin/jobs/{dead}/drop", headers=tokens["admin"])
    assert (dropped.status_code, dropped.json()["state"]) == (200, "dropped")
    twice = client.post(f"/api/admin/jobs/{dead}/drop", headers=tokens["admin"])
    assert (twice.status_code, twice.json()["code"]) == (409, "job_moved_on")
    assert client.post(f"/api/admin/jobs/{dead}/retry", headers=tokens["staff"]).json()["state"] == "waiting"
    assert len(audited()) == 2


def test_the_list_for_programs_is_read_to_its_end(client: TestClient, tokens: Tokens) -> None:
    made = [letter("dead") for _ in range(5)]
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        words = {"limit": "2", "state": "dead", **({"cursor": cursor} if cursor else {})}
        answer = client.get("/api/admin/jobs", params=words, headers=tokens["staff"]).json()
        seen += [one["id"] for one in answer["data"]]
        cursor = answer["nextCursor"]
    assert seen == made[::-1]
    for wrong in ("limit=0", "limit=201", "state=odd", "cursor=x", "other=1"):
        assert client.get(f"/api/admin/jobs?{wrong}", headers=tokens["staff"]).status_code == 422

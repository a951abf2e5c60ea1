"""One of everything that somebody may want to see without being asked in: made once, copied for each test."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from starlette.testclient import TestClient

from portal.accounts import service as accounts
from portal.accounts.forms import Registration
from portal.accounts.models import SignIn
from portal.app import create_app
from portal.booking.models import Booking
from portal.booking.told import paid_path
from portal.disruptions import service as disruptions
from portal.factors.models import Authenticator, Identity, Passkey, RememberedBrowser
from portal.flights.operations import Deed
from portal.kit import clock, db, grants, outbox
from portal.kit.money import Money
from portal.kit.settings import Settings
from portal.kit.validation import parse
from portal.payments import gateway
from portal.payments import service as payments
from portal.payments.models import Payment
from portal.payments.rules import Outcome
from portal.privacy import service as privacy
from portal.privacy.models import DataCopy
from portal.watches import told as watches
from tasks.handlers import HANDLERS
from tests import world
from tests.booking import makers
from tests.checkin import makers as desk
from tests.staff.conftest import letter

SECRET = "a quiet blue morning"
ROLES = {"owner": "customer", "other": "customer", "clerk": "staff", "staff": "staff", "admin": "admin"}
Facts = dict[str, Any]


def furnish(settings: Settings) -> Facts:
    """Fill the database; returns the words that addresses are filled with, and everybody's cookies and tokens."""
    facts: Facts = {}
    with db.writing() as session:
        for who, role in ROLES.items():
            accounts.create_user(session, parse(Registration, person(who)), role=role)
    with TestClient(create_app(settings), follow_redirects=False) as client:
        facts["cookies"] = {who: signed_in(client, who) for who in ROLES}
        facts["tokens"] = {who: token(client, who) for who in ROLES}
        client.cookies.clear()
        facts |= _bookings(settings)
        facts |= _after_sale(settings, client, facts)
        facts |= _wishes(settings, client, facts)
        facts |= _office(settings, client, facts)
        facts |= _keys(settings, client, facts)
    return facts


def person(who: str) -> dict[str, str]:
    """Return the registration of somebody."""
    name = {"email": f"{who}@example.com", "firstName": who.title(), "lastName": "Wood"}
    return {**name, "password": SECRET, "confirmPassword": SECRET}


def signed_in(client: TestClient, who: str) -> dict[str, str]:
    """Return the cookies of somebody's browser."""
    client.cookies.clear()
    answer = client.post("/account/sign-in", data={"email": f"{who}@example.com", "password": SECRET})
    assert answer.status_code == 303, answer.text
    return dict(client.cookies)


def token(client: TestClient, who: str) -> dict[str, str]:
    """Return the headers of somebody's program."""
    answer = client.post("/api/auth/login", json={"email": f"{who}@example.com", "password": SECRET})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['accessToken']}"}


def owned(booking: Booking, by: str = "owner@example.com") -> str:
    """Make the booking somebody's, the owner's if nobody else is named; returns its reference."""
    with db.writing() as session:
        statement = "update bookings set user_id = (select id from users where email = :mail) where id = :id"
        session.execute(text(statement), {"mail": by, "id": booking.id})
    return booking.reference


def _bookings(settings: Settings) -> Facts:
    flights = [makers.flight(number=number, on=world.soon(30)) for number in (101, 102, 103, 104)]
    offers = [makers.offer(settings, one, brand="Flex") for one in flights]
    held, paying = makers.named(settings, offers[0]), makers.named(settings, offers[0])
    payment = makers.begun(paying)
    with db.writing() as session:
        order = payments.order(_payment(session, payment), description="words", return_path="/back")
    page = gateway.start(settings, order)
    later, changing, correcting = (makers.confirmed(settings, offers[1]) for _ in range(3))
    told = makers.confirmed(settings, offers[2])
    leaving = desk.paid(settings, desk.leaving(number=201))
    checked = desk.check_in(leaving)
    with db.writing() as session:
        disruptions.close(session, flights[2].id, actor_id=None)
    with db.writing() as session:
        deed = Deed("delay", "Fog at the airport", minutes=300)
        change = disruptions.carry_out(session, flights[2].id, deed, actor_id=None)
    with db.writing() as session:
        disruptions.tell_some(session, change)
    return {
        **{name: owned(one) for name, one in {"held": held, "paying": paying, "later": later}.items()},
        **{name: owned(one) for name, one in {"told": told, "leaving": leaving, "changing": changing}.items()},
        "correcting": owned(correcting),
        "offer": offers[3],
        "payment": payment,
        "charge": str(page.action_url).rsplit("/", 1)[-1],
        "check_in": checked[0].id,
        "change": makers.one("select id from affected_bookings where booking_id = :id", id=told.id),
        "flight": flights[3].public_id,
        "gate": makers.one("select public_id from flights where number = 201"),
        "paid": paid_path(settings, payment).rsplit("/", 1)[-1],
        "link": grants.link(settings, later.reference, f"/bookings/{later.reference}").rsplit("/", 1)[-1],
    }


def _payment(session: Any, payment_id: UUID) -> Any:
    return session.get_one(Payment, payment_id)


def _after_sale(settings: Settings, client: TestClient, facts: Facts) -> Facts:
    """Ask for quotes as the owner's program, and for the receipt as their browser."""
    owner, base = facts["tokens"]["owner"], f"/api/bookings/{facts['later']}"
    receipt = client.get(f"{base}/receipt.pdf", headers=owner)
    assert receipt.status_code == 200, receipt.text

    def quote(reference: str, kind: str, wish: Facts) -> str:
        quoted = client.post(f"/api/bookings/{reference}/{kind}", json=wish, headers=owner)
        assert quoted.status_code == 201, quoted.text
        return str(quoted.json()["id"])

    someone = client.get(f"/api/bookings/{facts['correcting']}", headers=owner).json()["passengers"][0]["id"]
    other = {"sliceIndex": 0, "offerId": facts["offer"].token}
    return {
        "quote": quote(facts["later"], "cancellations", {}),
        "change_quote": quote(facts["changing"], "changes", other),
        "correction_quote": quote(
            facts["correcting"], "corrections", {"passengerId": someone, "givenName": "Annaa", "familyName": "Smyth"}
        ),
        "paper": makers.one("select number from sale_papers limit 1"),
    }


def _wishes(settings: Settings, client: TestClient, facts: Facts) -> Facts:
    owner = facts["tokens"]["owner"]
    traveller = {"givenName": "Robin", "familyName": "Wood", "dateOfBirth": "1990-05-01"}
    saved = client.post("/api/me/travellers", json=traveller, headers=owner).json()
    full = makers.flight(number=301, at=time(9, 0), seats=1)
    makers.held(settings, makers.offer(settings, full))
    mail = {"email": "owner@example.com"}
    wait = client.post("/api/me/waits", json={"flightId": str(full.public_id), **mail}, headers=owner)
    assert wait.status_code == 201, wait.text
    below = {"amount": "50.00", "currency": "USD"}
    market = {"origin": "JFK", "destination": "LAX", "departureDate": str(world.soon()), "below": below, **mail}
    alert = client.post("/api/me/alerts", json=market, headers=owner)
    assert alert.status_code == 201, alert.text
    ids = wait.json()["id"], alert.json()["id"]
    urls = watches.wait_url(settings, UUID(ids[0])), watches.alert_url(settings, UUID(ids[1]))
    waits, alerts = (url.rsplit("/", 1)[-1] for url in urls)
    return {"traveller": saved["id"], "wait": ids[0], "alert": ids[1], "wait_link": waits, "alert_link": alerts}


def _office(settings: Settings, client: TestClient, facts: Facts) -> Facts:
    export = client.post("/api/exports", json={"report": "sales", "format": "csv"}, headers=facts["tokens"]["clerk"])
    assert export.status_code == 202, export.text
    with db.reading() as session:
        asked = session.scalars(select(outbox.Letter).where(outbox.Letter.kind == "export.run")).one()
    HANDLERS["export.run"](settings, asked)
    return {
        "export": export.json()["id"],
        "job": letter("dead"),
        "refund": _refused_refund(settings),
        "review": _too_little(settings),
        "promotion": _promotion(client, facts["tokens"]["admin"]),
        "price": makers.one("select min(id) from taxes"),
    }


def _promotion(client: TestClient, admin: dict[str, str]) -> str:
    wish = {"code": "SPRING", "label": "Spring", "kind": "percent", "amount": "10", "saleFrom": "2026-11-01"}
    made = client.post("/api/admin/promotions", json=wish, headers=admin)
    assert made.status_code == 201, made.text
    return "SPRING"


def _refused_refund(settings: Settings) -> object:
    """Return a refund that the gateway refused: the seat was gone when the money came, and the charge is unknown."""
    offer = makers.offer(settings, makers.flight(number=401, seats=1))
    late = makers.named(settings, offer)
    payment = makers.begun(late)
    makers.lapse(late)
    makers.held(settings, offer)
    makers.settled(payment)
    with db.writing() as session:
        return session.scalar(
            text("update refunds set state = 'failed' where payment_id = :id returning id"), {"id": payment}
        )


def _keys(settings: Settings, client: TestClient, facts: Facts) -> Facts:
    """Give the owner one of every key and trace that an account may have; everybody has just proved who they are."""
    wish = {"name": "Nightly export", "scopes": ["bookings:read"]}
    key = client.post("/api/me/keys", json=wish, headers=facts["tokens"]["owner"])
    assert key.status_code == 201, key.text
    soon = clock.now() + timedelta(days=1)
    with db.writing() as session:
        owner = session.scalar(text("select id from users where email = 'owner@example.com'"))
        passkey = Passkey(user_id=owner, credential_id=b"x", public_key=b"x", sign_count=0, transports=[], name="Phone")
        passkey.synced = False
        browser = RememberedBrowser(user_id=owner, fingerprint="x", agent="Firefox", expires_at=soon)
        identity = Identity(user_id=owner, issuer="https://id.example", subject="x", email="owner@example.com")
        device = SignIn(user_id=owner, fingerprint="x", expires_at=soon)
        copy = DataCopy(user_id=owner, state="ready", progress=100, content=b"{}", ready_at=clock.now())
        app = Authenticator(user_id=owner, secret=b"x", name="Phone", last_step=0)
        session.add_all([passkey, browser, identity, device, copy, app])
        session.execute(text("update sign_ins set proved_at = now() + interval '6 hours'"))
        session.flush()
        family = session.scalar(text("select family from refresh_tokens where user_id = :id limit 1"), {"id": owner})
        made = {"passkey": passkey.id, "browser": browser.id, "identity": identity.id, "device": device.id}
        file = privacy.file_link(settings, copy.id).partition("?")[2]
        return {**made, "copy": copy.id, "copy_file": file, "program": family, "key": key.json()["id"]}


def _too_little(settings: Settings) -> UUID:
    """Return a payment of which the gateway says that it took another sum."""
    payment = makers.begun(makers.named(settings, makers.offer(settings, makers.flight(number=402))))
    with db.writing() as session:
        payments.record(session, payment, Outcome("succeeded", f"ch_{payment}", taken=Money(777, "EUR")))
    return payment

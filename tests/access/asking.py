"""How any address is asked as anybody: what fills it, what is sent along, and what the answer means."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit import db
from portal.kit.settings import Settings
from tests.access.furnished import Facts

# What fills an address: the first line whose start fits the path. A new route whose parameters no line knows fails.
WHERE: tuple[tuple[str, dict[str, str]], ...] = (
    (r"(/api)?/book(ings)?/{reference}/payments", {"reference": "paying", "payment_id": "payment"}),
    (r"/api/bookings/{reference}/extensions", {"reference": "held"}),
    (r"/book/", {"reference": "held"}),
    (r"(/api)?/bookings/{reference}/(check-in|boarding)", {"reference": "leaving", "id": "check_in"}),
    (r"(/api)?/bookings/{reference}/(changes-by|carrier-)", {"reference": "told", "id": "change"}),
    (r"/api/bookings/{reference}/changes/", {"reference": "changing", "amendment_id": "change_quote"}),
    (r"/api/bookings/{reference}/corrections/", {"reference": "correcting", "amendment_id": "correction_quote"}),
    (r"(/api)?/bookings/", {"reference": "later", "amendment_id": "quote", "number": "paper"}),
    (r"/sandbox-pay/", {"charge": "charge"}),
    (r"/links/", {"token": "link"}),
    (r"/paid/", {"token": "paid"}),
    (r"/waiting-list/", {"token": "wait_link"}),
    (r"/fare-alerts/", {"token": "alert_link"}),
    (r"/account/security/passkeys/", {"id": "passkey"}),
    (r"/account/security/browsers/", {"id": "browser"}),
    (r"/account/security/identities/", {"id": "identity"}),
    (r"/account/devices/", {"id": "device"}),
    (r"/account/privacy/copies/", {"id": "copy"}),
    (r"/account/api-keys/programs/", {"id": "program"}),
    (r"/account/api-keys/|/api/me/keys/", {"id": "key"}),
    (r"/account/travellers/|/api/me/travellers/", {"id": "traveller"}),
    (r"/account/watches/waits/|/api/me/waits/", {"id": "wait"}),
    (r"/account/watches/alerts/|/api/me/alerts/", {"id": "alert"}),
    (r"(/api)?(/admin)?/exports/", {"id": "export"}),
    (r"(/api)?/admin/jobs/", {"id": "job"}),
    (r"(/api)?/admin/payments/refunds/", {"id": "refund"}),
    (r"(/api)?/admin/payments/reviews/", {"id": "review"}),
    (r"/admin/prices/", {"table": "=taxes", "row": "price"}),
    (r"(/api)?/admin/promotions/", {"code": "promotion"}),
    (r"(/api)?/admin/flights/|/api/flights/", {"publicId": "flight", "flightId": "flight"}),
    (r"/admin/boarding/|/api/boarding/", {"id": "gate"}),
    (r"/api/airports/", {"code": "=JFK"}),
    (r"/dev/mail/", {"id": "=letter", "index": "=0"}),
)
# What an address is asked with, where its key is not all in the path.
WITH = {"/account/privacy/copies/{id}/file": "copy_file"}
# What must be sent for a door to look whose the thing is; everywhere else an empty body comes as far as that.
NOBODY = "3f0c5c3e-6a5e-4a0e-9d57-0f4c6ad1b2ce"
TRAVELLER = {"givenName": "Robin", "familyName": "Wood", "dateOfBirth": "1990-05-01"}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/bookings/{reference}/payments"): {
        "method": "card",
        "token": "tok_visa",
        "amount": {"amount": "1.00", "currency": "USD"},
    },
    ("POST", "/api/bookings/{reference}/changes"): {"sliceIndex": 0, "offerId": "x" * 40},
    ("POST", "/api/bookings/{reference}/corrections"): {"passengerId": NOBODY, "familyName": "Wood"},
    ("PUT", "/api/bookings/{reference}/contact"): {"email": "someone@example.com"},
    ("PUT", "/api/bookings/{reference}/seats"): [{"passengerId": NOBODY, "flightId": NOBODY, "seat": None}],
    ("PUT", "/api/bookings/{reference}/extras"): [],
    ("POST", "/api/bookings/{reference}/check-ins"): [{"passengerId": NOBODY, "flightId": NOBODY}],
    ("POST", "/api/bookings/{reference}/carrier-changes/{id:uuid}"): {"choice": "accept"},
    ("POST", "/bookings/{reference}/changes-by-airline"): lambda facts: {"change": str(facts["change"])},
    ("POST", "/account/security/passkeys/{id}/name"): {"name": "Telephone"},
    ("PUT", "/api/me/travellers/{id}"): TRAVELLER,
    ("POST", "/account/travellers/{id}"): TRAVELLER,
}
# The owner comes last: what they do may be done once only.
PEOPLE = ("guest", "other", "staff", "admin", "owner")
MAIL = b"From: a@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=x.pdf\r\n\r\nx\r\n--b--\r\n"  # noqa: E501 – one letter


def address(path: str, facts: Facts) -> str:
    """Return the route's path with what is really there; fails for a parameter that nothing is known of."""
    if "{" not in path:
        return path
    names = next((names for start, names in WHERE if re.match(start, path)), {})

    def fill(found: re.Match[str]) -> str:
        name = names.get(found[1])
        assert name, f"Say in WHERE what fills {{{found[1]}}} of {path}, and make one in tests/access/furnished.py."
        return name[1:] if name.startswith("=") else str(facts[name])

    asked = f"?{facts[WITH[path]]}" if path in WITH else ""
    return re.sub(r"{(\w+)(?::\w+)?}", fill, path) + asked


class Asker:
    """Asks one address after another, as anybody, and notes when an answer may have changed something."""

    def __init__(self, settings: Settings, facts: Facts, *, renew: Callable[[], None]) -> None:
        self.settings, self.facts, self.renew, self.changed = settings, facts, renew, True
        self.running = ExitStack()
        Path(settings.mail_dir, "letter.eml").write_bytes(MAIL)

    def tidy(self) -> None:
        """Put everything in its place again, if it may have been moved."""
        if self.changed:
            self.close()
            self.renew()
            db.connect(self.settings)
            self.running.callback(db.disconnect)
            app = create_app(self.settings)
            self.client = self.running.enter_context(
                TestClient(app, follow_redirects=False, raise_server_exceptions=False)
            )
            self.changed = False

    def close(self) -> None:
        """Let go of the database."""
        self.running.close()

    def ask(self, who: str, method: str, path: str, *, where: str | None = None) -> httpx2.Response:
        """Return the answer to a real person, with the body that the address wants, or none."""
        self.client.cookies.clear()
        at, api = where or address(path, self.facts), path.startswith("/api/")
        if not api:
            self.client.cookies.update(self.facts["cookies"].get(who, {}))
        headers = self.facts["tokens"].get(who, {}) if api else {}
        answer = self.client.request(method, at, headers=headers, **self._body(method, path))
        self.changed |= method not in ("GET", "HEAD") and answer.status_code < 400
        return answer

    def _body(self, method: str, path: str) -> dict[str, Any]:
        if method in ("GET", "HEAD"):
            return {}
        form = "data" if not path.startswith("/api/") else "json"
        body = BODIES.get((method, path), {})
        return {form: body(self.facts) if callable(body) else body}


def told(answer: httpx2.Response) -> str:
    """Return the answer in the table's words."""
    if answer.status_code == 401 or answer.headers.get("location", "").startswith("/account/sign-in?next="):
        return "sign-in"
    return str(answer.status_code) if answer.status_code in (403, 404) or answer.status_code >= 500 else "in"

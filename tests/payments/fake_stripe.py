"""A small Stripe of our own: a real HTTP server that speaks what the portal uses of Stripe's API, and can misbehave.

It keeps idempotency keys as Stripe does (same key and parameters: the first answer again; other parameters: an error),
signs its webhooks, and has a page where a payer pays. `moods` says how the next calls of an operation go: "silent" (no
answer in time, though it is done), "broken" (503, nothing done), "nonsense" (no JSON), "refuses" (400).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY, SECRET = "sk_test_made_up_for_trials", "whsec_made_up_for_trials"
PLACES = (
    ("POST", r"/v1/checkout/sessions", "create"),
    ("GET", r"/v1/checkout/sessions/(\w+)", "retrieve"),
    ("POST", r"/v1/checkout/sessions/(\w+)/expire", "expire"),
    ("POST", r"/v1/refunds", "refund"),
    ("GET", r"/v1/refunds/(\w+)", "refund_retrieve"),
    ("GET", r"/v1/payment_intents/(\w+)", "intent"),
    ("GET", r"/pay/(\w+)", "page"),
    ("POST", r"/pay/(\w+)", "pay_page"),
)


class FakeStripe:
    """Stripe's memory; `url` is where it listens."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.intents: dict[str, str] = {}
        self.calls: list[tuple[str, dict[str, str], str]] = []
        self.moods: dict[str, list[str]] = defaultdict(list)
        self.refund_state = "succeeded"
        self._answers: dict[str, tuple[dict[str, str], int, dict[str, Any]]] = {}
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeStripe:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, operation: str, name: str, given: dict[str, str], key: str) -> tuple[int, dict[str, Any]]:
        """Do one call and return status and body; the same key with the same parameters answers the same."""
        with self._lock:
            self.calls.append((operation, given, key))
            if key and key in self._answers:
                known = self._answers[key]
                if known[0] != given:
                    return 400, _error("idempotency_error", "Keys for idempotent requests can only be used with ...")
                return known[1], known[2]
            status, body = getattr(self, f"_{operation}")(name, given)
            if key:
                self._answers[key] = (given, status, dict(body))
            return status, body

    def _create(self, _: str, given: dict[str, str]) -> tuple[int, dict[str, Any]]:
        price = "line_items[0][price_data]"
        name = (
            f"cs_test_{len(self.sessions) + 1}{hashlib.sha256(given['client_reference_id'].encode()).hexdigest()[:8]}"
        )
        self.sessions[name] = {
            "id": name,
            "object": "checkout.session",
            "status": "open",
            "payment_status": "unpaid",
            "amount_total": int(given[f"{price}[unit_amount]"]) * int(given["line_items[0][quantity]"]),
            "currency": given[f"{price}[currency]"],
            "client_reference_id": given["client_reference_id"],
            "payment_intent": None,
            "metadata": {},
            "url": f"{self.url}/pay/{name}",
            "success_url": given["success_url"],
        }
        return 200, self.sessions[name]

    def _retrieve(self, name: str, _: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if name not in self.sessions:
            return 404, _error("invalid_request_error", f"No such checkout session: {name}")
        return 200, self.sessions[name]

    def _expire(self, name: str, _: dict[str, str]) -> tuple[int, dict[str, Any]]:
        session = self.sessions[name]
        if session["status"] != "open":
            return 400, _error(
                "invalid_request_error", "Only Checkout Sessions with a status in [open] can be expired."
            )
        session.update(status="expired", url=None)
        return 200, session

    def _refund(self, _: str, given: dict[str, str]) -> tuple[int, dict[str, Any]]:
        intent, amount = given["payment_intent"], int(given["amount"])
        session = next(one for one in self.sessions.values() if one["payment_intent"] == intent)
        gone = [one for one in self.refunds.values() if one["payment_intent"] == intent and one["status"] != "failed"]
        back = sum(one["amount"] for one in gone)
        if amount <= 0 or back + amount > session["amount_total"]:
            return 400, _error("invalid_request_error", "Refund amount is greater than unrefunded amount on charge")
        name = f"re_test_{len(self.refunds) + 1}"
        self.refunds[name] = {
            "id": name,
            "object": "refund",
            "amount": amount,
            "payment_intent": intent,
            "status": self.refund_state,
            "metadata": {"refund_id": given["metadata[refund_id]"]},
        }
        return 200, self.refunds[name]

    def _refund_retrieve(self, name: str, _: dict[str, str]) -> tuple[int, dict[str, Any]]:
        return 200, self.refunds[name]

    def _intent(self, name: str, _: dict[str, str]) -> tuple[int, dict[str, Any]]:
        return 200, {"id": name, "object": "payment_intent", "status": self.intents[name]}

    def pay_later(self, name: str) -> str:
        """Let the payer choose a bank debit, whose money comes days later or not; return the intent's name."""
        with self._lock:
            session, intent = self.sessions[name], f"pi_{name}"
            session.update(status="complete", payment_status="unpaid", payment_intent=intent, url=None)
            self.intents[intent] = "processing"
            return intent

    def pay(self, name: str, **otherwise: Any) -> None:
        """Let the payer pay on the page; `otherwise` makes the bank take something else than was asked."""
        with self._lock:
            session = self.sessions[name]
            assert session["status"] == "open"
            session.update(status="complete", payment_status="paid", payment_intent=f"pi_{name}", url=None, **otherwise)

    def event(self, name: str, *, kind: str = "checkout.session.completed", event_id: str = "", age: int = 0) -> Any:
        """Return body and headers of a signed webhook about a session or a refund, sent `age` seconds ago."""
        thing = self.sessions.get(name) or self.refunds.get(name) or {"object": "price", "id": name}
        body = {"id": event_id or f"evt_{kind}_{name}", "object": "event", "type": kind, "data": {"object": thing}}
        return sign(json.dumps(body).encode(), age=age)


def sign(body: bytes, *, age: int = 0, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers that Stripe sends with it."""
    at = int(time.time()) - age
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"Stripe-Signature": f"t={at},v1={mac}", "Content-Type": "application/json; charset=utf-8"}


def _error(kind: str, words: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": words}}


def _handler(fake: FakeStripe) -> type[BaseHTTPRequestHandler]:  # noqa: C901 – one class, bound to one Stripe
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._do("GET")

        def do_POST(self) -> None:
            self._do("POST")

        def _do(self, method: str) -> None:
            path = urlsplit(self.path).path
            given = dict(parse_qsl(self.rfile.read(int(self.headers.get("content-length") or 0)).decode()))
            for verb, place, operation in PLACES:
                if verb == method and (found := re.fullmatch(place, path)):
                    name = found[1] if found.re.groups else ""
                    if operation in ("page", "pay_page"):
                        self._page(name, pays=operation == "pay_page")
                    else:
                        self._api(operation, name, given)
                    return
            self._say(404, b"{}")

        def _api(self, operation: str, name: str, given: dict[str, str]) -> None:
            assert self.headers["authorization"] == f"Bearer {KEY}"
            mood = fake.moods[operation].pop(0) if fake.moods[operation] else ""
            if mood == "broken":
                return self._say(503, json.dumps(_error("api_error", "try again")).encode())
            if mood == "refuses":
                return self._say(400, json.dumps(_error("invalid_request_error", "Stripe says no to this.")).encode())
            if mood == "nonsense":
                return self._say(200, b"<html>a proxy's page</html>")
            status, body = fake.answer(operation, name, given, self.headers.get("idempotency-key") or "")
            if mood == "silent":
                time.sleep(1.5)
            return self._say(status, json.dumps(body).encode())

        def _page(self, name: str, *, pays: bool) -> None:
            if pays:
                fake.pay(name)
                self.send_response(303)
                self.send_header("Location", fake.sessions[name]["success_url"])
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._say(200, b"<title>Stripe</title><form method=post><button>Pay</button></form>", "text/html")

        def _say(self, status: int, body: bytes, kind: str = "application/json") -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # The caller has hung up.

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing on the terminal."""

    return Handler

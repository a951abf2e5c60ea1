"""A traveller who does whatever comes to mind through the API, remembers what was promised, and never gives up."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests import world

NAMES = ("Anna", "Ben", "Chloé", "Dmitri", "Émile", "Fatima", "Güneş", "Hana")
BORN = {"adult": "1985-05-17", "child": "2018-02-28", "infant": "2026-02-28"}
CARDS = ("tok_visa",) * 7 + ("tok_declined", "tok_insufficient", "tok_timeout")
WAYS = (("JFK", "LAX"), ("LAX", "JFK"), ("JFK", "ORD"), ("ORD", "LAX"))
REFUSALS = {400, 401, 402, 403, 404, 409, 422, 429}


class Wrong(AssertionError):
    """An answer that the portal must never give."""


@dataclass
class Trip:
    """A booking as its traveller remembers it."""

    reference: str
    headers: dict[str, str]
    seen: dict[str, Any] = field(default_factory=dict)
    told_paid: bool = False
    told_cancelled: bool = False


class Budget:
    """How many actions all travellers may still do together."""

    def __init__(self, actions: int) -> None:
        self.left = actions
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            self.left -= 1
            return self.left >= 0


class Traveller(threading.Thread):
    """Draws one action after the other from its own random numbers until the budget is used up."""

    def __init__(self, address: str, name: str, *, seed: str, budget: Budget) -> None:
        super().__init__(name=name, daemon=True)
        self._dice = random.Random(f"{seed}/{name}")
        self._client = httpx2.Client(base_url=address, timeout=20)
        self._budget = budget
        self._count = 0
        self.trips: list[Trip] = []
        self.did: Counter[str] = Counter()
        self.trouble: Exception | None = None

    def run(self) -> None:
        try:
            while self._budget.take():
                self._act()
        except Exception as trouble:
            self.trouble = trouble
        finally:
            self._client.close()

    def _act(self) -> None:
        open_trips = [trip for trip in self.trips if not trip.told_cancelled][-6:]
        if not open_trips or self._dice.random() < 0.25:
            return self._hold()
        trip = self._dice.choice(open_trips)
        if trip.seen["status"] == "held" and self._dice.random() < 0.5:
            return self._pay(trip)
        act = self._dice.choices(
            (self._pay, self._cancel, self._change, self._seats, self._extras, self._check_in, self._correct),
            (6, 2, 2, 2, 1, 2, 1),
        )[0]
        return act(trip)

    # ── one action each ─────────────────────────────────────────────────────────────────────────────────

    def _hold(self) -> None:
        party = self._dice.choice(
            (
                ("adult",),
                ("adult", "adult"),
                ("adult", "child"),
                ("adult", "infant"),
                ("adult", "adult", "child", "infant"),
            )
        )
        origin, destination = self._dice.choice(WAYS)
        days = self._dice.choice((0, 1, 1, 30))
        ways = [(origin, destination, self._day(days))]
        if self._dice.random() < 0.4 and days:
            ways.append((destination, origin, self._day(days + 7)))
        offers = [self._offer(*way, party=party) for way in ways]
        if None in offers:
            return self._done("hold", "nothing found")
        travellers = [self._person(kind) for kind in party]
        body = {"offerIds": offers, "contact": {"email": f"{self.name}@example.com"}, "passengers": travellers}
        answer = self._say("POST", "/api/bookings", json=body)
        self._done("hold", answer)
        if answer.status_code == 201:
            made = answer.json()
            token = {"Authorization": f"Bearer {made['bookingToken']}"}
            self.trips.append(Trip(made["reference"], token, made))
        return None

    def _pay(self, trip: Trip) -> None:
        if (seen := self._look(trip)) is None or float(seen["balance"]["amount"]) <= 0:
            return self._done("pay", "nothing due")
        body = {"method": "card", "token": self._dice.choice(CARDS), "amount": seen["balance"]}
        answer = self._say("POST", f"/api/bookings/{trip.reference}/payments", json=body, headers=trip.headers)
        self._done("pay", answer)
        if answer.status_code == 201 and answer.json()["status"] == "succeeded" and seen["status"] == "held":
            trip.told_paid = True
            self._look(trip)
        return None

    def _cancel(self, trip: Trip) -> None:
        body: dict[str, Any] = {}
        seen = trip.seen
        draw = self._dice.random()
        if draw < 0.6 and len(seen["passengers"]) > 1:
            body["passengerIds"] = [self._dice.choice(seen["passengers"])["id"]]
        if 0.3 < draw < 0.8 and len(seen["slices"]) > 1:
            body["sliceIndexes"] = [self._dice.randrange(len(seen["slices"]))]
        self._quote_and_confirm(trip, "cancellations", body)

    def _change(self, trip: Trip) -> None:
        if not (slices := trip.seen["slices"]):
            return
        index = self._dice.randrange(len(slices))
        ends = slices[index]["segments"]
        people = [one for one in trip.seen["passengers"] if not one["cancelled"]]
        party = [one["type"] for one in people if index not in one["notFlying"]]
        if not party:
            return
        day = self._day(self._dice.choice((1, 30)) + 7 * index)
        offer = self._offer(ends[0]["origin"]["code"], ends[-1]["destination"]["code"], day, party=tuple(party))
        if offer:
            self._quote_and_confirm(trip, "changes", {"sliceIndex": index, "offerId": offer})

    def _quote_and_confirm(self, trip: Trip, what: str, body: dict[str, Any]) -> None:
        at = f"/api/bookings/{trip.reference}/{what}"
        answer = self._say("POST", at, json=body, headers=trip.headers)
        self._done(f"quote {what}", answer)
        if answer.status_code == 201 and self._dice.random() < 0.7:
            answer = self._say("POST", f"{at}/{answer.json()['id']}/confirm", headers=trip.headers)
            self._done(what, answer)
            self._look(trip)

    def _seats(self, trip: Trip) -> None:
        segments = [one for piece in trip.seen["slices"] for one in piece["segments"]]
        seated = [one for one in trip.seen["passengers"] if one["type"] != "infant"]
        if not segments or not seated:
            return
        flight = self._dice.choice(segments)["flightId"]
        wishes = [
            {"passengerId": one["id"], "flightId": flight, "seat": f"{self._dice.randint(4, 9)}{letter}"}
            for one, letter in zip(seated, self._dice.sample("ABCDEF", len(seated)), strict=True)
        ]
        answer = self._say("PUT", f"/api/bookings/{trip.reference}/seats", json=wishes, headers=trip.headers)
        self._done("seats", answer)

    def _extras(self, trip: Trip) -> None:
        at = f"/api/bookings/{trip.reference}/extras"
        answer = self._say("GET", at, headers=trip.headers)
        segments = [one for piece in trip.seen["slices"] for one in piece["segments"]]
        if answer.status_code != 200 or not segments or not (offered := answer.json()["products"]):
            return self._done("extras", answer)
        one = self._dice.choice(offered)
        wish = {"code": one["code"], "passengerId": self._dice.choice(trip.seen["passengers"])["id"], "quantity": 1}
        if one["per"] != "trip":
            wish["flightId"] = self._dice.choice(segments)["flightId"]
        answer = self._say("PUT", at, json=[wish], headers=trip.headers)
        return self._done("extras", answer)

    def _check_in(self, trip: Trip) -> None:
        segments = [one for piece in trip.seen["slices"] for one in piece["segments"]]
        if not segments:
            return
        flight = self._dice.choice(segments)["flightId"]
        wishes = [{"passengerId": one["id"], "flightId": flight} for one in trip.seen["passengers"]]
        answer = self._say("POST", f"/api/bookings/{trip.reference}/check-ins", json=wishes, headers=trip.headers)
        self._done("check-in", answer)

    def _correct(self, trip: Trip) -> None:
        one = self._dice.choice(trip.seen["passengers"])
        body = {"passengerId": one["id"], "givenName": f"{one['givenName']}e", "familyName": one["familyName"]}
        self._quote_and_confirm(trip, "corrections", body)

    # ── what the actions share ──────────────────────────────────────────────────────────────────────────

    def _day(self, later: int) -> str:
        return world.soon(later).isoformat()

    def _person(self, kind: str) -> dict[str, str]:
        named = {"givenName": self._dice.choice(NAMES), "familyName": "Øster-Smith"}
        return {"type": kind, **named, "dateOfBirth": BORN[kind]}

    def _offer(self, origin: str, destination: str, day: str, *, party: tuple[str, ...]) -> str | None:
        wish = {
            "origin": origin,
            "destination": destination,
            "departureDate": day,
            "maxStops": "0",
            "adults": str(party.count("adult")),
            "children": str(party.count("child")),
            "infants": str(party.count("infant")),
        }
        answer = self._say("GET", "/api/flights/search", params=wish)
        if answer.status_code != 200 or not (found := answer.json()["slices"][0]["itineraries"]):
            return None
        return str(self._dice.choice(self._dice.choice(found)["fares"])["offerId"])

    def _look(self, trip: Trip) -> dict[str, Any] | None:
        answer = self._say("GET", f"/api/bookings/{trip.reference}", headers=trip.headers)
        if answer.status_code != 200:
            raise Wrong(f"own booking {trip.reference}: {answer.status_code} {answer.text}")
        trip.seen = answer.json()
        trip.told_cancelled = trip.seen["status"] in ("cancelled", "expired")
        return trip.seen

    def _done(self, act: str, how: str | httpx2.Response) -> None:
        if not isinstance(how, str):
            how = f"{how.status_code} {'' if how.status_code < 300 else how.json()['code']}".strip()
        self.did[f"{act}: {how}"] += 1

    def _say(self, method: str, path: str, **given: Any) -> httpx2.Response:
        """Ask until there is an answer; the same key each time, so that it happens once."""
        self._count += 1
        headers = dict(given.pop("headers", {}))
        if method != "GET":
            headers["Idempotency-Key"] = f"{self.name}-{self._count}"
        for _ in range(300):
            try:
                answer = self._client.request(method, path, headers=headers, **given)
            except httpx2.TransportError:
                time.sleep(0.1)
                continue
            if answer.status_code == 503 or (answer.status_code == 409 and answer.json()["code"] == "still_running"):
                time.sleep(0.1)
                continue
            if answer.status_code >= 300 and answer.status_code not in REFUSALS:
                raise Wrong(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
            return answer
        raise Wrong(f"{method} {path} was never answered")

"""The trail in words: what was done, to what, from what to what, and where more is to be seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import quote, urlencode

from portal.kit import i18n
from portal.kit.i18n import gettext as _
from portal.trail.rules import ERASED, Difference, address, differences, whole
from portal.trail.views import Entry

TRAIL = "/admin/audit"


@dataclass(frozen=True, slots=True)
class Change:
    """One field in words: "" where a side says nothing of it, `erased` where a value was and is no longer kept."""

    label: str
    before: str
    after: str
    erased: bool


@dataclass(frozen=True, slots=True)
class Deed:
    """An entry as a page shows it."""

    entry: Entry
    words: str
    thing: str
    name: str
    href: str
    history: str
    who: str
    means: str
    caller: str
    changes: list[Change]


def day_by_day(entries: list[Entry], names: Mapping[tuple[str, str], str]) -> list[tuple[date, list[Deed]]]:
    """Return the entries in words, under the days (UTC) on which they happened."""
    days: list[tuple[date, list[Deed]]] = []
    for entry in entries:
        if not days or days[-1][0] != entry.happened_at.date():
            days.append((entry.happened_at.date(), []))
        days[-1][1].append(deed(entry, names))
    return days


def deed(entry: Entry, names: Mapping[tuple[str, str], str]) -> Deed:
    """Return the entry in words."""
    before, after = whole(entry.before, entry.personal), whole(entry.after, entry.personal)
    return Deed(
        entry,
        words=action(entry.action),
        thing=thing(entry.thing),
        name=names.get((entry.thing, entry.thing_id), entry.thing_id),
        href=door(entry.thing, entry.thing_id),
        history=f"{TRAIL}?{urlencode({'thing': entry.thing, 'id': entry.thing_id})}",
        who=entry.actor_email or _nobody(entry),
        means=means(entry),
        caller=address(entry.personal) or "",
        changes=[_change(one, _currency(before, after)) for one in differences(before, after)],
    )


def action(name: str) -> str:
    """Return what was done, in words; one that has none yet is told by its name."""
    return {**_of_sales(), **_of_people()}.get(name) or name.replace(".", ": ").replace("_", " ").capitalize()


def _of_sales() -> dict[str, str]:
    return {
        "booking.held": _("Seats held"),
        "booking.confirmed": _("Booking confirmed"),
        "booking.cancellation": _("Booking cancelled, or a part of it"),
        "booking.change": _("Booking changed to another flight"),
        "booking.adopted": _("Booking taken into an account"),
        "booking.change_lapsed": _("Change not paid in time"),
        "payment.returned": _("Payment sent back"),
        "payment.under_review": _("Payment waits for a look"),
        "payment.sent_back": _("Payment sent back by hand"),
        "refund.failed": _("Refund refused"),
        "refund.redone": _("Refund tried again"),
        "credit.given": _("Travel credit given"),
        "checkin.done": _("Checked in"),
        "checkin.undone": _("Check-in taken back"),
        "flight.sale_closed": _("Sale closed"),
        "flight.sale_opened": _("Sale opened"),
        "flight.delay": _("Flight delayed"),
        "flight.retime": _("Flight given new times"),
        "flight.cancel": _("Flight cancelled"),
        "flight.swap": _("Flight given another aircraft"),
        "timetable.imported": _("Timetable imported"),
        "checkin.boarded": _("Boarded"),
        "gate.closed": _("Gate closed"),
        "gate.reopened": _("Gate opened again"),
        "export.asked": _("Export asked for"),
        "export.retried": _("Export tried again"),
        "audit.exported": _("Audit trail exported"),
        "audit.retired": _("Old entries retired"),
        "letter.retried": _("Job tried again"),
        "letter.dropped": _("Job dropped"),
        "waiting_list.offered": _("Seats offered from the waiting list"),
    }


def _of_people() -> dict[str, str]:
    return {
        "user.create": _("Account made"),
        "user.rename": _("Names changed"),
        "user.password": _("Password changed"),
        "user.copy": _("Copy of personal data asked for"),
        "user.close": _("Account closed"),
        "user.reopen": _("Account opened again"),
        "user.erase": _("Account erased"),
        "sign_in.browser": _("Signed in"),
        "sign_in.program": _("Program signed in"),
        "sign_in.locked": _("Sign-in locked after wrong guesses"),
        "sign_in.stolen": _("A used refresh token came again: its program is signed out"),
        "passkey.add": _("Passkey added"),
        "passkey.remove": _("Passkey removed"),
        "authenticator.add": _("Authenticator added"),
        "authenticator.remove": _("Authenticator removed"),
        "recovery_code.use": _("Recovery code used"),
        "recovery_codes.deal": _("New recovery codes"),
        "factors.reset": _("Second steps taken away"),
        "identity.link": _("Account elsewhere connected"),
        "identity.unlink": _("Account elsewhere disconnected"),
        "personal.erased": _("Personal data erased"),
    }


def thing(kind: str) -> str:
    """Return what kind of thing it is, in words."""
    known = {
        "booking": _("booking"),
        "flight": _("flight"),
        "user": _("account"),
        "payment": _("payment"),
        "refund": _("refund"),
        "credit": _("travel credit"),
        "promotion": _("promotion"),
        "letter": _("job"),
        "export": _("export"),
        "audit": _("audit trail"),
        "timetable": _("timetable"),
    }
    return known.get(kind) or kind.replace(".", " ").replace("_", " ")


def door(kind: str, thing_id: str) -> str:
    """Return where staff see the thing itself, or "" where it has no page."""
    named = {"booking": "/bookings/", "flight": "/admin/flights/"}
    if kind in named:
        return named[kind] + quote(thing_id, safe="")
    lists = {"payment": "/admin/payments", "refund": "/admin/payments", "credit": "/admin/payments"}
    lists |= {"promotion": "/admin/promotions", "letter": "/admin/jobs"}
    return "/admin/prices" if kind.startswith("price.") else lists.get(kind, "")


def means(entry: Entry) -> str:
    """Return how the deed came about, in words."""
    if entry.means == "job":
        return _("job %(kind)s") % {"kind": entry.role or ""}
    known = {"session": _("browser"), "token": _("API token"), "key": _("API key"), "cli": _("command line")}
    return ", ".join(filter(None, (entry.role, known.get(entry.means or "", ""))))


def _nobody(entry: Entry) -> str:
    known = {"job": _("The portal itself"), "cli": _("An operator"), "guest": _("A guest")}
    return str(entry.actor_id) if entry.actor_id else known.get(entry.means or "", _("Not noted"))


def _change(one: Difference, currency: str | None) -> Change:
    label = _label(one.name.removesuffix("Minor"))
    return Change(label, _shown(one, one.before, currency), _shown(one, one.after, currency), _erased(one))


def _erased(one: Difference) -> bool:
    return ERASED in (one.before, one.after)


def _currency(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    found = after.get("currency") or before.get("currency")
    return found if isinstance(found, str) and len(found) == 3 else None


def _label(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace(".", " · ").replace("_", " ")).lower()
    return words[:1].upper() + words[1:]


def _shown(one: Difference, value: Any, currency: str | None) -> str:
    """Return a value for people: minor units as money, instants in their own zone, the rest as it is."""
    if one.name.endswith("Minor") and currency and isinstance(value, int):
        return i18n.price(value, currency)
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d.*(Z|[+-]\d\d:\d\d)", value):
        return i18n.moment(datetime.fromisoformat(value))
    return _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if value is ERASED:
        return _("erased")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):
        return " ".join(map(_plain, value.values()))
    return (", ".join(map(_plain, value)) or "–") if isinstance(value, list) else str(value)


def cells(entry: Entry) -> list[str | int | None]:
    """Return the entry as a row of a file: sides as text, what was erased said so."""
    sides = [differences(whole(entry.before, entry.personal), {}), differences(whole(entry.after, entry.personal), {})]
    before, after = ("; ".join(f"{one.name}={_plain(one.before)}" for one in side) for side in sides)
    who = entry.actor_email or (str(entry.actor_id) if entry.actor_id else None)
    at = entry.happened_at.isoformat(timespec="milliseconds")
    acting = [who, entry.role, entry.means, address(entry.personal)]
    return [
        *(entry.id, entry.position, at, *acting, entry.action, entry.thing, entry.thing_id),
        *(before, after, entry.request_id),
    ]

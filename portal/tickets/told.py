"""What stands on a receipt or credit note: a booking's charges as lines with codes and sums, and the money that moved.

Pure. `content` freezes it as plain data; `Sheet` is that data read back to be drawn, so that a paper can be drawn again
years later from itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.booking.views import AmendmentView, BookingView, ChargeView
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings
from portal.tickets import rules

SECTIONS = ("fare", "extra", "tax", "discount", "penalty")
PENALTIES = ("penalty", "cancel_fee", "change_fee", "fare_kept")
EXTRAS = ("seat", "bag", "meal", "priority", "insurance", "assistance")


@dataclass(frozen=True, slots=True)
class Moved:
    """Money that came in or went back: how, when, how much, and the end of the gateway's name for it."""

    method: str
    at: datetime
    amount_minor: int
    reference: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a paper; `code` is a tax's own code, else empty; `count` says how many travellers it is for."""

    section: str
    code: str
    label: str
    detail: str
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Section:
    """Lines of one kind with their sum."""

    label: str
    lines: tuple[Line, ...]
    sum_minor: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A paper as it is drawn."""

    seller: tuple[str, ...]
    buyer: tuple[str, ...]
    travellers: tuple[str, ...]
    trips: tuple[str, ...]
    reason: str
    sections: tuple[Section, ...]
    moved: tuple[Moved, ...]
    total_minor: int


def paper_kind(amendment: AmendmentView) -> str | None:
    """Return which paper an amendment needs: a receipt for more paid, a credit note for what was reversed, or none."""
    if amendment.refund_minor or (not amendment.due_minor and any(_amount(line) < 0 for line in amendment.lines)):
        return "credit_note"
    return "receipt" if amendment.due_minor else None


def _amount(line: dict[str, Any]) -> int:
    return int(line["amount_minor"])


def content(
    view: BookingView,
    settings: Settings,
    moved: Sequence[Moved],
    *,
    amendment: AmendmentView | None,
    is_printable: Callable[[str], bool],
) -> dict[str, Any]:
    """Return all that stands on the paper of the sale, or of one amendment, in the words of the moment's language."""
    mine = [one for one in view.charges if one.amendment_id == (amendment.id if amendment else None)]
    return {
        "seller": [line for line in _seller(settings) if line],
        "buyer": [view.contact_email or ""],
        "travellers": [rules.traveller(one, is_printable).name for one in view.passengers],
        "trips": _trips(view),
        "reason": reason(amendment.kind) if amendment else "",
        "lines": [_plain(line) for line in lines(view, mine)],
        "moved": [{**_plain(one), "at": one.at.isoformat()} for one in moved],
        "total_minor": sum(one.amount_minor for one in mine),
    }


def _plain(one: Line | Moved) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def _seller(settings: Settings) -> tuple[str, ...]:
    number = _("Tax number %(number)s") % {"number": settings.seller_tax_id} if settings.seller_tax_id else ""
    address = [part.strip() for part in settings.seller_address.split("|")]
    return (settings.seller_name or settings.email_from_name, *address, number, settings.support_email)


def _trips(view: BookingView) -> list[str]:
    return [f"{piece.origin.city} – {piece.destination.city}" for piece in view.slices]


def reason(kind: str) -> str:
    """Return what an amendment of this kind is called on a paper."""
    return {
        "items": _("Extras"),
        "change": _("Change of flights"),
        "cancellation": _("Cancellation"),
        "correction": _("Correction of a name"),
        "contact": _("Change of contact"),
        "carrier": _("Change by the airline"),
    }[kind]


Key = tuple[str, str, str, int, bool]


def lines(view: BookingView, charges: Sequence[ChargeView]) -> list[Line]:
    """Return the charges as lines, those alike put together: they add up to the charges' sum, to the cent.

    What goes back never disappears in what is charged: both stand by themselves.
    """
    groups: dict[Key, list[ChargeView]] = {}
    for one in charges:
        groups.setdefault(_key(one), []).append(one)
    made = [_line(view, key, group) for key, group in groups.items()]
    return sorted(made, key=lambda line: SECTIONS.index(line.section))


def _key(one: ChargeView) -> Key:
    section = _section(one)
    return (section, one.code, one.label, one.slice_position if section != "tax" else -1, one.amount_minor < 0)


def _section(one: ChargeView) -> str:
    if one.code == "fare":
        return "fare"
    if one.code in PENALTIES:
        return "penalty"
    if one.code == "promotion":
        return "discount"
    return "extra" if one.code in EXTRAS or one.item_id is not None else "tax"


def _line(view: BookingView, key: Key, group: Sequence[ChargeView]) -> Line:
    section, code, label, position, _back = key
    piece = next((one for one in view.slices if one.position == position), None)
    detail = f"{piece.origin.code}–{piece.destination.code}" if piece else ""
    if piece and section == "fare":
        detail = f"{detail}, {piece.brand}"
    count = len({one.passenger_id for one in group})
    shown_code = code if section == "tax" else ""
    return Line(section, shown_code, _(label), detail, count, sum(one.amount_minor for one in group))


def sheet(kept: dict[str, Any]) -> Sheet:
    """Return frozen content as it is drawn; headings are in the language of the moment."""
    found = [Line(**one) for one in kept["lines"]]
    words = {name: tuple(kept[name]) for name in ("seller", "buyer", "travellers", "trips")}
    return Sheet(
        **words,
        reason=kept["reason"],
        sections=tuple(_sectioned(found)),
        moved=tuple(Moved(**{**one, "at": datetime.fromisoformat(one["at"])}) for one in kept["moved"]),
        total_minor=kept["total_minor"],
    )


def _sectioned(found: Sequence[Line]) -> list[Section]:
    labels = {
        "fare": _("Fares"),
        "extra": _("Extras"),
        "tax": _("Taxes and fees"),
        "discount": _("Promotions"),
        "penalty": _("Fees, and what is not refunded"),
    }
    groups = {name: tuple(line for line in found if line.section == name) for name in SECTIONS}
    return [
        Section(labels[name], group, sum(line.amount_minor for line in group))
        for name, group in groups.items()
        if group
    ]


def method_label(method: str) -> str:
    """Return what a way to pay is called."""
    return {"card": _("Card"), "page": _("Card, on the payment page"), "credit": _("Travel credit")}.get(method, method)

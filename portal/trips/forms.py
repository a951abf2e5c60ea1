"""What a traveller types to find a booking, and what a program asks for."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from portal.booking.forms import BookingOut, Contact, MoneyWire, Name, PriceLineOut, Token
from portal.booking.views import AmendmentView
from portal.kit import ids
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire

REFERENCE = re.compile(f"[{ids.ALPHABET}]{{{ids.REFERENCE_LENGTH}}}")


def _reference(typed: str) -> str:
    normal = ids.normal_reference(typed)
    if not REFERENCE.fullmatch(normal):
        raise ValueError(_("A reference has six letters and figures, never 0, O, 1 or I. Please look once more."))
    return normal


def _printable(typed: str | None) -> str | None:
    if typed is not None and not typed.isprintable():
        raise ValueError(_("Please leave out characters that cannot be printed."))
    return typed


Reference = Annotated[str, StringConstraints(max_length=40), AfterValidator(_reference)]
FamilyName = Annotated[str, StringConstraints(min_length=1, max_length=60), AfterValidator(_printable)]


class LookUp(Wire):
    """A booking's reference and the family name of one of its travellers."""

    reference: Reference
    family_name: FamilyName


class OneBooking(Wire):
    """How a program without an account or token shows that it may see a booking."""

    family_name: FamilyName | None = Field(None, description="of one traveller; for who is not the owner")


class ListQuery(Wire):
    """A page of a list."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=500, description="`nextCursor` of the page before")


class BookingsOut(Wire):
    """Own bookings, newest first."""

    data: tuple[BookingOut, ...]
    next_cursor: str | None


class NewCancellation(Wire):
    """What is to be cancelled: everything that is not flown, or some travellers, or some directions (from 0).

    With both, these travellers no longer fly these directions, and all else stands.
    """

    passenger_ids: list[UUID] | None = Field(None, min_length=1, max_length=20)
    slice_indexes: list[Annotated[int, Field(ge=0, le=9)]] | None = Field(None, min_length=1, max_length=6)
    refund_to: Literal["original", "credit"] = "original"

    def command(self) -> dict[str, Any]:
        """Return it as amending.quote_cancellation takes it."""
        ids, slices = self.passenger_ids, self.slice_indexes
        return {"passenger_ids": ids, "slice_positions": slices, "refund_to": self.refund_to}


def cancellation_fields(typed: dict[str, Any]) -> dict[str, Any]:
    """Return what the page's form says in the API's words: who or what is ticked is meant, whatever the radio says.

    Raises Invalid where some are meant and none is ticked.
    """
    fields: dict[str, Any] = {"refundTo": typed["refund"]}
    wrong = []
    for name, lot, ticked, sentence in (
        ("passengerIds", "who", "passenger", _("Please tick who no longer flies.")),
        ("sliceIndexes", "ways", "slice", _("Please tick what is not flown.")),
    ):
        if typed[ticked]:
            fields[name] = typed[ticked]
        elif typed[lot] == "some":
            wrong.append(FieldError(name, sentence))
    if wrong:
        raise Invalid(errors=wrong)
    return fields


class NewChange(Wire):
    """Which direction (from 0) is to be flown by which offer's flights; the offer is for who still flies."""

    slice_index: int = Field(ge=0, le=9)
    offer_id: Token


class NewCorrection(Wire):
    """How a traveller's name is to stand, in full."""

    passenger_id: UUID
    given_name: Name = Field("", examples=["Robin"])
    family_name: Name = Field("", examples=["Woods"])


class NewContact(Contact):
    """Where what is about the booking goes from now on."""


class AmendmentOut(Wire):
    """A change of a booking. Quoted: confirm it before `expiresAt`. Paying: pay `due` before then. Done: it is made.

    `difference` is the new price less the old one, without the penalty, and less what is paid back for extras that do
    not go along; what is left to pay or goes back is `due` or `refund`. `rule` says why: the fare's conditions,
    within_24_hours of the purchase, the carrier's fault, or carrier_in_part where the carrier changed only some of the
    directions. `conditions` are those that a changed direction is flown under from then on: of the new fare, but for
    the stricter refund term of old and new, unless the change is free.
    """

    id: UUID
    kind: Literal["items", "change", "cancellation", "correction", "contact", "carrier"]
    status: Literal["quoted", "paying", "done", "lapsed", "withdrawn"]
    difference: MoneyWire
    penalty: MoneyWire
    due: MoneyWire
    refund: MoneyWire
    refund_to: Literal["original", "credit"]
    rule: str | None
    conditions: dict[str, Any] | None
    lines: tuple[PriceLineOut, ...]
    expires_at: datetime


def amendment_wire(one: AmendmentView) -> dict[str, Any]:
    """Return an amendment as the API tells it."""
    return AmendmentOut(
        id=one.id,
        kind=one.kind,
        status=one.state,
        difference=MoneyWire.of(one.due_minor - one.refund_minor - one.penalty_minor, one.currency),
        penalty=MoneyWire.of(one.penalty_minor, one.currency),
        due=MoneyWire.of(one.due_minor, one.currency),
        refund=MoneyWire.of(one.refund_minor, one.currency),
        refund_to=one.refund_to,
        rule=one.payload.get("rule"),
        conditions=one.payload.get("sold", {}).get("conditions"),
        lines=tuple(_line_out(line, one.currency) for line in one.lines),
        expires_at=one.expires_at.astimezone(UTC),
    ).wire()


def _line_out(line: dict[str, Any], currency: str) -> PriceLineOut:
    return PriceLineOut(
        code=line["code"],
        label=line["label"],
        amount=MoneyWire.of(line["amount_minor"], currency),
        passenger_id=line["passenger_id"],
        slice_index=line["slice_position"],
    )

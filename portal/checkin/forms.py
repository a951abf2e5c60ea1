"""What travellers, programs and gates hand in at check-in, and what programs are answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, RootModel, StringConstraints, model_validator

from portal.checkin.rules import Document, Result
from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire

MOST = 200


def _plain(typed: Any) -> Any:
    return re.sub(r"[\s.-]", "", typed).upper() if isinstance(typed, str) else typed


Number = Annotated[str, BeforeValidator(_plain), StringConstraints(min_length=1, max_length=20)]
Country = Annotated[str, BeforeValidator(_plain), StringConstraints(min_length=2, max_length=2)]
SeatName = Annotated[str, BeforeValidator(_plain), StringConstraints(max_length=4, pattern="^[0-9]{1,3}[A-Z]$")]


class DocumentIn(Wire):
    """A passport or identity card, as a state wants to be told of it; erased some days after the last flight."""

    type: Literal["passport", "identity_card"] = "passport"
    number: Number
    nationality: Country = Field(description="ISO 3166 code of two letters")
    issuing_country: Country = Field(description="ISO 3166 code of two letters")
    expires_on: date
    sex: Literal["F", "M", "X"] = Field(description="as in the document")

    def document(self) -> Document:
        """Return it as the rules know it."""
        return Document(self.type, self.number, self.nationality, self.issuing_country, self.expires_on, self.sex)


class CheckInIn(Wire):
    """One traveller for one flight; an infant comes along with its adult. Without `seat` one is given."""

    passenger_id: UUID
    flight_id: UUID
    seat: SeatName | None = None
    document: DocumentIn | None = Field(None, description="for a flight across a border, unless it is known already")


class CheckInsIn(RootModel[tuple[CheckInIn, ...]]):
    """Who checks in for what."""

    root: Annotated[tuple[CheckInIn, ...], Field(min_length=1, max_length=MOST)]


@dataclass(frozen=True, slots=True)
class Wish:
    """One traveller for one flight, with what came along."""

    passenger_id: UUID
    flight: UUID
    seat: str | None = None
    document: Document | None = None


def wishes(body: CheckInsIn) -> list[Wish]:
    """Return what a program asked for."""
    return [
        Wish(one.passenger_id, one.flight_id, one.seat, one.document.document() if one.document else None)
        for one in body.root
    ]


class DocumentsIn(Wire):
    """The documents of a party, by the travellers' place in the booking."""

    documents: dict[str, DocumentIn] = Field(max_length=20)


class CheckInOut(Wire):
    """One check-in with the text of its bar code (IATA Resolution 792)."""

    id: UUID
    passenger_id: UUID
    flight_id: UUID
    sequence_number: int
    seat: str | None
    boarding_at: datetime
    gate_closes_at: datetime
    barcode: str
    checked_in_at: datetime
    boarded_at: datetime | None


class CheckInsOut(Wire):
    """The check-ins of a booking, in the order of flights and travellers."""

    data: tuple[CheckInOut, ...]


class ScanIn(Wire):
    """What a gate's scanner read. `flightId` says which flight's gate it is; without a bar code a number will do."""

    barcode: Annotated[str, Field(max_length=2000)] | None = None
    flight_id: UUID | None = Field(None, examples=["3f0c5c3e-6a5e-4a0e-9d57-0f4c6ad1b2ce"])
    sequence: int | None = Field(None, ge=1, le=9999, examples=[25])

    @model_validator(mode="after")
    def _enough(self) -> ScanIn:
        if self.barcode is None and (self.flight_id is None or self.sequence is None):
            raise ValueError(_("Please give a bar code, or a flight and a number."))
        return self


class ScannedOut(Wire):
    """What a scan came to. Scanning the same pass again never boards twice: it answers `already_boarded`."""

    result: Result
    flight_id: UUID | None
    passenger: str | None
    type: str | None
    sequence: int | None
    seat: str | None
    seat_changed: bool
    boarded_at: datetime | None


class GateTravellerOut(Wire):
    """One traveller on the gate's list."""

    passenger: str
    type: str
    cabin: str
    reference: str
    seat: str | None
    sequence: int | None
    state: Literal["expected", "checked_in", "boarded", "no_show"]
    boarded_at: datetime | None


class GateOut(Wire):
    """A flight's gate: everybody with a ticket, and whether it is closed."""

    flight_id: UUID
    flight_number: str
    closed_at: datetime | None
    data: tuple[GateTravellerOut, ...]

"""What a traveller types to find a booking, and what a program asks for."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from portal.booking.forms import BookingOut
from portal.kit import ids
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

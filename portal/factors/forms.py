"""What people call their factors, and the codes that they type."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire


def _printable(text: str) -> str:
    if any(unicodedata.category(character).startswith("C") for character in text):
        raise PydanticCustomError("name", "{why}", {"why": _("Please leave out characters that cannot be printed.")})
    return unicodedata.normalize("NFC", text)


Name = Annotated[str, StringConstraints(min_length=1, max_length=60), AfterValidator(_printable)]
# A browser's answer about a passkey is a few thousand characters of JSON; nobody types it.
Answer = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class Naming(Wire):
    """What a factor is to be called."""

    name: Name


class Enrolment(Naming):
    """An app's first code, with the sealed offer that its secret came in."""

    offer: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=40)]


class NewPasskey(Naming):
    """A passkey that a device has just made."""

    answer: Answer
